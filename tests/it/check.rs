//! `griot check`: each kind of disagreement is found, and mended where no media is at stake.

use std::path::PathBuf;

use griot::objects::ObjectKey;
use serde_json::Value;
use sqlx::{Connection, SqliteConnection};

use crate::support::{Bucket, Player, Server, eventually, ffmpeg_publish_for_ever, other_clip};

/// A server that has stopped, with one recording of some seconds.
struct Recorded {
    server: Server,
    live: i64,
    file: PathBuf,
}

impl Recorded {
    async fn new() -> Self {
        Self::by(Server::start().await).await
    }

    async fn by(server: Server) -> Self {
        let owner = server.member("aissatou").await;
        let live = owner.start_live("À vérifier").await;
        let encoder = ffmpeg_publish_for_ever(&other_clip(), &live.rtmp_url);
        let player = Player::open(&server, &live.hls_url).await;
        player.until_seconds(1.0).await;
        encoder.kill().await;
        owner.stop(live.id).await.expect(200);
        eventually("the recording is stored", || async {
            let view = owner.view(live.id).await;
            let stored = view["recording"]["stored_at"].is_string();
            if stored { Ok(()) } else { Err(view) }
        })
        .await;
        server.terminate().await;
        let file = server
            .data()
            .join(format!("objects/lives/{}/source/0.mp4", live.id));
        Self {
            server,
            live: live.id,
            file,
        }
    }

    fn place(&self) -> String {
        format!("object:lives/{}/source/0.mp4", self.live)
    }
}

/// What `griot check` prints, and whether it was content.
fn check(server: &Server, options: &[&str]) -> (bool, Value) {
    let arguments = [&["check"], options].concat();
    let ended = server.try_griot(&arguments);
    let report = serde_json::from_str(&ended.stdout);
    let report = report.unwrap_or_else(|_| panic!("{}{}", ended.stdout, ended.stderr));
    (ended.status.success(), report)
}

/// Kind and path of each problem.
fn problems(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let problems = report["problems"].as_array().expect("problems").iter();
    problems
        .map(|problem| (text(&problem["kind"]), text(&problem["path"])))
        .collect()
}

fn one(kind: &str, path: &str) -> Vec<(String, String)> {
    vec![(kind.to_owned(), path.to_owned())]
}

#[tokio::test]
async fn what_no_row_names_is_found_and_removed_and_the_rest_is_left_alone() {
    let recorded = Recorded::new().await;
    let server = &recorded.server;
    let media = std::fs::read(&recorded.file).expect("a recording");
    assert_eq!(check(server, &[]).1["problems"], serde_json::json!([]));
    let data = server.data();
    for lost in ["spool/lives/9/source/0.mp4", "objects/lives/9/source/0.mp4"] {
        let path = data.join(lost);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("room");
        std::fs::write(path, b"a file that nobody knows").expect("room");
    }

    let (content, report) = check(server, &[]);
    assert!(!content);
    let mut expected = one("orphan", "spool:lives/9/source/0.mp4");
    expected.extend(one("orphan", "object:lives/9/source/0.mp4"));
    assert_eq!(problems(&report), expected);
    let (content, report) = check(server, &["--mend"]);
    assert!(content, "{report}");
    assert_eq!(
        report["mended"].as_array().map(Vec::len),
        Some(2),
        "{report}"
    );

    assert!(!data.join("spool/lives").exists() && !data.join("objects/lives/9").exists());
    assert!(std::fs::read(&recorded.file).expect("it is left") == media);
    assert_eq!(check(server, &["--mend"]).1["mended"], Value::Null);
}

#[tokio::test]
async fn media_that_is_gone_shorter_or_damaged_is_told_and_no_row_of_it_is_removed() {
    let recorded = Recorded::new().await;
    let (server, file) = (&recorded.server, &recorded.file);
    let media = std::fs::read(file).expect("a recording");

    std::fs::write(file, &media[..media.len() - 1]).expect("room");
    assert_eq!(
        problems(&check(server, &[]).1),
        one("length", &recorded.place())
    );
    // The type of the last box, which is the index.
    let index = media.windows(4).rposition(|kind| kind == b"moov");
    let mut damaged = media.clone();
    damaged[index.expect("an index")] = b'M';
    std::fs::write(file, &damaged).expect("room");
    assert_eq!(
        problems(&check(server, &[]).1),
        one("damaged", &recorded.place())
    );
    std::fs::rename(file, server.data().join("away.mp4")).expect("a rename");
    assert_eq!(
        problems(&check(server, &[]).1),
        one("missing", &recorded.place())
    );

    let (content, report) = check(server, &["--mend"]);
    assert!(!content);
    assert_eq!(problems(&report), one("missing", &recorded.place()));
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("room");
    std::fs::write(file, &media).expect("room");
    assert!(check(server, &[]).0, "the operator has brought it back");
}

#[tokio::test]
async fn a_recording_that_failed_although_its_file_is_there_is_made_final_after_mending() {
    let mut server = Server::start().await;
    let owner = server.member("aissatou").await;
    let live = owner.start_live("Presque perdu").await;
    let _encoder = ffmpeg_publish_for_ever(&other_clip(), &live.rtmp_url);
    let player = Player::open(&server, &live.hls_url).await;
    player.until_seconds(2.0).await;
    server.kill().await;
    let mut rows = SqliteConnection::connect(&server.data().join("griot.db").display().to_string())
        .await
        .expect("the file is a database");
    for change in [
        "update lives set status = 'ended', end_reason = 'timeout', ended_at = 1",
        "update recordings set state = 'failed'",
    ] {
        sqlx::query(change).execute(&mut rows).await.expect("a row");
    }
    rows.close().await.expect("closed");

    let place = format!("spool:lives/{}/source/0.mp4", live.id);
    assert_eq!(problems(&check(&server, &[]).1), one("stale", &place));
    assert!(check(&server, &["--mend"]).0);
    server.start_again().await;

    let view = owner.view_when_recorded(live.id).await;
    assert!(view["recording"]["mp4_url"].is_string(), "{view}");
    assert!(check(&server, &[]).0, "beside a server that runs");
}

#[tokio::test]
async fn mending_is_refused_while_a_server_runs() {
    let server = Server::start().await;
    let refused = server.try_griot(&["check", "--mend"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stderr.contains("stop it"), "{}", refused.stderr);
    assert!(check(&server, &[]).0);
}

#[tokio::test]
async fn a_bucket_is_searched_for_objects_and_uploads_that_no_row_names() {
    let bucket = Bucket::new().await;
    let recorded = Recorded::by(Server::start_on(&bucket, &[]).await).await;
    let server = &recorded.server;
    let store = bucket.store();
    let lost = ObjectKey::parse("lives/9/source/0.mp4").expect("a key");
    store.put(&lost, "nobody knows".into()).await.expect("room");
    let path = format!("lives/{}/source/0.mp4", recorded.live);
    let half = ObjectKey::parse(&path).expect("a key");
    let s3 = store.s3().expect("a bucket");
    s3.create_upload(&half).await.expect("an upload");

    let mut expected = one("orphan", "object:lives/9/source/0.mp4");
    expected.extend(one("orphan", &format!("upload:{path}")));
    assert_eq!(problems(&check(server, &[]).1), expected);
    assert!(check(server, &["--mend"]).0);

    let left = store.list_all("").await.expect("a list");
    assert_eq!(left.len(), 1, "the recording is left: {left:?}");
    assert_eq!(s3.uploads(&path).await.expect("a list"), []);
    store.delete(&half).await.expect("an object less");
    let missing = one("missing", &recorded.place());
    assert_eq!(problems(&check(server, &[]).1), missing);
}
