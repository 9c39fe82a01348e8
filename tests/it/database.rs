//! Rows on PostgreSQL as on SQLite: schema, migration, the whole journey, and a database that goes away.

use std::collections::BTreeSet;
use std::time::Duration;

use sqlx::{Connection, SqliteConnection};
use tokio::time::Instant;

use crate::support::{
    PASSWORD, Player, Postgres, Server, clip, decode_errors, eventually, ffmpeg_publish,
    ffmpeg_publish_for_ever, griot, packets, serve_in_vain,
};

/// Table, column, whether it may be null.
type Columns = BTreeSet<(String, String, bool)>;

#[tokio::test]
async fn both_databases_have_the_same_tables_and_columns_after_their_migrations() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("griot.db");
    let cluster = Postgres::shared().await;
    let url = cluster.database();
    for url in [&format!("sqlite:{}", file.display()), &url] {
        griot(&["migrate"], &folder, &[("GRIOT_DATABASE_URL", url)]).expect_success();
    }

    let mut sqlite = SqliteConnection::connect(&file.display().to_string())
        .await
        .expect("the file is a database");
    let in_sqlite: Columns = sqlx::query_as(
        "select tables.name, columns.name, columns.\"notnull\" = 0
         from sqlite_master as tables join pragma_table_info(tables.name) as columns
         where tables.type = 'table' and tables.name not like 'sqlite_%' and tables.name <> '_sqlx_migrations'",
    )
    .fetch_all(&mut sqlite)
    .await
    .expect("SQLite tells its schema")
    .into_iter()
    .collect();
    let name = url.rsplit('/').next().expect("a name");
    let told = cluster.sql(
        name,
        "select table_name, column_name, is_nullable from information_schema.columns
         where table_schema = 'public' and table_name <> '_sqlx_migrations'",
    );
    let in_postgres: Columns = told
        .lines()
        .map(|line| {
            let mut cells = line.split('|').map(str::to_owned);
            let mut cell = || cells.next().expect("three columns");
            (cell(), cell(), cell() == "YES")
        })
        .collect();

    assert!(in_sqlite.len() > 80, "{in_sqlite:?}");
    assert_eq!(in_sqlite, in_postgres);
}

#[tokio::test]
async fn migrate_tells_each_step_and_has_nothing_to_do_the_second_time() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let postgres = Postgres::shared().await.database();
    let sqlite = format!("sqlite:{}", folder.path().join("griot.db").display());
    let steps = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite"))
        .expect("the folder is part of the repository")
        .count();
    for url in [&sqlite, &postgres] {
        let settings = [("GRIOT_DATABASE_URL", url.as_str())];
        let first = griot(&["migrate"], &folder, &settings).expect_success();
        for step in 1..=steps {
            let told = format!("migration {step} of {steps}: {step} ");
            assert!(first.stderr.contains(&told), "{}", first.stderr);
        }
        let told = format!("({steps} migrations ran)");
        assert!(first.stderr.contains(&told), "{}", first.stderr);

        let second = griot(&["migrate"], &folder, &settings).expect_success();
        assert!(
            second.stderr.contains("(0 migrations ran)"),
            "{}",
            second.stderr
        );
    }
}

#[tokio::test]
async fn a_live_on_postgresql_is_watched_stopped_and_downloaded() {
    let url = Postgres::shared().await.database();
    let server = Server::start_with(&[("GRIOT_DATABASE_URL", &url)]).await;
    let aissatou = server.member("aissatou").await;
    let live = aissatou.start_live("Sur PostgreSQL").await;
    let encoder = ffmpeg_publish(&clip(), &live.rtmp_url);
    let player = Player::open(&server, &live.hls_url).await;
    player.until_seconds(8.0).await;
    encoder.succeeded().await;
    aissatou.view_when(live.id, "interrupted").await;

    let (view, bytes) = aissatou.stop_and_download(live.id).await;

    assert_eq!(view["sessions"][0]["end_reason"], "goodbye", "{view}");
    let replay = player.now().await;
    assert!(replay.ended, "{}", replay.text);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("recording.mp4");
    std::fs::write(&file, bytes).expect("room");
    assert_eq!(decode_errors(&file), "");
    let (sent, kept) = (packets(&clip()), packets(&file));
    for (sent, kept) in [(sent.video, kept.video), (sent.audio, kept.audio)] {
        let hashes = |packets: &[crate::support::Packet]| -> Vec<String> {
            packets.iter().map(|packet| packet.hash.clone()).collect()
        };
        let (sent, kept) = (hashes(&sent), hashes(&kept));
        // ffmpeg's last packets may stay in its own muxer; sound may begin with the packet of the first picture.
        let begins = sent.iter().position(|hash| Some(hash) == kept.first());
        let begins = begins.expect("the first packet was sent");
        assert!(begins <= 2 && sent.len() - begins - kept.len() <= 3);
        assert_eq!(kept[..], sent[begins..begins + kept.len()]);
    }
    server.griot(&["check"]);
}

#[tokio::test]
async fn a_live_goes_on_while_postgresql_is_away_and_its_rows_arrive_afterwards() {
    let cluster = Postgres::start().await;
    let url = cluster.database();
    let server = Server::start_with(&[("GRIOT_DATABASE_URL", &url)]).await;
    let aissatou = server.member("aissatou").await;
    let live = aissatou.start_live("Panne de base").await;
    let encoder = ffmpeg_publish_for_ever(&clip(), &live.rtmp_url);
    let player = Player::open(&server, &live.hls_url).await;
    let before = player.until_seconds(5.0).await;

    cluster.stop().await;
    let away = Instant::now();
    let mut during = before.clone();
    while away.elapsed() < Duration::from_secs(10) {
        during = player.after(&during).await;
    }
    // The media of these ten seconds was watched while they passed; a stall would leave it behind.
    let watched_s = during.duration_s() - before.duration_s();
    assert!(watched_s > 8.0, "{watched_s} s of 10:\n{}", during.text);
    for segment in &during.segments {
        player.bytes(&segment.uri).await;
    }
    cluster.start_again().await;

    let name = url.rsplit('/').next().expect("a name");
    eventually("the rows have arrived", || async {
        let rows = cluster.sql(name, "select msn from segments where not gap order by msn");
        let rows: Vec<u64> = rows.lines().filter_map(|row| row.parse().ok()).collect();
        let listed: Vec<u64> = during.segments.iter().map(|segment| segment.msn).collect();
        if rows.starts_with(&listed) {
            Ok(())
        } else {
            Err((rows, listed))
        }
    })
    .await;
    assert!(encoder.runs(), "{}", encoder.said());
    let (view, _) = aissatou.stop_and_download(live.id).await;
    assert_eq!(view["sessions"].as_array().map(Vec::len), Some(1), "{view}");
    assert_eq!(
        view["recording"]["gaps"].as_array().map(Vec::len),
        Some(0),
        "{view}"
    );
    server.griot(&["check"]);
}

#[tokio::test]
async fn an_encoder_that_drops_while_postgresql_is_away_is_noted_afterwards() {
    let cluster = Postgres::start().await;
    let url = cluster.database();
    let server = Server::start_with(&[("GRIOT_DATABASE_URL", &url)]).await;
    let aissatou = server.member("aissatou").await;
    let live = aissatou.start_live("Double panne").await;
    let encoder = ffmpeg_publish_for_ever(&clip(), &live.rtmp_url);
    let player = Player::open(&server, &live.hls_url).await;
    player.until_seconds(3.0).await;

    cluster.stop().await;
    encoder.kill().await;
    eventually("the log tells that the encoder is gone", || async {
        let log = server.log();
        log.contains("\"interrupted\"").then_some(()).ok_or(log)
    })
    .await;
    assert!(!player.now().await.ended);
    cluster.start_again().await;

    let view = aissatou.view_when(live.id, "interrupted").await;
    let ended = eventually("the session's end is noted", || async {
        let view = aissatou.view(live.id).await;
        match view["sessions"][0]["end_reason"].as_str() {
            Some(reason) => Ok(reason.to_owned()),
            None => Err(view),
        }
    })
    .await;
    assert_eq!(ended, "dropped", "{view}");
}

#[tokio::test]
async fn a_database_that_cannot_be_used_fails_the_start_and_names_the_key() {
    let cluster = Postgres::shared().await;
    let there = cluster.database();
    let wrong_password = there.replace(PASSWORD, "mauvais-mot");
    // Nobody listens on port 1.
    let nobody = format!("postgres://griot:{PASSWORD}@127.0.0.1:1/griot");
    let no_database = cluster.url("nulle_part");
    for (url, cause) in [
        (&nobody, "refused"),
        (&wrong_password, "password"),
        (&no_database, "nulle_part"),
    ] {
        let asked = Instant::now();
        let (status, said) = serve_in_vain(&[("GRIOT_DATABASE_URL", url)]).await;

        assert!(!status.success());
        assert!(said.contains("GRIOT_DATABASE_URL"), "{said}");
        assert!(said.contains(cause), "{said}");
        for secret in [PASSWORD, "mauvais-mot"] {
            assert!(!said.contains(secret), "{said}");
        }
        // The pool's own patience is ten seconds; it may not be asked.
        assert!(asked.elapsed() < Duration::from_secs(9), "{said}");
    }
}
