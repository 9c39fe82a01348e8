//! Whole sessions: a client and a server talking, and what strangers have been seen to do to servers.

use bytes::{Bytes, BytesMut};

use super::amf0::Value;
use super::chunk_writer::ChunkWriter;
use super::command::Command;
use super::message;
use super::{ClientEvent, ClientSession, Event, Limits, ProtocolError, ServerSession};
use crate::base::Secret;

const KEY: &str = "live_1_0123456789abcdef";

fn server() -> ServerSession {
    ServerSession::new(Limits::default(), [0x55; 1528])
}

fn client() -> ClientSession {
    ClientSession::new(
        "live",
        &Secret::new(KEY),
        "rtmp://localhost/live",
        [0xaa; 1528],
    )
}

fn events(server: &mut ServerSession) -> Vec<Event> {
    std::iter::from_fn(|| server.next_event()).collect()
}

/// Carries bytes both ways until both are silent.
fn talk(client: &mut ClientSession, server: &mut ServerSession) -> Vec<Event> {
    let mut seen = Vec::new();
    let (mut to_server, mut to_client) = (BytesMut::new(), BytesMut::new());
    loop {
        let sent = client.take_output();
        let answered = server.take_output();
        if sent.is_none() && answered.is_none() {
            return seen;
        }
        to_server.extend_from_slice(&sent.unwrap_or_default());
        to_client.extend_from_slice(&answered.unwrap_or_default());
        server.input(&mut to_server).expect("our client is right");
        client.input(&mut to_client).expect("our server is right");
        seen.extend(events(server));
    }
}

/// A client and a server with an accepted publish.
fn publishing() -> (ClientSession, ServerSession) {
    let (mut client, mut server) = (client(), server());
    talk(&mut client, &mut server);
    server.accept_publish();
    talk(&mut client, &mut server);
    assert_eq!(client.next_event(), Some(ClientEvent::Accepted));
    (client, server)
}

/// What a stranger writes by hand: the handshake, then messages in 128-byte chunks.
struct Stranger {
    bytes: BytesMut,
    writer: ChunkWriter,
}

impl Stranger {
    fn shaking_hands() -> Self {
        let mut bytes = BytesMut::from(&[3][..]);
        bytes.extend_from_slice(&[0; 2 * 1536]);
        Self {
            bytes,
            writer: ChunkWriter::new(),
        }
    }

    fn message(mut self, message_type: u8, stream_id: u32, payload: &[u8]) -> Self {
        self.writer
            .write(3, 0, message_type, stream_id, payload, &mut self.bytes);
        self
    }

    fn command(self, name: &str, transaction: f64, stream_id: u32, values: &[Value]) -> Self {
        let payload = Command::payload(name, transaction, values);
        self.message(message::COMMAND_AMF0, stream_id, &payload)
    }

    fn connect(self) -> Self {
        self.command(
            "connect",
            1.0,
            0,
            &[Value::object([("app", Value::text("live"))])],
        )
    }

    fn publish(self, stream_id: u32) -> Self {
        self.command("publish", 5.0, stream_id, &[Value::Null, Value::text(KEY)])
    }

    /// Feeds all of it at once.
    fn tell(mut self, server: &mut ServerSession) -> Result<BytesMut, ProtocolError> {
        server.input(&mut self.bytes)?;
        Ok(self.bytes)
    }
}

/// The messages in a server's output behind its handshake: type, message stream, payload.
fn answers(server: &mut ServerSession) -> Vec<(u8, u32, Bytes)> {
    let mut bytes = BytesMut::from(&server.take_output().unwrap_or_default()[..]);
    if bytes.len() > 3 * 1024 {
        drop(bytes.split_to(1 + 2 * 1536));
    }
    let mut reader = super::chunk_reader::ChunkReader::new(Limits::default());
    let mut messages = Vec::new();
    while let Some(message) = reader.next(&mut bytes).expect("our chunks are right") {
        if message.message_type == message::SET_CHUNK_SIZE {
            reader
                .set_chunk_size(message.first_u32().expect("four bytes"))
                .expect("our size is legal");
        }
        messages.push((message.message_type, message.stream_id, message.payload));
    }
    messages
}

/// The commands among a server's answers: name, transaction, message stream, code of the information object.
fn commands(server: &mut ServerSession) -> Vec<(String, f64, u32, String)> {
    answers(server)
        .into_iter()
        .filter(|(message_type, ..)| *message_type == message::COMMAND_AMF0)
        .map(|(message_type, stream_id, payload)| {
            let message = message::Message {
                message_type,
                stream_id,
                timestamp_ms: 0,
                payload,
            };
            let command = Command::read(&message, &Limits::default()).expect("ours");
            let code = command.argument(0).member("code").and_then(Value::as_text);
            let code = code.unwrap_or_default().to_owned();
            (command.name, command.transaction, stream_id, code)
        })
        .collect()
}

#[test]
fn a_publish_goes_from_handshake_to_goodbye() {
    let (mut client, mut server) = (client(), server());
    let seen = talk(&mut client, &mut server);
    let [
        Event::Connected { enhanced: true, .. },
        Event::PublishRequested(request),
    ] = &seen[..]
    else {
        panic!("{seen:?}")
    };
    assert_eq!((request.app.as_str(), request.name.expose()), ("live", KEY));
    server.accept_publish();
    talk(&mut client, &mut server);
    assert_eq!(client.next_event(), Some(ClientEvent::Accepted));
    client.send_metadata(&[("framerate", 25.0)], &[("encoder", "griot")]);
    client.send_audio(7, &[0xaf, 1, 2]);
    client.send_video(9, &[0x17; 10_000]);
    client.goodbye();
    let seen = talk(&mut client, &mut server);
    let [
        Event::Metadata(metadata),
        Event::Audio {
            timestamp_ms: 7, ..
        },
        Event::Video {
            timestamp_ms: 9,
            body,
        },
        Event::Unpublished,
    ] = &seen[..]
    else {
        panic!("{seen:?}")
    };
    assert_eq!(metadata.frame_rate, Some(25.0));
    assert_eq!(body.len(), 10_000);
}

#[test]
fn the_same_events_come_however_the_bytes_are_cut() {
    let (mut client, _) = publishing();
    client.send_metadata(&[("width", 640.0)], &[]);
    client.send_video(0x0100_0000, &[0x17; 5_000]);
    client.send_audio(3, &[0xaf, 1]);
    client.goodbye();
    let media = client.take_output().expect("it has sent something");
    let mut stranger = Stranger::shaking_hands().connect();
    let chunk_size = 4_096u32.to_be_bytes();
    stranger = stranger
        .publish(1)
        .message(message::SET_CHUNK_SIZE, 0, &chunk_size);
    stranger.bytes.extend_from_slice(&media);
    let whole = stranger.bytes;
    let told = |cut: usize| {
        let mut server = server();
        let mut buffer = BytesMut::new();
        let mut seen = Vec::new();
        for piece in [&whole[..cut], &whole[cut..]] {
            buffer.extend_from_slice(piece);
            server.input(&mut buffer).expect("it is legal");
            seen.extend(events(&mut server));
            if let Some(Event::PublishRequested(_)) = seen.last() {
                server.accept_publish();
                server.input(&mut buffer).expect("it is legal");
                seen.extend(events(&mut server));
            }
        }
        seen
    };
    let expected = told(0);
    assert_eq!(expected.len(), 6);
    for cut in 1..whole.len() {
        assert_eq!(told(cut), expected, "cut at {cut}");
    }
}

#[test]
fn input_behind_a_publish_is_held_back_until_the_decision() {
    let mut server = server();
    let video = [0x17; 50];
    let left = Stranger::shaking_hands()
        .connect()
        .publish(1)
        .message(message::VIDEO, 1, &video)
        .tell(&mut server)
        .expect("pipelining is legal");
    let held = left.len();
    assert!(held > 50);
    let mut left = left;
    server.input(&mut left).expect("it takes nothing");
    assert_eq!(left.len(), held);
    events(&mut server);
    server.accept_publish();
    server.input(&mut left).expect("it is legal");
    assert!(matches!(events(&mut server)[..], [Event::Video { .. }]));
}

#[test]
fn results_go_to_stream_0_and_the_status_to_the_stream_of_the_publish() {
    let mut server = server();
    Stranger::shaking_hands()
        .connect()
        .command("releaseStream", 2.0, 0, &[Value::Null, Value::text(KEY)])
        .command("FCPublish", 3.0, 0, &[Value::Null, Value::text(KEY)])
        .command("createStream", 4.0, 0, &[Value::Null])
        .command("_checkbw", 6.0, 0, &[Value::Null])
        .publish(1)
        .tell(&mut server)
        .expect("it is what encoders send");
    server.accept_publish();
    let result = |transaction| ("_result".to_owned(), transaction, 0, String::new());
    let mut expected: Vec<_> = [1.0, 2.0, 3.0, 4.0, 6.0].map(result).into();
    expected[0].3 = "NetConnection.Connect.Success".to_owned();
    expected.push((
        "onStatus".to_owned(),
        0.0,
        1,
        "NetStream.Publish.Start".to_owned(),
    ));
    assert_eq!(commands(&mut server), expected);
}

#[test]
fn a_refusal_reaches_the_client_in_words_and_ends_the_session() {
    let (mut client, mut server) = (client(), server());
    talk(&mut client, &mut server);
    server.reject_publish("unknown stream key");
    talk(&mut client, &mut server);
    assert_eq!(
        client.next_event(),
        Some(ClientEvent::Refused("unknown stream key".to_owned()))
    );
    let mut more = BytesMut::from(&[9; 100][..]);
    server.input(&mut more).expect("nothing is parsed");
    assert!(more.is_empty());
}

#[test]
fn a_refusal_is_bad_name_on_the_stream_of_the_publish() {
    let mut server = server();
    Stranger::shaking_hands()
        .connect()
        .publish(3)
        .tell(&mut server)
        .expect("it is legal");
    commands(&mut server);
    server.reject_publish("no");
    assert_eq!(
        commands(&mut server),
        [(
            "onStatus".to_owned(),
            0.0,
            3,
            "NetStream.Publish.BadName".to_owned()
        )]
    );
}

#[test]
fn a_publish_that_we_end_is_an_error_and_then_unpublished() {
    let (mut client, mut server) = publishing();
    server.close_publish("the live was stopped");
    talk(&mut client, &mut server);
    assert_eq!(
        client.next_event(),
        Some(ClientEvent::Refused("the live was stopped".to_owned()))
    );
}

#[test]
fn only_a_client_that_can_is_asked_to_reconnect() {
    let (mut client, mut server) = publishing();
    assert!(server.request_reconnect("the server restarts"));
    talk(&mut client, &mut server);
    assert_eq!(
        client.next_event(),
        Some(ClientEvent::ReconnectRequested(
            "the server restarts".to_owned()
        ))
    );
    let mut plain = server_with_publish();
    assert!(!plain.request_reconnect("the server restarts"));
}

fn server_with_publish() -> ServerSession {
    let mut server = server();
    Stranger::shaking_hands()
        .connect()
        .publish(1)
        .tell(&mut server)
        .expect("it is legal");
    server.accept_publish();
    events(&mut server);
    server.take_output();
    server
}

#[test]
fn each_goodbye_is_heard_and_a_delete_of_another_stream_is_none() {
    let delete = |id: f64| vec![Value::Null, Value::Number(id)];
    for (name, values, heard) in [
        ("FCUnpublish", vec![Value::Null, Value::text(KEY)], true),
        ("closeStream", vec![Value::Null], true),
        ("deleteStream", delete(1.0), true),
        ("deleteStream", delete(2.0), false),
    ] {
        let mut server = server_with_publish();
        let mut stranger = Stranger::shaking_hands();
        stranger.bytes.clear();
        stranger
            .command(name, 0.0, 1, &values)
            .tell(&mut server)
            .expect("it is legal");
        assert_eq!(events(&mut server) == [Event::Unpublished], heard, "{name}");
    }
}

#[test]
fn media_before_an_accepted_publish_is_dropped_and_counted() {
    let mut server = server();
    Stranger::shaking_hands()
        .message(message::VIDEO, 1, &[0x17; 50])
        .connect()
        .message(message::AUDIO, 1, &[0xaf; 50])
        .tell(&mut server)
        .expect("it is only of no use");
    assert!(matches!(events(&mut server)[..], [Event::Connected { .. }]));
    assert_eq!(server.dropped_messages(), 2);
}

#[test]
fn a_publish_before_connect_closes() {
    let told = Stranger::shaking_hands().publish(1).tell(&mut server());
    assert_eq!(told, Err(ProtocolError::NotConnected));
}

#[test]
fn play_is_refused_politely() {
    let mut server = server();
    Stranger::shaking_hands()
        .connect()
        .command("play", 0.0, 1, &[Value::Null, Value::text("x")])
        .tell(&mut server)
        .expect("it is legal");
    let told = commands(&mut server);
    assert_eq!(
        told[1],
        (
            "onStatus".to_owned(),
            0.0,
            1,
            "NetStream.Play.Failed".to_owned()
        )
    );
}

#[test]
fn an_aggregate_is_unpacked() {
    let mut server = server_with_publish();
    let mut stranger = Stranger::shaking_hands();
    stranger.bytes.clear();
    let payload = [
        &[8, 0, 0, 2, 0, 0, 10, 0, 0, 0, 0, 0xaf, 1, 0, 0, 0, 13][..],
        &[9, 0, 0, 1, 0, 0, 43, 0, 0, 0, 0, 0x27, 0, 0, 0, 12],
    ]
    .concat();
    stranger
        .message(message::AGGREGATE, 1, &payload)
        .tell(&mut server)
        .expect("it is legal");
    let seen = events(&mut server);
    assert!(matches!(
        seen[..],
        [
            Event::Audio {
                timestamp_ms: 0,
                ..
            },
            Event::Video {
                timestamp_ms: 33,
                ..
            }
        ]
    ));
}

#[test]
fn pings_are_answered_and_a_window_is_acknowledged_from_64_kib_on() {
    let mut server = server_with_publish();
    let mut stranger = Stranger::shaking_hands();
    stranger.bytes.clear();
    stranger
        .message(message::USER_CONTROL, 0, &[0, 6, 1, 2, 3, 4])
        .message(message::WINDOW_ACKNOWLEDGEMENT_SIZE, 0, &0u32.to_be_bytes())
        .message(message::WINDOW_ACKNOWLEDGEMENT_SIZE, 0, &1u32.to_be_bytes())
        .tell(&mut server)
        .expect("it is legal");
    assert_eq!(
        answers(&mut server),
        [(
            message::USER_CONTROL,
            0,
            Bytes::from_static(&[0, 7, 1, 2, 3, 4])
        )]
    );
    let mut stranger = Stranger::shaking_hands();
    stranger.bytes.clear();
    let stranger = stranger.message(message::VIDEO, 1, &[0x27; 64 << 10]);
    stranger.tell(&mut server).expect("it is legal");
    let told = answers(&mut server);
    assert!(matches!(told[..], [(message::ACKNOWLEDGEMENT, 0, _)]));
}

#[test]
fn an_enhanced_client_is_told_what_we_carry() {
    let (mut client, mut server) = (client(), server());
    let mut to_server = BytesMut::from(&client.take_output().expect("C0 and C1")[..]);
    server.input(&mut to_server).expect("it is right");
    let mut to_client = BytesMut::from(&server.take_output().expect("S0 to S2")[..]);
    client.input(&mut to_client).expect("it is right");
    let mut to_server = BytesMut::from(&client.take_output().expect("C2 and connect")[..]);
    server.input(&mut to_server).expect("it is right");
    let (_, _, payload) = answers(&mut server).pop().expect("_result is last");
    let text = String::from_utf8_lossy(&payload).into_owned();
    for word in [
        "fourCcList",
        "videoFourCcInfoMap",
        "audioFourCcInfoMap",
        "capsEx",
        "hvc1",
        "Opus",
    ] {
        assert!(text.contains(word), "{word}");
    }
}

#[test]
fn random_bytes_and_other_protocols_are_refused_at_their_first_byte() {
    for first in [b'G', 0x16, 0, 255] {
        assert_eq!(
            server().input(&mut BytesMut::from(&[first][..])),
            Err(ProtocolError::Version(first))
        );
    }
}

#[test]
fn hostile_messages_close_before_anything_is_stored() {
    let nested = [0x03, 0x00, 0x01, b'a'].repeat(16_000);
    let bombs: [(u8, &[u8]); 5] = [
        (message::COMMAND_AMF0, &nested),
        (message::COMMAND_AMF0, &[0x0a, 0xff, 0xff, 0xff, 0xff]),
        (message::SET_CHUNK_SIZE, &[0, 0, 0, 0]),
        (message::SET_CHUNK_SIZE, &[0, 0]),
        (message::COMMAND_AMF0, &[]),
    ];
    for (message_type, payload) in bombs {
        let told = Stranger::shaking_hands()
            .message(message_type, 0, payload)
            .tell(&mut server());
        assert!(
            told.is_err(),
            "type {message_type}, {} bytes",
            payload.len()
        );
    }
}

#[test]
fn four_thousand_chunk_streams_before_connect_are_refused_at_the_65th() {
    let mut stranger = Stranger::shaking_hands();
    for csid in 0..4_000u16 {
        let [high, low] = csid.to_be_bytes();
        let header = [0x01, low, high, 0, 0, 0, 0, 0xff, 0xff, 9, 1, 0, 0, 0];
        stranger.bytes.extend_from_slice(&header);
        stranger.bytes.extend_from_slice(&[0; 128]);
    }
    let told = stranger.tell(&mut server());
    assert_eq!(told, Err(ProtocolError::TooManyChunkStreams(64)));
}

#[test]
fn secrets_do_not_print() {
    let (mut client, mut server) = (client(), server());
    let seen = talk(&mut client, &mut server);
    assert!(!format!("{seen:?} {client:?} {server:?}").contains(KEY));
}
