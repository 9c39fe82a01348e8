//! What members send by the contract's form, and what becomes of it (contract §1.3, §3).

use std::io::Write;
use std::net::TcpStream;

use reqwest::multipart::{Form, Part};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    Answer, Bucket, Member, Server, TRACES, drawn, eventually, holds, of_a_phone, pixel, png_bomb,
    seen, segment,
};

const UPLOAD: &str = "/api/posts/media/upload/";
const PHOTO: &str = "testsrc2=s=1000x600";

fn form(file: Vec<u8>, name: &str) -> Form {
    let part = Part::bytes(file).file_name(name.to_owned());
    Form::new().part("file", part)
}

async fn send(member: &Member, form: Form) -> Answer {
    Answer::of(member.request(Method::POST, UPLOAD).multipart(form)).await
}

/// Sends a file that is taken; its medium.
async fn sent(member: &Member, file: Vec<u8>, name: &str) -> Value {
    send(member, form(file, name)).await.expect(201).json
}

async fn get(server: &Server, url: &str) -> Answer {
    Answer::of(server.client.get(url)).await
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("{key} in {value}"))
}

fn variant<'a>(media: &'a Value, name: &str) -> &'a str {
    let variants = media["variants"].as_array().expect("a list");
    let found = variants.iter().find(|variant| variant["name"] == name);
    text(found.unwrap_or_else(|| panic!("{name} in {media}")), "url")
}

/// Every file of a medium, as viewers fetch them.
async fn all_of(server: &Server, media: &Value) -> Vec<(String, Vec<u8>)> {
    let variants = media["variants"].as_array().expect("a list").iter();
    let mut urls: Vec<String> = variants.map(|one| text(one, "url").to_owned()).collect();
    urls.push(text(media, "file").to_owned());
    let mut files = Vec::new();
    for url in urls {
        let answer = get(server, &url).await.expect(200);
        files.push((url, answer.body));
    }
    files
}

/// A verdict is noted first, then its bytes go.
pub(crate) async fn the_spool_empties(server: &Server) {
    let folder = server.data().join("uploads");
    eventually("nothing is left in the spool", || async {
        match std::fs::read_dir(&folder).expect("a folder").count() {
            0 => Ok(()),
            left => Err(left),
        }
    })
    .await;
}

async fn an_image_comes_back(server: &Server, awa: &Member) {
    let jpeg = drawn(PHOTO, "a.jpg", &["-frames:v", "1"]);
    let form = form(jpeg, "vacances à Conakry.jpg")
        .text("title", "Vacances")
        .text("description", "La plage");
    let media = send(awa, form).await.expect(201).json;
    let id = media["id"].as_i64().expect("an id");
    let file = text(&media, "file");
    let public = file
        .strip_prefix(&format!("{}/media/", server.http))
        .and_then(|rest| rest.strip_suffix("/file.jpg"))
        .unwrap_or_else(|| panic!("{file}"));
    let listed = |name: &str, kind: &str, width: u32, height: u32| {
        let url = format!("{}/media/{public}/{name}", server.http);
        json!({"name": name, "url": url, "content_type": kind, "width": width, "height": height})
    };
    // Contract §1.3, whole; what is ours stands behind it.
    let expected = json!({
        "id": id, "file": file, "media_type": "image", "title": "Vacances", "description": "La plage",
        "duration": null, "file_size": media["file_size"], "width": 1_000, "height": 600,
        "is_appropriate": true, "approval_status": "approved", "moderation_score": null, "is_live": false,
        "live_viewers_count": 0, "file_url": file, "thumbnail_url": null,
        "is_approved_for_publication": true, "cdn_url": null, "cdn_public_id": null,
        "created_at": media["created_at"],
        "state": "ready", "failure": null, "blurhash": media["blurhash"],
        "variants": [
            listed("150.jpg", "image/jpeg", 150, 90),
            listed("150.webp", "image/webp", 150, 90),
            listed("1920.jpg", "image/jpeg", 1_000, 600),
            listed("1920.webp", "image/webp", 1_000, 600),
            listed("300.jpg", "image/jpeg", 300, 180),
            listed("300.webp", "image/webp", 300, 180),
            listed("600.jpg", "image/jpeg", 600, 360),
            listed("600.webp", "image/webp", 600, 360),
        ],
    });
    let mut shown = media.clone();
    for variant in shown["variants"].as_array_mut().expect("a list") {
        variant.as_object_mut().expect("an object").remove("bytes");
    }
    assert_eq!(shown, expected);
    // 4 × 3 numbers: 1 + 1 + 4 + 2 × 11 letters (blurha.sh).
    assert_eq!(text(&media, "blurhash").len(), 28);
    let created = text(&media, "created_at");
    assert!(created.len() == 27 && created.ends_with('Z'), "{created}");

    let whole = get(server, file).await.expect(200);
    assert_eq!(whole.header("content-type"), "image/jpeg");
    assert_eq!(whole.header("x-content-type-options"), "nosniff");
    assert!(whole.header("cache-control").contains("immutable"));
    assert!(whole.header("content-disposition").starts_with("inline"));
    let part = server.client.get(file).header("range", "bytes=10-19");
    let part = Answer::of(part).await.expect(206);
    assert_eq!(part.body, whole.body[10..20]);
    let etag = whole.header("etag");
    let known = server.client.get(file).header("if-none-match", etag);
    Answer::of(known).await.expect(304);
    assert_eq!(&seen(&whole.body).0, &1_000);
    for (url, bytes) in all_of(server, &media).await {
        assert!(seen(&bytes).0 <= 1_000, "{url}");
    }
    let list = awa
        .get("/api/posts/media/?page_size=1")
        .await
        .expect(200)
        .json;
    assert_eq!(
        list,
        json!({"count": 1, "next": null, "previous": null, "results": [media]})
    );
    let one = awa.get(&format!("/api/posts/media/{id}/")).await;
    assert_eq!(one.expect(200).json, media);
}

#[tokio::test]
async fn an_image_comes_back_in_every_size_from_a_folder() {
    let server = Server::start().await;
    let awa = server.member("awa").await;
    an_image_comes_back(&server, &awa).await;
}

#[tokio::test]
async fn an_image_comes_back_in_every_size_from_a_bucket() {
    let bucket = Bucket::new().await;
    let server = Server::start_on(&bucket, &[]).await;
    let awa = server.member("awa").await;
    an_image_comes_back(&server, &awa).await;
    let objects = bucket.store().list_all("media/").await.expect("a list");
    assert_eq!(objects.len(), 9);
    let list = awa.get("/api/posts/media/").await.json;
    let path = format!("/api/posts/media/{}/", list["results"][0]["id"]);
    Answer::of(awa.request(Method::DELETE, &path))
        .await
        .expect(204);
    eventually("the objects are gone", || async {
        let left = bucket.store().list_all("media/").await.expect("a list");
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
}

#[tokio::test]
async fn nothing_of_a_phones_picture_tells_where_it_was() {
    let server = Server::start().await;
    let awa = server.member("awa").await;
    // Left half red, right half blue; held so that left is up (6: turn by 90° clockwise).
    let halves = "color=red:s=200x200[a];color=blue:s=200x200[b];[a][b]hstack";
    let jpeg = drawn(halves, "a.jpg", &["-frames:v", "1", "-q:v", "2"]);
    for (orientation, width, height) in [(1, 400, 200), (6, 200, 400)] {
        let phone = of_a_phone(&jpeg, orientation);
        for trace in TRACES {
            assert!(holds(&phone, trace), "the test's own picture has it");
        }
        let media = sent(&awa, phone, "IMG_0001.JPG").await;
        assert_eq!(
            (&media["width"], &media["height"]),
            (&json!(width), &json!(height))
        );
        for (url, bytes) in all_of(&server, &media).await {
            for trace in TRACES {
                assert!(!holds(&bytes, trace), "{url}");
            }
            let picture = seen(&bytes);
            let [r, _, b, _] = pixel(&picture, 5, 5);
            assert!(r > 200 && b < 60, "{url}: red comes first");
            let [r, _, b, _] = pixel(&picture, picture.0 - 5, picture.1 - 5);
            assert!(b > 200 && r < 60, "{url}: blue comes last");
        }
    }
    // And on the disk, whatever is served.
    let objects = griot::objects::Directory::open(server.data().join("objects")).expect("a folder");
    let stored = objects.list("").expect("a list");
    assert_eq!(stored.len(), 2 * 7);
    for object in stored {
        let bytes = std::fs::read(objects.root().join(&object.path)).expect("a file");
        for trace in TRACES {
            assert!(!holds(&bytes, trace), "{}", object.path);
        }
    }
    the_spool_empties(&server).await;
}

#[tokio::test]
async fn alpha_animation_and_colours_are_kept() {
    let server = Server::start().await;
    let awa = server.member("awa").await;

    let half = "color=red@0.5:s=400x300,format=rgba";
    let media = sent(&awa, drawn(half, "a.png", &["-frames:v", "1"]), "a.png").await;
    for name in ["300.webp", "600.webp"] {
        let small = get(&server, variant(&media, name)).await.expect(200);
        let [r, g, b, a] = pixel(&seen(&small.body), 10, 10);
        assert!((120..=136).contains(&a), "{name}: half seen through: {a}");
        assert!(r > 235 && g < 20 && b < 20, "{name}: {r} {g} {b}");
    }
    assert!(!holds(media["variants"].to_string().as_bytes(), b"jpeg"));

    for (name, encoder) in [("a.gif", "gif"), ("a.webp", "libwebp_anim")] {
        let ten = "testsrc=s=200x100:r=10:d=1";
        let file = drawn(ten, name, &["-c:v", encoder, "-loop", "0"]);
        let media = sent(&awa, file, name).await;
        let whole = get(&server, text(&media, "file")).await.expect(200).body;
        let frames = |bytes: &[u8]| bytes.windows(4).filter(|four| four == b"ANMF").count();
        if encoder == "gif" {
            // Each picture has its timing before it: GIF 89a §23.
            let timings = whole.windows(3).filter(|three| three == b"\x21\xf9\x04");
            assert_eq!(timings.count(), 10);
        } else {
            assert_eq!(frames(&whole), 10);
        }
        let small = get(&server, variant(&media, "150.webp")).await.expect(200);
        assert_eq!(frames(&small.body), 10, "{name}");
    }

    // A profile whose header says RGB (ICC.1:2022 §7.2); what else it holds is for who shows the picture.
    let mut profile = vec![0; 600];
    profile[16..20].copy_from_slice(b"RGB ");
    profile[200..212].copy_from_slice(b"green is red");
    let jpeg = drawn(
        "color=0xc86432:s=400x300",
        "a.jpg",
        &["-frames:v", "1", "-q:v", "2"],
    );
    let icc = [b"ICC_PROFILE\0\x01\x01", &profile[..]].concat();
    let tagged = [&jpeg[..2], &segment(0xe2, &icc), &jpeg[2..]].concat();
    let media = sent(&awa, tagged, "a.jpg").await;
    let plain = pixel(&seen(&jpeg), 9, 9);
    for (url, bytes) in all_of(&server, &media).await {
        assert!(holds(&bytes, &profile), "{url} has the profile");
        let shown = pixel(&seen(&bytes), 9, 9);
        let near = shown
            .iter()
            .zip(plain)
            .all(|(one, other)| one.abs_diff(other) <= 6);
        assert!(near, "{url}: the numbers are the same: {shown:?} {plain:?}");
    }
}

#[tokio::test]
async fn what_is_no_medium_is_refused_and_leaves_nothing() {
    let server = Server::start().await;
    let awa = server.member("awa").await;
    let png = drawn("testsrc=s=64x64", "a.png", &["-frames:v", "1"]);
    let jpeg = drawn("testsrc=s=64x64", "a.jpg", &["-frames:v", "1"]);
    let large = [&b"\xff\xd8\xff\xe0\0\x10JFIF\0"[..], &vec![0; 10 << 20]].concat();
    let mut wide = png.clone();
    // IHDR: 65535 × 65535.
    wide[16..24].copy_from_slice(&[0, 0, 255, 255, 0, 0, 255, 255]);
    let checksum = crc32fast::hash(&wide[12..29]).to_be_bytes();
    wide[29..33].copy_from_slice(&checksum);
    let unknown =
        "Ce n’est ni une image (JPEG, PNG, GIF, WebP) ni une vidéo (MP4, WebM, QuickTime, AVI).";
    let unreadable = "Le fichier est illisible ou endommagé.";
    let hidden = "Le fichier contient autre chose qu’une image.";
    let rows: [(&str, Vec<u8>, &str); 13] = [
        ("empty.png", Vec::new(), "Le fichier envoyé est vide."),
        (
            "a.svg",
            b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>".to_vec(),
            unknown,
        ),
        (
            "a.jpg",
            b"just some text that calls itself a picture".to_vec(),
            unknown,
        ),
        (
            "a.png",
            b"<!DOCTYPE html><script>alert(1)</script>".to_vec(),
            unknown,
        ),
        (
            "a.mp4",
            b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/secret.ts\n".to_vec(),
            unknown,
        ),
        ("a.mp4", b"<MPD><Period/></MPD>".to_vec(), unknown),
        (
            "a.mp4",
            b"ffconcat version 1.0\nfile /etc/passwd\n".to_vec(),
            unknown,
        ),
        (
            "a.mp4",
            b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nm=video 1 RTP/AVP 96\r\n".to_vec(),
            unknown,
        ),
        ("torn.png", png[..png.len() / 2].to_vec(), unreadable),
        ("torn.jpg", jpeg[..jpeg.len() / 2].to_vec(), unreadable),
        (
            "two-faced.jpg",
            [&jpeg[..], b"<script>alert(1)</script>"].concat(),
            hidden,
        ),
        ("large.jpg", large, "L’image est trop volumineuse."),
        ("wide.png", wide, "L’image a trop de pixels."),
    ];
    for (name, bytes, sentence) in rows {
        let answer = send(&awa, form(bytes, name)).await.expect(400);
        assert_eq!(answer.json, json!({"file": [sentence]}), "{name}");
    }
    let not_a_file = Form::new().text("file", "C:\\photo.jpg");
    let answer = send(&awa, not_a_file).await.expect(400);
    assert_eq!(
        answer.json,
        json!({"file": ["La donnée envoyée n’est pas un fichier."]})
    );
    let none = Form::new().text("title", "nothing");
    let answer = send(&awa, none).await.expect(400);
    assert_eq!(
        answer.json,
        json!({"file": ["Aucun fichier n’a été envoyé."]})
    );
    let long = form(png.clone(), "a.png").text("title", "x".repeat(201));
    let answer = send(&awa, long).await.expect(400);
    assert!(answer.json["title"].is_array(), "{}", answer.json);
    let nobody = server.client.post(format!("{}{UPLOAD}", server.http));
    Answer::of(nobody.multipart(form(png, "a.png")))
        .await
        .expect(401);

    let list = awa.get("/api/posts/media/").await.json;
    assert_eq!(list["count"], 0, "{list}");
    let objects = griot::objects::Directory::open(server.data().join("objects")).expect("a folder");
    // The one whose title came behind it was made before its form was refused.
    eventually("no object is left", || async {
        let left = objects.list("").expect("a list");
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
    the_spool_empties(&server).await;
}

#[tokio::test]
async fn a_picture_of_a_gigabyte_is_refused_within_two_hundred_megabytes() {
    let server = Server::start().await;
    let awa = server.member("awa").await;
    // 16,384² × 4 bytes are 2^30.
    let bomb = png_bomb(16_384);
    assert!(bomb.len() < 10 << 20, "{}", bomb.len());
    let answer = send(&awa, form(bomb, "a.png")).await.expect(400);
    assert_eq!(answer.json, json!({"file": ["L’image a trop de pixels."]}));
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("Linux");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak
        .and_then(|peak| peak.trim().strip_suffix(" kB"))
        .expect("a peak");
    let peak: u64 = peak.parse().expect("a number");
    assert!(peak < 200 << 10, "{peak} KiB");
}

#[tokio::test]
async fn a_file_that_is_declared_too_large_is_refused_before_it_is_swallowed() {
    let server = Server::start().await;
    let awa = server.member("awa").await;
    let length = (101_u64 << 20).to_string();
    // The body never comes: an answer shows that nobody waits for it.
    let never = reqwest::Body::wrap_stream(futures_util::stream::pending::<
        Result<Vec<u8>, std::io::Error>,
    >());
    let request = awa
        .request(Method::POST, UPLOAD)
        .header("content-type", "multipart/form-data; boundary=x")
        .header("content-length", length)
        .body(never);
    let answer = Answer::of(request).await.expect(400);
    assert_eq!(
        answer.json,
        json!({"file": ["Le fichier est trop volumineux."]})
    );
}

#[tokio::test]
async fn media_are_their_owners_to_change_and_delete() {
    let server = Server::start().await;
    let (awa, binta) = (server.member("awa").await, server.member("binta").await);
    let png = drawn("testsrc=s=64x64", "a.png", &["-frames:v", "1"]);
    let media = sent(&awa, png.clone(), "a.png").await;
    let path = format!("/api/posts/media/{}/", media["id"]);
    let patch = |member: &Member, body: Value| member.request(Method::PATCH, &path).json(&body);

    let changed = Answer::of(patch(&awa, json!({"title": "Autre", "id": 1}))).await;
    let mut expected = media.clone();
    expected["title"] = json!("Autre");
    assert_eq!(changed.expect(200).json, expected);
    let long = Answer::of(patch(&awa, json!({"title": "x".repeat(201)}))).await;
    assert!(long.expect(400).json["title"].is_array());
    Answer::of(patch(&binta, json!({"title": "Mine"})))
        .await
        .expect(403);
    Answer::of(binta.request(Method::DELETE, &path))
        .await
        .expect(403);
    binta.get(&path).await.expect(200);
    assert_eq!(binta.get("/api/posts/media/").await.json["count"], 0);
    awa.get("/api/posts/media/7/").await.expect(404);
    awa.get("/api/posts/media/x/").await.expect(404);

    Answer::of(awa.request(Method::DELETE, &path))
        .await
        .expect(204);
    awa.get(&path).await.expect(404);
    get(&server, text(&media, "file")).await.expect(404);
    let objects = griot::objects::Directory::open(server.data().join("objects")).expect("a folder");
    eventually("the objects are gone", || async {
        let left = objects.list("").expect("a list");
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
    for odd in [
        "/media/",
        "/media/x",
        "/media/../griot.db",
        "/media/x/../../griot.db",
        "/media/x/%2e%2e/y",
        "/media/x/\u{0}",
    ] {
        let url = format!("{}{}", server.http, odd.replace('\u{0}', "%00"));
        let status = get(&server, &url).await.status;
        assert_eq!(status, StatusCode::NOT_FOUND, "{odd}");
    }
}

#[tokio::test]
async fn the_twenty_first_file_in_a_minute_waits() {
    let server = Server::start_with(&[("GRIOT_HTTP_RATE_LIMITS", "on")]).await;
    let awa = server.member("awa").await;
    for _ in 0..20 {
        let refused = send(&awa, form(b"text".to_vec(), "a.jpg")).await;
        refused.expect(400);
    }
    let late = send(&awa, form(b"text".to_vec(), "a.jpg"))
        .await
        .expect(429);
    assert!(!late.header("retry-after").is_empty());
    assert!(late.json["detail"].is_string(), "{}", late.json);
}

#[tokio::test]
async fn a_form_that_breaks_off_leaves_nothing_and_takes_no_room() {
    let mut server = Server::start_with(&[("GRIOT_UPLOADS_OPEN_PER_MEMBER", "1")]).await;
    let awa = server.member("awa").await;
    let png = drawn("testsrc2=s=640x360", "a.png", &["-frames:v", "1"]);
    let folder = server.data().join("uploads");
    let left = || std::fs::read_dir(&folder).map_or(0, Iterator::count);
    for crash in [false, true] {
        let address = server.http.strip_prefix("http://").expect("an address");
        let mut stream = TcpStream::connect(address).expect("the server listens");
        let head = format!(
            "POST {UPLOAD} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 9000000\r\n\r\n--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\r\n",
            awa.access
        );
        stream.write_all(head.as_bytes()).expect("it is taken");
        stream.write_all(&png[..5_000]).expect("it is taken");
        eventually("some of it is there", || async {
            if left() == 1 { Ok(()) } else { Err(left()) }
        })
        .await;
        if crash {
            server.kill().await;
            server.start_again().await;
        }
        drop(stream);
        eventually("nothing of it is there", || async {
            if left() == 0 { Ok(()) } else { Err(left()) }
        })
        .await;
        sent(&awa, png.clone(), "a.png").await;
    }
}
