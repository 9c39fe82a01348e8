//! From the spool to a bucket: while the live runs, after it, on bad days; and back to viewers.

use std::time::Duration;

use reqwest::header::{IF_RANGE, LOCATION, RANGE, RETRY_AFTER};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use sqlx::{Connection, SqliteConnection};

use crate::support::{
    Answer, Authority, Bucket, Live, Member, Minio, Player, Server, clip, decode_errors,
    eventually, ffmpeg_publish, ffmpeg_publish_for_ever, heavy_clip, other_clip,
};
use crate::survive::{Dice, moments};

/// How long a bucket is away; `script/soak-objects` has longer bad days.
#[expect(clippy::disallowed_methods, reason = "the tests' own settings")]
fn outage() -> Duration {
    let given = std::env::var("OUTAGE_SECONDS").ok();
    Duration::from_secs(given.map_or(5, |seconds| {
        seconds.parse().expect("OUTAGE_SECONDS is a number")
    }))
}

/// SHA-256 of the list of SHA-256 of each 8 MiB, in hexadecimal: as the API describes `tree_sha256`.
fn tree_sha256(bytes: &[u8]) -> String {
    let list: Vec<u8> = bytes.chunks(8 << 20).flat_map(Sha256::digest).collect();
    hex::encode(Sha256::digest(list))
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

async fn until_parts_are_sent(server: &Server, least: f64) {
    eventually("parts are sent", || async {
        let sent = server.metric("griot_objects_parts_sent_total", "").await;
        if sent >= least { Ok(()) } else { Err(sent) }
    })
    .await;
}

/// The view once the recording is stored.
async fn view_when_stored(owner: &Member, live: i64) -> Value {
    eventually(&format!("live {live} is stored"), || async {
        let view = owner.view(live).await;
        if view["recording"]["stored_at"].is_string() {
            Ok(view)
        } else {
            Err(view["recording"].clone())
        }
    })
    .await
}

async fn download(server: &Server, view: &Value) -> Answer {
    let url = view["recording"]["mp4_url"].as_str().expect("an MP4");
    Answer::of(server.client.get(url)).await
}

/// The bucket holds this live's one file, byte for byte; nothing else is in bucket or spool.
async fn all_is_in_its_place(server: &Server, bucket: &Bucket, live: &Live, file: &[u8]) {
    let path = format!("lives/{}/source/0.mp4", live.id);
    let store = bucket.store();
    let listed = store.list_all("").await.expect("a list");
    let paths: Vec<&str> = listed.iter().map(|object| object.path.as_str()).collect();
    assert_eq!(paths, [path.as_str()]);
    let key = griot::objects::ObjectKey::parse(&path).expect("a key");
    let stream = store.read(&key, 0, listed[0].bytes).await;
    let object = stream
        .expect("the object")
        .collect()
        .await
        .expect("its bytes");
    assert_eq!(
        sha256(&object),
        sha256(file),
        "{} and {}",
        object.len(),
        file.len()
    );
    let pending = store.s3().expect("a bucket").uploads(&path).await;
    assert_eq!(pending.expect("a list"), []);
    eventually("the spool is empty", || async {
        let spool = server.spool();
        if spool.is_empty() { Ok(()) } else { Err(spool) }
    })
    .await;
    let report = server.griot(&["check"]);
    assert_eq!(report["problems"], serde_json::json!([]), "{report}");
}

#[tokio::test]
async fn a_live_is_sent_while_it_runs_and_its_replay_comes_from_the_bucket() {
    let bucket = Bucket::new().await;
    let mut server = Server::start_on(&bucket, &[]).await;
    let owner = server.member("aissatou").await;
    let live = owner.start_live("En plusieurs morceaux").await;
    let encoder = ffmpeg_publish(&heavy_clip(), &live.rtmp_url);
    until_parts_are_sent(&server, 1.0).await;
    assert!(encoder.runs(), "the first part leaves while the live runs");
    let view = owner.view(live.id).await;
    assert_eq!(view["recording"]["state"], "recording");
    assert_eq!(view["recording"]["stored_at"], Value::Null);
    encoder.succeeded().await;
    owner.view_when(live.id, "interrupted").await;
    let (view, file) = owner.stop_and_download(live.id).await;
    let player = Player::open(&server, &live.hls_url).await;
    let replay = player.now().await;
    let first = player.bytes(&replay.segments[0].uri).await;

    let view = {
        let stored = view_when_stored(&owner, live.id).await;
        assert_eq!(stored["recording"]["mp4_url"], view["recording"]["mp4_url"]);
        stored
    };
    let run = &view["recording"]["runs"][0];
    assert_eq!(run["tree_sha256"], tree_sha256(&file));
    assert!(
        file.len() > 40 << 20,
        "{} bytes are too few parts",
        file.len()
    );
    all_is_in_its_place(&server, &bucket, &live, &file).await;

    // The same addresses, the same bytes; also for a server that knows only rows and bucket.
    for again in [false, true] {
        if again {
            server.terminate().await;
            server.start_again().await;
        }
        let all = download(&server, &view).await.expect(200);
        assert_eq!(sha256(&all.body), sha256(&file));
        let etag = all.header("etag").to_owned();
        let url = view["recording"]["mp4_url"].as_str().expect("an MP4");
        let ranged = |range: &'static str, if_range: &str| {
            let asked = server.client.get(url).header(RANGE, range);
            Answer::of(asked.header(IF_RANGE, if_range))
        };
        let rest = ranged("bytes=40000000-", &etag).await.expect(206);
        assert!(rest.body == file[40_000_000..]);
        let tail = ranged("bytes=-7", &etag).await.expect(206);
        assert_eq!(tail.body, file[file.len() - 7..]);
        ranged("bytes=99999999999-", &etag).await.expect(416);
        let other = ranged("bytes=0-1", "\"another\"").await.expect(200);
        assert_eq!(other.body.len(), file.len());
        let head = Answer::of(server.client.head(url)).await.expect(200);
        assert_eq!(head.header("content-length"), file.len().to_string());
        let player = Player::open(&server, &live.hls_url).await;
        let now = player.now().await;
        assert_eq!(now.segments, replay.segments);
        assert!(player.bytes(&now.segments[0].uri).await == first);
        let mut joined = player.bytes(&now.segments[0].map).await;
        for segment in &now.segments {
            joined.extend(player.bytes(&segment.uri).await);
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("joined.mp4");
        std::fs::write(&file, joined).expect("room");
        assert_eq!(decode_errors(&file), "");
    }
}

#[tokio::test]
async fn a_short_live_is_one_put_and_downloads_may_be_sent_to_the_bucket() {
    let bucket = Bucket::new().await;
    let server = Server::start_on(&bucket, &[("GRIOT_OBJECTS_S3_REDIRECT", "on")]).await;
    let owner = server.member("aissatou").await;
    let live = owner.start_live("Très \"court\"").await;
    let encoder = ffmpeg_publish(&clip(), &live.rtmp_url);
    let player = Player::open(&server, &live.hls_url).await;
    player.until_seconds(2.0).await;
    drop(encoder);
    owner.stop(live.id).await.expect(200);
    let view = view_when_stored(&owner, live.id).await;
    assert_eq!(
        server.metric("griot_objects_parts_sent_total", "").await,
        0.0
    );

    let moved = download(&server, &view).await.expect(302);
    assert_eq!(moved.header("cache-control"), "no-store");
    let address = moved.header(LOCATION.as_str()).to_owned();
    assert!(address.starts_with(&bucket.endpoint), "{address}");
    let file = Answer::of(server.client.get(&address))
        .await
        .expect(200)
        .body;
    assert_eq!(
        view["recording"]["runs"][0]["tree_sha256"],
        tree_sha256(&file)
    );
    all_is_in_its_place(&server, &bucket, &live, &file).await;
    let there = Answer::of(server.client.get(&address).header(RANGE, "bytes=5-")).await;
    let there = there.expect(206);
    assert!(there.body == file[5..]);
    let named = there.header("content-disposition");
    assert!(named.contains("filename*=UTF-8''Tr%C3%A8s%20"), "{named}");
    let url = view["recording"]["mp4_url"].as_str().expect("an MP4");
    Answer::of(server.client.head(url)).await.expect(200);
    // Segments are ranges of the object, which no address can say: they come through griot.
    let replay = player.now().await;
    assert!(!player.bytes(&replay.segments[0].uri).await.is_empty());
}

/// A live of the heavy clip on a bucket of its own server.
struct BadDay {
    minio: Minio,
    bucket: Bucket,
    server: Server,
    owner: Member,
    live: Live,
}

impl BadDay {
    async fn dawn() -> Self {
        let minio = Minio::start().await;
        let bucket = minio.bucket();
        let server = Server::start_on(&bucket, &[]).await;
        let owner = server.member("aissatou").await;
        let live = owner.start_live("Mauvais jour").await;
        Self {
            minio,
            bucket,
            server,
            owner,
            live,
        }
    }

    /// A viewer who fetches every segment for a while; fails with the first request that does.
    async fn watch_for(&self, time: Duration) {
        let player = Player::open(&self.server, &self.live.hls_url).await;
        let until = tokio::time::Instant::now() + time;
        let mut playlist = player.now().await;
        let mut seen = 0;
        while tokio::time::Instant::now() < until {
            for segment in playlist
                .segments
                .iter()
                .filter(|segment| segment.msn >= seen)
            {
                assert!(!player.bytes(&segment.uri).await.is_empty());
            }
            seen = playlist.segments.last().map_or(0, |last| last.msn + 1);
            playlist = player.after(&playlist).await;
        }
    }

    async fn trouble(&self) -> Value {
        let health = format!("{}/api/health/", self.server.http);
        let health = Answer::of(self.server.client.get(health)).await.expect(200);
        health.json["objects"].clone()
    }

    async fn until_health_says(&self, state: &str) {
        eventually(&format!("health says {state}"), || async {
            let objects = self.trouble().await;
            if objects["state"] == state {
                Ok(())
            } else {
                Err(objects)
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_bucket_that_is_gone_in_mid_live_and_while_finishing_costs_nothing() {
    let mut day = BadDay::dawn().await;
    let encoder = ffmpeg_publish_for_ever(&heavy_clip(), &day.live.rtmp_url);
    until_parts_are_sent(&day.server, 1.0).await;
    day.minio.stop().await;
    day.watch_for(outage()).await;
    day.until_health_says("away").await;
    day.minio.start_again().await;
    let sent = day
        .server
        .metric("griot_objects_parts_sent_total", "")
        .await;
    until_parts_are_sent(&day.server, sent + 1.0).await;

    day.minio.stop().await;
    drop(encoder);
    let (view, file) = day.owner.stop_and_download(day.live.id).await;
    assert_eq!(view["recording"]["stored_at"], Value::Null);
    day.watch_replay().await;
    tokio::time::sleep(outage()).await;
    assert!(day.server.metric("griot_objects_waiting_bytes", "").await > 0.0);
    assert!(
        day.server
            .metric("griot_objects_errors_total", "away")
            .await
            > 0.0
    );
    day.minio.start_again().await;
    let view = view_when_stored(&day.owner, day.live.id).await;
    assert_eq!(
        view["recording"]["runs"][0]["tree_sha256"],
        tree_sha256(&file)
    );
    all_is_in_its_place(&day.server, &day.bucket, &day.live, &file).await;
    assert_eq!(
        day.server.metric("griot_objects_waiting_bytes", "").await,
        0.0
    );
    day.until_health_says("ok").await;
    day.a_stored_run_waits_for_its_bucket(&view, &file).await;
}

impl BadDay {
    /// Every segment of the replay is there.
    async fn watch_replay(&self) {
        let player = Player::open(&self.server, &self.live.hls_url).await;
        let replay = player.now().await;
        assert!(replay.ended, "{}", replay.text);
        for segment in &replay.segments {
            assert!(!player.bytes(&segment.uri).await.is_empty());
        }
    }

    /// What only the bucket has is refused with 503 while that is gone or frozen, and is there afterwards.
    async fn a_stored_run_waits_for_its_bucket(&mut self, view: &Value, file: &[u8]) {
        self.minio.stop().await;
        let refused = download(&self.server, view).await.expect(503);
        assert_eq!(refused.header(RETRY_AFTER.as_str()), "2");
        self.minio.start_again().await;
        self.minio.freeze();
        download(&self.server, view).await.expect(503);
        self.minio.thaw();
        let whole = download(&self.server, view).await.expect(200);
        assert_eq!(sha256(&whole.body), sha256(file));
    }
}

#[tokio::test]
async fn a_bucket_that_hears_and_never_answers_costs_nothing() {
    let mut day = BadDay::dawn().await;
    let encoder = ffmpeg_publish_for_ever(&heavy_clip(), &day.live.rtmp_url);
    until_parts_are_sent(&day.server, 1.0).await;
    day.minio.freeze();
    day.watch_for(outage()).await;
    day.minio.thaw();
    let sent = day
        .server
        .metric("griot_objects_parts_sent_total", "")
        .await;
    until_parts_are_sent(&day.server, sent + 1.0).await;

    day.minio.freeze();
    drop(encoder);
    let (view, file) = day.owner.stop_and_download(day.live.id).await;
    assert_eq!(view["recording"]["stored_at"], Value::Null);
    day.watch_replay().await;
    day.until_health_says("away").await;
    tokio::time::sleep(outage()).await;
    // Neither an orderly stop nor a start waits for it.
    assert!(day.server.terminate().await.success());
    day.server.start_again().await;
    day.watch_replay().await;
    day.minio.thaw();
    view_when_stored(&day.owner, day.live.id).await;
    all_is_in_its_place(&day.server, &day.bucket, &day.live, &file).await;
}

#[tokio::test]
async fn wrong_credentials_stop_no_live_and_everybody_says_so() {
    let bucket = Bucket::new().await;
    let wrong = ("AWS_SECRET_ACCESS_KEY", "not-the-secret-of-the-tests");
    let server = Server::start_on(&bucket, &[wrong]).await;
    let owner = server.member("aissatou").await;
    let live = owner.start_live("Sans clé").await;
    let encoder = ffmpeg_publish(&clip(), &live.rtmp_url);
    let player = Player::open(&server, &live.hls_url).await;
    player.until_seconds(2.0).await;
    drop(encoder);
    let (view, file) = owner.stop_and_download(live.id).await;
    assert_eq!(view["recording"]["stored_at"], Value::Null);
    assert!(!file.is_empty());
    let health = format!("{}/api/health/", server.http);
    let health = eventually("the run waits", || async {
        let health = Answer::of(server.client.get(&health))
            .await
            .expect(200)
            .json;
        if health["objects"]["waiting_bytes"] == file.len() {
            Ok(health)
        } else {
            Err(health)
        }
    })
    .await;
    assert_eq!(health["objects"]["state"], "refused", "{health}");
    assert!(server.metric("griot_objects_errors_total", "refused").await > 0.0);
    assert_eq!(server.metric("griot_objects_up", "").await, 0.0);

    let doctor = server.command(&["doctor"]);
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(!doctor.status.success(), "{said}");
    let line = said.lines().find(|line| line.contains("objects"));
    let line = line.unwrap_or_else(|| panic!("the doctor says nothing of the bucket:\n{said}"));
    assert!(line.starts_with("fail"), "{line}");
    assert!(line.contains("AWS_SECRET_ACCESS_KEY"), "{line}");
    for words in [said, server.log()] {
        assert!(!words.contains("not-the-secret"), "{words}");
    }
}

#[tokio::test]
async fn the_doctor_tries_the_bucket_and_leaves_nothing_there() {
    let bucket = Bucket::new().await;
    let mut gone = Bucket::new().await;
    gone.name = "no-such-bucket".to_owned();
    for (bucket, word) in [(&bucket, "ok"), (&gone, "fail")] {
        let server = Server::start_on(bucket, &[]).await;
        let doctor = server.command(&["doctor"]);
        let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
        let line = said.lines().find(|line| line.contains("s3://"));
        let line = line.unwrap_or_else(|| panic!("no bucket in:\n{said}"));
        assert!(line.starts_with(word), "{line}");
    }
    assert_eq!(bucket.store().list_all("").await.expect("a list"), []);
}

#[tokio::test]
async fn a_recording_of_two_files_is_stored_with_the_second() {
    let bucket = Bucket::new().await;
    let mut server = Server::start_on(&bucket, &[]).await;
    let owner = server.member("aissatou").await;
    let live = owner.start_live("Deux caméras").await;
    let player = Player::open(&server, &live.hls_url);
    let encoder = ffmpeg_publish(&other_clip(), &live.rtmp_url);
    let player = player.await;
    player.until_seconds(2.0).await;
    encoder.kill().await;
    owner.view_when(live.id, "interrupted").await;
    let encoder = ffmpeg_publish(&clip(), &live.rtmp_url);
    eventually("the first file is stored", || async {
        let view = owner.view(live.id).await;
        let first = view["recording"]["runs"][0]["tree_sha256"].clone();
        if first.is_string() && view["recording"]["runs"][1].is_object() {
            assert_eq!(view["recording"]["stored_at"], Value::Null, "{view}");
            Ok(())
        } else {
            Err(view)
        }
    })
    .await;
    player.until_seconds(4.0).await;
    encoder.kill().await;
    owner.stop(live.id).await.expect(200);
    let view = view_when_stored(&owner, live.id).await;
    let stored = bucket.store().list_all("").await.expect("a list");
    assert_eq!(stored.len(), 2, "{stored:?}");
    assert_eq!(server.spool(), Vec::<String>::new());

    server.terminate().await;
    server.start_again().await;
    let replay = Player::open(&server, &live.hls_url).await.now().await;
    let breaks = replay
        .segments
        .iter()
        .filter(|segment| segment.discontinuity);
    assert_eq!(breaks.count(), 1, "{}", replay.text);
    for run in view["recording"]["runs"].as_array().expect("runs") {
        let url = run["mp4_url"].as_str().expect("each run has its file");
        let file = Answer::of(server.client.get(url)).await.expect(200).body;
        assert_eq!(run["tree_sha256"], tree_sha256(&file));
    }
}

#[tokio::test]
async fn a_bucket_behind_https_is_reached_where_its_authority_is_known() {
    let authority = Authority::new();
    let minio = Minio::start_secure(&authority).await;
    let bucket = minio.bucket();
    let known = authority.ca_file().display().to_string();
    let stranger = Authority::new().ca_file().display().to_string();
    for (file, word) in [(&known, "ok"), (&stranger, "fail")] {
        let server = Server::start_on(&bucket, &[("SSL_CERT_FILE", file)]).await;
        let doctor = server.command(&["doctor"]);
        let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
        let line = said.lines().find(|line| line.contains("s3://"));
        let line = line.unwrap_or_else(|| panic!("no bucket in:\n{said}"));
        assert!(line.starts_with(word), "{line}");
    }
}

/// The entity tag is our own answer's, so what others upload under our number never gets into the object.
#[tokio::test]
async fn parts_of_others_cost_a_second_try_and_nothing_else() {
    let bucket = Bucket::new().await;
    let server = Server::start_on(&bucket, &[]).await;
    let owner = server.member("aissatou").await;
    let live = owner.start_live("Troublé").await;
    let encoder = ffmpeg_publish(&heavy_clip(), &live.rtmp_url);
    until_parts_are_sent(&server, 1.0).await;
    let path = format!("lives/{}/source/0.mp4", live.id);
    let key = griot::objects::ObjectKey::parse(&path).expect("a key");
    let store = bucket.store();
    let s3 = store.s3().expect("a bucket");
    let uploads = s3.uploads(&path).await.expect("a list");
    let theirs = bytes::Bytes::from(vec![7; 8 << 20]);
    let sent = s3.upload_part(&key, &uploads[0].id, 2, theirs, Duration::from_secs(60));
    sent.await.expect("a part of others");
    encoder.succeeded().await;
    owner.view_when(live.id, "interrupted").await;
    let (_, file) = owner.stop_and_download(live.id).await;
    let view = view_when_stored(&owner, live.id).await;
    assert_eq!(
        view["recording"]["runs"][0]["tree_sha256"],
        tree_sha256(&file)
    );
    all_is_in_its_place(&server, &bucket, &live, &file).await;
}

#[tokio::test]
async fn killed_at_random_moments_of_the_upload_and_of_its_end() {
    let mut dice = Dice::thrown("killed in mid-upload");
    let mut pause = async |most_ms| {
        tokio::time::sleep(Duration::from_millis(dice.below(most_ms))).await;
    };
    let bucket = Bucket::new().await;
    let mut server = Server::start_on(&bucket, &[]).await;
    let owner = server.member("aissatou").await;
    let live = owner.start_live("Coupé").await;
    let path = format!("lives/{}/source/0.mp4", live.id);
    let key = griot::objects::ObjectKey::parse(&path).expect("a key");
    let store = bucket.store();
    let s3 = store.s3().expect("a bucket");
    for _ in 0..moments() {
        let encoder = ffmpeg_publish_for_ever(&heavy_clip(), &live.rtmp_url);
        until_parts_are_sent(&server, 1.0).await;
        pause(1_500).await;
        server.kill().await;
        drop(encoder);
        // As if the crash had come between the server's answer and the row.
        s3.create_upload(&key).await.expect("a lost upload");
        server.start_again().await;
    }
    assert!(s3.uploads(&path).await.expect("a list").len() > moments());
    // A row that the file does not bear out: after a power loss other bytes may have followed.
    server.kill().await;
    let url = format!("sqlite:{}", server.data().join("griot.db").display());
    let mut rows = SqliteConnection::connect(&url).await.expect("the rows");
    let changed = sqlx::query("update run_parts set sha256 = zeroblob(32) where number = 2")
        .execute(&mut rows)
        .await
        .expect("a row that lies");
    assert_eq!(changed.rows_affected(), 1);
    rows.close().await.expect("the rows are closed");

    server.start_again().await;
    let (view, file) = owner.stop_and_download(live.id).await;
    assert_eq!(view["recording"]["runs"].as_array().map(Vec::len), Some(1));
    // While the rest is sent, completed, read back, noted, or all is done.
    for _ in 0..2 * moments() {
        pause(400).await;
        server.kill().await;
        server.start_again().await;
    }
    let view = view_when_stored(&owner, live.id).await;
    assert_eq!(
        view["recording"]["runs"][0]["tree_sha256"],
        tree_sha256(&file)
    );
    all_is_in_its_place(&server, &bucket, &live, &file).await;
}

#[tokio::test]
async fn an_upload_that_the_bucket_has_forgotten_begins_anew() {
    let bucket = Bucket::new().await;
    let server = Server::start_on(&bucket, &[]).await;
    let owner = server.member("aissatou").await;
    let live = owner.start_live("Oublié").await;
    let encoder = ffmpeg_publish(&heavy_clip(), &live.rtmp_url);
    until_parts_are_sent(&server, 1.0).await;
    let path = format!("lives/{}/source/0.mp4", live.id);
    let store = bucket.store();
    let s3 = store.s3().expect("a bucket");
    for upload in s3.uploads(&path).await.expect("a list") {
        s3.abort_upload(&path, &upload.id).await.expect("aborted");
    }
    encoder.succeeded().await;
    owner.view_when(live.id, "interrupted").await;
    let (_, file) = owner.stop_and_download(live.id).await;
    view_when_stored(&owner, live.id).await;
    all_is_in_its_place(&server, &bucket, &live, &file).await;
}
