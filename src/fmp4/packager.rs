//! The packager: frames in, parts and segment ends out.

use std::collections::VecDeque;

use bytes::Bytes;

use super::assembly::{Assembly, PartLength, Picture};
use super::counters::PackagerCounters;
use super::init;
use super::outcome::{PackError, PackagerConfig, Packed, PartTarget, ResumeState};
use super::silence::{frame_samples, silence};
use super::timing::{FrameDuration, FrameGrid, Measured, Placed, SoundLane, Verdict, measure};
use crate::av::{AudioConfig, Frame, InitSection, Rhythm, Ticks, Timescale, TrackKind, TrackSet};

/// Frames are refused from this size on, bytes.
const MAX_FRAME_BYTES: usize = 32 << 20;
/// A clock that goes back further than this was set or restarted, 90 kHz: each track's decoding times grow, so that less is
/// already strange.
const JUMP_BACK: i64 = 18_000;
/// A clock that runs ahead of both tracks further than this was restarted, 90 kHz.
const JUMP_AHEAD: i64 = 900_000;
/// Frames that suffice to measure the grid, and …
const MEASURE_FRAMES: usize = 11;
/// … the time after which it is measured with fewer, 90 kHz. Nothing is handed out before.
const MEASURE_TIME: i64 = 45_000;
/// Frames held back while waiting for a key frame or measuring; the oldest sound goes, or measuring ends.
const MAX_HELD: usize = 256;
/// The most one picture lasts at no stable rate, 90 kHz.
const MAX_PICTURE: i64 = 450_000;
/// Between two cuts by time a picture is decoded for a millisecond at least, 90 kHz.
const TIMED_LEAST: i64 = 90;
/// Decoding and presentation time differ by no more, 90 kHz.
const MAX_OFFSET: i64 = 900_000;

/// Where a session stands.
#[derive(Debug)]
enum Session {
    /// None.
    Idle,
    /// No key frame yet; sound that may belong to it is kept.
    Waiting(VecDeque<Frame>),
    /// The frame grid is not yet known.
    Measuring(Vec<Frame>),
    /// Frames go through.
    Running,
}

/// A picture without its place on the run's timeline.
#[derive(Debug)]
struct Unfinished {
    dts: i64,
    offset: i64,
    key: bool,
    data: Bytes,
}

/// Packs the frames of one run, through as many publish sessions as it has. Sans-IO: bytes and values only.
///
/// Feed it `start_session`, `push`…, `end_session`, again and again; a new codec configuration needs a new packager.
#[derive(Debug)]
pub struct Packager {
    part_max: i64,
    init: InitSection,
    hint: Option<FrameDuration>,
    target: PartTarget,
    session: Session,
    /// `None` before the first session and at no stable rate; parts are cut by time then.
    grid: Option<FrameGrid>,
    /// From the publisher's timeline to the run's, 90 kHz, and …
    offset: i64,
    /// … in the sound's sample rate.
    audio_offset: i64,
    /// By how much pictures are decoded earlier than the encoder says, so that none is presented before; 90 kHz.
    held: i64,
    /// At no stable rate and without parts.
    unfinished: Option<Unfinished>,
    /// The last picture at no stable rate: decoding time on the publisher's timeline, and …
    last_timed: Option<i64>,
    /// … duration.
    last_duration: i64,
    /// How far the encoder's clock has jumped last, 90 kHz: one track may still be behind the jump.
    jumped: i64,
    /// The newest time of each track in this session, 90 kHz.
    newest_video: Option<i64>,
    newest_audio: Option<i64>,
    assembly: Assembly,
}

impl Packager {
    /// A packager of a new run, before its first session. `timeline_start` (90 kHz, not negative) is where the run
    /// begins on the playlist's timeline: [`Self::end`] of the run before. `frame_rate_hint` is what the
    /// encoder claims, frames per second; it is believed only as far as the frames agree.
    ///
    /// # Errors
    /// When a file cannot hold such tracks.
    pub fn new(
        config: PackagerConfig,
        tracks: TrackSet,
        timeline_start: Ticks,
        frame_rate_hint: Option<f64>,
    ) -> Result<Self, PackError> {
        let state = ResumeState::fresh(timeline_start);
        Self::resume(config, tracks, state, frame_rate_hint)
    }

    /// A packager that goes on with a run whose packager is gone (a crash, a restart of the server). The file must
    /// have been cut behind the last part that `state` knows.
    ///
    /// # Errors
    /// When a file cannot hold such tracks.
    pub fn resume(
        config: PackagerConfig,
        tracks: TrackSet,
        state: ResumeState,
        frame_rate_hint: Option<f64>,
    ) -> Result<Self, PackError> {
        let init = init::init_of(&tracks)?;
        let sound = tracks.audio.as_ref().map(|audio| {
            let end = state.audio_end.map(|end| end.0);
            SoundLane::new(
                audio.sample_rate,
                silence(audio),
                end,
                tracks.video.is_none(),
            )
        });
        let assembly = Assembly::new(&state, tracks.video.is_some(), tracks.audio.as_ref(), sound);
        Ok(Self {
            part_max: i64::from(config.part_max_ms.clamp(40, 1_000)) * 90,
            hint: frame_rate_hint.and_then(FrameDuration::of_rate),
            init,
            target: state.part_target,
            session: Session::Idle,
            grid: None,
            offset: 0,
            audio_offset: 0,
            held: 0,
            unfinished: None,
            last_timed: None,
            last_duration: 3_000,
            jumped: 0,
            newest_video: None,
            newest_audio: None,
            assembly,
        })
    }

    /// The whole head of the file: `ftyp free(16) ftyp moov(mvex)`. The same for equal tracks, at any time.
    #[must_use]
    pub fn head(&self) -> Bytes {
        init::file_head(&self.init)
    }

    /// The init section: `ftyp moov(mvex)`, at [`INIT_OFFSET`](super::INIT_OFFSET) of the head up to its end.
    #[must_use]
    pub fn init(&self) -> &InitSection {
        &self.init
    }

    /// The part target; leaves `Measuring` once, at the latest in the call that hands out the first part.
    #[must_use]
    pub fn part_target(&self) -> PartTarget {
        self.target
    }

    /// What had to be done to the input so far.
    #[must_use]
    pub fn counters(&self) -> PackagerCounters {
        self.assembly.counters
    }

    /// Where the run ends so far, 90 kHz on the playlist's timeline: the end of the longer track, at least the end of
    /// the last part. The `timeline_start` of a run that follows this one.
    #[must_use]
    pub fn end(&self) -> Ticks {
        Ticks(self.assembly.end())
    }

    /// Where the run stands; meaningful between sessions.
    #[must_use]
    pub fn state(&self) -> ResumeState {
        self.assembly.state(self.target)
    }

    /// A publish session begins: its first key frame goes on where both tracks ended, without a gap. Frames on
    /// their way in a session that was not ended are lost: call [`Self::end_session`] first.
    pub fn start_session(&mut self) {
        if !matches!(self.session, Session::Idle) {
            self.assembly.discard();
        }
        self.unfinished = None;
        self.last_timed = None;
        self.jumped = 0;
        self.newest_video = None;
        self.newest_audio = None;
        self.session = Session::Waiting(VecDeque::new());
    }

    /// One frame, in the order in which the encoder sent it. Appends to `out` whatever it completes, often nothing.
    /// A frame that cannot be used is dropped and counted.
    pub fn push(&mut self, frame: Frame, out: &mut Vec<Packed>) {
        if !self.is_usable(&frame) {
            self.assembly.counters.stray += 1;
            return;
        }
        match &mut self.session {
            Session::Idle => self.assembly.counters.stray += 1,
            Session::Waiting(_) => self.wait(frame, out),
            Session::Measuring(held) => {
                held.push(frame);
                if is_measured(held) {
                    self.begin(out);
                }
            }
            Session::Running => self.run(frame, out),
        }
    }

    /// Which pictures complete parts; `None` while that cannot be told: no steady rate, or a key frame may end the segment,
    /// and the part with it, at any moment.
    #[must_use]
    pub fn rhythm(&self) -> Option<Rhythm> {
        let grid = self.grid.as_ref().filter(|grid| !grid.is_unsteady())?;
        let length = self.assembly.length();
        let runs = matches!(self.session, Session::Running);
        if !runs || length.timed || length.least == 0 || self.assembly.wants_key() {
            return None;
        }
        let frame = grid.duration().times(1).max(1);
        let last = self.assembly.line() + length.natural - frame;
        Some(Rhythm {
            completes: Ticks(last - self.offset + self.held),
            part: Ticks(length.natural.max(frame)),
            frame: Ticks(frame),
        })
    }

    /// Whether a session has begun and not ended.
    #[must_use]
    pub fn is_in_session(&self) -> bool {
        !matches!(self.session, Session::Idle)
    }

    /// The session is over: pending frames leave, part and segment are closed.
    pub fn end_session(&mut self, out: &mut Vec<Packed>) {
        if matches!(self.session, Session::Measuring(_)) {
            self.begin(out);
        }
        if let Some(last) = self.unfinished.take() {
            self.finish_picture(last, self.last_duration, out);
        }
        if let Some(last) = self.last_timed.take() {
            let end = last + self.last_duration + self.offset - self.held;
            self.assembly.last_until(end);
        }
        if matches!(self.session, Session::Running) {
            self.assembly.end_session(out);
        }
        self.session = Session::Idle;
    }

    fn is_usable(&self, frame: &Frame) -> bool {
        let has_track = match frame.track {
            TrackKind::Video => self.init.tracks.video.is_some(),
            TrackKind::Audio => self.init.tracks.audio.is_some(),
        };
        // Times beyond any clock would overflow sums; the limit is a million years of the fastest clock.
        let is_sane = frame.dts.0.unsigned_abs() < 1 << 53
            && frame.pts.0.unsigned_abs() < 1 << 53
            && (frame.pts - frame.dts).0.abs() <= MAX_OFFSET;
        has_track && is_sane && (1..=MAX_FRAME_BYTES).contains(&frame.data.len())
    }

    fn wait(&mut self, frame: Frame, out: &mut Vec<Packed>) {
        let Session::Waiting(early) = &mut self.session else {
            return;
        };
        let has_video = self.init.tracks.video.is_some();
        match frame.track {
            TrackKind::Video if !frame.key => self.assembly.counters.video_before_key += 1,
            TrackKind::Audio if has_video => {
                if early.len() == MAX_HELD {
                    early.pop_front();
                    self.assembly.counters.audio_before_picture += 1;
                }
                early.push_back(frame);
            }
            _ => {
                let mut held: Vec<Frame> = early.drain(..).collect();
                held.push(frame);
                let is_known =
                    !has_video || self.grid.is_some() || self.target == PartTarget::NoParts;
                self.session = Session::Measuring(held);
                if is_known {
                    self.begin(out);
                }
            }
        }
    }

    /// The session's first frames are here: fixes the part target and the place on the timeline, and lets them through.
    fn begin(&mut self, out: &mut Vec<Packed>) {
        let Session::Measuring(held) = std::mem::replace(&mut self.session, Session::Running)
        else {
            return;
        };
        let pictures: Vec<&Frame> = held
            .iter()
            .filter(|frame| frame.track == TrackKind::Video)
            .collect();
        if let Some(first) = pictures.first() {
            let dts: Vec<i64> = pictures.iter().map(|frame| frame.dts.0).collect();
            self.fix_grid(&dts);
            let placed = match &self.grid {
                Some(grid) => grid.clone().place(first.dts.0, (first.pts - first.dts).0),
                None => raw(first),
            };
            let early = pictures.iter().map(|frame| (frame.dts - frame.pts).0).max();
            self.held = self.whole_frames(early.unwrap_or(0).max(0));
            let lag = (placed.offset + self.held).max(0);
            let presented = self.assembly.start_pictures(lag);
            self.offset = presented - lag + self.held - placed.dts;
            self.newest_video = Some(first.dts.0);
            self.audio_offset = self.video_to_audio(self.offset);
        } else if let (Some(first), Some(audio)) = (held.first(), &self.init.tracks.audio) {
            let samples = frame_samples(audio, &first.data);
            self.fix_sound_parts(samples);
            self.audio_offset = self.assembly.start_sound() - first.dts.0;
        }
        for frame in held {
            self.push(frame, out);
        }
    }

    /// Measures the frame grid of the run's first session, and fixes the part target by it unless a crash came between.
    fn fix_grid(&mut self, dts: &[i64]) {
        if self.target == PartTarget::NoParts {
            return;
        }
        if let Some(grid) = &mut self.grid {
            if let Some(first) = dts.first() {
                grid.restart(*first);
            }
            return;
        }
        let measured = measure(dts, self.hint);
        let limit = match self.target {
            PartTarget::Parts { duration } => Some(duration.0),
            _ => measured
                .and_then(|measured| part_limit(measured, self.part_max))
                .or_else(|| self.may_be_timed(dts).then_some(self.part_max)),
        };
        let Some(limit) = limit else {
            self.target = PartTarget::NoParts;
            return;
        };
        self.target = PartTarget::Parts {
            duration: Ticks(limit),
        };
        let on_grid = measured
            .map(|measured| (measured, PartLength::of_frames(limit, measured.duration)))
            .filter(|(_, length)| length.is_long());
        let Some((measured, length)) = on_grid else {
            self.cut_by_time(limit);
            return;
        };
        let mut grid = FrameGrid::new(measured);
        grid.set_slew((limit - length.natural) / measured.duration.whole(limit).max(1));
        self.grid = Some(grid);
        self.assembly.set_length(length);
    }

    /// A part needs something in it: sound, or a picture in each.
    fn may_be_timed(&self, dts: &[i64]) -> bool {
        let is_quick = dts
            .windows(2)
            .all(|pair| pair[1] - pair[0] <= self.part_max);
        self.init.tracks.audio.is_some() || is_quick
    }

    /// No grid, or one whose whole frames would make parts that are too short for the target.
    fn cut_by_time(&mut self, limit: i64) {
        if let Some(grid) = self.grid.take() {
            self.last_duration = grid.duration().times(1).max(1);
        }
        self.assembly.set_length(PartLength::timed(limit));
    }

    /// Without pictures the first frame tells all: the most whole frames of its length.
    fn fix_sound_parts(&mut self, samples: i64) {
        let rate = i64::from(
            self.init
                .tracks
                .audio
                .as_ref()
                .map_or(1, |audio| audio.timescale().get()),
        );
        if let PartTarget::Measuring = self.target {
            let frames = self.part_max * rate / 90_000 / samples.max(1);
            // In ticks, rounded up, so that back in samples all frames fit.
            let natural = (frames * samples * 90_000 + rate - 1) / rate;
            self.target = match frames {
                0 => PartTarget::NoParts,
                _ => PartTarget::Parts {
                    duration: Ticks(whole_millis(natural)),
                },
            };
        }
        if let PartTarget::Parts { duration } = self.target {
            let frames = (duration.0 * rate / 90_000 / samples.max(1)).max(1);
            let natural = (frames * samples * 90_000 + rate - 1) / rate;
            self.assembly
                .set_length(PartLength::of_sound(duration.0, natural));
        }
    }

    fn run(&mut self, mut frame: Frame, out: &mut Vec<Packed>) {
        let mut now = match frame.track {
            TrackKind::Video => frame.dts.0,
            TrackKind::Audio => self.audio_to_video(frame.dts.0),
        };
        let (own, other) = match frame.track {
            TrackKind::Video => (self.newest_video, self.newest_audio),
            TrackKind::Audio => (self.newest_audio, self.newest_video),
        };
        let is_far = |now: i64| match (own, own.max(other)) {
            (Some(own), Some(newest)) => now < own - JUMP_BACK || now > newest + JUMP_AHEAD,
            (None, Some(other)) => (now - other).abs() > JUMP_AHEAD,
            _ => false,
        };
        if is_far(now) {
            if self.jumped != 0 && !is_far(now + self.jumped) {
                // The other track has jumped, this one will.
                let by = match frame.track {
                    TrackKind::Video => self.jumped,
                    TrackKind::Audio => self.video_to_audio(self.jumped),
                };
                now += self.jumped;
                frame.dts = frame.dts + Ticks(by);
                frame.pts = frame.pts + Ticks(by);
            } else if let Some(own) = own {
                self.jump(now - own - self.step(&frame));
            } else {
                self.assembly.counters.stray += 1;
                return;
            }
        }
        match frame.track {
            TrackKind::Video => {
                self.newest_video = self.newest_video.max(Some(now));
                self.picture(frame, out);
            }
            TrackKind::Audio => {
                self.newest_audio = self.newest_audio.max(Some(now));
                self.sound(frame, out);
            }
        }
    }

    /// How long after the last frame of its track a frame is expected, 90 kHz.
    fn step(&self, frame: &Frame) -> i64 {
        match (frame.track, &self.grid, &self.init.tracks.audio) {
            (TrackKind::Video, Some(grid), _) => grid.duration().times(1),
            (TrackKind::Audio, _, Some(audio)) => {
                self.audio_to_video(frame_samples(audio, &frame.data))
            }
            _ => self.last_duration,
        }
    }

    /// The encoder's clock jumped `by` (90 kHz): the timeline goes on where it was, with the next frame. What was sent is
    /// one stream still, so no key frame is waited for.
    fn jump(&mut self, by: i64) {
        self.assembly.counters.timeline_restarts += 1;
        self.jumped = by;
        self.offset -= by;
        self.audio_offset -= self.video_to_audio(by);
        for time in [
            &mut self.newest_video,
            &mut self.newest_audio,
            &mut self.last_timed,
        ] {
            *time = time.map(|time| time + by);
        }
        if let Some(grid) = &mut self.grid {
            grid.shift(by);
        }
        if let Some(unfinished) = &mut self.unfinished {
            unfinished.dts += by;
        }
    }

    fn picture(&mut self, frame: Frame, out: &mut Vec<Packed>) {
        let wants_key = frame.key && self.assembly.wants_key();
        let placed = match &mut self.grid {
            Some(grid) => {
                let before = grid.duration();
                if wants_key {
                    grid.settle(frame.dts.0);
                }
                let placed = grid.place(frame.dts.0, (frame.pts - frame.dts).0);
                if let PartTarget::Parts { duration } = self.target
                    && (grid.duration() != before || grid.is_unsteady())
                {
                    let length = PartLength::of_frames(duration.0, grid.duration());
                    if length.is_long() && !grid.is_unsteady() {
                        self.assembly.set_length(length);
                    } else {
                        self.cut_by_time(duration.0);
                    }
                }
                placed
            }
            None => raw(&frame),
        };
        let counters = &mut self.assembly.counters;
        counters.off_grid += u64::from(!placed.on_grid);
        counters.grid_lost += u64::from(placed.lost);
        if self.grid.is_none() {
            let next = Unfinished {
                dts: placed.dts,
                offset: placed.offset,
                key: frame.key,
                data: frame.data,
            };
            if let PartTarget::Parts { .. } = self.target {
                if let Some(last) = self.last_timed.replace(placed.dts) {
                    self.last_duration = (placed.dts - last).clamp(1, MAX_PICTURE);
                }
                // Until the next one tells how long it lasts.
                self.finish_picture(next, TIMED_LEAST, out);
            } else if let Some(last) = self.unfinished.replace(next) {
                self.last_duration = (placed.dts - last.dts).clamp(1, MAX_PICTURE);
                self.finish_picture(last, self.last_duration, out);
            }
            return;
        }
        let duration = placed.duration.clamp(1, self.assembly.length().natural);
        let picture = Unfinished {
            dts: placed.dts,
            offset: placed.offset,
            key: frame.key,
            data: frame.data,
        };
        self.finish_picture(picture, duration, out);
    }

    fn finish_picture(&mut self, picture: Unfinished, duration: i64, out: &mut Vec<Packed>) {
        if picture.offset + self.held < 0 {
            // It would be presented before it is decoded: from now on decoding is that much earlier.
            let held = self.whole_frames(-picture.offset);
            self.assembly.add_lag(held - self.held);
            self.held = held;
        }
        let picture = Picture {
            dts: picture.dts + self.offset - self.held,
            offset: picture.offset + self.held,
            duration,
            key: picture.key,
            data: picture.data,
        };
        let closed = self.assembly.picture(picture, out);
        self.shorten(closed);
    }

    fn sound(&mut self, frame: Frame, out: &mut Vec<Packed>) {
        let Some(audio) = &self.init.tracks.audio else {
            return;
        };
        let samples = frame_samples(audio, &frame.data);
        let at = frame.dts.0 + self.audio_offset;
        let Some(lane) = self.assembly.sound() else {
            return;
        };
        match lane.accept(at, samples, frame.data) {
            Verdict::Placed { silence, hole } => {
                self.assembly.counters.silence_inserted += silence;
                if self.init.tracks.video.is_none() && hole > 0 {
                    self.assembly.counters.holes_closed += 1;
                    self.audio_offset -= hole;
                }
            }
            Verdict::Overlap => self.assembly.counters.audio_overlap += 1,
            Verdict::BeforeStart => self.assembly.counters.audio_before_picture += 1,
        }
        let closed = self.assembly.sound_came(out);
        self.shorten(closed);
    }

    fn shorten(&mut self, closed: i64) {
        if closed != 0 {
            self.offset -= closed;
            self.audio_offset -= self.video_to_audio(closed);
        }
    }

    /// `ticks` rounded up to whole frames, where there is a grid; a blur below a frame counts as none.
    fn whole_frames(&self, ticks: i64) -> i64 {
        let Some(grid) = &self.grid else {
            return ticks;
        };
        let frame = grid.duration();
        let nearest = frame.count(ticks);
        let more = ticks - frame.times(nearest) > 180;
        frame.times(nearest + i64::from(more))
    }

    fn video_to_audio(&self, ticks: i64) -> i64 {
        Ticks(ticks)
            .rescale(Timescale::VIDEO, self.audio_timescale())
            .0
    }

    fn audio_to_video(&self, samples: i64) -> i64 {
        Ticks(samples)
            .rescale(self.audio_timescale(), Timescale::VIDEO)
            .0
    }

    fn audio_timescale(&self) -> Timescale {
        let audio = self.init.tracks.audio.as_ref();
        audio.map_or(Timescale::VIDEO, AudioConfig::timescale)
    }
}

/// As it came.
fn raw(frame: &Frame) -> Placed {
    Placed {
        dts: frame.dts.0,
        offset: (frame.pts - frame.dts).0,
        duration: 0,
        on_grid: true,
        lost: false,
    }
}

/// Whether the frames held back suffice to measure, or no more should be held.
fn is_measured(held: &[Frame]) -> bool {
    let mut pictures = held.iter().filter(|frame| frame.track == TrackKind::Video);
    let count = pictures.clone().count();
    let span = match (pictures.next(), pictures.next_back()) {
        (Some(first), Some(last)) => (last.dts - first.dts).0.abs(),
        _ => 0,
    };
    count >= MEASURE_FRAMES || span >= MEASURE_TIME || held.len() >= MAX_HELD
}

/// The part target for a grid: the most whole frames in `part_max`, with room for a grid that is not certain,
/// rounded up to milliseconds. `None` if not one frame fits.
fn part_limit(measured: Measured, part_max: i64) -> Option<i64> {
    let frames = measured.duration.whole(part_max);
    (frames > 0).then(|| {
        let parts = measured.duration.times(frames);
        whole_millis(parts + parts * measured.doubt_ppm / 1_000_000)
    })
}

fn whole_millis(ticks: i64) -> i64 {
    (ticks + 89) / 90 * 90
}
