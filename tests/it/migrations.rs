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
