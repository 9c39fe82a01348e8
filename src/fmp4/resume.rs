//! Where a run stands between two packagers.

use super::index::SegmentIndex;
use super::packager::PartTarget;
use crate::av::{Ticks, TrackKind, TrackRun};

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

    /// The state after all `segments` of a run that began at `timeline_start`, as [`Packager::resume`] wants it. The
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
