//! A live outlives its encoders: drops, goodbyes, restarts.

use reqwest::Method;
use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    Answer, Member, Player, Server, clip, decode_errors, eventually, ffmpeg_publish,
    ffmpeg_publish_for_ever, packets,
};

/// Seconds of each gap of a recording.
fn gaps(view: &Value) -> Vec<f64> {
    let gaps = view["recording"]["gaps"].as_array().expect("gaps");
    assert!(gaps.iter().all(|gap| gap["cause"] == "encoder"), "{view}");
    gaps.iter()
        .map(|gap| gap["seconds"].as_f64().expect("seconds"))
        .collect()
}

fn run_count(view: &Value) -> usize {
    view["recording"]["runs"].as_array().expect("runs").len()
}

/// The recording of a stopped live decodes as one film without a hole.
fn assert_one_film(recording: &[u8]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("recording.mp4");
    std::fs::write(&file, recording).expect("room");
    assert_eq!(decode_errors(&file), "");
    let kept = packets(&file);
    // Where a session ends, one track ends before the other, and the next session begins where the later one has
    // ended. The sound that lacks is filled with silent packets, so that there is no hole; the picture may stand still.
    for (track, largest) in [(&kept.video, 0.1), (&kept.audio, 0.002)] {
        let mut times: Vec<(f64, f64)> = track
            .iter()
            .map(|packet| (packet.pts_s, packet.end_s))
            .collect();
        times.sort_by(|a, b| a.0.total_cmp(&b.0));
        for pair in times.windows(2) {
            let hole = pair[1].0 - pair[0].1;
            assert!(hole < largest, "a hole of {hole} s at {} s", pair[0].1);
            assert!(
                hole > -0.002,
                "an overlap of {} s at {} s",
                -hole,
                pair[0].1
            );
        }
    }
}

#[tokio::test]
async fn an_encoder_that_is_killed_and_returns_goes_on_in_the_same_live() {
    let server = Server::start().await;
    let aissatou = server.member("aissatou").await;
    let live = aissatou.start_live("Coupure").await;
    let first = ffmpeg_publish_for_ever(&clip(), &live.rtmp_url);
    let player = Player::open(&server, &live.hls_url).await;
    let before = player.until_seconds(4.0).await;

    first.kill().await;
    aissatou.view_when(live.id, "interrupted").await;
    let during = player.now().await;
    assert!(!during.ended, "the playlist stays open:\n{}", during.text);
    // Nothing may be lost of what was there.
    assert!(during.duration_s() >= before.duration_s());

    let _second = ffmpeg_publish_for_ever(&clip(), &live.rtmp_url);
    aissatou.view_when(live.id, "live").await;
    let after = player.until_seconds(during.duration_s() + 3.0).await;
    assert!(
        !after.text.contains("#EXT-X-DISCONTINUITY"),
        "{}",
        after.text
    );
    assert_eq!(
        after.segments[..during.segments.len()],
        during.segments[..],
        "history was rewritten"
    );

    let (view, recording) = aissatou.stop_and_download(live.id).await;
    assert_eq!(gaps(&view).len(), 1, "{view}");
    assert_eq!(run_count(&view), 1, "{view}");
    let sessions = view["sessions"].as_array().expect("sessions");
    assert_eq!(sessions.len(), 2, "{view}");
    assert_eq!(sessions[0]["end_reason"], "dropped");
    assert_one_film(&recording);
}

#[tokio::test]
async fn an_encoder_that_says_goodbye_and_returns_goes_on_in_the_same_live() {
    let server = Server::start().await;
    let aissatou = server.member("aissatou").await;
    let live = aissatou.start_live("Pause").await;
    ffmpeg_publish(&clip(), &live.rtmp_url).succeeded().await;
    aissatou.view_when(live.id, "interrupted").await;
    let player = Player::open(&server, &live.hls_url).await;
    let during = player.now().await;
    assert!(!during.ended, "{}", during.text);

    let _second = ffmpeg_publish_for_ever(&clip(), &live.rtmp_url);
    aissatou.view_when(live.id, "live").await;
    player.until_seconds(during.duration_s() + 2.0).await;

    let (view, recording) = aissatou.stop_and_download(live.id).await;
    assert_eq!(gaps(&view).len(), 1, "{view}");
    assert_eq!(run_count(&view), 1, "{view}");
    assert_eq!(view["sessions"][0]["end_reason"], "goodbye");
    assert_one_film(&recording);
}

#[tokio::test]
async fn a_goodbye_without_a_return_ends_the_live() {
    let server = Server::start_with(&[("GRIOT_LIVE_GOODBYE_GRACE", "2s")]).await;
    let aissatou = server.member("aissatou").await;
    let live = aissatou.start_live("Au revoir").await;

    ffmpeg_publish(&clip(), &live.rtmp_url).succeeded().await;

    let view = aissatou.view_when(live.id, "ended").await;
    assert_eq!(view["end_reason"], "ingest_closed");
    let view = aissatou.view_when_recorded(live.id).await;
    assert!(
        gaps(&view).is_empty(),
        "waiting at the end is no gap: {view}"
    );
    let replay = Player::open(&server, &live.hls_url).await.now().await;
    assert!(replay.ended, "{}", replay.text);
}

#[tokio::test]
async fn a_drop_without_a_return_ends_the_live() {
    let server = Server::start_with(&[("GRIOT_LIVE_RECONNECT_GRACE", "2s")]).await;
    let aissatou = server.member("aissatou").await;
    let live = aissatou.start_live("Panne").await;
    let encoder = ffmpeg_publish_for_ever(&clip(), &live.rtmp_url);
    Player::open(&server, &live.hls_url)
        .await
        .until_seconds(2.0)
        .await;

    encoder.kill().await;

    let view = aissatou.view_when(live.id, "ended").await;
    assert_eq!(view["end_reason"], "timeout");
    let view = aissatou.view_when_recorded(live.id).await;
    assert!(gaps(&view).is_empty(), "{view}");
}

#[tokio::test]
async fn a_key_may_start_a_new_live_once_the_old_one_has_ended_by_itself() {
    let server = Server::start_with(&[("GRIOT_LIVE_GOODBYE_GRACE", "1s")]).await;
    let aissatou = server.member("aissatou").await;
    let live = aissatou.start_live("Un").await;
    ffmpeg_publish(&clip(), &live.rtmp_url).succeeded().await;
    aissatou.view_when(live.id, "ended").await;

    let _again = ffmpeg_publish_for_ever(&clip(), &live.rtmp_url);

    let next = running_live(&server).await;
    assert_ne!(next, live.id);
    aissatou.view_when(next, "live").await;
}

#[tokio::test]
async fn an_orderly_stop_of_the_server_exits_with_zero_and_tells_encoders() {
    let mut server = Server::start().await;
    let aissatou = server.member("aissatou").await;
    let live = aissatou.start_live("Redémarrage").await;
    let encoder = ffmpeg_publish_for_ever(&clip(), &live.rtmp_url);
    let player = Player::open(&server, &live.hls_url).await;
    let before = player.until_seconds(4.0).await;

    let status = server.terminate().await;
    assert!(status.success(), "{status}:\n{}", server.log());
    assert!(!encoder.ended().await.success());

    server.start_again().await;
    goes_on(
        &server,
        &aissatou,
        live.id,
        &live.rtmp_url,
        &player,
        before.duration_s(),
    )
    .await;
}

#[tokio::test]
async fn a_crash_of_the_server_is_a_gap_of_the_live() {
    let mut server = Server::start().await;
    let aissatou = server.member("aissatou").await;
    let live = aissatou.start_live("Plantage").await;
    let encoder = ffmpeg_publish_for_ever(&clip(), &live.rtmp_url);
    let player = Player::open(&server, &live.hls_url).await;
    let before = player.until_seconds(4.0).await;

    server.kill().await;
    assert!(!encoder.ended().await.success());

    server.start_again().await;
    // One part may be lost, 200 ms.
    goes_on(
        &server,
        &aissatou,
        live.id,
        &live.rtmp_url,
        &player,
        before.duration_s() - 0.2,
    )
    .await;
}

/// After a restart: the same live waits, an encoder goes on in it, the recording is whole.
async fn goes_on(
    server: &Server,
    owner: &Member,
    live: i64,
    rtmp_url: &str,
    player: &Player,
    kept_s: f64,
) {
    let waiting = owner.view(live).await;
    assert_eq!(waiting["status"], "interrupted", "{waiting}");
    let resumed = player.now().await;
    assert!(!resumed.ended, "{}", resumed.text);
    assert!(
        resumed.duration_s() >= kept_s,
        "{kept_s} s were listed:\n{}",
        resumed.text
    );

    let _encoder = ffmpeg_publish_for_ever(&clip(), rtmp_url);
    owner.view_when(live, "live").await;
    player.until_seconds(resumed.duration_s() + 2.0).await;
    let (view, recording) = owner.stop_and_download(live).await;
    assert_eq!(gaps(&view).len(), 1, "{view}");
    assert_one_film(&recording);
    assert_eq!(running_lives(server).await, Vec::<i64>::new());
}

#[tokio::test]
async fn a_start_that_cannot_work_fails_and_names_the_key() {
    let server = Server::start().await;
    let (_, taken) = server.http.split_once("//").expect("an address");

    let second = crate::support::serve_in_vain(&[("GRIOT_HTTP_LISTEN", taken)]).await;

    assert!(!second.0.success());
    assert!(
        second.1.contains("http.listen") || second.1.contains("GRIOT_HTTP_LISTEN"),
        "{}",
        second.1
    );

    let unknown = crate::support::serve_in_vain(&[("GRIOT_HTTP_LISTENN", "127.0.0.1:0")]).await;
    assert!(!unknown.0.success());
    assert!(unknown.1.contains("GRIOT_HTTP_LISTENN"), "{}", unknown.1);
}

#[tokio::test]
async fn sigint_stops_in_order_too() {
    let server = Server::start().await;
    let status = server.stop_by(Signal::INT).await;
    assert!(status.success(), "{status}:\n{}", server.log());
}

async fn running_lives(server: &Server) -> Vec<i64> {
    let url = format!("{}/api/posts/live/?status=live", server.http);
    let list = Answer::of(server.client.request(Method::GET, url))
        .await
        .expect(200)
        .json;
    let results = list["results"].as_array().expect("results");
    results
        .iter()
        .map(|live| live["live_id"].as_i64().expect("an id"))
        .collect()
}

async fn running_live(server: &Server) -> i64 {
    eventually("a live runs", || async {
        let running = running_lives(server).await;
        running.first().copied().ok_or(running)
    })
    .await
}

/// Three lives with their encoders, and reloads that wait.
#[tokio::test]
async fn an_orderly_stop_tells_every_encoder_answers_who_waits_and_ends_in_time() {
    let mut server = Server::start().await;
    let mut on_air = Vec::new();
    for name in ["aissatou", "binta", "cellou"] {
        let member = server.member(name).await;
        let live = member.start_live(name).await;
        let encoder = ffmpeg_publish_for_ever(&clip(), &live.rtmp_url);
        let player = Player::open(&server, &live.hls_url).await;
        on_air.push((member, live, encoder, player));
    }
    let mut waiting = Vec::new();
    for (_, _, _, player) in &on_air {
        let now = player.until_seconds(3.0).await;
        // A part that is still to come: the answer waits.
        let mut url = player.address().clone();
        let next = now.segments.last().map_or(0, |segment| segment.msn + 1);
        let query = format!("_HLS_msn={next}&_HLS_part={}", now.open_parts.len() + 2);
        url.set_query(Some(&query));
        waiting.push(Answer::of(server.client.get(url)));
    }
    let (answers, status) = tokio::join!(
        futures_util::future::join_all(waiting),
        tokio::time::timeout(std::time::Duration::from_secs(10), server.terminate()),
    );

    let status = status.expect("it ends within ten seconds");
    assert!(status.success(), "{status}:\n{}", server.log());
    for answer in answers {
        let text = String::from_utf8(answer.expect(200).body).expect("a playlist");
        assert!(!text.contains("#EXT-X-ENDLIST"), "{text}");
    }
    for (_, _, encoder, _) in &on_air {
        assert!(!encoder.ended().await.success());
    }
    let log = server.log();
    assert_eq!(log.matches("the live is parked").count(), 3, "{log}");
    server.start_again().await;
    for (member, live, _, player) in &on_air {
        assert_eq!(member.view(live.id).await["status"], "interrupted");
        assert!(player.now().await.duration_s() >= 3.0);
    }
}

/// What holds the stop up is a database whose process stands still.
#[tokio::test]
async fn a_second_signal_aborts_a_stop_that_takes_its_time() {
    let cluster = crate::support::Postgres::start().await;
    let url = cluster.database();
    let mut server = Server::start_with(&[("GRIOT_DATABASE_URL", &url)]).await;
    let aissatou = server.member("aissatou").await;
    let live = aissatou.start_live("Deux signaux").await;
    let encoder = ffmpeg_publish_for_ever(&clip(), &live.rtmp_url);
    let player = Player::open(&server, &live.hls_url).await;
    let before = player.until_seconds(3.0).await;
    cluster.stop().await;

    server.signal(Signal::TERM);
    eventually("the stop has begun", || async {
        let log = server.log();
        if log.contains("a second signal aborts") {
            Ok(())
        } else {
            Err(log)
        }
    })
    .await;
    let status = server.terminate().await;

    assert_eq!(status.code(), Some(1), "{status}:\n{}", server.log());
    assert!(server.log().contains("aborted"), "{}", server.log());
    encoder.ended().await;
    cluster.start_again().await;
    server.start_again().await;
    assert_eq!(aissatou.view(live.id).await["status"], "interrupted");
    assert!(player.now().await.duration_s() >= before.duration_s() - 0.2);
}
