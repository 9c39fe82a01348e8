//! The sample of the settings says what the code does.

use std::collections::BTreeMap;
use std::path::Path;

use griot::app::{Config, keys};

const SAMPLE: &str = include_str!("../../griot.sample.toml");

/// The sample with its settings switched on: `#key = …` becomes `key = …`, prose stays a comment.
fn switched_on() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => rest.to_owned(),
        _ => line.to_owned(),
    };
    SAMPLE.lines().map(|text| line(text) + "\n").collect()
}

/// `table.key` → value, of the switched-on sample.
fn sample_values() -> BTreeMap<String, String> {
    let root: toml::Table = switched_on().parse().expect("the sample is TOML");
    let text = |value: &toml::Value| value.as_str().expect("values are quoted").to_owned();
    let mut values = BTreeMap::new();
    for (name, value) in &root {
        match value {
            toml::Value::Table(table) => {
                for (key, value) in table {
                    values.insert(format!("{name}.{key}"), text(value));
                }
            }
            value => {
                values.insert(name.clone(), text(value));
            }
        }
    }
    values
}

fn load(text: &str) -> Config {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("griot.toml");
    std::fs::write(&path, text).expect("a file");
    Config::load(Some(&path), std::iter::empty()).expect("settings that work")
}

#[test]
fn every_key_stands_in_the_sample_with_its_default() {
    let expected: BTreeMap<String, String> = keys()
        .map(|key| (key.name.to_owned(), key.default.to_owned()))
        .collect();
    assert_eq!(sample_values(), expected);
}

#[test]
fn the_sample_changes_nothing_as_it_is_nor_switched_on() {
    assert_eq!(load(SAMPLE), Config::default());
    assert_eq!(load(&switched_on()), Config::default());
}

#[test]
fn every_key_of_the_sample_is_explained() {
    let lines: Vec<&str> = SAMPLE.lines().collect();
    for (before, line) in lines.iter().zip(&lines[1..]) {
        let is_key = line
            .strip_prefix('#')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()));
        if is_key {
            assert!(before.starts_with("# "), "nothing is said above {line}");
        }
    }
}

#[test]
fn the_sample_lies_where_the_documents_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(root.join("griot.sample.toml").is_file());
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    assert!(readme.contains("griot.sample.toml"));
}
