//! A publishing client, for tests and `griot demo-live`.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::amf0::Value;
use super::chunk_reader::ChunkReader;
use super::chunk_writer::ChunkWriter;
use super::command::Command;
use super::message::{self, Message};
use super::{Limits, ProtocolError, handshake};
use crate::base::Secret;

/// What the server has decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientEvent {
    /// The publish is accepted: media may be sent.
    Accepted,
    /// The server refuses, or ends, the publish; its words.
    Refused(String),
    /// The server asks to reconnect (E-RTMP); its words.
    ReconnectRequested(String),
}

const CONNECT: f64 = 1.0;
const RELEASE_STREAM: f64 = 2.0;
const FC_PUBLISH: f64 = 3.0;
const CREATE_STREAM: f64 = 4.0;
const PUBLISH: f64 = 5.0;

const CONTROL_CSID: u8 = 2;
const COMMAND_CSID: u8 = 3;
const AUDIO_CSID: u8 = 4;
const DATA_CSID: u8 = 5;
const VIDEO_CSID: u8 = 6;
const CHUNK_SIZE: u16 = 4_096;

/// The publishing client's end of one RTMP connection: bytes in, events and bytes out. It offers Enhanced RTMP.
#[derive(Debug)]
pub struct ClientSession {
    app: String,
    key: Secret,
    tc_url: String,
    phase: Phase,
    reader: ChunkReader,
    writer: ChunkWriter,
    events: VecDeque<ClientEvent>,
    output: BytesMut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    AwaitHello,
    AwaitEcho,
    /// `connect`, then `createStream`, then `publish` are out; the message stream once it is known.
    Asking(Option<u32>),
    Publishing(u32),
    Closed,
}

impl ClientSession {
    /// A client that publishes `key` to `app` of `tc_url` (`rtmp://host/app`). `random` fills C1.
    /// C0 and C1 wait in [`Self::take_output`] at once.
    #[must_use]
    pub fn new(app: &str, key: &Secret, tc_url: &str, random: [u8; 1528]) -> Self {
        let mut output = BytesMut::new();
        handshake::put_hello(&random, &mut output);
        Self {
            app: app.to_owned(),
            key: key.clone(),
            tc_url: tc_url.to_owned(),
            phase: Phase::AwaitHello,
            reader: ChunkReader::new(Limits::default()),
            writer: ChunkWriter::new(),
            events: VecDeque::new(),
            output,
        }
    }

    /// Takes what it can use from the front of `bytes`; after the end everything is thrown away.
    ///
    /// # Errors
    /// The server broke the protocol: close the connection.
    pub fn input(&mut self, bytes: &mut BytesMut) -> Result<(), ProtocolError> {
        loop {
            match self.phase {
                Phase::AwaitHello => {
                    let Some(hello) = handshake::take_hello(bytes)? else {
                        return Ok(());
                    };
                    handshake::put_echo(&hello, &mut self.output);
                    self.phase = Phase::AwaitEcho;
                }
                Phase::AwaitEcho => {
                    if !handshake::take_echo(bytes) {
                        return Ok(());
                    }
                    self.connect();
                    self.phase = Phase::Asking(None);
                }
                Phase::Closed => {
                    bytes.clear();
                    return Ok(());
                }
                Phase::Asking(_) | Phase::Publishing(_) => {
                    let Some(message) = self.reader.next(bytes)? else {
                        return Ok(());
                    };
                    self.message(&message)?;
                }
            }
        }
    }

    /// The next event, oldest first.
    pub fn next_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    /// All bytes that wait to be written to the server.
    pub fn take_output(&mut self) -> Option<Bytes> {
        (!self.output.is_empty()).then(|| self.output.split().freeze())
    }

    /// Sends an FLV video tag body; dropped before [`ClientEvent::Accepted`] and after the end.
    pub fn send_video(&mut self, timestamp_ms: u32, body: &[u8]) {
        self.send_media(VIDEO_CSID, message::VIDEO, timestamp_ms, body);
    }

    /// Sends an FLV audio tag body; dropped before [`ClientEvent::Accepted`] and after the end.
    pub fn send_audio(&mut self, timestamp_ms: u32, body: &[u8]) {
        self.send_media(AUDIO_CSID, message::AUDIO, timestamp_ms, body);
    }

    /// Sends `@setDataFrame` `onMetaData` with numbers and texts; dropped before [`ClientEvent::Accepted`] and after the end.
    pub fn send_metadata(&mut self, numbers: &[(&str, f64)], texts: &[(&str, &str)]) {
        let mut payload = BytesMut::new();
        let numbers = numbers
            .iter()
            .map(|(name, number)| ((*name).to_owned(), Value::Number(*number)));
        let texts = texts
            .iter()
            .map(|(name, text)| ((*name).to_owned(), Value::text(text)));
        for value in [
            Value::text("@setDataFrame"),
            Value::text("onMetaData"),
            Value::Object(numbers.chain(texts).collect()),
        ] {
            super::amf0::write(&value, &mut payload);
        }
        self.send_media(DATA_CSID, message::DATA_AMF0, 0, &payload);
    }

    /// Says goodbye, FCUnpublish and deleteStream; nothing is sent or heard afterwards.
    pub fn goodbye(&mut self) {
        if let Phase::Publishing(stream_id) = self.phase {
            let key = Value::text(self.key.expose());
            self.send_command("FCUnpublish", 0.0, 0, &[Value::Null, key]);
            let id = Value::Number(f64::from(stream_id));
            self.send_command("deleteStream", 0.0, 0, &[Value::Null, id]);
        }
        self.phase = Phase::Closed;
    }

    fn send_media(&mut self, csid: u8, message_type: u8, timestamp_ms: u32, body: &[u8]) {
        if let Phase::Publishing(stream_id) = self.phase {
            self.writer.write(
                csid,
                timestamp_ms,
                message_type,
                stream_id,
                body,
                &mut self.output,
            );
        }
    }

    fn connect(&mut self) {
        self.send_control(
            message::SET_CHUNK_SIZE,
            &u32::from(CHUNK_SIZE).to_be_bytes(),
        );
        self.writer.set_chunk_size(usize::from(CHUNK_SIZE));
        let fourccs = ["avc1", "hvc1", "av01", "vp09", "mp4a", "Opus"].map(Value::text);
        let claims = Value::object([
            ("app", Value::text(&self.app)),
            ("type", Value::text("nonprivate")),
            ("flashVer", Value::text("FMLE/3.0 (compatible; griot)")),
            ("tcUrl", Value::text(&self.tc_url)),
            ("fourCcList", Value::Array(fourccs.into())),
            ("capsEx", Value::Number(1.0)),
        ]);
        self.send_command("connect", CONNECT, 0, &[claims]);
    }

    fn message(&mut self, message: &Message) -> Result<(), ProtocolError> {
        match message.message_type {
            message::SET_CHUNK_SIZE => self.reader.set_chunk_size(message.first_u32()?)?,
            message::ABORT => self.reader.abort(message.first_u32()?),
            message::USER_CONTROL => {
                if let [0, 6, a, b, c, d, ..] = *message.payload {
                    self.send_control(message::USER_CONTROL, &[0, 7, a, b, c, d]);
                }
            }
            message::COMMAND_AMF0 | message::COMMAND_AMF3 => {
                let command = Command::read(message, &Limits::default())?;
                self.command(&command);
            }
            _ => {}
        }
        Ok(())
    }

    fn command(&mut self, command: &Command) {
        match command.name.as_str() {
            "_result" if command.transaction == CONNECT => {
                let key = Value::text(self.key.expose());
                let named = [Value::Null, key];
                self.send_command("releaseStream", RELEASE_STREAM, 0, &named);
                self.send_command("FCPublish", FC_PUBLISH, 0, &named);
                self.send_command("createStream", CREATE_STREAM, 0, &[Value::Null]);
            }
            "_result" if command.transaction == CREATE_STREAM => {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a float cast saturates; message stream ids are small"
                )]
                let id = command.argument(0).as_number().unwrap_or(1.0) as u32;
                self.phase = Phase::Asking(Some(id));
                let key = Value::text(self.key.expose());
                let live = Value::text("live");
                self.send_command("publish", PUBLISH, id, &[Value::Null, key, live]);
            }
            "_error" if [CONNECT, CREATE_STREAM, PUBLISH].contains(&command.transaction) => {
                self.refused(command.argument(0));
            }
            "onStatus" => self.status(command.argument(0)),
            _ => {}
        }
    }

    fn status(&mut self, information: &Value) {
        let text = |name| information.member(name).and_then(Value::as_text);
        match (text("code"), text("level")) {
            (Some("NetStream.Publish.Start"), _) => {
                if let Phase::Asking(Some(stream_id)) = self.phase {
                    self.phase = Phase::Publishing(stream_id);
                    self.events.push_back(ClientEvent::Accepted);
                }
            }
            (Some("NetConnection.Connect.ReconnectRequest"), _) => {
                let words = text("description").unwrap_or_default().to_owned();
                self.events
                    .push_back(ClientEvent::ReconnectRequested(words));
            }
            (Some("NetStream.Unpublish.Success"), _) | (_, Some("error")) => {
                self.refused(information);
            }
            _ => {}
        }
    }

    fn refused(&mut self, information: &Value) {
        let text = |name| information.member(name).and_then(Value::as_text);
        let words = text("description").or(text("code")).unwrap_or_default();
        self.events
            .push_back(ClientEvent::Refused(words.to_owned()));
        self.phase = Phase::Closed;
    }

    fn send_control(&mut self, message_type: u8, payload: &[u8]) {
        self.writer
            .write(CONTROL_CSID, 0, message_type, 0, payload, &mut self.output);
    }

    fn send_command(&mut self, name: &str, transaction: f64, stream_id: u32, values: &[Value]) {
        let payload = Command::payload(name, transaction, values);
        self.writer.write(
            COMMAND_CSID,
            0,
            message::COMMAND_AMF0,
            stream_id,
            &payload,
            &mut self.output,
        );
    }
}
