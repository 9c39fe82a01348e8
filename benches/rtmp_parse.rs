//! What it costs to turn an encoder's bytes into frames: 10 s of 1080p30 at 6 Mbit/s with 128 kbit/s of sound, in reads of
//! 64 KiB, as `ingest` does it. The budget is 0.15 CPU-s per GB.

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use griot::base::Secret;
use griot::flv::{Demuxer, Output};
use griot::rtmp::{ClientEvent, ClientSession, Event, Limits, ServerSession};

const READ_BYTES: usize = 64 << 10;
const AVCC: &[u8] = &[
    0x01, 0x4d, 0x40, 0x1e, 0xff, 0xe1, 0x00, 0x18, 0x67, 0x4d, 0x40, 0x1e, 0xf4, 0x05, 0xa1, 0x26,
    0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xc8, 0x7c, 0x50, 0xaa, 0x80,
    0x01, 0x00, 0x04, 0x68, 0xde, 0x0f, 0xc8,
];

/// A picture of one slice: the FLV front, then one NAL unit.
fn picture(key: bool, bytes: usize) -> Vec<u8> {
    let mut body = vec![if key { 0x17 } else { 0x27 }, 1, 0, 0, 0];
    body.extend_from_slice(
        &u32::try_from(bytes)
            .expect("a picture is small")
            .to_be_bytes(),
    );
    body.push(if key { 0x65 } else { 0x41 });
    body.resize(5 + 4 + bytes, 0x5a);
    body
}

/// All that an encoder sends, and a server that has heard the first `usize` bytes of it: up to its publish.
fn session() -> (BytesMut, ServerSession) {
    let mut client = ClientSession::new("live", &Secret::new("key"), "rtmp://h/live", [1; 1528]);
    let mut server = ServerSession::new(Limits::default(), [2; 1528]);
    let (mut up, mut down) = (BytesMut::new(), BytesMut::new());
    while client.next_event() != Some(ClientEvent::Accepted) {
        up.extend_from_slice(&client.take_output().unwrap_or_default());
        server.input(&mut up).expect("our client is right");
        while let Some(event) = server.next_event() {
            if let Event::PublishRequested(_) = event {
                server.accept_publish();
            }
        }
        down.extend_from_slice(&server.take_output().unwrap_or_default());
        client.input(&mut down).expect("our server is right");
    }
    client.send_video(0, &[&[0x17, 0, 0, 0, 0], AVCC].concat());
    client.send_audio(0, &[0xaf, 0, 0x11, 0x90]);
    let (key, other) = (picture(true, 150_000), picture(false, 22_500));
    let sound = [&[0xaf, 1][..], &[0x21; 340]].concat();
    let mut sounds = 0u32;
    for number in 0..300u32 {
        let at = number * 1_000 / 30;
        client.send_video(at, if number % 60 == 0 { &key } else { &other });
        while sounds * 1_024 / 48 <= at {
            client.send_audio(sounds * 1_024 / 48, &sound);
            sounds += 1;
        }
    }
    let media = client.take_output().expect("ten seconds");
    (BytesMut::from(&media[..]), server)
}

fn parse(media: &[u8], server: &mut ServerSession) -> usize {
    let mut demuxer = Demuxer::new();
    let mut input = BytesMut::with_capacity(READ_BYTES);
    let mut outputs = Vec::new();
    let mut frames = 0;
    for read in media.chunks(READ_BYTES) {
        // The kernel's copy into the read buffer is not ours, but this one stands for it.
        input.extend_from_slice(read);
        server.input(&mut input).expect("our client is right");
        while let Some(event) = server.next_event() {
            match event {
                Event::Video { timestamp_ms, body } => {
                    demuxer.video(timestamp_ms, body, &mut outputs)
                }
                Event::Audio { timestamp_ms, body } => {
                    demuxer.audio(timestamp_ms, body, &mut outputs)
                }
                _ => Ok(()),
            }
            .expect("it can be decoded");
        }
        frames += outputs
            .iter()
            .filter(|output| matches!(output, Output::Frame(_)))
            .count();
        outputs.clear();
    }
    frames
}

fn bench(criterion: &mut Criterion) {
    let (media, mut server) = session();
    assert_eq!(parse(&media, &mut server), 300 + 468);
    let mut group = criterion.benchmark_group("rtmp_parse");
    group.throughput(Throughput::Bytes(media.len() as u64));
    group.bench_function("ten_seconds_1080p30_6_mbit", |bencher| {
        bencher.iter(|| parse(&media, &mut server));
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
