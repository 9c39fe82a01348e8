//! Messages as the chunk stream carries them, and the aggregate of several (7.1.6).

use bytes::{Buf, Bytes};

use super::ProtocolError;

pub(super) const SET_CHUNK_SIZE: u8 = 1;
pub(super) const ABORT: u8 = 2;
pub(super) const ACKNOWLEDGEMENT: u8 = 3;
pub(super) const USER_CONTROL: u8 = 4;
pub(super) const WINDOW_ACKNOWLEDGEMENT_SIZE: u8 = 5;
pub(super) const SET_PEER_BANDWIDTH: u8 = 6;
pub(super) const AUDIO: u8 = 8;
pub(super) const VIDEO: u8 = 9;
pub(super) const DATA_AMF3: u8 = 15;
pub(super) const COMMAND_AMF3: u8 = 17;
pub(super) const DATA_AMF0: u8 = 18;
pub(super) const COMMAND_AMF0: u8 = 20;
pub(super) const AGGREGATE: u8 = 22;

/// One whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// What it is (7.1); one of the constants above, or something unknown.
    pub(super) message_type: u8,
    /// Its message stream; 0 is the connection itself.
    pub(super) stream_id: u32,
    /// Milliseconds, wrapping at 2^32.
    pub(super) timestamp_ms: u32,
    pub(super) payload: Bytes,
}

impl Message {
    /// The first four bytes as a number, as Set Chunk Size, Abort, Acknowledgement and Window have it.
    pub(super) fn first_u32(&self) -> Result<u32, ProtocolError> {
        self.payload
            .first_chunk::<4>()
            .map(|bytes| u32::from_be_bytes(*bytes))
            .ok_or(ProtocolError::Truncated(self.message_type))
    }
}

/// Whether a message carries media: those may be long, once a publish is accepted.
pub(super) fn is_media(message_type: u8) -> bool {
    matches!(message_type, AUDIO | VIDEO | AGGREGATE)
}

/// FLV tag header (FLV E.4.1) before, and back pointer after, each sub-message of an aggregate.
const TAG_HEADER_BYTES: usize = 11;
const BACK_POINTER_BYTES: usize = 4;

/// The sub-messages of an aggregate. Its own timestamp is that of the first; the others keep their distance (7.1.6).
/// The payloads are slices of the aggregate's.
pub(super) fn unpack_aggregate(aggregate: &Message) -> Result<Vec<Message>, ProtocolError> {
    let truncated = ProtocolError::Truncated(AGGREGATE);
    let mut rest = aggregate.payload.clone();
    let mut first_tag_ms = None;
    let mut messages = Vec::new();
    while !rest.is_empty() {
        let header = *rest.first_chunk::<TAG_HEADER_BYTES>().ok_or(truncated)?;
        rest.advance(TAG_HEADER_BYTES);
        let [message_type, l2, l1, l0, t2, t1, t0, t3, ..] = header;
        let length = usize::from(l2) << 16 | usize::from(l1) << 8 | usize::from(l0);
        let tag_ms = u32::from_be_bytes([t3, t2, t1, t0]);
        if rest.len() < length {
            return Err(truncated);
        }
        let payload = rest.split_to(length);
        // The last back pointer is missing with some senders.
        rest.advance(rest.len().min(BACK_POINTER_BYTES));
        let offset_ms = tag_ms.wrapping_sub(*first_tag_ms.get_or_insert(tag_ms));
        messages.push(Message {
            message_type,
            stream_id: aggregate.stream_id,
            timestamp_ms: aggregate.timestamp_ms.wrapping_add(offset_ms),
            payload,
        });
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aggregate(payload: &[u8]) -> Message {
        Message {
            message_type: AGGREGATE,
            stream_id: 1,
            timestamp_ms: 5_000,
            payload: Bytes::copy_from_slice(payload),
        }
    }

    #[test]
    fn sub_messages_keep_their_distance_from_the_first() {
        // Audio at 0x01000010 ms, video 33 ms later (FLV E.4.1: the eighth byte extends the time upwards).
        let payload = [
            &[
                8, 0, 0, 2, 0, 0, 0x10, 0x01, 0, 0, 0, 0xaf, 0x01, 0, 0, 0, 13,
            ][..],
            &[9, 0, 0, 1, 0, 0, 0x31, 0x01, 0, 0, 0, 0x27, 0, 0, 0, 12],
        ]
        .concat();
        let unpacked = unpack_aggregate(&aggregate(&payload)).expect("both are whole");
        let seen: Vec<(u8, u32, &[u8])> = unpacked
            .iter()
            .map(|message| {
                (
                    message.message_type,
                    message.timestamp_ms,
                    message.payload.as_ref(),
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                (AUDIO, 5_000, &[0xaf, 0x01][..]),
                (VIDEO, 5_033, &[0x27][..])
            ]
        );
    }

    #[test]
    fn a_sub_message_longer_than_the_aggregate_is_refused() {
        let payload = [8, 0, 0, 200, 0, 0, 0, 0, 0, 0, 0, 0xaf, 0x01];
        assert_eq!(
            unpack_aggregate(&aggregate(&payload)),
            Err(ProtocolError::Truncated(AGGREGATE))
        );
        assert_eq!(
            unpack_aggregate(&aggregate(&payload[..5])),
            Err(ProtocolError::Truncated(AGGREGATE))
        );
    }
}
