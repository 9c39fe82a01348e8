//! The two folders of migrations say the same in two dialects.

use std::collections::BTreeMap;
use std::path::Path;

/// What follows this comment in a file is one dialect's own: `tests/it/database.rs` compares what comes of it.
const ONLY_HERE: &str = "-- only here:";

/// The files of one dialect by name, without comments and line breaks.
fn statements(dialect: &str) -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("migrations")
        .join(dialect);
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("the folder is part of the repository") {
        let path = entry.expect("the folder can be read").path();
        let text = std::fs::read_to_string(&path).expect("the file can be read");
        let text = text.split(ONLY_HERE).next().unwrap_or_default();
        let code: Vec<&str> = text
            .lines()
            .map(|line| line.split("--").next().unwrap_or_default())
            .flat_map(str::split_whitespace)
            .collect();
        let name = path.file_name().expect("a file has a name");
        files.insert(name.to_string_lossy().into_owned(), code.join(" "));
    }
    files
}

#[test]
fn both_databases_have_the_same_versions_tables_columns_and_keys() {
    let sqlite = statements("sqlite");
    let postgres = statements("postgres");
    assert!(!sqlite.is_empty());
    let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&sqlite), names(&postgres));
    for (name, text) in &sqlite {
        // STRICT tables know INTEGER, REAL, TEXT and BLOB only.
        let as_sqlite = postgres[name]
            .replace(" bigint", " integer")
            .replace(" boolean", " integer")
            .replace(" double precision", " real")
            .replace(" bytea", " blob");
        let without_strict = text.replace(") strict;", ");");
        assert_eq!(as_sqlite, without_strict, "{name}");
        let strict_tables = text.matches(") strict;").count();
        assert_eq!(
            strict_tables,
            text.matches("create table").count(),
            "{name}"
        );
    }
}

/// SQLite makes the table of recordings anew for 0005: nothing that hangs off a row of it may go.
#[tokio::test]
async fn what_lives_left_behind_survives_the_recordings_of_videos() {
    use sqlx::migrate::Migrator;
    use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("griot.db"))
        .create_if_missing(true);
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    let migrator = Migrator::new(all).await.expect("the files can be read");
    // The rows' members and posts are left out.
    let before = SqlitePoolOptions::new().max_connections(1);
    let before = before.connect_with(options.clone().foreign_keys(false));
    let before = before.await.expect("a database");
    migrator.run_to(4, &before).await.expect("the old schema");
    sqlx::raw_sql(
        "insert into recordings values (10, 1, 'ready', 5, 6, 7);
         insert into runs (id, recording_id, rendition, number, path, timeline_start, started_at, codecs, tracks,
             head_bytes, state) values (20, 10, 'source', 0, 'object:x', 0, 5, '', x'00', 9, 'final');
         insert into segments values (20, 0, 9, 100, 90000, null, 0, x'01');
         insert into run_uploads values (20, 'u', 5);
         insert into gaps values (30, 10, 0, 5, 1.5, 'disk');",
    )
    .execute(&before)
    .await
    .expect("old rows");
    before.close().await;

    let after = SqlitePoolOptions::new().max_connections(1);
    let after = after.connect_with(options.foreign_keys(true));
    let after = after.await.expect("a database");
    migrator.run(&after).await.expect("the new schema");
    let count = "select (select count(*) from runs) + (select count(*) from segments)
        + (select count(*) from run_uploads) + (select count(*) from gaps)";
    let count = async || -> i64 {
        sqlx::query_scalar(count)
            .fetch_one(&after)
            .await
            .expect("a number")
    };
    assert_eq!(count().await, 4);
    let row: (i64, i64, String, i64, i64, i64, Option<i64>) = sqlx::query_as(
        "select id, live_id, state, created_at, ready_at, stored_at, media_id from recordings",
    )
    .fetch_one(&after)
    .await
    .expect("the row");
    assert_eq!(row, (10, 1, "ready".to_owned(), 5, 6, 7, None));
    let parents = "select group_concat(distinct \"table\") from
        (select * from pragma_foreign_key_list('runs') union all select * from pragma_foreign_key_list('gaps'))";
    let parents: String = sqlx::query_scalar(parents)
        .fetch_one(&after)
        .await
        .expect("keys");
    assert_eq!(parents, "recordings");
    sqlx::raw_sql("delete from recordings")
        .execute(&after)
        .await
        .expect("it goes");
    assert_eq!(count().await, 0, "what hangs off it goes too");
}
