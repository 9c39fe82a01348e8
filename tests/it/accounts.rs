//! Logging in and what comes with it (contract §1.0, §1.1), and the service's own pages (§1.10).

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Bucket, Server, eventually, tool};

async fn post(server: &Server, path: &str, body: &Value) -> Answer {
    Answer::of(
        server
            .client
            .post(format!("{}{path}", server.http))
            .json(body),
    )
    .await
}

#[tokio::test]
async fn login_gives_the_member_and_two_tokens() {
    let server = Server::start().await;
    let aissatou = server.member("aissatou").await;

    let body = json!({"email": aissatou.email, "password": aissatou.password});
    let login = post(&server, "/api/users/login/", &body)
        .await
        .expect(200)
        .json;

    assert_eq!(login["user"]["id"], aissatou.id);
    assert_eq!(login["user"]["username"], "aissatou");
    assert_eq!(login["user"]["quartier"], 11);
    assert_eq!(login["user"]["location_info"], "Almamya, Kaloum");
    assert_eq!(
        login["user"].as_object().map(serde_json::Map::len),
        Some(24),
        "{login}"
    );
    assert!(login["message"].is_string(), "{login}");
    for token in ["access", "refresh"] {
        let parts = login["tokens"][token]
            .as_str()
            .expect("a token")
            .split('.')
            .count();
        assert_eq!(parts, 3, "a JSON web token has three parts");
    }
    let form = server
        .client
        .post(format!("{}/api/users/login/", server.http))
        .form(&[("email", &aissatou.email), ("password", &aissatou.password)]);
    Answer::of(form).await.expect(200);
}

#[tokio::test]
async fn login_errors_are_the_handwritten_kind() {
    let server = Server::start().await;
    let aissatou = server.member("aissatou").await;
    let wrong = [
        (400, json!({})),
        (400, json!({"email": aissatou.email})),
        (
            400,
            json!({"email": "no-address", "password": aissatou.password}),
        ),
        (401, json!({"email": aissatou.email, "password": "wrong"})),
        (
            401,
            json!({"email": "nobody@example.org", "password": aissatou.password}),
        ),
    ];
    for (status, body) in wrong {
        let refused = post(&server, "/api/users/login/", &body)
            .await
            .expect(status);
        assert!(
            refused.json["error"].is_string(),
            "{body}: {}",
            refused.json
        );
    }
}

#[tokio::test]
async fn a_refresh_token_works_once() {
    let server = Server::start().await;
    let aissatou = server.member("aissatou").await;
    let body = json!({"email": aissatou.email, "password": aissatou.password});
    let first = post(&server, "/api/users/login/", &body)
        .await
        .expect(200)
        .json["tokens"]["refresh"]
        .clone();

    let rotated = post(&server, "/api/token/refresh/", &json!({"refresh": first}))
        .await
        .expect(200)
        .json;
    assert!(
        rotated["access"].is_string() && rotated["refresh"].is_string(),
        "{rotated}"
    );
    assert_ne!(rotated["refresh"], first);

    let again = post(&server, "/api/token/refresh/", &json!({"refresh": first}))
        .await
        .expect(401);
    assert_eq!(again.json["code"], "token_not_valid");
    assert!(again.json["detail"].is_string(), "{}", again.json);
    let none = post(&server, "/api/token/refresh/", &json!({}))
        .await
        .expect(400);
    assert!(none.json["refresh"][0].is_string(), "{}", none.json);

    let access = rotated["access"].as_str().expect("a token");
    let profile = server
        .client
        .get(format!("{}/api/users/my-profile/", server.http))
        .bearer_auth(access);
    let profile = Answer::of(profile).await.expect(200);
    assert_eq!(profile.json["email"], aissatou.email.as_str());
}

#[tokio::test]
async fn health_is_public_and_answers_carry_the_security_headers() {
    let server = Server::start().await;

    let health = Answer::of(server.client.get(format!("{}/api/health/", server.http)))
        .await
        .expect(200);

    assert_eq!(health.json["status"], "ok");
    assert!(health.json["message"].is_string(), "{}", health.json);
    assert_eq!(health.header("x-content-type-options"), "nosniff");
    assert_eq!(health.header("x-frame-options"), "DENY");
    assert_eq!(health.header("referrer-policy"), "same-origin");
    assert!(!health.header("content-security-policy").is_empty());
}

#[tokio::test]
async fn what_does_not_exist_is_a_404_of_the_api() {
    let server = Server::start().await;

    let unknown = Answer::of(server.client.get(format!("{}/api/nothing/", server.http)))
        .await
        .expect(404);

    assert!(unknown.json["detail"].is_string(), "{}", unknown.json);
}

#[tokio::test]
async fn metrics_are_prometheus_text_without_a_key_in_it() {
    let server = Server::start().await;
    let aissatou = server.member("aissatou").await;
    let key = aissatou.stream_key().await;

    let metrics = Answer::of(server.client.get(format!("{}/metrics", server.http)))
        .await
        .expect(200);

    assert!(
        metrics.header("content-type").starts_with("text/plain"),
        "{}",
        metrics.header("content-type")
    );
    let text = String::from_utf8(metrics.body).expect("text");
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let value = line.rsplit(' ').next().unwrap_or_default();
        assert!(value.parse::<f64>().is_ok(), "{line:?} ends with no number");
    }
    assert!(text.contains("# TYPE griot_"), "{text}");
    assert!(!text.contains(&key));
}

#[tokio::test]
async fn places_are_read_only() {
    let server = Server::start().await;

    let url = format!("{}/api/geography/quartiers/", server.http);
    let list = Answer::of(server.client.get(&url)).await.expect(200).json;
    assert_eq!(list["count"], 77);
    assert_eq!(list["results"].as_array().map(Vec::len), Some(20));
    let made = Answer::of(server.client.post(&url).json(&json!({"nom": "X"}))).await;
    assert!(
        matches!(made.status.as_u16(), 401 | 403 | 405),
        "{}",
        made.status
    );
    let one = server.client.request(
        Method::GET,
        format!("{}/api/geography/quartiers/11/", server.http),
    );
    assert_eq!(Answer::of(one).await.expect(200).json["nom"], "Almamya");
}

#[tokio::test]
async fn demo_makes_one_member_and_tells_the_same_each_time() {
    let server = Server::start().await;

    let first = server.griot(&["demo"]);
    let second = server.griot(&["demo"]);

    assert_eq!(first, second);
    assert_eq!(first["rtmp_server"], server.rtmp.as_str());
    let page = first["page"].as_str().expect("a page");
    assert!(page.starts_with(&server.http), "{page}");
    let body = json!({"email": first["email"], "password": first["password"]});
    let login = post(&server, "/api/users/login/", &body)
        .await
        .expect(200)
        .json;
    assert_eq!(login["user"]["username"], "demo");
    let key = first["stream_key"].as_str().expect("a key");
    assert!(
        key.starts_with(&format!("live_{}_", login["user"]["id"])),
        "the key is not demo's own"
    );
}

/// A picture that ffmpeg makes, as a phone would send it.
fn photo(format: &str) -> Vec<u8> {
    let lavfi = [
        "-f",
        "lavfi",
        "-i",
        "testsrc=size=800x600",
        "-frames:v",
        "1",
    ];
    let out = ["-f", "image2pipe", "-c:v", format, "-"];
    tool(
        "ffmpeg",
        &[&["-v", "error"][..], &lavfi, &out].concat(),
        None,
    )
}

#[tokio::test]
async fn a_client_starts_from_nothing_and_its_old_profile_picture_leaves_the_bucket() {
    let bucket = Bucket::new().await;
    let server = Server::start_on(&bucket, &[]).await;
    let wish = json!({
        "username": "aissatou", "email": "aissatou@example.org", "quartier": 11,
        "password": "une-phrase", "password_confirm": "une-phrase",
    });
    let made = post(&server, "/api/users/register/", &wish).await;
    let tokens = made.expect(201).json["tokens"].clone();
    let access = tokens["access"].as_str().expect("a token").to_owned();
    let asked = |method: Method, path: &str| {
        let request = server
            .client
            .request(method, format!("{}{path}", server.http));
        request.bearer_auth(&access)
    };
    let live = Answer::of(asked(Method::POST, "/api/posts/live/start/").json(&json!({}))).await;
    assert!(live.expect(201).json["stream_key"].is_string());

    let send = async |format: &str| {
        let file = reqwest::multipart::Part::bytes(photo(format)).file_name("moi");
        let form = reqwest::multipart::Form::new().part("profile_picture", file);
        let sent = asked(Method::PATCH, "/api/users/my-profile/").multipart(form);
        let user = Answer::of(sent).await.expect(200).json["user"].clone();
        user["profile_picture"]
            .as_str()
            .expect("an address")
            .to_owned()
    };
    let stored = async || {
        let listed = bucket.store().list_all("profile_pictures/").await;
        let listed = listed.expect("the bucket answers").into_iter();
        listed.map(|object| object.path).collect::<Vec<_>>()
    };
    let (first, second) = (send("mjpeg").await, send("png").await);
    Answer::of(server.client.get(&second)).await.expect(200);
    Answer::of(server.client.get(&first)).await.expect(404);
    let left = second
        .split("/media/")
        .nth(1)
        .expect("below /media/")
        .to_owned();
    eventually("the first one is gone", || async {
        let there = stored().await;
        if there == [left.clone()] {
            Ok(())
        } else {
            Err(there)
        }
    })
    .await;
    server.griot(&["check"]);

    let out = json!({"refresh": tokens["refresh"]});
    Answer::of(asked(Method::POST, "/api/users/logout/").json(&out))
        .await
        .expect(200);
    post(&server, "/api/token/refresh/", &out).await.expect(401);
}
