//! Peers made by hand: raw sockets from any loopback address, RTMP written byte by byte.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// Longer than every deadline of the server's, on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Connects to `to`; from `127.0.{group}.{number}` when given, so that limits by address see many.
pub(super) async fn connect(to: &str, from: Option<(u8, u8)>) -> TcpStream {
    let to: SocketAddr = to.parse().expect("an address");
    let socket = TcpSocket::new_v4().expect("a socket");
    if let Some((group, number)) = from {
        let from = SocketAddr::from(([127, 0, group, number], 0));
        socket.bind(from).expect("a loopback address");
    }
    let connected = timeout(PATIENCE, socket.connect(to)).await;
    connected.expect("in time").expect("it listens")
}

/// Reads until the server closes, by FIN or by reset; returns what it said. Fails when it never does.
pub(super) async fn closed(stream: &mut TcpStream, probe: &str) -> Vec<u8> {
    let mut heard = Vec::new();
    let reading = async {
        let mut piece = vec![0; 64 << 10];
        loop {
            match stream.read(&mut piece).await {
                Ok(0) | Err(_) => return,
                // Enough to judge by; an attacker's memory is ours here.
                Ok(read) if heard.len() < 1 << 20 => heard.extend_from_slice(&piece[..read]),
                Ok(_) => {}
            }
        }
    };
    let ended = timeout(PATIENCE, reading).await;
    assert!(ended.is_ok(), "{probe}: the server keeps the connection");
    heard
}

/// Sends all of it, or as much as the server takes before it closes.
pub(super) async fn send(stream: &mut TcpStream, bytes: &[u8], probe: &str) -> io::Result<()> {
    let sent = timeout(PATIENCE, stream.write_all(bytes)).await;
    sent.unwrap_or_else(|_| panic!("{probe}: the server neither reads nor closes"))
}

/// A message in chunks of 128 bytes, its header whole (RTMP 5.3.1.2.1).
pub(super) fn message(csid: u8, kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("small");
    let mut bytes = header(csid, kind, stream, length);
    for (at, piece) in payload.chunks(128).enumerate() {
        if at > 0 {
            bytes.push(0xc0 | csid);
        }
        bytes.extend_from_slice(piece);
    }
    bytes
}

/// The header of a message that declares `length` bytes.
pub(super) fn header(csid: u8, kind: u8, stream: u32, length: u32) -> Vec<u8> {
    let mut bytes = vec![csid, 0, 0, 0];
    bytes.extend_from_slice(&length.to_be_bytes()[1..]);
    bytes.push(kind);
    bytes.extend_from_slice(&stream.to_le_bytes());
    bytes
}

/// A command message: AMF0 strings are `s`, numbers `n`, null is `None`.
pub(super) fn command(stream: u32, parts: &[Amf<'_>]) -> Vec<u8> {
    let payload: Vec<u8> = parts.iter().flat_map(Amf::bytes).collect();
    message(3, 20, stream, &payload)
}

/// As much of AMF0 as commands need.
pub(super) enum Amf<'a> {
    Text(&'a str),
    Number(f64),
    Null,
    /// An object of one text.
    Object(&'a str, &'a str),
}

impl Amf<'_> {
    fn bytes(&self) -> Vec<u8> {
        let text = |text: &str| {
            let length = u16::try_from(text.len()).expect("short").to_be_bytes();
            [&length, text.as_bytes()].concat()
        };
        match self {
            Self::Text(words) => [vec![2], text(words)].concat(),
            Self::Number(number) => [&[0][..], &number.to_be_bytes()].concat(),
            Self::Null => vec![5],
            Self::Object(key, value) => {
                [vec![3], text(key), vec![2], text(value), vec![0, 0, 9]].concat()
            }
        }
    }
}

/// An encoder made by hand, past the handshake.
pub(super) struct Raw {
    pub(super) stream: TcpStream,
    probe: &'static str,
}

impl Raw {
    pub(super) async fn hello(to: &str, probe: &'static str) -> Self {
        let mut stream = connect(to, None).await;
        let mut hello = vec![3];
        hello.extend_from_slice(&[0; 1536]);
        send(&mut stream, &hello, probe).await.expect("C0 and C1");
        let mut answer = vec![0; 1 + 2 * 1536];
        let read = timeout(PATIENCE, stream.read_exact(&mut answer)).await;
        read.expect("in time").expect("S0, S1 and S2");
        send(&mut stream, &answer[1..=1536], probe)
            .await
            .expect("C2");
        Self { stream, probe }
    }

    pub(super) async fn connected(to: &str, probe: &'static str) -> Self {
        let mut raw = Self::hello(to, probe).await;
        let app = Amf::Object("app", "live");
        let connect = command(0, &[Amf::Text("connect"), Amf::Number(1.0), app]);
        raw.send(&connect).await.expect("connect");
        assert!(raw.hears("NetConnection.Connect.Success").await, "{probe}");
        raw
    }

    /// Publishes with `key`; whether that was accepted.
    pub(super) async fn publishes(&mut self, key: &str) -> bool {
        let create = [Amf::Text("createStream"), Amf::Number(2.0), Amf::Null];
        self.send(&command(0, &create)).await.expect("createStream");
        let publish = [
            Amf::Text("publish"),
            Amf::Number(3.0),
            Amf::Null,
            Amf::Text(key),
            Amf::Text("live"),
        ];
        self.send(&command(1, &publish)).await.expect("publish");
        self.hears("NetStream.Publish.Start").await
    }

    pub(super) async fn publishing(to: &str, key: &str, probe: &'static str) -> Self {
        let mut raw = Self::connected(to, probe).await;
        assert!(raw.publishes(key).await, "{probe}: the publish is refused");
        raw
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        send(&mut self.stream, bytes, self.probe).await
    }

    /// Reads until the server says `word`; false when it closes without.
    pub(super) async fn hears(&mut self, word: &str) -> bool {
        let mut heard = Vec::new();
        let probe = self.probe;
        let reading = async {
            loop {
                let mut piece = [0; 4_096];
                match self.stream.read(&mut piece).await {
                    Ok(0) | Err(_) => return false,
                    Ok(read) => heard.extend_from_slice(&piece[..read]),
                }
                if heard
                    .windows(word.len())
                    .any(|said| said == word.as_bytes())
                {
                    return true;
                }
            }
        };
        let found = timeout(PATIENCE, reading).await;
        found.unwrap_or_else(|_| panic!("{probe}: {word} is never said"))
    }

    pub(super) async fn closed(&mut self) -> Vec<u8> {
        closed(&mut self.stream, self.probe).await
    }
}
