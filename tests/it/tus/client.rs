//! tus-js-client (npm, pinned in `tests/tus/`) over a network that breaks all the time.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::process::Command;

use super::{VIDEO, judged};
use crate::support::{Member, Server};

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tus");
/// What the proxy has read from a client and not passed on, at most.
const AHEAD: usize = 16 << 10;

/// A proxy before griot that cuts each connection after some bytes from its client.
struct Network {
    address: String,
    /// Bytes that clients have sent through it, heads included.
    passed: Arc<AtomicU64>,
}

impl Network {
    #[expect(
        clippy::disallowed_methods,
        reason = "the proxy ends with its test's runtime"
    )]
    async fn before(server: &Server, cut_after: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let upstream = server
            .http
            .strip_prefix("http://")
            .expect("an address")
            .parse::<SocketAddr>()
            .expect("an address");
        let passed = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&passed);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let counted = Arc::clone(&counted);
                tokio::spawn(async move {
                    // A server that is down: the client sees a connection that closes.
                    // What it has written and the server's kernel not taken is read ahead, too.
                    let socket = TcpSocket::new_v4().expect("a socket");
                    socket
                        .set_send_buffer_size(16 << 10)
                        .expect("a small buffer");
                    let Ok(server) = socket.connect(upstream).await else {
                        return;
                    };
                    carry(client, server, cut_after, &counted).await;
                });
            }
        });
        Self { address, passed }
    }
}

async fn carry(client: TcpStream, server: TcpStream, cut_after: u64, passed: &AtomicU64) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = async {
        let mut buffer = vec![0; AHEAD];
        let mut left = cut_after;
        while left > 0 {
            let Ok(read @ 1..) = from_client.read(&mut buffer).await else {
                break;
            };
            passed.fetch_add(read as u64, Ordering::Relaxed);
            left = left.saturating_sub(read as u64);
            if to_server.write_all(&buffer[..read]).await.is_err() {
                break;
            }
        }
        // What was passed arrives; then the connection is gone.
        drop(to_server.shutdown().await);
    };
    let down = async {
        let mut buffer = vec![0; AHEAD];
        while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
            if to_client.write_all(&buffer[..read]).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}

/// A file of `length` bytes that begins like a video and repeats nothing; its SHA-256.
fn journey(path: &Path, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    for eight in bytes.chunks_mut(8) {
        // xorshift64 (Marsaglia 2003)
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        eight.copy_from_slice(&state.to_le_bytes()[..eight.len()]);
    }
    bytes[..VIDEO.len()].copy_from_slice(VIDEO);
    std::fs::write(path, &bytes).expect("a file is written");
    Sha256::digest(&bytes).to_vec()
}

/// Sends `file` with tus-js-client.
fn sending(network: &Network, member: &Member, file: &Path, how: &[&str]) -> tokio::process::Child {
    assert!(
        Path::new(HERE).join("node_modules/tus-js-client").exists(),
        "run `npm ci` in tests/tus"
    );
    Command::new("node")
        .arg("send.mjs")
        .arg(format!("{}/api/uploads/", network.address))
        .arg(&member.access)
        .arg(file)
        .args(how)
        .current_dir(HERE)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("node starts")
}

async fn ended(child: tokio::process::Child) -> Value {
    let patience = std::time::Duration::from_secs(180);
    let output = tokio::time::timeout(patience, child.wait_with_output()).await;
    let output = output.expect("it ends").expect("it ran");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let told: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("JSON: {said}"));
    assert!(output.status.success(), "{told}");
    told
}

/// A second name for the one upload's file, which stays when the first is removed.
fn keep(server: &Server) -> Option<std::path::PathBuf> {
    let folder = std::fs::read_dir(server.data().join("uploads")).ok()?;
    let file = folder
        .flatten()
        .find(|entry| entry.path().extension().is_none())?;
    let kept = server.data().join("kept");
    match std::fs::hard_link(file.path(), &kept) {
        Ok(()) => Some(kept),
        Err(error) => panic!("{error}"),
    }
}

async fn travel(length: usize, how: &[&str], kills: u64) {
    let mut server = Server::start().await;
    let awa = server.member("awa").await;
    let file = server.data().join("journey");
    let digest = journey(&file, length);
    let network = Network::before(&server, 4 << 20).await;
    let child = sending(&network, &awa, &file, how);
    let mut kept = None;
    let mut killed = 0;
    let finished = ended(child);
    tokio::pin!(finished);
    let told = loop {
        tokio::select! {
            told = &mut finished => break told,
            () = tokio::time::sleep(std::time::Duration::from_millis(20)) => {}
        }
        if kept.is_none() {
            kept = keep(&server);
        }
        let passed = network.passed.load(Ordering::Relaxed);
        if killed < kills && passed > (killed + 1) * length as u64 / (kills + 1) {
            server.kill().await;
            server.start_again().await;
            killed += 1;
        }
    };
    assert_eq!(killed, kills, "{told}");
    let url = told["url"].as_str().expect("an address");
    let shown = judged(&awa, url).await;
    assert_eq!(shown["received"], length, "{shown}");
    let arrived = std::fs::read(kept.expect("the upload's file")).expect("a file");
    assert!(
        Sha256::digest(&arrived)[..] == digest[..],
        "the bytes are the same"
    );
    let passed = network.passed.load(Ordering::Relaxed);
    let again = passed.saturating_sub(length as u64);
    eprintln!(
        "{length} bytes {how:?}, {kills} kills: {again} bytes beside them; {}",
        told["requests"]
    );
    assert!(
        again <= length as u64 / 100,
        "{again} of {length} bytes were sent again"
    );
}

#[tokio::test]
async fn two_hundred_megabytes_arrive_over_a_network_that_breaks() {
    travel(200_000_000, &["sized"], 0).await;
}

#[tokio::test]
async fn two_hundred_megabytes_arrive_though_the_server_is_killed_three_times() {
    travel(200_000_000, &["sized"], 3).await;
}

#[tokio::test]
async fn a_stream_of_unknown_length_arrives() {
    // See `tests/tus/send.mjs` for the two kinds of stream on which the client itself hangs.
    travel(60_000_001, &["deferred", "3000000"], 0).await;
}
