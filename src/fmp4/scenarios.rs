//! What encoders do to a packager, told one by one.

use super::testing::{Encoder, both, indexes, packager, parts, segments, session};
use super::{Packager, PackagerConfig, Packed, PartTarget, ResumeState};
use crate::av::{Frame, Part, Sample, Ticks, TrackKind, TrackRun};

const FRAME: i64 = 3_000;

fn is_video(frame: &Frame) -> bool {
    frame.track == TrackKind::Video
}

/// The runs of one track.
fn runs(packed: &[Packed], track: TrackKind) -> Vec<TrackRun> {
    let runs = parts(packed).into_iter().flat_map(|part| part.runs);
    runs.filter(|run| run.track == track).collect()
}

/// Presentation times of one track, in 90 kHz.
fn presented(packed: &[Packed], track: TrackKind) -> Vec<i64> {
    let mut times = Vec::new();
    for run in runs(packed, track) {
        let mut time = run.base_decode_time.0;
        for sample in &run.samples {
            let ticks = time + i64::from(sample.composition_offset);
            times.push(if track == TrackKind::Audio {
                ticks * 15 / 8
            } else {
                ticks
            });
            time += i64::from(sample.duration);
        }
    }
    times
}

/// Where each run begins and ends must meet.
fn assert_gapless(packed: &[Packed], track: TrackKind) {
    let runs = runs(packed, track);
    for pair in runs.windows(2) {
        let sum: i64 = pair[0]
            .samples
            .iter()
            .map(|sample| i64::from(sample.duration))
            .sum();
        assert_eq!(pair[1].base_decode_time.0, pair[0].base_decode_time.0 + sum);
    }
}

fn assert_contiguous(packed: &[Packed]) {
    for pair in parts(packed).windows(2) {
        assert_eq!(pair[1].start, pair[0].start + pair[0].duration);
    }
}

fn segment_durations(packed: &[Packed]) -> Vec<i64> {
    let sum = |parts: &Vec<Part>| parts.iter().map(|part| part.duration.0).sum();
    segments(packed).iter().map(sum).collect()
}

#[test]
fn a_part_leaves_with_its_last_frame_and_waits_for_no_other() {
    let encoder = Encoder {
        audio: false,
        ..Encoder::default()
    };
    let mut packager = packager(encoder.tracks(), Some(30.0));
    let mut out = Vec::new();
    packager.start_session();
    for n in 0..60 {
        packager.push(encoder.picture(n), &mut out);
        let expected = if n < 10 { 0 } else { (n + 1) / 6 };
        assert_eq!(
            parts(&out).len(),
            usize::try_from(expected).unwrap(),
            "after picture {n}"
        );
    }
}

/// Parts leave with the pictures that the rhythm foretells and, as long as it does, with no others.
#[test]
fn the_rhythm_foretells_which_pictures_complete_parts() {
    for (rate, hint, b_frames) in [
        ((3_000, 1), 30.0, false),
        ((3_003, 1), 29.97, true),
        ((3_750, 1), 24.0, false),
        ((1_500, 1), 60.0, true),
    ] {
        let mut encoder = Encoder {
            rate,
            start_ms: 77_777,
            ..Encoder::default()
        };
        if b_frames {
            encoder = encoder.with_b_frames();
        }
        let mut packager = packager(encoder.tracks(), Some(hint));
        packager.start_session();
        let (mut foretold, mut awaited) = (0, None);
        for frame in encoder.seconds(20.0) {
            let (dts, is_picture) = (frame.dts, is_video(&frame));
            let mut out = Vec::new();
            packager.push(frame, &mut out);
            if is_picture && let Some(awaited) = awaited {
                let is_due = (dts - awaited).0.abs() < rate.0 / 2;
                assert_eq!(is_due, !out.is_empty(), "{dts:?} of {rate:?}");
                foretold += u32::from(is_due);
            }
            if is_picture {
                let rhythm = packager.rhythm();
                awaited = rhythm.map(|rhythm| rhythm.next_after(dts));
            }
        }
        // Of 20 s, in most: a key frame may end a segment when 3.2 s of it are over, and comes each two.
        assert!(foretold > 50, "{foretold} of {rate:?}");
        packager.end_session(&mut Vec::new());
        assert_eq!(packager.rhythm(), None);
    }
}

#[test]
fn nothing_leaves_before_the_part_target_is_known() {
    let encoder = Encoder::default();
    let mut packager = packager(encoder.tracks(), None);
    let mut out = Vec::new();
    packager.start_session();
    for frame in encoder.seconds(1.0) {
        assert_eq!(
            out.is_empty(),
            packager.part_target() == PartTarget::Measuring
        );
        packager.push(frame, &mut out);
    }
    assert!(!out.is_empty());
}

#[test]
fn the_part_target_is_the_most_whole_frames() {
    let targets = [
        ((3_000, 1), 30.0, 200, 100),
        ((3_600, 1), 25.0, 200, 80),
        ((1_500, 1), 60.0, 200, 100),
        // Four frames are 166.7 ms, two 83.3.
        ((3_750, 1), 24.0, 167, 84),
        // Six would be 200.2 ms; five are 166.8, two 66.7.
        ((3_003, 1), 29.97, 167, 67),
    ];
    for (rate, hint, usual_ms, low_ms) in targets {
        let encoder = Encoder {
            rate,
            ..Encoder::default()
        };
        for (part_max_ms, expected_ms) in [(200, usual_ms), (100, low_ms)] {
            let config = PackagerConfig { part_max_ms };
            let mut packager = Packager::new(config, both(), Ticks::ZERO, Some(hint)).unwrap();
            session(&mut packager, encoder.seconds(2.0));
            let duration = Ticks(expected_ms * 90);
            assert_eq!(
                packager.part_target(),
                PartTarget::Parts { duration },
                "{hint} fps"
            );
        }
    }
}

#[test]
fn segments_end_at_key_frames() {
    let encoder = Encoder::default();
    let mut packager = packager(encoder.tracks(), Some(30.0));
    let packed = session(&mut packager, encoder.seconds(18.0));
    // GOPs of 2 s: three short segments, then the first key frame after 3.2 s.
    assert_eq!(
        segment_durations(&packed)[..5],
        [180_000, 180_000, 180_000, 360_000, 360_000]
    );
    assert!(segments(&packed).iter().all(|parts| parts[0].independent));
    assert_eq!(packager.counters().forced_cuts, 0);
}

#[test]
fn a_key_frame_inside_a_segment_cuts_no_part() {
    let encoder = Encoder {
        gop: 25,
        ..Encoder::default()
    };
    let mut packager = packager(encoder.tracks(), Some(30.0));
    let packed = session(&mut packager, encoder.seconds(4.0));
    let first = &segments(&packed)[0];
    let frames: Vec<usize> = first
        .iter()
        .map(|part| part.runs[0].samples.len())
        .collect();
    // The key frame at picture 25 is 0.83 s from the beginning: too early; the one at 50 cuts.
    assert_eq!(frames, [6, 6, 6, 6, 6, 6, 6, 6, 2]);
    let independent: Vec<bool> = first.iter().map(|part| part.independent).collect();
    assert_eq!(
        independent,
        [true, false, false, false, true, false, false, false, false]
    );
}

#[test]
fn a_long_gop_is_cut_by_force() {
    let encoder = Encoder {
        gop: 240,
        ..Encoder::default()
    };
    let mut packager = packager(encoder.tracks(), Some(30.0));
    let packed = session(&mut packager, encoder.seconds(20.0));
    // 6.4 s are 192 frames; the key frame at 8 s comes 1.6 s later and may cut only a short segment.
    assert_eq!(segment_durations(&packed)[..3], [576_000, 144_000, 576_000]);
    assert_eq!(packager.counters().forced_cuts, 2);
}

#[test]
fn the_sound_that_covers_the_first_picture_is_kept_and_what_ends_before_is_not() {
    let encoder = Encoder::default();
    let mut packager = packager(encoder.tracks(), Some(30.0));
    let mut early: Vec<Frame> = (0..4)
        .map(|n| {
            let mut frame = encoder.sound(0);
            frame.dts = frame.dts - Ticks(1_024 * (4 - n) - 500);
            frame.pts = frame.dts;
            frame
        })
        .collect();
    let mut rest = encoder.seconds(2.0);
    rest.retain(|frame| is_video(frame) || frame.dts.0 > encoder.sound(0).dts.0);
    for (at, frame) in rest.iter_mut().filter(|frame| !is_video(frame)).enumerate() {
        frame.dts = Ticks(early[3].dts.0 + 1_024 * i64::try_from(at + 1).unwrap());
        frame.pts = frame.dts;
    }
    early.extend(rest);
    let packed = session(&mut packager, early);
    assert_eq!(packager.counters().audio_before_picture, 3);
    let sound = presented(&packed, TrackKind::Audio)[0];
    let picture = presented(&packed, TrackKind::Video)[0];
    // 524 samples before the picture, within the blur of its millisecond.
    assert!(
        (sound - picture + 524 * 15 / 8).abs() <= 45,
        "{}",
        sound - picture
    );
    assert!(sound >= 0);
}

#[test]
fn a_second_session_closes_the_gap_and_begins_with_a_key_frame() {
    let encoder = Encoder::default().with_b_frames();
    let mut packager = packager(encoder.tracks(), Some(30.0));
    let mut packed = session(&mut packager, encoder.seconds(3.0));
    let end = packager.end();
    let again = Encoder {
        start_ms: 900_000,
        ..encoder
    };
    let frames = again
        .seconds(6.0)
        .into_iter()
        .filter(|frame| !is_video(frame) || frame.dts > again.picture(7).dts);
    let second = session(&mut packager, frames);
    assert_eq!(packager.counters().video_before_key, 52);
    let first_of_second = presented(&second, TrackKind::Video)[0];
    assert!(
        (end.0..end.0 + 2_000).contains(&first_of_second),
        "{first_of_second} after {end:?}"
    );
    packed.extend(second);
    assert_gapless(&packed, TrackKind::Video);
    assert_contiguous(&packed);
    let sound = presented(&packed, TrackKind::Audio);
    assert!(
        sound
            .windows(2)
            .all(|pair| (1_920..2 * 1_920).contains(&(pair[1] - pair[0])))
    );
    assert!(segments(&packed)[2][0].runs[0].samples[0].key);
}

// Where a player waits that has played all: at the end of the shorter track, which is then no place behind the playlist's end.
#[test]
fn a_session_ends_no_earlier_than_what_can_be_played_of_it() {
    let encoder = Encoder::default().with_b_frames();
    for seconds in [2.9, 3.0, 3.05, 3.1] {
        let mut packager = packager(encoder.tracks(), Some(30.0));
        let packed = session(&mut packager, encoder.seconds(seconds));
        let end = |track, length| presented(&packed, track).into_iter().max().unwrap() + length;
        let playable = end(TrackKind::Video, FRAME).min(end(TrackKind::Audio, 1_920));
        let last = parts(&packed).pop().unwrap();
        let told = (last.start + last.duration).0;
        assert!(
            told >= playable - 2,
            "{seconds} s: {told}, {playable} can be played"
        );
        assert_contiguous(&packed);
    }
}

#[test]
fn sound_goes_on_while_pictures_are_missing() {
    let encoder = Encoder::default();
    let mut packager = packager(encoder.tracks(), Some(30.0));
    // From 2.5 s to 4 s the uplink drops all pictures; the next is a key frame.
    let frames: Vec<Frame> = encoder.seconds(8.0);
    let lost = encoder.picture(75).dts..encoder.picture(120).dts;
    let kept = frames
        .into_iter()
        .filter(|frame| !is_video(frame) || !lost.contains(&frame.dts));
    let packed = session(&mut packager, kept);
    assert_contiguous(&packed);
    assert_gapless(&packed, TrackKind::Video);
    assert_gapless(&packed, TrackKind::Audio);
    let alone = parts(&packed)
        .iter()
        .filter(|part| part.runs.len() == 1)
        .count();
    assert!((6..=8).contains(&alone), "{alone} parts of sound alone");
    // Pictures and sound stay together behind the hole.
    let pictures = presented(&packed, TrackKind::Video);
    let sound = presented(&packed, TrackKind::Audio);
    assert_eq!(pictures[76] - pictures[0], 121 * FRAME);
    assert_eq!(sound.len(), 375);
    assert_eq!(packager.counters().silence_inserted, 0);
    assert_eq!(packager.counters().holes_closed, 0);
}

#[test]
fn a_hole_in_all_tracks_without_silence_is_closed() {
    let encoder = Encoder {
        audio: false,
        ..Encoder::default()
    };
    let mut packager = packager(encoder.tracks(), Some(30.0));
    let lost = encoder.picture(60).dts..encoder.picture(120).dts;
    let kept = encoder
        .seconds(8.0)
        .into_iter()
        .filter(|frame| !lost.contains(&frame.dts));
    let packed = session(&mut packager, kept);
    assert_contiguous(&packed);
    assert_eq!(packager.counters().holes_closed, 1);
    let pictures = presented(&packed, TrackKind::Video);
    assert_eq!(pictures.last().unwrap() - pictures[0], 179 * FRAME);
}

#[test]
fn silence_stands_in_for_sound_that_never_comes() {
    let encoder = Encoder::default();
    let mut packager = packager(both(), Some(30.0));
    let packed = session(
        &mut packager,
        encoder.seconds(10.0).into_iter().filter(is_video),
    );
    let silent = packager.counters().silence_inserted;
    // 10 s are 468.75 frames.
    assert!((466..=469).contains(&silent), "{silent}");
    assert_gapless(&packed, TrackKind::Audio);
}

#[test]
fn sound_that_comes_late_is_not_lost() {
    let encoder = Encoder::default();
    let mut frames: Vec<(i64, Frame)> = encoder
        .seconds(10.0)
        .into_iter()
        .map(|frame| match is_video(&frame) {
            true => (frame.dts.0, frame),
            // 300 ms behind the pictures it belongs to.
            false => (frame.dts.0 * 15 / 8 + 27_000, frame),
        })
        .collect();
    frames.sort_by_key(|(arrival, _)| *arrival);
    let mut packager = packager(both(), Some(30.0));
    let packed = session(&mut packager, frames.into_iter().map(|(_, frame)| frame));
    assert_eq!(packager.counters(), super::PackagerCounters::default());
    assert_eq!(presented(&packed, TrackKind::Audio).len(), 469);
    assert_contiguous(&packed);
}

#[test]
fn a_clock_that_jumps_back_goes_on_where_it_was() {
    let encoder = Encoder {
        start_ms: 700_000,
        ..Encoder::default()
    };
    let later = Encoder {
        start_ms: 1_000,
        ..Encoder::default()
    };
    let mut packager = packager(both(), Some(30.0));
    let frames = encoder.seconds(5.0).into_iter().chain(later.seconds(5.0));
    let packed = session(&mut packager, frames);
    assert_eq!(packager.counters().timeline_restarts, 1);
    assert_gapless(&packed, TrackKind::Video);
    assert_contiguous(&packed);
    assert_eq!(presented(&packed, TrackKind::Video).len(), 300);
    let end = packager.end().0;
    // Ten seconds, and a frame of sound more at the beginning and behind each session.
    assert!((900_000..=900_000 + 3 * 1_921).contains(&end), "{end}");
}

#[test]
fn no_picture_is_presented_before_it_is_decoded() {
    let encoder = Encoder::default();
    let mut packager = packager(both(), Some(30.0));
    // B-frames whose decoding times were not moved: every second picture is presented one frame early.
    let frames = encoder
        .seconds(6.0)
        .into_iter()
        .enumerate()
        .map(|(n, mut frame)| {
            if is_video(&frame) && n % 2 == 1 && n > 60 {
                frame.pts = frame.dts - Ticks(FRAME);
            }
            frame
        });
    let packed = session(&mut packager, frames);
    assert_gapless(&packed, TrackKind::Video);
    let runs = runs(&packed, TrackKind::Video);
    assert!(
        runs.iter()
            .flat_map(|run| &run.samples)
            .all(|sample: &Sample| sample.composition_offset < 9_000)
    );
    assert_contiguous(&packed);
}

#[test]
fn a_run_goes_on_after_a_crash_as_if_there_had_been_none() {
    let encoder = Encoder::default().with_b_frames();
    let later = Encoder {
        start_ms: 60_000,
        ..encoder.clone()
    };
    let mut whole = packager(both(), Some(30.0));
    let first = session(&mut whole, encoder.seconds(7.0));
    let expected = session(&mut whole, later.seconds(7.0));

    let state = ResumeState::after(
        PartTarget::Parts {
            duration: Ticks(18_000),
        },
        Ticks::ZERO,
        &indexes(&first),
    );
    let mut once = packager(both(), Some(30.0));
    session(&mut once, encoder.seconds(7.0));
    assert_eq!(state, once.state());

    let mut resumed =
        Packager::resume(PackagerConfig::default(), both(), state, Some(30.0)).unwrap();
    let packed = session(&mut resumed, later.seconds(7.0));
    assert_eq!(segment_durations(&packed), segment_durations(&expected));
    for track in [TrackKind::Video, TrackKind::Audio] {
        let (resumed, straight) = (presented(&packed, track), presented(&expected, track));
        assert_eq!(resumed.len(), straight.len());
        // The grid was measured anew: within the millisecond of blur.
        assert!(
            resumed
                .iter()
                .zip(&straight)
                .all(|(one, other)| (one - other).abs() <= 90)
        );
    }
    assert_contiguous(&packed);
}

#[test]
fn the_last_picture_stays_as_long_as_the_sound() {
    let encoder = Encoder::default();
    let mut packager = packager(both(), Some(30.0));
    // Two more sound frames than pictures need; the open part has room.
    let mut frames = encoder.seconds(2.5);
    frames.retain(|frame| !is_video(frame) || frame.dts < encoder.picture(73).dts);
    let packed = session(&mut packager, frames);
    let run = runs(&packed, TrackKind::Video).pop().unwrap();
    let last = run.samples.last().unwrap().duration;
    assert!(last > 2 * 3_000, "{last}");
    assert_contiguous(&packed);
}

#[test]
fn frames_that_do_not_belong_are_counted_and_dropped() {
    let encoder = Encoder {
        audio: false,
        ..Encoder::default()
    };
    let mut packager = packager(encoder.tracks(), None);
    let mut out = Vec::new();
    packager.push(encoder.picture(0), &mut out);
    packager.start_session();
    packager.push(encoder.sound(0), &mut out);
    packager.push(
        Frame {
            data: bytes::Bytes::new(),
            ..encoder.picture(0)
        },
        &mut out,
    );
    packager.push(
        Frame {
            pts: Ticks(i64::MAX),
            dts: Ticks(i64::MIN),
            ..encoder.picture(0)
        },
        &mut out,
    );
    packager.push(encoder.picture(1), &mut out);
    packager.end_session(&mut out);
    assert_eq!(packager.counters().stray, 4);
    assert_eq!(packager.counters().video_before_key, 1);
    assert_eq!(out, []);
}

#[test]
fn sound_alone_makes_parts_of_whole_frames() {
    let encoder = Encoder {
        video: false,
        ..Encoder::default()
    };
    let mut packager = packager(encoder.tracks(), None);
    let packed = session(&mut packager, encoder.seconds(10.0));
    // Nine frames of 21.3 ms are 192 ms.
    let duration = Ticks(17_280);
    assert_eq!(packager.part_target(), PartTarget::Parts { duration });
    let parts = parts(&packed);
    assert!(
        parts[..parts.len() - 1]
            .iter()
            .all(|part| part.duration == duration && part.independent)
    );
    // Five parts are the first 0.96 s, seventeen the first 3.264.
    assert_eq!(
        segment_durations(&packed)[..4],
        [86_400, 86_400, 86_400, 293_760]
    );
}
