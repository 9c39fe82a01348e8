//! The way back: the frames that a part was made of.

use crate::av::{Frame, Part, Ticks};

/// The frames of a part, the picture's first, each track in decoding order. Times are on the playlist's timeline, in
/// the track's timescale (90 kHz for pictures, the sample rate for sound). Nothing is copied: each frame's data is a
/// slice of the part's bytes and keeps all of them in memory. A sample that does not lie in the bytes is left out.
#[must_use]
pub fn frames_of(part: &Part) -> Vec<Frame> {
    let samples = part.runs.iter().map(|run| run.samples.len()).sum();
    let mut frames = Vec::with_capacity(samples);
    for run in &part.runs {
        let mut dts = run.base_decode_time;
        let mut at = usize::try_from(run.data_offset).unwrap_or(usize::MAX);
        for sample in &run.samples {
            let size = usize::try_from(sample.size).unwrap_or(usize::MAX);
            let end = at.saturating_add(size);
            if end <= part.bytes.len() {
                frames.push(Frame {
                    track: run.track,
                    dts,
                    pts: dts + Ticks(i64::from(sample.composition_offset)),
                    key: sample.key,
                    data: part.bytes.slice(at..end),
                });
            }
            dts = dts + Ticks(i64::from(sample.duration));
            at = end;
        }
    }
    frames
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::av::TrackKind;
    use crate::fmp4::testing::{Encoder, packager, parts, session};

    /// Key and bytes, in decoding order.
    fn of(kind: TrackKind, frames: &[Frame]) -> Vec<(bool, bytes::Bytes)> {
        let own = frames.iter().filter(|frame| frame.track == kind);
        own.map(|frame| (frame.key, frame.data.clone())).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn what_was_packaged_is_read_back_with_its_order_keys_and_times(
            rate in prop::sample::select(vec![(3_750, 1), (3_600, 1), (3_003, 1), (3_000, 1), (1_800, 1), (3_003, 2)]),
            gop in 12..300i64, reordered: bool, sound: bool, seconds in 1.0..12.0f64,
        ) {
            let mut encoder = Encoder { rate, gop, audio: sound, ..Encoder::default() };
            if reordered {
                encoder = encoder.with_b_frames();
            }
            let sent = encoder.seconds(seconds);
            let parts = parts(&session(&mut packager(encoder.tracks(), None), sent.clone()));
            let read: Vec<Frame> = parts.iter().flat_map(frames_of).collect();
            for kind in [TrackKind::Video, TrackKind::Audio] {
                prop_assert_eq!(of(kind, &read), of(kind, &sent));
            }
            let pictures = |frames: &[Frame]| -> Vec<Frame> {
                frames.iter().filter(|frame| frame.track == TrackKind::Video).cloned().collect()
            };
            let (read, sent) = (pictures(&read), pictures(&sent));
            let shift = read[0].pts.0 - sent[0].pts.0;
            for (read, sent) in read.iter().zip(&sent) {
                // The encoder's clock ticks in milliseconds, the timeline on the frame grid.
                prop_assert!((read.pts.0 - sent.pts.0 - shift).abs() <= 180);
                prop_assert!(read.dts <= read.pts);
            }
            for part in &parts {
                let video = frames_of(part).into_iter().find(|frame| frame.track == TrackKind::Video);
                if let Some(first) = video {
                    prop_assert_eq!(first.dts, part.start);
                }
            }
        }
    }
}
