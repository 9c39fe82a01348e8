//! The headers of a chunk (5.3.1).

use super::chunk_reader::ChunkStream;

/// In the 24-bit field: the time stands in the extended timestamp (5.3.1.3).
const EXTENDED: u32 = 0x00ff_ffff;

/// A chunk's headers, decoded, and how many bytes they take.
pub(super) struct Header {
    pub(super) csid: u32,
    /// The time field and what only formats 0 to 2 carry.
    pub(super) message: Option<MessageHeader>,
    pub(super) bytes: usize,
}

pub(super) struct MessageHeader {
    pub(super) format: u8,
    pub(super) time_field: u32,
    pub(super) extended: bool,
    pub(super) length: usize,
    pub(super) message_type: u8,
    pub(super) message_stream: u32,
}

impl Header {
    /// Decodes the headers at the front; `None` when they are not all there.
    pub(super) fn read(bytes: &[u8], streams: &[ChunkStream]) -> Option<Self> {
        let mut cursor = Cursor { bytes, at: 0 };
        let (format, csid) = cursor.basic_header()?;
        let known = streams.iter().find(|stream| stream.id == csid);
        let message = if format < 3 {
            Some(cursor.message_header(format, known)?)
        } else {
            // Adobe, ffmpeg and librtmp repeat the extended timestamp in format 3, some senders do not:
            // four bytes that equal the time are it, others are payload.
            if let Some(stream) = known
                && stream.extended
                && cursor.peek_u32()? == stream.time_field
            {
                cursor.at += 4;
            }
            None
        };
        Some(Self {
            csid,
            message,
            bytes: cursor.at,
        })
    }
}

/// Reads header fields; each read is `None` when the bytes are not there yet.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let taken = *self.bytes.get(self.at..)?.first_chunk::<N>()?;
        self.at += N;
        Some(taken)
    }

    fn u24(&mut self) -> Option<u32> {
        let [high, middle, low] = self.take()?;
        Some(u32::from_be_bytes([0, high, middle, low]))
    }

    fn peek_u32(&self) -> Option<u32> {
        let peeked = self.bytes.get(self.at..)?.first_chunk::<4>()?;
        Some(u32::from_be_bytes(*peeked))
    }

    /// Format and chunk stream id of one, two or three bytes (5.3.1.1).
    fn basic_header(&mut self) -> Option<(u8, u32)> {
        let [first] = self.take()?;
        let csid = match first & 0x3f {
            0 => 64 + u32::from(self.take::<1>()?[0]),
            1 => 64 + u32::from(u16::from_le_bytes(self.take()?)),
            id => u32::from(id),
        };
        Some((first >> 6, csid))
    }

    /// The message header of formats 0, 1 and 2 (5.3.1.2), completed from what the chunk stream said before.
    fn message_header(&mut self, format: u8, known: Option<&ChunkStream>) -> Option<MessageHeader> {
        let time_field = self.u24()?;
        let (length, message_type) = if format < 2 {
            let length = self.u24()?;
            (usize::try_from(length).ok()?, self.take::<1>()?[0])
        } else {
            known.map_or((0, 0), |stream| (stream.length, stream.message_type))
        };
        let message_stream = if format == 0 {
            // The one little-endian field of RTMP.
            u32::from_le_bytes(self.take()?)
        } else {
            known.map_or(0, |stream| stream.message_stream)
        };
        let extended = time_field == EXTENDED;
        let time_field = if extended {
            u32::from_be_bytes(self.take()?)
        } else {
            time_field
        };
        Some(MessageHeader {
            format,
            time_field,
            extended,
            length,
            message_type,
            message_stream,
        })
    }
}
