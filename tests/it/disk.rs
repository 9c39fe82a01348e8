//! A disk that is full: viewers notice nothing, the recording says what it lacks.

use std::process::Command;

use serde_json::Value;

use crate::support::{
    Answer, Follower, Player, Playlist, Process, Server, SmallDisk, clip, decode_errors,
    eventually, ffmpeg_publish_for_ever,
};

/// Seconds of each hole that the disk has made.
fn holes(view: &Value) -> Vec<f64> {
    let gaps = view["recording"]["gaps"].as_array().expect("gaps").iter();
    gaps.filter(|gap| gap["cause"] == "disk")
        .map(|gap| gap["seconds"].as_f64().expect("seconds"))
        .collect()
}

/// Seconds of the segments that are marked as missing.
fn marked(playlist: &Playlist) -> f64 {
    let segments = playlist.segments.iter().filter(|segment| segment.gap);
    segments.map(|segment| segment.duration_s).sum()
}

#[tokio::test]
async fn a_disk_that_fills_up_in_mid_live_costs_viewers_nothing_and_the_recording_a_hole() {
    let disk = SmallDisk::of(48);
    let data = disk.path().join("data").display().to_string();
    let server = Server::start_with(&[("GRIOT_DATA_DIR", &data)]).await;
    let owner = server.member("aissatou").await;
    let live = owner.start_live("Disque plein").await;
    let encoder = ffmpeg_publish_for_ever(&clip(), &live.rtmp_url);
    let player = Player::open(&server, &live.hls_url).await;
    let follower = Follower::of(player.clone());
    let before = player.until_seconds(5.0).await;

    disk.fill();
    // Until memory has let go of a segment: each new segment was to be had when it was new.
    let mut seen = before.segments.len();
    let mut now = before.clone();
    while marked(&now) == 0.0 {
        now = player.after(&now).await;
        for segment in &now.segments[seen..] {
            assert!(!player.bytes(&segment.uri).await.is_empty());
        }
        seen = now.segments.len();
        assert!(now.duration_s() < 90.0, "no gap is told:\n{}", now.text);
    }
    let lost = now.segments.iter().find(|segment| segment.gap);
    let lost = lost.expect("just seen").uri.clone();
    assert!(player.try_bytes(&lost).await.is_none());
    let during = owner.view(live.id).await;
    assert_eq!(during["status"], "live", "{during}");
    assert!(holes(&during)[0] > 8.0, "{during}");
    assert!(server.metric("griot_parts_not_written_total", "").await > 0.0);
    assert_eq!(server.metric("griot_lives_not_recorded", "").await, 1.0);

    disk.make_room();
    let after = player
        .until("a new run has a whole segment", |playlist| {
            let last = playlist.segments.last();
            last.is_some_and(|last| last.uri.starts_with("1/"))
        })
        .await;
    assert_eq!(server.metric("griot_lives_not_recorded", "").await, 0.0);
    assert!(encoder.runs(), "{}", encoder.said());
    let parts = follower.kept();
    let next = parts.windows(2).find(|pair| {
        // What follows is one part on, or the first of the next segment.
        let place = |uri: &str| -> (u64, u64) {
            let name = uri.rsplit('/').next().expect("a name");
            let mut numbers = name.split('.').map(|number| number.parse().unwrap_or(0));
            let mut number = || numbers.next().expect("msn.part.m4s");
            (number(), number())
        };
        let (one, two) = (place(&pair[0].uri), place(&pair[1].uri));
        two != (one.0, one.1 + 1) && two != (one.0 + 1, 0)
    });
    assert!(next.is_none(), "a viewer missed parts: {next:?}");

    encoder.kill().await;
    let (view, first) = {
        owner.stop(live.id).await.expect(200);
        let view = owner.view_when_recorded(live.id).await;
        let url = view["recording"]["runs"][0]["mp4_url"].as_str();
        let first = Answer::of(server.client.get(url.expect("an MP4"))).await;
        (view, first.expect(200).body)
    };
    assert_eq!(holes(&view).len(), 1, "{view}");
    let replay = player.now().await;
    assert!(replay.ended && after.duration_s() <= replay.duration_s());
    // The segment in which the disk filled up was half written.
    let (hole, missing) = (holes(&view)[0], marked(&replay));
    assert!(
        hole <= missing + 0.01 && missing < hole + 6.4,
        "{hole} {missing}"
    );
    for segment in &replay.segments {
        let there = player.try_bytes(&segment.uri).await.is_some();
        assert_eq!(there, !segment.gap, "{}:\n{}", segment.uri, replay.text);
    }
    let runs = view["recording"]["runs"].as_array().expect("runs");
    assert_eq!(runs.len(), 2, "{view}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (number, run) in runs.iter().enumerate() {
        let url = run["mp4_url"].as_str().expect("an MP4");
        let bytes = Answer::of(server.client.get(url)).await.expect(200).body;
        let file = folder.path().join(format!("{number}.mp4"));
        std::fs::write(&file, bytes).expect("room");
        assert_eq!(decode_errors(&file), "");
    }
    let recorded: usize = before.segments.len();
    let whole = parts.iter().filter(|part| {
        let msn = part.uri.trim_start_matches("0/").split('.').next();
        msn.and_then(|msn| msn.parse::<usize>().ok())
            .is_some_and(|msn| msn < recorded)
    });
    for part in whole {
        let mut windows = first.windows(part.bytes.len().min(64));
        let begin = &part.bytes[..part.bytes.len().min(64)];
        assert!(windows.any(|bytes| bytes == begin), "{} is lost", part.uri);
    }
    server.griot(&["check"]);
}

#[tokio::test]
async fn a_live_that_ends_on_a_full_disk_is_made_final_when_there_is_room() {
    let disk = SmallDisk::of(48);
    let data = disk.path().join("data").display().to_string();
    let settings = [
        ("GRIOT_DATA_DIR", data.as_str()),
        ("GRIOT_LIVE_RECONNECT_GRACE", "1s"),
    ];
    let server = Server::start_with(&settings).await;
    let owner = server.member("aissatou").await;
    let live = owner.start_live("Plus de place").await;
    let encoder = ffmpeg_publish_for_ever(&clip(), &live.rtmp_url);
    let player = Player::open(&server, &live.hls_url).await;
    let before = player.until_seconds(4.0).await;

    disk.fill();
    let during = player.until_seconds(before.duration_s() + 3.0).await;
    encoder.kill().await;
    eventually("the live is over, or waits for its rows", || async {
        let log = server.log();
        let told = log.contains("could not be ended") || log.contains("the live ended");
        if told { Ok(()) } else { Err(log) }
    })
    .await;
    for segment in &before.segments {
        assert!(
            player.try_bytes(&segment.uri).await.is_some(),
            "{}",
            during.text
        );
    }
    disk.make_room();

    let view = owner.view_when_recorded(live.id).await;
    assert_eq!(view["status"], "ended", "{view}");
    assert_eq!(holes(&view).len(), 1, "{view}");
    let url = view["recording"]["mp4_url"].as_str().expect("an MP4");
    let bytes = Answer::of(server.client.get(url)).await.expect(200).body;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("recording.mp4");
    std::fs::write(&file, bytes).expect("room");
    assert_eq!(decode_errors(&file), "");
    server.griot(&["check"]);
}

/// strace holds one write back for eight seconds, as a disk that stands still does.
#[tokio::test]
async fn a_disk_that_stands_still_for_a_while_costs_viewers_little_and_the_recording_a_hole() {
    let server = Server::start().await;
    let owner = server.member("aissatou").await;
    let live = owner.start_live("Disque lent").await;
    let encoder = ffmpeg_publish_for_ever(&clip(), &live.rtmp_url);
    let player = Player::open(&server, &live.hls_url).await;
    let before = player.until_seconds(3.0).await;
    let file = server
        .data()
        .join(format!("spool/lives/{}/source/0.mp4", live.id));
    let strace = Process::start(
        "strace",
        Command::new("strace")
            .args(["-f", "-p", &server.pid().to_string(), "-P"])
            .arg(file)
            .args(["-e", "trace=pwrite64", "-e"])
            .arg("inject=pwrite64:delay_enter=8000000:when=1"),
    );

    // Three seconds of the eight are waited for; then parts come although the write still stands.
    let after = player
        .until("a new run has a whole segment", |playlist| {
            let last = playlist.segments.last();
            last.is_some_and(|last| last.uri.starts_with("1/"))
        })
        .await;
    assert!(
        server.log().contains("the disk refuses parts"),
        "{}",
        strace.said()
    );
    assert!(encoder.runs(), "{}", encoder.said());
    let still = after
        .segments
        .iter()
        .filter(|segment| segment.uri.starts_with("0/"));
    assert!(still.count() >= before.segments.len(), "{}", after.text);
    encoder.kill().await;
    owner.stop(live.id).await.expect(200);

    let view = owner.view_when_recorded(live.id).await;
    assert_eq!(holes(&view).len(), 1, "{view}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (number, run) in view["recording"]["runs"]
        .as_array()
        .expect("runs")
        .iter()
        .enumerate()
    {
        let url = run["mp4_url"].as_str().expect("an MP4");
        let bytes = Answer::of(server.client.get(url)).await.expect(200).body;
        let file = folder.path().join(format!("{number}.mp4"));
        std::fs::write(&file, bytes).expect("room");
        assert_eq!(decode_errors(&file), "");
    }
    server.griot(&["check"]);
}
