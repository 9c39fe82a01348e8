//! Frames that come out of children.

use std::path::PathBuf;

use griot::av::{CodecConfig, Frame, Ticks, TrackKind, TrackSet};
use griot::fmp4::{Packager, PackagerConfig, Packed};
use griot::pipeline::{
    AudioRung, Ladder, Output, PipelineError, Rung, Running, Summary, Transcode, VideoRung,
};

use super::films::{Bench, PLAIN, ffprobe, open};
use crate::support::{av_offset_s, clip, decode_errors, packets, tool};

/// What came out for one rung.
#[derive(Debug, Default)]
struct Made {
    tracks: TrackSet,
    frames: Vec<Frame>,
}

impl Made {
    fn of(&self, track: TrackKind) -> Vec<&Frame> {
        let frames = self.frames.iter();
        frames.filter(|frame| frame.track == track).collect()
    }

    /// Packed as a rendition is, into a file.
    fn pack(self, path: PathBuf) -> PathBuf {
        let mut packager = Packager::new(PackagerConfig::default(), self.tracks, Ticks::ZERO, None)
            .expect("tracks");
        let mut bytes = packager.init().bytes.to_vec();
        let mut out = Vec::new();
        packager.start_session();
        for frame in self.frames {
            packager.push(frame, &mut out);
        }
        packager.end_session(&mut out);
        for packed in out {
            if let Packed::Part(part) = packed {
                bytes.extend_from_slice(&part.bytes);
            }
        }
        std::fs::write(&path, bytes).expect("a file");
        path
    }
}

async fn all(mut running: Running) -> Result<(Vec<Made>, Summary), PipelineError> {
    let mut made: Vec<Made> = Vec::new();
    while let Some(output) = running.next().await? {
        let (rung, what) = match output {
            Output::Track { rung, config } => (rung, Ok(config)),
            Output::Frame { rung, frame } => (rung, Err(frame)),
            _ => continue,
        };
        while made.len() <= rung {
            made.push(Made::default());
        }
        match what {
            Ok(CodecConfig::Video(config)) => made[rung].tracks.video = Some(config),
            Ok(CodecConfig::Audio(config)) => made[rung].tracks.audio = Some(config),
            Err(frame) => made[rung].frames.push(frame),
        }
    }
    Ok((made, running.summary()))
}

/// Decoding order on one clock, as far as a packager needs it.
fn assert_in_order(made: &Made) {
    let rate = made
        .tracks
        .audio
        .as_ref()
        .map_or(1, |audio| audio.sample_rate);
    let mut last = i64::MIN / 2;
    for frame in &made.frames {
        let at = match frame.track {
            TrackKind::Video => frame.dts.0,
            TrackKind::Audio => frame.dts.0 * 90_000 / i64::from(rate),
        };
        // A tenth of a second: audio frames are put where their neighbours let them.
        assert!(at >= last - 9_000, "{at} behind {last}");
        last = last.max(at);
    }
}

#[tokio::test]
async fn a_demux_gives_every_packet_at_its_time() {
    let bench = Bench::new();
    for film in [
        clip(),
        bench.film(
            "film.mkv",
            &[
                "-c:v", "libx264", "-bf", "2", "-pix_fmt", "yuv420p", "-c:a", "aac",
            ],
        ),
    ] {
        let running = bench.host.demux(open(&film)).await.expect("a child");
        let (made, summary) = all(running).await.expect("frames");
        assert!(!summary.truncated);
        let [made] = &made[..] else {
            panic!("one rung")
        };
        assert_in_order(made);
        let told = packets(&film);
        let pictures = made.of(TrackKind::Video);
        assert_eq!(pictures.len(), told.video.len(), "{}", film.display());
        assert!(pictures[0].key);
        assert!(pictures.windows(2).all(|pair| pair[0].dts < pair[1].dts));
        // Sound at the ends may be cut to the edit list, never by more than two frames.
        let sounds = made.of(TrackKind::Audio).len();
        assert!(
            told.audio.len() - sounds <= 2,
            "{sounds} of {}",
            told.audio.len()
        );
        let film = bench.path("out.mp4");
        let (made, _) = all(bench.host.demux(open(&clip())).await.unwrap())
            .await
            .unwrap();
        let packed = made.into_iter().next().unwrap().pack(film);
        assert_eq!(decode_errors(&packed), "");
    }
}

#[tokio::test]
async fn picture_and_sound_stay_in_step_when_they_are_only_moved() {
    let bench = Bench::new();
    let (made, _) = all(bench.host.demux(open(&clip())).await.unwrap())
        .await
        .unwrap();
    let packed = made.into_iter().next().unwrap().pack(bench.path("out.mp4"));
    for offset in av_offset_s(&packed) {
        assert!(offset.abs() <= 0.040, "{offset}");
    }
}

fn rung(width: u32, height: u32) -> Rung {
    Rung {
        video: Some(VideoRung {
            width,
            height,
            max_kbps: 700,
        }),
        audio: Some(AudioRung { kbps: 96 }),
    }
}

fn plan(rungs: Vec<Rung>, frame_rate: (u32, u32)) -> Transcode {
    Transcode {
        rungs,
        frame_rate,
        deinterlace: false,
        turned: true,
        duration_ms: 10_000,
    }
}

/// The clip in other clothes.
fn dressed(bench: &Bench, name: &str, options: &[&str]) -> PathBuf {
    let path = bench.path(name);
    let clip = clip();
    let mut arguments = vec!["-v", "error", "-y", "-i", clip.to_str().unwrap()];
    arguments.extend(options);
    arguments.push(path.to_str().unwrap());
    tool("ffmpeg", &arguments, None);
    path
}

async fn in_step_after_a_transcode(name: &str, options: &[&str]) {
    let bench = Bench::new();
    let film = dressed(&bench, name, options);
    let (_, sound) = Ladder::default().sound_alone().unwrap();
    let plan = plan(vec![rung(320, 180), rung(160, 90), sound], (30, 1));
    let running = bench
        .host
        .transcode(open(&film), plan)
        .await
        .expect("a child");
    let (made, summary) = all(running).await.expect("frames");
    eprintln!("{name}: {summary:?}");
    assert!(!summary.truncated);
    assert_eq!(made.len(), 3);
    let keys = |made: &Made| -> Vec<i64> {
        let pictures = made.of(TrackKind::Video);
        let keys = pictures.iter().filter(|frame| frame.key);
        keys.map(|frame| frame.pts.0).collect()
    };
    // Ten seconds of 30 pictures, a key frame every two seconds, at the same times in both.
    let pictures = made[0].of(TrackKind::Video).len();
    assert!((298..=302).contains(&pictures), "{pictures}");
    assert_eq!(keys(&made[0]), keys(&made[1]));
    let distances: Vec<i64> = keys(&made[0])
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .collect();
    assert!(distances.len() >= 4, "{distances:?}");
    assert!(
        distances.iter().all(|distance| *distance == 180_000),
        "{distances:?}"
    );
    for made in &made[..2] {
        assert_in_order(made);
    }
    let sizes: Vec<_> = made
        .iter()
        .map(|made| {
            made.tracks
                .video
                .as_ref()
                .map(|video| (video.width, video.height))
        })
        .collect();
    assert_eq!(sizes, [Some((320, 180)), Some((160, 90)), None]);
    let sound = made[2].tracks.audio.as_ref().unwrap();
    assert_eq!(
        (sound.sample_rate, sound.channels, sound.codecs.as_str()),
        (48_000, 2, "mp4a.40.2")
    );
    for (at, made) in made.into_iter().take(2).enumerate() {
        let packed = made.pack(bench.path(&format!("{at}.mp4")));
        assert_eq!(decode_errors(&packed), "");
        let offsets = av_offset_s(&packed);
        eprintln!("{name} rung {at}: {offsets:?}");
        assert!(offsets.len() >= 9, "{offsets:?}");
        for offset in offsets {
            assert!(offset.abs() <= 0.040, "{name} rung {at}: {offset}");
        }
    }
}

#[tokio::test]
async fn mpeg4_in_avi_becomes_rungs_in_step() {
    in_step_after_a_transcode(
        "x.avi",
        &["-c:v", "mpeg4", "-q:v", "4", "-c:a", "libmp3lame"],
    )
    .await;
}

#[tokio::test]
async fn vp8_in_webm_becomes_rungs_in_step() {
    in_step_after_a_transcode(
        "x.webm",
        &[
            "-c:v",
            "libvpx",
            "-cpu-used",
            "8",
            "-deadline",
            "realtime",
            "-b:v",
            "1M",
            "-c:a",
            "libopus",
        ],
    )
    .await;
}

#[tokio::test]
async fn h264_with_b_frames_becomes_rungs_in_step() {
    in_step_after_a_transcode("x.mp4", &["-c", "copy"]).await;
}

#[tokio::test]
async fn a_phone_held_upright_comes_out_upright() {
    let bench = Bench::new();
    let film = dressed(
        &bench,
        "x.mov",
        &["-c", "copy", "-metadata:s:v", "rotate=90"],
    );
    let report = bench.host.probe(open(&film)).await.unwrap();
    let rungs = vec![Ladder::default().replacement(
        report.video.display_width,
        report.video.display_height,
        (30, 1),
    )];
    let running = bench
        .host
        .transcode(open(&film), plan(rungs, (30, 1)))
        .await
        .unwrap();
    let (made, _) = all(running).await.unwrap();
    let video = made[0].tracks.video.as_ref().unwrap();
    assert_eq!((video.width, video.height), (180, 320));
}

#[tokio::test]
async fn pictures_come_upright_from_their_key_frames() {
    let bench = Bench::new();
    let film = bench.film("film.mp4", &[PLAIN, &["-g", "25"]].concat());
    let times = vec![0, 2_500, 5_000, 60_000];
    let pictures = bench.host.pictures(open(&film), times, 160).await.unwrap();
    let found: Vec<(u32, u64)> = pictures
        .iter()
        .map(|picture| (picture.index, picture.at_ms))
        .collect();
    assert_eq!(&found[..3], [(0, 0), (1, 2_000), (2, 5_000)]);
    let path = bench.file("one.jpg", &pictures[1].jpeg);
    let told = ffprobe(&path);
    assert_eq!(
        (
            told["streams"][0]["width"].as_i64(),
            told["streams"][0]["height"].as_i64()
        ),
        (Some(160), Some(90))
    );
    let film = dressed(
        &bench,
        "x.webm",
        &[
            "-c:v",
            "libvpx",
            "-cpu-used",
            "8",
            "-deadline",
            "realtime",
            "-c:a",
            "libopus",
            "-live",
            "1",
        ],
    );
    let pictures = bench
        .host
        .pictures(open(&film), vec![0, 3_000], 160)
        .await
        .unwrap();
    let found: Vec<(u32, u64)> = pictures
        .iter()
        .map(|picture| (picture.index, picture.at_ms))
        .collect();
    // No cues: the whole is read, and each time met to the next picture.
    assert!(
        matches!(found[..], [(0, 0..=40), (1, 3_000..=3_040)]),
        "{found:?}"
    );
}

#[tokio::test]
async fn what_breaks_off_gives_what_is_there() {
    let bench = Bench::new();
    let film = bench.film("film.mp4", &[PLAIN, &["-movflags", "+faststart"]].concat());
    let bytes = std::fs::read(&film).unwrap();
    let cut = bench.file("cut.mp4", &bytes[..bytes.len() / 2]);
    let running = bench
        .host
        .transcode(open(&cut), plan(vec![rung(160, 90)], (25, 1)))
        .await
        .unwrap();
    let (made, _) = all(running).await.unwrap();
    let pictures = made[0].of(TrackKind::Video).len();
    assert!((50..=110).contains(&pictures), "{pictures} of 150");
}
