//! Start, stop, list and look at lives: the contract's §1.8, as its clients match it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Answer, Live, Member, Player, Server, clip, ffmpeg_publish, ffmpeg_publish_for_ever,
};

const START: &str = "/api/posts/live/start/";

fn stop(live: i64) -> String {
    format!("/api/posts/live/{live}/stop/")
}

/// GET without a login.
async fn anonymous(server: &Server, path: &str) -> Answer {
    Answer::of(server.client.get(format!("{}{path}", server.http))).await
}

/// A live with an encoder that has sent something.
async fn on_air(server: &Server, owner: &Member) -> (Live, crate::support::Process) {
    let live = owner.start_live("À l'antenne").await;
    let encoder = ffmpeg_publish_for_ever(&clip(), &live.rtmp_url);
    Player::open(server, &live.hls_url).await;
    (live, encoder)
}

#[tokio::test]
async fn start_answers_what_an_encoder_and_a_page_need() {
    let server = Server::start().await;
    let aissatou = server.member("aissatou").await;

    let body = json!({"title": "Le marché", "description": "de Madina", "content": "Bonjour", "unknown": 1});
    let started = aissatou.post(START, &body).await.expect(201).json;

    let text = |key: &str| {
        started[key]
            .as_str()
            .unwrap_or_else(|| panic!("{key} in {started}"))
    };
    assert_eq!(started["live_id"], started["post_id"]);
    let live = started["live_id"].as_i64().expect("an id");
    assert!((1..1 << 53).contains(&live), "{live}");
    let prefix = format!("live_{}_", aissatou.id);
    let secret = text("stream_key")
        .strip_prefix(&prefix)
        .expect("live_{user_id}_ comes first");
    assert_eq!(secret.len(), 32);
    assert!(
        secret.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')),
        "{secret}"
    );
    assert_eq!(
        text("rtmp_url"),
        format!("{}/{}", server.rtmp, text("stream_key"))
    );
    assert!(
        text("hls_url").starts_with(&format!("{}/live/", server.http)),
        "{started}"
    );
    assert!(text("hls_url").ends_with("/index.m3u8"), "{started}");
    assert!(!text("hls_url").contains(secret), "{started}");
    assert!(!text("message").is_empty());

    let view = aissatou.view(live).await;
    assert_eq!(view["status"], "ready");
    assert_eq!(view["title"], "Le marché");
    assert_eq!(view["description"], "de Madina");
    assert_eq!(view["post"]["content"], "Bonjour");
    assert_eq!(view["post"]["post_type"], "live");
    assert_eq!(view["post"]["is_live_post"], true);
    assert_eq!(view["post"]["quartier"]["id"], 11);
}

#[tokio::test]
async fn start_takes_an_empty_body_a_form_and_multipart() {
    let server = Server::start().await;
    let aissatou = server.member("aissatou").await;

    let empty = Answer::of(aissatou.request(Method::POST, START))
        .await
        .expect(201);
    aissatou
        .stop(empty.json["live_id"].as_i64().expect("an id"))
        .await
        .expect(200);

    let form = aissatou
        .request(Method::POST, START)
        .form(&[("title", "Formulaire")]);
    let form = Answer::of(form).await.expect(201).json["live_id"]
        .as_i64()
        .expect("an id");
    assert_eq!(aissatou.view(form).await["title"], "Formulaire");
    aissatou.stop(form).await.expect(200);

    let parts =
        "--x\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nEn morceaux\r\n--x--\r\n";
    let multipart = aissatou
        .request(Method::POST, START)
        .header("content-type", "multipart/form-data; boundary=x")
        .body(parts);
    let multipart = Answer::of(multipart).await.expect(201).json["live_id"]
        .as_i64()
        .expect("an id");
    assert_eq!(aissatou.view(multipart).await["title"], "En morceaux");
}

#[tokio::test]
async fn start_without_a_quartier_is_refused_in_the_words_that_clients_match() {
    let server = Server::start().await;
    let nomad = server.member_without_quartier("nomade").await;

    let refused = nomad.post(START, &json!({})).await.expect(400);

    assert_eq!(
        refused.json,
        json!({"error": "Quartier requis pour le live"})
    );
}

#[tokio::test]
async fn a_publish_of_an_owner_without_a_quartier_is_refused_and_says_why() {
    let server = Server::start().await;
    let nomad = server.member_without_quartier("nomade").await;
    let key = nomad.stream_key().await;

    let encoder = ffmpeg_publish(&clip(), &format!("{}/{key}", server.rtmp));

    assert!(!encoder.ended().await.success());
    assert!(encoder.said().contains("quartier"), "{}", encoder.said());
}

#[tokio::test]
async fn a_second_start_names_the_live_that_is_on() {
    let server = Server::start().await;
    let aissatou = server.member("aissatou").await;
    let first = aissatou.start_live("Premier").await;

    let second = aissatou
        .post(START, &json!({"title": "Second"}))
        .await
        .expect(409);

    assert_eq!(second.json["live_id"], first.id);
    assert!(second.json["error"].is_string(), "{}", second.json);
}

#[tokio::test]
async fn start_refuses_what_is_no_start() {
    let server = Server::start().await;
    let aissatou = server.member("aissatou").await;

    let null = aissatou
        .post(START, &json!({"content": null}))
        .await
        .expect(400);
    assert!(null.json["content"][0].is_string(), "{}", null.json);

    let broken = aissatou
        .request(Method::POST, START)
        .header("content-type", "application/json")
        .body("{\"title\": ");
    let broken = Answer::of(broken).await.expect(400);
    let detail = broken.json["detail"].as_str().expect("a detail");
    assert!(detail.starts_with("JSON parse error - "), "{detail}");

    let xml = aissatou
        .request(Method::POST, START)
        .header("content-type", "text/xml")
        .body("<title/>");
    let xml = Answer::of(xml).await.expect(415);
    assert!(xml.json["detail"].is_string(), "{}", xml.json);

    for method in [Method::GET, Method::PUT] {
        let wrong = Answer::of(aissatou.request(method, START))
            .await
            .expect(405);
        assert!(wrong.json["detail"].is_string(), "{}", wrong.json);
    }
    // None of these has left a live behind.
    aissatou.start_live("Enfin").await;
}

#[tokio::test]
async fn stop_answers_the_same_the_second_time() {
    let server = Server::start().await;
    let aissatou = server.member("aissatou").await;
    let (live, _encoder) = on_air(&server, &aissatou).await;

    let first = aissatou.stop(live.id).await.expect(200).json;
    let view = aissatou.view_when_recorded(live.id).await;
    let second = aissatou.stop(live.id).await.expect(200).json;

    for stopped in [&first, &second] {
        assert_eq!(stopped["message"], "Live arrêté");
        assert!(stopped["video_saved"].is_boolean(), "{stopped}");
        let id = &stopped["video_id"];
        assert!(id.is_null() || id.is_i64(), "{stopped}");
    }
    assert_eq!(
        second["video_saved"], true,
        "the recording is ready: {second}"
    );
    assert_eq!(view["status"], "ended");
    assert_eq!(view["end_reason"], "owner");
    assert_eq!(view["post"]["is_live_post"], false);
    assert!(view["ended_at"].is_string(), "{view}");
}

#[tokio::test]
async fn stop_is_worded_in_english_for_who_reads_english() {
    let server = Server::start().await;
    let aissatou = server.member("aissatou").await;
    let live = aissatou.start_live("Live").await;

    let request = aissatou
        .request(Method::PUT, &stop(live.id))
        .header("accept-language", "en");
    let stopped = Answer::of(request).await.expect(200);

    let message = stopped.json["message"].as_str().expect("a message");
    assert_ne!(message, "Live arrêté");
    assert!(message.is_ascii(), "{message}");
}

#[tokio::test]
async fn a_live_that_nobody_published_to_can_be_stopped() {
    let server = Server::start().await;
    let aissatou = server.member("aissatou").await;
    let live = aissatou.start_live("Sans caméra").await;

    let stopped = aissatou.stop(live.id).await.expect(200).json;

    assert_eq!(stopped["video_saved"], false);
    assert_eq!(stopped["video_id"], Value::Null);
    let view = aissatou.view(live.id).await;
    assert_eq!(view["status"], "ended");
    assert_eq!(view["end_reason"], "owner");
}

#[tokio::test]
async fn a_forced_stop_is_kept_as_such() {
    let server = Server::start().await;
    let aissatou = server.member("aissatou").await;
    let live = aissatou.start_live("Arrêt forcé").await;

    let request = aissatou
        .request(Method::PUT, &stop(live.id))
        .json(&json!({"forced": true}));
    Answer::of(request).await.expect(200);

    assert_eq!(aissatou.view(live.id).await["end_reason"], "forced");
}

#[tokio::test]
async fn stop_tells_unknown_from_not_yours() {
    let server = Server::start().await;
    let aissatou = server.member("aissatou").await;
    let mamadou = server.member("mamadou").await;
    let live = aissatou.start_live("À moi").await;

    let unknown = mamadou.stop(4_503_599_627_370_497).await.expect(404);
    assert!(unknown.json["error"].is_string(), "{}", unknown.json);
    let word = Answer::of(mamadou.request(Method::PUT, "/api/posts/live/abc/stop/")).await;
    assert_eq!(word.status, 404);
    let foreign = mamadou.stop(live.id).await.expect(403);
    assert!(foreign.json["error"].is_string(), "{}", foreign.json);
    for method in [Method::POST, Method::GET] {
        let wrong = Answer::of(aissatou.request(method, &stop(live.id)))
            .await
            .expect(405);
        assert!(wrong.json["detail"].is_string(), "{}", wrong.json);
    }
    assert_eq!(aissatou.view(live.id).await["status"], "ready");
}

#[tokio::test]
async fn start_and_stop_want_a_login() {
    let server = Server::start().await;
    let aissatou = server.member("aissatou").await;
    let live = aissatou.start_live("Live").await;

    for (method, path) in [
        (Method::POST, START.to_owned()),
        (Method::PUT, stop(live.id)),
    ] {
        let url = format!("{}{path}", server.http);
        let nobody = Answer::of(server.client.request(method.clone(), &url))
            .await
            .expect(401);
        assert!(nobody.json["detail"].is_string(), "{}", nobody.json);
        assert!(nobody.json.get("code").is_none(), "{}", nobody.json);

        let forged = server.client.request(method, &url).bearer_auth("a.b.c");
        let forged = Answer::of(forged).await.expect(401);
        assert_eq!(forged.json["code"], "token_not_valid");
        assert_eq!(forged.json["messages"][0]["token_class"], "AccessToken");
        assert_eq!(forged.json["messages"][0]["token_type"], "access");
        assert!(
            forged.json["messages"][0]["message"].is_string(),
            "{}",
            forged.json
        );
    }
}

#[tokio::test]
async fn paths_work_without_their_slash_and_no_post_is_redirected() {
    let server = Server::start().await;
    let aissatou = server.member("aissatou").await;

    let started = aissatou
        .post("/api/posts/live/start", &json!({}))
        .await
        .expect(201);
    let live = started.json["live_id"].as_i64().expect("an id");
    for path in [
        "/api/posts/live?status=live",
        &format!("/api/posts/live/{live}"),
        "/api/health",
    ] {
        let answer = anonymous(&server, path).await;
        // The earlier system redirects a GET; both are the contract's.
        assert!(
            matches!(answer.status.as_u16(), 200 | 301),
            "{path}: {}",
            answer.status
        );
    }
    let stopped = aissatou.request(Method::PUT, &format!("/api/posts/live/{live}/stop"));
    Answer::of(stopped).await.expect(200);
}

#[tokio::test]
async fn a_publish_without_a_start_makes_a_live() {
    let server = Server::start().await;
    let aissatou = server.member("aissatou").await;
    let key = aissatou.stream_key().await;

    let _encoder = ffmpeg_publish_for_ever(&clip(), &format!("{}/{key}", server.rtmp));
    let listed = crate::support::eventually("the live is listed", || async {
        let list = anonymous(&server, "/api/posts/live/?status=live")
            .await
            .expect(200)
            .json;
        if list["results"][0]["status"] == "live" {
            Ok(list)
        } else {
            Err(list)
        }
    })
    .await;

    let live = listed["results"][0]["live_id"].as_i64().expect("an id");
    let hls_url = listed["results"][0]["hls_url"]
        .as_str()
        .expect("an address");
    Player::open(&server, hls_url).await;
    assert_eq!(listed["results"][0]["author"]["id"], aissatou.id);
    let hls_url = listed["results"][0]["hls_url"]
        .as_str()
        .expect("an address");
    Player::open(&server, hls_url).await;
    let started = aissatou.post(START, &json!({})).await.expect(409);
    assert_eq!(started.json["live_id"], live);
    let (view, _) = aissatou.stop_and_download(live).await;
    assert_eq!(view["end_reason"], "owner");
}

#[tokio::test]
async fn a_publish_without_a_start_can_be_forbidden() {
    let server = Server::start_with(&[("GRIOT_LIVE_START_ON_PUBLISH", "off")]).await;
    let aissatou = server.member("aissatou").await;
    let key = aissatou.stream_key().await;

    let early = ffmpeg_publish(&clip(), &format!("{}/{key}", server.rtmp));
    assert!(!early.ended().await.success());
    assert!(
        early.said().contains("no live was started"),
        "{}",
        early.said()
    );

    let (_, encoder) = on_air(&server, &aissatou).await;
    assert!(encoder.runs());
}

#[tokio::test]
async fn lives_are_listed_by_status_newest_first_in_pages() {
    let server = Server::start().await;
    let aissatou = server.member("aissatou").await;
    let mamadou = server.member("mamadou").await;
    let mut ended = Vec::new();
    for number in 0..3 {
        let live = aissatou.start_live(&format!("Passé {number}")).await;
        aissatou.stop(live.id).await.expect(200);
        ended.push(live.id);
    }
    let waiting = mamadou.start_live("En attente").await;

    let ids = |list: &Value| -> Vec<i64> {
        let results = list["results"]
            .as_array()
            .unwrap_or_else(|| panic!("results in {list}"));
        results
            .iter()
            .map(|live| live["live_id"].as_i64().expect("an id"))
            .collect()
    };
    let live = anonymous(&server, "/api/posts/live/?status=live")
        .await
        .expect(200)
        .json;
    assert_eq!(
        ids(&live),
        [waiting.id],
        "what waits for its encoder counts as live"
    );
    assert_eq!(live["count"], 1);
    ended.reverse();
    let old = anonymous(&server, "/api/posts/live/?status=ended")
        .await
        .expect(200)
        .json;
    assert_eq!(ids(&old), ended);
    let all = anonymous(&server, "/api/posts/live/")
        .await
        .expect(200)
        .json;
    assert_eq!(all["count"], 4);

    let page = anonymous(&server, "/api/posts/live/?status=ended&page_size=2&page=2")
        .await
        .expect(200)
        .json;
    assert_eq!(ids(&page), ended[2..]);
    assert_eq!(page["next"], Value::Null);
    let previous = page["previous"].as_str().expect("there is a first page");
    assert!(previous.starts_with(&server.http), "{previous}");
    let beyond = anonymous(&server, "/api/posts/live/?page=9")
        .await
        .expect(404);
    assert!(beyond.json["detail"].is_string(), "{}", beyond.json);
}

#[tokio::test]
async fn only_the_owner_sees_how_to_publish() {
    let server = Server::start().await;
    let aissatou = server.member("aissatou").await;
    let mamadou = server.member("mamadou").await;
    let (live, _encoder) = on_air(&server, &aissatou).await;
    let path = format!("/api/posts/live/{}/", live.id);

    let own = aissatou.get(&path).await.expect(200).json;
    assert_eq!(own["stream_key"], live.stream_key.as_str());
    assert_eq!(own["rtmp_url"], live.rtmp_url.as_str());
    assert!(own["sessions"][0]["encoder"].is_string(), "{own}");
    assert_eq!(own["sessions"][0]["protocol"], "rtmp");

    let list = anonymous(&server, "/api/posts/live/").await.expect(200);
    let public = anonymous(&server, &path).await.expect(200);
    let other = mamadou.get(&path).await.expect(200);
    for seen in [&list, &public, &other] {
        let text = String::from_utf8_lossy(&seen.body);
        assert!(!text.contains(&live.stream_key), "the key is shown: {text}");
        for private in [
            "stream_key",
            "rtmp_url",
            "encoder",
            "email",
            "phone_number",
            "remote",
        ] {
            assert!(
                !text.contains(&format!("\"{private}\"")),
                "{private} is shown: {text}"
            );
        }
    }
    assert_eq!(public.json["hls_url"], live.hls_url.as_str());
    assert_eq!(public.json["status"], "live");
    assert!(public.json["started_at"].is_string(), "{}", public.json);
    assert!(public.json["viewers"].is_u64(), "{}", public.json);
    anonymous(&server, "/api/posts/live/4503599627370497/")
        .await
        .expect(404);
}

#[tokio::test]
async fn after_a_stop_the_encoder_is_told_and_its_own_reconnect_is_refused() {
    let server = Server::start().await;
    let aissatou = server.member("aissatou").await;
    let (live, encoder) = on_air(&server, &aissatou).await;

    aissatou.stop(live.id).await.expect(200);
    assert!(!encoder.ended().await.success(), "{}", encoder.said());

    let reconnect = ffmpeg_publish(&clip(), &live.rtmp_url);
    assert!(!reconnect.ended().await.success());
    assert!(
        reconnect.said().contains("the live was stopped"),
        "{}",
        reconnect.said()
    );

    let (next, again) = on_air(&server, &aissatou).await;
    assert_ne!(next.id, live.id);
    assert_ne!(next.hls_url, live.hls_url);
    assert_eq!(next.stream_key, live.stream_key, "OBS is set up once");
    assert!(again.runs());
}

#[tokio::test]
async fn a_rotated_key_replaces_the_old_one() {
    let server = Server::start().await;
    let aissatou = server.member("aissatou").await;
    let old = aissatou.stream_key().await;

    aissatou
        .post("/api/users/my-profile/stream-key/", &json!({}))
        .await
        .expect(200);
    let new = aissatou.stream_key().await;

    assert_ne!(old, new);
    let refused = ffmpeg_publish(&clip(), &format!("{}/{old}", server.rtmp));
    assert!(!refused.ended().await.success());
    assert!(
        refused.said().contains("unknown stream key"),
        "{}",
        refused.said()
    );
    let live = aissatou.start_live("Nouvelle clé").await;
    assert_eq!(live.stream_key, new);
}
