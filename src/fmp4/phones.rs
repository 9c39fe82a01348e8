//! Pictures that come as they like: variable frame rates, jitter, grids that do not suit the part target.

use proptest::prelude::*;

use super::testing::{Encoder, Walked, both, packager, parts, segments, session, walk};
use super::{Packager, PackagerConfig, Packed, PartTarget, ResumeState};
use crate::av::{Frame, Ticks, TrackKind};

const USUAL: PartTarget = PartTarget::Parts {
    duration: Ticks(18_000),
};

/// A camera: pictures so many milliseconds apart, a key frame every `gop` of them, sound beside them.
pub(super) fn camera(steps_ms: &[i64], gop: usize, sound: bool) -> Vec<Frame> {
    let encoder = Encoder::default();
    let mut at = encoder.start_ms;
    let mut frames: Vec<Frame> = steps_ms
        .iter()
        .enumerate()
        .map(|(n, step)| {
            let frame = Frame {
                dts: Ticks(at * 90),
                pts: Ticks(at * 90),
                key: n % gop == 0,
                ..encoder.picture(1)
            };
            at += step;
            frame
        })
        .collect();
    if sound {
        let sounds = (0..).map(|n| encoder.sound(n));
        frames.extend(sounds.take_while(|frame| frame.dts.0 < at * 48));
    }
    frames.sort_by_key(|frame| match frame.track {
        TrackKind::Video => frame.dts.0,
        TrackKind::Audio => frame.dts.0 * 15 / 8,
    });
    frames
}

/// Every rule of a part's length (RFC 8216bis 4.4.4.9), and of a segment's.
fn assert_lengths(packed: &[Packed], target: PartTarget) {
    let PartTarget::Parts { duration } = target else {
        panic!("{target:?}");
    };
    for segment in segments(packed) {
        let sum: i64 = segment.iter().map(|part| part.duration.0).sum();
        assert!(sum <= 576_000, "a segment of {sum}");
        for (at, part) in segment.iter().enumerate() {
            let last = at + 1 == segment.len();
            let long = part.duration.0 * 100 >= duration.0 * 85;
            assert!(part.duration <= duration, "{:?}", part.duration);
            assert!(part.independent || last || long, "{:?}", part.duration);
        }
    }
    for pair in parts(packed).windows(2) {
        assert_eq!(pair[1].start, pair[0].start + pair[0].duration);
    }
}

fn pictures(packed: &[Packed]) -> Vec<Walked> {
    let tracks = parts(packed)
        .into_iter()
        .flat_map(|part| walk(&part.bytes, 1_024));
    tracks
        .filter(|(track, _)| *track == 1)
        .flat_map(|(_, samples)| samples)
        .collect()
}

/// All pictures, at the distances at which they were sent, decoded one behind the other.
fn assert_shown_as_sent(packed: &[Packed], sent: &[Frame]) {
    let shown = pictures(packed);
    let sent: Vec<i64> = sent
        .iter()
        .filter(|frame| frame.track == TrackKind::Video)
        .map(|frame| frame.pts.0)
        .collect();
    assert_eq!(shown.len(), sent.len());
    let shift = shown[0].0 + shown[0].1 - sent[0];
    for (n, (sample, sent)) in shown.iter().zip(&sent).enumerate() {
        assert_eq!(sample.0 + sample.1 - sent, shift, "picture {n}");
    }
    for pair in shown.windows(2) {
        assert_eq!(pair[1].0, pair[0].0 + pair[0].2);
    }
}

#[test]
fn a_phone_that_jitters_has_parts_of_exactly_the_target() {
    // 29.97 fps, each picture up to 15 ms early or late.
    let steps: Vec<i64> = (0..600i64)
        .map(|n| {
            let at = |n: i64| n * 1_001 / 30 + n * 7_919 % 31 - 15;
            at(n + 1) - at(n)
        })
        .collect();
    let frames = camera(&steps, 60, true);
    let mut packager = packager(both(), Some(29.97));
    let packed = session(&mut packager, frames.clone());
    assert_eq!(packager.part_target(), USUAL);
    assert_lengths(&packed, USUAL);
    assert_shown_as_sent(&packed, &frames);
    assert_eq!(packager.counters().short_parts, 0);
    for segment in segments(&packed) {
        let (last, others) = segment.split_last().unwrap();
        assert!(others.iter().all(|part| part.duration.0 == 18_000));
        assert!(last.runs[0].track == TrackKind::Video);
        assert!(segment[0].runs[0].samples[0].key);
    }
    assert_eq!(packager.counters().silence_inserted, 0);
}

#[test]
fn a_part_leaves_with_the_first_picture_behind_it() {
    let frames = camera(&[31, 40, 29, 35, 45, 25].repeat(10), 60, false);
    let tracks = Encoder {
        audio: false,
        ..Encoder::default()
    };
    let mut packager = packager(tracks.tracks(), None);
    let mut out = Vec::new();
    packager.start_session();
    let first = frames[0].dts.0;
    for (n, frame) in frames.into_iter().enumerate() {
        let ended = (frame.dts.0 - first) / 18_000;
        packager.push(frame, &mut out);
        let ended = if n < 10 { 0 } else { ended };
        assert_eq!(parts(&out).len() as i64, ended, "after picture {n}");
    }
}

#[test]
fn a_camera_that_slows_down_in_the_dark_keeps_its_parts() {
    let mut steps = [33, 34, 33].repeat(60);
    steps.extend([66, 67, 67].repeat(40));
    steps.extend([41, 58, 35, 66, 49].repeat(40));
    let frames = camera(&steps, 60, true);
    let mut packager = packager(both(), None);
    let packed = session(&mut packager, frames.clone());
    assert!(
        packager.counters().short_parts <= 3,
        "{:?}",
        packager.counters()
    );
    // From where the grid has been given up, parts are the target's.
    let late = segments(&packed).pop().unwrap();
    let lengths: Vec<i64> = late.iter().map(|part| part.duration.0).collect();
    assert!(lengths.len() > 10);
    let PartTarget::Parts { duration } = packager.part_target() else {
        panic!("no parts");
    };
    let others = &lengths[..lengths.len() - 1];
    assert!(
        others.iter().all(|length| *length == duration.0),
        "{lengths:?}"
    );
    assert_eq!(pictures(&packed).len(), steps.len());
}

#[test]
fn a_grid_that_does_not_suit_the_target_of_the_run_before_is_cut_by_time() {
    // Of 24 fps four pictures are 166.7 ms, 83 % of the 200 ms that were announced.
    let state = ResumeState::after(USUAL, Ticks::ZERO, []);
    let config = PackagerConfig::default();
    let mut packager = Packager::resume(config, both(), state, Some(24.0)).unwrap();
    let encoder = Encoder {
        rate: (3_750, 1),
        ..Encoder::default()
    };
    let packed = session(&mut packager, encoder.seconds(20.0));
    assert_lengths(&packed, USUAL);
    assert_eq!(packager.counters().short_parts, 0);
}

#[test]
fn a_slide_show_with_sound_has_parts_of_sound_alone() {
    // A picture a second.
    let frames = camera(&[1_000; 20], 2, true);
    let mut packager = packager(both(), Some(1.0));
    let packed = session(&mut packager, frames);
    assert_lengths(&packed, packager.part_target());
    assert_eq!(pictures(&packed).len(), 20);
    assert_eq!(packager.counters().holes_closed, 0);
}

#[test]
fn a_slide_show_without_sound_has_no_parts() {
    let tracks = Encoder {
        audio: false,
        ..Encoder::default()
    };
    let mut packager = packager(tracks.tracks(), Some(1.0));
    let frames = camera(&[1_000, 1_300, 700].repeat(6), 2, false);
    let packed = session(&mut packager, frames.clone());
    assert_eq!(packager.part_target(), PartTarget::NoParts);
    assert_shown_as_sent(&packed, &frames);
}

#[test]
fn a_jump_of_the_clock_within_a_gop_loses_no_picture_and_no_sound() {
    for jump in [-5_000i64, 3_600_000] {
        for steps in [vec![40; 200], [31, 49, 40].repeat(70)] {
            let mut frames = camera(&steps, 100, true);
            let from = frames.len() / 2;
            for frame in &mut frames[from..] {
                let rate = match frame.track {
                    TrackKind::Video => 90,
                    TrackKind::Audio => 48,
                };
                frame.dts = frame.dts + Ticks(jump * rate);
                frame.pts = frame.dts;
            }
            let mut packager = packager(both(), None);
            let packed = session(&mut packager, frames);
            assert_eq!(pictures(&packed).len(), steps.len());
            assert_lengths(&packed, packager.part_target());
            let counters = packager.counters();
            assert_eq!(counters.timeline_restarts, 1);
            assert_eq!((counters.stray, counters.audio_overlap), (0, 0));
            assert!(counters.silence_inserted <= 1, "{counters:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn any_frame_rate_above_five_has_parts_by_the_rules(
        steps in prop::collection::vec(1..=200i64, 12..500),
        gop in 5..200usize,
        sound in any::<bool>(),
        part_max_ms in prop::sample::select(vec![100u32, 200]),
    ) {
        let steps: Vec<i64> = steps.iter().map(|step| step * i64::from(part_max_ms) / 200).collect();
        let frames = camera(&steps, gop, sound);
        let tracks = Encoder { audio: sound, ..Encoder::default() }.tracks();
        let config = PackagerConfig { part_max_ms };
        let mut packager = Packager::new(config, tracks, Ticks::ZERO, None).unwrap();
        let packed = session(&mut packager, frames);
        prop_assert_eq!(packager.counters().short_parts, 0);
        assert_lengths(&packed, packager.part_target());
        prop_assert_eq!(pictures(&packed).len(), steps.len());
    }
}
