//! Start, stop, list and look, as contract §1.8 and design §9 say.

use super::*;
use serde_json::json;

const START: &str = "/api/posts/live/start/";

impl House {
    /// Starts a live and answers its id.
    async fn live(&self, token: &str) -> i64 {
        let answer = self
            .json("POST", START, Some(token), json!({"title": "Au marché"}))
            .await;
        assert_eq!(answer.status, 201);
        answer.json()["live_id"].as_i64().unwrap()
    }

    async fn stop(&self, token: &str, live: i64, body: Value) -> Answer {
        let path = format!("/api/posts/live/{live}/stop/");
        self.json("PUT", &path, Some(token), body).await
    }
}

#[tokio::test]
async fn start_answers_what_obs_and_viewers_need() {
    let house = House::open().await;
    let (id, token) = house.mariam().await;
    let answer = house.json("POST", START, Some(&token), json!({})).await;
    assert_eq!(answer.status, 201);
    let body = answer.json();
    assert_eq!(body["live_id"], body["post_id"]);
    let key = body["stream_key"].as_str().unwrap();
    assert!(key.starts_with(&format!("live_{id}_")));
    assert_eq!(body["rtmp_url"], format!("rtmp://griot.example/live/{key}"));
    let hls = body["hls_url"].as_str().unwrap();
    assert!(hls.starts_with("https://griot.example/live/") && hls.ends_with("/index.m3u8"));
    assert!(!hls.contains(key), "viewers never see the key");
    assert_eq!(body["message"], "Live démarré avec succès");
}

#[tokio::test]
async fn start_needs_a_quartier_and_a_token() {
    let house = House::open().await;
    house.member("fatou", Role::User, None).await;
    let token = house.token("fatou").await;
    let answer = house.json("POST", START, Some(&token), json!({})).await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.json(),
        json!({"error": "Quartier requis pour le live"})
    );
    assert_eq!(house.json("POST", START, None, json!({})).await.status, 401);
}

#[tokio::test]
async fn a_second_start_names_the_live_that_runs() {
    let house = House::open().await;
    let (_, token) = house.mariam().await;
    let live = house.live(&token).await;
    let answer = house.json("POST", START, Some(&token), json!({})).await;
    assert_eq!(answer.status, 409);
    assert_eq!(answer.json()["live_id"], live);
    assert!(answer.json()["error"].is_string());
}

#[tokio::test]
async fn what_is_said_of_a_live_is_checked_field_by_field() {
    let house = House::open().await;
    let (_, token) = house.mariam().await;
    let body = json!({"title": "x".repeat(201), "content": null, "description": ["a"]});
    let answer = house.json("POST", START, Some(&token), body).await;
    assert_eq!(answer.status, 400);
    let body = answer.json();
    for field in ["title", "content", "description"] {
        assert!(body[field][0].is_string(), "{field}: {body}");
    }
    let body = json!({"title": "x".repeat(200), "content": "Bonjour", "unknown": 1});
    let answer = house.json("POST", START, Some(&token), body).await;
    assert_eq!(answer.status, 201);
}

#[tokio::test]
async fn start_and_stop_answer_405_to_other_methods() {
    let house = House::open().await;
    let (_, token) = house.mariam().await;
    for (method, path) in [
        ("GET", START),
        ("PUT", START),
        ("POST", "/api/posts/live/1/stop/"),
        ("GET", "/api/posts/live/1/stop/"),
        ("POST", "/api/posts/live/"),
    ] {
        let answer = house.json(method, path, Some(&token), json!({})).await;
        assert_eq!(answer.status, 405, "{method} {path}");
        assert!(answer.json()["detail"].is_string());
    }
}

#[tokio::test]
async fn a_stop_is_the_owners_or_an_admins_and_as_good_twice() {
    let house = House::open().await;
    let (_, mariam) = house.mariam().await;
    house.member("fatou", Role::User, Some(ALMAMYA)).await;
    house.member("admin", Role::Admin, None).await;
    let (fatou, admin) = (house.token("fatou").await, house.token("admin").await);
    let live = house.live(&mariam).await;

    let foreign = house.stop(&fatou, live, json!({})).await;
    assert_eq!(foreign.status, 403);
    assert!(foreign.json()["error"].is_string());

    let path = format!("/api/posts/live/{live}/stop");
    let bare = asking("PUT", &path, Some(&mariam), Body::empty());
    let first = house.send(bare).await;
    assert_eq!(first.status, 200);
    assert_eq!(
        first.json(),
        json!({"message": "Live arrêté", "video_saved": false, "video_id": null})
    );
    let body = json!({"video_data": {"url": "blob:x", "duration": 5, "size": 1}});
    let second = house.stop(&mariam, live, body).await;
    assert_eq!(second.status, 200);
    assert_eq!(second.json(), first.json());

    for unknown in ["1", "x", "99999999999999999999"] {
        let path = format!("/api/posts/live/{unknown}/stop/");
        let answer = house.json("PUT", &path, Some(&mariam), json!({})).await;
        assert_eq!(answer.status, 404, "{unknown}");
        assert!(answer.json()["error"].is_string());
    }

    let live = house.live(&mariam).await;
    assert_eq!(house.stop(&admin, live, json!({})).await.status, 200);
    let view = house.get(&format!("/api/posts/live/{live}/")).await.json();
    assert_eq!(view["end_reason"], "admin");
}

#[tokio::test]
async fn a_forced_stop_says_so() {
    let house = House::open().await;
    let (_, token) = house.mariam().await;
    let live = house.live(&token).await;
    let answer = house.stop(&token, live, json!({"forced": true})).await;
    assert_eq!(answer.status, 200);
    let view = house.get(&format!("/api/posts/live/{live}/")).await.json();
    assert_eq!(view["status"], "ended");
    assert_eq!(view["end_reason"], "forced");
    let answer = house.stop(&token, live, json!({"forced": "perhaps"})).await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn the_public_view_tells_secrets_to_the_owner_and_admins_only() {
    let house = House::open().await;
    let (id, mariam) = house.mariam().await;
    house.member("fatou", Role::User, Some(ALMAMYA)).await;
    house.member("admin", Role::Admin, None).await;
    let live = house.live(&mariam).await;
    let publisher = house.publish(id).await;
    let path = format!("/api/posts/live/{live}/");

    let public = house.get(&path).await;
    assert_eq!(public.status, 200);
    let body = public.json();
    assert_eq!(body["title"], "Au marché");
    assert_eq!(body["author"]["id"], id.0);
    assert_eq!(body["post"]["quartier"]["nom"], "Almamya");
    // Contract §1.4, the keys of the Post object and those that the UI misses.
    for key in [
        "id",
        "author",
        "quartier",
        "title",
        "content",
        "post_type",
        "media_files",
        "live_stream",
        "is_live_post",
        "is_pinned",
        "is_anonymous",
        "likes_count",
        "comments_count",
        "views_count",
        "created_at",
        "updated_at",
        "comments",
        "likes",
        "is_liked_by_user",
        "has_media",
        "media_count",
        "shares_count",
        "is_shared_by_user",
        "live_status",
        "live_started_at",
        "live_ended_at",
    ] {
        assert!(body["post"].get(key).is_some(), "{key}");
    }
    assert_eq!(body["sessions"][0]["protocol"], "rtmp");
    for private in ["email", "phone_number", "date_of_birth", "last_login"] {
        assert!(body["author"].get(private).is_none(), "{private}");
    }
    let key = house.services.accounts.stream_key(id).await.unwrap();
    for secret in [key.expose(), "test encoder", "203.0.113.9", "mariam@"] {
        assert!(!public.text().contains(secret), "{secret}");
    }
    let fatou = house.get_as(&house.token("fatou").await, &path).await;
    assert_eq!(fatou.json(), body);

    let admin = house.token("admin").await;
    for token in [&mariam, &admin] {
        let private = house.get_as(token, &path).await.json();
        assert_eq!(private["stream_key"], key.expose());
        assert_eq!(private["sessions"][0]["encoder"], "test encoder 1.0");
    }
    assert_eq!(house.get("/api/posts/live/1/").await.status, 404);
    drop(publisher);
}

#[tokio::test]
async fn lives_are_listed_by_status() {
    let house = House::open().await;
    let (_, mariam) = house.mariam().await;
    house.member("fatou", Role::User, Some(ALMAMYA)).await;
    let fatou = house.token("fatou").await;
    let over = house.live(&mariam).await;
    house.stop(&mariam, over, json!({})).await;
    let running = house.live(&fatou).await;

    let listed = |query: &str| {
        let path = format!("/api/posts/live/{query}");
        let house = &house;
        async move {
            let body = house.get(&path).await.json();
            let results = body["results"].as_array().unwrap().clone();
            let ids = results.iter().map(|live| live["live_id"].as_i64().unwrap());
            (ids.collect::<Vec<_>>(), body)
        }
    };
    assert_eq!(listed("?status=live").await.0, [running]);
    assert_eq!(listed("?status=ended").await.0, [over]);
    let (all, body) = listed("?page_size=1").await;
    assert_eq!(all, [running], "newest first");
    assert_eq!(body["count"], 2);
    assert_eq!(
        body["next"],
        "https://griot.example/api/posts/live/?page_size=1&page=2"
    );
    assert_eq!(house.get("/api/posts/live/?page=2").await.status, 404);
    assert_eq!(house.get("/api/posts/live/?status=x").await.status, 400);
}
