//! ffmpeg and GStreamer as encoders: they send finished clips in real time, stream copy.

use std::path::Path;
use std::process::Command;

use super::Process;

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
    Process::start(
        "gst-launch-1.0",
        Command::new("gst-launch-1.0")
            .args(["--no-fault", "filesrc"])
            .arg(format!("location={}", clip.display()))
            .args(["!", "qtdemux", "name=demux"])
            .args(["flvmux", "name=mux", "streamable=true"])
            .args(["!", "rtmp2sink", "sync=true"])
            .arg(format!("location={address}"))
            .args(["demux.video_0", "!", "queue", "!", "mux.video"])
            .args(["demux.audio_0", "!", "queue", "!", "mux.audio"]),
    )
}
