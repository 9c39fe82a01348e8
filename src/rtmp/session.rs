//! The server's end of a connection.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};

use super::amf0::Value;
use super::chunk_reader::ChunkReader;
use super::chunk_writer::ChunkWriter;
use super::command::{Command, ConnectClaims, StreamPath, status};
use super::message::{self, Message};
use super::{Event, Limits, ProtocolError, PublishRequest, handshake, metadata};
use crate::base::Secret;

/// What we announce as acknowledgement window and bandwidth: so large that peers rarely stop to tell us (a
/// window of 4,096 makes librtmp acknowledge at once).
const OUR_WINDOW_BYTES: u32 = 5_000_000;
/// A peer's window is taken as at least this: each of our acknowledgements may meet an encoder that has
/// just closed, whose reset then costs us the last bytes that it sent.
const MIN_PEER_WINDOW_BYTES: u32 = 64 << 10;
/// Ours: all that we send fits into one chunk.
const OUR_CHUNK_SIZE: u16 = 4_096;

const CONTROL_CSID: u8 = 2;
const COMMAND_CSID: u8 = 3;
const STATUS_CSID: u8 = 5;

/// The server's end of one RTMP connection: bytes in, events and bytes out.
///
/// The driver reads bytes, calls [`Self::input`], takes all events and all output, and goes on. Both are bounded by
/// the bytes that it feeds at once. Media that comes before an accepted publish is dropped and counted.
#[derive(Debug)]
pub struct ServerSession {
    limits: Limits,
    phase: Phase,
    reader: ChunkReader,
    writer: ChunkWriter,
    events: VecDeque<Event>,
    output: BytesMut,
    claims: ConnectClaims,
    last_stream_id: u32,
    received_bytes: u32,
    acknowledged_bytes: u32,
    /// Acknowledge when so much has come; `None` until the peer asks (5.4.4).
    peer_window_bytes: Option<u32>,
    dropped_messages: u64,
}

#[derive(Debug)]
enum Phase {
    AwaitHello(Box<[u8; handshake::RANDOM_BYTES]>),
    AwaitEcho,
    AwaitConnect,
    AwaitPublish,
    /// A publish request is out; its message stream.
    Deciding(u32),
    /// A publish is accepted; its message stream.
    Publishing(u32),
    /// Nothing more is parsed.
    Closed,
}

impl ServerSession {
    /// A session that awaits C0. `handshake_random` fills S1 (5.2.3).
    #[must_use]
    pub fn new(limits: Limits, handshake_random: [u8; 1528]) -> Self {
        Self {
            limits,
            phase: Phase::AwaitHello(Box::new(handshake_random)),
            reader: ChunkReader::new(limits),
            writer: ChunkWriter::new(),
            events: VecDeque::new(),
            output: BytesMut::new(),
            claims: ConnectClaims::of(&Value::Null),
            last_stream_id: 0,
            received_bytes: 0,
            acknowledged_bytes: 0,
            peer_window_bytes: None,
            dropped_messages: 0,
        }
    }

    /// Takes what it can use from the front of `bytes`; call again with more behind what is left. While a publish
    /// decision is pending nothing is taken; after the end everything is, and thrown away.
    ///
    /// # Errors
    /// The peer broke the protocol or a limit: close the connection. Events from before are still there.
    pub fn input(&mut self, bytes: &mut BytesMut) -> Result<(), ProtocolError> {
        let offered = bytes.len();
        let outcome = self.parse(bytes);
        let taken = u32::try_from(offered - bytes.len()).unwrap_or(u32::MAX);
        self.received_bytes = self.received_bytes.wrapping_add(taken);
        self.acknowledge();
        outcome
    }

    /// The next event, oldest first.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// All bytes that wait to be written to the peer.
    pub fn take_output(&mut self) -> Option<Bytes> {
        (!self.output.is_empty()).then(|| self.output.split().freeze())
    }

    /// How many media and data messages were thrown away because no publish was accepted.
    #[must_use]
    pub fn dropped_messages(&self) -> u64 {
        self.dropped_messages
    }

    /// Accepts the pending publish; call [`Self::input`] again with the bytes that were held back.
    /// Without a pending publish it does nothing.
    pub fn accept_publish(&mut self) {
        let Phase::Deciding(stream_id) = self.phase else {
            return;
        };
        self.phase = Phase::Publishing(stream_id);
        self.reader.allow_media();
        // Stream Begin (7.1.7).
        let mut payload = BytesMut::with_capacity(6);
        payload.put_u16(0);
        payload.put_u32(stream_id);
        self.send_control(message::USER_CONTROL, &payload);
        self.send_status(
            stream_id,
            &status("status", "NetStream.Publish.Start", "Publishing."),
        );
    }

    /// Refuses the pending publish: `NetStream.Publish.BadName` on its message stream (7.2.2). Nothing more is
    /// parsed; write the output before closing, and close for writing first: a reset would destroy it.
    pub fn reject_publish(&mut self, description: &str) {
        if let Phase::Deciding(stream_id) = self.phase {
            self.send_status(
                stream_id,
                &status("error", "NetStream.Publish.BadName", description),
            );
        }
        self.phase = Phase::Closed;
    }

    /// Ends an accepted publish from our side: an error status, which encoders show, then
    /// `NetStream.Unpublish.Success`. Nothing more is parsed.
    pub fn close_publish(&mut self, description: &str) {
        if let Phase::Publishing(stream_id) = self.phase {
            // ffmpeg shows the text of any error; librtmp closes for this very code.
            self.send_status(stream_id, &status("error", "NetStream.Failed", description));
            self.send_unpublished(stream_id);
        }
        self.phase = Phase::Closed;
    }

    /// Asks the encoder to reconnect (E-RTMP, `NetConnection.Connect.ReconnectRequest`), if it said that it can.
    /// Says whether it was asked; the session goes on.
    pub fn request_reconnect(&mut self, description: &str) -> bool {
        if self.claims.can_reconnect && matches!(self.phase, Phase::Publishing(_)) {
            let request = status(
                "status",
                "NetConnection.Connect.ReconnectRequest",
                description,
            );
            self.send_status(0, &request);
            return true;
        }
        false
    }

    fn parse(&mut self, bytes: &mut BytesMut) -> Result<(), ProtocolError> {
        loop {
            match &self.phase {
                Phase::AwaitHello(random) => {
                    let Some(hello) = handshake::take_hello(bytes)? else {
                        return Ok(());
                    };
                    handshake::put_hello(random, &mut self.output);
                    handshake::put_echo(&hello, &mut self.output);
                    self.phase = Phase::AwaitEcho;
                }
                Phase::AwaitEcho => {
                    if !handshake::take_echo(bytes) {
                        return Ok(());
                    }
                    self.phase = Phase::AwaitConnect;
                }
                Phase::Deciding(_) => return Ok(()),
                Phase::Closed => {
                    bytes.clear();
                    return Ok(());
                }
                Phase::AwaitConnect | Phase::AwaitPublish | Phase::Publishing(_) => {
                    let Some(message) = self.reader.next(bytes)? else {
                        return Ok(());
                    };
                    self.message(message)?;
                }
            }
        }
    }

    fn message(&mut self, message: Message) -> Result<(), ProtocolError> {
        match message.message_type {
            message::SET_CHUNK_SIZE => self.reader.set_chunk_size(message.first_u32()?)?,
            message::ABORT => self.reader.abort(message.first_u32()?),
            message::WINDOW_ACKNOWLEDGEMENT_SIZE => {
                let window = message.first_u32()?;
                if window > 0 {
                    self.peer_window_bytes = Some(window.max(MIN_PEER_WINDOW_BYTES));
                }
            }
            message::USER_CONTROL => self.user_control(&message),
            message::COMMAND_AMF0 | message::COMMAND_AMF3 => {
                let command = Command::read(&message, &self.limits)?;
                self.command(&command, message.stream_id)?;
            }
            message::AUDIO | message::VIDEO | message::DATA_AMF0 | message::DATA_AMF3 => {
                self.media(message)?;
            }
            message::AGGREGATE => {
                for part in message::unpack_aggregate(&message)? {
                    if part.message_type != message::AGGREGATE {
                        self.media(part)?;
                    }
                }
            }
            // The peer's acknowledgements and bandwidth change nothing: we send next to nothing. Shared objects
            // and unknown types are nobody's business here.
            _ => {}
        }
        Ok(())
    }

    fn media(&mut self, message: Message) -> Result<(), ProtocolError> {
        if !matches!(self.phase, Phase::Publishing(_)) {
            self.dropped_messages += 1;
            return Ok(());
        }
        let Message {
            message_type,
            timestamp_ms,
            payload: body,
            ..
        } = message;
        match message_type {
            // An empty audio message means silence (FLV E.4.2), an empty video message nothing.
            message::AUDIO | message::VIDEO if body.is_empty() => {}
            message::AUDIO => self.events.push_back(Event::Audio { timestamp_ms, body }),
            message::VIDEO => self.events.push_back(Event::Video { timestamp_ms, body }),
            message::DATA_AMF0 | message::DATA_AMF3 => {
                let skipped = usize::from(message_type == message::DATA_AMF3).min(body.len());
                if let Some(claims) = metadata::read_data(&body[skipped..], &self.limits)? {
                    self.events.push_back(Event::Metadata(claims));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Answers Ping Request by Ping Response (7.1.7).
    fn user_control(&mut self, message: &Message) {
        if let [0, 6, stamp @ ..] = message.payload.as_ref()
            && let Some(stamp) = stamp.first_chunk::<4>()
        {
            let [a, b, c, d] = *stamp;
            self.send_control(message::USER_CONTROL, &[0, 7, a, b, c, d]);
        }
    }

    fn command(&mut self, command: &Command, stream_id: u32) -> Result<(), ProtocolError> {
        match command.name.as_str() {
            "connect" => self.connect(command),
            "createStream" => {
                self.last_stream_id = self.last_stream_id.saturating_add(1);
                let id = Value::Number(f64::from(self.last_stream_id));
                self.send_result(command, &[Value::Null, id]);
            }
            "releaseStream" | "FCPublish" | "_checkbw" => {
                self.send_result(command, &[Value::Null, Value::Undefined]);
            }
            "getStreamLength" => self.send_result(command, &[Value::Null, Value::Number(0.0)]),
            "publish" => self.publish(command, stream_id)?,
            "play" | "play2" => self.send_status(
                stream_id,
                &status(
                    "error",
                    "NetStream.Play.Failed",
                    "this server plays over HLS; see the page of the live",
                ),
            ),
            "FCUnpublish" => {
                self.send_result(command, &[Value::Null, Value::Undefined]);
                self.unpublish();
            }
            "closeStream" => self.unpublish(),
            "deleteStream" => {
                if let Phase::Publishing(published) = self.phase
                    && command
                        .argument(0)
                        .as_number()
                        .is_none_or(|id| id == f64::from(published))
                {
                    self.unpublish();
                }
            }
            // Results of nothing that we asked, and calls that nobody here knows.
            _ => {}
        }
        Ok(())
    }

    fn connect(&mut self, command: &Command) {
        if !matches!(self.phase, Phase::AwaitConnect) {
            return;
        }
        self.claims = ConnectClaims::of(command.object());
        self.send_control(
            message::WINDOW_ACKNOWLEDGEMENT_SIZE,
            &OUR_WINDOW_BYTES.to_be_bytes(),
        );
        let mut bandwidth = [0, 0, 0, 0, 2];
        bandwidth[..4].copy_from_slice(&OUR_WINDOW_BYTES.to_be_bytes());
        self.send_control(message::SET_PEER_BANDWIDTH, &bandwidth);
        self.send_control(
            message::SET_CHUNK_SIZE,
            &u32::from(OUR_CHUNK_SIZE).to_be_bytes(),
        );
        self.writer.set_chunk_size(usize::from(OUR_CHUNK_SIZE));
        self.send_result(command, &self.claims.answer());
        self.phase = Phase::AwaitPublish;
        self.events.push_back(Event::Connected {
            flash_ver: self.claims.flash_ver.clone(),
            enhanced: self.claims.enhanced,
        });
    }

    fn publish(&mut self, command: &Command, stream_id: u32) -> Result<(), ProtocolError> {
        match self.phase {
            Phase::AwaitPublish => {}
            Phase::AwaitConnect => return Err(ProtocolError::NotConnected),
            _ => {
                self.send_status(
                    stream_id,
                    &status(
                        "error",
                        "NetStream.Publish.BadConnection",
                        "one publish for each connection",
                    ),
                );
                return Ok(());
            }
        }
        let name = command.argument(0).as_text().unwrap_or_default();
        let path = StreamPath::of(self.claims.app.expose(), name);
        self.phase = Phase::Deciding(stream_id);
        self.events
            .push_back(Event::PublishRequested(PublishRequest {
                app: path.app,
                tc_url: self.claims.tc_url.clone(),
                name: Secret::new(path.name),
                query: path.query.map(Secret::new),
                flash_ver: self.claims.flash_ver.clone(),
            }));
        Ok(())
    }

    fn unpublish(&mut self) {
        if let Phase::Publishing(stream_id) = self.phase {
            self.send_unpublished(stream_id);
            self.phase = Phase::Closed;
            self.events.push_back(Event::Unpublished);
        }
    }

    fn send_unpublished(&mut self, stream_id: u32) {
        self.send_status(
            stream_id,
            &status("status", "NetStream.Unpublish.Success", "Unpublished."),
        );
    }

    fn send_control(&mut self, message_type: u8, payload: &[u8]) {
        self.writer
            .write(CONTROL_CSID, 0, message_type, 0, payload, &mut self.output);
    }

    /// `_result` on message stream 0, unless the command asks for no answer.
    fn send_result(&mut self, command: &Command, values: &[Value]) {
        if command.transaction == 0.0 {
            return;
        }
        let payload = Command::payload("_result", command.transaction, values);
        self.writer.write(
            COMMAND_CSID,
            0,
            message::COMMAND_AMF0,
            0,
            &payload,
            &mut self.output,
        );
    }

    /// `onStatus` on the message stream that it is about; rtmp2sink waits for it there.
    fn send_status(&mut self, stream_id: u32, information: &Value) {
        let payload = Command::payload("onStatus", 0.0, &[Value::Null, information.clone()]);
        self.writer.write(
            STATUS_CSID,
            0,
            message::COMMAND_AMF0,
            stream_id,
            &payload,
            &mut self.output,
        );
    }

    fn acknowledge(&mut self) {
        let Some(window) = self.peer_window_bytes else {
            return;
        };
        let unacknowledged = self.received_bytes.wrapping_sub(self.acknowledged_bytes);
        if unacknowledged >= window && !matches!(self.phase, Phase::Closed) {
            self.acknowledged_bytes = self.received_bytes;
            self.send_control(message::ACKNOWLEDGEMENT, &self.received_bytes.to_be_bytes());
        }
    }
}
