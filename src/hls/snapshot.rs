//! The immutable side: one state of a rendition, as any number of viewers ask about it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::av::{Ticks, Timescale};

use super::finished::Finished;
use super::render::{Form, Memo, RenditionReport};
use super::segment::{Segment, part_uri};
use super::window::Config;

/// What to do with a playlist request now (6.2.5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Answer with this snapshot's playlist.
    Ready,
    /// Hold the request until a later snapshot is ready for it, or too long has passed.
    Wait,
    /// Refuse it (400): it asks for what cannot come soon, or for a part of no segment.
    TooFarAhead,
}

/// Whether a media URL can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// It is there.
    Here,
    /// It is the part that EXT-X-PRELOAD-HINT names: hold the request, ask the next snapshot (6.2.6).
    Hinted,
    /// It never was, is not to be had any more, is missing (EXT-X-GAP), or is in a future that nobody promised: 404.
    No,
}

/// One state of a rendition's playlist. A clone is a pointer; all clones share what was rendered.
#[derive(Clone)]
pub struct Snapshot(pub(super) Arc<State>);

pub(super) struct State {
    pub(super) config: Config,
    pub(super) part_target: Option<Ticks>,
    pub(super) finished: Arc<Finished>,
    pub(super) open: Option<Segment>,
    /// The open segment has all its parts: the next part is of the segment behind it.
    pub(super) has_all: bool,
    pub(super) run: u32,
    pub(super) ended: bool,
    pub(super) memo: Memo,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("first_msn", &self.0.finished.first)
            .field("next_msn", &self.0.finished.next_msn)
            .field("parts", &self.open_parts())
            .field("ended", &self.0.ended)
            .finish_non_exhaustive()
    }
}

impl Snapshot {
    pub(super) fn new(
        config: Config,
        part_target: Option<Ticks>,
        finished: Arc<Finished>,
        open: Option<Segment>,
        has_all: bool,
        run: u32,
        ended: bool,
    ) -> Self {
        Self(Arc::new(State {
            config,
            part_target,
            finished,
            open,
            has_all,
            run,
            ended,
            memo: Memo::default(),
        }))
    }

    /// The media playlist. Rendered once for each form; later calls copy a pointer. `reports` are those of the other
    /// renditions, in any fixed order; they are left out once the playlist has ended.
    #[must_use]
    pub fn playlist(&self, form: Form, reports: &[RenditionReport]) -> Bytes {
        self.0.memo.playlist(&self.0, form, reports)
    }

    /// Whether a request with these delivery directives can be answered. `_HLS_part` counts only where parts are
    /// listed.
    #[must_use]
    pub fn decide(&self, msn: Option<u64>, part: Option<u64>) -> Decision {
        if self.0.ended {
            return Decision::Ready;
        }
        let Some(msn) = msn else {
            return match part {
                Some(_) => Decision::TooFarAhead,
                None => Decision::Ready,
            };
        };
        // The number after that of the last whole segment: that of the parts at the live edge.
        let edge = self.0.finished.next_msn;
        if msn > edge + 1 {
            return Decision::TooFarAhead;
        }
        let Some((part, target)) = part.zip(self.0.part_target) else {
            return if msn < edge {
                Decision::Ready
            } else {
                Decision::Wait
            };
        };
        let (msn, part) = self.roll_over(msn, part);
        if msn < edge || (msn == edge && part < self.open_parts()) {
            return Decision::Ready;
        }
        // Counted from the last part there is; of a segment that has not begun, from its own begin.
        let from = if msn == edge { self.open_parts() } else { 0 };
        if part - from >= advance_part_limit(target) {
            return Decision::TooFarAhead;
        }
        Decision::Wait
    }

    /// Whether `{run}/{msn}.m4s` (`part`: none) or `{run}/{msn}.{part}.m4s` can be answered.
    #[must_use]
    pub fn contains(&self, run: u32, msn: u64, part: Option<u64>) -> Lookup {
        let finished = &self.0.finished;
        if msn >= finished.next_msn {
            return match part {
                Some(part) => self.at_the_edge(run, msn, part),
                None => Lookup::No,
            };
        }
        let available = msn >= finished.first_available
            && finished.run_of(msn) == Some(run)
            && !finished.is_gap(msn);
        let known = match part {
            None => true,
            Some(_) if self.0.part_target.is_none() => false,
            Some(part) => {
                let count = finished.recent(msn).map_or(0, |s| s.part_ends.len());
                usize::try_from(part).is_ok_and(|part| part < count)
            }
        };
        if available && known {
            Lookup::Here
        } else {
            Lookup::No
        }
    }

    /// Where a part lies, in bytes from the first of its segment; `None` when that is not known (any more): parts are
    /// remembered for at least three target durations after their lines have left (6.2.2).
    #[must_use]
    pub fn part_range(&self, msn: u64, part: u64) -> Option<Range<u64>> {
        let open = self.0.open.as_ref().filter(|open| open.msn == msn);
        let segment = open.or_else(|| self.0.finished.recent(msn))?;
        let part = usize::try_from(part).ok()?;
        let end = *segment.part_ends.get(part)?;
        let begin = part
            .checked_sub(1)
            .map_or(0, |before| segment.part_ends[before]);
        Some(begin..end)
    }

    /// Whether there is anything to play: before that, no playlist should be given out.
    #[must_use]
    pub fn has_media(&self) -> bool {
        self.last(self.0.part_target.is_none()).is_some()
    }

    /// The newest media: number of the last segment, or with parts of the last part and its index; `without_parts`
    /// as in [`Form`].
    #[must_use]
    pub fn last(&self, without_parts: bool) -> Option<(u64, Option<u64>)> {
        let finished = &self.0.finished;
        let last = finished
            .next_msn
            .checked_sub(1)
            .filter(|&msn| msn >= finished.first);
        if without_parts || self.0.part_target.is_none() {
            return last.map(|msn| (msn, None));
        }
        if let Some(part) = self.open_parts().checked_sub(1) {
            return Some((finished.next_msn, Some(part)));
        }
        // A segment without parts (a gap, or rebuilt from its row) has no part to name.
        last.map(|msn| (msn, self.part_count(msn).and_then(|n| n.checked_sub(1))))
    }

    /// What the other renditions' playlists say about this one, whose playlist is `uri` relative to theirs
    /// (4.4.5.4); `None` before its first media.
    #[must_use]
    pub fn report(&self, uri: impl Into<String>, without_parts: bool) -> Option<RenditionReport> {
        let (last_msn, last_part) = self.last(without_parts)?;
        Some(RenditionReport {
            uri: uri.into(),
            last_msn,
            last_part,
        })
    }

    /// The URI of the part to come, as EXT-X-PRELOAD-HINT names it; none without parts and after the end.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let (msn, part) = self.next_part()?;
        Some(part_uri(
            self.0.run,
            msn,
            usize::try_from(part).unwrap_or(usize::MAX),
        ))
    }

    /// Number and index of the part to come; none without parts and after the end.
    #[must_use]
    pub fn next_part(&self) -> Option<(u64, u64)> {
        if self.0.ended || self.0.part_target.is_none() {
            return None;
        }
        let (msn, part) = self.0.next_part();
        Some((msn, u64::try_from(part).unwrap_or(u64::MAX)))
    }

    /// First media sequence number of the playlist.
    #[must_use]
    pub fn first_msn(&self) -> u64 {
        self.0.finished.first
    }

    /// First media sequence number that viewers may still ask for: what lies before can be deleted (6.2.2).
    #[must_use]
    pub fn first_available(&self) -> u64 {
        self.0.finished.first_available
    }

    /// The part target (90 kHz), `None` without parts.
    #[must_use]
    pub fn part_target(&self) -> Option<Ticks> {
        self.0.part_target
    }

    /// Whether EXT-X-ENDLIST is written.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.0.ended
    }

    /// All media so far, missing segments and those that have left included, 90 kHz.
    #[must_use]
    pub fn duration(&self) -> Ticks {
        self.0.end()
    }

    /// A part number behind the last of a finished segment means the first of the next (6.2.5.2). A segment whose
    /// parts are not known, as a gap, keeps the request: its client is behind, not ahead.
    fn roll_over(&self, msn: u64, part: u64) -> (u64, u64) {
        match self.part_count(msn) {
            Some(count) if count > 0 && part >= count => (msn + 1, 0),
            _ => (msn, part),
        }
    }

    fn part_count(&self, msn: u64) -> Option<u64> {
        let segment = self.0.finished.recent(msn)?;
        u64::try_from(segment.part_ends.len()).ok()
    }

    fn open_parts(&self) -> u64 {
        let parts = self.0.open.as_ref().map_or(0, |open| open.part_ends.len());
        u64::try_from(parts).unwrap_or(u64::MAX)
    }

    fn at_the_edge(&self, run: u32, msn: u64, part: u64) -> Lookup {
        let open_run = self.0.open.as_ref().map_or(self.0.run, |open| open.run);
        if self.0.part_target.is_none() || run != open_run {
            Lookup::No
        } else if msn == self.0.finished.next_msn && part < self.open_parts() {
            Lookup::Here
        } else if self.next_part() == Some((msn, part)) {
            Lookup::Hinted
        } else {
            Lookup::No
        }
    }
}

impl State {
    /// Number and index of the part to come.
    pub(super) fn next_part(&self) -> (u64, usize) {
        let msn = self.finished.next_msn;
        match &self.open {
            Some(_) if self.has_all => (msn + 1, 0),
            Some(open) => (msn, open.part_ends.len()),
            None => (msn, 0),
        }
    }

    /// The end of the playlist: of the last part, where parts follow the last segment.
    pub(super) fn end(&self) -> Ticks {
        self.open
            .as_ref()
            .map_or(self.finished.end, |open| open.end())
    }
}

/// 6.2.5.2: three seconds' worth of parts, or three parts where they last a second and more.
fn advance_part_limit(target: Ticks) -> u64 {
    let second = i64::from(Timescale::VIDEO.get());
    let target = target.0.clamp(1, second);
    u64::try_from((3 * second + target - 1) / target).unwrap_or(3)
}

#[cfg(test)]
mod tests {
    use super::super::{Config, PartMeta, Window};
    use super::*;

    const PART: PartMeta = PartMeta {
        duration: Ticks(18_000),
        independent: false,
        bytes: 1_000,
    };

    /// Segments of four parts of 200 ms each, then `open` parts.
    fn window(segments: u64, open: u64) -> Window {
        let mut window = Window::new(Config::default());
        window.set_part_target(Some(Ticks(18_000)));
        window.start_run(0, false);
        for _ in 0..segments {
            for _ in 0..4 {
                window.push_part(PART);
            }
            window.end_segment();
        }
        for _ in 0..open {
            window.push_part(PART);
        }
        window
    }

    /// RFC 8216bis 6.2.5.2 clause by clause. Segments 0..=9 are whole, parts 10.0 and 10.1 are there.
    #[test]
    fn a_blocking_reload_is_answered_held_or_refused_as_the_clauses_say() {
        use Decision::{Ready, TooFarAhead, Wait};
        let snapshot = window(10, 2).snapshot();
        for (msn, part, expected) in [
            (None, None, Ready),
            // "an _HLS_part directive but no _HLS_msn directive … MUST return Bad Request"
            (None, Some(0), TooFarAhead),
            // "until the Playlist contains a Media Segment with a Media Sequence Number of M or later"
            (Some(0), None, Ready),
            (Some(9), None, Ready),
            (Some(10), None, Wait),
            (Some(11), None, Wait),
            // "greater than the Media Sequence Number of the last Media Segment in the current Playlist plus two"
            (Some(12), None, TooFarAhead),
            (Some(u64::MAX), None, TooFarAhead),
            // "until the Playlist contains the Partial Segment with Part Index N and … M or later"
            (Some(10), Some(1), Ready),
            (Some(10), Some(2), Wait),
            (Some(11), Some(0), Wait),
            (Some(3), Some(2), Ready),
            // "greater than that of the final Partial Segment …: as one for Part Index 0 of the following"
            (Some(9), Some(4), Ready),
            (Some(9), Some(1_000), Ready),
            // The last part is 10.1, the limit is 3 / 0.2 s = 15 parts.
            (Some(10), Some(16), Wait),
            (Some(10), Some(17), TooFarAhead),
            (Some(12), Some(0), TooFarAhead),
            (Some(10), Some(u64::MAX), TooFarAhead),
            (Some(11), Some(u64::MAX), TooFarAhead),
        ] {
            assert_eq!(snapshot.decide(msn, part), expected, "{msn:?} {part:?}");
        }
    }

    #[test]
    fn a_part_behind_the_last_of_a_segment_waits_for_the_next_segment() {
        let mut window = window(10, 0);
        assert_eq!(window.snapshot().decide(Some(9), Some(4)), Decision::Wait);
        window.push_part(PART);
        assert_eq!(window.snapshot().decide(Some(9), Some(4)), Decision::Ready);
    }

    #[test]
    fn a_request_that_waits_for_a_segment_is_released_when_it_becomes_a_gap() {
        let mut window = window(10, 0);
        assert_eq!(window.snapshot().decide(Some(10), Some(0)), Decision::Wait);
        window.gap_segment(Ticks(360_000));
        assert_eq!(window.snapshot().decide(Some(10), Some(0)), Decision::Ready);
    }

    #[test]
    fn after_the_end_delivery_directives_are_ignored() {
        let mut window = window(3, 2);
        window.end();
        let snapshot = window.snapshot();
        for (msn, part) in [(Some(99), None), (Some(4), Some(7)), (None, Some(3))] {
            assert_eq!(snapshot.decide(msn, part), Decision::Ready);
        }
        assert_eq!(snapshot.hint(), None);
        assert!(snapshot.ended());
    }

    #[test]
    fn without_parts_only_whole_segments_count() {
        let mut window = Window::new(Config::default());
        window.start_run(0, false);
        window.push_part(PART);
        let snapshot = window.snapshot();
        assert!(!snapshot.has_media());
        assert_eq!(snapshot.decide(Some(0), Some(0)), Decision::Wait);
        assert_eq!(snapshot.contains(0, 0, Some(0)), Lookup::No);
        window.end_segment();
        let snapshot = window.snapshot();
        assert!(snapshot.has_media());
        assert_eq!(snapshot.decide(Some(0), Some(9)), Decision::Ready);
        assert_eq!(snapshot.contains(0, 0, None), Lookup::Here);
    }

    #[test]
    fn only_the_hinted_part_of_the_future_is_promised() {
        let mut window = window(2, 1);
        let snapshot = window.snapshot();
        assert_eq!(snapshot.hint().as_deref(), Some("0/2.1.m4s"));
        assert_eq!(snapshot.contains(0, 2, Some(0)), Lookup::Here);
        assert_eq!(snapshot.contains(0, 2, Some(1)), Lookup::Hinted);
        assert_eq!(snapshot.contains(0, 2, Some(2)), Lookup::No);
        assert_eq!(snapshot.contains(0, 3, Some(0)), Lookup::No);
        assert_eq!(snapshot.contains(1, 2, Some(1)), Lookup::No);
        // The open segment as a whole was never announced.
        assert_eq!(snapshot.contains(0, 2, None), Lookup::No);
        assert_eq!(snapshot.contains(0, 1, None), Lookup::Here);
        assert_eq!(snapshot.contains(0, 1, Some(3)), Lookup::Here);
        assert_eq!(snapshot.contains(0, 1, Some(4)), Lookup::No);
        assert_eq!(snapshot.contains(1, 1, None), Lookup::No);
        // The cut overtakes the hint.
        window.end_segment();
        let snapshot = window.snapshot();
        assert_eq!(snapshot.contains(0, 2, Some(1)), Lookup::No);
        assert_eq!(snapshot.contains(0, 3, Some(0)), Lookup::Hinted);
        // So does another run.
        window.start_run(1, true);
        let snapshot = window.snapshot();
        assert_eq!(snapshot.contains(0, 3, Some(0)), Lookup::No);
        assert_eq!(snapshot.contains(1, 3, Some(0)), Lookup::Hinted);
    }

    #[test]
    fn missing_media_is_not_found() {
        let mut window = window(2, 2);
        window.lose_segment();
        window.gap_segment(Ticks(360_000));
        window.push_part(PART);
        window.end_segment();
        let snapshot = window.snapshot();
        let found: Vec<_> = (0..5)
            .map(|msn| snapshot.contains(0, msn, None) == Lookup::Here)
            .collect();
        assert_eq!(found, [true, true, false, false, true]);
        assert_eq!(snapshot.contains(0, 2, Some(0)), Lookup::No);
    }

    #[test]
    fn a_part_is_found_by_its_place_in_the_segment() {
        let snapshot = window(2, 1).snapshot();
        assert_eq!(snapshot.part_range(0, 0), Some(0..1_000));
        assert_eq!(snapshot.part_range(1, 3), Some(3_000..4_000));
        assert_eq!(snapshot.part_range(1, 4), None);
        assert_eq!(snapshot.part_range(2, 0), Some(0..1_000));
        assert_eq!(snapshot.part_range(3, 0), None);
    }

    #[test]
    fn a_report_names_the_last_part_or_the_last_segment() {
        let mut window = window(2, 0);
        let last = |window: &Window, plain| window.snapshot().last(plain);
        assert_eq!(last(&window, false), Some((1, Some(3))));
        assert_eq!(last(&window, true), Some((1, None)));
        window.push_part(PART);
        assert_eq!(last(&window, false), Some((2, Some(0))));
        assert_eq!(last(&window, true), Some((1, None)));
    }
}
