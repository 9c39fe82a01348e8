//! tus 1.0 as its specification has it (tus.io/protocols/resumable-upload), over bad networks and crashes, by hand
//! and with its own client.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Answer, Member, Server, SmallDisk, drawn, eventually};

use crate::uploads::the_spool_empties;

mod client;

const UPLOADS: &str = "/api/uploads/";
/// A video by its first bytes, so that it is taken in to its end.
const VIDEO: &[u8] = b"\0\0\0\x18ftypisom\0\0\0\0isommp42";

fn asking(member: &Member, method: &str, url: &str) -> RequestBuilder {
    let path = url.find("/api/").map_or(url, |at| &url[at..]);
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    member
        .request(method, path)
        .header("tus-resumable", "1.0.0")
}

async fn create(member: &Member, length: u64) -> String {
    let request = asking(member, "POST", UPLOADS).header("upload-length", length);
    let answer = Answer::of(request).await.expect(201);
    answer.header("location").to_owned()
}

fn patch(member: &Member, url: &str, offset: u64, body: Vec<u8>) -> RequestBuilder {
    asking(member, "PATCH", url)
        .header("upload-offset", offset)
        .header("content-type", "application/offset+octet-stream")
        .body(body)
}

async fn offset(member: &Member, url: &str) -> u64 {
    let answer = Answer::of(asking(member, "HEAD", url)).await.expect(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    answer.header("upload-offset").parse().expect("a number")
}

/// What became of an upload.
async fn judged(member: &Member, url: &str) -> Value {
    let path = &url[url.find("/api/").expect("an address of the API")..];
    eventually("the upload is judged", || async {
        let shown = member.get(path).await.expect(200).json;
        match shown["state"].as_str() {
            Some("ready" | "failed") => Ok(shown),
            _ => Err(shown),
        }
    })
    .await
}

/// A video that nobody can decode, of `length` bytes.
fn video(length: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..length)
        .map(|at| u8::try_from(at * 31 % 251).unwrap_or(0))
        .collect();
    bytes[..VIDEO.len()].copy_from_slice(VIDEO);
    bytes
}

#[tokio::test]
async fn an_image_comes_in_pieces_and_becomes_a_medium() {
    let server = Server::start().await;
    let awa = server.member("awa").await;
    let png = drawn("testsrc2=s=640x360", "a.png", &["-frames:v", "1"]);
    let length = png.len() as u64;
    let half = png.len() / 2;

    let options = server
        .client
        .request(Method::OPTIONS, format!("{}{UPLOADS}", server.http));
    let options = Answer::of(options).await.expect(204);
    assert_eq!(options.header("tus-version"), "1.0.0");
    assert_eq!(options.header("tus-max-size"), (2_u64 << 30).to_string());
    assert_eq!(options.header("tus-checksum-algorithm"), "sha1,sha256");
    assert_eq!(
        options.header("tus-extension"),
        "creation,creation-with-upload,creation-defer-length,checksum,termination,expiration"
    );

    // `printf 'été.png' | base64`, `printf Titre | base64`
    let metadata = "filename w6l0w6kucG5n,title VGl0cmU=";
    let created = asking(&awa, "POST", UPLOADS)
        .header("upload-length", length)
        .header("upload-metadata", metadata);
    let created = Answer::of(created).await.expect(201);
    let url = created.header("location").to_owned();
    assert!(url.starts_with(&server.http), "{url}");
    assert!(created.header("upload-expires").ends_with("GMT"));
    let head = Answer::of(asking(&awa, "HEAD", &url)).await.expect(200);
    assert_eq!(head.header("upload-length"), length.to_string());
    assert_eq!(head.header("upload-metadata"), metadata);
    assert_eq!(head.header("upload-offset"), "0");
    assert_eq!(head.header("tus-resumable"), "1.0.0");

    let first = Answer::of(patch(&awa, &url, 0, png[..half].to_vec()))
        .await
        .expect(204);
    assert_eq!(first.header("upload-offset"), half.to_string());
    let again = Answer::of(patch(&awa, &url, 0, png[..half].to_vec())).await;
    again.expect(409);
    let path = &url[server.http.len()..];
    let shown = awa.get(path).await.expect(200).json;
    assert_eq!(
        (&shown["state"], &shown["received"]),
        (&json!("receiving"), &json!(half))
    );
    let last = Answer::of(patch(&awa, &url, half as u64, png[half..].to_vec())).await;
    assert_eq!(last.expect(204).header("upload-offset"), length.to_string());

    let shown = judged(&awa, &url).await;
    assert_eq!(shown["state"], "ready", "{shown}");
    let media = &shown["media"];
    assert_eq!(media["title"], "Titre");
    let file = server
        .client
        .get(media["file"].as_str().expect("an address"));
    let file = Answer::of(file).await.expect(200);
    assert_eq!(file.header("content-type"), "image/png");

    // Server-sent events of what is over: one, and the end.
    let events = awa.get(&format!("{path}events/")).await.expect(200);
    assert_eq!(events.header("content-type"), "text/event-stream");
    let text = String::from_utf8(events.body).expect("text");
    let data = text
        .strip_prefix("event: progress\ndata: ")
        .expect("an event");
    let told: Value = serde_json::from_str(data.trim_end()).expect("JSON");
    assert_eq!(told, shown);
}

#[tokio::test]
async fn every_extension_does_what_it_says() {
    let server = Server::start().await;
    let (awa, binta) = (server.member("awa").await, server.member("binta").await);
    let bytes = video(10_000);

    let old = awa
        .request(Method::POST, UPLOADS)
        .header("tus-resumable", "0.2.2");
    let old = Answer::of(old.header("upload-length", 5)).await.expect(412);
    assert_eq!(old.header("tus-resumable"), "1.0.0");
    for (name, value) in [
        ("upload-length", "-1"),
        ("upload-length", "1e3"),
        ("upload-defer-length", "2"),
    ] {
        let bad = asking(&awa, "POST", UPLOADS).header(name, value);
        Answer::of(bad).await.expect(400);
    }
    let nobody = server.client.post(format!("{}{UPLOADS}", server.http));
    Answer::of(
        nobody
            .header("tus-resumable", "1.0.0")
            .header("upload-length", 5),
    )
    .await
    .expect(401);

    // creation-with-upload
    let with = asking(&awa, "POST", UPLOADS)
        .header("upload-length", 10_000)
        .header("content-type", "application/offset+octet-stream")
        .body(bytes[..6_000].to_vec());
    let with = Answer::of(with).await.expect(201);
    assert_eq!(with.header("upload-offset"), "6000");
    let url = with.header("location").to_owned();

    // checksum: `sha1` of the body, base64.
    let checked = |offset: u64, body: &[u8], digest: &str| {
        patch(&awa, &url, offset, body.to_vec()).header("upload-checksum", format!("sha1 {digest}"))
    };
    let wrong = Answer::of(checked(
        6_000,
        &bytes[6_000..7_000],
        "Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
    ))
    .await;
    assert_eq!(wrong.status.as_u16(), 460);
    assert_eq!(offset(&awa, &url).await, 6_000, "none of it was kept");
    let unknown = patch(&awa, &url, 6_000, bytes[6_000..7_000].to_vec())
        .header("upload-checksum", "crc32 AAAAAA==");
    Answer::of(unknown).await.expect(400);
    let digest = base64(&Sha256::digest(&bytes[6_000..7_000]));
    let right = patch(&awa, &url, 6_000, bytes[6_000..7_000].to_vec())
        .header("upload-checksum", format!("sha256 {digest}"));
    Answer::of(right).await.expect(204);
    assert_eq!(offset(&awa, &url).await, 7_000);

    // Another member's is not there; another type is no bytes; more than was declared is too much.
    Answer::of(asking(&binta, "HEAD", &url)).await.expect(404);
    Answer::of(patch(&binta, &url, 7_000, vec![0; 9]))
        .await
        .expect(404);
    let typed = asking(&awa, "PATCH", &url)
        .header("upload-offset", 7_000)
        .body("x");
    Answer::of(typed.header("content-type", "text/plain"))
        .await
        .expect(415);
    Answer::of(patch(&awa, &url, 7_000, vec![0; 3_001]))
        .await
        .expect(413);
    assert_eq!(offset(&awa, &url).await, 7_000);

    // X-HTTP-Method-Override, termination
    let override_it =
        |method: &str| asking(&awa, "POST", &url).header("x-http-method-override", method);
    let patched = override_it("PATCH")
        .header("upload-offset", 7_000)
        .header("content-type", "application/offset+octet-stream")
        .body(bytes[7_000..8_000].to_vec());
    Answer::of(patched).await.expect(204);
    assert_eq!(offset(&awa, &url).await, 8_000);
    Answer::of(override_it("DELETE")).await.expect(204);
    Answer::of(asking(&awa, "HEAD", &url)).await.expect(404);

    // creation-defer-length
    let open = asking(&awa, "POST", UPLOADS).header("upload-defer-length", "1");
    let url = Answer::of(open)
        .await
        .expect(201)
        .header("location")
        .to_owned();
    Answer::of(patch(&awa, &url, 0, bytes.clone()))
        .await
        .expect(204);
    let head = Answer::of(asking(&awa, "HEAD", &url)).await.expect(200);
    assert_eq!(head.header("upload-defer-length"), "1");
    assert_eq!(head.header("upload-length"), "");
    let short = patch(&awa, &url, 10_000, Vec::new()).header("upload-length", 9_999);
    Answer::of(short).await.expect(400);
    let end = patch(&awa, &url, 10_000, Vec::new()).header("upload-length", 10_000);
    Answer::of(end).await.expect(204);
    let shown = judged(&awa, &url).await;
    assert_eq!(shown["state"], "failed", "no decoder reads it: {shown}");
    Answer::of(asking(&awa, "HEAD", &url)).await.expect(410);
    the_spool_empties(&server).await;
}

/// RFC 4648 §4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().chain([0; 2].iter()).take(3);
        let bits = bits.fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        for at in 0..4 {
            let letter = LETTERS[bits >> (18 - 6 * at) & 63];
            text.push(if at > group.len() {
                '='
            } else {
                char::from(letter)
            });
        }
    }
    text
}

#[tokio::test]
async fn what_is_no_medium_is_refused_by_its_first_bytes() {
    let server = Server::start().await;
    let awa = server.member("awa").await;
    let url = create(&awa, 1 << 30).await;
    let page = [&b"<!DOCTYPE html>"[..], &vec![b' '; 5_000]].concat();
    let refused = Answer::of(patch(&awa, &url, 0, page)).await.expect(400);
    assert!(refused.json["file"].is_array(), "{}", refused.json);
    let shown = judged(&awa, &url).await;
    assert_eq!(shown["error"]["code"], "unknown_type", "{shown}");
    the_spool_empties(&server).await;
}

/// A PATCH whose body ends early: `sent` of `declared` bytes. Returns the open connection.
fn begin_patch(
    server: &Server,
    member: &Member,
    url: &str,
    offset: u64,
    sent: &[u8],
    declared: usize,
) -> TcpStream {
    let address = server.http.strip_prefix("http://").expect("an address");
    let mut stream = TcpStream::connect(address).expect("the server listens");
    let path = &url[server.http.len()..];
    let head = format!(
        "PATCH {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: {offset}\r\nContent-Type: application/offset+octet-stream\r\nContent-Length: {declared}\r\n\r\n",
        member.access
    );
    stream.write_all(head.as_bytes()).expect("it is taken");
    stream.write_all(sent).expect("it is taken");
    stream
}

#[tokio::test]
async fn a_body_that_is_cut_off_keeps_what_came_and_a_crash_too() {
    let mut server = Server::start().await;
    let awa = server.member("awa").await;
    let bytes = video(3_000_000);
    let url = create(&awa, 3_000_000).await;

    drop(begin_patch(
        &server,
        &awa,
        &url,
        0,
        &bytes[..1_000_000],
        3_000_000,
    ));
    eventually("all that was sent is told", || async {
        match offset(&awa, &url).await {
            1_000_000 => Ok(()),
            other => Err(other),
        }
    })
    .await;
    // Over a dead connection that nobody has closed a new one takes over.
    let dead = begin_patch(
        &server,
        &awa,
        &url,
        1_000_000,
        &bytes[1_000_000..1_500_000],
        2_000_000,
    );
    eventually("what came is told", || async {
        match offset(&awa, &url).await {
            1_500_000 => Ok(()),
            other => Err(other),
        }
    })
    .await;
    let next = Answer::of(patch(
        &awa,
        &url,
        1_500_000,
        bytes[1_500_000..2_000_000].to_vec(),
    ))
    .await;
    next.expect(204);
    drop(dead);

    let open = begin_patch(
        &server,
        &awa,
        &url,
        2_000_000,
        &bytes[2_000_000..2_300_000],
        1_000_000,
    );
    server.kill().await;
    drop(open);
    server.start_again().await;
    let told = offset(&awa, &url).await;
    assert!((2_000_000..=2_300_000).contains(&told), "{told}");
    let id = url.trim_end_matches('/').rsplit('/').next().expect("an id");
    let spool = server.data().join("uploads").join(id);
    let kept = server.data().join("kept");
    std::fs::hard_link(&spool, &kept).expect("a second name for the file");
    let rest = usize::try_from(told).expect("small");
    Answer::of(patch(&awa, &url, told, bytes[rest..].to_vec()))
        .await
        .expect(204);
    assert!(
        std::fs::read(kept).expect("a file") == bytes,
        "the bytes are the same"
    );
    judged(&awa, &url).await;
}

#[tokio::test]
async fn of_two_requests_at_once_one_sends() {
    let server = Server::start().await;
    let awa = server.member("awa").await;
    let bytes = video(200_000);
    let url = create(&awa, 200_000).await;
    let mut first = begin_patch(&server, &awa, &url, 0, &bytes[..100_000], 200_000);
    let mut sending = true;
    let address = url.clone();
    let second = async {
        let answer = Answer::of(patch(&awa, &address, 0, bytes.clone())).await;
        answer.status.as_u16()
    };
    let trickle = async {
        // The first one goes on sending for longer than anybody waits for a turn.
        let mut ticks = tokio::time::interval(Duration::from_millis(200));
        for at in (100_000..199_000).step_by(1_000) {
            ticks.tick().await;
            sending = first.write_all(&bytes[at..at + 1_000]).is_ok();
        }
    };
    let status = tokio::select! {
        status = second => status,
        () = trickle => panic!("the second request waits for ever"),
    };
    if status != 204 {
        assert!(matches!(status, 423 | 409), "{status}");
        assert!(sending);
        return;
    }
    // The second one came to the server before the first: then that is the one that may not send.
    first
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a limit");
    let mut answer = [0; 12];
    first.read_exact(&mut answer).expect("an answer");
    let answer = String::from_utf8_lossy(&answer);
    assert!(
        answer.ends_with(" 423") || answer.ends_with(" 409"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_member_has_bounded_room() {
    let settings = [
        ("GRIOT_UPLOADS_OPEN_PER_MEMBER", "3"),
        ("GRIOT_UPLOADS_QUOTA", "1MiB"),
        ("GRIOT_UPLOADS_TUS_MAX", "2MiB"),
        ("GRIOT_UPLOADS_TUS_MAX_IMAGE", "1KiB"),
    ];
    let server = Server::start_with(&settings).await;
    let awa = server.member("awa").await;
    let begin = async |length: u64| {
        let request = asking(&awa, "POST", UPLOADS).header("upload-length", length);
        Answer::of(request).await
    };
    begin((2 << 20) + 1).await.expect(413);
    let over = begin((1 << 20) + 1).await.expect(413);
    assert!(
        over.json["detail"]
            .as_str()
            .is_some_and(|text| text.contains("plein"))
    );
    let first = begin(900_000)
        .await
        .expect(201)
        .header("location")
        .to_owned();
    begin(200_000).await.expect(413);
    let open = asking(&awa, "POST", UPLOADS).header("upload-defer-length", "1");
    let open = Answer::of(open)
        .await
        .expect(201)
        .header("location")
        .to_owned();
    let much = Answer::of(patch(&awa, &open, 0, video(200_000))).await;
    much.expect(413);
    Answer::of(asking(&awa, "DELETE", &open)).await.expect(204);
    for _ in 0..2 {
        begin(1).await.expect(201);
    }
    begin(1).await.expect(429);
    Answer::of(asking(&awa, "DELETE", &first)).await.expect(204);
    let png = drawn("testsrc2=s=640x360", "a.png", &["-frames:v", "1"]);
    let url = create(&awa, png.len() as u64).await;
    let large = Answer::of(patch(&awa, &url, 0, png)).await.expect(400);
    assert_eq!(
        large.json,
        json!({"file": ["L’image est trop volumineuse."]})
    );
    let huge = asking(&awa, "POST", UPLOADS)
        .header("upload-length", 1)
        .header(
            "upload-metadata",
            format!("filename {}", "A".repeat(16 << 10)),
        );
    Answer::of(huge).await.expect(400);
}

#[tokio::test]
async fn a_disk_without_room_refuses_before_the_bytes_come_and_keeps_what_came() {
    // A tenth of it stays free: 6.4 MiB.
    let disk = SmallDisk::of(64);
    let data = disk.path().join("data").display().to_string();
    let server = Server::start_with(&[("GRIOT_DATA_DIR", &data)]).await;
    let awa = server.member("awa").await;
    let much = asking(&awa, "POST", UPLOADS).header("upload-length", 60 << 20);
    let much = Answer::of(much).await.expect(507);
    assert!(much.json["detail"].is_string(), "{}", much.json);
    let bytes = video(1_000_000);
    let url = create(&awa, 1_000_000).await;
    Answer::of(patch(&awa, &url, 0, bytes[..400_000].to_vec()))
        .await
        .expect(204);
    disk.fill();
    let rest = |from: usize| patch(&awa, &url, from as u64, bytes[from..].to_vec());
    Answer::of(rest(400_000)).await.expect(507);
    disk.make_room();
    let told = offset(&awa, &url).await;
    assert_eq!(told, 400_000);
    Answer::of(rest(400_000)).await.expect(204);
    judged(&awa, &url).await;
}

#[tokio::test]
async fn events_tell_of_an_upload_while_it_comes_and_until_it_is_a_medium() {
    let server = Server::start().await;
    let awa = server.member("awa").await;
    let png = drawn("testsrc2=s=640x360", "a.png", &["-frames:v", "1"]);
    let half = png.len() / 2;
    let url = create(&awa, png.len() as u64).await;
    let path = format!(
        "{}/events/",
        &url[server.http.len()..].trim_end_matches('/')
    );
    let mut events = awa
        .request(Method::GET, &path)
        .send()
        .await
        .expect("an answer");
    assert_eq!(events.status(), 200);
    let mut told = String::new();
    let mut states: Vec<Value> = Vec::new();
    let mut sent = 0;
    while let Some(piece) = events.chunk().await.expect("events") {
        told.push_str(std::str::from_utf8(&piece).expect("text"));
        while let Some((event, rest)) = told.split_once("\n\n") {
            if let Some(data) = event.strip_prefix("event: progress\ndata: ") {
                states.push(serde_json::from_str(data).expect("JSON"));
            }
            told = rest.to_owned();
        }
        // The next half goes only when the last one has been told of.
        let seen = states.last().map(|state| state["received"].clone());
        if sent < png.len() && seen == Some(json!(sent)) {
            let end = if sent == 0 { half } else { png.len() };
            let answer = Answer::of(patch(&awa, &url, sent as u64, png[sent..end].to_vec())).await;
            answer.expect(204);
            sent = end;
        }
    }
    let first = &states[0];
    assert_eq!(
        (&first["state"], &first["percent"]),
        (&json!("receiving"), &json!(0))
    );
    let middle = states
        .iter()
        .find(|state| state["received"] == json!(half))
        .expect("half of it");
    assert_eq!(
        (&middle["stage"], &middle["percent"]),
        (&json!("receiving"), &json!(half * 100 / png.len()))
    );
    let last = states.last().expect("the end");
    assert_eq!(
        (&last["state"], &last["percent"]),
        (&json!("ready"), &json!(100))
    );
    assert_eq!(last["media"]["media_type"], "image");
}

/// Sends the head of a PATCH and some of its body, then as `more` says; what the server answers.
fn trickle(
    member: &Member,
    url: &str,
    more: impl Fn(&mut TcpStream) -> std::io::Result<()>,
) -> String {
    let request = patch(member, url, 0, Vec::new())
        .build()
        .expect("a request");
    let host = request.url().socket_addrs(|| None).expect("an address")[0];
    let mut socket = TcpStream::connect(host).expect("a connection");
    let mut head = format!(
        "PATCH {} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 200000\r\n",
        request.url().path()
    );
    for (name, value) in request.headers() {
        if name != "content-length" {
            head += &format!("{name}: {}\r\n", value.to_str().expect("text"));
        }
    }
    socket.write_all(head.as_bytes()).expect("a head");
    socket
        .write_all(b"\r\n0123456789")
        .expect("some of the body");
    socket
        .set_read_timeout(Some(Duration::from_secs(1)))
        .expect("a time limit");
    let mut answer = Vec::new();
    // It is the server that ends this.
    loop {
        let mut piece = [0; 4_096];
        match socket.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => answer.extend(&piece[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                if more(&mut socket).is_err() {
                    break;
                }
            }
            Err(_) => break,
        }
        if answer.windows(4).any(|end| end == b"\r\n\r\n") && answer.ends_with(b"}") {
            break;
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_body_that_stops_or_trickles_is_cut_with_an_answer_and_what_came_is_kept() {
    let server = Server::start().await;
    let awa = std::sync::Arc::new(server.member("awa").await);
    let mut waiting = Vec::new();
    for trickles in [false, true] {
        let url = create(&awa, 200_000).await;
        let (member, to) = (std::sync::Arc::clone(&awa), url.clone());
        let answer = tokio::task::spawn_blocking(move || {
            trickle(&member, &to, |socket| {
                if trickles {
                    socket.write_all(b"0123456789")
                } else {
                    Ok(())
                }
            })
        });
        waiting.push((trickles, url, answer));
    }
    for (trickles, url, answer) in waiting {
        let answer = answer.await.expect("an end");
        assert!(
            answer.starts_with("HTTP/1.1 408 "),
            "trickles: {trickles}: {answer}"
        );
        assert!(
            answer.contains("La requête a pris trop de temps."),
            "{answer}"
        );
        let kept = offset(&awa, &url).await;
        assert!(
            if trickles { kept > 10 } else { kept == 10 },
            "trickles: {trickles}: {kept}"
        );
    }
}
