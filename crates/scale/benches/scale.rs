//! What it costs to make a picture of 1080p smaller: the luma plane, which is two thirds of it.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use griot_scale::Scale;

const FROM: (usize, usize) = (1_920, 1_080);

fn scale(criterion: &mut Criterion) {
    let plane: Vec<u8> = (0..=250).cycle().take(FROM.0 * FROM.1).collect();
    let mut group = criterion.benchmark_group("1080p to");
    group.throughput(Throughput::Elements(1));
    for to in [(1_280, 720), (854, 480), (640, 360)] {
        let mut scale = Scale::new(FROM, to);
        let mut out = vec![0; to.0 * to.1];
        group.bench_function(format!("{}p", to.1), |bencher| {
            bencher.iter(|| scale.run(black_box(&plane), FROM.0, &mut out, to.0));
        });
    }
    group.finish();
}

criterion_group!(benches, scale);
criterion_main!(benches);
