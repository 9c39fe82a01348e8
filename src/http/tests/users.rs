//! Registration, profile, and what members see of each other: the contract's JSON, whole (§1.1).

use super::*;
use serde_json::json;

const REGISTER: &str = "/api/users/register/";
const PROFILE: &str = "/api/users/my-profile/";

fn mariam() -> Value {
    json!({
        "username": "mariam_diallo", "email": "Mariam@Example.org",
        "password": "12345678", "password_confirm": "12345678",
        "first_name": "Mariam", "last_name": "Diallo", "quartier": ALMAMYA,
    })
}

/// The contract's example of the User object (§1.1) with what no two runs have in common.
fn whole(id: &Value, date_joined: &Value) -> Value {
    json!({
        "id": id, "username": "mariam_diallo", "email": "mariam@example.org", "first_name": "Mariam", "last_name": "Diallo",
        "full_name": "Mariam Diallo", "phone_number": "", "date_of_birth": null, "bio": "", "profile_picture": null,
        "quartier": 11, "role": "user", "is_verified": false, "is_geographically_verified": false,
        "location_info": "Almamya, Kaloum", "is_ambassador": false, "is_admin": false,
        "followers_count": 0, "following_count": 0, "is_following": false, "can_follow": false,
        "date_joined": date_joined, "last_login": null, "is_active": true,
    })
}

#[tokio::test]
async fn whoever_registers_is_a_member_and_logged_in() {
    let house = House::open().await;
    let mut wish = mariam();
    // What nobody can give themselves.
    wish["role"] = "admin".into();
    wish["is_verified"] = true.into();
    let answer = house.json("POST", REGISTER, None, wish).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let body = answer.json();
    let user = &body["user"];
    let (access, refresh) = (&body["tokens"]["access"], &body["tokens"]["refresh"]);
    let expected = json!({
        "user": whole(&user["id"], &user["date_joined"]),
        "tokens": {"refresh": refresh, "access": access},
        "message": "Inscription réussie",
    });
    assert_eq!(body, expected);
    assert_eq!(
        user["date_joined"].as_str().map(str::len),
        Some("2025-07-23T08:48:48.795957Z".len())
    );

    let own = house.get_as(access.as_str().unwrap(), PROFILE).await;
    assert_eq!(own.json(), *user);
    let refreshed = json!({"refresh": refresh});
    let answer = house
        .json("POST", "/api/token/refresh/", None, refreshed)
        .await;
    assert_eq!(answer.status, 200);
    let login = json!({"email": "mariam@example.org", "password": "12345678"});
    let answer = house.json("POST", "/api/users/login/", None, login).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn each_field_of_a_registration_is_refused_by_its_name() {
    let house = House::open().await;
    let first = house.json("POST", REGISTER, None, mariam()).await;
    assert_eq!(first.status, 201);
    let missing = "Ce champ est obligatoire.";
    let answer = house
        .json("POST", REGISTER, None, json!({"bio": null}))
        .await;
    assert_eq!(answer.status, 400);
    let expected = json!({
        "password": [missing], "username": [missing], "email": [missing],
        "bio": ["Ce champ ne peut être nul."], "password_confirm": [missing],
    });
    assert_eq!(answer.json(), expected);

    let long = "x".repeat(501);
    for (field, value, sentence) in [
        (
            "username",
            json!("mariam_diallo"),
            "Ce nom d’utilisateur est déjà pris.",
        ),
        (
            "username",
            json!("a b"),
            "Lettres, chiffres et @ . + - _ uniquement.",
        ),
        ("username", json!(""), "Ce champ ne peut être vide."),
        (
            "username",
            json!(&long[..151]),
            "Ce champ est limité à 150 caractères.",
        ),
        (
            "email",
            json!("MARIAM@example.org"),
            "Un compte existe déjà avec cette adresse e-mail.",
        ),
        (
            "email",
            json!("mariam"),
            "Saisissez une adresse e-mail valide.",
        ),
        (
            "password",
            json!(["x"]),
            "Ce champ doit être une chaîne de caractères.",
        ),
        (
            "phone_number",
            json!("12"),
            "Saisissez un numéro de 9 à 15 chiffres, comme +224620000000.",
        ),
        (
            "date_of_birth",
            json!("31/01/1990"),
            "Saisissez une date au format AAAA-MM-JJ.",
        ),
        ("bio", json!(long), "Ce champ est limité à 500 caractères."),
        (
            "quartier",
            json!("Almamya"),
            "Un identifiant entier est attendu.",
        ),
        ("quartier", json!(78), "Ce quartier n’existe pas."),
    ] {
        let mut wish = mariam();
        wish["username"] = "fatou".into();
        wish["email"] = "fatou@example.org".into();
        wish[field] = value;
        let answer = house.json("POST", REGISTER, None, wish).await;
        assert_eq!(answer.status, 400, "{field}");
        assert_eq!(answer.json(), json!({ field: [sentence] }));
    }
    let mut short = mariam();
    short["password"] = "1234567".into();
    short["password_confirm"] = "1234567".into();
    let mut request = asking("POST", REGISTER, None, Body::from(short.to_string()));
    for (name, value) in [
        ("content-type", "application/json"),
        ("accept-language", "en"),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let said = "The password must have at least 8 characters.";
    assert_eq!(
        house.send(request).await.json(),
        json!({"password": [said]})
    );
    let mut typo = mariam();
    typo["password_confirm"] = "12345679".into();
    let answer = house.json("POST", REGISTER, None, typo).await;
    assert_eq!(answer.status, 400);
    let said = "Les mots de passe ne correspondent pas.";
    assert_eq!(answer.json(), json!({"non_field_errors": [said]}));
}

#[tokio::test]
async fn a_form_registers_too_and_the_eleventh_within_a_minute_waits() {
    let house = House::with(Config::default()).await;
    let form = "username=awa&email=awa%40example.org&password=12345678&password_confirm=12345678&quartier=11";
    let mut request = asking("POST", REGISTER, None, Body::from(form));
    let kind = "application/x-www-form-urlencoded".parse().unwrap();
    request.headers_mut().insert(CONTENT_TYPE, kind);
    let answer = house.send(request).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.json()["user"]["quartier"], ALMAMYA);
    for _ in 0..9 {
        let answer = house.json("POST", REGISTER, None, json!({})).await;
        assert_eq!(answer.status, 400);
    }
    let answer = house.json("POST", REGISTER, None, mariam()).await;
    assert_eq!(answer.status, 429);
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait));
}

#[tokio::test]
async fn a_profile_is_changed_in_part_and_never_its_role() {
    let house = House::open().await;
    let body = house.json("POST", REGISTER, None, mariam()).await.json();
    let token = body["tokens"]["access"].as_str().unwrap();
    let mut user = body["user"].clone();
    let change = json!({
        "bio": " Bonjour 🎙 ", "phone_number": "+224620000000", "date_of_birth": "1990-01-31",
        "role": "admin", "is_verified": true, "is_geographically_verified": true, "is_active": false,
        "id": 1, "date_joined": "2000-01-01T00:00:00Z", "is_admin": true, "unknown": 1,
    });
    let answer = house.json("PATCH", PROFILE, Some(token), change).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    user["bio"] = "Bonjour 🎙".into();
    user["phone_number"] = "+224620000000".into();
    user["date_of_birth"] = "1990-01-31".into();
    let message = "Profil mis à jour avec succès";
    assert_eq!(answer.json(), json!({"user": user, "message": message}));

    // PUT is partial as well; null takes away what may be missing.
    let change = json!({"username": "mariam", "date_of_birth": null, "quartier": null});
    let answer = house.json("PUT", PROFILE, Some(token), change).await;
    user["username"] = "mariam".into();
    user["date_of_birth"] = Value::Null;
    user["quartier"] = Value::Null;
    user["location_info"] = "Localisation non renseignée".into();
    assert_eq!(answer.json()["user"], user);
    assert_eq!(house.get_as(token, PROFILE).await.json(), user);

    house.member("fatou", Role::User, None).await;
    for (change, refused) in [
        (
            json!({"username": "fatou"}),
            json!({"username": ["Ce nom d’utilisateur est déjà pris."]}),
        ),
        (
            json!({"email": ""}),
            json!({"email": ["Ce champ ne peut être vide."]}),
        ),
        (
            json!({"bio": null}),
            json!({"bio": ["Ce champ ne peut être nul."]}),
        ),
        (
            json!({"quartier": 78, "bio": "x"}),
            json!({"quartier": ["Ce quartier n’existe pas."]}),
        ),
    ] {
        let answer = house.json("PATCH", PROFILE, Some(token), change).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (400, refused));
    }
    assert_eq!(
        house.get_as(token, PROFILE).await.json(),
        user,
        "nothing of it was changed"
    );
    let answer = house
        .json("PATCH", PROFILE, None, json!({"bio": "x"}))
        .await;
    assert_eq!(answer.status, 401);
}

#[tokio::test]
async fn others_see_nothing_private_of_a_member() {
    let house = House::open().await;
    let body = house.json("POST", REGISTER, None, mariam()).await.json();
    let id = body["user"]["id"].as_i64().unwrap();
    let fatou = house.member("fatou", Role::User, Some(ALMAMYA)).await;
    let token = house.token("fatou").await;
    let path = format!("/api/users/profile/{id}/");
    let mut expected = whole(&body["user"]["id"], &body["user"]["date_joined"]);
    for private in [
        "email",
        "phone_number",
        "date_of_birth",
        "last_login",
        "is_active",
    ] {
        expected.as_object_mut().unwrap().remove(private);
    }
    assert_eq!(house.get_as(&token, &path).await.json(), expected);
    let own = house
        .get_as(&token, &format!("/api/users/profile/{fatou}/"))
        .await;
    assert_eq!(own.json()["email"], "fatou@example.org");
    for unknown in ["1", "x", "-1"] {
        let path = format!("/api/users/profile/{unknown}/");
        assert_eq!(house.get_as(&token, &path).await.status, 404, "{unknown}");
    }
    assert_eq!(house.get(&path).await.status, 401);
    let dashboard = house.get_as(&token, "/api/users/dashboard/").await.json();
    assert_eq!(
        dashboard["stats"],
        json!({"neighbors": 1, "posts": 0, "events": 0, "messages": 0})
    );
    assert_eq!(dashboard["user"]["username"], "fatou");
    house
        .services
        .accounts
        .set_active(UserId(id), false)
        .await
        .unwrap();
    assert_eq!(house.get_as(&token, &path).await.status, 404, "disabled");
    let dashboard = house.get_as(&token, "/api/users/dashboard/").await.json();
    assert_eq!(dashboard["stats"]["neighbors"], 0);
}

#[tokio::test]
async fn members_are_found_by_parts_of_their_names_and_by_the_whole_address() {
    let house = House::open().await;
    let mut wish = mariam();
    wish["first_name"] = "Élodie".into();
    let body = house.json("POST", REGISTER, None, wish).await.json();
    let token = body["tokens"]["access"].as_str().unwrap();
    house.member("fatou", Role::User, None).await;
    let found = async |query: &str| {
        let answer = house
            .get_as(token, &format!("/api/users/search/{query}"))
            .await;
        let results = answer.json()["results"].as_array().cloned().unwrap();
        let names = results
            .iter()
            .map(|user| user["username"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    for query in [
        "?q=elod",
        "?q=%C3%89LODIE",
        "?q=Diallo_El",
        "?q=MARIAM%40example.org",
    ] {
        assert_eq!(found(query).await, ["mariam_diallo"], "{query}");
    }
    for query in ["?q=nobody", "?q=%25", "?q=_", "?q=mariam%40example"] {
        assert_eq!(found(query).await, [""; 0], "{query}");
    }
    for query in ["", "?q=", "?q=diallo"] {
        assert_eq!(found(query).await, ["mariam_diallo", "fatou"], "{query}");
    }
    let page = house
        .get_as(token, "/api/users/search/?q=diallo&page_size=1")
        .await
        .json();
    let expected = json!({
        "count": 2,
        "next": "https://griot.example/api/users/search/?q=diallo&page_size=1&page=2",
        "previous": null,
        "results": [{
            "id": body["user"]["id"], "username": "mariam_diallo", "first_name": "Élodie", "last_name": "Diallo",
            "full_name": "Élodie Diallo", "profile_picture": null, "quartier": 11,
            "is_following": false, "can_follow": false,
        }],
    });
    assert_eq!(page, expected);
    // What the name was is not found any more.
    let change = json!({"first_name": "Aïssatou"});
    house.json("PATCH", PROFILE, Some(token), change).await;
    assert_eq!(found("?q=aissatou").await, ["mariam_diallo"]);
    assert_eq!(found("?q=elodie").await, [""; 0]);
    assert_eq!(house.get("/api/users/search/?q=a").await.status, 401);
}

/// A multipart body with these parts; a name with a dot is a file's.
fn parts(parts: &[(&str, &str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, file, bytes) in parts {
        let file = match *file {
            "" => String::new(),
            file => format!("; filename=\"{file}\""),
        };
        body.extend(
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n").bytes(),
        );
        body.extend(*bytes);
        body.extend(b"\r\n");
    }
    body.extend(b"--b--\r\n");
    body
}

/// 800×600 pixels, made by an independent encoder.
fn picture(format: image::ImageFormat) -> Vec<u8> {
    let shade = |at: u32| u8::try_from(at % 256).unwrap();
    let mut bytes = std::io::Cursor::new(Vec::new());
    let pixels = image::RgbImage::from_fn(800, 600, |x, y| image::Rgb([shade(x), shade(y), 99]));
    pixels.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

#[tokio::test]
async fn a_profile_picture_is_shown_replaced_and_taken_away() {
    let house = House::open().await;
    let body = house.json("POST", REGISTER, None, mariam()).await.json();
    let token = body["tokens"]["access"].as_str().unwrap().to_owned();
    let send = async |body: Vec<u8>| {
        let mut request = asking("PATCH", PROFILE, Some(&token), Body::from(body));
        let kind = "multipart/form-data; boundary=b".parse().unwrap();
        request.headers_mut().insert(CONTENT_TYPE, kind);
        house.send(request).await
    };
    let path = |answer: &Answer| {
        let body = answer.json();
        let url = body["user"]["profile_picture"]
            .as_str()
            .unwrap_or_else(|| panic!("{body}"));
        url.strip_prefix("https://griot.example")
            .unwrap()
            .to_owned()
    };
    let mut jpeg = picture(image::ImageFormat::Jpeg);
    // EXIF 2.32: APP1 with its mark, behind the SOI.
    let exif = b"\xff\xe1\x00\x19Exif\x00\x00GPS-9.5370,-13.67";
    jpeg.splice(2..2, exif.iter().copied());
    let first = send(parts(&[
        ("bio", "", "Bonjour".as_bytes()),
        ("profile_picture", "me.jpg", &jpeg),
    ]))
    .await;
    assert_eq!(first.status, 200, "{}", first.text());
    assert_eq!(first.json()["user"]["bio"], "Bonjour");
    let first = path(&first);
    assert!(first.starts_with("/media/profile_pictures/"), "{first}");
    let shown = house.get(&first).await;
    assert_eq!(
        (shown.status.as_u16(), shown.header("content-type")),
        (200, "image/jpeg")
    );
    assert_eq!(shown.header("x-content-type-options"), "nosniff");
    assert!(!shown.body.windows(3).any(|bytes| bytes == b"GPS"));
    let decoded = image::load_from_memory(&shown.body).unwrap();
    assert_eq!((decoded.width(), decoded.height()), (600, 450));
    let body = house
        .json("PUT", PROFILE, Some(&token), json!({"bio": "x"}))
        .await;
    assert_eq!(path(&body), first, "nothing was said of it");

    // Another one, of another kind; the name says nothing.
    let png = picture(image::ImageFormat::Png);
    let second = send(parts(&[("profile_picture", "me.exe", &png)])).await;
    let second = path(&second);
    assert_ne!(second, first);
    assert_eq!(house.get(&second).await.status, 200);
    assert_eq!(house.get(&first).await.status, 404);
    let jobs = house
        .services
        .store
        .jobs(&Default::default(), 10)
        .await
        .unwrap();
    let payload: Value = serde_json::from_str(&jobs[0].payload).unwrap();
    assert_eq!(
        (jobs.len(), payload),
        (1, json!({"path": &first["/media/".len()..]}))
    );

    let large = [picture(image::ImageFormat::Jpeg), vec![0; 5 << 20]].concat();
    let page = b"<html><script>alert(1)</script>";
    for (bytes, said) in [
        (large.as_slice(), "La photo de profil est limitée à 5 Mo."),
        (
            page.as_slice(),
            "Choisissez une image JPEG, PNG, GIF ou WebP.",
        ),
    ] {
        let refused = send(parts(&[
            ("bio", "", b"new"),
            ("profile_picture", "me.png", bytes),
        ]))
        .await;
        let expected = json!({"profile_picture": [said]});
        assert_eq!((refused.status.as_u16(), refused.json()), (400, expected));
    }
    for empty in [&b""[..], &jpeg[..600]] {
        let refused = send(parts(&[("profile_picture", "me.jpg", empty)])).await;
        assert_eq!(refused.status, 400);
        assert!(
            refused.json()["profile_picture"][0].is_string(),
            "{}",
            refused.text()
        );
    }
    let url = format!("https://griot.example{second}");
    let answer = house
        .json(
            "PUT",
            PROFILE,
            Some(&token),
            json!({"profile_picture": url}),
        )
        .await;
    assert_eq!(
        (path(&answer), answer.json()["user"]["bio"].as_str()),
        (second.clone(), Some("x"))
    );
    let answer = house
        .json(
            "PATCH",
            PROFILE,
            Some(&token),
            json!({"profile_picture": null}),
        )
        .await;
    assert_eq!(answer.json()["user"]["profile_picture"], Value::Null);
    assert_eq!(house.get(&second).await.status, 404);
}
