//! Real encoders publish; what they sent is what the recording holds.

use std::path::Path;

use crate::support::{
    Obs, Player, Process, Server, clip, decode_errors, ffmpeg_publish, ffmpeg_publish_for_ever,
    gstreamer_publish, kept, packets, probe, saved,
};

/// ffmpeg closes with our acknowledgement unread, so the last packets may be lost in the reset of its socket.
const MAY_BE_LOST_AT_THE_END: usize = 3;

#[tokio::test]
async fn every_packet_that_ffmpeg_sends_is_in_the_recording() {
    let server = Server::start().await;
    let aissatou = server.member("aissatou").await;
    let live = aissatou.start_live("ffmpeg").await;

    ffmpeg_publish(&clip(), &live.rtmp_url).succeeded().await;

    // The encoder has said goodbye, so nothing is on its way any more.
    aissatou.view_when(live.id, "interrupted").await;
    let (_, recording) = aissatou.stop_and_download(live.id).await;
    assert_same_packets(&clip(), &recording);
}

#[tokio::test]
async fn every_packet_that_gstreamer_sends_is_in_the_recording() {
    let server = Server::start().await;
    let aissatou = server.member("aissatou").await;
    let live = aissatou.start_live("GStreamer").await;

    gstreamer_publish(&clip(), &live.rtmp_url).succeeded().await;

    aissatou.view_when(live.id, "interrupted").await;
    let (_, recording) = aissatou.stop_and_download(live.id).await;
    assert_same_packets(&clip(), &recording);
}

#[tokio::test]
async fn obs_streams_and_its_recording_decodes_clean() {
    let server = Server::start().await;
    let aissatou = server.member("aissatou").await;
    let live = aissatou.start_live("OBS").await;

    let obs = Obs::stream_to(&server.rtmp, &live.stream_key).await;
    obs.says(&["Streaming Start"]).await;
    let player = Player::open(&server, &live.hls_url).await;
    player.until_seconds(6.0).await;
    obs.kill().await;

    let (view, recording) = aissatou.stop_and_download(live.id).await;
    assert_eq!(view["recording"]["width"], 640);
    assert_eq!(view["recording"]["height"], 360);
    let (_folder, file) = saved(&recording);
    let probe = probe(&file);
    let video = &probe["streams"][0];
    assert_eq!(video["codec_name"], "h264");
    assert_eq!(video["width"], 640);
    assert_eq!(video["height"], 360);
    assert_eq!(probe["streams"][1]["codec_name"], "aac");
    let pictures: u32 = video["nb_read_packets"]
        .as_str()
        .and_then(|count| count.parse().ok())
        .expect("packets are counted");
    // What was listed before the kill, at 30 pictures a second.
    assert!(pictures >= 6 * 30, "{pictures} pictures");
    assert_eq!(decode_errors(&file), "");
}

#[tokio::test]
async fn a_wrong_key_is_told_to_ffmpeg() {
    let server = Server::start().await;
    let address = format!("{}/live_1_00000000000000000000000000000000", server.rtmp);

    let ffmpeg = ffmpeg_publish(&clip(), &address);

    let status = ffmpeg.ended().await;
    assert!(!status.success(), "ffmpeg did not notice the refusal");
    let said = ffmpeg.said();
    assert!(said.contains("Server error: "), "{said}");
    assert!(said.contains("unknown stream key"), "{said}");
}

#[tokio::test]
async fn a_wrong_key_is_told_to_gstreamer() {
    let server = Server::start().await;
    let address = format!("{}/live_1_00000000000000000000000000000000", server.rtmp);

    let gstreamer = gstreamer_publish(&clip(), &address);

    let status = gstreamer.ended().await;
    assert!(!status.success(), "GStreamer did not notice the refusal");
    let said = gstreamer.said();
    assert!(said.contains("NetStream.Publish.BadName"), "{said}");
}

#[tokio::test]
async fn a_wrong_key_is_told_to_obs() {
    let server = Server::start().await;

    let obs = Obs::stream_to(&server.rtmp, "live_1_00000000000000000000000000000000").await;

    // -3 is OBS_OUTPUT_INVALID_STREAM, OBS' word for BadName: "please double-check your stream key". A connection
    // that is refused, lost or timed out has other numbers.
    let refused = "failed: -3";
    let log = obs.says(&[refused, "Streaming Stop"]).await;
    assert!(log.contains(refused), "{log}");
    assert!(!log.contains("Streaming Start"), "{log}");
}

#[tokio::test]
async fn a_second_encoder_with_the_same_key_is_refused_while_the_first_one_speaks() {
    let server = Server::start().await;
    let aissatou = server.member("aissatou").await;
    let live = aissatou.start_live("Deux encodeurs").await;
    let first = ffmpeg_publish_for_ever(&clip(), &live.rtmp_url);
    let player = Player::open(&server, &live.hls_url).await;

    let second = ffmpeg_publish(&clip(), &live.rtmp_url);

    assert!(!second.ended().await.success());
    let said = second.said();
    assert!(said.contains("another encoder is publishing"), "{said}");
    let seen = player.now().await.duration_s();
    player.until_seconds(seen + 1.0).await;
    assert!(first.runs(), "{}", first.said());
}

#[tokio::test]
async fn a_second_encoder_takes_over_from_one_that_has_fallen_silent() {
    let server = Server::start().await;
    let aissatou = server.member("aissatou").await;
    let live = aissatou.start_live("Relais").await;
    let first = ffmpeg_publish_for_ever(&clip(), &live.rtmp_url);
    let player = Player::open(&server, &live.hls_url).await;
    player.until_seconds(2.0).await;

    // It still has its socket, as an encoder behind a network that broke.
    first.signal(rustix::process::Signal::STOP);
    aissatou.view_when(live.id, "interrupted").await;
    let second = ffmpeg_publish_for_ever(&clip(), &live.rtmp_url);
    let seen = player.now().await.duration_s();
    player.until_seconds(seen + 2.0).await;

    assert!(second.runs(), "{}", second.said());
    let view = aissatou.view_when(live.id, "live").await;
    let sessions = view["sessions"].as_array().expect("sessions");
    assert_eq!(sessions.len(), 2, "{view}");
    assert!(!sessions[0]["ended_at"].is_null(), "{view}");
    assert!(sessions[1]["ended_at"].is_null(), "{view}");
    assert_ended(&first).await;
}

/// Wakes an encoder whose connection was taken from it: it finds out.
async fn assert_ended(encoder: &Process) {
    encoder.signal(rustix::process::Signal::CONT);
    assert!(!encoder.ended().await.success());
}

/// Nothing is missing but at most three packets at the end and sound that ends before the first picture.
fn assert_same_packets(source: &Path, recording: &[u8]) {
    let (_folder, file) = saved(recording);
    let kept = kept(&packets(source), &packets(&file)).unwrap_or_else(|fault| panic!("{fault}"));
    assert!(kept.missing_at_the_end <= MAY_BE_LOST_AT_THE_END, "{kept}");
}
