//! The mutable side: what a live's owner tells about one rendition.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::av::{Ticks, Timescale};
use crate::base::Timestamp;

use super::finished::Finished;
use super::segment::{PartMeta, Pending, Segment, SegmentMeta};
use super::snapshot::Snapshot;

/// What stays the same for all renditions of a live, from the first playlist to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// EXT-X-TARGETDURATION, whole seconds, at least 1: every segment rounds to it or less.
    pub target_duration_s: u32,
    /// `None`: EVENT, nothing ever leaves. `Some`: the newest segments of this much media, never less than three
    /// target durations (6.2.2), and no EXT-X-PLAYLIST-TYPE.
    pub window: Option<Duration>,
    /// PART-HOLD-BACK in tenths of the part target: 30 is what the RFC advises, 20 what it demands (4.4.3.8).
    pub hold_back_tenths: u32,
    /// Everything was there before the first playlist was asked for: VOD, nothing to reload.
    pub on_demand: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            target_duration_s: 6,
            window: None,
            hold_back_tenths: 30,
            on_demand: false,
        }
    }
}

impl Config {
    /// Of a playlist with these segments (90 kHz) and no others.
    #[must_use]
    pub fn on_demand(durations: impl IntoIterator<Item = Ticks>) -> Self {
        let second = i64::from(Timescale::VIDEO.get());
        let longest = durations.into_iter().map(|duration| duration.0).max();
        // EXTINF is rounded to the nearest second for the comparison (4.4.3.1).
        let seconds = (longest.unwrap_or(0) + second / 2) / second;
        Self {
            target_duration_s: u32::try_from(seconds.max(1)).unwrap_or(u32::MAX),
            on_demand: true,
            ..Self::default()
        }
    }

    /// `count` target durations.
    pub(super) fn target_durations(&self, count: i64) -> Ticks {
        Ticks(i64::from(self.target_duration_s) * count * i64::from(Timescale::VIDEO.get()))
    }

    /// Where delta updates begin: six target durations, the least that 4.4.3.8 allows.
    pub(super) fn skip_boundary(&self) -> Ticks {
        self.target_durations(6)
    }

    /// How far behind the end parts are remembered. Their lines leave between three and, as a segment may last
    /// longer, a good four target durations from the end; after that they can be had for three more (6.2.2).
    pub(super) fn parts_memory(&self) -> Ticks {
        self.target_durations(8)
    }

    /// How much a sliding playlist holds.
    fn window(&self) -> Option<Ticks> {
        let window = Ticks(i64::try_from(self.window?.as_millis()).unwrap_or(i64::MAX / 90) * 90);
        Some(window.max(self.target_durations(3)))
    }
}

/// A segment of a sliding playlist that is listed, or that left and can still be fetched.
#[derive(Clone, Copy, Debug)]
struct Sliding {
    msn: u64,
    end: Ticks,
    duration: Ticks,
    discontinuity: bool,
}

/// Segments and parts of one rendition, as they come. One owner; viewers get [`Snapshot`]s.
#[derive(Clone, Debug)]
pub struct Window {
    config: Config,
    part_target: Option<Ticks>,
    has_parts: bool,
    run: u32,
    pending: Pending,
    /// The date of a moment of the timeline: the last session's start.
    date: Option<(Timestamp, Ticks)>,
    /// Shared with snapshots; copied when a segment ends, never for a part.
    finished: Arc<Finished>,
    open: Option<Segment>,
    /// The segment that closes next is its session's last.
    session_ends: bool,
    /// What players are told instead, after a session's last segment: the state before its end, and it with all its parts.
    held_back: Option<(Arc<Finished>, Segment)>,
    /// Oldest first; empty for EVENT.
    listed: VecDeque<Sliding>,
    /// Left the playlist, may be asked for (6.2.2). Bounded like `listed`.
    retired: VecDeque<Sliding>,
    /// The longest playlist so far.
    longest: Ticks,
    ended: bool,
}

impl Window {
    /// An empty window. Before the first part: [`Window::set_part_target`], [`Window::start_run`],
    /// [`Window::start_session`].
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            part_target: None,
            has_parts: false,
            run: 0,
            pending: Pending::default(),
            date: None,
            finished: Arc::default(),
            open: None,
            session_ends: false,
            held_back: None,
            listed: VecDeque::new(),
            retired: VecDeque::new(),
            longest: Ticks::ZERO,
            ended: false,
        }
    }

    /// The window as it was when `rows`, in order, were its segments: of a replay (then [`Window::end`] it), or of a
    /// live that goes on after a restart (then set the old part target and go on). Its playlist is the old one byte
    /// for byte, but for the parts' lines.
    #[must_use]
    pub fn from_segments(config: Config, rows: impl IntoIterator<Item = SegmentMeta>) -> Self {
        let mut window = Self::new(config);
        for row in rows {
            window.restore(row);
        }
        window
    }

    /// Appends a segment that `row` tells of, as [`Window::from_segments`] does.
    pub fn restore(&mut self, row: SegmentMeta) {
        let first = self.finished.next_msn == self.finished.first;
        if first || row.run != self.run {
            self.start_run(row.run, row.discontinuity);
        } else if row.discontinuity {
            self.pending.discontinuity = true;
        }
        if first {
            Arc::make_mut(&mut self.finished).begin_at(row.msn);
        }
        if let Some(date) = row.date_time {
            self.start_session(date);
        }
        let mut segment = self.next_segment();
        segment.duration = Ticks(row.duration.0.max(0));
        self.close(segment, row.gap);
    }

    /// Fixes the part target (90 kHz), `None` for a playlist without parts. It may not change once a playlist was
    /// given out (PART-INF is a line like others, 6.2.1), so a call after the first part is ignored.
    pub fn set_part_target(&mut self, target: Option<Ticks>) {
        if !self.has_parts {
            self.part_target = target.filter(|target| target.0 > 0);
        }
    }

    /// The part target in force.
    #[must_use]
    pub fn part_target(&self) -> Option<Ticks> {
        self.part_target
    }

    /// What follows lies in another file: EXT-X-MAP, and EXT-X-DISCONTINUITY when `discontinuity` says that the
    /// codec configuration or the timeline changed. Ends an open segment. Nothing precedes the first run, so it is
    /// never a discontinuity; renditions of one live must agree on the others (6.2.4).
    pub fn start_run(&mut self, run: u32, discontinuity: bool) {
        self.end_segment();
        self.held_back = None;
        self.run = run;
        self.pending.map = Some(run);
        self.pending.discontinuity |= discontinuity && self.finished.next_msn > self.finished.first;
    }

    /// What follows is a discontinuity, whichever file it lies in. Ends an open segment.
    pub fn discontinue(&mut self) {
        self.end_segment();
        self.pending.discontinuity |= self.finished.next_msn > self.finished.first;
    }

    /// Numbering begins with `msn`; ignored once there was a segment.
    pub fn begin_at(&mut self, msn: u64) {
        let first = self.finished.next_msn == self.finished.first;
        if first && self.open.is_none() {
            Arc::make_mut(&mut self.finished).begin_at(msn);
        }
    }

    /// A publish session begins with the next segment, whose first picture was taken at `at`. Ends an open segment.
    /// Answers the PROGRAM-DATE-TIME that will be written: `at`, or the end of what was dated before when the clock
    /// has stepped back (dates may not be ambiguous, 6.2.1).
    pub fn start_session(&mut self, at: Timestamp) -> Timestamp {
        self.session_ends = false;
        self.end_segment();
        let now = self.finished.end;
        let at = at.max(self.date_at(now).unwrap_or(at));
        self.date = Some((at, now));
        self.pending.date = Some(at);
        at
    }

    /// The publish session is over. Of the segment that ends next, players are told the parts at once, but that it is whole
    /// only with the first part of what follows, or with [`Window::end`]. A session's last part comes right behind the one
    /// before; hls.js (1.7.4), if it learns that the segment is whole while it parses that one, takes the segment for
    /// loaded, never asks for the last part, and stands before that hole until the parts have left the playlist. Players
    /// that know no parts wait for the last segment of an interrupted live meanwhile.
    pub fn end_session(&mut self) {
        self.session_ends = self.part_target.is_some();
    }

    /// Whether [`Window::end_session`] was called, and no session has begun since.
    #[must_use]
    pub fn session_ends(&self) -> bool {
        self.session_ends
    }

    /// Appends a part; answers its media sequence number and its index in that segment.
    pub fn push_part(&mut self, part: PartMeta) -> (u64, usize) {
        self.held_back = None;
        self.has_parts = true;
        let mut segment = match self.open.take() {
            Some(segment) => segment,
            None => self.next_segment(),
        };
        let index = segment.push(part, self.part_target);
        let msn = segment.msn;
        self.open = Some(segment);
        (msn, index)
    }

    /// Ends the open segment, if there is one; answers its row.
    pub fn end_segment(&mut self) -> Option<SegmentMeta> {
        let segment = self.open.take()?;
        Some(self.close(segment, false))
    }

    /// Ends the open segment as one whose media is lost (EXT-X-GAP): what was announced of it cannot be had any more.
    pub fn lose_segment(&mut self) -> Option<SegmentMeta> {
        let segment = self.open.take()?;
        Some(self.close(segment, true))
    }

    /// The same of a segment that lasts as long as another rendition's: parts that it lacks were not announced.
    pub fn lose_segment_lasting(&mut self, duration: Ticks) -> Option<SegmentMeta> {
        let mut segment = self.open.take()?;
        segment.duration = segment.duration.max(duration);
        Some(self.close(segment, true))
    }

    /// Whether parts of an open segment were announced.
    #[must_use]
    pub fn has_open_segment(&self) -> bool {
        self.open.is_some()
    }

    /// The run in which the newest segment lies, or the next one, if one has begun.
    #[must_use]
    pub fn run(&self) -> u32 {
        self.run
    }

    /// Marks a finished segment as missing (EXT-X-GAP), as long as its parts are known: only memory held it, and
    /// does no more. No segment may be listed so that cannot be fetched; that it is marked late is a deviation
    /// from 6.2.1 that harms nobody who has it.
    pub fn lose_finished(&mut self, msn: u64) {
        self.held_back = None;
        Arc::make_mut(&mut self.finished).lose(msn);
    }

    /// Appends a whole segment of missing media (EXT-X-GAP), which takes a number; ends an open segment first.
    pub fn gap_segment(&mut self, duration: Ticks) -> SegmentMeta {
        self.end_segment();
        let mut segment = self.next_segment();
        segment.duration = Ticks(duration.0.max(0));
        self.close(segment, true)
    }

    /// Ends an open segment and the playlist (EXT-X-ENDLIST). Nothing may follow.
    pub fn end(&mut self) -> Option<SegmentMeta> {
        let last = self.end_segment();
        self.held_back = None;
        self.ended = true;
        last
    }

    /// The media sequence number of the open segment, or of the one that would be opened now.
    #[must_use]
    pub fn next_msn(&self) -> u64 {
        self.finished.next_msn
    }

    /// The window as viewers see it now. Costs a copy of the open segment's lines, whatever the length of the live.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let (finished, open) = match &self.held_back {
            Some((finished, segment)) => (finished, Some(segment)),
            None => (&self.finished, self.open.as_ref()),
        };
        Snapshot::new(
            self.config,
            self.part_target,
            Arc::clone(finished),
            open.cloned(),
            self.held_back.is_some(),
            self.run,
            self.ended,
        )
    }

    fn date_at(&self, moment: Ticks) -> Option<Timestamp> {
        let (date, at) = self.date?;
        let since = u64::try_from((moment - at).0).unwrap_or(0);
        Some(date.plus(Duration::from_nanos(since.saturating_mul(100_000) / 9)))
    }

    fn next_segment(&mut self) -> Segment {
        let start = self.finished.end;
        let mut tags = std::mem::take(&mut self.pending);
        // A sliding playlist dates every segment, for any may become its first; an EVENT dates where dates jump, and
        // discontinuities (6.2.1).
        if tags.date.is_none() && (tags.discontinuity || self.config.window.is_some()) {
            tags.date = self.date_at(start);
        }
        Segment::open(self.finished.next_msn, self.run, start, tags)
    }

    fn close(&mut self, mut segment: Segment, gap: bool) -> SegmentMeta {
        let holds_back = self.session_ends && !gap;
        self.held_back = holds_back.then(|| (Arc::clone(&self.finished), segment.clone()));
        segment.close(gap);
        let row = SegmentMeta {
            msn: segment.msn,
            run: segment.run,
            discontinuity: segment.discontinuity,
            duration: segment.duration,
            gap,
            date_time: self
                .date
                .filter(|&(_, at)| at == segment.start)
                .map(|(date, _)| date),
        };
        let sliding = Sliding {
            msn: segment.msn,
            end: segment.end(),
            duration: segment.duration,
            discontinuity: segment.discontinuity,
        };
        Arc::make_mut(&mut self.finished).push(segment, self.config.parts_memory());
        if let Some(window) = self.config.window() {
            self.listed.push_back(sliding);
            self.slide(window);
        }
        row
    }

    /// Drops what a sliding playlist need not list, and forgets what need not be fetched any more (6.2.2).
    fn slide(&mut self, window: Ticks) {
        let finished = Arc::make_mut(&mut self.finished);
        let end = finished.end;
        if let Some(oldest) = self.listed.front() {
            let length = end - oldest.end + oldest.duration;
            self.longest = self.longest.max(length);
        }
        while let Some(oldest) = self.listed.front().copied()
            && end - oldest.end >= window
        {
            self.listed.pop_front();
            self.retired.push_back(oldest);
            finished.remove_first(oldest.discontinuity);
        }
        let memory = self.config.parts_memory();
        while let Some(oldest) = self.retired.front()
            && end - oldest.end > memory.max(oldest.duration + self.longest)
        {
            finished.first_available = oldest.msn + 1;
            self.retired.pop_front();
        }
        finished.forget();
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Decision, Form, Lookup};
    use super::*;

    const FULL: Form = Form {
        skip: false,
        without_parts: false,
        gzip: false,
    };

    fn text(window: &Window, form: Form) -> String {
        let text = window.snapshot().playlist(form, &[]);
        String::from_utf8(text.to_vec()).expect("a playlist is ASCII")
    }

    fn part(ticks: i64) -> PartMeta {
        PartMeta {
            duration: Ticks(ticks),
            independent: false,
            bytes: 10,
        }
    }

    #[test]
    fn a_finished_segment_can_be_lost_once_and_its_neighbours_stay() {
        let mut window = Window::new(Config::default());
        for _ in 0..4 {
            segment(&mut window, 4);
        }
        let before = text(&window, FULL);
        for msn in [1, 2, 1, 9] {
            window.lose_finished(msn);
        }
        let gap = |msn: u64| {
            let plain = format!("#EXTINF:4,\n0/{msn}.m4s\n");
            (plain.clone(), format!("#EXT-X-GAP\n{plain}"))
        };
        let mut expected = before;
        for (plain, marked) in [gap(1), gap(2)] {
            assert!(expected.contains(&plain), "{expected}");
            expected = expected.replace(&plain, &marked);
        }
        assert_eq!(text(&window, FULL), expected);
        let lookups: Vec<_> = (0..4)
            .map(|msn| window.snapshot().contains(0, msn, None))
            .collect();
        assert_eq!(
            lookups,
            [Lookup::Here, Lookup::No, Lookup::No, Lookup::Here]
        );
    }

    /// The lines of a playlist's edge: all from the last segment's first part on.
    fn edge(window: &Window) -> String {
        let text = text(window, FULL);
        let at = text.find("#EXT-X-PART:").unwrap_or(0);
        text[at..].to_owned()
    }

    #[test]
    fn a_sessions_last_segment_is_whole_with_what_follows() {
        const PARTS: &str = "#EXT-X-PART:DURATION=0.2,URI=\"0/0.0.m4s\",INDEPENDENT=YES\n\
             #EXT-X-PART:DURATION=0.02,URI=\"0/0.1.m4s\"\n";
        let parts = || {
            let mut window = Window::new(Config::default());
            window.set_part_target(Some(Ticks(18_000)));
            window.start_run(0, false);
            window.push_part(PartMeta {
                independent: true,
                ..part(18_000)
            });
            window.push_part(part(1_800));
            window.end_session();
            let row = window.end_segment().expect("it has parts");
            assert_eq!((row.msn, row.duration), (0, Ticks(19_800)));
            window
        };
        let mut window = parts();
        let hinted = "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"0/1.0.m4s\"\n";
        assert_eq!(edge(&window), format!("{PARTS}{hinted}"));
        let silent = window.snapshot();
        assert_eq!(silent.contains(0, 0, Some(1)), Lookup::Here);
        assert_eq!(silent.contains(0, 0, Some(2)), Lookup::No);
        assert_eq!(silent.contains(0, 1, Some(0)), Lookup::Hinted);
        // What players ask for that have seen the parts (6.2.5.2), and those that know no parts.
        for (msn, part) in [(0, Some(2)), (1, Some(0)), (0, None)] {
            assert_eq!(
                silent.decide(Some(msn), part),
                Decision::Wait,
                "{msn} {part:?}"
            );
        }
        assert_eq!(silent.last(false), Some((0, Some(1))));

        window.start_session(Timestamp(0));
        assert_eq!(window.push_part(part(18_000)), (1, 0));
        let whole = format!("{PARTS}#EXTINF:0.22,\n0/0.m4s\n");
        assert!(edge(&window).starts_with(&whole), "{}", edge(&window));
        for (msn, part) in [(0, Some(2)), (1, Some(0)), (0, None)] {
            let decision = window.snapshot().decide(Some(msn), part);
            assert_eq!(decision, Decision::Ready, "{msn} {part:?}");
        }

        let mut window = parts();
        window.end();
        assert_eq!(edge(&window), format!("{whole}#EXT-X-ENDLIST\n"));
    }

    fn segment(window: &mut Window, seconds: i64) -> SegmentMeta {
        window.push_part(part(seconds * 90_000));
        window.end_segment().expect("a part was pushed")
    }

    #[test]
    fn a_live_with_parts_reads_as_the_rfc_shows_it() {
        let mut window = Window::new(Config::default());
        window.set_part_target(Some(Ticks(18_000)));
        window.start_run(0, false);
        window.start_session(Timestamp::parse("2025-07-23T15:27:39.885Z").expect("a date"));
        window.push_part(PartMeta {
            independent: true,
            ..part(18_000)
        });
        window.push_part(part(18_000));
        window.end_segment();
        window.push_part(part(18_000));
        assert_eq!(
            text(&window, FULL),
            "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:6\n#EXT-X-PLAYLIST-TYPE:EVENT\n\
             #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=36,PART-HOLD-BACK=0.6\n\
             #EXT-X-PART-INF:PART-TARGET=0.2\n#EXT-X-MEDIA-SEQUENCE:0\n\
             #EXT-X-MAP:URI=\"0/init.mp4\"\n#EXT-X-PROGRAM-DATE-TIME:2025-07-23T15:27:39.885Z\n\
             #EXT-X-PART:DURATION=0.2,URI=\"0/0.0.m4s\",INDEPENDENT=YES\n\
             #EXT-X-PART:DURATION=0.2,URI=\"0/0.1.m4s\"\n#EXTINF:0.4,\n0/0.m4s\n\
             #EXT-X-PART:DURATION=0.2,URI=\"0/1.0.m4s\"\n\
             #EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"0/1.1.m4s\"\n"
        );
        let without = Form {
            without_parts: true,
            ..FULL
        };
        assert_eq!(
            text(&window, without),
            "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:6\n#EXT-X-PLAYLIST-TYPE:EVENT\n\
             #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=36\n#EXT-X-MEDIA-SEQUENCE:0\n\
             #EXT-X-MAP:URI=\"0/init.mp4\"\n#EXT-X-PROGRAM-DATE-TIME:2025-07-23T15:27:39.885Z\n\
             #EXTINF:0.4,\n0/0.m4s\n"
        );
    }

    #[test]
    fn a_changed_configuration_is_a_discontinuity_and_is_dated() {
        let mut window = Window::new(Config::default());
        window.start_run(0, true);
        window.start_session(Timestamp(0));
        segment(&mut window, 4);
        window.start_run(1, true);
        segment(&mut window, 4);
        window.start_run(2, false);
        segment(&mut window, 4);
        let text = text(&window, FULL);
        assert_eq!(
            text.split_once("#EXT-X-MEDIA-SEQUENCE:0\n")
                .expect("numbered")
                .1,
            "#EXT-X-MAP:URI=\"0/init.mp4\"\n#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:00.000Z\n#EXTINF:4,\n0/0.m4s\n\
             #EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"1/init.mp4\"\n\
             #EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:04.000Z\n#EXTINF:4,\n1/1.m4s\n\
             #EXT-X-MAP:URI=\"2/init.mp4\"\n#EXTINF:4,\n2/2.m4s\n"
        );
    }

    #[test]
    fn dates_never_go_back() {
        let mut window = Window::new(Config::default());
        window.start_run(0, false);
        assert_eq!(
            window.start_session(Timestamp(10_000_000)),
            Timestamp(10_000_000)
        );
        segment(&mut window, 4);
        // The clock was set back by an hour: four seconds after the first is the earliest that is unambiguous.
        assert_eq!(
            window.start_session(Timestamp(-3_590_000_000)),
            Timestamp(14_000_000)
        );
    }

    #[test]
    fn a_sliding_window_keeps_what_the_rfc_says_and_moves_the_numbers() {
        let mut window = Window::new(Config {
            window: Some(Duration::from_secs(20)),
            ..Config::default()
        });
        window.start_run(0, false);
        window.start_session(Timestamp(0));
        segment(&mut window, 4);
        window.start_run(1, true);
        for _ in 0..9 {
            segment(&mut window, 4);
        }
        // 40 s so far, 20 s are five segments; numbers 0..=4 and the discontinuity before 1 have left.
        let lines = text(&window, FULL);
        assert!(!lines.contains("PLAYLIST-TYPE"));
        assert_eq!(
            lines.split_once("CAN-SKIP-UNTIL=36\n").expect("control").1,
            (5..10).fold(
                "#EXT-X-MEDIA-SEQUENCE:5\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n\
                 #EXT-X-MAP:URI=\"1/init.mp4\"\n"
                    .to_owned(),
                |text, msn| format!(
                    "{text}#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:{:02}.000Z\n#EXTINF:4,\n1/{msn}.m4s\n",
                    4 * msn
                )
            )
        );
        assert_eq!(window.snapshot().first_available(), 0);
        // 6.2.5.2: delivered even if what was asked for is no longer in the playlist.
        assert_eq!(window.snapshot().decide(Some(1), None), Decision::Ready);
    }

    #[test]
    fn what_left_a_sliding_window_can_be_had_for_as_long_as_the_rfc_says() {
        let mut window = Window::new(Config {
            window: Some(Duration::from_secs(60)),
            ..Config::default()
        });
        window.start_run(7, false);
        for _ in 0..40 {
            segment(&mut window, 4);
        }
        // 160 s so far. The longest playlist was 64 s, so a segment is to be had until 68 s after its end: number 22,
        // which ended at 92 s, just.
        let snapshot = window.snapshot();
        assert_eq!(snapshot.first_msn(), 25);
        assert_eq!(snapshot.first_available(), 22);
        assert_eq!(snapshot.contains(7, 22, None), Lookup::Here);
        assert_eq!(snapshot.contains(7, 21, None), Lookup::No);
    }

    #[test]
    fn a_sliding_window_never_holds_less_than_three_target_durations() {
        let mut window = Window::new(Config {
            window: Some(Duration::from_secs(1)),
            ..Config::default()
        });
        window.start_run(0, false);
        for _ in 0..300 {
            segment(&mut window, 5);
            let listed = window.next_msn() - window.snapshot().first_msn();
            assert!(listed == 4 || listed == window.next_msn(), "{listed}");
        }
    }

    #[test]
    fn the_part_target_is_fixed_by_the_first_part() {
        let mut window = Window::new(Config::default());
        window.set_part_target(Some(Ticks(18_000)));
        window.set_part_target(Some(Ticks(9_000)));
        window.push_part(part(9_000));
        window.set_part_target(None);
        assert_eq!(window.part_target(), Some(Ticks(9_000)));
    }

    #[test]
    fn a_window_rebuilt_from_its_rows_goes_on_with_the_same_text() {
        let mut window = Window::new(Config::default());
        window.start_run(0, false);
        window.start_session(Timestamp(1_000_001));
        let mut rows = Vec::new();
        for round in 1..=150 {
            rows.push(segment(&mut window, 1 + round % 5));
            match round {
                40 => drop(window.start_session(Timestamp(900_000_000))),
                70 => window.start_run(1, true),
                90 => rows.push(window.gap_segment(Ticks(300_001))),
                120 => window.start_run(2, false),
                _ => {}
            }
        }
        let mut again = Window::from_segments(Config::default(), rows);
        assert_eq!(text(&again, FULL), text(&window, FULL));
        segment(&mut window, 3);
        segment(&mut again, 3);
        window.end();
        again.end();
        assert_eq!(text(&again, FULL), text(&window, FULL));
        assert!(text(&again, FULL).ends_with("#EXTINF:3,\n2/151.m4s\n#EXT-X-ENDLIST\n"));
    }
}
