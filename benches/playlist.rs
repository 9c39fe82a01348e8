//! What a playlist costs: per part announced, and per rendering of each form (design §8: ≤ 20 µs of CPU a request,
//! of which all viewers of a part share one rendering).

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use griot::av::Ticks;
use griot::hls::{Config, Form, PartMeta, Window};

/// A live of 4 s segments with 200 ms parts, in the middle of a segment.
fn live(segments: u32) -> Window {
    let mut window = Window::new(Config::default());
    window.set_part_target(Some(Ticks(18_000)));
    window.start_run(0, false);
    for _ in 0..segments {
        parts(&mut window, 20);
        window.end_segment();
    }
    parts(&mut window, 10);
    window
}

fn parts(window: &mut Window, count: u32) {
    for part in 0..count {
        window.push_part(PartMeta {
            duration: Ticks(18_000),
            independent: part == 0,
            bytes: 150_000,
        });
    }
}

fn playlist(criterion: &mut Criterion) {
    for (length, segments) in [("1 min", 15), ("12 h", 13_500)] {
        let window = live(segments);
        criterion.bench_function(&format!("{length}: part and snapshot"), |bencher| {
            bencher.iter_batched_ref(
                || window.clone(),
                |window| {
                    parts(window, 1);
                    window.snapshot()
                },
                BatchSize::SmallInput,
            );
        });
        for (name, skip, gzip) in [
            ("delta", true, false),
            ("delta, gzip", true, true),
            ("full", false, false),
            ("full, gzip", false, true),
        ] {
            let form = Form {
                skip,
                without_parts: false,
                gzip,
            };
            criterion.bench_function(&format!("{length}: first rendering, {name}"), |bencher| {
                bencher.iter_batched(
                    || window.snapshot(),
                    |snapshot| snapshot.playlist(form, &[]),
                    BatchSize::SmallInput,
                );
            });
        }
        let snapshot = window.snapshot();
        let form = Form {
            skip: true,
            ..Form::default()
        };
        criterion.bench_function(&format!("{length}: every later request"), |bencher| {
            bencher.iter(|| {
                black_box(snapshot.decide(Some(u64::from(segments)), Some(3)));
                snapshot.playlist(form, &[])
            });
        });
    }
}

criterion_group!(benches, playlist);
criterion_main!(benches);
