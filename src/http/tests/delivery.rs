//! What players fetch, while the live runs and after.

use super::*;
use serde_json::json;

/// A live on which ten seconds of media lie, and where to watch it.
struct Show {
    house: House,
    token: String,
    live: i64,
    /// `/live/{playback_id}`
    at: String,
    publisher: Publisher,
}

async fn show() -> Show {
    let house = House::open().await;
    let (id, token) = house.mariam().await;
    let started = house
        .json(
            "POST",
            "/api/posts/live/start/",
            Some(&token),
            json!({"title": "Été à Kaloum"}),
        )
        .await
        .json();
    let hls = started["hls_url"].as_str().unwrap();
    let at = hls
        .strip_prefix("https://griot.example")
        .and_then(|path| path.strip_suffix("/index.m3u8"))
        .unwrap()
        .to_owned();
    let publisher = house.publish(id).await;
    publisher.send(media(0, 10)).await.unwrap();
    let show = Show {
        house,
        token,
        live: started["live_id"].as_i64().unwrap(),
        at,
        publisher,
    };
    // Segments 0, 1 and 2 last a second, 3 lasts four: number 3 is whole when seven seconds are packaged.
    show.get("source/index.m3u8?_HLS_msn=3").await;
    show
}

impl Show {
    async fn get(&self, below: &str) -> Answer {
        self.house.get(&format!("{}/{below}", self.at)).await
    }

    async fn range(&self, below: &str, range: &str) -> Answer {
        let path = format!("{}/{below}", self.at);
        let mut request = asking("GET", &path, None, Body::empty());
        let range = range.parse().unwrap();
        request.headers_mut().insert("range", range);
        self.house.send(request).await
    }

    async fn stop(&self) -> Value {
        let path = format!("/api/posts/live/{}/stop/", self.live);
        let answer = self
            .house
            .json("PUT", &path, Some(&self.token), json!({}))
            .await;
        assert_eq!(answer.status, 200);
        answer.json()
    }
}

/// The addresses of segments that a playlist lists.
fn segments(playlist: &str) -> Vec<&str> {
    playlist
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .collect()
}

/// The value of `name` in the last line that begins with `tag`.
fn attribute<'a>(playlist: &'a str, tag: &str, name: &str) -> &'a str {
    let line = playlist.lines().rfind(|line| line.starts_with(tag));
    let value = line.and_then(|line| line.split(&format!("{name}=\"")).nth(1));
    value.and_then(|value| value.split('"').next()).unwrap()
}

#[tokio::test]
async fn a_player_finds_its_way_from_the_first_playlist_to_the_media() {
    let show = show().await;
    let multivariant = show.get("index.m3u8").await;
    assert_eq!(multivariant.status, 200);
    assert_eq!(
        multivariant.header("content-type"),
        "application/vnd.apple.mpegurl"
    );
    assert_eq!(segments(multivariant.text()), ["source/index.m3u8"]);

    let playlist = show.get("source/index.m3u8").await;
    assert_eq!(playlist.header("cache-control"), "no-store");
    assert_eq!(playlist.header("access-control-allow-origin"), "*");
    let init = attribute(playlist.text(), "#EXT-X-MAP", "URI");
    let init = show.get(&format!("source/{init}")).await;
    assert_eq!(init.status, 200);
    assert_eq!(&init.body[4..8], b"ftyp");
    assert_eq!(init.header("content-type"), "video/mp4");
    assert_eq!(
        init.header("cache-control"),
        "public, max-age=3600, immutable"
    );
    for segment in segments(playlist.text()) {
        let segment = show.get(&format!("source/{segment}")).await;
        assert_eq!(segment.status, 200);
        assert_eq!(&segment.body[4..8], b"moof");
    }
    let part = attribute(playlist.text(), "#EXT-X-PART:", "URI");
    let part = show.get(&format!("source/{part}")).await;
    assert_eq!(part.status, 200);
    assert_eq!(&part.body[4..8], b"moof");
    drop(show.publisher);
}

#[tokio::test]
async fn a_satisfied_reload_may_be_kept_for_seconds_and_comes_compressed() {
    let show = show().await;
    let path = format!("{}/source/index.m3u8?_HLS_msn=2", show.at);
    let mut request = asking("GET", &path, None, Body::empty());
    let codings = "br, gzip".parse().unwrap();
    request.headers_mut().insert("accept-encoding", codings);
    let answer = show.house.send(request).await;
    assert_eq!(answer.header("cache-control"), "public, max-age=6");
    assert_eq!(answer.header("content-encoding"), "gzip");
    assert_eq!(answer.header("vary"), "Accept-Encoding");
    let mut text = String::new();
    let mut unzip = flate2::read::GzDecoder::new(&answer.body[..]);
    std::io::Read::read_to_string(&mut unzip, &mut text).unwrap();
    assert!(text.starts_with("#EXTM3U"));
    drop(show.publisher);
}

#[tokio::test]
async fn a_reload_waits_for_its_segment_and_a_hinted_part_for_its_bytes() {
    let show = show().await;
    let playlist = show.get("source/index.m3u8").await;
    let hint = attribute(playlist.text(), "#EXT-X-PRELOAD-HINT", "URI");
    let hinted = format!("source/{hint}");
    let (reload, part, sent) = tokio::join!(
        biased;
        show.get("source/index.m3u8?_HLS_msn=4"),
        show.get(&hinted),
        show.publisher.send(media(10, 3)),
    );
    sent.unwrap();
    assert_eq!(reload.status, 200);
    assert_eq!(segments(reload.text()).len(), 5, "0 to 4");
    assert_eq!(part.status, 200);
    assert_eq!(&part.body[4..8], b"moof");
    drop(show.publisher);
}

#[tokio::test]
async fn what_cannot_be_had_is_refused_as_the_rfc_says() {
    let show = show().await;
    for (below, status) in [
        ("source/index.m3u8?_HLS_msn=99", 400),
        ("source/index.m3u8?_HLS_part=1", 400),
        ("source/index.m3u8?_HLS_msn=x", 400),
        ("720p/index.m3u8", 404),
        ("source/0/99.m4s", 404),
        ("source/0/99.0.m4s", 404),
        ("source/9/init.mp4", 404),
        ("source/9/0.m4s", 404),
        ("nothing", 404),
    ] {
        let answer = show.get(below).await;
        assert_eq!(answer.status, status, "{below}");
        assert_eq!(answer.header("cache-control"), "no-store", "{below}");
    }
    assert_eq!(show.house.get("/live/x/index.m3u8").await.status, 404);
    drop(show.publisher);
}

#[tokio::test]
async fn before_the_first_part_a_player_waits_five_seconds_and_is_told_to_come_back() {
    let house = House::open().await;
    let (_, token) = house.mariam().await;
    let started = house
        .json("POST", "/api/posts/live/start/", Some(&token), json!({}))
        .await
        .json();
    let path = started["hls_url"].as_str().unwrap();
    let path = path.strip_prefix("https://griot.example").unwrap();
    tokio::time::pause();
    let asked = tokio::time::Instant::now();
    let answer = house.get(path).await;
    assert_eq!(asked.elapsed().as_secs(), 5);
    tokio::time::resume();
    assert_eq!(answer.status, 404);
    assert_eq!(answer.header("retry-after"), "2");
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn after_the_stop_the_same_addresses_are_the_replay() {
    let show = show().await;
    let during = show.get("source/index.m3u8").await;
    let mut bodies = Vec::new();
    for segment in segments(during.text()) {
        bodies.push(show.get(&format!("source/{segment}")).await.body);
    }
    assert_eq!(show.stop().await["video_saved"], true);

    let replay = show.get("source/index.m3u8").await;
    assert!(replay.text().trim_end().ends_with("#EXT-X-ENDLIST"));
    assert!(
        replay
            .header("cache-control")
            .starts_with("public, max-age=")
    );
    let listed = segments(replay.text());
    assert_eq!(
        listed.len(),
        bodies.len() + 1,
        "the open segment was closed"
    );
    for (segment, body) in listed.iter().zip(&bodies) {
        let again = show.get(&format!("source/{segment}")).await;
        assert_eq!(again.body, body, "{segment}");
        let tail = show.range(&format!("source/{segment}"), "bytes=-10").await;
        assert_eq!(tail.status, 206);
        assert_eq!(tail.body, body[body.len() - 10..], "{segment}");
    }
}

#[tokio::test]
async fn the_recording_downloads_as_an_mp4_with_ranges_and_a_name() {
    let show = show().await;
    let path = format!("/api/posts/live/{}/", show.live);
    let before = show.house.get(&path).await.json();
    assert_eq!(before["recording"]["mp4_url"], Value::Null);
    show.stop().await;
    let view = show.house.get(&path).await.json();
    assert_eq!(view["status"], "ended");
    assert_eq!(view["end_reason"], "owner");
    let recording = &view["recording"];
    assert_eq!(recording["state"], "ready");
    assert_eq!(recording["width"], 640);
    assert_eq!(recording["gaps"], json!([]));
    let duration = recording["duration"].as_f64().unwrap();
    assert!((9.9..=10.1).contains(&duration), "{duration}");
    let url = recording["mp4_url"].as_str().unwrap();
    assert_eq!(recording["runs"][0]["mp4_url"], url);
    let url = url.strip_prefix("https://griot.example").unwrap();

    let shown = show.house.get(url).await;
    assert_eq!(shown.status, 200);
    assert_eq!(shown.header("content-type"), "video/mp4");
    assert_eq!(&shown.body[4..8], b"ftyp");
    assert_eq!(recording["bytes"], shown.body.len());
    assert!(shown.header("content-disposition").starts_with("inline;"));

    let kept = show.house.get(&format!("{url}?download=1")).await;
    let name = kept.header("content-disposition");
    assert!(
        name.starts_with("attachment; filename=\"_t_ _ Kaloum 20"),
        "{name}"
    );
    assert!(
        name.contains("filename*=UTF-8''%C3%89t%C3%A9%20%C3%A0%20Kaloum%2020"),
        "{name}"
    );

    let mut request = asking("GET", url, None, Body::empty());
    let headers = request.headers_mut();
    headers.insert("range", "bytes=100-199".parse().unwrap());
    headers.insert("if-range", shown.headers["etag"].clone());
    let part = show.house.send(request).await;
    assert_eq!(part.status, 206);
    assert_eq!(part.body, shown.body[100..200]);
    let mut request = asking("GET", url, None, Body::empty());
    let etag = shown.headers["etag"].clone();
    request.headers_mut().insert("if-none-match", etag);
    assert_eq!(show.house.send(request).await.status, 304);
    let head = show.house.send(asking("HEAD", url, None, Body::empty()));
    let head = head.await;
    assert_eq!(head.header("content-length"), shown.body.len().to_string());
    let other_run = url.replace("/0.mp4", "/1.mp4");
    assert_eq!(show.house.get(&other_run).await.status, 404);
}

#[tokio::test]
async fn viewers_are_counted_by_address_and_agent() {
    let show = show().await;
    for agent in ["one", "one", "two"] {
        let path = format!("{}/source/index.m3u8", show.at);
        let mut request = asking("GET", &path, None, Body::empty());
        let agent = agent.parse().unwrap();
        request.headers_mut().insert("user-agent", agent);
        show.house.send(request).await;
    }
    let path = format!("/api/posts/live/{}/", show.live);
    let view = show.house.get(&path).await.json();
    // The two, and the one without a name that waited for segment 3 unless that is ten seconds ago by now.
    assert!(
        (2..=3).contains(&view["viewers"].as_u64().unwrap()),
        "{view}"
    );
    drop(show.publisher);
}
