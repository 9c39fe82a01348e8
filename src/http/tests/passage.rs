//! What every request passes: headers, origins, limits, slashes, the page.

use super::*;
use crate::http::MetricsTo;
use serde_json::json;

#[tokio::test]
async fn every_answer_carries_the_headers_of_the_contract() {
    let house = House::open().await;
    for path in [
        "/",
        "/api/health/",
        "/api/nothing/",
        "/live/nothing/index.m3u8",
        "/recordings/nothing/0.mp4",
        "/metrics",
        "/watch/1",
    ] {
        let answer = house.get(path).await;
        for (name, value) in [
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("x-xss-protection", "1; mode=block"),
            (
                "strict-transport-security",
                "max-age=31536000; includeSubDomains",
            ),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("permissions-policy", "camera=(self), microphone=(self)"),
        ] {
            assert_eq!(answer.header(name), value, "{path}");
        }
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("script-src 'self';"), "{path}");
        assert!(answer.header("x-response-time").ends_with('s'), "{path}");
    }
}

#[tokio::test]
async fn both_forms_of_a_path_are_accepted() {
    let house = House::open().await;
    for path in ["/api/health", "/api/health/", "/api/health//"] {
        let answer = house.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.json()["status"], "ok");
    }
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_answer_in_the_clients_language() {
    let house = House::open().await;
    let mut request = asking("GET", "/api/nothing/", None, Body::empty());
    let english = "en-GB,en;q=0.9".parse().unwrap();
    request.headers_mut().insert("accept-language", english);
    let answer = house.send(request).await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.json(), json!({"detail": "Not found."}));
    assert_eq!(answer.header("content-language"), "en");

    let wrong = asking("DELETE", "/api/health/", None, Body::empty());
    let answer = house.send(wrong).await;
    assert_eq!(answer.status, 405);
    assert_eq!(
        answer.json(),
        json!({"detail": "Méthode non autorisée ici."})
    );
    assert!(answer.header("allow").contains("GET"));
}

#[tokio::test]
async fn head_answers_the_length_and_no_body() {
    let house = House::open().await;
    for path in [
        "/api/health/",
        "/api/nothing/",
        "/watch/1",
        "/live/x/index.m3u8",
    ] {
        let full = house.get(path).await;
        let head = house.send(asking("HEAD", path, None, Body::empty())).await;
        assert_eq!(head.status, full.status, "{path}");
        assert!(head.body.is_empty(), "{path}");
        assert_eq!(
            head.header("content-length"),
            full.body.len().to_string(),
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_api_is_open_to_the_listed_origins_only() {
    let house = House::open().await;
    let from = |origin: &'static str, method: &str| {
        let mut request = asking(method, "/api/health/", None, Body::empty());
        let headers = request.headers_mut();
        headers.insert("origin", origin.parse().unwrap());
        if method == "OPTIONS" {
            let post = "POST".parse().unwrap();
            headers.insert("access-control-request-method", post);
        }
        house.send(request)
    };
    let known = from("http://localhost:3000", "GET").await;
    assert_eq!(
        known.header("access-control-allow-origin"),
        "http://localhost:3000"
    );
    assert_eq!(known.header("access-control-allow-credentials"), "true");
    let preflight = from("http://localhost:3000", "OPTIONS").await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-max-age"), "86400");
    assert!(
        preflight
            .header("access-control-allow-headers")
            .contains("authorization")
    );
    for method in ["GET", "OPTIONS"] {
        let stranger = from("https://evil.example", method).await;
        assert!(
            !stranger
                .headers
                .keys()
                .any(|name| name.as_str().starts_with("access-control")),
            "{method}"
        );
        assert!(
            stranger
                .headers
                .get_all("vary")
                .iter()
                .any(|vary| vary == "Origin")
        );
    }
}

#[tokio::test]
async fn media_is_open_to_every_origin() {
    let house = House::open().await;
    for path in ["/live/x/index.m3u8", "/recordings/x/0.mp4"] {
        let mut request = asking("GET", path, None, Body::empty());
        let origin = "https://player.example".parse().unwrap();
        request.headers_mut().insert("origin", origin);
        let answer = house.send(request).await;
        assert_eq!(answer.status, 404);
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        let preflight = asking("OPTIONS", path, None, Body::empty());
        let preflight = house.send(preflight).await;
        assert_eq!(preflight.status, 204);
        assert!(
            preflight
                .header("access-control-allow-headers")
                .contains("Range")
        );
        let write = house.send(asking("PUT", path, None, Body::empty())).await;
        assert_eq!(write.status, 405);
    }
}

#[tokio::test]
async fn the_hundred_and_first_request_of_a_minute_is_refused_but_media_is_not() {
    let house = House::with(Config::default()).await;
    for _ in 0..100 {
        let answer = house.get("/api/geography/regions/").await;
        assert_eq!(answer.status, 200);
    }
    let answer = house.get("/api/geography/regions/").await;
    assert_eq!(answer.status, 429);
    assert!(answer.json()["error"].is_string());
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait));
    assert_eq!(house.get("/api/health/").await.status, 200);
    assert_eq!(house.get("/live/x/index.m3u8").await.status, 404);
    assert_eq!(house.get("/").await.status, 200);
}

#[tokio::test]
async fn an_hour_has_a_hundred_requests_for_nobody_and_a_thousand_for_a_member() {
    let house = House::with(Config::default()).await;
    // Nobody's: a profile that needs a login. What pages poll is not counted.
    let minute = std::time::Duration::from_secs(60);
    let mut answers = Vec::new();
    for _ in 0..3 {
        for _ in 0..50 {
            answers.push(house.get("/api/users/search/?q=a").await.status);
            assert_ne!(house.get("/api/posts/live/").await.status, 429);
        }
        // Only for this: while time stands still, the database's would run out.
        tokio::time::pause();
        tokio::time::advance(minute).await;
        tokio::time::resume();
    }
    assert!(
        answers[..100].iter().all(|status| *status != 429),
        "{answers:?}"
    );
    assert!(
        answers[100..].iter().all(|status| *status == 429),
        "{answers:?}"
    );
}

#[tokio::test]
async fn large_answers_are_compressed_for_those_who_take_it() {
    let house = House::open().await;
    let zipped = |path: &str| {
        let mut request = asking("GET", path, None, Body::empty());
        let gzip = "gzip".parse().unwrap();
        request.headers_mut().insert("accept-encoding", gzip);
        house.send(request)
    };
    let large = zipped("/api/users/geographic-data/").await;
    assert_eq!(large.header("content-encoding"), "gzip");
    assert_eq!(large.body[..2], [0x1f, 0x8b]);
    let small = zipped("/api/health/").await;
    assert!(!small.headers.contains_key("content-encoding"));
}

#[tokio::test]
async fn the_root_is_a_page_for_browsers_and_json_for_programs() {
    let house = House::open().await;
    let program = house.get("/").await;
    let body = program.json();
    for key in ["message", "version", "status", "endpoints"] {
        assert!(body.get(key).is_some(), "{key}");
    }
    let mut request = asking("GET", "/", None, Body::empty());
    let html = "text/html,application/xhtml+xml,*/*;q=0.8".parse().unwrap();
    request.headers_mut().insert("accept", html);
    let browser = house.send(request).await;
    assert_eq!(browser.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(browser.header("cache-control"), "no-cache");
}

#[tokio::test]
async fn the_page_is_revalidated_and_its_assets_are_kept() {
    let house = House::open().await;
    for path in ["/watch/7", "/post/7", "/studio", "/login", "/watch/7/"] {
        let page = house.get(path).await;
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    }
    let page = house.get("/watch/7").await;
    let mut request = asking("GET", "/watch/7", None, Body::empty());
    let etag = page.headers["etag"].clone();
    request.headers_mut().insert("if-none-match", etag);
    let known = house.send(request).await;
    assert_eq!(known.status, 304);
    assert!(known.body.is_empty());

    let asset = page
        .text()
        .split('"')
        .find(|word| word.starts_with("/assets/"))
        .unwrap();
    let asset = house.get(asset).await;
    assert_eq!(asset.status, 200);
    assert_eq!(
        asset.header("cache-control"),
        "public, max-age=31536000, immutable"
    );
    let missing = house.get("/assets/0000/none.js").await;
    assert_eq!(missing.status, 404);
    assert_eq!(missing.header("content-type"), "application/json");
}

#[tokio::test]
async fn metrics_are_plain_text_and_for_whom_the_setting_says() {
    let here = Peer {
        address: "127.0.0.1".parse().unwrap(),
        secure: false,
    };
    let forwarded = [("x-forwarded-for", "203.0.113.9")];
    for (metrics, local, by_proxy, strangers) in [
        (MetricsTo::Local, 200, 404, 404),
        (MetricsTo::Open, 200, 200, 200),
        (MetricsTo::Off, 404, 404, 404),
    ] {
        let house = House::with(Config {
            metrics,
            ..Config::default()
        })
        .await;
        let asked = async |peer: Peer, headers: &[(&str, &str)]| {
            let mut request = Request::get("/metrics");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let request = request.body(Body::empty()).unwrap();
            house.front.answer(peer, request).await
        };
        let answer = asked(here, &[]).await;
        assert_eq!(answer.status(), local, "{metrics:?}");
        if local == 200 {
            let kind = answer.headers()["content-type"].to_str().unwrap();
            assert!(kind.starts_with("text/plain"), "{kind}");
        }
        assert_eq!(
            asked(here, &forwarded).await.status(),
            by_proxy,
            "{metrics:?}"
        );
        assert_eq!(asked(VIEWER, &[]).await.status(), strangers, "{metrics:?}");
    }
}

#[tokio::test]
async fn a_server_that_stops_or_has_no_database_is_not_ready() {
    let house = House::open().await;
    let ready = house.get("/api/health/ready/").await;
    assert_eq!(
        (ready.status, ready.json()["status"].as_str()),
        (StatusCode::OK, Some("ready"))
    );
    house.services.stopping.cancel();
    assert_eq!(house.get("/api/health/ready/").await.status, 503);
    assert_eq!(house.get("/api/health/").await.status, 200);

    let house = House::open().await;
    house.services.store.close().await;
    assert_eq!(house.get("/api/health/ready/").await.status, 503);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let house = House::open().await;
    let body = json!({"email": "x".repeat(300 * 1024)});
    let answer = house.json("POST", "/api/users/login/", None, body).await;
    assert_eq!(answer.status, 413);
    assert!(answer.json()["detail"].is_string());
}
