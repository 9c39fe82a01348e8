//! Every playlist that griot can write obeys RFC 8216bis (draft-pantos-hls-rfc8216bis), whatever the encoder does.
//!
//! A model producer ([`producer::model`]) and the real packager feed a window with sessions at 24, 25, 29.97, 30, 50
//! and 60 pictures a second, at no stable rate (parts are cut by time then), and with sound alone; GOPs of 0.5 to 12 s; silence, changed
//! configurations, clocks that jump, lost and missing segments. After each step all forms of the playlist are read
//! by a strict reader and checked. The clauses, with the file that checks them:
//!
//! | clause | rule | where |
//! |---|---|---|
//! | 4.1 | UTF-8, no byte order mark, no control characters | `playlist` |
//! | 4.2 | attribute lists: names once, values well-formed | `playlist` |
//! | 4.4.1.1, 4.4.3 | EXTM3U first; media playlist tags at most once, before the segments | `playlist` |
//! | 4.4.1.2, 8, 6.2.1 | VERSION is what the tags need, no more | `rules` |
//! | 4.4.3.1 | TARGETDURATION is there; no EXTINF rounds above it | `playlist`, `rules` |
//! | 4.4.3.5, 6.2.2 | EVENT, or no type for a sliding playlist | `rules` |
//! | 4.4.3.7 | PART-INF exactly where there are parts or a hint | `rules` |
//! | 4.4.3.8, B.1 | CAN-SKIP-UNTIL ≥ 6, HOLD-BACK ≥ 3 target durations; PART-HOLD-BACK ≥ 2 parts; CAN-BLOCK-RELOAD | `rules` |
//! | 4.4.4.1 | EXTINF of every segment | `playlist` |
//! | 4.4.4.5 | EXT-X-MAP applies to every segment, and is that of its run | `rules` |
//! | 4.4.4.6, 6.2.1 | dates have zone and milliseconds, are not ambiguous, follow every discontinuity | `playlist`, `rules` |
//! | 4.4.4.9 | parts ≤ target, ≥ 85 % of it unless INDEPENDENT or last; they sum up to their segment | `rules` |
//! | 4.4.5.2 | one EXT-X-SKIP, before the segments, of at least one | `playlist` |
//! | 4.4.5.3, 6.2.6 | one hint: the next part, which is awaited | `rules`, `updates` |
//! | 4.4.5.4 | reports have URI, LAST-MSN, and LAST-PART where there are parts | `rules` |
//! | 6.2.1 | only appended to; only parts, hints and reports leave; the header stays; dates on time | `updates`, here |
//! | 6.2.1 | a new segment within 1.5 target durations, a new part within one part target | here |
//! | 6.2.2 | parts leave in order, three target durations from the end, and can be fetched as long again | `rules`, `updates`, here |
//! | 6.2.2 | a sliding playlist: numbers count what left, three target durations stay, segments stay available | `updates`, here |
//! | 6.2.4 | same SERVER-CONTROL on all renditions: it depends on nothing but [`griot::hls::Config`] and the target | `rules` |
//! | 6.2.5.1 | a delta update and an older playlist make the new one; exactly what is old enough is skipped | `updates` |
//! | 6.2.5.2 | blocking reload: ready, wait, too far ahead | `updates` |
//! | ENDLIST | nothing to come; directives are ignored | `rules`, `updates` |
//!
//! Deviations (design §4a): while an encoder is silent no segment and no part comes (6.2.1; the timing rules are
//! checked within sessions only); a blocked reload is answered unchanged after 8 s (6.2.5.2; that is `rendition`'s
//! doing, its clock is not here); a later session with another frame grid keeps parts below the target but not
//! above 85 % of it (4.4.4.9); parts leave by whole segments, so some stay longer than 6.2.2 advises.

mod hlsjs;
mod packager;
mod playlist;
mod producer;
mod rules;
mod updates;

use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

use flate2::read::GzDecoder;
use griot::av::Ticks;
use griot::base::Timestamp;
use griot::hls::{Config, Form, Lookup, RenditionReport, SegmentMeta, Snapshot, Window};
use proptest::prelude::*;

use playlist::{Playlist, parse};
use producer::{Session, Step, Story, model, sessions};
use rules::Setting;

const FULL: Form = Form {
    skip: false,
    without_parts: false,
    gzip: false,
};

fn config(window_s: Option<u64>, hold_back_tenths: u32) -> Config {
    Config {
        window: window_s.map(Duration::from_secs),
        hold_back_tenths,
        ..Config::default()
    }
}

/// Plays a story to a window and checks every playlist on the way.
struct Audience {
    config: Config,
    window: Window,
    story: Story,
    rows: Vec<SegmentMeta>,
    /// The version before, and one that is at most half the skip boundary old (4.4.5.2).
    before: Option<Playlist>,
    old: Option<Playlist>,
    /// Which parts left the playlist when, on the window's timeline.
    left: BTreeMap<String, Ticks>,
    /// Media since the last segment, or since a session began.
    since_segment: Ticks,
    /// Players have yet to hear that the last segment is whole.
    session_over: bool,
    snapshots: usize,
}

impl Audience {
    fn new(config: Config, story: Story) -> Self {
        let mut window = Window::new(config);
        window.set_part_target(story.part_target);
        Self {
            config,
            window,
            story,
            rows: Vec::new(),
            before: None,
            old: None,
            left: BTreeMap::new(),
            since_segment: Ticks::ZERO,
            session_over: false,
            snapshots: 0,
        }
    }

    fn play(mut self) -> Result<Window, String> {
        let steps = std::mem::take(&mut self.story.steps);
        for (number, step) in steps.iter().enumerate() {
            self.step(step)
                .map_err(|fault| format!("step {number} {step:?}: {fault}"))?;
        }
        self.rows.extend(self.window.end());
        self.look("the end")?;
        self.rebuilt()?;
        Ok(self.window)
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        let segments = self.window.next_msn();
        self.session_over &= matches!(step, Step::Session(_));
        match *step {
            Step::Run(run) => self.window.start_run(run, true),
            Step::Session(at) => {
                self.window.start_session(at);
                // Silence may have come before: see the deviations.
                self.since_segment = Ticks::ZERO;
            }
            Step::Part(part) => {
                let waits = self.window.snapshot();
                let next = waits.next_part();
                let told = self.window.push_part(part);
                self.kept_promise(&waits, next, told)?;
                self.in_time(part.duration)?;
            }
            Step::SessionEnd => self.window.end_session(),
            Step::SegmentEnd => {
                let row = self.window.end_segment();
                self.session_over = row.is_some() && self.window.session_ends();
                self.rows.extend(row);
            }
            Step::Lost => self.rows.extend(self.window.lose_segment()),
            Step::Gap(duration) => self.rows.push(self.window.gap_segment(duration)),
        }
        if self.window.next_msn() > segments {
            self.since_segment = Ticks::ZERO;
        }
        self.look("a step")
    }

    /// 6.2.6: the hinted part is the one that comes, and a request that waited for it is released.
    fn kept_promise(
        &self,
        waits: &Snapshot,
        next: Option<(u64, u64)>,
        told: (u64, usize),
    ) -> Result<(), String> {
        let Some((msn, part)) = next else {
            return Ok(());
        };
        if (msn, part) != (told.0, told.1 as u64) {
            return Err(format!("6.2.6: {next:?} was hinted, {told:?} came"));
        }
        let (held, now) = (
            waits.decide(Some(msn), Some(part)),
            self.window.snapshot().decide(Some(msn), Some(part)),
        );
        if (held, now) != (griot::hls::Decision::Wait, griot::hls::Decision::Ready) {
            return Err(format!("6.2.5.2: {next:?} is {held:?}, then {now:?}"));
        }
        Ok(())
    }

    /// 6.2.1, within a session: a part at most its target after the one before, a segment at most 1.5 target
    /// durations after the one before. A part comes when its media has: its duration is the time since the last.
    fn in_time(&mut self, part: Ticks) -> Result<(), String> {
        if let Some(target) = self.story.part_target
            && part > target
        {
            return Err(format!(
                "6.2.1: a part after {part:?}, the target is {target:?}"
            ));
        }
        let since = self.since_segment + part;
        self.since_segment = since;
        if since.0 * 2 > 3 * i64::from(self.config.target_duration_s) * 90_000 {
            return Err(format!("6.2.1: no segment for {since:?}"));
        }
        Ok(())
    }

    /// All forms of the playlist as it is now.
    fn look(&mut self, when: &str) -> Result<(), String> {
        self.snapshots += 1;
        let snapshot = self.window.snapshot();
        let plain = self.story.part_target.is_none();
        let reports: Vec<RenditionReport> = snapshot
            .report("../720p/index.m3u8", false)
            .into_iter()
            .collect();
        let reports = if reports.iter().all(|r| plain || r.last_part.is_some()) {
            reports
        } else {
            // Of a segment without parts there is no part to report.
            Vec::new()
        };
        let full = self.read(&snapshot, FULL, &reports, plain)?;
        let mut faults = updates::answers(&full, &snapshot);
        if let Some(before) = &self.before
            && updates::lines(before) != updates::lines(&full)
        {
            faults.extend(updates::broken(before, &full));
            self.note_what_left(before.clone(), &full);
        }
        self.look_after_what_left(&snapshot, &mut faults);
        // The other forms change with the segments; now and then is often enough.
        if self.snapshots.is_multiple_of(9) || full.ended {
            faults.extend(self.other_forms(&snapshot, &full, &reports)?);
        }
        if self.snapshots % 60 == 1 {
            self.old = Some(full.clone());
        }
        let text = String::from_utf8_lossy(&snapshot.playlist(FULL, &reports)).into_owned();
        self.before = Some(full);
        if faults.is_empty() {
            Ok(())
        } else {
            Err(format!("after {when}:\n{}\n{text}", faults.join("\n")))
        }
    }

    fn read(
        &self,
        snapshot: &Snapshot,
        form: Form,
        reports: &[RenditionReport],
        plain: bool,
    ) -> Result<Playlist, String> {
        let text = snapshot.playlist(form, reports);
        let read = parse(&text)?;
        let setting = Setting {
            plain,
            grid_changed: self.story.grid_changed,
            sliding: self.config.window.is_some(),
            session_over: self.session_over,
        };
        let faults = rules::broken(&read, setting);
        if faults.is_empty() {
            Ok(read)
        } else {
            let text = String::from_utf8_lossy(&text);
            Err(format!("{form:?}:\n{}\n{text}", faults.join("\n")))
        }
    }

    fn other_forms(
        &self,
        snapshot: &Snapshot,
        full: &Playlist,
        reports: &[RenditionReport],
    ) -> Result<Vec<String>, String> {
        let mut faults = Vec::new();
        let plain = self.story.part_target.is_none();
        let skip = Form { skip: true, ..FULL };
        let delta = self.read(snapshot, skip, reports, plain)?;
        if !full.ended {
            faults.extend(updates::delta_is_right(full, &delta));
        }
        if let Some(old) = &self.old
            && !full.ended
            && updates::apply(old, &delta)? != updates::lines(full)
        {
            faults.push("6.2.5.1: old playlist and delta do not make the new one".to_owned());
        }
        let without = Form {
            without_parts: true,
            ..FULL
        };
        let bare = self.read(snapshot, without, &[], true)?;
        let lines = |playlist: &Playlist| -> Vec<Vec<String>> {
            let segments = playlist.segments.iter();
            segments.map(|segment| segment.lines.clone()).collect()
        };
        if lines(&bare) != lines(full) {
            faults.push("6.2.4: without parts the segments differ".to_owned());
        }
        for form in [FULL, skip, without] {
            let zipped = snapshot.playlist(Form { gzip: true, ..form }, reports);
            let mut text = Vec::new();
            let read = GzDecoder::new(&zipped[..]).read_to_end(&mut text);
            if read.is_err() || text != snapshot.playlist(form, reports) {
                faults.push(format!(
                    "6.2.1: {form:?} compressed is not itself: {read:?}"
                ));
            }
        }
        Ok(faults)
    }

    fn note_what_left(&mut self, before: Playlist, now: &Playlist) {
        let at = self.window.snapshot().duration();
        let kept: Vec<_> = now.parts().map(|part| &part.uri).collect();
        let first = now.media_sequence.saturating_sub(before.media_sequence);
        let first = usize::try_from(first).expect("few segments");
        let lost: Vec<_> = now
            .segments
            .iter()
            .filter(|s| s.gap)
            .flat_map(|s| &s.parts)
            .collect();
        for segment in before.segments.iter().skip(first) {
            for part in &segment.parts {
                if !kept.contains(&&part.uri) && !segment.gap && !lost.contains(&part) {
                    self.left.insert(part.uri.clone(), at);
                }
            }
        }
    }

    /// 6.2.2: for three target durations after its line has left, a part can be fetched.
    fn look_after_what_left(&mut self, snapshot: &Snapshot, faults: &mut Vec<String>) {
        let now = snapshot.duration();
        let patience = Ticks(3 * i64::from(self.config.target_duration_s) * 90_000);
        self.left.retain(|_, at| now - *at <= patience);
        for uri in self.left.keys() {
            if updates::look_up(snapshot, uri) != Lookup::Here {
                faults.push(format!("6.2.2: {uri} has just left and is not to be had"));
            }
        }
    }

    /// A replay's playlist, written again from the rows, is the live's but for the lines of parts.
    fn rebuilt(&self) -> Result<(), String> {
        let mut again = Window::from_segments(self.config, self.rows.iter().copied());
        again.set_part_target(self.story.part_target);
        again.end();
        let without = Form {
            without_parts: true,
            ..FULL
        };
        let text = |window: &Window| window.snapshot().playlist(without, &[]);
        if text(&again) == text(&self.window) {
            Ok(())
        } else {
            Err("the playlist rebuilt from its rows differs".to_owned())
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn every_playlist_of_the_model_producer_obeys_the_rfc(
        sessions in sessions(30_000),
        part_max_ms in prop::sample::select(vec![100_i64, 200]),
        window_s in prop_oneof![3 => Just(None), 1 => (1..60_u64).prop_map(Some)],
    ) {
        let hold_back = if part_max_ms == 100 { 25 } else { 30 };
        let story = model(&sessions, part_max_ms);
        let told = Audience::new(config(window_s, hold_back), story).play();
        prop_assert!(told.is_ok(), "{}", told.err().unwrap_or_default());
    }

    #[test]
    fn every_playlist_of_the_packager_obeys_the_rfc(
        sessions in sessions(20_000),
        part_max_ms in prop::sample::select(vec![100_u32, 200]),
    ) {
        let story = packager::packaged(&sessions, part_max_ms);
        let told = Audience::new(config(None, 30), story).play();
        prop_assert!(told.is_ok(), "{}", told.err().unwrap_or_default());
    }
}

/// A live long enough for chunks, delta updates and a window that slides over both.
fn long_session(rate: i64, gop_ms: i64) -> Session {
    Session {
        rate: producer::Rate::Every(rate),
        gop_ms,
        length_ms: 400_000,
        silence_ms: 0,
        clock_ms: 0,
        changed: false,
        b_frames: true,
        audio: true,
        trouble: 9,
    }
}

#[test]
fn a_long_live_obeys_the_rfc_with_and_without_a_window() {
    for window_s in [None, Some(120)] {
        let story = model(&[long_session(3_000, 2_000)], 200);
        let told = Audience::new(config(window_s, 30), story).play();
        assert!(told.is_ok(), "{}", told.err().unwrap_or_default());
    }
}

#[test]
fn runs_that_leave_a_sliding_window_take_their_discontinuities_along() {
    let mut session = long_session(3_600, 1_000);
    (session.length_ms, session.changed) = (45_000, true);
    let story = model(&[session; 4], 200);
    let told = Audience::new(config(Some(30), 30), story).play();
    let window = told.unwrap_or_else(|fault| panic!("{fault}"));
    let text = window.snapshot().playlist(FULL, &[]);
    let text = String::from_utf8(text.to_vec()).expect("ASCII");
    assert!(text.contains("#EXT-X-DISCONTINUITY-SEQUENCE:3\n"), "{text}");
}

#[test]
fn the_validator_sees_what_is_wrong() {
    let window = Audience::new(Config::default(), model(&[long_session(3_000, 2_000)], 200));
    let mut window = window.play().expect("right as it is");
    let text = window.snapshot().playlist(FULL, &[]);
    let text = String::from_utf8(text.to_vec()).expect("ASCII");
    let setting = Setting {
        plain: false,
        grid_changed: false,
        sliding: false,
        session_over: false,
    };
    for (right, wrong, clause) in [
        ("PART-HOLD-BACK=0.6", "PART-HOLD-BACK=0.39", "4.4.3.8"),
        ("CAN-SKIP-UNTIL=36", "CAN-SKIP-UNTIL=35.9", "4.4.3.8"),
        ("DURATION=0.2,", "DURATION=0.20001,", "4.4.4.9"),
        ("DURATION=0.2,", "DURATION=0.1,", "4.4.4.9"),
        ("#EXTINF:4,", "#EXTINF:6.5,", "4.4.3.1"),
        ("#EXT-X-MAP:URI=\"0/init.mp4\"\n", "", "4.4.4.5"),
        ("#EXT-X-PLAYLIST-TYPE:EVENT\n", "", "6.2.2"),
        ("#EXT-X-VERSION:9", "#EXT-X-VERSION:10", "6.2.1"),
        ("#EXTINF:4,\n", "", "4.4.4.1"),
        ("URI=\"0/", "URI=0/", "4.2"),
        ("#EXTM3U\n", "", "4.4.1.1"),
    ] {
        assert!(text.contains(right), "{right}");
        let broken = text.replacen(right, wrong, 1);
        let said = match parse(broken.as_bytes()) {
            Ok(read) => rules::broken(&read, setting).join("\n"),
            Err(fault) => fault,
        };
        assert!(said.contains(clause), "{right} → {wrong}: {said}");
    }
    window.start_session(Timestamp(0));
}

/// hls.js reads what we write as we mean it. Needs node and `npm ci` in tests/hlsjs (script/test does both).
#[test]
fn the_parser_of_hls_js_accepts_every_playlist() {
    let mut folder = hlsjs::Folder::new();
    let mut sessions = vec![long_session(3_003, 2_000); 3];
    for (index, session) in sessions.iter_mut().enumerate() {
        session.length_ms = 30_000;
        session.changed = index == 2;
        session.silence_ms = 20_000;
        session.trouble = u8::try_from(index).expect("few");
    }
    for (rate, window_s) in [(3_003, None), (3_000, Some(20)), (1_920, None)] {
        sessions[0].rate = producer::Rate::Every(rate);
        let story = model(&sessions, 200);
        let mut window = Window::new(config(window_s, 30));
        window.set_part_target(story.part_target);
        for step in &story.steps {
            match *step {
                Step::Run(run) => window.start_run(run, true),
                Step::Session(at) => drop(window.start_session(at)),
                Step::Part(part) => drop(window.push_part(part)),
                Step::SessionEnd => window.end_session(),
                Step::SegmentEnd => drop(window.end_segment()),
                Step::Lost => drop(window.lose_segment()),
                Step::Gap(duration) => drop(window.gap_segment(duration)),
            }
            folder.add(&window.snapshot());
        }
        window.end();
        folder.add(&window.snapshot());
    }
    folder.judge();
}
