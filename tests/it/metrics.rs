//! What monitors and logs are told: every metric has its line in `docs/metrics.md`, nothing secret is in the log.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Answer, Player, Server, clip, ffmpeg_publish, ffmpeg_publish_for_ever};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Names in the first column of the page's tables.
fn documented() -> BTreeSet<String> {
    let page = fs::read_to_string(root().join("docs/metrics.md")).expect("the page is there");
    page.lines()
        .filter_map(|line| line.strip_prefix("| `griot_"))
        .map(|rest| {
            let name = rest.split(['`', '{']).next().unwrap_or_default();
            format!("griot_{name}")
        })
        .collect()
}

/// Names that stand in the code as the first argument of a metric.
fn in_code(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            in_code(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source file");
            for kind in ["counter!(", "gauge!(", "histogram!("] {
                for (at, _) in text.match_indices(kind) {
                    let argument = text[at + kind.len()..].trim_start();
                    if let Some(name) = argument.strip_prefix("\"griot_") {
                        let name = name.split('"').next().unwrap_or_default();
                        found.insert(format!("griot_{name}"));
                    }
                }
            }
        }
    }
}

/// Names that a scrape of a running server shows.
fn scraped(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect()
}

async fn scrape(server: &Server) -> String {
    let url = format!("{}/metrics", server.http);
    String::from_utf8(Answer::of(server.client.get(url)).await.expect(200).body).expect("text")
}

#[tokio::test]
async fn every_metric_is_documented_and_nothing_else_is() {
    let mut made = BTreeSet::new();
    in_code(&root().join("src"), &mut made);
    assert!(made.len() > 15, "{made:?}");
    let documented = documented();
    assert_eq!(made, documented);

    let server = Server::start().await;
    let owner = server.member("aissatou").await;
    let live = owner.start_live("En chiffres").await;
    let _encoder = ffmpeg_publish_for_ever(&clip(), &live.rtmp_url);
    let player = Player::open(&server, &live.hls_url).await;
    player.until_seconds(2.0).await;
    let text = scrape(&server).await;
    let shown = scraped(&text);
    assert!(shown.is_subset(&documented), "{shown:?}");
    for name in [
        "griot_http_answers_total",
        "griot_http_connections",
        "griot_lives",
        "griot_live_changes_total",
        "griot_parts_total",
        "griot_rtmp_bytes_total",
        "griot_rtmp_connections",
    ] {
        assert!(shown.contains(name), "{name} is not shown:\n{text}");
    }
    assert!(text.contains("\ngriot_lives 1\n"), "{text}");
    assert!(text.contains("\ngriot_rtmp_connections 1\n"), "{text}");
}

#[tokio::test]
async fn each_change_of_a_live_is_one_line_and_no_secret_is_in_the_log() {
    let server = Server::start_with(&[
        ("GRIOT_LOG", "debug,griot=trace"),
        ("GRIOT_LIVE_GOODBYE_GRACE", "1s"),
    ])
    .await;
    let owner = server.member("aissatou").await;
    let live = owner.start_live("Sous silence").await;
    // A wrong key and a wrong password are secrets of somebody too.
    let wrong_key = format!("{}f", live.stream_key);
    let refused = ffmpeg_publish(&clip(), &format!("{}/{wrong_key}", server.rtmp));
    assert!(!refused.ended().await.success());
    let wrong_password = "une-phrase-presque-juste";
    let login = json!({"email": owner.email, "password": wrong_password});
    Answer::of(
        server
            .client
            .post(format!("{}/api/users/login/", server.http))
            .json(&login),
    )
    .await;
    ffmpeg_publish(&clip(), &live.rtmp_url).succeeded().await;
    owner.view_when(live.id, "ended").await;
    let rotated = owner
        .post("/api/users/my-profile/stream-key/", &json!({}))
        .await;
    let rotated = rotated.json["stream_key"]
        .as_str()
        .expect("a key")
        .to_owned();
    assert!(server.terminate().await.success());

    let log = server.log();
    for secret in [
        &live.stream_key,
        &wrong_key,
        &rotated,
        &owner.password,
        &owner.access,
        wrong_password,
    ] {
        assert!(!log.contains(secret), "the log tells {secret}");
    }
    let id = live.id.to_string();
    let changes: Vec<(String, String, String)> = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["event"].is_string() && line["live.id"] == id.as_str())
        .map(|line| {
            let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
            (text("from"), text("to"), text("event"))
        })
        .collect();
    let expected = [
        ("ready", "live", "publish"),
        ("live", "interrupted", "goodbye"),
        ("interrupted", "ended", "ingest_closed"),
    ];
    assert_eq!(
        changes,
        expected.map(|(from, to, event)| (from.to_owned(), to.to_owned(), event.to_owned()))
    );
}
