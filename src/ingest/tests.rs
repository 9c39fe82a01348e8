//! The driver over real loopback sockets: our client, or bytes by hand, against a listener.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::{Config, PublishDoor, RtmpListener};
use crate::av::{CodecConfig, Rhythm, Ticks, TrackKind};
use crate::base::{Secret, Tasks};
use crate::live::{
    Closing, Listening, Media, PublishRefusal, PublishRequest, Publisher, SessionEnd,
};
use crate::rtmp::{ClientEvent, ClientSession};

const KEY: &str = "live_1_0123456789abcdef";
const AVCC: &[u8] = &[
    0x01, 0x4d, 0x40, 0x1e, 0xff, 0xe1, 0x00, 0x18, 0x67, 0x4d, 0x40, 0x1e, 0xf4, 0x05, 0xa1, 0x26,
    0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xc8, 0x7c, 0x50, 0xaa, 0x80,
    0x01, 0x00, 0x04, 0x68, 0xde, 0x0f, 0xc8,
];

/// A running listener whose door takes [`KEY`] only.
struct House {
    address: SocketAddr,
    tasks: Tasks,
    requests: mpsc::Receiver<(PublishRequest, Option<Listening>)>,
}

fn listening(config: Config) -> House {
    let (told, requests) = mpsc::channel(16);
    let door: PublishDoor = Arc::new(move |request: PublishRequest| {
        let told = told.clone();
        Box::pin(async move {
            let decision: (Result<Publisher, PublishRefusal>, Option<Listening>) =
                if request.key.expose() == KEY {
                    let (publisher, live) = Listening::to_publisher(1);
                    (Ok(publisher), Some(live))
                } else {
                    (Err(PublishRefusal::UnknownKey), None)
                };
            told.send((request, decision.1))
                .await
                .expect("the test listens");
            decision.0
        })
    });
    let config = Config {
        rtmp_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        ..config
    };
    let listener = RtmpListener::bind(config, door).expect("port 0 is free");
    let address = listener.local_addr();
    let tasks = Tasks::default();
    drop(tasks.spawn(listener.run(tasks.clone())));
    House {
        address,
        tasks,
        requests,
    }
}

impl House {
    /// The live behind the next publish that the door accepts.
    async fn live(&mut self) -> Listening {
        let (_, live) = self.requests.recv().await.expect("the listener runs");
        live.expect("the key is good")
    }
}

struct Encoder {
    socket: TcpStream,
    session: ClientSession,
    input: BytesMut,
}

impl Encoder {
    async fn connect(house: &House, key: &str) -> Self {
        let socket = TcpStream::connect(house.address).await.expect("it listens");
        let url = format!("rtmp://{}/live", house.address);
        Self {
            socket,
            session: ClientSession::new("live", &Secret::new(key), &url, [7; 1528]),
            input: BytesMut::new(),
        }
    }

    async fn flush(&mut self) {
        while let Some(output) = self.session.take_output() {
            self.socket.write_all(&output).await.expect("it takes all");
        }
    }

    /// The server's next word; `None` when it has closed for writing.
    async fn hears(&mut self) -> Option<ClientEvent> {
        loop {
            if let Some(event) = self.session.next_event() {
                return Some(event);
            }
            self.flush().await;
            if self
                .socket
                .read_buf(&mut self.input)
                .await
                .expect("no reset")
                == 0
            {
                return None;
            }
            self.session
                .input(&mut self.input)
                .expect("our server is right");
        }
    }

    async fn sends_a_beginning(&mut self) {
        self.session.send_metadata(
            &[
                ("framerate", 25.0),
                ("videodatarate", 2_000.0),
                ("audiodatarate", 128.0),
            ],
            &[("encoder", "tester")],
        );
        self.session
            .send_video(0, &[&[0x17, 0, 0, 0, 0], AVCC].concat());
        self.session.send_audio(0, &[0xaf, 0, 0x12, 0x10]);
        self.session
            .send_video(0, &[0x17, 1, 0, 0, 40, 0, 0, 0, 2, 0x65, 0x88]);
        self.session.send_audio(0, &[0xaf, 1, 0x21, 0x10]);
        self.flush().await;
    }
}

/// A house and an encoder that publishes.
async fn publishing(config: Config) -> (House, Encoder, Listening) {
    let mut house = listening(config);
    let mut encoder = Encoder::connect(&house, KEY).await;
    assert_eq!(encoder.hears().await, Some(ClientEvent::Accepted));
    let live = house.live().await;
    (house, encoder, live)
}

async fn end_of(live: &mut Listening) -> SessionEnd {
    loop {
        if let Err(how) = live.next().await {
            return how;
        }
    }
}

#[tokio::test]
async fn media_reach_the_live_in_their_order_and_a_goodbye_ends_the_session() {
    let mut house = listening(Config::default());
    let mut encoder = Encoder::connect(&house, KEY).await;
    assert_eq!(encoder.hears().await, Some(ClientEvent::Accepted));
    let (request, live) = house.requests.recv().await.expect("the door was asked");
    assert_eq!((request.key.expose(), request.protocol), (KEY, "rtmp"));
    assert_eq!(request.remote, IpAddr::from(Ipv4Addr::LOCALHOST));
    let mut live = live.expect("the key is good");
    encoder.sends_a_beginning().await;
    encoder.session.goodbye();
    encoder.flush().await;
    let mut told = Vec::new();
    let how = loop {
        match live.next().await {
            Ok(media) => told.extend(media),
            Err(how) => break how,
        }
    };
    assert_eq!(how, SessionEnd::Goodbye);
    let kinds: Vec<_> = told
        .iter()
        .map(|media| match media {
            Media::FrameRateHint(rate) => format!("{rate} fps"),
            Media::BitRateHint(rate) => format!("{rate} bit/s"),
            Media::Encoder(name) => name.clone(),
            Media::Config(CodecConfig::Video(config)) => config.codecs.clone(),
            Media::Config(CodecConfig::Audio(config)) => config.codecs.clone(),
            Media::Frame(frame) if frame.track == TrackKind::Video => {
                format!("picture {} {} key {}", frame.dts.0, frame.pts.0, frame.key)
            }
            Media::Frame(frame) => format!("sound {}", frame.dts.0),
            Media::UnknownCodec => "unknown codec".to_owned(),
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "25 fps",
            "2128000 bit/s",
            "tester",
            "avc1.4d401e",
            "mp4a.40.2",
            "picture 0 3600 key true",
            "sound 0"
        ]
    );
    house.tasks.stop_and_wait().await;
}

/// Two seconds of 30 pictures a second, sent as they come; how many batches they are heard in, and in which order.
async fn heard_in_batches(rhythm: Option<Rhythm>) -> (usize, Vec<i64>) {
    let (house, mut encoder, mut live) = publishing(Config::default()).await;
    rhythm
        .into_iter()
        .for_each(|rhythm| live.set_rhythm(rhythm));
    let listening = house.tasks.spawn(async move {
        let (mut batches, mut heard) = (0, Vec::new());
        while let Ok(media) = live.next().await {
            batches += 1;
            heard.extend(media.into_iter().filter_map(|media| match media {
                Media::Frame(frame) => Some(frame.dts.0),
                _ => None,
            }));
        }
        (batches, heard)
    });
    let config = [&[0x17, 0, 0, 0, 0], AVCC].concat();
    encoder.session.send_video(0, &config);
    let mut ticks = tokio::time::interval(Duration::from_micros(33_333));
    for picture in 0..60u32 {
        ticks.tick().await;
        let mut body = vec![0x27, 1, 0, 0, 0, 0, 0, 0x2e, 0xe0, 0x41];
        body.resize(5 + 4 + 12_000, 0x88);
        encoder.session.send_video(picture * 100 / 3, &body);
        encoder.flush().await;
    }
    encoder.session.goodbye();
    encoder.flush().await;
    let heard = listening.await.expect("the live hears all");
    house.tasks.stop_and_wait().await;
    heard
}

#[tokio::test]
async fn pictures_that_complete_no_part_are_read_together() {
    let rhythm = Rhythm {
        completes: Ticks(15_000),
        part: Ticks(18_000),
        frame: Ticks(3_000),
    };
    let (batches, heard) = heard_in_batches(Some(rhythm)).await;
    let sent: Vec<i64> = (0..60).map(|picture| picture * 100 / 3 * 90).collect();
    assert_eq!(heard, sent);
    // 10 parts; a machine that is busy reads even more together. One by one they would be 60 and more.
    assert!(batches <= 42, "{batches} batches");
}

#[tokio::test]
async fn a_refused_key_is_told_in_words() {
    let house = listening(Config::default());
    let mut encoder = Encoder::connect(&house, "live_1_wrong").await;
    assert_eq!(
        encoder.hears().await,
        Some(ClientEvent::Refused("unknown stream key".to_owned()))
    );
    assert_eq!(encoder.hears().await, None);
}

#[tokio::test]
async fn a_refusal_is_heard_by_an_encoder_that_has_sent_media_behind_its_publish() {
    let house = listening(Config::default());
    let mut socket = TcpStream::connect(house.address).await.expect("it listens");
    let command = |payload: &[&[u8]]| {
        let payload = payload.concat();
        let length = u8::try_from(payload.len()).expect("it is short");
        [&[3, 0, 0, 0, 0, 0, length, 20, 1, 0, 0, 0][..], &payload].concat()
    };
    let number_one = [0x00, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0];
    let mut bytes = vec![3];
    bytes.extend_from_slice(&[0; 2 * 1536]);
    bytes.extend(command(&[
        b"\x02\x00\x07connect",
        &number_one,
        b"\x03\x00\x03app\x02\x00\x04live\x00\x00\x09",
    ]));
    bytes.extend(command(&[
        b"\x02\x00\x07publish",
        &number_one,
        b"\x05\x02\x00\x05wrong",
    ]));
    // Unread when the refusal is written: closing at once would reset the connection and destroy it.
    bytes.extend_from_slice(&[9; 100_000]);
    socket.write_all(&bytes).await.expect("it takes all");
    let mut heard = Vec::new();
    socket.read_to_end(&mut heard).await.expect("no reset");
    let text = String::from_utf8_lossy(&heard);
    assert!(text.contains("NetStream.Publish.BadName") && text.contains("unknown stream key"));
}

#[tokio::test]
async fn a_stopped_live_is_told_to_the_encoder() {
    let (_house, mut encoder, mut live) = publishing(Config::default()).await;
    encoder.sends_a_beginning().await;
    assert!(live.next().await.is_ok());
    live.close(Closing::Stopped);
    assert_eq!(
        encoder.hears().await,
        Some(ClientEvent::Refused("the live was stopped".to_owned()))
    );
    assert_eq!(encoder.hears().await, None);
}

#[tokio::test]
async fn a_shutdown_asks_to_reconnect_and_then_closes() {
    let (house, mut encoder, live) = publishing(Config::default()).await;
    house.tasks.stopping().cancel();
    live.close(Closing::Shutdown);
    assert_eq!(
        encoder.hears().await,
        Some(ClientEvent::ReconnectRequested(
            "the server restarts; please reconnect".to_owned()
        ))
    );
    assert_eq!(encoder.hears().await, None);
    drop(encoder);
    house.tasks.stop_and_wait().await;
}

#[tokio::test]
async fn a_socket_that_goes_away_is_a_drop() {
    let (_house, mut encoder, mut live) = publishing(Config::default()).await;
    encoder.sends_a_beginning().await;
    drop(encoder);
    assert_eq!(end_of(&mut live).await, SessionEnd::Dropped);
}

#[tokio::test]
async fn a_broken_protocol_and_a_broken_stream_end_the_session_as_protocol() {
    // A set chunk size of 0; an AVC configuration of another version.
    let (_house, mut encoder, mut live) = publishing(Config::default()).await;
    let zero = [0x02, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    encoder.socket.write_all(&zero).await.expect("it takes all");
    assert_eq!(end_of(&mut live).await, SessionEnd::Protocol);
    assert_eq!(
        encoder.hears().await,
        Some(ClientEvent::Refused("a chunk size of 0".to_owned()))
    );
    let (_house, mut encoder, mut live) = publishing(Config::default()).await;
    encoder
        .session
        .send_video(0, &[0x17, 0, 0, 0, 0, 0, 0, 0, 1, 0x67, 0x64, 0]);
    encoder.flush().await;
    assert_eq!(end_of(&mut live).await, SessionEnd::Protocol);
    let told = encoder.hears().await;
    assert!(matches!(told, Some(ClientEvent::Refused(words)) if words.contains("H.264")));
}

#[tokio::test]
async fn a_publisher_that_falls_silent_is_dropped_after_the_idle_deadline() {
    let config = Config {
        idle_deadline: Duration::from_millis(20),
        ..Config::default()
    };
    let (_house, encoder, mut live) = publishing(config).await;
    assert_eq!(end_of(&mut live).await, SessionEnd::Dropped);
    drop(encoder);
}

#[tokio::test]
async fn a_connection_that_does_not_publish_is_closed_after_its_deadline() {
    let house = listening(Config {
        handshake_deadline: Duration::from_millis(20),
        ..Config::default()
    });
    let mut socket = TcpStream::connect(house.address).await.expect("it listens");
    socket.write_all(&[3; 700]).await.expect("it takes all");
    // Closed with or without a reset: both are an end.
    drop(
        socket
            .read_u8()
            .await
            .expect_err("nothing is answered to half a hello"),
    );
}

#[tokio::test]
async fn other_protocols_are_closed_at_their_first_byte() {
    let house = listening(Config::default());
    let mut socket = TcpStream::connect(house.address).await.expect("it listens");
    socket
        .write_all(b"GET / HTTP/1.1\r\n\r\n")
        .await
        .expect("it takes all");
    drop(socket.read_u8().await.expect_err("it is not answered"));
}

#[tokio::test]
async fn an_address_has_no_more_connections_than_its_share() {
    let mut house = listening(Config {
        max_connections_per_address: 1,
        ..Config::default()
    });
    let mut first = Encoder::connect(&house, KEY).await;
    assert_eq!(first.hears().await, Some(ClientEvent::Accepted));
    let mut live = house.live().await;
    let mut second = TcpStream::connect(house.address).await.expect("it listens");
    drop(second.read_u8().await.expect_err("it is closed at once"));
    first.session.goodbye();
    first.flush().await;
    assert_eq!(end_of(&mut live).await, SessionEnd::Goodbye);
    while first.hears().await.is_some() {}
    drop(first);
    // The place is given back when the task has ended; until then a new connection is closed unheard.
    loop {
        let mut third = TcpStream::connect(house.address).await.expect("it listens");
        let mut hello = vec![3];
        hello.extend_from_slice(&[0; 1536]);
        if third.write_all(&hello).await.is_ok() && third.read_u8().await.is_ok_and(|s0| s0 == 3) {
            break;
        }
    }
}

#[tokio::test]
async fn a_live_that_is_behind_stops_the_reading() {
    let (_house, mut encoder, mut live) = publishing(Config::default()).await;
    let frame = [&[0x27, 1, 0, 0, 0, 0, 1, 0, 0][..], &[0x41; 65_536]].concat();
    encoder
        .session
        .send_video(0, &[&[0x17, 0, 0, 0, 0], AVCC].concat());
    for at in 0..1_000 {
        encoder.session.send_video(at * 40, &frame);
    }
    // 65 MB do not fit into the sockets' buffers: the write cannot end before the live reads.
    let output = encoder.session.take_output().expect("a thousand frames");
    let mut writing = Box::pin(async {
        encoder
            .socket
            .write_all(&output)
            .await
            .expect("it takes all");
        encoder.socket.shutdown().await.expect("it is open");
    });
    let mut frames = 0;
    let mut written_after = None;
    loop {
        tokio::select! {
            biased;
            () = &mut writing, if written_after.is_none() => written_after = Some(frames),
            heard = live.next() => match heard {
                Ok(media) => frames += media.iter().filter(|media| matches!(media, Media::Frame(_))).count(),
                Err(how) => {
                    assert_eq!(how, SessionEnd::Dropped);
                    break;
                }
            },
        }
    }
    assert_eq!(frames, 1_000);
    assert!(
        written_after.is_some_and(|frames| frames > 500),
        "{written_after:?}"
    );
}
