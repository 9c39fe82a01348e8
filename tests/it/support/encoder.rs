//! ffmpeg and GStreamer as encoders: they send finished clips in real time, stream copy.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Process;

/// The ffmpeg that speaks Enhanced RTMP; script/lib/ffmpeg9.sh fetches it when it is not there yet.
fn ffmpeg9() -> PathBuf {
    let script = "set -euo pipefail; for part in say packages ffmpeg9; do . script/lib/$part.sh; done; \
                  need_ffmpeg9 >&2; printf %s \"$ffmpeg9\"";
    let output = Command::new("bash")
        .args(["-c", script])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("bash starts");
    assert!(
        output.status.success(),
        "no ffmpeg 9:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    PathBuf::from(String::from_utf8(output.stdout).expect("a path in UTF-8"))
}

/// ffmpeg 9 publishes the tracks that `maps` names (`0:v`) of `clips` once, at its own pace; then says goodbye.
pub(crate) fn ffmpeg9_publish(clips: &[PathBuf], maps: &[&str], address: &str) -> Process {
    publish(ffmpeg9(), clips, maps, address)
}

/// The same with Debian's ffmpeg 5.
pub(crate) fn ffmpeg5_publish(clips: &[PathBuf], maps: &[&str], address: &str) -> Process {
    publish("ffmpeg".into(), clips, maps, address)
}

fn publish(ffmpeg: PathBuf, clips: &[PathBuf], maps: &[&str], address: &str) -> Process {
    let mut command = Command::new(ffmpeg);
    command.args(["-hide_banner", "-nostdin", "-loglevel", "info"]);
    for clip in clips {
        command.arg("-re").arg("-i").arg(clip);
    }
    for map in maps {
        command.args(["-map", map]);
    }
    command.args(["-c", "copy", "-f", "flv", address]);
    Process::start("ffmpeg", &mut command)
}

/// ffmpeg publishes `clip` once, at its own pace, to a full RTMP address; then says goodbye.
pub(crate) fn ffmpeg_publish(clip: &Path, address: &str) -> Process {
    ffmpeg(&[], clip, address)
}

/// ffmpeg publishes `clip` again and again until it is killed.
pub(crate) fn ffmpeg_publish_for_ever(clip: &Path, address: &str) -> Process {
    ffmpeg(&["-stream_loop", "-1"], clip, address)
}

/// ffmpeg publishes `clip` for ever over TLS, and takes only a certificate that `authority` has signed.
pub(crate) fn ffmpeg_publish_secure(clip: &Path, address: &str, authority: &Path) -> Process {
    Process::start(
        "ffmpeg",
        Command::new("ffmpeg")
            .args(["-hide_banner", "-nostdin", "-loglevel", "info", "-re"])
            .args(["-stream_loop", "-1", "-i"])
            .arg(clip)
            .args(["-c", "copy", "-f", "flv", "-tls_verify", "1", "-ca_file"])
            .arg(authority)
            .arg(address),
    )
}

fn ffmpeg(options: &[&str], clip: &Path, address: &str) -> Process {
    Process::start(
        "ffmpeg",
        Command::new("ffmpeg")
            .args(["-hide_banner", "-nostdin", "-loglevel", "info", "-re"])
            .args(options)
            .arg("-i")
            .arg(clip)
            .args(["-c", "copy", "-f", "flv", address]),
    )
}

/// GStreamer's `rtmp2sink` publishes `clip` once, at its own pace, to a full RTMP address; then says goodbye.
pub(crate) fn gstreamer_publish(clip: &Path, address: &str) -> Process {
    gstreamer("rtmp2sink", clip, address)
}

/// The same with `rtmpsink`, which is librtmp 2.4.
pub(crate) fn librtmp_publish(clip: &Path, address: &str) -> Process {
    gstreamer("rtmpsink", clip, address)
}

fn gstreamer(sink: &str, clip: &Path, address: &str) -> Process {
    Process::start(
        "gst-launch-1.0",
        Command::new("gst-launch-1.0")
            .args(["--no-fault", "filesrc"])
            .arg(format!("location={}", clip.display()))
            .args(["!", "qtdemux", "name=demux"])
            .args(["flvmux", "name=mux", "streamable=true"])
            .args(["!", sink, "sync=true"])
            .arg(format!("location={address}"))
            .args(["demux.video_0", "!", "queue", "!", "mux.video"])
            .args(["demux.audio_0", "!", "queue", "!", "mux.audio"]),
    )
}

/// ffmpeg encodes `clip` anew, again and again until it is killed, with a key frame every `gop` pictures.
pub(crate) fn ffmpeg_long_gop(clip: &Path, gop: u32, address: &str) -> Process {
    let gop = gop.to_string();
    let mut command = Command::new("ffmpeg");
    command
        .args(["-hide_banner", "-nostdin", "-loglevel", "info", "-re"])
        .args(["-stream_loop", "-1", "-i"])
        .arg(clip)
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-threads", "1"])
        .args(["-g", &gop, "-keyint_min", &gop, "-sc_threshold", "0"])
        .args(["-c:a", "copy", "-f", "flv", address]);
    Process::start("ffmpeg", &mut command)
}
