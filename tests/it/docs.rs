//! Documents: their links lead somewhere, and nothing names the machine it was written on.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Folders that tools make, not people.
const MADE: &[&str] = &[".git", "target", "node_modules", "data"];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        // In a worktree `.git` is a file.
        if MADE.contains(&name) {
            continue;
        }
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

fn all_files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(root(), &mut found);
    found
}

/// The targets of `[text](target)` in a Markdown text, code blocks left out.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for (at, _) in line.match_indices("](") {
            if let Some((target, _)) = line[at + 2..].split_once(')') {
                found.push(target.to_owned());
            }
        }
    }
    found
}

/// A heading's anchor as forges make it: lower case, spaces to hyphens, other signs dropped.
fn anchors(text: &str) -> Vec<String> {
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[test]
fn links_between_documents_lead_somewhere() {
    let documents: Vec<PathBuf> = all_files()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    assert!(
        documents.iter().any(|path| path.ends_with("README.md")),
        "{documents:?}"
    );
    let mut broken = Vec::new();
    for document in &documents {
        let text = fs::read_to_string(document).expect("a document");
        for link in links(&text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link.as_str(), ""));
            let target = if file.is_empty() {
                document.clone()
            } else {
                document.parent().expect("a folder").join(file)
            };
            let there = target.exists()
                && (anchor.is_empty()
                    || fs::read_to_string(&target)
                        .is_ok_and(|text| anchors(&text).iter().any(|known| known == anchor)));
            if !there {
                broken.push(format!("{}: {link}", document.display()));
            }
        }
    }

    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    // In pieces, so that this file does not find itself.
    let places = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/tmp/bash", "_jobs"),
    ];
    let mut found = Vec::new();
    for path in all_files() {
        // Media and fonts are no text.
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            if places.iter().any(|place| line.contains(place)) {
                found.push(format!(
                    "{}:{}: {}",
                    path.display(),
                    number + 1,
                    line.trim()
                ));
            }
        }
    }

    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn each_clip_has_the_sum_that_its_readme_gives() {
    let readme = fs::read_to_string(root().join("fixtures/README.md")).expect("a readme");
    for clip in ["clip.mp4", "other.mp4", "hevc.mp4", "av1.mp4", "vp9.mp4"] {
        let bytes = fs::read(root().join("fixtures/media").join(clip)).expect("a clip");
        let sum = hex::encode(Sha256::digest(&bytes));
        let row = readme
            .lines()
            .find(|line| line.starts_with(&format!("| `{clip}`")));
        assert!(
            row.is_some_and(|row| row.contains(&sum)),
            "{clip} is {sum}: {row:?}"
        );
    }
}

#[test]
fn scripts_can_be_run() {
    use std::os::unix::fs::PermissionsExt as _;
    for script in [
        ".ci/run",
        "script/run",
        "script/test",
        "script/soak",
        "script/soak-objects",
        "script/soak-pipeline",
        "script/bench-pipeline",
        "script/bench-upload",
        "fixtures/media/make",
    ] {
        let mode = fs::metadata(root().join(script))
            .unwrap_or_else(|error| panic!("{script}: {error}"))
            .permissions()
            .mode();
        assert!(mode & 0o111 != 0, "{script} has no run bit");
    }
}

#[test]
fn a_link_is_found_and_code_is_not() {
    let text = "See [the map](ARCHITECTURE.md#the-map).\n```\n[no](link.md)\n```\n";
    assert_eq!(links(text), ["ARCHITECTURE.md#the-map"]);
    assert_eq!(anchors("## The map\n"), ["the-map"]);
}
