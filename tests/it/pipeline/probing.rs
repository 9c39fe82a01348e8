//! Probe reports beside ffprobe's.

use std::path::Path;

use griot::pipeline::{Container, PipelineError, ProbeReport, Refusal};
use serde_json::Value;

use super::films::{Bench, PLAIN, ffprobe, open};

/// A row of the matrix: file name, ffmpeg's options (`x264` stands for [`X264`]), whether it can go into a rendition as it
/// is.
type Row = (&'static str, &'static str, bool);

const X264: &str = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 50";

fn stream<'a>(told: &'a Value, kind: &str) -> Option<&'a Value> {
    let streams = told["streams"].as_array().expect("streams");
    streams.iter().find(|stream| stream["codec_type"] == kind)
}

fn number(value: &Value) -> f64 {
    let text = value.as_str().unwrap_or_default();
    match text.split_once('/') {
        Some((a, b)) => a.parse::<f64>().unwrap() / b.parse::<f64>().unwrap(),
        None => text.parse().unwrap_or_else(|_| panic!("a number: {value}")),
    }
}

fn compare(name: &str, report: &ProbeReport, told: &Value) {
    let video = stream(told, "video").expect("a picture");
    let seen = &report.video;
    assert_eq!(seen.codec, video["codec_name"].as_str().unwrap(), "{name}");
    assert_eq!(
        i64::from(seen.width),
        video["width"].as_i64().unwrap(),
        "{name}"
    );
    assert_eq!(
        i64::from(seen.height),
        video["height"].as_i64().unwrap(),
        "{name}"
    );
    assert_eq!(
        seen.frames.to_string(),
        video["nb_read_packets"].as_str().unwrap(),
        "{name}"
    );
    let rate = number(&video["avg_frame_rate"]);
    assert!(
        (seen.frame_rate - rate).abs() < rate / 50.0,
        "{name}: {} {rate}",
        seen.frame_rate
    );
    let duration = number(&told["format"]["duration"]);
    let measured = std::time::Duration::from_millis(report.duration_ms).as_secs_f64();
    assert!(
        (measured - duration).abs() < 0.1,
        "{name}: {measured} {duration}"
    );
    assert!(!report.truncated, "{name}");
    match stream(told, "audio") {
        None => assert!(report.audio.is_none(), "{name}"),
        Some(audio) => {
            let heard = report
                .audio
                .as_ref()
                .unwrap_or_else(|| panic!("{name}: no sound"));
            assert_eq!(heard.codec, audio["codec_name"].as_str().unwrap(), "{name}");
            assert_eq!(
                i64::from(heard.channels),
                audio["channels"].as_i64().unwrap(),
                "{name}"
            );
            assert_eq!(
                heard.sample_rate.to_string(),
                audio["sample_rate"].as_str().unwrap(),
                "{name}"
            );
        }
    }
}

async fn matrix(rows: &[Row]) {
    let bench = Bench::new();
    for (name, options, remux) in rows {
        let options = options.replace("x264 ", &format!("{X264} "));
        let options: Vec<&str> = options.split_whitespace().collect();
        let film = bench.film(name, &options);
        let report = bench.host.probe(open(&film)).await;
        let report = report.unwrap_or_else(|error| panic!("{name}: {error}"));
        compare(name, &report, &ffprobe(&film));
        assert_eq!(report.can_be_remuxed(), *remux, "{name}: {report:#?}");
    }
}

#[tokio::test]
async fn a_probe_says_what_ffprobe_says_of_mp4_and_quicktime() {
    matrix(&[
        ("h264.mp4", "x264 -c:a aac -ac 2", true),
        ("silent.mp4", "x264 -an", true),
        ("start.mov", "x264 -c:a aac -movflags +faststart", true),
        (
            "fragments.mp4",
            "x264 -c:a aac -movflags frag_keyframe+empty_moov",
            true,
        ),
        ("surround.mp4", "x264 -c:a aac -ac 6", false),
        (
            "hevc.mp4",
            "-c:v libx265 -preset ultrafast -pix_fmt yuv420p -x265-params log-level=none -c:a aac",
            false,
        ),
        ("prores.mov", "-c:v prores_ks -c:a pcm_s16le", false),
    ])
    .await;
}

#[tokio::test]
async fn a_probe_says_what_ffprobe_says_of_webm_matroska_and_avi() {
    matrix(&[
        (
            "vp8.webm",
            "-c:v libvpx -cpu-used 8 -deadline realtime -c:a libvorbis",
            false,
        ),
        (
            "vp9.webm",
            "-c:v libvpx-vp9 -cpu-used 8 -deadline realtime -c:a libopus",
            false,
        ),
        ("h264.mkv", "x264 -c:a aac", false),
        ("mpeg4.avi", "-c:v mpeg4 -vtag xvid -c:a libmp3lame", false),
        (
            "mjpeg.avi",
            "-c:v mjpeg -pix_fmt yuvj420p -c:a pcm_s16le",
            false,
        ),
    ])
    .await;
}

#[tokio::test]
async fn av1_is_probed() {
    matrix(&[("av1.mp4", "-c:v libsvtav1 -preset 12 -c:a aac", false)]).await;
}

#[tokio::test]
async fn rotation_variable_rate_fields_and_hidden_pictures_are_seen() {
    let bench = Bench::new();
    let film = bench.film("film.mp4", &[PLAIN, &["-g", "50"]].concat());
    let film = film.to_str().unwrap();
    let copy = |name: &str, before: &[&str], after: &[&str]| {
        let path = bench.path(name);
        let mut arguments = vec!["-v", "error", "-y"];
        arguments.extend(before);
        arguments.extend(["-i", film, "-c", "copy"]);
        arguments.extend(after);
        arguments.push(path.to_str().unwrap());
        crate::support::tool("ffmpeg", &arguments, None);
        path
    };
    // ffprobe says "rotation=90" of it, which counts the other way round.
    let turned = copy("turned.mov", &[], &["-metadata:s:v", "rotate=90"]);
    let report = bench.host.probe(open(&turned)).await.unwrap();
    assert_eq!(
        (
            report.video.rotation,
            report.video.display_width,
            report.video.display_height
        ),
        (270, 180, 320)
    );
    assert!(!report.can_be_remuxed());

    // One second in, between two key frames: a player hides what lies before.
    let cut = copy("cut.mp4", &["-ss", "1"], &[]);
    let report = bench.host.probe(open(&cut)).await.unwrap();
    assert!(
        (900..=1_100).contains(&report.video.hidden_ms),
        "{report:#?}"
    );
    assert!(!report.can_be_remuxed());

    let uneven = ["-vf", "select='mod(n,3)'", "-vsync", "vfr"];
    let uneven = bench.film("uneven.mp4", &[PLAIN, &uneven].concat());
    let report = bench.host.probe(open(&uneven)).await.unwrap();
    assert!(report.video.variable, "{report:#?}");

    let fields = ["-vf", "tinterlace=interleave_top", "-flags", "+ildct+ilme"];
    let fields = bench.film(
        "fields.mp4",
        &[
            &["-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac"],
            &fields[..],
        ]
        .concat(),
    );
    let report = bench.host.probe(open(&fields)).await.unwrap();
    assert!(report.video.interlaced, "{report:#?}");
}

#[tokio::test]
async fn what_is_cut_off_is_measured_by_what_is_there() {
    let bench = Bench::new();
    let film = bench.film(
        "film.mp4",
        &[PLAIN, &["-movflags", "+faststart", "-g", "25"]].concat(),
    );
    let bytes = std::fs::read(&film).unwrap();
    for tenths in [9, 6, 3] {
        let cut = bench.file("cut.mp4", &bytes[..bytes.len() * tenths / 10]);
        let report = bench.host.probe(open(&cut)).await.unwrap();
        assert!(report.truncated, "{tenths}");
        assert_eq!(report.declared_duration_ms, Some(6_000));
        // The picture has the bulk of the bytes, about evenly.
        let expected = u64::try_from(600 * tenths).unwrap();
        assert!(
            report.duration_ms.abs_diff(expected) < 900,
            "{tenths}: {}",
            report.duration_ms
        );
    }
    // The index itself is cut.
    let cut = bench.file("cut.mp4", &bytes[..400]);
    assert_eq!(refusal(&bench, &cut).await, Refusal::Unreadable);
    // An index at the end, cut away.
    let late = bench.film("late.mp4", PLAIN);
    let bytes = std::fs::read(&late).unwrap();
    let cut = bench.file("cut.mp4", &bytes[..bytes.len() * 6 / 10]);
    assert_eq!(refusal(&bench, &cut).await, Refusal::Unreadable);
}

async fn refusal(bench: &Bench, path: &Path) -> Refusal {
    match bench.host.probe(open(path)).await {
        Err(PipelineError::Refused(refusal)) => refusal,
        other => panic!("{}: {other:?}", path.display()),
    }
}

#[tokio::test]
async fn what_is_no_video_is_told_apart() {
    let bench = Bench::new();
    for (name, bytes) in [
        ("empty.mp4", &b""[..]),
        ("text.mp4", b"#EXTM3U\n#EXTINF:1,\nx.ts\n"),
        ("zeros.mp4", &[0; 10_000]),
        ("jpeg.mp4", b"\xff\xd8\xff\xe0\0\x10JFIF"),
    ] {
        assert_eq!(
            refusal(&bench, &bench.file(name, bytes)).await,
            Refusal::Container,
            "{name}"
        );
    }
    let random: Vec<u8> = (0u32..100_000)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0])
        .collect();
    let random = [b"\0\0\0\x20ftypisom", &random[..]].concat();
    let random = bench.file("random.mp4", &random);
    let refused = refusal(&bench, &random).await;
    assert!(
        matches!(refused, Refusal::Unreadable | Refusal::NoVideo),
        "{refused:?}"
    );
    let sound = bench.film("sound.m4a", &["-vn", "-c:a", "aac"]);
    assert_eq!(refusal(&bench, &sound).await, Refusal::NoVideo);
    let flash = bench.film("flash.avi", &["-c:v", "flashsv", "-an"]);
    assert!(matches!(
        refusal(&bench, &flash).await,
        Refusal::Codec { .. }
    ));

    // The sample entry's size, 65535 × 65535: behind `avc1`, 24 bytes on.
    let film = bench.film("film.mp4", PLAIN);
    let mut bytes = std::fs::read(&film).unwrap();
    let entry = bytes
        .windows(4)
        .rposition(|word| word == b"avc1")
        .expect("a sample entry");
    bytes[entry + 28..entry + 32].fill(0xff);
    let large = bench.file("large.mp4", &bytes);
    let refused = refusal(&bench, &large).await;
    assert_eq!(
        refused,
        Refusal::TooLarge {
            width: 65_535,
            height: 65_535
        }
    );
}

#[tokio::test]
async fn the_container_is_told_by_its_bytes() {
    let bench = Bench::new();
    let film = bench.film(
        "film.webm",
        &[
            "-c:v",
            "libvpx",
            "-cpu-used",
            "8",
            "-deadline",
            "realtime",
            "-an",
        ],
    );
    let renamed = bench.file("film.mp4", &std::fs::read(film).unwrap());
    assert_eq!(
        bench.host.probe(open(&renamed)).await.unwrap().container,
        Container::WebM
    );
}
