//! What a ladder costs, beside ffmpeg making the same one from the same film in the same run.
//!
//! `script/test` runs it on a small film, to keep it alive; `script/bench-pipeline` on ten seconds of 1080p, and looks at the
//! figures.

use std::process::Command;
use std::time::Duration;

use griot::pipeline::{AudioRung, Output, Rung, Transcode, VideoRung, Webm};
use tokio::time::Instant;

use super::films::{Bench, PLAIN, open};
use crate::support::Process;

/// Above so many times ffmpeg's CPU-seconds the bench fails.
const MOST: f64 = 1.1;

/// `bench: utime=1.23s stime=0.04s rtime=0.70s` and `bench: maxrss=123456kB` of `ffmpeg -benchmark`.
fn figure(said: &str, name: &str) -> f64 {
    let (_, rest) = said
        .rsplit_once(&format!("{name}="))
        .unwrap_or_else(|| panic!("{name} in {said}"));
    let digits: String = rest
        .chars()
        .take_while(|letter| letter.is_ascii_digit() || *letter == '.')
        .collect();
    digits.parse().expect("a number")
}

/// Whether the figures are looked at.
fn is_bench() -> bool {
    #[expect(clippy::disallowed_methods, reason = "a bench says so")]
    std::env::var("BENCH_PIPELINE").is_ok()
}

#[tokio::test]
async fn a_webm_costs_about_what_ffmpeg_takes() {
    let is_bench = is_bench();
    let (size, seconds, width, height) = if is_bench {
        ("1920x1080", 10, 1_280, 720)
    } else {
        ("320x180", 2, 160, 90)
    };
    let bench = Bench::new();
    let picture = format!("testsrc2=s={size}:r=30:d={seconds},noise=alls=6:allf=t");
    let options = [PLAIN, &["-shortest", "-g", "60"]].concat();
    let film = bench.film_of("film.mp4", &picture, &options);
    let plan = Webm {
        video: Some(VideoRung {
            width,
            height,
            max_kbps: 1_800,
        }),
        audio: Some(AudioRung { kbps: 96 }),
        duration_ms: seconds * 1_000,
    };
    let mut running = bench.host.webm(open(&film), plan).await.expect("a child");
    let mut bytes = 0;
    while let Some(output) = running.next().await.expect("frames") {
        if let Output::Frame { frame, .. } = output {
            bytes += frame.data.len();
        }
    }
    let ours = running.summary().cpu_s;

    let made = bench.path("film.webm");
    let mut command = Command::new("ffmpeg");
    command.args(["-benchmark", "-y", "-i"]).arg(&film);
    let scale = format!("scale={width}:{height}:flags=bilinear");
    command.args(["-vf", &scale, "-c:v", "libvpx", "-deadline", "realtime"]);
    command.args([
        "-cpu-used",
        "-8",
        "-threads",
        "1",
        "-crf",
        "10",
        "-b:v",
        "1800k",
    ]);
    command.args(["-g", "120", "-c:a", "libopus", "-b:a", "96k"]);
    let said = Process::run(command.arg(&made));
    let theirs = figure(&said, "utime") + figure(&said, "stime");
    let their_bytes = std::fs::metadata(&made).expect("a WebM").len();
    eprintln!(
        "{seconds} s of {size} to a WebM of {width}x{height}: griot {ours:.2} CPU-s, {bytes} bytes; \
         ffmpeg {theirs:.2} CPU-s, {their_bytes} bytes; ratio {:.2}",
        ours / theirs,
    );
    assert!(ours > 0.0 && theirs > 0.0);
    assert!(!is_bench || ours / theirs <= MOST, "{ours} of {theirs}");
}

#[tokio::test]
async fn a_ladder_costs_about_what_ffmpeg_takes() {
    let is_bench = is_bench();
    let (size, seconds, sides) = if is_bench {
        ("1920x1080", 10, [(1_280, 720), (854, 480), (640, 360)])
    } else {
        ("320x180", 2, [(160, 90), (128, 72), (96, 54)])
    };
    let bench = Bench::new();
    let picture = format!("testsrc2=s={size}:r=30:d={seconds},noise=alls=6:allf=t");
    let film = bench.film_of(
        "film.mp4",
        &picture,
        &[PLAIN, &["-shortest", "-g", "60"]].concat(),
    );
    let kbps = [2_500, 1_200, 700];
    let rungs = sides
        .iter()
        .zip(kbps)
        .map(|((width, height), max_kbps)| Rung {
            video: Some(VideoRung {
                width: *width,
                height: *height,
                max_kbps,
            }),
            audio: Some(AudioRung { kbps: 128 }),
        });
    let plan = Transcode {
        rungs: rungs.collect(),
        frame_rate: (30, 1),
        deinterlace: false,
        turned: false,
        duration_ms: seconds * 1_000,
    };
    let started = Instant::now();
    let mut running = bench
        .host
        .transcode(open(&film), plan)
        .await
        .expect("a child");
    let mut first = None;
    let mut peak = String::new();
    while let Some(output) = running.next().await.expect("frames") {
        if matches!(output, Output::Frame { .. }) {
            first.get_or_insert_with(|| started.elapsed());
        }
        if matches!(output, Output::Progress { .. }) {
            let pid = running.pid().unwrap_or(0);
            let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
            let status = status.unwrap_or_default();
            if let Some(line) = status.lines().find(|line| line.starts_with("VmHWM")) {
                line.clone_into(&mut peak);
            }
        }
    }
    let took: Duration = started.elapsed();
    let ours = running.summary().cpu_s;

    let filter = sides.iter().enumerate().map(|(at, (width, height))| {
        format!("[s{at}]scale={width}:{height}:flags=bilinear[v{at}]")
    });
    let filter = format!(
        "[0:v]split=3[s0][s1][s2];{}",
        filter.collect::<Vec<_>>().join(";")
    );
    let mut command = Command::new("ffmpeg");
    command.args(["-benchmark", "-y", "-i"]).arg(&film);
    command.args(["-filter_complex", &filter]);
    for (at, kbps) in kbps.iter().enumerate() {
        let map = format!("[v{at}]");
        let (most, buffer) = (format!("{kbps}k"), format!("{}k", kbps * 2));
        command.args([
            "-map", &map, "-c:v", "libx264", "-preset", "veryfast", "-crf", "23",
        ]);
        command.args([
            "-maxrate", &most, "-bufsize", &buffer, "-bf", "0", "-g", "60",
        ]);
        command.args(["-sc_threshold", "0", "-f", "mp4"]);
        command.arg(bench.path(&format!("{at}.mp4")));
    }
    command.args(["-map", "0:a", "-c:a", "aac", "-b:a", "128k"]);
    command.arg(bench.path("sound.m4a"));
    let said = Process::run(&mut command);
    let theirs = figure(&said, "utime") + figure(&said, "stime");
    eprintln!(
        "{seconds} s of {size} to {sides:?}: griot {ours:.2} CPU-s in {took:.1?}, first frame after {first:.1?}, {peak}; \
         ffmpeg {theirs:.2} CPU-s in {:.1} s, {} kB; ratio {:.2}",
        figure(&said, "rtime"),
        figure(&said, "maxrss"),
        ours / theirs,
    );
    assert!(ours > 0.0 && theirs > 0.0);
    assert!(!is_bench || ours / theirs <= MOST, "{ours} of {theirs}");
}
