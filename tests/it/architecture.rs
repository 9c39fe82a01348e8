//! Rooms and technologies of ARCHITECTURE.md, checked against `src/**`.
//!
//! The storeys, the arrows inside a storey and the room of each technology are read from ARCHITECTURE.md, so
//! that there is one table and it is true. What a technology looks like in code stands here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// How each row of the technology table is recognised in code. The first is the row's first cell, word for word.
const TECHNOLOGIES: &[(&str, &[&str])] = &[
    (
        "axum, hyper, tower",
        &[
            "axum::",
            "hyper::",
            "hyper_util::",
            "tower::",
            "tower_http::",
        ],
    ),
    ("sqlx", &["sqlx::"]),
    ("aws-sdk-s3", &["aws_sdk_s3::", "aws_smithy"]),
    ("mp4-atom", &["mp4_atom::"]),
    ("TCP that publishes", &["Publisher"]),
    (
        "gstreamer",
        &[
            "gstreamer::",
            "gstreamer_app::",
            "gstreamer_base::",
            "gstreamer_video::",
            "gst::",
        ],
    ),
    ("seccompiler", &["seccompiler::"]),
    (
        "image, webp, blurhash",
        &[
            "image::",
            "webp::",
            "blurhash::",
            "fast_image_resize::",
            "img_parts::",
        ],
    ),
    ("rustls", &["rustls::"]),
    (
        "environment, settings file",
        &["env::var", "env::vars", "toml::"],
    ),
    ("mimalloc", &["mimalloc::"]),
    ("stdout", &["println!", "print!(", "io::stdout"]),
    (
        "wall clock, randomness, spawning",
        &[
            "SystemTime",
            "now_utc(",
            "getrandom::",
            "tokio::spawn",
            "JoinSet",
            "TaskTracker",
            "thread::spawn",
        ],
    ),
];

/// The house as ARCHITECTURE.md draws it.
struct House {
    /// Room → storey.
    storeys: BTreeMap<String, u8>,
    /// Arrows inside a storey, from → to.
    arrows: BTreeSet<(String, String)>,
    /// First cell of a technology's row → where it may be.
    technologies: BTreeMap<String, String>,
}

impl House {
    fn read() -> Self {
        let text =
            fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is there");
        let mut storey = None;
        let storeys = table(&text, &["storey", "room"])
            .into_iter()
            .map(|row| {
                if let Some(digit) = row[0].split_whitespace().next() {
                    storey = Some(digit.parse().expect("a storey begins with its number"));
                }
                (
                    code(&row[1]).to_owned(),
                    storey.expect("the first row names a storey"),
                )
            })
            .collect();
        let arrows = table(&text, &["storey", "allowed"])
            .iter()
            .flat_map(|row| row[1].split('`').filter(|words| words.contains('→')))
            .map(|arrow| {
                let (from, to) = arrow.split_once('→').expect("an arrow");
                (from.trim().to_owned(), to.trim().to_owned())
            })
            .collect();
        let technologies = table(&text, &["technology", "room"])
            .into_iter()
            .map(|row| (row[0].clone(), code(&row[1]).to_owned()))
            .collect();
        Self {
            storeys,
            arrows,
            technologies,
        }
    }

    fn allows(&self, from: &str, to: &str) -> bool {
        match (self.storeys.get(from), self.storeys.get(to)) {
            (Some(from_storey), Some(to_storey)) => {
                from_storey > to_storey || self.arrows.contains(&(from.to_owned(), to.to_owned()))
            }
            _ => false,
        }
    }
}

/// A source file without its comments and its tests: a test may arrange with any room.
struct Source {
    /// Below `src`, with `/`.
    path: String,
    room: String,
    code: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a room; `lib.rs` and `main.rs` belong to none.
fn sources() -> Vec<Source> {
    let src = root().join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let sources: Vec<Source> = files
        .iter()
        .filter_map(|file| {
            let path = file
                .strip_prefix(&src)
                .expect("below src")
                .to_str()
                .expect("UTF-8")
                .to_owned();
            let room = path.split_once('/')?.0.to_owned();
            if path.ends_with("/tests.rs") || path.contains("/tests/") {
                return None;
            }
            let text = fs::read_to_string(file).expect("a source file");
            let (code, _tests) = text
                .split_once("#[cfg(test)]\nmod tests {")
                .unwrap_or((&text, ""));
            let code: Vec<&str> = code
                .lines()
                .map(|line| line.split_once("//").map_or(line, |(before, _)| before))
                .collect();
            Some(Source {
                path,
                room,
                code: code.join("\n"),
            })
        })
        .collect();
    assert!(sources.len() > 50, "the sources were not found");
    sources
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The rows of the table whose head begins with `head`.
fn table(text: &str, head: &[&str]) -> Vec<Vec<String>> {
    let cells = |line: &str| -> Vec<String> {
        let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
        inner
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    let rows: Vec<Vec<String>> = text
        .lines()
        .skip_while(|line| {
            !(line.starts_with('|')
                && cells(line)
                    .iter()
                    .zip(head)
                    .all(|(cell, head)| cell == head))
        })
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(cells)
        .collect();
    assert!(!rows.is_empty(), "ARCHITECTURE.md has a table {head:?}");
    rows
}

/// What stands between a cell's backticks.
fn code(cell: &str) -> &str {
    cell.trim_matches('`')
}

/// Every `crate::x` of a text, groups included: `crate::{a::b, c}` names `a` and `c`.
fn rooms_named(code: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for (at, marker) in code.match_indices("crate::") {
        let rest = &code[at + marker.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut begins = true;
            for (at, letter) in group.char_indices() {
                match letter {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => begins = true,
                    letter if begins && letter.is_alphabetic() => {
                        begins = false;
                        named.insert(identifier(&group[at..]));
                    }
                    _ => {}
                }
            }
        } else {
            named.insert(identifier(rest));
        }
    }
    named
}

/// Whether `mark` stands in the code as a word of its own: `eprintln!` is no `println!`.
fn names(code: &str, mark: &str) -> bool {
    code.match_indices(mark).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
    })
}

fn identifier(text: &str) -> String {
    text.chars()
        .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
        .collect()
}

#[test]
fn every_room_stands_on_a_storey_and_every_storey_room_exists() {
    let house = House::read();
    let on_disk: BTreeSet<String> = sources().into_iter().map(|source| source.room).collect();
    let on_paper: BTreeSet<String> = house.storeys.keys().cloned().collect();

    assert_eq!(on_disk, on_paper);
}

#[test]
fn rooms_use_lower_storeys_only_or_an_arrow_of_the_table() {
    let house = House::read();
    let mut wrong = Vec::new();
    for source in sources() {
        for to in rooms_named(&source.code) {
            if to != source.room && !house.allows(&source.room, &to) {
                wrong.push(format!("{}: {} → {to}", source.path, source.room));
            }
        }
    }

    assert!(
        wrong.is_empty(),
        "arrows outside ARCHITECTURE.md:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_arrow_of_the_table_is_in_use() {
    let house = House::read();
    let used: BTreeSet<(String, String)> = sources()
        .iter()
        .flat_map(|source| {
            let named = rooms_named(&source.code);
            named
                .into_iter()
                .map(|to| (source.room.clone(), to))
                .collect::<Vec<_>>()
        })
        .collect();
    let unused: Vec<_> = house.arrows.difference(&used).collect();

    assert!(
        unused.is_empty(),
        "ARCHITECTURE.md allows what nobody does: {unused:?}"
    );
}

#[test]
fn each_technology_is_in_its_room_only() {
    let house = House::read();
    let known: BTreeSet<&str> = TECHNOLOGIES.iter().map(|(name, _)| *name).collect();
    let on_paper: BTreeSet<&str> = house.technologies.keys().map(String::as_str).collect();
    assert_eq!(
        known, on_paper,
        "the rows of ARCHITECTURE.md and of this test"
    );

    let mut wrong = Vec::new();
    for source in sources() {
        for (name, marks) in TECHNOLOGIES {
            let home = &house.technologies[*name];
            let at_home = source.path == *home
                || source.room == *home
                || source
                    .path
                    .starts_with(&format!("{}/", home.trim_end_matches(".rs")));
            // The door of publishing is `live`'s own.
            let own = *name == "TCP that publishes" && source.room == "live";
            for mark in marks.iter().filter(|mark| names(&source.code, mark)) {
                // A table of data that is written in the same language.
                let table = *mark == "toml::" && source.path == "pipeline/ladder.rs";
                if !at_home && !own && !table {
                    wrong.push(format!(
                        "{}: {mark} ({name}) belongs to {home}",
                        source.path
                    ));
                }
            }
        }
    }

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_file_has_grown_past_seven_hundred_lines() {
    let mut files = Vec::new();
    rust_files(&root().join("src"), &mut files);
    rust_files(&root().join("tests/it"), &mut files);
    for file in files {
        let lines = fs::read_to_string(&file)
            .expect("a source file")
            .lines()
            .count();
        assert!(
            lines <= 700,
            "{}: {lines} lines; is there still one idea in it?",
            file.display()
        );
    }
}

#[test]
fn grouped_imports_are_seen() {
    let code = "use crate::{store::{Row, Pool}, av};\nlet x = crate::live::Thing::new();";
    let named: Vec<String> = rooms_named(code).into_iter().collect();
    assert_eq!(named, ["av", "live", "store"]);
}
