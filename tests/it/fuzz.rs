//! The fuzz targets of `fuzz/`, without a fuzzer: their corpus, and thousands of damaged copies of it, the same in
//! each run. `script/soak --fuzz MINUTES` goes on from another seed for as long as it is told.
//!
//! `cargo-fuzz` wants a nightly toolchain and finds more, since it sees which code a damage reaches. This is what
//! every run of the tests does.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

#[expect(unused_attributes, reason = "`no_main` is for the fuzzer")]
#[path = "../../fuzz/fuzz_targets/flv_tags.rs"]
mod flv_tags;
#[expect(unused_attributes, reason = "`no_main` is for the fuzzer")]
#[path = "../../fuzz/fuzz_targets/mp4_scan.rs"]
mod mp4_scan;
#[expect(unused_attributes, reason = "`no_main` is for the fuzzer")]
#[path = "../../fuzz/fuzz_targets/rtmp_amf0.rs"]
mod rtmp_amf0;
#[expect(unused_attributes, reason = "`no_main` is for the fuzzer")]
#[path = "../../fuzz/fuzz_targets/rtmp_chunks.rs"]
mod rtmp_chunks;

/// What `libfuzzer_sys` is to a target, here (`main.rs` lends this crate its name): the target becomes a function.
/// Below the targets, which find it by that name only.
#[macro_export]
macro_rules! fuzz_target {
    (|$data:ident: &[u8]| $body:block) => {
        pub(super) fn run($data: &[u8]) {
            $body
        }
    };
}

/// A target and its name.
type Target = (&'static str, fn(&[u8]));

const TARGETS: &[Target] = &[
    ("flv_tags", flv_tags::run),
    ("mp4_scan", mp4_scan::run),
    ("rtmp_amf0", rtmp_amf0::run),
    ("rtmp_chunks", rtmp_chunks::run),
];

/// Damaged copies of each file of a corpus.
const COPIES: u64 = 1_500;

fn fuzz() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The corpus of a target, by name; never empty.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = fuzz().join("corpus").join(target);
    let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy();
            (name.into_owned(), fs::read(&path).expect("a file"))
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{target} has a corpus");
    files
}

/// xorshift64* (Vigna 2014): a fixed seed gives the same damage everywhere.
struct Dice(u64);

impl Dice {
    /// A number below `sides`; 0 for no sides.
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).expect("31 bits") % sides.max(1)
    }
}

/// One to six damages: a flipped bit, a byte that parsers stumble over, a piece cut out, doubled or taken from
/// another file, an end cut off.
fn damaged(original: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    const AWKWARD: [u8; 8] = [0, 1, 0x7f, 0x80, 0xfe, 0xff, 0x03, 0x0a];
    let mut bytes = original.to_vec();
    for _ in 0..=dice.roll(6) {
        let at = dice.roll(bytes.len());
        let end = (at + 1 + dice.roll(64)).min(bytes.len());
        match dice.roll(6) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << dice.roll(8),
            1 if !bytes.is_empty() => bytes[at] = AWKWARD[dice.roll(AWKWARD.len())],
            2 if !bytes.is_empty() => drop(bytes.drain(at..end)),
            3 if !bytes.is_empty() => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            4 if !bytes.is_empty() => {
                let from = dice.roll(other.len());
                let to = (from + 1 + dice.roll(64)).min(other.len());
                bytes.splice(at..end, other[from..to].iter().copied());
            }
            _ => bytes.truncate(bytes.len() - dice.roll(bytes.len() / 4)),
        }
    }
    bytes
}

/// What `script/soak --fuzz` asks for: how long, and the seed to begin with.
fn endurance() -> Option<(Duration, u64)> {
    let number = |name| std::env::var_os(name)?.to_str()?.parse::<u64>().ok();
    let minutes = number("FUZZ_MINUTES")?;
    Some((
        Duration::from_secs(60 * minutes),
        number("FUZZ_SEED").unwrap_or(1),
    ))
}

/// Whether `target` takes one damaged copy of a file of its corpus.
fn takes(name: &str, target: fn(&[u8]), files: &[(String, Vec<u8>)], at: usize, seed: u64) {
    let (file, original) = &files[at];
    let mut dice = Dice(seed);
    let other = &files[dice.roll(files.len())].1;
    let input = damaged(original, other, &mut dice);
    let outcome = std::panic::catch_unwind(|| target(&input));
    assert!(
        outcome.is_ok(),
        "{name} fails on {file}, damaged with seed {seed}: {}",
        hex::encode(&input)
    );
}

/// Each target gets its share of the minutes, and damage that no run before it did.
fn endures(minutes: Duration, first_seed: u64) {
    eprintln!("fuzzing from seed {first_seed}");
    let share = minutes / u32::try_from(TARGETS.len()).expect("few");
    for (name, target) in TARGETS {
        let files = corpus(name);
        let until = Instant::now() + share;
        let mut seed = first_seed.max(1);
        while Instant::now() < until {
            for at in 0..files.len() {
                takes(name, *target, &files, at, seed);
            }
            // Never 0, on which xorshift stands still.
            seed = seed.wrapping_add(1).max(1);
        }
        let inputs = u64::try_from(files.len()).expect("few") * seed.wrapping_sub(first_seed);
        eprintln!("{name}: {inputs} damaged inputs");
    }
}

#[test]
fn no_file_of_a_corpus_nor_any_damaged_copy_makes_a_target_fail() {
    if let Some((minutes, seed)) = endurance() {
        return endures(minutes, seed);
    }
    for (name, target) in TARGETS {
        let files = corpus(name);
        target(&[]);
        for (at, (_, original)) in files.iter().enumerate() {
            target(original);
            for seed in 1..=COPIES {
                takes(name, *target, &files, at, seed);
            }
        }
    }
}

#[test]
fn every_fuzz_target_is_run_here() {
    let there: BTreeSet<String> = fs::read_dir(fuzz().join("fuzz_targets"))
        .expect("the targets")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| {
            path.file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    let here: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();

    assert_eq!(there, here);
}

#[test]
fn damage_is_the_same_each_time_and_differs_by_seed() {
    let copy = |seed| damaged(&[7; 300], &[9; 300], &mut Dice(seed));
    assert_eq!(copy(5), copy(5));
    let all: BTreeSet<Vec<u8>> = (1..=100).map(copy).collect();
    assert!(all.len() > 90, "{} different copies of 100", all.len());
}
