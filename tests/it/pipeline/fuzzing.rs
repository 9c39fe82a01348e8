//! Damaged files: each gets an answer, no child outlives it or reaches out, nothing is left behind.

use griot::pipeline::PipelineError;
use rustix::process::Signal;

use super::films::{Bench, GRIOT, PLAIN, open, stand_in};

/// Files of one run; `script/soak-pipeline` has more of them.
const FILES: usize = 200;

/// xorshift64*: the same damage in each run of one seed.
struct Chance(u64);

impl Chance {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(drawn).unwrap() % below
    }
}

fn given(name: &str, default: u64) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a soak says how long")]
    let given = std::env::var(name);
    given.map_or(default, |text| text.parse().expect("a number"))
}

/// Each child was watched, got its file, and asked for no connection.
fn assert_nobody_reached_out(traces: &std::path::Path, children: usize) {
    let mut seen = 0;
    for entry in std::fs::read_dir(traces).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none() {
            continue;
        }
        seen += 1;
        let trace = std::fs::read_to_string(&path).unwrap();
        assert!(
            trace.contains("recvmsg("),
            "a child takes its file: {trace}"
        );
        for line in trace.lines() {
            let call = line.split_whitespace().nth(1).unwrap_or_default();
            let reaches_out = [
                "socket(",
                "connect(",
                "bind(",
                "sendto(",
                "sendmsg(",
                "sendmmsg(",
            ];
            assert!(
                !reaches_out.iter().any(|out| call.starts_with(out)),
                "{line}"
            );
        }
    }
    assert_eq!(seen, children, "children that were watched");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_damaged_file_gets_out_of_hand() {
    // Looked at from outside: what a child asks of the kernel about networks, whoever has taken it over.
    let (traces, program) = stand_in(&format!(
        "exec strace -f -qq --seccomp-bpf -e trace=%network -o ${{0%/*}}/trace.$$ {GRIOT} \"$@\""
    ));
    let bench = Bench::with(|config| config.program = program);
    let short = ["-t", "1", "-s", "128x72"];
    let vpx = [
        "-c:v",
        "libvpx",
        "-cpu-used",
        "8",
        "-deadline",
        "realtime",
        "-c:a",
        "libopus",
    ];
    let films = [
        bench.film("a.mp4", &[PLAIN, &short].concat()),
        bench.film("b.webm", &[&vpx[..], &short].concat()),
        bench.film(
            "c.avi",
            &[&["-c:v", "mpeg4", "-c:a", "libmp3lame"], &short[..]].concat(),
        ),
        bench.film(
            "d.mov",
            &[PLAIN, &short, &["-movflags", "+faststart"]].concat(),
        ),
    ];
    let films: Vec<Vec<u8>> = films
        .iter()
        .map(|film| std::fs::read(film).unwrap())
        .collect();
    let seed = given("FUZZ_SEED", 20_261_121);
    let files = usize::try_from(given("FUZZ_FILES", FILES as u64)).unwrap();
    eprintln!("FUZZ_SEED={seed}");
    let mut chance = Chance(seed | 1);
    let (mut read, mut refused, mut limited, mut crashed) = (0, 0, 0, 0);
    for batch in 0..files.div_ceil(4) {
        let mut calls = Vec::new();
        for (place, film) in films.iter().enumerate() {
            let mut bytes = film.clone();
            // Where the structure is: at the front, and in MP4 at the end.
            let front = bytes.len().min(4_096);
            for _ in 0..20 {
                let at = match chance.next(2) {
                    0 => chance.next(front),
                    _ => bytes.len() - 1 - chance.next(front),
                };
                bytes[at] = u8::try_from(chance.next(256)).unwrap();
            }
            let path = bench.file(&format!("{batch}-{place}"), &bytes);
            let host = bench.host.clone();
            calls.push(async move {
                let answer = host.probe(open(&path)).await;
                (path, answer)
            });
        }
        for (path, answer) in futures_util::future::join_all(calls).await {
            match answer {
                Ok(_) => read += 1,
                // A crash is the file's fault, but GStreamer's bug: it is told. Our own limits end by these two.
                Err(PipelineError::Killed(signal)) => {
                    let limits = [Signal::KILL, Signal::XCPU].map(Signal::as_raw);
                    if limits.contains(&signal) {
                        limited += 1;
                    } else {
                        crashed += 1;
                        eprintln!(
                            "seed {seed}, {}: a child crashed by signal {signal}",
                            path.display()
                        );
                    }
                }
                Err(error) => {
                    let stuck = matches!(
                        error,
                        PipelineError::Deadline(_) | PipelineError::Stalled(_)
                    );
                    let kept = || format!("seed {seed}, {}: {error}", path.display());
                    assert!(error.is_the_files_fault() && !stuck, "{}", kept());
                    assert!(!matches!(error, PipelineError::Protocol(_)), "{}", kept());
                    refused += 1;
                }
            }
            std::fs::remove_file(path).unwrap();
        }
    }
    eprintln!("{read} read, {refused} refused, {limited} ended by a limit, {crashed} crashed");
    let all = files.div_ceil(4) * 4;
    assert_eq!(read + refused + limited + crashed, all);
    assert_nobody_reached_out(traces.path(), all);
    // Registry and plugins, the four films; nothing else has appeared.
    let mut left: Vec<_> = std::fs::read_dir(bench.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["a.mp4", "b.webm", "c.avi", "d.mov", "pipeline"]);
    assert_eq!(
        std::fs::read_dir(bench.path("pipeline")).unwrap().count(),
        1
    );
}
