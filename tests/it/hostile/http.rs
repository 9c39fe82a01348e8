//! Nonsense and malice by HTTP/1.1.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::time::{sleep, timeout};

use super::Victim;
use super::peer::{PATIENCE, closed, connect, send};
use super::rtmp::noise;

/// Sends `bytes` and reads to the end; the status of each answer.
async fn answers(to: &str, bytes: Vec<u8>, probe: &str) -> Vec<u16> {
    let mut stream = connect(to, None).await;
    drop(send(&mut stream, &bytes, probe).await);
    drop(stream.shutdown().await);
    let heard = closed(&mut stream, probe).await;
    let text = String::from_utf8_lossy(&heard);
    text.split("HTTP/1.1 ")
        .skip(1)
        .map(|answer| {
            answer[..3]
                .parse()
                .unwrap_or_else(|_| panic!("{probe}: {text}"))
        })
        .collect()
}

/// No answer but refusals.
async fn is_refused(to: &str, bytes: Vec<u8>, probe: &'static str) {
    let statuses = answers(to, bytes, probe).await;
    assert!(
        statuses.len() <= 1 && statuses.iter().all(|status| (400..500).contains(status)),
        "{probe}: {statuses:?}"
    );
}

/// Two readers of the same bytes must not see different requests: the one hidden in the body is never answered.
async fn hides_nothing(to: &str, head: &str, body: &str, probe: &'static str) {
    let hidden = "GET /api/health/ HTTP/1.1\r\nHost: h\r\n\r\n";
    let bytes =
        format!("POST /api/users/login/ HTTP/1.1\r\nHost: h\r\n{head}\r\n\r\n{body}{hidden}");
    let statuses = answers(to, bytes.into_bytes(), probe).await;
    assert!(!statuses.contains(&200), "{probe}: {statuses:?}");
}

/// One byte each second until the server has had enough.
async fn slowly(to: &str, bytes: &[u8], probe: &'static str) {
    let mut stream = connect(to, None).await;
    let (mut reader, mut writer) = stream.split();
    let dripping = async {
        for byte in bytes.iter().chain(std::iter::repeat(&b'a')) {
            if writer.write_all(&[*byte]).await.is_err() {
                return;
            }
            sleep(Duration::from_secs(1)).await;
        }
    };
    let mut heard = Vec::new();
    let ended = timeout(PATIENCE, async {
        tokio::select! { () = dripping => {}, _ = reader.read_to_end(&mut heard) => {} }
    });
    assert!(
        ended.await.is_ok(),
        "{probe}: the server keeps the connection"
    );
}

/// Asks for much and takes nothing of it.
async fn never_reads(to: &str, probe: &'static str) {
    let mut stream = connect(to, None).await;
    let many = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n".repeat(20_000);
    // The sockets' buffers may take all of it; what tells is when the server has gone.
    let asking = async {
        let asked = stream.write_all(&many).await;
        while asked.is_ok() && stream.write_all(b"G").await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
    };
    let ended = timeout(PATIENCE, asking).await;
    assert!(ended.is_ok(), "{probe}: the server waits for ever");
}

/// Asks for much and takes a byte of it each second.
async fn reads_slowly(to: &str, probe: &'static str) {
    let socket = TcpSocket::new_v4().expect("a socket");
    // So little that the server sees how slow it is.
    socket.set_recv_buffer_size(4_096).expect("a small buffer");
    let to = to.parse().expect("an address");
    let mut stream = socket.connect(to).await.expect("it listens");
    let many = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n".repeat(20_000);
    drop(send(&mut stream, &many, probe).await);
    // What is in our buffer can be read even when the server has gone; only a write tells.
    let reading = async {
        let mut byte = [0];
        while matches!(stream.read(&mut byte).await, Ok(1..))
            && stream.write_all(b"G").await.is_ok()
        {
            sleep(Duration::from_secs(1)).await;
        }
    };
    let ended = timeout(PATIENCE, reading).await;
    assert!(ended.is_ok(), "{probe}: the server waits for ever");
}

/// Silent after an answer: the connection ends by itself.
async fn stays_idle(to: &str, probe: &'static str) {
    let mut stream = connect(to, None).await;
    let ask = b"GET /api/health/ HTTP/1.1\r\nHost: h\r\n\r\n";
    send(&mut stream, ask, probe).await.expect("it is taken");
    let heard = closed(&mut stream, probe).await;
    assert!(heard.starts_with(b"HTTP/1.1 200"), "{probe}");
}

fn get(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: h\r\n{headers}\r\n").into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_http_peer_brings_the_server_down_nor_makes_it_grow() {
    let victim = Victim::new(&[]).await;
    let to = victim.http.as_str();
    let headers =
        |many: usize| -> String { (0..many).map(|n| format!("X-{n}: {n}\r\n")).collect() };
    let ranges: Vec<String> = (0..1_000).map(|n| format!("{n}-{n}")).collect();
    let ranges = format!("Range: bytes={}\r\n", ranges.join(","));
    let long = "a".repeat(1 << 20);
    let mut endless = b"GET / HTTP/1.1\r\nX: ".to_vec();
    endless.resize(10 << 20, b'a');

    let probes: Vec<BoxFuture<'_, ()>> = vec![
        is_refused(to, noise(64 << 10), "noise").boxed(),
        is_refused(to, vec![0; 64 << 10], "zeros").boxed(),
        is_refused(
            to,
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            "HTTP/2 without TLS",
        )
        .boxed(),
        is_refused(to, get("/", &headers(5_000)), "5,000 headers").boxed(),
        is_refused(to, get("/", &format!("X: {long}\r\n")), "a header of 1 MB").boxed(),
        is_refused(to, get(&format!("/{long}"), ""), "a path of 1 MB").boxed(),
        is_refused(to, endless, "a header without end").boxed(),
        is_refused(to, get("/live/../../etc/passwd", ""), "dots in a path").boxed(),
        is_refused(
            to,
            get("/live/%2e%2e/%00/index.m3u8", ""),
            "dots and zeros, encoded",
        )
        .boxed(),
        is_refused(to, get("/live/nothing/index.m3u8", &ranges), "1,000 ranges").boxed(),
        is_refused(
            to,
            get("/api/posts/live/99999999999999999999/", ""),
            "a huge id",
        )
        .boxed(),
        hides_nothing(
            to,
            "Content-Length: 5\r\nContent-Length: 50",
            "12345",
            "two lengths",
        )
        .boxed(),
        hides_nothing(to, "Content-Length: +5", "12345", "a signed length").boxed(),
        hides_nothing(
            to,
            "Content-Length: 18446744073709551617",
            "1",
            "a length of 2^64+1",
        )
        .boxed(),
        hides_nothing(
            to,
            "Transfer-Encoding: xchunked",
            "0\r\n\r\n",
            "another encoding",
        )
        .boxed(),
        hides_nothing(
            to,
            "Transfer-Encoding : chunked",
            "0\r\n\r\n",
            "a space before the colon",
        )
        .boxed(),
        hides_nothing(
            to,
            "Transfer-Encoding: chunked, identity",
            "0\r\n\r\n",
            "chunked, but not last",
        )
        .boxed(),
        hides_nothing(
            to,
            "Transfer-Encoding: chunked",
            "fffffffffffffffff\r\n",
            "a chunk of 2^68",
        )
        .boxed(),
        hides_nothing(to, "Transfer-Encoding: chunked", "-1\r\n", "a chunk of -1").boxed(),
        hides_nothing(to, "X: a\r\n b", "", "a folded header").boxed(),
        slowly(to, b"GET / HTTP/1.1\r\nX: ", "a head at a byte each second").boxed(),
        slowly(to, b"", "a word at a byte each second").boxed(),
        never_reads(to, "asks and never reads").boxed(),
        reads_slowly(to, "a reader of a byte each second").boxed(),
        stays_idle(to, "an idle connection").boxed(),
    ];
    let slow_body = b"POST /api/users/login/ HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n";
    let slow_body = async {
        let mut stream = connect(to, None).await;
        send(&mut stream, slow_body, "a slow body")
            .await
            .expect("it is taken");
        let heard = closed(&mut stream, "a body that never comes").await;
        assert!(
            heard.starts_with(b"HTTP/1.1 408"),
            "{}",
            String::from_utf8_lossy(&heard)
        );
    };
    tokio::join!(join_all(probes), slow_body);

    victim.is_well("the HTTP probes").await;
}
