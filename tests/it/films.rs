//! Videos from the outside: sent by the contract's forms, watched by their addresses, made in spite of a kill.

use std::path::Path;

use reqwest::Method;
use reqwest::header::{IF_NONE_MATCH, RANGE};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::support::{
    Answer, Member, Server, av_offset_s, clip, decode_errors, eventually, packets, probe, tool,
};

/// ffmpeg's arguments, then the file.
fn made(arguments: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("made");
    let clip = clip();
    let mut all = vec!["-v", "error", "-i", clip.to_str().expect("UTF-8")];
    all.extend(arguments.split_whitespace());
    all.push(file.to_str().expect("UTF-8"));
    tool("ffmpeg", &all, None);
    std::fs::read(file).expect("the file")
}

async fn send(member: &Member, path: &str, part: &'static str, file: Vec<u8>) -> Answer {
    let file = Part::bytes(file).file_name("vidéo de la fête.mp4");
    let form = Form::new().text("title", "La fête").part(part, file);
    Answer::of(member.request(Method::POST, path).multipart(form)).await
}

/// A medium once it is made, or has failed.
async fn when_made(member: &Member, id: &Value) -> Value {
    eventually(&format!("medium {id} is made"), || async {
        let media = member.get(&format!("/api/posts/media/{id}/")).await.json;
        match media["state"].as_str() {
            Some("ready" | "failed") => Ok(media),
            _ => Err(media),
        }
    })
    .await
}

/// The playlist of all renditions once none will follow: it may be kept then.
async fn when_complete(server: &Server, media: &Value) -> String {
    let url = text(media, "hls_url");
    eventually(&format!("{url} is complete"), || async {
        let answer = Answer::of(server.client.get(url)).await;
        match answer.header("cache-control") {
            "public, max-age=60" => Ok(String::from_utf8(answer.body).expect("text")),
            other => Err(other.to_owned()),
        }
    })
    .await
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("{key} in {value}"))
}

fn saved(folder: &Path, name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let file = folder.join(name);
    std::fs::write(&file, bytes).expect("room");
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_video_is_sent_by_the_form_watched_downloaded_and_deleted() {
    let server = Server::start().await;
    let awa = server.member("awa").await;
    let sent = std::fs::read(clip()).expect("the clip");
    let first = send(&awa, "/api/posts/media/upload/", "file", sent)
        .await
        .expect(201)
        .json;
    assert_eq!(first["state"], "processing");
    assert_eq!(
        (&first["file"], &first["hls_url"]),
        (&Value::Null, &Value::Null),
        "{first}"
    );

    let media = when_made(&awa, &first["id"]).await;
    let file = text(&media, "file").to_owned();
    let below = file
        .strip_suffix("/file.mp4")
        .expect("its address")
        .to_owned();
    let poster = format!("{below}/poster.jpg");
    let variants = media["variants"].as_array().expect("a list");
    let named = variants
        .iter()
        .find(|variant| variant["name"] == "poster.jpg");
    assert_eq!(named.expect("a poster")["url"], poster);
    assert_eq!(
        media,
        json!({
            "id": first["id"], "file": file, "media_type": "video", "title": "La fête", "description": "",
            "duration": "00:00:10", "file_size": media["file_size"], "width": 320, "height": 180,
            "is_appropriate": true, "approval_status": "approved", "moderation_score": null,
            "is_live": false, "live_viewers_count": 0, "file_url": file, "thumbnail_url": poster,
            "is_approved_for_publication": true, "cdn_url": null, "cdn_public_id": null,
            "created_at": first["created_at"], "state": "ready", "failure": null,
            "blurhash": media["blurhash"], "variants": media["variants"],
            "hls_url": format!("{below}/index.m3u8"),
        })
    );

    // The file: whole, resumable, known by its tag, called what its sender called it.
    let whole = Answer::of(server.client.get(&file)).await.expect(200);
    assert_eq!(whole.header("content-type"), "video/mp4");
    assert_eq!(whole.header("access-control-allow-origin"), "*");
    assert!(
        whole
            .header("content-disposition")
            .contains("filename*=UTF-8''La%20f%C3%AAte%20")
    );
    let part = server.client.get(&file).header(RANGE, "bytes=100-199");
    let part = Answer::of(part).await.expect(206);
    assert_eq!(part.body, whole.body[100..200]);
    let known = server
        .client
        .get(&file)
        .header(IF_NONE_MATCH, whole.header("etag"));
    Answer::of(known).await.expect(304);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let kept = saved(folder.path(), "kept.mp4", &whole.body);
    assert_eq!(decode_errors(&kept), "");
    let hashes = |file: &Path| {
        let packets = packets(file).video;
        packets
            .into_iter()
            .map(|packet| packet.hash)
            .collect::<Vec<_>>()
    };
    assert_eq!(hashes(&kept), hashes(&clip()), "nothing was encoded anew");

    // By HLS: all pieces may be kept, and together are the same pictures.
    let list = when_complete(&server, &media).await;
    assert!(
        list.contains("CODECS=\"avc1.64000c,mp4a.40.2\"") || list.contains("CODECS=\"avc1.6400"),
        "{list}"
    );
    assert!(
        list.contains("RESOLUTION=320x180,FRAME-RATE=30.000\nsource/index.m3u8\n"),
        "{list}"
    );
    let playlist = Answer::of(server.client.get(format!("{below}/source/index.m3u8")))
        .await
        .expect(200);
    let playlist = String::from_utf8(playlist.body).expect("text");
    let init = Answer::of(server.client.get(format!("{below}/source/0/init.mp4")))
        .await
        .expect(200);
    let mut together = init.body;
    for line in playlist.lines().filter(|line| !line.starts_with('#')) {
        let segment = Answer::of(server.client.get(format!("{below}/source/{line}")))
            .await
            .expect(200);
        assert_eq!(
            segment.header("cache-control"),
            "public, max-age=3600, immutable"
        );
        together.extend(segment.body);
    }
    let together = saved(folder.path(), "hls.mp4", &together);
    assert_eq!(hashes(&together), hashes(&clip()));
    Answer::of(server.client.get(format!("{below}/audio.m3u8")))
        .await
        .expect(200);
    let board = Answer::of(server.client.get(format!("{below}/storyboard.vtt")))
        .await
        .expect(200);
    assert!(board.body.starts_with(b"WEBVTT\n"));
    Answer::of(server.client.get(format!("{below}/nothing/index.m3u8")))
        .await
        .expect(404);
    server.griot(&["check"]);

    let gone = awa.request(
        Method::DELETE,
        &format!("/api/posts/media/{}/", first["id"]),
    );
    Answer::of(gone).await.expect(204);
    eventually("nothing of it is left", || async {
        let left = objects(&server);
        let served = Answer::of(server.client.get(&file)).await.status;
        if left.is_empty() && served == 404 {
            Ok(())
        } else {
            Err((left, served))
        }
    })
    .await;
    server.griot(&["check"]);

    // A file of which nothing is made is found, too.
    let idle = server.data().join("originals/4711");
    std::fs::write(&idle, b"x").expect("room");
    let found = server.try_griot(&["check"]);
    assert!(!found.status.success());
    assert!(
        found.stdout.contains("\"original:4711\""),
        "{}",
        found.stdout
    );
    std::fs::remove_file(idle).expect("a file");
    server.griot(&["check"]);
}

/// The processes that a process has started and that run.
fn children_of(parent: i32) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").expect("processes");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_child = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // Behind the name, which may hold anything: the state and the parent.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        fields.split_whitespace().nth(1) == Some(&parent.to_string())
    };
    pids.filter(is_child).collect()
}

/// Every file among the objects.
fn objects(server: &Server) -> Vec<String> {
    let found = tool(
        "find",
        &[
            server.data().join("objects").to_str().expect("UTF-8"),
            "-type",
            "f",
        ],
        None,
    );
    String::from_utf8(found)
        .expect("UTF-8")
        .lines()
        .map(str::to_owned)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_video_or_too_long_a_one_is_refused_with_a_reason() {
    let server = Server::start().await;
    let awa = server.member("awa").await;
    let long = made(
        "-vf select=eq(n\\,0)+eq(n\\,1),setpts=N*61/TB -fps_mode vfr -an -c:v libx264 -preset ultrafast -f mp4",
    );
    let cut = std::fs::read(clip()).expect("the clip")[..50_000].to_vec();
    let mut said = Vec::new();
    for file in [long, cut, made("-vn -c:a copy -f mp4")] {
        let answer = send(&awa, "/api/posts/media/upload/", "file", file)
            .await
            .expect(400);
        said.push(
            answer.json["file"][0]
                .as_str()
                .expect("a sentence")
                .to_owned(),
        );
    }
    assert!(
        said[0] != said[1] && said[1] != said[2] && said[0] != said[2],
        "told apart: {said:?}"
    );
    server.griot(&["check"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_from_the_browser_becomes_the_lives_video() {
    let server = Server::start().await;
    let (awa, binta) = (server.member("awa").await, server.member("binta").await);
    let live = awa.start_live("Le marché de Madina").await;
    let path = format!("/api/posts/live/{}/upload-video/", live.id);
    // As MediaRecorder writes it: neither duration nor cues.
    let webm = made(
        "-t 5 -c:v libvpx -deadline realtime -cpu-used 8 -b:v 500k -c:a libopus -f webm -live 1",
    );

    send(&binta, &path, "video", webm.clone()).await.expect(403);
    send(
        &awa,
        "/api/posts/live/1/upload-video/",
        "video",
        webm.clone(),
    )
    .await
    .expect(404);
    let none = send(&awa, &path, "something", webm.clone())
        .await
        .expect(400);
    assert!(none.json["error"].is_string(), "{}", none.json);
    let none = send(&awa, &path, "video", b"eight by".to_vec())
        .await
        .expect(400);
    assert!(none.json["error"].is_string(), "{}", none.json);

    let answer = send(&awa, &path, "video", webm.clone())
        .await
        .expect(201)
        .json;
    let id = answer["media_id"].clone();
    let media = when_made(&awa, &id).await;
    assert_eq!(
        answer,
        json!({"message": "Enregistrement reçu", "media_id": id, "file_url": media["file"]})
    );
    assert_eq!(
        (&media["state"], &media["title"]),
        (&json!("ready"), &json!("La fête"))
    );
    let file = Answer::of(server.client.get(text(&media, "file")))
        .await
        .expect(200);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = saved(folder.path(), "recording.mp4", &file.body);
    let probed = probe(&file);
    let seconds: f64 = text(&probed["format"], "duration")
        .parse()
        .expect("seconds");
    assert!((seconds - 5.0).abs() < 0.1, "{probed}");
    assert_eq!(probed["streams"][0]["codec_name"], "h264");
    assert!(av_offset_s(&file).iter().all(|offset| offset.abs() <= 0.04));

    let stopped = awa.stop(live.id).await.expect(200).json;
    assert_eq!(stopped["video_id"], id, "{stopped}");
    // The live is over, and not for long.
    send(&awa, &path, "video", webm).await.expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_mid_transcode_a_video_is_made_after_the_restart() {
    let mut server = Server::start_with(&[("GRIOT_JOBS_LEASE", "5s")]).await;
    let awa = server.member("awa").await;
    let film = made(
        "-vf scale=1280:720 -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 2M -c:a libopus -f webm",
    );
    let first = send(&awa, "/api/posts/media/upload/", "file", film)
        .await
        .expect(201)
        .json;
    eventually("a rendition grows", || async {
        let growing = server.spool();
        if growing.iter().any(|path| path.contains("/source/")) {
            Ok(())
        } else {
            Err(growing)
        }
    })
    .await;
    let children = children_of(server.pid());
    assert!(!children.is_empty(), "a child works");
    server.kill().await;
    eventually("a killed host leaves no child", || async {
        let left = children
            .iter()
            .filter(|child| Path::new(&format!("/proc/{child}")).exists());
        let left: Vec<_> = left.collect();
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    })
    .await;
    assert!(objects(&server).is_empty(), "nothing was there before");
    server.start_again().await;
    let awa = Member::log_in(&server, awa.id, &awa.email, &awa.password).await;
    let media = when_made(&awa, &first["id"]).await;
    assert_eq!(media["state"], "ready", "{media}");
    when_complete(&server, &media).await;
    eventually("the file that was sent is gone", || async {
        let left: Vec<_> = std::fs::read_dir(server.data().join("originals"))
            .expect("a folder")
            .collect();
        if left.is_empty() && server.spool().is_empty() {
            Ok(())
        } else {
            Err((left.len(), server.spool()))
        }
    })
    .await;
    server.griot(&["check"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn matroska_is_taken_where_the_settings_say_so() {
    let film = made("-t 2 -c copy -f matroska");
    let closed = Server::start().await;
    let awa = closed.member("awa").await;
    let refused = send(&awa, "/api/posts/media/upload/", "file", film.clone())
        .await
        .expect(400);
    let said = refused.json["file"][0]
        .as_str()
        .expect("a sentence")
        .to_owned();
    assert!(said.contains("QuickTime"), "what is taken instead: {said}");
    let open = Server::start_with(&[("GRIOT_MEDIA_MATROSKA", "on")]).await;
    let awa = open.member("awa").await;
    let first = send(&awa, "/api/posts/media/upload/", "file", film)
        .await
        .expect(201)
        .json;
    let media = when_made(&awa, &first["id"]).await;
    assert_eq!(media["state"], "ready", "{media}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_that_claims_65535_by_65535_is_refused_and_costs_nothing() {
    let server = Server::start().await;
    let awa = server.member("awa").await;
    let mut film = std::fs::read(clip()).expect("the clip");
    // The sample entry's size: behind `avc1`, 24 bytes on (ISO/IEC 14496-12 12.1.3).
    let entry = film
        .windows(4)
        .rposition(|word| word == b"avc1")
        .expect("a sample entry");
    film[entry + 28..entry + 32].fill(0xff);
    let refused = send(&awa, "/api/posts/media/upload/", "file", film)
        .await
        .expect(400);
    let said = refused.json["file"][0].as_str().expect("a sentence");
    assert!(said.contains("pixels"), "{said}");
    let listed = awa.get("/api/posts/media/").await.expect(200).json;
    assert_eq!(listed["count"].as_i64().unwrap_or(0), 0, "{listed}");
    assert!(objects(&server).is_empty());
    server.griot(&["check"]);
}
