//! The ingest doctor: an encoder's owner is told what to change, nobody else is.

use crate::support::{
    Answer, Member, Player, Server, clip, eventually, ffmpeg_long_gop, ffmpeg_publish_for_ever,
};
use serde_json::Value;

/// The finding of this code in a live's view.
fn finding(view: &Value, code: &str) -> Option<Value> {
    let findings = view["doctor"].as_array()?;
    findings
        .iter()
        .find(|finding| finding["code"] == code)
        .cloned()
}

async fn until_found(member: &Member, live: i64, code: &str) -> Value {
    eventually(&format!("the doctor finds {code}"), || async {
        let view = member.view(live).await;
        finding(&view, code).ok_or(view)
    })
    .await
}

#[tokio::test]
async fn a_long_gop_is_told_to_the_owner_and_to_nobody_else() {
    let server = Server::start().await;
    let aissatou = server.member("aissatou").await;
    let stranger = server.member("binta").await;
    let live = aissatou.start_live("Images clés rares").await;
    // 300 pictures at 30 a second: ten seconds.
    let encoder = ffmpeg_long_gop(&clip(), 300, &live.rtmp_url);

    let found = until_found(&aissatou, live.id, "no_key_frame").await;
    assert_eq!(found["severity"], "error", "{found}");
    let found = until_found(&aissatou, live.id, "long_gop").await;
    assert_eq!(found["severity"], "warning", "{found}");
    assert_eq!(found["numbers"]["seconds"], 10.0, "{found}");
    assert!(found["since"].is_string(), "{found}");
    let message = found["message"].as_str().expect("a sentence");
    assert!(
        message.starts_with("Une image clé toutes les 10 s"),
        "{message}"
    );
    assert!(
        found["advice"]
            .as_str()
            .is_some_and(|advice| advice.contains("OBS"))
    );
    let path = format!("/api/posts/live/{}/", live.id);
    let english = Answer::of(
        aissatou
            .request(reqwest::Method::GET, &path)
            .header("accept-language", "en"),
    )
    .await
    .expect(200);
    let english = finding(&english.json, "long_gop").expect("it is still there");
    let message = english["message"].as_str().expect("a sentence");
    assert!(
        message.starts_with("A key frame only every 10 s"),
        "{message}"
    );

    let seen = stranger.view(live.id).await;
    assert!(seen.get("doctor").is_none(), "{seen}");
    let nobody = Answer::of(server.client.get(format!("{}{path}", server.http))).await;
    assert!(nobody.expect(200).json.get("doctor").is_none());
    let metrics = Answer::of(server.client.get(format!("{}/metrics", server.http))).await;
    let metrics = String::from_utf8(metrics.expect(200).body).expect("text");
    assert!(
        metrics.contains("griot_doctor_findings{code=\"long_gop\"} 1"),
        "{metrics}"
    );

    // Both keys have come, so the missing one is gone from the log and the view.
    assert!(finding(&aissatou.view(live.id).await, "no_key_frame").is_none());
    encoder.kill().await;
    aissatou.view_when(live.id, "interrupted").await;
    let view = aissatou.view(live.id).await;
    assert_eq!(view["doctor"], serde_json::json!([]), "{view}");
    let log = server.log();
    let lines = |words: &str, code: &str| {
        let said = log.lines().filter(|line| line.contains(words));
        said.filter(|line| line.contains(&format!("\"code\":\"{code}\"")))
            .count()
    };
    for code in ["no_key_frame", "long_gop"] {
        assert_eq!(lines("the doctor found something", code), 1, "{log}");
        assert_eq!(lines("a finding is gone", code), 1, "{log}");
    }
}

#[tokio::test]
async fn an_encoder_as_it_should_be_has_no_findings() {
    let server = Server::start().await;
    let aissatou = server.member("aissatou").await;
    let live = aissatou.start_live("Tout va bien").await;
    let _encoder = ffmpeg_publish_for_ever(&clip(), &live.rtmp_url);
    let player = Player::open(&server, &live.hls_url).await;

    // Rates are known after ten seconds.
    player.until_seconds(13.0).await;

    let view = aissatou.view(live.id).await;
    assert_eq!(view["doctor"], serde_json::json!([]), "{view}");
    let log = server.log();
    assert!(!log.contains("the doctor found something"), "{log}");
}
