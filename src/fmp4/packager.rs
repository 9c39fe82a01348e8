//! The packager: frames in, parts and segment ends out.

use bytes::Bytes;

use super::counters::PackagerCounters;
use super::index::SegmentIndex;
use super::init;
use crate::av::{Frame, InitSection, Part, Ticks, TrackSet};

/// What an operator may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackagerConfig {
    /// The longest a part may be, milliseconds; `40..=1000`. 200 by default, 100 for low latency.
    pub part_max_ms: u32,
}

impl Default for PackagerConfig {
    fn default() -> Self {
        Self { part_max_ms: 200 }
    }
}

/// Why there is no packager for a track set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// Neither picture nor sound.
    #[error("no track to package")]
    NoTracks,
    /// A value of a codec configuration that no file can hold: its name.
    #[error("codec configuration cannot be packaged: {0}")]
    InvalidConfig(&'static str),
}

/// The playlist's PART-TARGET. Fixed once for a packager, before its first part is handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartTarget {
    /// Too few frames have come to know the frame grid; nothing has been handed out.
    Measuring,
    /// No part is longer, and none shorter than 85 % of it unless it is independent or its segment's last
    /// (the exceptions to that are counted in [`PackagerCounters::short_parts`]).
    Parts {
        /// Whole milliseconds, in 90 kHz.
        duration: Ticks,
    },
    /// Frames come at no stable rate: parts are still handed out, so that the file grows in small writes, but of any
    /// duration up to the segment's, and must not be announced.
    NoParts,
}

/// What comes out of the packager.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly every value is a part")]
pub enum Packed {
    /// The next part of the open segment.
    Part(Part),
    /// The segment is complete; the next part opens another. Never twice without a part in between.
    SegmentEnd,
}

/// Where a run stands, to go on with its file after a crash: all of it follows from the file's index and the
/// part target of the playlist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResumeState {
    /// As it was announced; `Measuring` when no part had been.
    pub part_target: PartTarget,
    /// Parts in the file.
    pub parts: u32,
    /// Segments that have ended in this run.
    pub segments: u32,
    /// Where the last part ends on the playlist's timeline, 90 kHz.
    pub part_end: Ticks,
    /// End of the last picture in decoding order, 90 kHz.
    pub video_decode_end: Ticks,
    /// End of the last picture in presentation order, 90 kHz.
    pub video_end: Ticks,
    /// End of the last sound, in its sample rate.
    pub audio_end: Ticks,
}

impl ResumeState {
    /// The state after all `segments` of a run that began at `timeline_start`, as [`Packager::resume`] wants it.
    #[must_use]
    pub fn after<'a>(
        part_target: PartTarget,
        timeline_start: Ticks,
        tracks: &TrackSet,
        segments: impl IntoIterator<Item = &'a SegmentIndex>,
    ) -> Self {
        let _ = (tracks, segments.into_iter());
        Self {
            part_target,
            parts: 0,
            segments: 0,
            part_end: timeline_start,
            video_decode_end: timeline_start,
            video_end: timeline_start,
            audio_end: timeline_start,
        }
    }
}

/// Packs the frames of one run, through as many publish sessions as it has. Sans-IO: bytes and values only.
///
/// Feed it `start_session`, `push`…, `end_session`, again and again; a new codec configuration needs a new packager.
#[derive(Debug)]
pub struct Packager {
    init: InitSection,
    target: PartTarget,
    counters: PackagerCounters,
    end: Ticks,
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
        let _ = (config, frame_rate_hint);
        Ok(Self {
            init: init::init_section(&tracks),
            target: PartTarget::Measuring,
            counters: PackagerCounters::default(),
            end: timeline_start,
        })
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
        Self::new(config, tracks, state.part_end, frame_rate_hint)
    }

    /// The whole head of the file: `ftyp free(16) ftyp moov(mvex)`. The same for equal tracks, at any time.
    #[must_use]
    pub fn head(&self) -> Bytes {
        init::head(&self.init.bytes)
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
        self.counters
    }

    /// Where the run ends so far, 90 kHz on the playlist's timeline: the end of the longer track, at least the end of
    /// the last part. The `timeline_start` of a run that follows this one.
    #[must_use]
    pub fn end(&self) -> Ticks {
        self.end
    }

    /// Where the run stands; meaningful between sessions.
    #[must_use]
    pub fn state(&self) -> ResumeState {
        ResumeState::after(self.target, self.end, &self.init.tracks, [])
    }

    /// A publish session begins: its first key frame goes on where both tracks ended, without a gap. Frames on
    /// their way in a session that was not ended are lost: call [`Self::end_session`] first.
    pub fn start_session(&mut self) {}

    /// One frame, in the order in which the encoder sent it. Appends to `out` whatever it completes, often nothing.
    pub fn push(&mut self, frame: Frame, out: &mut Vec<Packed>) {
        let _ = (frame, out);
    }

    /// The session is over: pending frames leave, part and segment are closed.
    pub fn end_session(&mut self, out: &mut Vec<Packed>) {
        let _ = out;
    }
}
