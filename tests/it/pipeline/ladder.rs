//! The ladder of a live: what comes out for what goes in.

use std::path::PathBuf;
use std::time::Duration;

use griot::av::{AudioCodec, AudioConfig, Frame, Ticks, TrackKind};
use griot::pipeline::LivePlan;

use super::films::{Bench, ffprobe};
use super::rungs::{
    Climb, Climbed, Source, clicking, clicks, climb, numbers, numbers_of, plan, samples,
    samples_of, times, with_stills,
};
use crate::support::{clip, fixture, tool};

const SIDES: [(u32, u32); 2] = [(256, 144), (160, 90)];

/// Each picture once in each rung, at its time, a key frame where the source has one, with what the source shows there.
fn assert_mirrors(bench: &Bench, source: &Source, climbed: &Climbed) {
    let (pictures, keys) = source.times();
    let shown: Vec<u32> = (0..u32::try_from(pictures.len()).unwrap()).collect();
    for (config, frames) in &climbed.pictures {
        let config = config.as_ref().expect("a configuration");
        let (out, out_keys) = times(frames);
        assert_eq!(out, pictures);
        assert_eq!(out_keys, keys);
        assert!(frames.windows(2).all(|pair| pair[0].pts < pair[1].pts));
        assert_eq!(numbers(bench, config, frames), shown);
    }
    assert_eq!(climbed.decoded, pictures.last().copied());
}

async fn mirrored(film: PathBuf) {
    let bench = Bench::new();
    let source = Source::of(&bench, &film).await;
    assert_eq!(numbers_of(&film, 320).len(), source.times().0.len());
    let climbed = climb(&bench, &plan(&source, &SIDES, &[64]), &source).await;
    let climbed = climbed.expect("a ladder");
    assert_mirrors(&bench, &source, &climbed);
    let sizes = climbed.pictures.iter().map(|(config, _)| {
        let config = config.as_ref().unwrap();
        (config.width, config.height)
    });
    assert_eq!(sizes.collect::<Vec<_>>(), SIDES);
    let (config, sounds) = &climbed.sounds[0];
    let config = config.as_ref().expect("a configuration");
    assert_eq!(
        (config.codecs.as_str(), config.sample_rate, config.channels),
        ("mp4a.40.2", 48_000, 2)
    );
    assert!(
        sounds
            .windows(2)
            .all(|pair| pair[1].dts.0 - pair[0].dts.0 == 1_024)
    );
}

#[tokio::test]
async fn every_picture_of_h264_with_b_frames_comes_out_once_at_its_time() {
    mirrored(clip()).await;
}

#[tokio::test]
async fn every_picture_of_hevc_comes_out_once_at_its_time() {
    mirrored(fixture("hevc.mp4")).await;
}

#[tokio::test]
async fn every_picture_of_vp9_with_opus_comes_out_once_at_its_time() {
    mirrored(fixture("vp9.mp4")).await;
}

#[tokio::test]
async fn every_picture_of_av1_with_opus_comes_out_once_at_its_time() {
    // Through Matroska: qtdemux of 1.22 cuts the front off an av1C.
    let folder = tempfile::tempdir().expect("a folder");
    let film = folder.path().join("av1.mkv");
    let arguments = [
        "-v",
        "error",
        "-i",
        "av1.mp4",
        "-c",
        "copy",
        film.to_str().unwrap(),
    ];
    tool("ffmpeg", &arguments, fixture("av1.mp4").parent());
    mirrored(film).await;
}

/// The clip, encoded anew with key frames at odd places.
fn irregular(bench: &Bench, b_frames: &str) -> PathBuf {
    let path = bench.path("irregular.mp4");
    let clip = clip();
    let arguments = [
        "-v",
        "error",
        "-y",
        "-i",
        clip.to_str().unwrap(),
        "-c:v",
        "libx264",
        "-preset",
        "fast",
        "-crf",
        "23",
        "-bf",
        b_frames,
        "-g",
        "1000",
        "-sc_threshold",
        "0",
        "-force_key_frames",
        "0,0.7,2.1,2.5,5.3,8.033,9.9",
        "-c:a",
        "copy",
        path.to_str().unwrap(),
    ];
    tool("ffmpeg", &arguments, None);
    path
}

#[tokio::test]
async fn key_frames_lie_where_the_source_has_them_however_odd() {
    for b_frames in ["0", "3"] {
        let bench = Bench::new();
        let source = Source::of(&bench, &irregular(&bench, b_frames)).await;
        assert_eq!(source.times().1.len(), 7);
        let plan = plan(&source, &SIDES, &[]);
        let climbed = climb(&bench, &plan, &source).await.expect("a ladder");
        assert_mirrors(&bench, &source, &climbed);
    }
}

#[tokio::test]
async fn times_of_a_live_of_days_pass_unchanged() {
    let bench = Bench::new();
    let film = irregular(&bench, "2");
    // Twelve days, and milliseconds as RTMP has them, so that no distance equals another.
    let mut source = Source::of(&bench, &film).await.later(12 * 86_400);
    for frame in &mut source.frames {
        if frame.track == TrackKind::Video {
            let odd = |time: i64| Ticks(time / 90 * 90 + 7);
            (frame.dts, frame.pts) = (odd(frame.dts.0), odd(frame.pts.0));
        }
    }
    let plan = plan(&source, &SIDES, &[64]);
    let climbed = climb(&bench, &plan, &source).await.expect("a ladder");
    assert_mirrors(&bench, &source, &climbed);
    let first = climbed.sounds[0].1[0].dts.0;
    let begins = source.of_track(TrackKind::Audio)[0].dts.0;
    assert!(
        (-1_100..=0).contains(&(first - begins)),
        "{}",
        first - begins
    );
}

#[tokio::test]
async fn an_encoder_that_pauses_returns_with_a_key_frame_and_the_others_never_notice() {
    let bench = Bench::new();
    let source = Source::of(&bench, &clip()).await;
    let plan = plan(&source, &SIDES, &[]);
    let parts = source.parts();
    let mut climb = Climb::start(&bench, &plan).await;
    // Key frames lie at 0, 2, 4, 6 and 8 s: it pauses within the second GOP and may return within the third.
    climb.feed(parts[..15].to_vec()).await.unwrap();
    climb.catch_up().await.unwrap();
    climb.input.set_active(0, false);
    climb.feed(parts[15..25].to_vec()).await.unwrap();
    climb.catch_up().await.unwrap();
    climb.input.set_active(0, true);
    climb.feed(parts[25..].to_vec()).await.unwrap();
    let climbed = climb.finish().await.unwrap();
    let (all, keys) = source.times();
    let (paused, paused_keys) = times(&climbed.pictures[0].1);
    assert_eq!(times(&climbed.pictures[1].1), (all.clone(), keys.clone()));
    let hole = paused
        .windows(2)
        .find(|pair| pair[1] - pair[0] > 9_000)
        .expect("a hole");
    let first = all[0];
    // The order overtakes what waits, never what the decoder has: to a few pictures.
    assert!(
        (2.4..3.3).contains(&(f64_of(hole[0] - first) / 90_000.0)),
        "{hole:?}"
    );
    assert_eq!(hole[1], keys[3]);
    assert_eq!(paused_keys, [keys[0], keys[1], keys[3], keys[4]]);
    let behind = all.iter().filter(|time| **time >= hole[1]).count();
    assert_eq!(
        paused.iter().filter(|time| **time >= hole[1]).count(),
        behind
    );
    let config = climbed.pictures[0].0.as_ref().unwrap();
    let told = numbers(&bench, config, &climbed.pictures[0].1);
    let expected = paused
        .iter()
        .map(|time| u32::try_from((time - first) / 3_000).unwrap());
    assert_eq!(told, expected.collect::<Vec<_>>());
}

#[expect(clippy::cast_precision_loss, reason = "small")]
fn f64_of(ticks: i64) -> f64 {
    ticks as f64
}

#[tokio::test]
async fn while_every_encoder_rests_key_frames_alone_are_decoded() {
    let bench = Bench::new();
    let source = Source::of(&bench, &clip()).await;
    let plan = with_stills(plan(&source, &SIDES, &[]), &source, 1);
    let mut climb = Climb::start(&bench, &plan).await;
    climb.input.set_active(0, false);
    climb.input.set_active(1, false);
    climb.feed(source.parts()).await.unwrap();
    let climbed = climb.finish().await.unwrap();
    assert!(climbed.pictures.iter().all(|(_, frames)| frames.is_empty()));
    let stills: Vec<i64> = climbed.stills.iter().map(|(at, _)| *at).collect();
    assert_eq!(stills, source.times().1);
    assert_eq!(climbed.decoded, source.times().0.last().copied());
}

#[tokio::test]
async fn stills_come_now_and_then_from_what_is_scaled_anyway() {
    let bench = Bench::new();
    let source = Source::of(&bench, &clip()).await;
    let pictures = plan(&source, &SIDES, &[]);
    let (all, _) = source.times();
    for (plan, size) in [
        (with_stills(pictures, &source, 3), (128, 72)),
        (
            with_stills(plan(&source, &[(96, 54)], &[]), &source, 3),
            (96, 54),
        ),
    ] {
        let climbed = climb(&bench, &plan, &source).await.expect("a ladder");
        let at: Vec<i64> = climbed.stills.iter().map(|(at, _)| *at).collect();
        let expected: Vec<i64> = [0, 90, 180, 270]
            .iter()
            .map(|number: &usize| all[*number])
            .collect();
        assert_eq!(at, expected);
        let told = ffprobe(&bench.file("still.jpg", &climbed.stills[3].1));
        let side = |name: &str| told["streams"][0][name].as_i64();
        assert_eq!(
            (side("width"), side("height")),
            (Some(size.0), Some(size.1))
        );
    }
    // Sound alone is made; only key frames are decoded for the stills.
    let plan = with_stills(plan(&source, &[], &[64]), &source, 3);
    let climbed = climb(&bench, &plan, &source).await.expect("a ladder");
    let at: Vec<i64> = climbed.stills.iter().map(|(at, _)| *at).collect();
    assert_eq!(at, [all[0], all[120], all[240]]);
    assert!(!climbed.sounds[0].1.is_empty());
}

/// Every click within a millisecond of the source's.
fn assert_in_place(bench: &Bench, film: &std::path::Path, climbed: &Climbed) {
    let expected = clicks(&samples_of(film), 0, 1..6);
    assert!(expected.iter().all(Option::is_some), "{expected:?}");
    for (_, frames) in &climbed.sounds {
        let found = clicks(&samples(bench, frames), frames[0].dts.0, 1..6);
        for (found, expected) in found.iter().zip(&expected) {
            let off = found.expect("a click") - expected.expect("a click");
            assert!(
                off.abs() <= 48.0,
                "{off} samples: {found:?} for {expected:?}"
            );
        }
    }
}

#[tokio::test]
async fn sound_stays_where_it_was_whatever_it_comes_as() {
    for (name, layout, options) in [
        (
            "stereo.mp4",
            "stereo|c0=c0|c1=c0",
            &["-c:a", "aac", "-b:a", "128k"][..],
        ),
        (
            "mono.mp4",
            "mono|c0=c0",
            &["-c:a", "aac", "-ar", "44100"][..],
        ),
        (
            "surround.mp4",
            "5.1|FL=c0|FR=c0|FC=0.5*c0|LFE=0*c0|BL=0*c0|BR=0*c0",
            &["-c:a", "aac", "-b:a", "320k"][..],
        ),
        (
            "slow.mp4",
            "mono|c0=c0",
            &["-c:a", "aac", "-ar", "22050"][..],
        ),
    ] {
        let bench = Bench::new();
        let film = clicking(&bench, name, layout, options);
        let source = Source::of(&bench, &film).await;
        let climbed = climb(&bench, &plan(&source, &[], &[64, 128]), &source).await;
        eprintln!("{name}");
        assert_in_place(&bench, &film, &climbed.expect("a ladder"));
    }
}

#[tokio::test]
async fn opus_stays_where_players_hear_it() {
    let bench = Bench::new();
    let film = clicking(
        &bench,
        "opus.mp4",
        "stereo|c0=c0|c1=c0",
        &["-c:a", "libopus", "-b:a", "96k"],
    );
    let mut source = Source::of(&bench, &film).await;
    // A rendition's first packet lies at zero, and players leave nothing out: all is later by the pre-skip.
    let first = source.of_track(TrackKind::Audio)[0].dts.0;
    for frame in source
        .frames
        .iter_mut()
        .filter(|frame| frame.track == TrackKind::Audio)
    {
        frame.dts = Ticks(frame.dts.0 - first);
        frame.pts = frame.dts;
    }
    let climbed = climb(&bench, &plan(&source, &[], &[96]), &source)
        .await
        .expect("a ladder");
    let frames = &climbed.sounds[0].1;
    let found = clicks(&samples(&bench, frames), frames[0].dts.0, 1..6);
    let expected = clicks(&samples_of(&film), 0, 1..6);
    for (found, expected) in found.iter().zip(&expected) {
        let off = found.expect("a click") - expected.expect("a click") - 312.0;
        assert!(off.abs() <= 48.0, "{off} samples");
    }
}

/// MP3 as RTMP carries it: whole frames one after the other.
fn mp3(bench: &Bench) -> (PathBuf, Source) {
    let film = clicking(
        bench,
        "sound.mkv",
        "stereo|c0=c0|c1=c0",
        &["-c:a", "libmp3lame", "-b:a", "128k"],
    );
    let raw = bench.path("sound.mp3");
    let arguments = [
        "-v",
        "error",
        "-y",
        "-i",
        film.to_str().unwrap(),
        "-map",
        "0:a",
        "-c",
        "copy",
        "-write_xing",
        "0",
    ];
    tool(
        "ffmpeg",
        &[
            &arguments[..],
            &["-id3v2_version", "0", raw.to_str().unwrap()],
        ]
        .concat(),
        None,
    );
    let bytes = std::fs::read(&raw).unwrap();
    // 128 kbit/s at 48 kHz: 144 × 128,000 / 48,000 = 384 bytes each (ISO/IEC 11172-3 2.4.3.1).
    let frames = bytes.chunks_exact(384).enumerate().map(|(at, data)| {
        let dts = Ticks(i64::try_from(at).unwrap() * 1_152);
        Frame {
            track: TrackKind::Audio,
            dts,
            pts: dts,
            key: true,
            data: bytes::Bytes::copy_from_slice(data),
        }
    });
    let mut source = Source {
        frames: frames.collect(),
        ..Source::default()
    };
    source.tracks.audio = Some(AudioConfig {
        codec: AudioCodec::Mp3,
        sample_rate: 48_000,
        channels: 2,
        frame_samples: 1_152,
        record: bytes::Bytes::new(),
        codecs: "mp4a.40.34".to_owned(),
    });
    (raw, source)
}

#[tokio::test]
async fn mp3_stays_where_it_was() {
    let bench = Bench::new();
    let (raw, source) = mp3(&bench);
    let climbed = climb(&bench, &plan(&source, &[], &[64]), &source)
        .await
        .expect("a ladder");
    let frames = &climbed.sounds[0].1;
    // Both decoders give what the first frame holds at the first frame's time.
    let found = clicks(&samples(&bench, frames), frames[0].dts.0, 2..6);
    let expected = clicks(&samples_of(&raw), 0, 2..6);
    for (found, expected) in found.iter().zip(&expected) {
        let off = found.expect("a click") - expected.expect("a click");
        assert!(off.abs() <= 48.0, "{off} samples");
    }
}

#[tokio::test]
async fn holes_in_the_input_move_nothing_behind_them() {
    let bench = Bench::new();
    let film = clicking(
        &bench,
        "film.mp4",
        "stereo|c0=c0|c1=c0",
        &["-c:a", "aac", "-ar", "44100", "-g", "10"],
    );
    let source = Source::of(&bench, &film).await;
    let plan: LivePlan = plan(&source, &[(64, 48)], &[64]);
    let rate = source.rate();
    let seconds = |frame: &Frame| match frame.track {
        TrackKind::Video => f64_of(frame.pts.0) / 90_000.0,
        TrackKind::Audio => f64_of(frame.dts.0) / f64_of(rate),
    };
    let mut holed = source.clone();
    // One lost packet or two, half a second, and two seconds and a half that an encoder was away.
    let holes = [(1.30, 1.34), (1.60, 1.90), (2.2, 4.7)];
    holed.frames.retain(|frame| {
        !holes
            .iter()
            .any(|(from, to)| (*from..*to).contains(&seconds(frame)))
    });
    let climbed = climb(&bench, &plan, &holed).await.expect("a ladder");
    let (pictures, keys) = holed.times();
    let (out, out_keys) = times(&climbed.pictures[0].1);
    assert_eq!(out_keys, keys);
    // Behind a hole a decoder may leave out what it cannot make, up to the next key frame.
    let is_whole =
        |time: &&i64| !(117_000..180_000).contains(*time) && !(198_000..432_000).contains(*time);
    let whole = |times: &[i64]| times.iter().filter(is_whole).copied().collect::<Vec<i64>>();
    assert_eq!(whole(&out), whole(&pictures));
    assert!(out.iter().all(|time| pictures.contains(time)));
    let frames = &climbed.sounds[0].1;
    assert!(
        frames
            .windows(2)
            .all(|pair| pair[1].dts.0 - pair[0].dts.0 >= 1_024),
        "no two at one time"
    );
    let cut = frames
        .windows(2)
        .position(|pair| pair[1].dts.0 - pair[0].dts.0 > 48_000);
    let (before, behind) = frames.split_at(cut.expect("the long hole") + 1);
    let expected = clicks(&samples_of(&film), 0, 1..6);
    for (stretch, at) in [(before, [1, 2]), (behind, [5, 5])] {
        let decoded = samples(&bench, stretch);
        for second in at {
            let found = clicks(&decoded, stretch[0].dts.0, second..second + 1)[0].expect("a click");
            let off = found - expected[usize::try_from(second).unwrap() - 1].expect("a click");
            assert!(off.abs() <= 48.0, "{off} samples at {second} s");
        }
    }
}

#[tokio::test]
async fn nothing_waits_when_the_source_pauses() {
    let source = Source::of(&Bench::new(), &clip()).await;
    let bench = Bench::with(|config| config.silence = Some(Duration::from_secs(2)));
    let mut climb = Climb::start(&bench, &plan(&source, &SIDES, &[64])).await;
    let parts = source.parts();
    climb.feed(parts[..10].to_vec()).await.unwrap();
    climb.catch_up().await.unwrap();
    // More than twice the silence, in which nothing is owed.
    let quiet = tokio::time::timeout(Duration::from_secs(5), async {
        while climb.step().await.expect("a pause is no silence") {}
    });
    assert!(quiet.await.is_err());
    climb.feed(parts[10..].to_vec()).await.unwrap();
    let climbed = climb.finish().await.expect("it goes on");
    assert_mirrors(&bench, &source, &climbed);
}
