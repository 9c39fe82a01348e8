//! What holds for every input: parts, segments, timelines, indexes.

use proptest::prelude::*;

use super::testing::{Encoder, Walked, indexes, packager, parts, segments, session, walk};
use super::{PackagerCounters, Packed, PartTarget, SegmentIndex, finalise};
use crate::av::{Frame, Ticks, TrackKind};

fn encoders() -> impl Strategy<Value = Encoder> {
    let rates = prop::sample::select(vec![
        (3_750, 1),
        (3_600, 1),
        (3_003, 1),
        (3_000, 1),
        (1_800, 1),
        (1_500, 1),
        (15_015, 4),
        (3_003, 2),
        (6_000, 1),
    ]);
    let seconds = prop::sample::select(vec![0.5, 1.0, 2.0, 3.0, 4.0, 6.4, 8.0, 12.0]);
    let tracks = prop::sample::select(vec![(true, true), (true, false), (false, true)]);
    (rates, seconds, 0..3i64, tracks, 0..200_000i64).prop_map(
        |(rate, gop, b_frames, tracks, start_ms)| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_precision_loss,
                reason = "frames of seconds"
            )]
            let gop = (gop * 90_000.0 * rate.1 as f64 / rate.0 as f64).round() as i64;
            Encoder {
                rate,
                gop,
                b_frames,
                lag: b_frames,
                video: tracks.0,
                audio: tracks.1,
                start_ms,
            }
        },
    )
}

fn exact_hint(encoder: &Encoder) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "small")]
    let rate = 90_000.0 * encoder.rate.1 as f64 / encoder.rate.0 as f64;
    // As encoders write it.
    Some((rate * 100.0).round() / 100.0)
}

/// Each track's samples over all parts, as the boxes have them.
fn track(packed: &[Packed], id: u32) -> Vec<Walked> {
    let walked = parts(packed)
        .into_iter()
        .flat_map(|part| walk(&part.bytes, 1_024));
    walked
        .filter(|(track, _)| *track == id)
        .flat_map(|(_, samples)| samples)
        .collect()
}

fn assert_continuous(samples: &[Walked]) {
    for pair in samples.windows(2) {
        assert_eq!(
            pair[1].0,
            pair[0].0 + pair[0].2,
            "decoding times without a hole"
        );
    }
    assert!(
        samples.iter().all(|sample| sample.2 > 0),
        "decoding times grow"
    );
    assert!(samples.iter().all(|sample| sample.0 >= 0));
}

/// The rules of parts and segments.
fn assert_rules(packed: &[Packed], target: PartTarget) {
    let mut line = None;
    for segment in segments(packed) {
        let sum: i64 = segment.iter().map(|part| part.duration.0).sum();
        assert!(sum <= 576_000, "a segment of {sum}");
        for (at, part) in segment.iter().enumerate() {
            assert_eq!(
                part.start,
                line.unwrap_or(part.start),
                "parts follow each other"
            );
            line = Some(part.start + part.duration);
            assert!(part.duration > Ticks::ZERO);
            let PartTarget::Parts { duration } = target else {
                continue;
            };
            assert!(
                part.duration <= duration,
                "{:?} above {duration:?}",
                part.duration
            );
            let is_long = part.duration.0 * 100 >= duration.0 * 85;
            assert!(
                is_long || part.independent || at + 1 == segment.len(),
                "part of {:?}",
                part.duration
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_steady_encoder_gives_parts_and_segments_by_the_rules(
        encoder in encoders(), seconds in 0.2..40.0f64, hinted in any::<bool>(),
    ) {
        let hint = exact_hint(&encoder).filter(|_| hinted);
        let mut packager = packager(encoder.tracks(), hint);
        let frames = encoder.seconds(seconds);
        let packed = session(&mut packager, frames.clone());
        assert_rules(&packed, packager.part_target());
        prop_assert_eq!(packager.counters().short_parts, 0);
        if encoder.video {
            prop_assert_eq!(packager.counters(), PackagerCounters {
                forced_cuts: packager.counters().forced_cuts,
                off_grid: packager.counters().off_grid,
                ..PackagerCounters::default()
            });
        }
        if seconds > 1.0 {
            let has_target = matches!(packager.part_target(), PartTarget::Parts { .. });
            prop_assert!(has_target);
        }
        // Every frame came out once, in order, with its bytes.
        for (id, kind) in [(1, TrackKind::Video), (2, TrackKind::Audio)] {
            let samples = track(&packed, id);
            assert_continuous(&samples);
            let sent: Vec<&Frame> = frames.iter().filter(|frame| frame.track == kind).collect();
            prop_assert_eq!(samples.len(), sent.len());
            for (sample, frame) in samples.iter().zip(sent) {
                prop_assert_eq!(&sample.4[..], &frame.data[..]);
                prop_assert_eq!(sample.3, frame.key);
            }
        }
        // With a hint the picture's times are exact: no blur is left. Without one a rate may look like its neighbour.
        let pictures = track(&packed, 1);
        if hinted && let Some(first) = pictures.first() {
            for (n, sample) in (0..).zip(&pictures) {
                let presented = sample.0 + sample.1 - first.0 - first.1;
                let sent = encoder.picture(n).pts.0 - encoder.picture(0).pts.0;
                prop_assert!((presented - sent).abs() <= 91, "picture {} at {} for {}", n, presented, sent);
            }
        }
        // Sound and pictures are as far apart as they were sent, within two milliseconds of blur.
        if let (Some(sound), Some(picture)) = (track(&packed, 2).first(), pictures.first()) {
            let apart = sound.0 * 15 / 8 - (picture.0 + picture.1);
            prop_assert!(apart.abs() <= 180, "{} ticks apart", apart);
        }
        // Each segment after the first begins with a key frame unless it was cut by force.
        let late = segments(&packed).into_iter().skip(1);
        let without_key = late.filter(|segment| encoder.video && !segment[0].runs[0].samples[0].key).count() as u64;
        prop_assert!(without_key <= packager.counters().forced_cuts);
        // A GOP of 6.4 s to the tick fits only if the rate is known.
        if encoder.dts(encoder.gop) <= if hinted { 576_000 } else { 570_000 } && encoder.video {
            prop_assert_eq!(packager.counters().forced_cuts, 0);
        }
    }

    #[test]
    fn an_index_is_read_as_it_was_written(encoder in encoders(), seconds in 0.2..20.0f64) {
        let mut packager = packager(encoder.tracks(), None);
        let packed = session(&mut packager, encoder.seconds(seconds));
        for index in indexes(&packed) {
            prop_assert_eq!(SegmentIndex::decode(&index.encode()).unwrap(), index);
        }
    }

    #[test]
    fn any_order_of_any_times_keeps_the_invariants(
        frames in prop::collection::vec((any::<bool>(), -20_000i64..20_000, -500i64..500, any::<bool>(), 0usize..9), 0..400),
        steady in any::<bool>(), with_audio in any::<bool>(),
    ) {
        let encoder = Encoder { audio: with_audio, ..Encoder::default() };
        let mut packager = packager(encoder.tracks(), Some(30.0));
        let mut out = Vec::new();
        packager.start_session();
        if steady {
            for frame in encoder.seconds(1.0) {
                packager.push(frame, &mut out);
            }
        }
        let mut clock = 6_000;
        for (is_video, step, lag, key, size) in frames {
            clock += step / 10 + if step % 50 == 0 { step } else { 0 };
            let track = if is_video { TrackKind::Video } else { TrackKind::Audio };
            let rate = if is_video { 90 } else { 48 };
            packager.push(Frame {
                track,
                dts: Ticks(clock * rate),
                pts: Ticks((clock + if is_video { lag } else { 0 }) * rate),
                key: key || !is_video,
                data: vec![7; size].into(),
            }, &mut out);
        }
        packager.end_session(&mut out);
        let mut line = None;
        for segment in segments(&out) {
            prop_assert!(segment.iter().map(|part| part.duration.0).sum::<i64>() <= 576_000);
            for part in segment {
                prop_assert_eq!(part.start, line.unwrap_or(part.start));
                line = Some(part.start + part.duration);
                if let PartTarget::Parts { duration } = packager.part_target() {
                    prop_assert!(part.duration <= duration);
                }
            }
        }
        let pictures = track(&out, 1);
        assert_continuous(&pictures);
        let sound = track(&out, 2);
        prop_assert!(sound.windows(2).all(|pair| pair[1].0 >= pair[0].0 + pair[0].2));
        let indexes = indexes(&out);
        let bytes: u64 = indexes.iter().map(SegmentIndex::length_bytes).sum();
        let end = packager.head().len() as u64 + bytes;
        let finalised = finalise(&encoder.tracks(), &indexes, end).unwrap();
        prop_assert_eq!(finalised.video_frames, pictures.len() as u64);
        prop_assert_eq!(finalised.audio_frames, sound.len() as u64);
    }
}
