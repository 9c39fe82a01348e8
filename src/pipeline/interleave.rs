//! Picture and sound of a rung, put into one order.
//!
//! An encoder of pictures holds some back, so that sound comes out seconds ahead; the packager wants both tracks about
//! as a live sends them. Frames wait here until the other track has got as far.

use std::collections::VecDeque;

use crate::av::{Frame, Timescale, TrackKind};

/// The most that waits, bytes; beyond it the other track is taken to be silent for a while.
const MAX_BYTES: usize = 48 << 20;
/// The same in time, 90 kHz: sound that begins minutes behind the pictures is still waited for, if they are few bytes.
const MAX_AHEAD: i64 = 600 * 90_000;

/// The two tracks of one rung.
#[derive(Debug)]
pub(super) struct Interleave {
    video: Lane,
    audio: Lane,
    bytes: usize,
}

#[derive(Debug)]
struct Lane {
    waiting: VecDeque<(i64, Frame)>,
    timescale: Timescale,
    is_open: bool,
}

impl Interleave {
    /// Tracks that are not there are closed from the beginning.
    pub(super) fn new(has_video: bool, has_audio: bool) -> Self {
        let lane = |timescale, is_open| Lane {
            waiting: VecDeque::new(),
            timescale,
            is_open,
        };
        Self {
            video: lane(Timescale::VIDEO, has_video),
            audio: lane(Timescale::VIDEO, has_audio),
            bytes: 0,
        }
    }

    /// The sound's rate, once it is known.
    pub(super) fn set_audio_rate(&mut self, timescale: Timescale) {
        self.audio.timescale = timescale;
    }

    /// Takes a frame; those whose turn has come are appended to `out`.
    pub(super) fn push(&mut self, frame: Frame, out: &mut Vec<Frame>) {
        let lane = match frame.track {
            TrackKind::Video => &mut self.video,
            TrackKind::Audio => &mut self.audio,
        };
        lane.is_open = true;
        self.bytes += frame.data.len();
        let at = frame.dts.rescale(lane.timescale, Timescale::VIDEO).0;
        lane.waiting.push_back((at, frame));
        while let Some(frame) = self.pop(false) {
            out.push(frame);
        }
    }

    /// A track is not there, or has ended: nothing waits for it any more.
    pub(super) fn close(&mut self, track: TrackKind, out: &mut Vec<Frame>) {
        match track {
            TrackKind::Video => self.video.is_open = false,
            TrackKind::Audio => self.audio.is_open = false,
        }
        while let Some(frame) = self.pop(false) {
            out.push(frame);
        }
    }

    /// No more frames: the rest, in order.
    pub(super) fn finish(&mut self, out: &mut Vec<Frame>) {
        while let Some(frame) = self.pop(true) {
            out.push(frame);
        }
    }

    fn pop(&mut self, at_the_end: bool) -> Option<Frame> {
        let first = |lane: &Lane| lane.waiting.front().map(|(at, _)| *at);
        let lane = match (first(&self.video), first(&self.audio)) {
            (Some(video), Some(audio)) if video <= audio => &mut self.video,
            (Some(_), Some(_)) => &mut self.audio,
            (Some(_), None) => {
                let goes = at_the_end || !self.audio.is_open || self.is_full(&self.video);
                if !goes {
                    return None;
                }
                &mut self.video
            }
            (None, Some(_)) => {
                let goes = at_the_end || !self.video.is_open || self.is_full(&self.audio);
                if !goes {
                    return None;
                }
                &mut self.audio
            }
            (None, None) => return None,
        };
        let (_, frame) = lane.waiting.pop_front()?;
        self.bytes -= frame.data.len();
        Some(frame)
    }

    fn is_full(&self, lane: &Lane) -> bool {
        let ends = (lane.waiting.front(), lane.waiting.back());
        let long = matches!(ends, (Some((first, _)), Some((last, _))) if last - first > MAX_AHEAD);
        long || self.bytes > MAX_BYTES
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::av::Ticks;

    fn frame(track: TrackKind, dts: i64) -> Frame {
        Frame {
            track,
            dts: Ticks(dts),
            pts: Ticks(dts),
            key: true,
            data: Bytes::from_static(b"x"),
        }
    }

    fn order(out: &[Frame]) -> Vec<(bool, i64)> {
        out.iter()
            .map(|frame| (frame.track == TrackKind::Video, frame.dts.0))
            .collect()
    }

    #[test]
    fn sound_waits_for_the_pictures_it_is_ahead_of() {
        let rate = Timescale::new(45_000).unwrap();
        let mut tracks = Interleave::new(true, true);
        tracks.set_audio_rate(rate);
        let mut out = Vec::new();
        for at in [0, 1_000, 2_000] {
            tracks.push(frame(TrackKind::Audio, at), &mut out);
        }
        assert!(out.is_empty());
        // 45 kHz: the sounds are at 0, 2000 and 4000 of 90 kHz.
        tracks.push(frame(TrackKind::Video, 0), &mut out);
        tracks.push(frame(TrackKind::Video, 3_000), &mut out);
        assert_eq!(
            order(&out),
            [(true, 0), (false, 0), (false, 1_000), (true, 3_000)]
        );
        tracks.finish(&mut out);
        assert_eq!(out.len(), 5);
    }

    #[test]
    fn a_track_that_is_not_there_or_stops_holds_up_nobody() {
        let mut out = Vec::new();
        let mut alone = Interleave::new(true, false);
        alone.push(frame(TrackKind::Video, 0), &mut out);
        assert_eq!(out.len(), 1);
        let mut silent = Interleave::new(true, true);
        for second in 0..1_200 {
            silent.push(frame(TrackKind::Video, second * 90_000), &mut out);
        }
        assert!(out.len() > 500, "{}", out.len());
    }
}
