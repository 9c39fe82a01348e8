//! What a live leaves behind beside its MP4: one WebM of all of it, a poster, a storyboard.

use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Answer, Bucket, Live, Member, Packet, Player, Postgres, Process, Server, av_offset_s,
    decode_errors, eventually, ffmpeg_publish, ffmpeg_publish_for_ever, ffmpeg9_publish, fixture,
    heavy_clip, other_clip, packets, probe, saved, seen, tool, worker,
};

const ALWAYS: [(&str, &str); 1] = [("GRIOT_RECORDING_WEBM", "always")];

/// One kind of source, and what its WebM holds.
struct Source {
    clip: &'static str,
    maps: &'static [&'static str],
    picture: Option<&'static str>,
    sound: Option<&'static str>,
    /// Whether frames go through as they are.
    is_carried: bool,
}

const BOTH: &[&str] = &["0:v", "0:a"];

const SOURCES: [Source; 8] = [
    source("clip.mp4", BOTH, Some("vp8"), Some("opus"), false),
    source("clip.mp4", &["0:v"], Some("vp8"), None, false),
    source("clip.mp4", &["0:a"], None, Some("opus"), false),
    source("hevc.mp4", BOTH, Some("vp8"), Some("opus"), false),
    source("av1.mp4", BOTH, Some("av1"), Some("opus"), true),
    source("vp9.mp4", BOTH, Some("vp9"), Some("opus"), true),
    source("vp9.mp4", &["0:v"], Some("vp9"), None, true),
    source("vp9.mp4", &["0:a"], None, Some("opus"), true),
];

const fn source(
    clip: &'static str,
    maps: &'static [&'static str],
    picture: Option<&'static str>,
    sound: Option<&'static str>,
    is_carried: bool,
) -> Source {
    Source {
        clip,
        maps,
        picture,
        sound,
        is_carried,
    }
}

/// A live of all of `clip`, stopped, its recording ready.
async fn recorded(member: &Member, title: &str, process: impl Fn(&str) -> Process) -> Live {
    let live = member.start_live(title).await;
    process(&live.rtmp_url).succeeded().await;
    member.view_when(live.id, "interrupted").await;
    member.stop(live.id).await.expect(200);
    member.view_when_recorded(live.id).await;
    live
}

/// Waits until the WebM of a live stands there; the whole view.
async fn webm_is(member: &Member, live: i64, state: &str) -> Value {
    eventually(&format!("the WebM of live {live} is {state}"), || async {
        let view = member.view(live).await;
        if view["recording"]["webm"]["state"] == state {
            Ok(view)
        } else {
            Err(view["recording"].clone())
        }
    })
    .await
}

/// What lies behind an address of the view.
async fn fetched(server: &Server, url: &Value) -> (TempDir, PathBuf) {
    let url = url
        .as_str()
        .unwrap_or_else(|| panic!("{url} is an address"));
    saved(&Answer::of(server.client.get(url)).await.expect(200).body)
}

fn seconds(value: &Value) -> f64 {
    let text = value.as_str().and_then(|text| text.parse().ok());
    text.unwrap_or_else(|| panic!("seconds in {value}"))
}

fn duration_s(file: &Path) -> f64 {
    seconds(&probe(file)["format"]["duration"])
}

/// The number in the boxes along the upper edge of the picture at that moment (fixtures/README.md).
fn number_at(file: &Path, at_s: f64) -> u32 {
    number_in_boxes(file, at_s, 20.0, 16)
}

/// The same where a box has become another number of pixels wide.
fn number_in_boxes(file: &Path, at_s: f64, pixels: f64, boxes: u32) -> u32 {
    let file = file.to_str().expect("a path in UTF-8");
    let at = format!("{at_s:.3}");
    let arguments = [
        "-v",
        "error",
        "-ss",
        &at,
        "-i",
        file,
        "-frames:v",
        "1",
        "-vf",
        "scale=320:180",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "gray",
        "-",
    ];
    let picture = tool("ffmpeg", &arguments, None);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in a picture"
    )]
    let middle = |bit: u32| ((f64::from(bit) + 0.5) * pixels) as usize;
    (0..boxes)
        .filter(|bit| picture[10 * 320 + middle(*bit)] > 128)
        .map(|bit| 1 << bit)
        .sum()
}

/// Whether the list of contents at the front names an index, and it is there (RFC 9559 5.1.1, 5.1.5).
fn has_index(file: &[u8]) -> bool {
    let find = |what: &[u8]| file.windows(what.len()).position(|window| window == what);
    let segment = find(&[0x18, 0x53, 0x80, 0x67]).expect("a segment") + 12;
    let entry = [0x53, 0xab, 0x84, 0x1c, 0x53, 0xbb, 0x6b, 0x53, 0xac, 0x88];
    let Some(at) = find(&entry) else { return false };
    let place: [u8; 8] = file[at + 10..at + 18].try_into().expect("eight bytes");
    let at = segment + usize::try_from(u64::from_be_bytes(place)).expect("small");
    file[at..].starts_with(&[0x1c, 0x53, 0xbb, 0x6b])
}

fn hashes(packets: &[Packet]) -> Vec<&str> {
    packets.iter().map(|packet| packet.hash.as_str()).collect()
}

#[tokio::test]
async fn each_source_becomes_a_webm_that_is_as_long_in_step_and_seeks() {
    let settings = [
        ALWAYS[0],
        ("GRIOT_LIVE_GOODBYE_GRACE", "120s"),
        ("GRIOT_RECORDING_PICTURES", "on"),
    ];
    let server = Server::start_with(&settings).await;
    let mut published = Vec::new();
    for (number, source) in SOURCES.iter().enumerate() {
        let member = server.member(&format!("encoder{number}")).await;
        let live = member.start_live("Un live").await;
        let clips = [fixture(source.clip)];
        let process = ffmpeg9_publish(&clips, source.maps, &live.rtmp_url);
        published.push((source, member, live, process));
    }
    for (_, member, live, process) in &published {
        process.succeeded().await;
        member.view_when(live.id, "interrupted").await;
        member.stop(live.id).await.expect(200);
    }
    let mut faults = Vec::new();
    for (source, member, live, _) in &published {
        let view = webm_is(member, live.id, "ready").await;
        if let Err(fault) = judge(&server, source, &view).await {
            faults.push(format!("{} {:?}: {fault}", source.clip, source.maps));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    for (source, member, live, _) in &published {
        if source.picture.is_some() {
            pictures_are_there(&server, member, live.id).await;
        }
    }
}

async fn judge(server: &Server, source: &Source, view: &Value) -> Result<(), String> {
    let recording = &view["recording"];
    let (_folder, mp4) = fetched(server, &recording["mp4_url"]).await;
    let (_folder, webm) = fetched(server, &recording["webm_url"]).await;
    let bytes = std::fs::read(&webm).expect("the WebM");
    let wrong = |what: &str, found: String| Err(format!("{what}: {found}"));
    if recording["webm"]["bytes"] != bytes.len() {
        return wrong("bytes", recording["webm"].to_string());
    }
    if !has_index(&bytes) {
        return wrong("index", "none".to_owned());
    }
    let probed = probe(&webm);
    let streams = probed["streams"].as_array().expect("streams");
    let codecs: Vec<&str> = streams
        .iter()
        .filter_map(|stream| stream["codec_name"].as_str())
        .collect();
    let expected: Vec<&str> = source.picture.into_iter().chain(source.sound).collect();
    if codecs != expected {
        return wrong("codecs", format!("{codecs:?}"));
    }
    let complaints = decode_errors(&webm);
    if !complaints.is_empty() {
        return Err(complaints);
    }
    let (long, wanted) = (seconds(&probed["format"]["duration"]), duration_s(&mp4));
    if (long - wanted).abs() > 1.0 / 30.0 {
        return wrong("duration", format!("{long} of {wanted} s"));
    }
    let (made, source_packets) = (packets(&webm), packets(&mp4));
    if source.is_carried
        && (hashes(&made.video) != hashes(&source_packets.video)
            || hashes(&made.audio) != hashes(&source_packets.audio))
    {
        return wrong("packets", "others".to_owned());
    }
    if made.video.len() != source_packets.video.len() {
        let counts = (made.video.len(), source_packets.video.len());
        return wrong("pictures", format!("{counts:?}"));
    }
    // From the first picture: ffmpeg moves both tracks so that what Opus puts before the beginning is not before zero.
    let from_first = |times: Vec<f64>| -> Vec<f64> {
        let first = times.first().copied().unwrap_or(0.0);
        times.iter().map(|time| time - first).collect()
    };
    let times = from_first(made.video.iter().map(|packet| packet.pts_s).collect());
    for (one, other) in times.iter().zip(from_first(sorted(source_packets.video))) {
        if (one - other).abs() > 0.0015 {
            return wrong("times", format!("{one} and {other} s"));
        }
    }
    if source.picture.is_some() {
        // 30 pictures a second, the first is number 0. (The MP4 of HEVC is no measure: there ffmpeg 5.1 skips to 60 at 1.9 s.)
        for (at_s, expected) in [(0.7, 21), (1.9, 57), (3.2, 96)] {
            let found = number_at(&webm, at_s);
            if found.abs_diff(expected) > 1 {
                return wrong("seek", format!("{found} at {at_s} s"));
            }
        }
    }
    if source.picture.is_some() && source.sound.is_some() {
        let offsets = av_offset_s(&webm);
        if offsets.len() < 3 || offsets.iter().any(|offset| offset.abs() > 0.040) {
            return wrong("beep minus flash", format!("{offsets:?}"));
        }
    }
    Ok(())
}

/// What ffmpeg complains about when it decodes all of it, at the file's own times: of a rate that changes it guesses one.
fn complaints(file: &Path) -> String {
    let output = std::process::Command::new("ffmpeg")
        .args(["-v", "warning", "-nostdin", "-threads", "1", "-i"])
        .arg(file)
        .args(["-enc_time_base", "-1", "-f", "null", "-"])
        .output()
        .expect("ffmpeg starts");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Presentation times, ascending: what has B-frames is decoded in another order.
fn sorted(packets: Vec<Packet>) -> Vec<f64> {
    let mut times: Vec<f64> = packets.into_iter().map(|packet| packet.pts_s).collect();
    times.sort_by(f64::total_cmp);
    times
}

async fn pictures_are_there(server: &Server, member: &Member, live: i64) {
    let view = eventually("the storyboard is there", || async {
        let view = member.view(live).await;
        let there = view["recording"]["storyboard_url"].is_string();
        if there { Ok(view) } else { Err(view) }
    })
    .await;
    let recording = &view["recording"];
    let url = recording["poster_url"].as_str().expect("an address");
    let poster = Answer::of(server.client.get(url)).await.expect(200);
    assert_eq!(poster.header("content-type"), "image/jpeg");
    let (width, height, _) = seen(&poster.body);
    assert_eq!((width, height), (320, 180));
    let url = recording["storyboard_url"].as_str().expect("an address");
    let list = Answer::of(server.client.get(url)).await.expect(200);
    assert!(list.header("content-type").starts_with("text/vtt"));
    let list = String::from_utf8(list.body).expect("UTF-8");
    let cues = list.matches(" --> ").count();
    let lasts = recording["duration"].as_f64().expect("seconds");
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "seconds"
    )]
    let expected = lasts as usize;
    assert_eq!(cues, expected, "one a second: {list}");
    assert!(
        list.contains("\nstoryboard.jpg#xywh=0,0,160,90\n"),
        "{list}"
    );
    let sheet = url.replace(".vtt", ".jpg");
    let sheet = Answer::of(server.client.get(sheet)).await.expect(200);
    assert_eq!(seen(&sheet.body).0 % 160, 0);
}

/// What people keep is the live, not the runs that an encoder's change made of it.
#[tokio::test]
async fn a_live_of_two_runs_is_one_webm_of_one_size_on_one_timeline() {
    let server = Server::start_with(&ALWAYS).await;
    let owner = server.member("aissatou").await;
    let live = owner.start_live("Deux caméras").await;
    ffmpeg_publish(&other_clip(), &live.rtmp_url)
        .succeeded()
        .await;
    owner.view_when(live.id, "interrupted").await;
    let clip = fixture("clip.mp4");
    ffmpeg_publish(&clip, &live.rtmp_url).succeeded().await;
    eventually("the second session has ended", || async {
        let view = owner.view(live.id).await;
        let ended = view["sessions"].as_array().map(Vec::len) == Some(2);
        let ended = ended && view["status"] == "interrupted";
        if ended { Ok(()) } else { Err(view) }
    })
    .await;
    owner.stop(live.id).await.expect(200);

    let view = webm_is(&owner, live.id, "ready").await;
    let (_folder, webm) = fetched(&server, &view["recording"]["webm_url"]).await;
    assert_eq!(complaints(&webm), "");
    let probed = probe(&webm);
    // The size of the longer one.
    let picture = &probed["streams"][0];
    assert_eq!(
        (&picture["width"], &picture["height"]),
        (&320.into(), &180.into())
    );
    let said = view["recording"]["duration"].as_f64().expect("seconds");
    let long = seconds(&probed["format"]["duration"]);
    assert!((long - said).abs() < 0.05, "{long} of {said} s");
    let runs = view["recording"]["runs"].as_array().expect("runs");
    let begins =
        runs[1]["at"].as_f64().expect("seconds") - runs[0]["at"].as_f64().expect("seconds");
    // 25 pictures a second, then 30: each run counts its pictures from 0.
    // The first is 240 pixels wide and made 320: its boxes are four thirds as wide.
    let first = number_in_boxes(&webm, 2.0, 80.0 / 3.0, 12);
    assert!(first.abs_diff(50) <= 1, "{first} at 2 s");
    let second = number_at(&webm, begins + 3.0);
    assert!(second.abs_diff(90) <= 1, "{second} 3 s into the second run");
    let offsets = av_offset_s(&webm);
    assert!(
        offsets.len() >= 14 && offsets.iter().all(|offset| offset.abs() <= 0.040),
        "{offsets:?}"
    );
}

#[tokio::test]
async fn a_webm_is_made_on_demand_of_its_owner_only_and_downloads_like_the_mp4() {
    let server = Server::start_with(&[("GRIOT_RECORDING_WEBM", "on-demand")]).await;
    let owner = server.member("aissatou").await;
    let other = server.member("binta").await;
    let live = owner.start_live("Le marché de Madina").await;
    let path = format!("/api/posts/live/{}/webm/", live.id);
    let ask = async |member: &Member| member.post(&path, &json!({})).await;
    let encoder = ffmpeg_publish_for_ever(&other_clip(), &live.rtmp_url);
    let player = Player::open(&server, &live.hls_url).await;
    player.until_seconds(2.0).await;
    ask(&owner).await.expect(409);
    encoder.kill().await;
    owner.stop(live.id).await.expect(200);
    let view = owner.view_when_recorded(live.id).await;
    assert_eq!(view["recording"]["webm"]["state"], "none", "{view}");
    assert_eq!(view["recording"]["webm"]["on_demand"], true, "{view}");
    assert!(view["recording"]["webm_url"].is_null(), "{view}");

    ask(&other).await.expect(403);
    let nobody = server.client.post(format!("{}{path}", server.http));
    Answer::of(nobody).await.expect(401);
    let unknown = owner.post("/api/posts/live/1/webm/", &json!({})).await;
    unknown.expect(404);
    let asked = ask(&owner).await.expect(202);
    assert!(asked.json["webm_url"].is_null(), "{}", asked.json);
    let view = webm_is(&owner, live.id, "ready").await;
    let there = ask(&owner).await.expect(200);
    assert_eq!(there.json["webm_url"], view["recording"]["webm_url"]);
    let seen = Answer::of(
        server
            .client
            .get(format!("{}/api/posts/live/{}/", server.http, live.id)),
    );
    let seen = seen.await.expect(200).json;
    assert_eq!(seen["recording"]["webm_url"], there.json["webm_url"]);

    let url = there.json["webm_url"].as_str().expect("an address");
    let all = Answer::of(server.client.get(url)).await.expect(200);
    assert_eq!(all.header("content-type"), "video/webm");
    assert_eq!(all.header("accept-ranges"), "bytes");
    let name = all.header("content-disposition");
    let encoded = "filename*=UTF-8''Le%20march%C3%A9%20de%20Madina";
    assert!(name.contains(encoded) && name.ends_with(".webm"), "{name}");
    let kept = Answer::of(server.client.get(format!("{url}?download=1"))).await;
    let kept = kept.header("content-disposition").to_owned();
    assert!(kept.starts_with("attachment"), "{kept}");
    let etag = all.header("etag").to_owned();
    assert!(etag.starts_with('"'), "{etag} is a strong tag");
    let some = server
        .client
        .get(url)
        .header("range", "bytes=100-299")
        .header("if-range", &etag);
    let some = Answer::of(some).await.expect(206);
    assert_eq!(some.body, all.body[100..300]);
    let known = server.client.get(url).header("if-none-match", &etag);
    Answer::of(known).await.expect(304);
    let head = Answer::of(server.client.head(url)).await.expect(200);
    assert_eq!(head.header("content-length"), all.body.len().to_string());
}

#[tokio::test]
async fn where_no_webm_is_wanted_none_is_made() {
    let server = Server::start_with(&[("GRIOT_RECORDING_WEBM", "never")]).await;
    let owner = server.member("aissatou").await;
    let live = recorded(&owner, "Sans", |to| ffmpeg_publish(&other_clip(), to)).await;
    let path = format!("/api/posts/live/{}/webm/", live.id);
    owner.post(&path, &json!({})).await.expect(404);
    let view = owner.view(live.id).await;
    assert_eq!(view["recording"]["webm"]["state"], "none", "{view}");
    assert_eq!(view["recording"]["webm"]["on_demand"], false, "{view}");
    let said = server.try_griot(&["jobs", "list", "--kind", "recording-webm"]);
    assert_eq!(said.expect_success().stdout, "");
}

/// A live of some seconds that take long to encode.
async fn heavy(server: &Server) -> (Member, Live) {
    let owner = server.member("aissatou").await;
    let live = recorded(&owner, "Lourd", |to| ffmpeg_publish(&heavy_clip(), to)).await;
    (owner, live)
}

/// Waits until some of the WebM is made, and not all.
async fn half_made(server: &Server, owner: &Member, live: i64) {
    eventually("the WebM is being made", || async {
        let view = owner.view(live).await;
        let webm = view["recording"]["webm"].clone();
        let half = workshop(server).iter().any(|bytes| *bytes > 0);
        if webm["state"] == "running" && half {
            Ok(())
        } else {
            Err(webm)
        }
    })
    .await;
}

/// Lengths of what lies in the folder of what is half made.
fn workshop(server: &Server) -> Vec<u64> {
    let Ok(entries) = std::fs::read_dir(server.data().join("recordings")) else {
        return Vec::new();
    };
    let lengths = entries.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()));
    lengths.collect()
}

fn check_is_content(server: &Server) {
    let checked = server.try_griot(&["check"]).expect_success();
    assert!(
        checked.stdout.contains("\"problems\":[]"),
        "{}",
        checked.stdout
    );
}

#[tokio::test]
async fn a_server_that_is_killed_over_it_makes_the_webm_once_and_leaves_nothing_over() {
    let settings = [ALWAYS[0], ("GRIOT_JOBS_LEASE", "2s")];
    let mut server = Server::start_with(&settings).await;
    let (owner, live) = heavy(&server).await;
    half_made(&server, &owner, live.id).await;
    server.kill().await;
    assert_eq!(workshop(&server).len(), 1, "what was half made");
    server.start_again().await;
    let view = webm_is(&owner, live.id, "ready").await;
    let (_folder, webm) = fetched(&server, &view["recording"]["webm_url"]).await;
    assert_eq!(decode_errors(&webm), "");
    assert_eq!(workshop(&server), [0; 0]);
    let said = server.try_griot(&["jobs", "list", "--kind", "recording-webm"]);
    let rows = said.expect_success().stdout;
    assert_eq!(rows.lines().count(), 1, "{rows}");
    check_is_content(&server);
}

#[tokio::test]
async fn a_webm_that_is_cancelled_leaves_nothing_and_can_be_asked_for_again() {
    // Whoever does the job hears of it with the next renewal of its lease.
    let settings = [ALWAYS[0], ("GRIOT_JOBS_LEASE", "2s")];
    let server = Server::start_with(&settings).await;
    let (owner, live) = heavy(&server).await;
    half_made(&server, &owner, live.id).await;
    let said = server.try_griot(&["jobs", "list", "--kind", "recording-webm"]);
    let row: Value = serde_json::from_str(&said.expect_success().stdout).expect("one row");
    let id = row["id"].to_string();
    server.try_griot(&["jobs", "cancel", &id]).expect_success();
    let view = webm_is(&owner, live.id, "none").await;
    assert_eq!(view["recording"]["webm"]["on_demand"], true, "{view}");
    assert_eq!(workshop(&server), [0; 0]);
    check_is_content(&server);
    let path = format!("/api/posts/live/{}/webm/", live.id);
    owner.post(&path, &json!({})).await.expect(202);
    webm_is(&owner, live.id, "ready").await;
}

#[tokio::test]
async fn a_webm_that_cannot_be_made_says_why() {
    let server = Server::start_with(&[("GRIOT_RECORDING_WEBM", "on-demand")]).await;
    let owner = server.member("aissatou").await;
    let live = recorded(&owner, "Abîmé", |to| ffmpeg_publish(&other_clip(), to)).await;
    let file = format!("objects/lives/{}/source/0.mp4", live.id);
    let file = server.data().join(file);
    let bytes = std::fs::metadata(&file).expect("the recording").len();
    let garbage = vec![7; usize::try_from(bytes).expect("small")];
    std::fs::write(&file, garbage).expect("room");
    let path = format!("/api/posts/live/{}/webm/", live.id);
    owner.post(&path, &json!({})).await.expect(202);
    let view = webm_is(&owner, live.id, "failed").await;
    assert_eq!(view["recording"]["webm"]["reason"], "unreadable", "{view}");
    assert_eq!(workshop(&server), [0; 0]);
}

/// The server makes none: a worker on a machine of its own does, whose data folder has nothing of the live.
#[tokio::test]
async fn a_worker_elsewhere_makes_the_webm_of_a_bucket() {
    let bucket = Bucket::new().await;
    let database = Postgres::shared().await.database();
    let settings = [
        ALWAYS[0],
        ("GRIOT_RECORDING_PICTURES", "on"),
        ("GRIOT_DATABASE_URL", database.as_str()),
        ("GRIOT_JOBS_WORKERS", "0"),
        ("GRIOT_OBJECTS_S3_REDIRECT", "on"),
    ];
    let server = Server::start_on(&bucket, &settings).await;
    let owner = server.member("aissatou").await;
    let live = recorded(&owner, "Au loin", |to| ffmpeg_publish(&other_clip(), to)).await;
    let stored = eventually("the recording is stored", || async {
        let view = owner.view(live.id).await;
        let stored = view["recording"]["stored_at"].is_string();
        if stored { Ok(view) } else { Err(view) }
    });
    let view = stored.await;
    assert_eq!(view["recording"]["webm"]["state"], "queued", "{view}");

    let folder = tempfile::tempdir().expect("a temporary folder");
    let of_bucket = bucket.settings();
    let mut all = vec![
        ("GRIOT_DATABASE_URL", database.as_str()),
        ("GRIOT_JOBS_WORKERS", "2"),
    ];
    let texts = of_bucket.iter();
    all.extend(texts.map(|(name, value)| (name.as_str(), value.as_str())));
    let worker = worker(&folder, &all).await;
    let view = webm_is(&owner, live.id, "ready").await;
    let url = view["recording"]["webm_url"].as_str().expect("an address");
    let moved = Answer::of(server.client.get(url)).await.expect(302);
    let there = Answer::of(server.client.get(moved.header("location"))).await;
    let there = there.expect(200);
    assert_eq!(there.header("content-type"), "video/webm");
    let (_folder, webm) = saved(&there.body);
    assert_eq!(decode_errors(&webm), "");
    let some = server.client.request(Method::HEAD, url);
    let some = Answer::of(some).await.expect(200);
    assert_eq!(some.header("content-length"), there.body.len().to_string());
    eventually("the storyboard is there", || async {
        let view = owner.view(live.id).await;
        let there = view["recording"]["storyboard_url"].is_string();
        if there { Ok(()) } else { Err(view) }
    })
    .await;
    let fetched = std::fs::read_dir(folder.path().join("data/recordings")).expect("a folder");
    assert_eq!(fetched.count(), 0, "what was fetched is gone");
    drop(worker);
    check_is_content(&server);
}

/// A crash came after the end and before the jobs: the rows say that nobody has queued them.
#[tokio::test]
async fn what_a_crash_kept_from_being_queued_is_queued_by_the_next_start() {
    let mut server = Server::start_with(&ALWAYS).await;
    let owner = server.member("aissatou").await;
    let live = recorded(&owner, "Oublié", |to| ffmpeg_publish(&other_clip(), to)).await;
    webm_is(&owner, live.id, "ready").await;
    server.kill().await;
    let database = format!("sqlite:{}", server.data().join("griot.db").display());
    let mut rows = <sqlx::SqliteConnection as sqlx::Connection>::connect(&database)
        .await
        .expect("the database");
    for text in [
        "update recordings set followed_up_at = null",
        "delete from recording_files",
        "delete from jobs",
    ] {
        sqlx::query(text)
            .execute(&mut rows)
            .await
            .expect("a change");
    }
    drop(rows);
    server.start_again().await;
    webm_is(&owner, live.id, "ready").await;
}
