//! The fixtures, and what ffmpeg and ffprobe say about a media file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use super::tool;

/// A clip by its name; fixtures/README.md says what each holds.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/media")
        .join(name)
}

/// 10 s, 320×180, 30 fps, B-frames with pyramid, AAC; a flash and a beep at each whole second.
pub(crate) fn clip() -> PathBuf {
    fixture("clip.mp4")
}

/// 6 s, 240×136, 25 fps, no B-frames: another codec configuration.
pub(crate) fn other_clip() -> PathBuf {
    fixture("other.mp4")
}

/// 8 s of noise, 50 MB: several parts of a multipart upload. Made once, kept in the target folder.
pub(crate) fn heavy_clip() -> PathBuf {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let (clip, half) = (folder.join("heavy-1.mp4"), folder.join("heavy-1.half.mp4"));
        if !clip.exists() {
            let half_name = half.to_str().expect("a path in UTF-8");
            let arguments = "-v error -y -f lavfi -i testsrc2=s=640x360:r=30:d=8 \
                -f lavfi -i sine=f=440:r=48000:d=8 -vf noise=alls=100:allf=t \
                -c:v libx264 -preset ultrafast -qp 26 -g 30 -pix_fmt yuv420p -c:a aac -b:a 128k";
            let mut arguments: Vec<&str> = arguments.split_whitespace().collect();
            arguments.push(half_name);
            tool("ffmpeg", &arguments, None);
            std::fs::rename(&half, &clip).expect("the clip is named");
        }
        clip
    });
    made.clone()
}

/// One packet as `-c copy -f framemd5` lists it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Packet {
    /// Presentation time, seconds.
    pub(crate) pts_s: f64,
    /// Presentation time plus duration, seconds.
    pub(crate) end_s: f64,
    /// MD5 of its bytes.
    pub(crate) hash: String,
}

/// The packets of a file, by track, in decoding order.
#[derive(Debug, Default)]
pub(crate) struct Packets {
    /// Of the picture.
    pub(crate) video: Vec<Packet>,
    /// Of the sound.
    pub(crate) audio: Vec<Packet>,
}

/// Lists a file's packets. Video is stream 0, audio stream 1.
pub(crate) fn packets(file: &Path) -> Packets {
    let file = file.to_str().expect("a path in UTF-8");
    let arguments = [
        "-v", "error", "-i", file, "-map", "0:v?", "-map", "0:a?", "-c", "copy", "-f", "framemd5",
        "-",
    ];
    let text = String::from_utf8(tool("ffmpeg", &arguments, None)).expect("framemd5 is text");
    let mut ticks: HashMap<String, f64> = HashMap::new();
    let mut kinds: HashMap<String, String> = HashMap::new();
    let mut packets = Packets::default();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("#tb ") {
            let (stream, fraction) = rest.split_once(": ").expect("#tb N: A/B");
            let (above, below) = fraction.split_once('/').expect("a fraction");
            let tick = number(above) / number(below);
            ticks.insert(stream.to_owned(), tick);
        } else if let Some(rest) = line.strip_prefix("#media_type ") {
            let (stream, kind) = rest.split_once(": ").expect("#media_type N: kind");
            kinds.insert(stream.to_owned(), kind.to_owned());
        } else if !line.starts_with('#') {
            // stream, dts, pts, duration, size, hash[, side data]
            let columns: Vec<&str> = line.split(',').map(str::trim).collect();
            let tick = ticks[columns[0]];
            let pts_s = number(columns[2]) * tick;
            let packet = Packet {
                pts_s,
                end_s: pts_s + number(columns[3]) * tick,
                hash: columns[5].to_owned(),
            };
            match kinds[columns[0]].as_str() {
                "video" => packets.video.push(packet),
                "audio" => packets.audio.push(packet),
                other => panic!("a track of kind {other} in {file}"),
            }
        }
    }
    packets
}

/// `ffprobe -show_format -show_streams` of a file, with packets counted.
pub(crate) fn probe(file: &Path) -> Value {
    let file = file.to_str().expect("a path in UTF-8");
    let arguments = [
        "-v",
        "error",
        "-count_packets",
        "-show_format",
        "-show_streams",
        "-of",
        "json",
        file,
    ];
    serde_json::from_slice(&tool("ffprobe", &arguments, None)).expect("ffprobe prints JSON")
}

/// What ffmpeg complains about when it decodes every packet of a file; empty when all is well.
pub(crate) fn decode_errors(file: &Path) -> String {
    complaints(file, &["-f", "null", "-"])
}

/// What ffmpeg complains about when it copies a file into a new MP4; empty when all is well.
pub(crate) fn remux_errors(file: &Path) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let copy = folder.path().join("copy.mp4");
    let copy = copy.to_str().expect("a path in UTF-8");
    complaints(file, &["-map", "0", "-c", "copy", copy])
}

fn complaints(file: &Path, output: &[&str]) -> String {
    // Within two minutes for seconds of media; a soak's recordings are longer.
    let bytes = std::fs::metadata(file).expect("the file is there").len();
    let output = Command::new("timeout")
        .args([&(120 + bytes / 1_000_000).to_string(), "ffmpeg"])
        // One thread: of many decodings of AV1 by several, one stood still for ever (ffmpeg 5.1 with libdav1d 1.0).
        .args(["-hide_banner", "-nostdin", "-v", "warning"])
        .args(["-threads", "1", "-i"])
        .arg(file)
        .args(output)
        .output()
        .expect("ffmpeg (apt-get install ffmpeg) starts");
    let mut said = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        said.push_str(&format!("\nffmpeg ended with {}", output.status));
    }
    said
}

/// Beep minus flash at each second of a recording of [`clip`], seconds; positive when the sound is late.
///
/// Both are decoded by ffmpeg on one clock (`-copyts`): the flash begins with the first picture whose lower half
/// is bright, the beep with the first millisecond above −12 dBFS.
pub(crate) fn av_offset_s(file: &Path) -> Vec<f64> {
    av_offset_between_s(file, file)
}

/// The same of two files on one clock, one for the flashes and one for the beeps.
pub(crate) fn av_offset_between_s(pictures: &Path, sounds: &Path) -> Vec<f64> {
    let name = sounds.to_str().expect("a path in UTF-8");
    let bright = measures(
        pictures.to_str().expect("a path in UTF-8"),
        &[
            "-map",
            "0:v",
            "-vf",
            "crop=iw:ih/2:0:ih/2,signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=-",
        ],
    );
    let loud = measures(
        name,
        &[
            "-map",
            "0:a",
            "-af",
            "asetnsamples=n=48:p=0,astats=metadata=1:reset=1,\
             ametadata=print:key=lavfi.astats.Overall.Peak_level:file=-",
        ],
    );
    let flashes = onsets(&bright, 150.0);
    let beeps = onsets(&loud, -12.0);
    flashes
        .iter()
        .map(|flash| {
            let nearest = beeps
                .iter()
                .map(|beep| beep - flash)
                .min_by(|a, b| a.abs().total_cmp(&b.abs()));
            nearest.unwrap_or_else(|| panic!("no beep at all in {name}"))
        })
        .collect()
}

/// `(seconds, value)` of each frame that a `metadata=print` filter prints.
fn measures(file: &str, filter: &[&str]) -> Vec<(f64, f64)> {
    let mut arguments = vec!["-v", "error", "-nostdin", "-copyts", "-i", file];
    arguments.extend_from_slice(filter);
    arguments.extend_from_slice(&["-f", "null", "/dev/null"]);
    let text = String::from_utf8(tool("ffmpeg", &arguments, None)).expect("metadata is text");
    let mut found = Vec::new();
    let mut at = None;
    for line in text.lines() {
        if let Some((_, time)) = line.split_once("pts_time:") {
            at = time.trim().parse::<f64>().ok();
        } else if let (Some(at), Some((_, value))) = (at, line.split_once('=')) {
            // Silence is "-inf", which parses.
            found.push((at, number(value)));
        }
    }
    assert!(!found.is_empty(), "nothing to measure in {file}");
    found
}

/// When a value rises above `threshold`; a file that begins above it begins with an onset.
fn onsets(values: &[(f64, f64)], threshold: f64) -> Vec<f64> {
    let mut above = false;
    let mut found: Vec<f64> = Vec::new();
    for &(at, value) in values {
        let now = value > threshold;
        // A beep's own wave dips below the threshold for a millisecond now and then.
        if now && !above && found.last().is_none_or(|last| at - last > 0.5) {
            found.push(at);
        }
        above = now;
    }
    found
}

fn number(text: &str) -> f64 {
    text.trim()
        .parse()
        .unwrap_or_else(|_| panic!("{text:?} is no number"))
}

#[test]
fn the_measure_of_sound_against_picture_finds_the_clip_in_step() {
    let offsets = av_offset_s(&clip());
    assert_eq!(offsets.len(), 10, "{offsets:?}");
    assert!(
        offsets.iter().all(|offset| offset.abs() < 0.005),
        "{offsets:?}"
    );
}

#[test]
fn the_measure_of_sound_against_picture_sees_a_delay() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let late = folder.path().join("late.mp4");
    let source = clip();
    let source = source.to_str().expect("a path in UTF-8");
    let late_name = late.to_str().expect("a path in UTF-8");
    tool(
        "ffmpeg",
        &[
            "-v",
            "error",
            "-i",
            source,
            "-itsoffset",
            "0.04",
            "-i",
            source,
            "-map",
            "0:v",
            "-map",
            "1:a",
            "-c",
            "copy",
            late_name,
        ],
        None,
    );
    let offsets = av_offset_s(&late);
    assert!(
        offsets
            .iter()
            .skip(1)
            .all(|offset| (offset - 0.04).abs() < 0.005),
        "{offsets:?}"
    );
}
