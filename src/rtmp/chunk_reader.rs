//! The chunk stream, receiving (5.3): bytes in, whole messages out.
//!
//! Each payload byte is copied once, from the driver's read buffer into its message. Payload is taken as it
//! comes, so that a chunk longer than the read buffer needs no room of its own.

use bytes::{Buf, BytesMut};

use super::chunk_header::Header;
use super::message::{self, Message};
use super::{Limits, ProtocolError};

/// A message's buffer starts with what it declares, but never with more: the rest is reserved as it comes.
const FIRST_RESERVE_BYTES: usize = 256 << 10;
/// No message is that long, so a larger chunk size means the same (5.4.1).
const MAX_CHUNK_SIZE: u32 = 16 << 20;

/// Reads the chunks of one direction of a connection.
#[derive(Debug)]
pub(super) struct ChunkReader {
    limits: Limits,
    chunk_size: usize,
    /// At most [`Limits::chunk_streams`]; encoders use four or five, so a scan beats a map.
    streams: Vec<ChunkStream>,
    /// The chunk whose payload has not all come yet.
    open: Option<OpenChunk>,
    /// Bytes received of unfinished messages.
    in_flight: usize,
    /// Whether media messages may have their full length.
    media_allowed: bool,
}

#[derive(Clone, Copy, Debug)]
struct OpenChunk {
    stream: usize,
    payload_left: usize,
}

/// What the headers of one chunk stream said last, and its unfinished message.
#[derive(Debug)]
pub(super) struct ChunkStream {
    pub(super) id: u32,
    /// The header's time: absolute after format 0, a delta after 1 and 2; format 3 repeats it (5.3.1.2.4).
    pub(super) time_field: u32,
    /// Whether that time stood in the extended timestamp.
    pub(super) extended: bool,
    timestamp_ms: u32,
    pub(super) length: usize,
    pub(super) message_type: u8,
    pub(super) message_stream: u32,
    /// Some while a message is unfinished.
    payload: Option<BytesMut>,
    chunks: usize,
}

impl ChunkReader {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            chunk_size: 128,
            streams: Vec::new(),
            open: None,
            in_flight: 0,
            media_allowed: false,
        }
    }

    /// From now on media messages may be as long as media are.
    pub(super) fn allow_media(&mut self) {
        self.media_allowed = true;
    }

    /// Set Chunk Size (5.4.1): any size of the paper is legal, however silly; each chunk pays for itself.
    pub(super) fn set_chunk_size(&mut self, size: u32) -> Result<(), ProtocolError> {
        if size == 0 || size > 0x7fff_ffff {
            return Err(ProtocolError::ChunkSize(size));
        }
        self.chunk_size =
            usize::try_from(size.min(MAX_CHUNK_SIZE)).expect("16 MiB fit into a usize");
        Ok(())
    }

    /// Abort (5.4.2): drops the unfinished message of a chunk stream, if there is one.
    pub(super) fn abort(&mut self, csid: u32) {
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.id == csid)
            && let Some(payload) = stream.payload.take()
        {
            self.in_flight -= payload.len();
        }
    }

    /// The next whole message. `None`: everything usable has been taken, more bytes are needed.
    pub(super) fn next(&mut self, bytes: &mut BytesMut) -> Result<Option<Message>, ProtocolError> {
        loop {
            let mut open = match self.open.take() {
                Some(open) => open,
                None => {
                    let Some(header) = Header::read(bytes, &self.streams) else {
                        return Ok(None);
                    };
                    bytes.advance(header.bytes);
                    self.begin(&header)?
                }
            };
            let stream = &mut self.streams[open.stream];
            let payload = stream
                .payload
                .as_mut()
                .expect("an open chunk has a message");
            let taken = open.payload_left.min(bytes.len());
            payload.extend_from_slice(&bytes[..taken]);
            bytes.advance(taken);
            open.payload_left -= taken;
            self.in_flight += taken;
            if self.in_flight > self.limits.in_flight_bytes {
                return Err(ProtocolError::TooMuchInFlight(self.limits.in_flight_bytes));
            }
            if open.payload_left > 0 {
                self.open = Some(open);
                return Ok(None);
            }
            if payload.len() == stream.length {
                self.in_flight -= stream.length;
                let payload = stream.payload.take().expect("it was there above").freeze();
                return Ok(Some(Message {
                    message_type: stream.message_type,
                    stream_id: stream.message_stream,
                    timestamp_ms: stream.timestamp_ms,
                    payload,
                }));
            }
        }
    }

    /// Starts or continues the message that a chunk's headers speak of.
    fn begin(&mut self, header: &Header) -> Result<OpenChunk, ProtocolError> {
        let at = self.stream(header)?;
        let stream = &mut self.streams[at];
        match (&header.message, &stream.payload) {
            (Some(_), Some(_)) => return Err(ProtocolError::HeaderInsideMessage(header.csid)),
            (None, Some(_)) => {}
            (message, None) => {
                if let Some(message) = message {
                    stream.time_field = message.time_field;
                    stream.extended = message.extended;
                    stream.length = message.length;
                    stream.message_type = message.message_type;
                    stream.message_stream = message.message_stream;
                }
                stream.timestamp_ms = match message {
                    Some(message) if message.format == 0 => message.time_field,
                    _ => stream.timestamp_ms.wrapping_add(stream.time_field),
                };
                let limit = self
                    .limits
                    .message_bytes(stream.message_type, self.media_allowed);
                if stream.length > limit {
                    return Err(ProtocolError::MessageTooLong {
                        message_type: stream.message_type,
                        bytes: stream.length,
                        limit,
                    });
                }
                stream.chunks = 0;
                stream.payload = Some(BytesMut::with_capacity(
                    stream.length.min(FIRST_RESERVE_BYTES),
                ));
            }
        }
        stream.chunks += 1;
        let received = stream.payload.as_ref().map_or(0, BytesMut::len);
        let bill = received + stream.chunks * self.limits.chunk_bill_bytes;
        if bill > self.limits.message_bill_bytes {
            return Err(ProtocolError::MessageTooLong {
                message_type: stream.message_type,
                bytes: bill,
                limit: self.limits.message_bill_bytes,
            });
        }
        Ok(OpenChunk {
            stream: at,
            payload_left: self.chunk_size.min(stream.length - received),
        })
    }

    /// Where the chunk stream stands in the list; made when its first header allows it.
    fn stream(&mut self, header: &Header) -> Result<usize, ProtocolError> {
        if let Some(at) = self
            .streams
            .iter()
            .position(|stream| stream.id == header.csid)
        {
            return Ok(at);
        }
        // librtmp opens chunk stream 2 with format 1, which leaves out the message stream: it is 0 then.
        if header
            .message
            .as_ref()
            .is_none_or(|message| message.format > 1)
        {
            return Err(ProtocolError::HeaderMissing(header.csid));
        }
        if self.streams.len() == self.limits.chunk_streams {
            return Err(ProtocolError::TooManyChunkStreams(
                self.limits.chunk_streams,
            ));
        }
        self.streams.push(ChunkStream {
            id: header.csid,
            time_field: 0,
            extended: false,
            timestamp_ms: 0,
            length: 0,
            message_type: 0,
            message_stream: 0,
            payload: None,
            chunks: 0,
        });
        Ok(self.streams.len() - 1)
    }
}

impl Limits {
    fn message_bytes(&self, message_type: u8, media_allowed: bool) -> usize {
        if media_allowed && message::is_media(message_type) {
            self.media_message_bytes
        } else {
            self.command_message_bytes
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(reader: &mut ChunkReader, bytes: &[u8]) -> Result<Vec<Message>, ProtocolError> {
        let mut bytes = BytesMut::from(bytes);
        let mut messages = Vec::new();
        while let Some(message) = reader.next(&mut bytes)? {
            messages.push(message);
        }
        Ok(messages)
    }

    fn publishing() -> ChunkReader {
        let mut reader = ChunkReader::new(Limits::default());
        reader.allow_media();
        reader
    }

    fn brief(messages: &[Message]) -> Vec<(u32, u8, u32, Vec<u8>)> {
        messages
            .iter()
            .map(|message| {
                (
                    message.timestamp_ms,
                    message.message_type,
                    message.stream_id,
                    message.payload.to_vec(),
                )
            })
            .collect()
    }

    #[test]
    fn the_example_of_the_paper_gives_four_audio_messages() {
        // RTMP 5.3.2.1: stream 12345, csid 3, 32 bytes each, at 1000, 1020, 1040, 1060.
        let audio = [0xaa; 32];
        let bytes = [
            &[
                0x03, 0x00, 0x03, 0xe8, 0x00, 0x00, 0x20, 0x08, 0x39, 0x30, 0x00, 0x00,
            ][..],
            &audio,
            &[0x83, 0x00, 0x00, 0x14],
            &audio,
            &[0xc3],
            &audio,
            &[0xc3],
            &audio,
        ]
        .concat();
        let messages = read(&mut publishing(), &bytes).expect("it is the paper's own");
        let expected: Vec<_> = [1_000, 1_020, 1_040, 1_060]
            .map(|at| (at, 8, 12_345, audio.to_vec()))
            .into();
        assert_eq!(brief(&messages), expected);
    }

    #[test]
    fn the_second_example_of_the_paper_gives_one_message_of_three_chunks() {
        // RTMP 5.3.2.2: stream 12346, csid 4, video of 307 bytes at 1000.
        let video: Vec<u8> = (0..307u16)
            .map(|n| u8::try_from(n % 251).unwrap())
            .collect();
        let bytes = [
            &[
                0x04, 0x00, 0x03, 0xe8, 0x00, 0x01, 0x33, 0x09, 0x3a, 0x30, 0x00, 0x00,
            ][..],
            &video[..128],
            &[0xc4],
            &video[128..256],
            &[0xc4],
            &video[256..],
        ]
        .concat();
        let messages = read(&mut publishing(), &bytes).expect("it is the paper's own");
        assert_eq!(brief(&messages), [(1_000, 9, 12_346, video)]);
    }

    #[test]
    fn audio_between_two_chunks_of_video_leaves_both_whole() {
        let video = [9; 200];
        let bytes = [
            &[0x06, 0, 0, 0, 0, 0, 200, 9, 1, 0, 0, 0][..],
            &video[..128],
            &[0x04, 0, 0, 5, 0, 0, 3, 8, 1, 0, 0, 0, 7, 7, 7],
            &[0xc6],
            &video[128..],
        ]
        .concat();
        let messages = read(&mut publishing(), &bytes).expect("interleaving is legal");
        assert_eq!(
            brief(&messages),
            [(5, 8, 1, vec![7; 3]), (0, 9, 1, video.to_vec())]
        );
    }

    #[test]
    fn chunk_stream_ids_of_one_two_and_three_bytes_are_told_apart() {
        // 5.3.1.1: 3; 64 + 0xff = 319; 64 + 0x01 + 0x02 × 256 = 577. Each is its own stream: format 3 repeats each.
        let mut bytes = Vec::new();
        for (basic, byte) in [
            (&[0x03][..], 1),
            (&[0x00, 0xff], 2),
            (&[0x01, 0x01, 0x02], 3),
        ] {
            bytes.extend_from_slice(basic);
            bytes.extend_from_slice(&[0, 0, byte, 0, 0, 1, 8, 1, 0, 0, 0, byte]);
        }
        bytes.extend_from_slice(&[0xc3, 11]);
        bytes.extend_from_slice(&[0xc0, 0xff, 12]);
        bytes.extend_from_slice(&[0xc1, 0x01, 0x02, 13]);
        let messages = read(&mut publishing(), &bytes).expect("all are legal");
        assert_eq!(
            brief(&messages),
            [
                (1, 8, 1, vec![1]),
                (2, 8, 1, vec![2]),
                (3, 8, 1, vec![3]),
                (2, 8, 1, vec![11]),
                (4, 8, 1, vec![12]),
                (6, 8, 1, vec![13]),
            ]
        );
    }

    #[test]
    fn the_extended_timestamp_is_read_and_format_3_may_repeat_it_or_not() {
        // 130 bytes at 0x01000000 ms: the second chunk with, then (second message) without the four bytes.
        let header = [0x06, 0xff, 0xff, 0xff, 0, 0, 130, 9, 1, 0, 0, 0, 1, 0, 0, 0];
        let repeated = [
            &header[..],
            &[5; 128],
            &[0xc6, 1, 0, 0, 0],
            &[5; 2],
            &header,
            &[6; 128],
            &[0xc6],
            &[6; 2],
            // What follows lets the reader see that the two bytes are no extended timestamp.
            &[0x04, 0, 0, 1, 0, 0, 1, 8, 1, 0, 0, 0, 7],
        ]
        .concat();
        let messages = read(&mut publishing(), &repeated).expect("both are in use");
        assert_eq!(
            brief(&messages),
            [
                (0x0100_0000, 9, 1, vec![5; 130]),
                (0x0100_0000, 9, 1, vec![6; 130]),
                (1, 8, 1, vec![7]),
            ]
        );
    }

    #[test]
    fn an_extended_delta_is_added() {
        let bytes = [
            &[0x06, 0, 0, 10, 0, 0, 1, 9, 1, 0, 0, 0, 1][..],
            &[0x86, 0xff, 0xff, 0xff, 0x01, 0x00, 0x00, 0x00, 2],
        ]
        .concat();
        let messages = read(&mut publishing(), &bytes).expect("it is legal");
        assert_eq!(messages[1].timestamp_ms, 0x0100_000a);
    }

    #[test]
    fn a_message_header_of_format_1_may_open_a_chunk_stream_but_2_and_3_may_not() {
        let acknowledgement = [0x42, 0, 0, 0, 0, 0, 4, 3, 0, 0, 0, 9];
        let messages = read(&mut publishing(), &acknowledgement).expect("librtmp does it");
        assert_eq!(brief(&messages), [(0, 3, 0, vec![0, 0, 0, 9])]);
        for first in [0x82, 0xc2] {
            let bytes = [first, 0, 0, 0, 0, 0, 4];
            assert_eq!(
                read(&mut publishing(), &bytes),
                Err(ProtocolError::HeaderMissing(2))
            );
        }
    }

    #[test]
    fn a_length_changed_inside_a_message_is_refused() {
        let bytes = [
            &[0x06, 0, 0, 0, 0, 0, 200, 9, 1, 0, 0, 0][..],
            &[1; 128],
            &[0x46, 0, 0, 0, 0, 0, 250, 9],
            &[1; 128],
        ]
        .concat();
        assert_eq!(
            read(&mut publishing(), &bytes),
            Err(ProtocolError::HeaderInsideMessage(6))
        );
    }

    #[test]
    fn an_aborted_message_is_forgotten_and_its_chunk_stream_goes_on() {
        let mut reader = publishing();
        let half = [&[0x06, 0, 0, 0, 0, 0, 200, 9, 1, 0, 0, 0][..], &[1; 128]].concat();
        assert_eq!(read(&mut reader, &half), Ok(Vec::new()));
        reader.abort(6);
        reader.abort(7);
        assert_eq!(reader.in_flight, 0);
        let whole = [0x06, 0, 0, 40, 0, 0, 1, 9, 1, 0, 0, 0, 2];
        let messages = read(&mut reader, &whole).expect("nothing is unfinished");
        assert_eq!(brief(&messages), [(40, 9, 1, vec![2])]);
    }

    #[test]
    fn sixteen_megabytes_are_refused_by_their_header() {
        let bytes = [0x06, 0, 0, 0, 0xff, 0xff, 0xff, 9, 1, 0, 0, 0];
        assert_eq!(
            read(&mut publishing(), &bytes),
            Err(ProtocolError::MessageTooLong {
                message_type: 9,
                bytes: 0x00ff_ffff,
                limit: 8 << 20
            })
        );
    }

    #[test]
    fn before_a_publish_and_for_commands_only_64_kib_are_allowed() {
        let video = [0x06, 0, 0, 0, 0x01, 0x00, 0x01, 9, 1, 0, 0, 0];
        let command = [0x03, 0, 0, 0, 0x01, 0x00, 0x01, 20, 0, 0, 0, 0];
        let too_long = |message_type| {
            Err(ProtocolError::MessageTooLong {
                message_type,
                bytes: 65_537,
                limit: 65_536,
            })
        };
        let mut reader = ChunkReader::new(Limits::default());
        assert_eq!(read(&mut reader, &video), too_long(9));
        assert_eq!(read(&mut publishing(), &command), too_long(20));
        assert_eq!(read(&mut publishing(), &video), Ok(Vec::new()));
    }

    #[test]
    fn the_65th_chunk_stream_is_refused() {
        let mut bytes = Vec::new();
        for csid in 0..65u8 {
            bytes.extend_from_slice(&[0x00, csid, 0, 0, 0, 0, 0, 1, 8, 1, 0, 0, 0, 0]);
        }
        assert_eq!(
            read(&mut publishing(), &bytes),
            Err(ProtocolError::TooManyChunkStreams(64))
        );
    }

    #[test]
    fn unfinished_messages_of_all_chunk_streams_share_twelve_megabytes() {
        let seven_megabytes_of_eight = |csid: u8| {
            let mut bytes = vec![csid, 0, 0, 0, 0x7f, 0xff, 0xff, 9, 1, 0, 0, 0];
            for chunk in 0..112 {
                if chunk > 0 {
                    bytes.push(0xc0 | csid);
                }
                bytes.extend_from_slice(&[0; 1 << 16]);
            }
            bytes
        };
        let mut reader = publishing();
        reader.set_chunk_size(1 << 16).expect("it is legal");
        assert_eq!(
            read(&mut reader, &seven_megabytes_of_eight(4)),
            Ok(Vec::new())
        );
        assert_eq!(
            read(&mut reader, &seven_megabytes_of_eight(6)),
            Err(ProtocolError::TooMuchInFlight(12 << 20))
        );
    }

    #[test]
    fn one_byte_chunks_pass_until_their_bill_is_too_high() {
        let one_byte_chunks = |length: usize| {
            let [_, l2, l1, l0] = u32::try_from(length).unwrap().to_be_bytes();
            let mut bytes = vec![0x06, 0, 0, 0, l2, l1, l0, 9, 1, 0, 0, 0, 0];
            for _ in 1..length {
                bytes.extend_from_slice(&[0xc6, 0]);
            }
            let mut reader = publishing();
            reader.set_chunk_size(1).expect("it is legal");
            read(&mut reader, &bytes)
        };
        let whole = one_byte_chunks(256 << 10).expect("a quarter of a megabyte is fine");
        assert_eq!(whole[0].payload.len(), 256 << 10);
        // 16 MiB of bill at 1 + 12 for each byte: 1.23 MiB.
        assert!(matches!(
            one_byte_chunks(2 << 20),
            Err(ProtocolError::MessageTooLong { .. })
        ));
    }

    #[test]
    fn chunk_sizes_of_the_paper_are_legal_and_others_are_not() {
        let mut reader = publishing();
        assert_eq!(reader.set_chunk_size(0), Err(ProtocolError::ChunkSize(0)));
        assert_eq!(
            reader.set_chunk_size(0x8000_0000),
            Err(ProtocolError::ChunkSize(0x8000_0000))
        );
        assert_eq!(reader.set_chunk_size(1), Ok(()));
        assert_eq!(reader.set_chunk_size(0x7fff_ffff), Ok(()));
        assert_eq!(reader.chunk_size, 16 << 20);
    }

    #[test]
    fn no_buffer_is_made_by_a_declared_length() {
        let mut reader = publishing();
        let header = [0x06, 0, 0, 0, 0x7f, 0xff, 0xff, 9, 1, 0, 0, 0, 1];
        assert_eq!(read(&mut reader, &header), Ok(Vec::new()));
        let payload = reader.streams[0].payload.as_ref().unwrap();
        assert!(payload.capacity() <= 256 << 10);
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_cuts_give_the_same(
            bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(6), Just(9), Just(0xc6), any::<u8>()], 0..600),
            cut in 1usize..40,
        ) {
            let whole = read(&mut publishing(), &bytes);
            let mut reader = publishing();
            let mut buffer = BytesMut::new();
            let mut messages = Vec::new();
            let mut outcome = Ok(());
            'cuts: for piece in bytes.chunks(cut) {
                buffer.extend_from_slice(piece);
                loop {
                    match reader.next(&mut buffer) {
                        Ok(Some(message)) => messages.push(message),
                        Ok(None) => break,
                        Err(error) => {
                            outcome = Err(error);
                            break 'cuts;
                        }
                    }
                }
            }
            prop_assert_eq!(outcome.map(|()| messages), whole);
        }
    }
}
