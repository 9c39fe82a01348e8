//! Which tracks a run has: holds the first frames back until the encoder has said what it sends.
//!
//! A file has one set of sample entries for ever, and an encoder announces picture and sound one after the
//! other, so the first frames wait until both are known, or until it is plain that only one comes.

use crate::av::{CodecConfig, Frame, Ticks, Timescale, TrackKind, TrackSet};

/// Media time after which a track that was not announced counts as absent.
const PATIENCE: Ticks = Ticks(90_000);
/// Bytes held at most; beyond it the run opens with what is known.
const MOST_BYTES: usize = 8 << 20;

/// Holds frames of a publish session until the tracks of the run are decided.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// What this session has announced so far.
    announced: TrackSet,
    held: Vec<Frame>,
    held_bytes: usize,
}

impl Gate {
    /// Notes a configuration; says whether it differs from what was announced before.
    pub(super) fn announce(&mut self, config: CodecConfig) -> bool {
        match config {
            CodecConfig::Video(video) => {
                let new = self.announced.video.as_ref() != Some(&video);
                self.announced.video = Some(video);
                new
            }
            CodecConfig::Audio(audio) => {
                let new = self.announced.audio.as_ref() != Some(&audio);
                self.announced.audio = Some(audio);
                new
            }
        }
    }

    /// Whether everything announced is already in `tracks` as it is.
    pub(super) fn fits(&self, tracks: &TrackSet) -> bool {
        let audio = self.announced.audio.is_none() || self.announced.audio == tracks.audio;
        audio && self.fits_picture(tracks)
    }

    /// Whether the picture announced is that of `tracks`.
    pub(super) fn fits_picture(&self, tracks: &TrackSet) -> bool {
        self.announced.video.is_none() || self.announced.video == tracks.video
    }

    /// Holds a frame. `true`: the tracks are decided, open the run and [`Gate::release`].
    pub(super) fn hold(&mut self, frame: Frame) -> bool {
        let known = match frame.track {
            TrackKind::Video => self.announced.video.is_some(),
            TrackKind::Audio => self.announced.audio.is_some(),
        };
        if known {
            self.held_bytes += frame.data.len();
            self.held.push(frame);
        }
        let both = self.announced.video.is_some() && self.announced.audio.is_some();
        !self.held.is_empty() && (both || self.patience_is_over())
    }

    /// The decided tracks and the frames held, in their order. What is announced stays noted.
    pub(super) fn release(&mut self) -> (TrackSet, Vec<Frame>) {
        self.held_bytes = 0;
        (self.announced.clone(), std::mem::take(&mut self.held))
    }

    fn patience_is_over(&self) -> bool {
        let timescale = match self.announced.audio.as_ref() {
            Some(audio) if self.announced.video.is_none() => audio.timescale(),
            _ => Timescale::VIDEO,
        };
        let waited = match (self.held.first(), self.held.last()) {
            (Some(first), Some(last)) => last.dts - first.dts,
            _ => Ticks::ZERO,
        };
        waited.rescale(timescale, Timescale::VIDEO) >= PATIENCE || self.held_bytes > MOST_BYTES
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::av::{AudioCodec, AudioConfig, VideoCodec, VideoConfig};

    fn video() -> CodecConfig {
        CodecConfig::Video(VideoConfig {
            codec: VideoCodec::H264,
            width: 640,
            height: 360,
            record: Bytes::from_static(&[1, 0x64, 0, 30]),
            codecs: "avc1.64001e".to_owned(),
        })
    }

    fn audio() -> CodecConfig {
        CodecConfig::Audio(AudioConfig {
            codec: AudioCodec::Aac,
            sample_rate: 48_000,
            channels: 2,
            frame_samples: 1024,
            record: Bytes::from_static(&[0x11, 0x90]),
            codecs: "mp4a.40.2".to_owned(),
        })
    }

    fn frame(track: TrackKind, dts: i64) -> Frame {
        Frame {
            track,
            dts: Ticks(dts),
            pts: Ticks(dts),
            key: true,
            data: Bytes::from_static(b"x"),
        }
    }

    #[test]
    fn the_run_opens_when_both_tracks_are_announced() {
        let mut gate = Gate::default();
        assert!(gate.announce(video()));
        assert!(!gate.hold(frame(TrackKind::Video, 0)));
        assert!(gate.announce(audio()));
        assert!(!gate.announce(audio()), "an equal one is nothing new");
        assert!(gate.hold(frame(TrackKind::Audio, 0)));
        let (tracks, frames) = gate.release();
        assert_eq!(tracks.codecs(), "avc1.64001e,mp4a.40.2");
        assert_eq!(frames.len(), 2);
        assert!(gate.fits(&tracks));
    }

    #[test]
    fn a_lone_track_opens_the_run_after_a_second_of_media() {
        let mut gate = Gate::default();
        gate.announce(audio());
        assert!(!gate.hold(frame(TrackKind::Audio, 0)));
        assert!(!gate.hold(frame(TrackKind::Audio, 47_999)));
        assert!(gate.hold(frame(TrackKind::Audio, 48_000)));
        assert_eq!(gate.release().0.codecs(), "mp4a.40.2");
    }

    #[test]
    fn frames_of_a_track_that_was_not_announced_are_not_kept() {
        let mut gate = Gate::default();
        gate.announce(audio());
        assert!(!gate.hold(frame(TrackKind::Video, 0)));
        assert!(gate.release().1.is_empty());
    }
}
