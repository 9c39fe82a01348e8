//! What packaging costs: frames to parts, and the final `moov` of a live of twelve hours.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use griot::av::{
    AudioCodec, AudioConfig, Frame, Ticks, TrackKind, TrackSet, VideoCodec, VideoConfig,
};
use griot::fmp4::{Finaliser, Packager, PackagerConfig, Packed, PartIndex, SegmentIndex};

fn tracks() -> TrackSet {
    TrackSet {
        video: Some(VideoConfig {
            codec: VideoCodec::H264,
            width: 1_920,
            height: 1_080,
            record: Bytes::from_static(&[1, 0x64, 0, 0x28, 0xff, 0xe1, 0, 0, 1, 0, 0]),
            codecs: "avc1.640028".to_owned(),
        }),
        audio: Some(AudioConfig {
            codec: AudioCodec::Aac,
            sample_rate: 48_000,
            channels: 2,
            frame_samples: 1_024,
            record: Bytes::from_static(&[0x11, 0x90]),
            codecs: "mp4a.40.2".to_owned(),
        }),
    }
}

/// 1080p30 of 6 Mbit/s with AAC of 128 kbit/s, B-frames and key frames every 2 s; times as over RTMP.
fn minute() -> Vec<Frame> {
    const LAG: [i64; 3] = [3, 0, 0];
    let picture = |n: i64| {
        let key = n % 60 == 0;
        let at = |n: i64| Ticks(n * 3_000 / 90 * 90);
        let size = if key {
            120_000
        } else {
            23_000 + n * 37 % 3_000
        };
        let lag = if key {
            1
        } else {
            LAG[usize::try_from(n % 3).unwrap_or(0)] + 1
        };
        Frame {
            track: TrackKind::Video,
            dts: at(n),
            pts: at(n + lag),
            key,
            data: vec![0x55; usize::try_from(size).unwrap_or(0)].into(),
        }
    };
    let sound = |n: i64| {
        let at = Ticks(n * 1_024 / 48 * 48);
        Frame {
            track: TrackKind::Audio,
            dts: at,
            pts: at,
            key: true,
            data: vec![0x55; 340].into(),
        }
    };
    let mut frames: Vec<Frame> = (0..1_800)
        .map(picture)
        .chain((0..2_812).map(sound))
        .collect();
    frames.sort_by_key(|frame| match frame.track {
        TrackKind::Video => frame.dts.0 * 8,
        TrackKind::Audio => frame.dts.0 * 15,
    });
    frames
}

/// Packs a session; each part is taken away by `take` as soon as it is there.
fn pack(frames: Vec<Frame>, mut take: impl FnMut(Packed)) {
    let config = PackagerConfig::default();
    let mut packager =
        Packager::new(config, tracks(), Ticks::ZERO, Some(30.0)).expect("tracks that fit");
    let mut out = Vec::new();
    packager.start_session();
    for frame in frames {
        packager.push(frame, &mut out);
        out.drain(..).for_each(&mut take);
    }
    packager.end_session(&mut out);
    out.drain(..).for_each(take);
}

fn package(bench: &mut Criterion) {
    let frames = minute();
    let bytes: usize = frames.iter().map(|frame| frame.data.len()).sum();
    let mut group = bench.benchmark_group("package");
    group.throughput(Throughput::Bytes(bytes as u64));
    group.sample_size(20);
    group.bench_function("a minute of 1080p30 at 6 Mbit/s", |bench| {
        bench.iter_batched(
            || frames.clone(),
            |frames| pack(frames, |packed| drop(black_box(packed))),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

/// The index of a minute, again and again on a timeline that goes on.
fn twelve_hours() -> Vec<SegmentIndex> {
    let mut segment = SegmentIndex::default();
    pack(minute(), |packed| {
        if let Packed::Part(part) = packed {
            segment.parts.push(PartIndex::from(&part));
        }
    });
    let later = |minute: i64| {
        let mut segment = segment.clone();
        for part in &mut segment.parts {
            part.start.0 += minute * 5_400_000;
            for run in &mut part.runs {
                run.base_decode_time.0 += match run.track {
                    TrackKind::Video => minute * 5_400_000,
                    TrackKind::Audio => minute * 2_880_000,
                };
            }
        }
        segment
    };
    (0..720).map(later).collect()
}

fn finish(bench: &mut Criterion) {
    let segments = twelve_hours();
    let rows: Vec<Vec<u8>> = segments.iter().map(SegmentIndex::encode).collect();
    let config = PackagerConfig::default();
    let head = Packager::new(config, tracks(), Ticks::ZERO, None)
        .expect("tracks that fit")
        .head();
    let parts: u64 = segments.iter().map(SegmentIndex::length_bytes).sum();
    let data_end = head.len() as u64 + parts;
    let mut group = bench.benchmark_group("final moov of 12 h");
    group.sample_size(10);
    group.bench_function("from indexes", |bench| {
        bench.iter(|| {
            let mut finaliser = Finaliser::new(&tracks());
            segments.iter().for_each(|segment| finaliser.add(segment));
            black_box(
                finaliser
                    .finish(data_end)
                    .expect("the index covers the file"),
            )
        });
    });
    group.bench_function("from rows", |bench| {
        bench.iter(|| {
            let mut finaliser = Finaliser::new(&tracks());
            for row in &rows {
                finaliser.add(&SegmentIndex::decode(row).expect("as encoded"));
            }
            black_box(
                finaliser
                    .finish(data_end)
                    .expect("the index covers the file"),
            )
        });
    });
    group.finish();
}

criterion_group!(benches, package, finish);
criterion_main!(benches);
