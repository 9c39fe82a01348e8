//! Decoding times for pictures of a container that has none (Matroska).
//!
//! The decoding time of the n-th picture in the file is the n-th presentation time, less what the deepest reordering
//! at the beginning needs, so that no picture is shown before it is decoded.

use std::collections::VecDeque;

use crate::av::{Frame, Ticks};

/// No codec holds back more pictures (ISO/IEC 14496-10 A.3.1: max_dec_frame_buffering).
const DEPTH: usize = 16;

/// Holds back as many pictures as a decoder may.
#[derive(Debug, Default)]
pub(super) struct Reorder {
    waiting: VecDeque<Frame>,
    /// Presentation times that no picture has for its decoding time yet, ascending.
    times: VecDeque<i64>,
    /// How much earlier everything is decoded; known with the first window.
    earlier: Option<i64>,
    last: Option<i64>,
}

impl Reorder {
    /// Takes a picture; the one whose turn has come.
    pub(super) fn push(&mut self, frame: Frame) -> Option<Frame> {
        let at = self.times.partition_point(|time| *time <= frame.pts.0);
        self.times.insert(at, frame.pts.0);
        self.waiting.push_back(frame);
        if self.waiting.len() > DEPTH {
            return self.pop();
        }
        None
    }

    /// The next of those that wait, in order; at the end of the stream.
    pub(super) fn pop(&mut self) -> Option<Frame> {
        let pairs = self.waiting.iter().zip(&self.times);
        let deepest = pairs.map(|(frame, time)| time - frame.pts.0).max();
        let earlier = *self.earlier.get_or_insert(deepest.unwrap_or(0).max(0));
        let mut frame = self.waiting.pop_front()?;
        let time = self.times.pop_front()? - earlier;
        // Equal or crossing times of a broken file still make an order.
        let dts = self.last.map_or(time, |last| time.max(last + 1));
        self.last = Some(dts);
        frame.dts = Ticks(dts);
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::av::TrackKind;

    #[test]
    fn pictures_out_of_order_are_decoded_in_order_and_never_too_late() {
        // I P B B P B B … with a pyramid, as x264 writes it.
        let shown = [
            0, 4, 2, 1, 3, 8, 6, 5, 7, 12, 10, 9, 11, 16, 14, 13, 15, 20, 18, 17, 19,
        ];
        let mut reorder = Reorder::default();
        let mut out = Vec::new();
        for pts in shown {
            let frame = Frame {
                track: TrackKind::Video,
                dts: Ticks(pts * 3_600),
                pts: Ticks(pts * 3_600),
                key: pts == 0,
                data: Bytes::from_static(b"x"),
            };
            out.extend(reorder.push(frame));
        }
        while let Some(frame) = reorder.pop() {
            out.push(frame);
        }
        assert_eq!(out.len(), shown.len());
        assert!(
            out.iter()
                .zip(shown)
                .all(|(frame, pts)| frame.pts.0 == pts * 3_600)
        );
        assert!(out.iter().all(|frame| frame.dts <= frame.pts));
        assert!(
            out.windows(2)
                .all(|pair| pair[1].dts.0 - pair[0].dts.0 == 3_600)
        );
        assert_eq!(out[0].dts, Ticks(-2 * 3_600));
    }
}
