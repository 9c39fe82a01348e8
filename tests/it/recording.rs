//! What a live leaves behind: an MP4 that any tool reads, behind a URL that any client resumes.

use std::path::PathBuf;

use reqwest::header::{IF_RANGE, RANGE};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    Answer, Live, Player, Playlist, Server, av_offset_s, clip, decode_errors, eventually,
    ffmpeg_publish, ffmpeg_publish_for_ever, other_clip, packets, probe, remux_errors,
};

/// A live of the whole clip, stopped, with its recording on disk.
struct Recorded {
    server: Server,
    live: Live,
    view: Value,
    file: PathBuf,
    /// Every address that a playlist named before the stop, with what it answered then.
    heard: Vec<(String, Vec<u8>)>,
    _folder: TempDir,
}

impl Recorded {
    async fn clip() -> Self {
        let server = Server::start().await;
        let owner = server.member("aissatou").await;
        let live = owner.start_live("Le marché de Madina").await;
        let encoder = ffmpeg_publish(&clip(), &live.rtmp_url);
        let player = Player::open(&server, &live.hls_url).await;
        let heard = hear_all(&player).await;
        encoder.succeeded().await;
        owner.view_when(live.id, "interrupted").await;
        let (view, bytes) = owner.stop_and_download(live.id).await;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("recording.mp4");
        std::fs::write(&file, bytes).expect("room for the recording");
        Self {
            server,
            live,
            view,
            file,
            heard,
            _folder: folder,
        }
    }

    fn mp4_url(&self) -> &str {
        self.view["recording"]["mp4_url"]
            .as_str()
            .expect("an address of the MP4")
    }

    /// GET of the MP4 with headers.
    async fn download(&self, headers: &[(reqwest::header::HeaderName, &str)]) -> Answer {
        let mut request = self.server.client.get(self.mp4_url());
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        Answer::of(request).await
    }
}

/// Fetches everything that the playlist names while about eight seconds of the clip pass.
async fn hear_all(player: &Player) -> Vec<(String, Vec<u8>)> {
    let mut heard: Vec<(String, Vec<u8>)> = Vec::new();
    let mut playlist = player.now().await;
    loop {
        for uri in named(&playlist) {
            if !heard.iter().any(|(known, _)| *known == uri) {
                let bytes = player.bytes(&uri).await;
                heard.push((uri, bytes));
            }
        }
        if playlist.duration_s() > 8.0 {
            return heard;
        }
        playlist = player.after(&playlist).await;
    }
}

/// Init sections, segments and parts.
fn named(playlist: &Playlist) -> Vec<String> {
    let mut uris = Vec::new();
    for segment in &playlist.segments {
        uris.push(segment.map.clone());
        uris.push(segment.uri.clone());
        uris.extend(segment.parts.iter().map(|part| part.uri.clone()));
    }
    uris.extend(playlist.open_parts.iter().map(|part| part.uri.clone()));
    uris
}

#[tokio::test]
async fn ffprobe_reads_the_exact_duration_and_sound_is_in_step_with_the_picture() {
    let recorded = Recorded::clip().await;

    let probe = probe(&recorded.file);
    let seconds = |value: &Value| -> f64 {
        value
            .as_str()
            .and_then(|text| text.parse().ok())
            .unwrap_or_else(|| panic!("seconds in {value}"))
    };
    let kept = packets(&recorded.file);
    // 30 pictures a second and 1024 samples of 48 kHz a packet: exact, whatever the encoder's last packets became.
    let count = |length: usize| f64::from(u32::try_from(length).expect("few packets"));
    let pictures_s = count(kept.video.len()) / 30.0;
    let sound_s = count(kept.audio.len()) * 1024.0 / 48_000.0;
    let video = &probe["streams"][0];
    let audio = &probe["streams"][1];
    assert_eq!(seconds(&video["start_time"]), 0.0, "{probe}");
    assert!(
        (seconds(&video["duration"]) - pictures_s).abs() < 0.001,
        "{pictures_s} s of pictures: {video}"
    );
    // The sound may begin inside its first packet, which covers the first picture: at most one packet is cut.
    assert!(
        (0.0..0.022).contains(&(sound_s - seconds(&audio["duration"]) + 0.0005)),
        "{sound_s} s of sound: {audio}"
    );
    let longest = seconds(&video["duration"]).max(seconds(&audio["duration"]));
    assert!(
        (seconds(&probe["format"]["duration"]) - longest).abs() < 0.001,
        "{probe}"
    );
    let said = recorded.view["recording"]["duration"]
        .as_f64()
        .expect("the view gives seconds");
    assert!(
        (said - longest).abs() < 0.05,
        "{said} s said, {longest} s probed"
    );

    let offsets = av_offset_s(&recorded.file);
    assert!(offsets.len() >= 9, "{offsets:?}");
    assert!(
        offsets.iter().all(|offset| offset.abs() <= 0.020),
        "beep minus flash, seconds: {offsets:?}"
    );
}

#[tokio::test]
async fn the_mp4_decodes_and_remuxes_without_a_complaint() {
    let recorded = Recorded::clip().await;

    assert_eq!(decode_errors(&recorded.file), "");
    assert_eq!(remux_errors(&recorded.file), "");
    let recording = &recorded.view["recording"];
    assert_eq!(recording["width"], 320);
    assert_eq!(recording["height"], 180);
    assert_eq!(recording["video_codec"], "h264");
    assert_eq!(recording["audio_codec"], "aac");
    let bytes = std::fs::metadata(&recorded.file).expect("the file").len();
    assert_eq!(recording["bytes"], bytes);
    assert_eq!(recording["gaps"], serde_json::json!([]));
    assert_eq!(
        recording["runs"].as_array().map(Vec::len),
        Some(1),
        "{recording}"
    );
}

#[tokio::test]
async fn media_bytes_are_the_same_before_and_after_the_stop() {
    let recorded = Recorded::clip().await;
    let player = Player::open(&recorded.server, &recorded.live.hls_url).await;

    // Eight seconds of the live at least: an init section, two segments, and forty parts of 200 ms less the
    // rounding to whole pictures.
    assert!(recorded.heard.len() > 35, "{}", recorded.heard.len());
    for (uri, before) in &recorded.heard {
        let after = player.bytes(uri).await;
        assert!(*before == after, "{uri} has changed with the stop");
    }

    let replay = player.now().await;
    assert!(replay.ended, "{}", replay.text);
    assert!(
        replay.text.contains("#EXT-X-PLAYLIST-TYPE:EVENT"),
        "{}",
        replay.text
    );
    assert!(
        replay.open_parts.is_empty() && replay.hint.is_none(),
        "{}",
        replay.text
    );
}

#[tokio::test]
async fn init_section_and_segments_in_a_row_decode_and_hold_every_picture() {
    let recorded = Recorded::clip().await;
    let player = Player::open(&recorded.server, &recorded.live.hls_url).await;

    let replay = player.now().await;
    let mut joined = player.bytes(&replay.segments[0].map).await;
    for segment in &replay.segments {
        joined.extend(player.bytes(&segment.uri).await);
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("joined.mp4");
    std::fs::write(&file, joined).expect("room");

    assert_eq!(decode_errors(&file), "");
    let (joined, whole) = (packets(&file), packets(&recorded.file));
    assert_eq!(
        joined.video.iter().map(|p| &p.hash).collect::<Vec<_>>(),
        whole.video.iter().map(|p| &p.hash).collect::<Vec<_>>()
    );
    assert_eq!(
        joined.audio.iter().map(|p| &p.hash).collect::<Vec<_>>(),
        whole.audio.iter().map(|p| &p.hash).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_download_can_be_resumed_and_has_a_name() {
    let recorded = Recorded::clip().await;
    let whole = std::fs::read(&recorded.file).expect("the recording");
    let length = whole.len();

    let all = recorded.download(&[]).await.expect(200);
    assert_eq!(all.header("content-type"), "video/mp4");
    assert_eq!(all.header("accept-ranges"), "bytes");
    assert_eq!(all.header("content-length"), length.to_string());
    assert_eq!(all.header("x-content-type-options"), "nosniff");
    let name = all.header("content-disposition");
    // The ASCII name for old clients, the real one for the others (RFC 6266 4.3).
    assert!(name.contains("filename=\"Le march"), "{name}");
    assert!(
        name.contains("filename*=UTF-8''Le%20march%C3%A9%20de%20Madina"),
        "{name}"
    );
    assert!(name.ends_with(".mp4"), "{name}");
    let etag = all.header("etag").to_owned();
    assert!(
        etag.starts_with('"') && etag.ends_with('"'),
        "{etag} is no strong tag"
    );

    let middle = recorded
        .download(&[(RANGE, "bytes=100-299")])
        .await
        .expect(206);
    assert_eq!(
        middle.header("content-range"),
        format!("bytes 100-299/{length}")
    );
    assert_eq!(middle.body, whole[100..300]);

    let rest = recorded
        .download(&[(RANGE, "bytes=1000-"), (IF_RANGE, &etag)])
        .await
        .expect(206);
    assert_eq!(rest.body, whole[1000..]);

    let last = recorded.download(&[(RANGE, "bytes=-50")]).await.expect(206);
    assert_eq!(last.body, whole[length - 50..]);

    let other = recorded
        .download(&[(RANGE, "bytes=1000-"), (IF_RANGE, "\"another\"")])
        .await
        .expect(200);
    assert_eq!(other.body.len(), length);

    let beyond = recorded
        .download(&[(RANGE, &format!("bytes={length}-"))])
        .await
        .expect(416);
    assert_eq!(beyond.header("content-range"), format!("bytes */{length}"));

    let known = recorded
        .download(&[(reqwest::header::IF_NONE_MATCH, &etag)])
        .await
        .expect(304);
    assert!(known.body.is_empty());

    let head = Answer::of(recorded.server.client.head(recorded.mp4_url()))
        .await
        .expect(200);
    assert_eq!(head.header("content-length"), length.to_string());
    assert_eq!(head.header("etag"), etag);
    assert!(head.body.is_empty());
}

#[tokio::test]
async fn there_is_no_mp4_address_before_the_recording_is_complete() {
    let server = Server::start().await;
    let owner = server.member("aissatou").await;
    let live = owner.start_live("En cours").await;
    let _encoder = ffmpeg_publish_for_ever(&clip(), &live.rtmp_url);
    let player = Player::open(&server, &live.hls_url).await;
    player.until_seconds(2.0).await;

    let view = owner.view_when(live.id, "live").await;

    assert_eq!(view["recording"]["state"], "recording", "{view}");
    assert!(view["recording"]["mp4_url"].is_null(), "{view}");
}

#[tokio::test]
async fn another_codec_configuration_begins_another_file_of_the_same_recording() {
    let server = Server::start().await;
    let owner = server.member("aissatou").await;
    let live = owner.start_live("Deux caméras").await;
    ffmpeg_publish(&other_clip(), &live.rtmp_url)
        .succeeded()
        .await;
    owner.view_when(live.id, "interrupted").await;
    ffmpeg_publish(&clip(), &live.rtmp_url).succeeded().await;
    eventually("the second session has ended", || async {
        let view = owner.view(live.id).await;
        if view["sessions"].as_array().map(Vec::len) == Some(2) && view["status"] == "interrupted" {
            Ok(())
        } else {
            Err(view)
        }
    })
    .await;
    owner.stop(live.id).await.expect(200);

    let view = owner.view_when_recorded(live.id).await;
    let runs = view["recording"]["runs"].as_array().expect("runs");
    assert_eq!(runs.len(), 2, "{view}");
    assert_eq!(
        (&runs[0]["width"], &runs[1]["width"]),
        (&240.into(), &320.into())
    );
    let replay = Player::open(&server, &live.hls_url).await.now().await;
    assert_eq!(
        replay
            .segments
            .iter()
            .filter(|segment| segment.discontinuity)
            .count(),
        1,
        "{}",
        replay.text
    );
    let maps: std::collections::BTreeSet<&str> = replay
        .segments
        .iter()
        .map(|segment| segment.map.as_str())
        .collect();
    assert_eq!(maps.len(), 2, "{}", replay.text);
    for run in runs {
        let url = run["mp4_url"].as_str().expect("each run has its file");
        let bytes = Answer::of(server.client.get(url)).await.expect(200).body;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("run.mp4");
        std::fs::write(&file, bytes).expect("room");
        assert_eq!(decode_errors(&file), "");
    }
}
