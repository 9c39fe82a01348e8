//! What players and caches between them and us see of a live: headers, blocking, refusals.

use serde_json::json;

use crate::support::{Answer, Live, Player, Process, Server, clip, ffmpeg_publish_for_ever};

async fn on_air() -> (Server, Live, Process, Player) {
    let server = Server::start().await;
    let owner = server.member("aissatou").await;
    let live = owner.start_live("À l'antenne").await;
    let encoder = ffmpeg_publish_for_ever(&clip(), &live.rtmp_url);
    let player = Player::open(&server, &live.hls_url).await;
    (server, live, encoder, player)
}

fn max_age(answer: &Answer) -> u32 {
    answer
        .header("cache-control")
        .split(',')
        .find_map(|directive| directive.trim().strip_prefix("max-age=")?.parse().ok())
        .unwrap_or(0)
}

#[tokio::test]
async fn media_may_be_cached_for_long_and_by_any_page() {
    let (server, _live, _encoder, player) = on_air().await;
    let playlist = player
        .until("a segment is whole", |playlist| {
            !playlist.segments.is_empty()
        })
        .await;
    let segment = &playlist.segments[0];

    for uri in [&segment.map, &segment.uri, &segment.parts[0].uri] {
        let request = server
            .client
            .get(player.resolve(uri))
            .header("origin", "https://elsewhere.example");
        let media = Answer::of(request).await.expect(200);
        assert_eq!(media.header("access-control-allow-origin"), "*", "{uri}");
        assert!(
            max_age(&media) >= 60,
            "{uri}: {}",
            media.header("cache-control")
        );
        assert!(media.header("cache-control").contains("immutable"), "{uri}");
        assert!(!media.header("cache-control").contains("private"), "{uri}");
        assert!(
            media.header("content-type").starts_with("video/"),
            "{uri}: {}",
            media.header("content-type")
        );
        assert_eq!(media.header("x-content-type-options"), "nosniff", "{uri}");
    }
    let preflight = server
        .client
        .request(reqwest::Method::OPTIONS, player.address().clone())
        .header("origin", "https://elsewhere.example")
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "range");
    let preflight = Answer::of(preflight).await;
    assert!(preflight.status.is_success(), "{}", preflight.status);
    assert_eq!(preflight.header("access-control-allow-origin"), "*");
}

#[tokio::test]
async fn a_playlist_is_cached_only_when_it_answers_a_number() {
    let (server, live, _encoder, player) = on_air().await;
    let seen = player
        .until("a segment is whole", |playlist| {
            !playlist.segments.is_empty()
        })
        .await;

    let plain = Answer::of(server.client.get(player.address().clone()))
        .await
        .expect(200);
    assert_eq!(plain.header("cache-control"), "no-store");
    assert_eq!(plain.header("access-control-allow-origin"), "*");
    assert_eq!(
        plain.header("content-type"),
        "application/vnd.apple.mpegurl"
    );
    let multivariant = Answer::of(server.client.get(&live.hls_url))
        .await
        .expect(200);
    assert_eq!(multivariant.header("access-control-allow-origin"), "*");

    let mut numbered = player.address().clone();
    numbered
        .query_pairs_mut()
        .append_pair("_HLS_msn", &seen.segments[0].msn.to_string());
    let numbered = Answer::of(server.client.get(numbered)).await.expect(200);
    assert!(
        (1..=60).contains(&max_age(&numbered)),
        "{}",
        numbered.header("cache-control")
    );
}

#[tokio::test]
async fn a_blocked_reload_is_released_by_the_next_part() {
    let (_server, _live, _encoder, player) = on_air().await;
    let mut seen = player.now().await;

    for _ in 0..10 {
        let next = player.after(&seen).await;
        assert!(
            next.duration_s() > seen.duration_s(),
            "{}\nthen\n{}",
            seen.text,
            next.text
        );
        seen = next;
    }
}

#[tokio::test]
async fn the_hinted_part_is_held_and_others_ahead_are_404() {
    let (server, _live, _encoder, player) = on_air().await;
    let seen = player.until_seconds(2.0).await;
    let hint = seen.hint.clone().expect("a live hints at its next part");

    let hinted = Answer::of(server.client.get(player.resolve(&hint))).await;
    // A cut may overtake the hint (design §4a): then, and only then, there is no such part.
    if hinted.status != 404 {
        assert_eq!(hinted.status, 200);
        assert_eq!(&hinted.body[4..8], b"moof");
    }
    let far = seen.segments.last().map_or(0, |segment| segment.msn) + 50;
    let segment = &seen
        .segments
        .last()
        .expect("two seconds hold a segment")
        .uri;
    let (folder, _) = segment.rsplit_once('/').expect("run/msn.m4s");
    Answer::of(
        server
            .client
            .get(player.resolve(&format!("{folder}/{far}.m4s"))),
    )
    .await
    .expect(404);
    Answer::of(
        server
            .client
            .get(player.resolve(&format!("{folder}/{far}.0.m4s"))),
    )
    .await
    .expect(404);
}

#[tokio::test]
async fn a_reload_too_far_ahead_or_without_its_number_is_refused() {
    let (server, _live, _encoder, player) = on_air().await;
    let seen = player.now().await;
    let far = seen.segments.last().map_or(0, |segment| segment.msn) + 10;

    for query in [
        format!("_HLS_msn={far}"),
        "_HLS_part=0".to_owned(),
        "_HLS_msn=x".to_owned(),
    ] {
        let mut url = player.address().clone();
        url.set_query(Some(&query));
        let refused = Answer::of(server.client.get(url)).await;
        assert_eq!(refused.status, 400, "{query}");
        assert_eq!(refused.header("cache-control"), "no-store", "{query}");
    }
}

#[tokio::test]
async fn a_weak_link_gets_a_playlist_without_parts() {
    let (server, _live, _encoder, player) = on_air().await;
    player
        .until("a segment is whole", |playlist| {
            !playlist.segments.is_empty()
        })
        .await;

    let mut url = player.address().clone();
    url.set_query(Some("ll=0"));
    let text = String::from_utf8(Answer::of(server.client.get(url)).await.expect(200).body)
        .expect("UTF-8");

    assert!(text.contains("#EXTINF"), "{text}");
    for tag in ["#EXT-X-PART:", "#EXT-X-PART-INF", "#EXT-X-PRELOAD-HINT"] {
        assert!(!text.contains(tag), "{tag} in\n{text}");
    }
}

#[tokio::test]
async fn before_the_first_media_there_is_nothing_to_play_yet() {
    let server = Server::start().await;
    let owner = server.member("aissatou").await;
    let live = owner.start_live("Bientôt").await;

    let early = Answer::of(server.client.get(&live.hls_url))
        .await
        .expect(404);

    assert_eq!(early.header("retry-after"), "2");
    assert_eq!(early.header("cache-control"), "no-store");
    assert_eq!(early.header("access-control-allow-origin"), "*");
    let unknown = live.hls_url.replace("/index.m3u8", "x/index.m3u8");
    Answer::of(server.client.get(unknown)).await.expect(404);
}

#[tokio::test]
async fn viewers_are_counted_while_they_reload() {
    let (server, live, _encoder, player) = on_air().await;
    player.until_seconds(2.0).await;

    let url = format!("{}/api/posts/live/{}/", server.http, live.id);
    let view = Answer::of(server.client.get(url)).await.expect(200).json;

    assert_eq!(view["viewers"], json!(1), "{view}");
}
