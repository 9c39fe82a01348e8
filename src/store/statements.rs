//! What the sqlx macros would check at compile time: every SQL text is prepared on the database.

use sqlx::{Executor, SqlSafeStr};

use super::db::{Db, Store};
use super::{
    gaps, jobs, lives, media, places, posts, recording_files, recordings, runs, segments, sending,
    sessions, stream_keys, tokens, uploads, users,
};

type Statements = &'static [(&'static str, &'static str)];

const FILES: &[(&str, Statements)] = &[
    ("gaps", gaps::STATEMENTS),
    ("jobs", jobs::STATEMENTS),
    ("lives", lives::STATEMENTS),
    ("media", media::STATEMENTS),
    ("places", places::STATEMENTS),
    ("posts", posts::STATEMENTS),
    ("recording_files", recording_files::STATEMENTS),
    ("recordings", recordings::STATEMENTS),
    ("runs", runs::STATEMENTS),
    ("segments", segments::STATEMENTS),
    ("sending", sending::STATEMENTS),
    ("sessions", sessions::STATEMENTS),
    ("stream_keys", stream_keys::STATEMENTS),
    ("tokens", tokens::STATEMENTS),
    ("uploads", uploads::STATEMENTS),
    ("users", users::STATEMENTS),
];

async fn prepare_all(store: &Store) -> Vec<String> {
    let mut refused = Vec::new();
    for (file, statements) in FILES {
        for (name, text) in *statements {
            let prepared = match &store.db {
                Db::Sqlite { writer, .. } => writer.prepare(text.into_sql_str()).await.err(),
                Db::Postgres(pool) => pool.prepare(text.into_sql_str()).await.err(),
            };
            refused.extend(prepared.map(|error| format!("{file} {name}: {error}")));
        }
    }
    refused
}

#[tokio::test]
async fn every_statement_is_one_that_sqlite_understands() {
    let (_folder, store) = super::scratch_store().await;
    assert_eq!(prepare_all(&store).await, Vec::<String>::new());
}

#[test]
fn no_sql_text_stands_outside_the_lists() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let source = std::fs::read_to_string(&path).unwrap();
        let file = path.file_stem().unwrap().to_str().unwrap();
        if file != "statements" {
            for call in [
                "query(\"",
                "query_as(\"",
                "query_scalar(\"",
                "AssertSqlSafe",
            ] {
                assert!(!source.contains(call), "{file}: {call}");
            }
        }
        let listed = FILES.iter().any(|(name, _)| *name == file);
        assert_eq!(source.contains("\nsql! {"), listed, "{file}");
    }
}
