//! The chunk stream, sending: whole messages to bytes.

use bytes::{BufMut, BytesMut};

/// Writes the chunks of one direction of a connection. Every message starts with format 0: what griot sends
/// is small, and a client of its own is for tests and the demonstration.
#[derive(Debug)]
pub(super) struct ChunkWriter {
    chunk_size: usize,
}

impl ChunkWriter {
    pub(super) fn new() -> Self {
        Self { chunk_size: 128 }
    }

    /// The chunk size of all messages after Set Chunk Size.
    pub(super) fn set_chunk_size(&mut self, bytes: usize) {
        self.chunk_size = bytes;
    }

    /// Appends a message (5.3.1). `csid` is in `2..=63`.
    pub(super) fn write(
        &self,
        csid: u8,
        timestamp_ms: u32,
        message_type: u8,
        stream_id: u32,
        payload: &[u8],
        out: &mut BytesMut,
    ) {
        debug_assert!((2..64).contains(&csid));
        let length = u32::try_from(payload.len()).expect("a message is shorter than 16 MiB");
        let extended = timestamp_ms >= 0x00ff_ffff;
        let [_, l2, l1, l0] = length.to_be_bytes();
        let [_, t2, t1, t0] = timestamp_ms.min(0x00ff_ffff).to_be_bytes();
        out.put_slice(&[csid, t2, t1, t0, l2, l1, l0, message_type]);
        out.put_u32_le(stream_id);
        if extended {
            out.put_u32(timestamp_ms);
        }
        for (at, chunk) in payload.chunks(self.chunk_size).enumerate() {
            if at > 0 {
                out.put_u8(0xc0 | csid);
                if extended {
                    out.put_u32(timestamp_ms);
                }
            }
            out.put_slice(chunk);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Limits;
    use super::super::chunk_reader::ChunkReader;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_message_is_cut_as_the_paper_shows() {
        // RTMP 5.3.2.2, lengths of its table.
        let mut out = BytesMut::new();
        ChunkWriter::new().write(4, 1_000, 9, 12_346, &[7; 307], &mut out);
        assert_eq!(
            out[..12],
            [
                0x04, 0x00, 0x03, 0xe8, 0x00, 0x01, 0x33, 0x09, 0x3a, 0x30, 0x00, 0x00
            ]
        );
        assert_eq!(
            (out[140], out[269], out.len()),
            (0xc4, 0xc4, 140 + 129 + 52)
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            timestamp_ms in prop_oneof![any::<u32>(), 0x00ff_fff0u32..0x0100_0010],
            payload in prop::collection::vec(any::<u8>(), 0..700),
            chunk_size in 1usize..400,
        ) {
            let mut writer = ChunkWriter::new();
            writer.set_chunk_size(chunk_size);
            let mut bytes = BytesMut::new();
            writer.write(6, timestamp_ms, 9, 1, &payload, &mut bytes);
            let mut reader = ChunkReader::new(Limits::default());
            reader.set_chunk_size(u32::try_from(chunk_size).unwrap()).unwrap();
            let message = reader.next(&mut bytes).unwrap().expect("it is whole");
            prop_assert_eq!((message.timestamp_ms, message.payload.as_ref()), (timestamp_ms, &payload[..]));
            prop_assert!(bytes.is_empty());
        }
    }
}
