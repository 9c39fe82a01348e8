//! Log-in, tokens, profile, key and geography.

use super::*;
use serde_json::json;

#[tokio::test]
async fn login_answers_the_user_and_both_tokens() {
    let house = House::open().await;
    let id = house.member("mariam", Role::User, Some(ALMAMYA)).await;
    let body = json!({"email": "mariam@example.org", "password": PASSWORD});
    let answer = house.json("POST", "/api/users/login/", None, body).await;
    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert_eq!(body["message"], "Connexion réussie");
    let user = body["user"].as_object().unwrap();
    let mut keys: Vec<&str> = user.keys().map(String::as_str).collect();
    keys.sort_unstable();
    // Contract §1.1, the 24 keys of the User object.
    let mut expected = [
        "id",
        "username",
        "email",
        "first_name",
        "last_name",
        "full_name",
        "phone_number",
        "date_of_birth",
        "bio",
        "profile_picture",
        "quartier",
        "role",
        "is_verified",
        "is_geographically_verified",
        "location_info",
        "is_ambassador",
        "is_admin",
        "followers_count",
        "following_count",
        "is_following",
        "can_follow",
        "date_joined",
        "last_login",
        "is_active",
    ];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!(user["id"], id.0);
    assert_eq!(user["quartier"], ALMAMYA);
    assert_eq!(user["location_info"], "Almamya, Kaloum");
    assert_eq!(user["full_name"], "Mariam Diallo");

    let access = body["tokens"]["access"].as_str().unwrap();
    let profile = house.get_as(access, "/api/users/my-profile/").await;
    assert_eq!(profile.status, 200);
    assert_eq!(profile.json()["email"], "mariam@example.org");
    assert_eq!(profile.header("cache-control"), "no-store");
}

#[tokio::test]
async fn login_takes_a_form_and_json_that_claims_to_be_one() {
    let house = House::open().await;
    house.member("mariam", Role::User, None).await;
    for body in [
        "email=mariam%40example.org&password=un+mot+de+passe",
        r#"{"email": "mariam@example.org", "password": "un mot de passe"}"#,
    ] {
        let mut request = asking("POST", "/api/users/login", None, Body::from(body));
        let form = "application/x-www-form-urlencoded".parse().unwrap();
        request.headers_mut().insert(CONTENT_TYPE, form);
        assert_eq!(house.send(request).await.status, 200, "{body}");
    }
    let body = "--b\r\nContent-Disposition: form-data; name=\"email\"\r\n\r\nmariam@example.org\r\n\
        --b\r\nContent-Disposition: form-data; name=\"photo\"; filename=\"x\"\r\n\r\nbytes\r\n\
        --b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nun mot de passe\r\n--b--\r\n";
    let mut request = asking("POST", "/api/users/login/", None, Body::from(body));
    let multipart = "multipart/form-data; boundary=b".parse().unwrap();
    request.headers_mut().insert(CONTENT_TYPE, multipart);
    assert_eq!(house.send(request).await.status, 200);
}

#[tokio::test]
async fn login_refuses_in_the_shape_that_was_written_by_hand() {
    let house = House::open().await;
    house.member("mariam", Role::User, None).await;
    for (body, status) in [
        (json!({}), 400),
        (json!({"email": "mariam@example.org"}), 400),
        (json!({"email": "", "password": "x"}), 400),
        (json!({"email": "mariam", "password": PASSWORD}), 400),
        (
            json!({"email": "mariam@example.org", "password": "wrong"}),
            401,
        ),
        (
            json!({"email": "nobody@example.org", "password": "wrong"}),
            401,
        ),
    ] {
        let answer = house
            .json("POST", "/api/users/login/", None, body.clone())
            .await;
        assert_eq!(answer.status, status, "{body}");
        assert!(answer.json()["error"].is_string(), "{body}");
    }
    let mut request = asking("POST", "/api/users/login/", None, Body::from("{\"email\""));
    let json = "application/json".parse().unwrap();
    request.headers_mut().insert(CONTENT_TYPE, json);
    let answer = house.send(request).await;
    assert_eq!(answer.status, 400);
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.starts_with("JSON parse error - "), "{detail}");

    let mut request = asking("POST", "/api/users/login/", None, Body::from("<a/>"));
    let xml = "application/xml".parse().unwrap();
    request.headers_mut().insert(CONTENT_TYPE, xml);
    assert_eq!(house.send(request).await.status, 415);
}

#[tokio::test]
async fn the_eleventh_attempt_within_a_minute_waits() {
    let house = House::with(Config::default()).await;
    house.member("mariam", Role::User, None).await;
    let wrong = json!({"email": "mariam@example.org", "password": "wrong"});
    for _ in 0..10 {
        let answer = house
            .json("POST", "/api/users/login/", None, wrong.clone())
            .await;
        assert_eq!(answer.status, 401);
    }
    let answer = house.json("POST", "/api/users/login/", None, wrong).await;
    assert_eq!(answer.status, 429);
    assert!(answer.json()["detail"].is_string());
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait));
    let other = json!({"email": "fatou@example.org", "password": "wrong"});
    let answer = house.json("POST", "/api/users/login/", None, other).await;
    assert_eq!(answer.status, 401, "another account is not concerned");
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_not_after_a_logout() {
    let house = House::open().await;
    house.member("mariam", Role::User, None).await;
    let body = json!({"email": "mariam@example.org", "password": PASSWORD});
    let tokens = house
        .json("POST", "/api/users/login/", None, body)
        .await
        .json()["tokens"]
        .clone();
    let refresh = |token: Value| {
        let body = json!({"refresh": token});
        house.json("POST", "/api/token/refresh/", None, body)
    };
    let renewed = refresh(tokens["refresh"].clone()).await;
    assert_eq!(renewed.status, 200);
    let renewed = renewed.json();
    let again = refresh(tokens["refresh"].clone()).await;
    assert_eq!(again.status, 401);
    assert_eq!(again.json()["code"], "token_not_valid");

    let access = renewed["access"].as_str().unwrap();
    let body = json!({"refresh": renewed["refresh"]});
    let answer = house
        .json("POST", "/api/users/logout/", Some(access), body)
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(refresh(renewed["refresh"].clone()).await.status, 401);

    let missing = house
        .json("POST", "/api/token/refresh/", None, json!({}))
        .await;
    assert_eq!(missing.status, 400);
    assert_eq!(
        missing.json(),
        json!({"refresh": ["Ce champ est obligatoire."]})
    );
}

#[tokio::test]
async fn without_a_token_or_with_a_bad_one_the_contracts_401_comes_back() {
    let house = House::open().await;
    let answer = house.get("/api/users/my-profile/").await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"api\"");
    assert_eq!(
        answer.json(),
        json!({"detail": "Informations d’authentification non fournies."})
    );
    // On public endpoints too: a client must learn that its token is over.
    for path in ["/api/users/my-profile/", "/api/posts/live/"] {
        let answer = house.get_as("not.a.token", path).await;
        assert_eq!(answer.status, 401, "{path}");
        let body = answer.json();
        assert_eq!(body["code"], "token_not_valid");
        assert_eq!(body["messages"][0]["token_class"], "AccessToken");
        assert_eq!(body["messages"][0]["token_type"], "access");
    }
}

#[tokio::test]
async fn a_disabled_account_is_told_so() {
    let house = House::open().await;
    let (id, token) = house.mariam().await;
    house.services.accounts.set_active(id, false).await.unwrap();
    let answer = house.get_as(&token, "/api/users/my-profile/").await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.json()["code"], "user_inactive");
}

#[tokio::test]
async fn the_stream_key_is_shown_again_and_rotated() {
    let house = House::open().await;
    let (id, token) = house.mariam().await;
    let path = "/api/users/my-profile/stream-key/";
    let first = house.get_as(&token, path).await.json();
    let key = first["stream_key"].as_str().unwrap();
    assert!(key.starts_with(&format!("live_{id}_")));
    assert_eq!(first["rtmp_server"], "rtmp://griot.example/live");
    assert_eq!(
        first["rtmp_url"],
        format!("rtmp://griot.example/live/{key}")
    );
    assert_eq!(house.get_as(&token, path).await.json(), first);
    let rotated = house.json("POST", path, Some(&token), json!({})).await;
    assert_eq!(rotated.status, 200);
    assert_ne!(rotated.json()["stream_key"], first["stream_key"]);
    assert_eq!(house.get(path).await.status, 401);
}

#[tokio::test]
async fn the_geography_is_the_contracts() {
    let house = House::open().await;
    let quartiers = house.get("/api/geography/quartiers/?page=4").await.json();
    assert_eq!(quartiers["count"], 77);
    assert_eq!(quartiers["next"], Value::Null);
    assert_eq!(quartiers["results"].as_array().unwrap().len(), 17);
    assert_eq!(
        quartiers["previous"],
        "https://griot.example/api/geography/quartiers/?page=3"
    );
    let almamya = house.get("/api/geography/quartiers/11/").await.json();
    assert_eq!(almamya["nom"], "Almamya");
    assert_eq!(almamya["commune"]["prefecture"]["region"]["nom"], "Conakry");
    let address = house
        .get("/api/geography/quartiers/11/full_address/")
        .await
        .json();
    assert_eq!(address["full_address"], "Almamya, Kaloum, Conakry, Conakry");
    let communes = house.get("/api/geography/prefectures/1/communes/").await;
    assert_eq!(communes.json().as_array().unwrap().len(), 5);
    let all = house.get("/api/users/geographic-data/").await.json();
    assert_eq!(all["regions"].as_array().unwrap().len(), 7);
    assert_eq!(all["quartiers"].as_array().unwrap().len(), 77);
    assert_eq!(all["quartiers"][10]["commune"], "Kaloum");
    let kaloum = &all["regions"][0]["prefectures"][0]["communes"][1];
    assert_eq!(kaloum["quartiers"].as_array().unwrap().len(), 13);
    for unknown in ["78", "0", "x"] {
        let path = format!("/api/geography/quartiers/{unknown}/");
        assert_eq!(house.get(&path).await.status, 404, "{unknown}");
    }
    let write = house
        .json("POST", "/api/geography/regions/", None, json!({"nom": "x"}))
        .await;
    assert_eq!(write.status, 405, "read only");
}
