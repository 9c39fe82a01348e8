//! Nonsense and malice by TLS and by HTTP/2, frame by frame (RFC 9113).

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::Victim;
use super::peer::{PATIENCE, closed, connect, send};
use super::rtmp::noise;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("small").to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// GET of `path`, in HPACK without its dynamic table (RFC 7541, appendix A: 2 is GET, 7 is https, 1 and 4 are the names
/// of authority and path).
fn get(path: &str) -> Vec<u8> {
    let text = |text: &str| {
        let length = u8::try_from(text.len()).expect("below 127");
        [&[length], text.as_bytes()].concat()
    };
    [vec![0x82, 0x87, 0x01], text("h"), vec![0x04], text(path)].concat()
}

/// An HTTP/2 client made by hand; its settings are sent.
struct Raw {
    stream: TlsStream<TcpStream>,
    probe: &'static str,
}

impl Raw {
    async fn hello(victim: &Victim, settings: &[u8], probe: &'static str) -> Self {
        let authority = std::fs::read(victim.authority.ca_file()).expect("a file");
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_slice(&authority).expect("PEM");
        roots.add(authority).expect("an authority");
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let socket = connect(&victim.https, None).await;
        let name = ServerName::try_from("localhost").expect("a name");
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, socket);
        let stream = timeout(PATIENCE, connecting).await.expect("in time");
        let mut raw = Self {
            stream: stream.expect("a handshake"),
            probe,
        };
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        let hello = [preface.to_vec(), frame(SETTINGS, 0, 0, settings)].concat();
        raw.send(&hello).await.expect("it is taken");
        raw
    }

    async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let probe = self.probe;
        let sending = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        let sent = timeout(PATIENCE, sending).await;
        sent.unwrap_or_else(|_| panic!("{probe}: the server neither reads nor closes"))
    }

    /// Reads until the server closes; the error code of its GOAWAY, if it said one.
    async fn closed(&mut self) -> Option<u32> {
        let mut heard = Vec::new();
        let probe = self.probe;
        let reading = async {
            // An end without a farewell is an end.
            drop(self.stream.read_to_end(&mut heard).await);
        };
        let ended = timeout(PATIENCE, reading).await;
        assert!(ended.is_ok(), "{probe}: the server keeps the connection");
        let mut rest = heard.as_slice();
        let mut said = None;
        while let [a, b, c, kind, _, _, _, _, _, behind @ ..] = rest {
            let length = usize::try_from(u32::from_be_bytes([0, *a, *b, *c])).expect("small");
            if *kind == GOAWAY && behind.len() >= 8 {
                said = Some(u32::from_be_bytes([
                    behind[4], behind[5], behind[6], behind[7],
                ]));
            }
            rest = behind.get(length..).unwrap_or_default();
        }
        said
    }
}

/// Asks and gives up in one breath, 50,000 times (CVE-2023-44487).
async fn rapid_reset(victim: &Victim, path: &str, probe: &'static str) {
    let mut raw = Raw::hello(victim, &[], probe).await;
    let head = get(path);
    for round in 0..500u32 {
        let mut bytes = Vec::new();
        for number in 0..100 {
            let stream = 1 + 2 * (round * 100 + number);
            bytes.extend(frame(HEADERS, END_STREAM | END_HEADERS, stream, &head));
            bytes.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
        }
        if raw.send(&bytes).await.is_err() {
            break;
        }
    }
    // ENHANCE_YOUR_CALM, or an end before it was read.
    let code = raw.closed().await;
    assert!(matches!(code, None | Some(11)), "{probe}: {code:?}");
}

/// Gives up each request that would wait: the server's own count, not the framing library's.
async fn gives_up_what_waits(victim: &Victim, path: &str, probe: &'static str) {
    let mut raw = Raw::hello(victim, &[], probe).await;
    let head = get(path);
    for number in 0..2_000u32 {
        let stream = 1 + 2 * number;
        if raw
            .send(&frame(HEADERS, END_STREAM | END_HEADERS, stream, &head))
            .await
            .is_err()
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        if raw
            .send(&frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]))
            .await
            .is_err()
        {
            return;
        }
    }
    panic!("{probe}: 2,000 requests were given up");
}

/// Bytes after the settings, for which the server closes.
async fn is_closed_for(victim: &Victim, bytes: Vec<u8>, probe: &'static str) {
    let mut raw = Raw::hello(victim, &[], probe).await;
    drop(raw.send(&bytes).await);
    raw.closed().await;
}

/// Takes nothing of what it asks for: its window is 0 and stays so.
async fn keeps_its_window_shut(victim: &Victim, probe: &'static str) {
    // INITIAL_WINDOW_SIZE, 0.
    let mut raw = Raw::hello(victim, &[0, 4, 0, 0, 0, 0], probe).await;
    for number in 0..100 {
        let asked = frame(HEADERS, END_STREAM | END_HEADERS, 1 + 2 * number, &get("/"));
        raw.send(&asked).await.expect("it is taken");
    }
    raw.closed().await;
}

/// Bytes of no handshake.
async fn no_handshake(to: &str, bytes: Vec<u8>, probe: &'static str) {
    let mut stream = connect(to, None).await;
    drop(send(&mut stream, &bytes, probe).await);
    closed(&mut stream, probe).await;
}

/// A record of 16 KiB is announced as a client's hello, and its beginning comes.
pub(super) fn half_a_client_hello() -> Vec<u8> {
    let mut bytes = vec![0x16, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc, 3, 3];
    bytes.extend(noise(100));
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_peer_by_tls_or_http_2_brings_the_server_down_nor_makes_it_grow() {
    let victim = Victim::new(&[]).await;
    let owner = victim.server.member("attente").await;
    // Its playlist is held for seconds: no encoder comes.
    let live = owner.start_live("Rien").await;
    let waits = live
        .hls_url
        .strip_prefix(&victim.server.http)
        .expect("ours");
    let (https, rtmps) = (victim.https.as_str(), victim.rtmps.as_str());

    let first = frame(HEADERS, 0, 1, &get("/"));
    let mut continued = first.clone();
    for _ in 0..10_000 {
        continued.extend(frame(CONTINUATION, 0, 1, &[0; 64]));
    }
    // A header of 100 KB, whole.
    let mut long = vec![0x00, 0x01, b'x', 0x7f];
    // An integer of HPACK: 127 and the rest in sevens.
    long.extend([0x80 | 33, 0x80 | 12, 6]);
    long.extend(vec![b'a'; 100_000]);
    let mut bomb = first;
    for piece in long.chunks(16_000) {
        bomb.extend(frame(CONTINUATION, 0, 1, piece));
    }
    bomb.extend(frame(CONTINUATION, END_HEADERS, 1, &[]));
    let pings = frame(PING, 0, 0, &[0; 8]).repeat(50_000);
    let settings = frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 9]).repeat(20_000);
    let on_no_stream = frame(DATA, 0, 7, &[0; 100]);
    let window = frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]).repeat(2);

    let probes: Vec<BoxFuture<'_, ()>> = vec![
        no_handshake(https, noise(64 << 10), "noise by HTTPS").boxed(),
        no_handshake(rtmps, noise(64 << 10), "noise by RTMPS").boxed(),
        no_handshake(https, b"GET / HTTP/1.1\r\n\r\n".to_vec(), "HTTP by HTTPS").boxed(),
        no_handshake(rtmps, vec![3; 1_537], "RTMP by RTMPS").boxed(),
        no_handshake(https, half_a_client_hello(), "half a hello by HTTPS").boxed(),
        no_handshake(rtmps, half_a_client_hello(), "half a hello by RTMPS").boxed(),
        no_handshake(https, Vec::new(), "nothing by HTTPS").boxed(),
        rapid_reset(&victim, "/", "a rapid reset").boxed(),
        rapid_reset(&victim, waits, "a rapid reset of what waits").boxed(),
        gives_up_what_waits(&victim, waits, "gives up what waits").boxed(),
        is_closed_for(&victim, noise(64 << 10), "noise by HTTP/2").boxed(),
        is_closed_for(&victim, continued, "a head without end").boxed(),
        is_closed_for(&victim, bomb, "a header of 100 KB").boxed(),
        is_closed_for(&victim, pings, "pings without end").boxed(),
        is_closed_for(&victim, settings, "settings without end").boxed(),
        is_closed_for(&victim, on_no_stream, "data on no stream").boxed(),
        is_closed_for(&victim, window, "a window of 2^32").boxed(),
        is_closed_for(&victim, Vec::new(), "an idle connection").boxed(),
        keeps_its_window_shut(&victim, "a window that stays shut").boxed(),
    ];
    join_all(probes).await;
    owner.stop(live.id).await;

    victim.is_well("the HTTP/2 probes").await;
}
