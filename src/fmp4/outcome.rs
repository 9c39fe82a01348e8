//! What a packager is told, what it hands out, and the state in which a run can be taken up again.

use super::index::SegmentIndex;
use crate::av::{Part, Ticks, TrackKind, TrackRun};

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
    /// (the exceptions to that are counted in [`PackagerCounters::short_parts`](super::PackagerCounters::short_parts)).
    Parts {
        /// Whole milliseconds, in 90 kHz.
        duration: Ticks,
    },
    /// Pictures come more slowly than parts, and there is no sound to fill a part with: parts are still handed out, so
    /// that the file grows in small writes, but of any duration up to the segment's, and must not be announced.
    NoParts,
}

/// What comes out of the packager.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// End of the last sound, in its sample rate; `None` if there was none.
    pub audio_end: Option<Ticks>,
}

impl ResumeState {
    /// A run that begins at `timeline_start`.
    pub(super) fn fresh(timeline_start: Ticks) -> Self {
        let start = timeline_start.max(Ticks::ZERO);
        Self {
            part_target: PartTarget::Measuring,
            parts: 0,
            segments: 0,
            part_end: start,
            video_decode_end: start,
            video_end: start,
            audio_end: None,
        }
    }

    /// The state after all `segments` of a run that began at `timeline_start`, as [`Packager::resume`](super::Packager::resume) wants it. The
    /// last of them counts as ended.
    #[must_use]
    pub fn after<'a>(
        part_target: PartTarget,
        timeline_start: Ticks,
        segments: impl IntoIterator<Item = &'a SegmentIndex>,
    ) -> Self {
        let mut state = Self {
            part_target,
            ..Self::fresh(timeline_start)
        };
        for segment in segments {
            state.segments += 1;
            for part in &segment.parts {
                state.parts += 1;
                state.part_end = part.start + part.duration;
                part.runs.iter().for_each(|run| state.add(run));
            }
        }
        state
    }

    fn add(&mut self, run: &TrackRun) {
        let mut decode = run.base_decode_time.0;
        for sample in &run.samples {
            let duration = i64::from(sample.duration);
            let presented_end = decode + i64::from(sample.composition_offset) + duration;
            decode += duration;
            if run.track == TrackKind::Video {
                self.video_end = self.video_end.max(Ticks(presented_end));
            }
        }
        match run.track {
            TrackKind::Video => self.video_decode_end = Ticks(decode),
            TrackKind::Audio => self.audio_end = Some(Ticks(decode)),
        }
    }
}
