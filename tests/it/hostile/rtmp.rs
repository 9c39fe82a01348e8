//! What killed or slowed other RTMP servers, one probe for each.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use tokio::io::AsyncWriteExt as _;
use tokio::time::sleep;

use super::Victim;
use super::peer::{Amf, Raw, closed, command, connect, header, message, send};

const VIDEO: u8 = 9;
const AUDIO: u8 = 8;
const SET_CHUNK_SIZE: u8 = 1;
const WINDOW_SIZE: u8 = 5;
const COMMAND: u8 = 20;

/// A picture and a sound as the demuxer takes them, after no configuration: ignored, not refused.
const PICTURE: [u8; 9] = [0x27, 1, 0, 0, 0, 0, 0, 0, 0];

fn set_chunk_size(size: u32) -> Vec<u8> {
    message(2, SET_CHUNK_SIZE, 0, &size.to_be_bytes())
}

/// The first lines of a connection that never gets past them.
async fn first_bytes(to: &str, bytes: Vec<u8>, then_closes: bool, probe: &'static str) {
    let mut stream = connect(to, None).await;
    // The server may close before all is sent.
    drop(send(&mut stream, &bytes, probe).await);
    if then_closes {
        drop(stream.shutdown().await);
    }
    closed(&mut stream, probe).await;
}

/// Sent after `connect`, and the server closes for it.
async fn is_closed_for(to: &str, bytes: Vec<u8>, probe: &'static str) {
    let mut raw = Raw::connected(to, probe).await;
    drop(raw.send(&bytes).await);
    raw.closed().await;
}

/// Sent by a publisher, and the server closes for it.
async fn publisher_is_closed_for(to: &str, key: &str, bytes: Vec<u8>, probe: &'static str) {
    let mut raw = Raw::publishing(to, key, probe).await;
    drop(raw.send(&bytes).await);
    raw.closed().await;
}

/// Sent before a publish, which is accepted all the same.
async fn publishes_after(to: &str, key: &str, bytes: Vec<u8>, probe: &'static str) {
    let mut raw = Raw::connected(to, probe).await;
    raw.send(&bytes).await.expect("it is taken");
    assert!(raw.publishes(key).await, "{probe}: the publish is refused");
}

async fn slowly(to: &str, number: u8, probe: &'static str) {
    // 64 connections are an address's share.
    let mut stream = connect(to, Some((10, number))).await;
    let (mut reader, mut writer) = stream.split();
    let dripping = async {
        while writer.write_all(&[3]).await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
    };
    let gone = async {
        let mut byte = [0];
        while matches!(
            tokio::io::AsyncReadExt::read(&mut reader, &mut byte).await,
            Ok(1..)
        ) {}
    };
    let ended = tokio::time::timeout(super::peer::PATIENCE, async {
        tokio::select! { () = dripping => {}, () = gone => {} }
    });
    assert!(
        ended.await.is_ok(),
        "{probe}: the server keeps the connection"
    );
}

/// Nested AMF0 values: `one` opens each.
fn nested(one: &[u8], times: usize) -> Vec<u8> {
    let name = b"\x02\x00\x07connect\x00\x3f\xf0\x00\x00\x00\x00\x00\x00";
    [&name[..], &one.repeat(times)].concat()
}

fn many_chunk_streams() -> Vec<u8> {
    let mut bytes = Vec::new();
    for csid in 64..4_064u16 {
        let [low, high] = (csid - 64).to_le_bytes();
        // Three bytes of basic header (RTMP 5.3.1.1), 16 MB declared.
        let mut one = header(1, VIDEO, 1, 0x00ff_ffff);
        one.splice(1..1, [low, high]);
        one.extend_from_slice(&[0; 128]);
        bytes.extend(one);
    }
    bytes
}

fn much_in_flight() -> Vec<u8> {
    let mut bytes = set_chunk_size(0x00ff_ffff);
    for csid in 3..33 {
        bytes.extend(header(csid, VIDEO, 1, 9_000_000));
        bytes.extend(vec![0; 1 << 20]);
    }
    bytes
}

fn a_message_that_changes_its_length() -> Vec<u8> {
    let mut bytes = header(6, VIDEO, 1, 1_000);
    bytes.extend([0; 128]);
    bytes.extend(header(6, VIDEO, 1, 50));
    bytes.extend([0; 50]);
    bytes
}

fn sound_between_two_chunks_of_a_picture() -> Vec<u8> {
    let mut bytes = header(6, VIDEO, 1, 200);
    let mut picture = PICTURE.to_vec();
    picture.resize(200, 0);
    bytes.extend(&picture[..128]);
    bytes.extend(message(4, AUDIO, 1, &[0xaf, 1, 0x21, 0x10]));
    bytes.push(0xc0 | 6);
    bytes.extend(&picture[128..]);
    bytes
}

fn a_message_in_chunks_of_one_byte() -> Vec<u8> {
    let mut bytes = set_chunk_size(1);
    bytes.extend(header(6, VIDEO, 1, 256 << 10));
    bytes.push(0x27);
    for _ in 1..256 << 10 {
        bytes.extend([0xc6, 0]);
    }
    bytes
}

/// Pings without end, by a peer that never reads the answers.
async fn pings_and_never_reads(to: &str, probe: &'static str) {
    let mut raw = Raw::connected(to, probe).await;
    let ping = message(2, 4, 0, &[0, 6, 0, 0, 0, 0]);
    let many = ping.repeat(14 << 20 >> 4);
    // Taken while the sockets' buffers hold the answers; then the write deadline ends it.
    drop(raw.send(&many).await);
    raw.closed().await;
}

async fn resets_in_a_message_and_comes_back(to: &str, key: &str, probe: &'static str) {
    let mut raw = Raw::publishing(to, key, probe).await;
    let mut half = header(6, VIDEO, 1, 5_000);
    half.extend([0; 100]);
    raw.send(&half).await.expect("it is taken");
    raw.stream.set_zero_linger().expect("a reset");
    drop(raw);
    let mut again = Raw::connected(to, probe).await;
    assert!(again.publishes(key).await, "{probe}");
}

async fn the_same_key_twice(to: &str, key: &str, probe: &'static str) {
    let mut first = Raw::publishing(to, key, probe).await;
    let mut second = Raw::connected(to, probe).await;
    assert!(!second.publishes(key).await, "{probe}: two publish at once");
    // Silent for longer than three seconds, the first gives way.
    sleep(Duration::from_secs(4)).await;
    let mut third = Raw::connected(to, probe).await;
    assert!(
        third.publishes(key).await,
        "{probe}: a dead encoder holds the key"
    );
    first.closed().await;
}

async fn media_before_a_publish(to: &str, probe: &'static str) {
    let mut raw = Raw::connected(to, probe).await;
    for _ in 0..50 {
        raw.send(&message(6, VIDEO, 1, &[0x27; 100]))
            .await
            .expect("it is taken");
    }
    raw.closed().await;
}

async fn a_wrong_key(to: &str, probe: &'static str) {
    let mut raw = Raw::connected(to, probe).await;
    let publish = [
        Amf::Text("publish"),
        Amf::Number(3.0),
        Amf::Null,
        Amf::Text("live_1_wrong"),
    ];
    raw.send(&command(1, &publish)).await.expect("publish");
    assert!(raw.hears("NetStream.Publish.BadName").await, "{probe}");
    raw.closed().await;
}

/// Bytes that look like nothing: xorshift32 from a fixed seed.
pub(super) fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    })
    .take(bytes)
    .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_rtmp_peer_brings_the_server_down_nor_makes_it_grow() {
    let victim = Victim::new(&[]).await;
    let to = victim.rtmp.as_str();
    let mut keys = Vec::new();
    for name in [
        "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf",
    ] {
        keys.push(victim.server.member(name).await.stream_key().await);
    }
    let half_hello = [&[3][..], &[0; 700]].concat();
    let big = [
        set_chunk_size(0x00ff_ffff),
        header(6, VIDEO, 1, 0x00ff_ffff),
    ]
    .concat();
    let mut sixteen_megabytes = big.clone();
    sixteen_megabytes.resize(16 << 20, 0);
    let mut declared = header(3, COMMAND, 0, 0x00ff_ffff);
    declared.extend([0; 128]);
    let objects = nested(b"\x03\x00\x01a", 12_000);
    let arrays = nested(b"\x0a\x00\x00\x00\x01", 10_000);
    let countless = nested(b"\x08\xff\xff\xff\xff", 1);
    let mut endless = set_chunk_size(0x00ff_ffff);
    endless.extend(header(3, COMMAND, 0, 800_000));
    endless.extend(nested(b"\x03\x00\x01a", 200_000));

    let mut probes: Vec<BoxFuture<'_, ()>> = vec![
        first_bytes(to, noise(8 << 10), false, "noise").boxed(),
        first_bytes(
            to,
            [vec![3], noise(8 << 10)].concat(),
            false,
            "noise after a hello",
        )
        .boxed(),
        first_bytes(to, half_hello.clone(), true, "half a hello, then FIN").boxed(),
        first_bytes(to, half_hello, false, "half a hello, then nothing").boxed(),
        first_bytes(to, Vec::new(), false, "nothing at all").boxed(),
        first_bytes(
            to,
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            false,
            "another protocol",
        )
        .boxed(),
        is_closed_for(to, Vec::new(), "connect, then nothing").boxed(),
        is_closed_for(to, set_chunk_size(0), "chunk size 0").boxed(),
        is_closed_for(to, declared, "16 MB declared, 128 sent").boxed(),
        is_closed_for(to, many_chunk_streams(), "4000 chunk streams").boxed(),
        is_closed_for(to, much_in_flight(), "30 x 9 MB in flight").boxed(),
        is_closed_for(to, message(3, COMMAND, 0, &objects), "nested objects").boxed(),
        is_closed_for(to, message(3, COMMAND, 0, &arrays), "nested arrays").boxed(),
        is_closed_for(to, endless, "200,000 nested objects").boxed(),
        is_closed_for(
            to,
            message(3, COMMAND, 0, &countless),
            "an array of 4 billion",
        )
        .boxed(),
        publishes_after(
            to,
            &keys[0],
            set_chunk_size(0x7fff_ffff),
            "chunk size 2^31-1",
        )
        .boxed(),
        publishes_after(
            to,
            &keys[1],
            message(2, WINDOW_SIZE, 0, &[0; 4]),
            "window size 0",
        )
        .boxed(),
        publisher_is_closed_for(to, &keys[2], Vec::new(), "publishing, then silent").boxed(),
        publisher_is_closed_for(to, &keys[3], sixteen_megabytes, "a message of 16 MB").boxed(),
        publisher_is_closed_for(
            to,
            &keys[4],
            a_message_that_changes_its_length(),
            "another length",
        )
        .boxed(),
        // Legal: the server goes on and closes for the silence behind it.
        publisher_is_closed_for(
            to,
            &keys[5],
            sound_between_two_chunks_of_a_picture(),
            "interleaved",
        )
        .boxed(),
        publisher_is_closed_for(
            to,
            &keys[6],
            a_message_in_chunks_of_one_byte(),
            "chunks of a byte",
        )
        .boxed(),
        pings_and_never_reads(to, "pings without end").boxed(),
        media_before_a_publish(to, "media before a publish").boxed(),
        a_wrong_key(to, "a wrong key").boxed(),
        resets_in_a_message_and_comes_back(to, &keys[7], "a reset").boxed(),
        the_same_key_twice(to, &keys[8], "the same key twice").boxed(),
    ];
    probes.extend((1..=250).map(|number| slowly(to, number, "a byte each second").boxed()));
    join_all(probes).await;

    victim.is_well("the RTMP probes").await;
}
