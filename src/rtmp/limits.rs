//! What one connection may make us hold or do.

/// Limits of one connection. The defaults are made for strangers on the open internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest video, audio or aggregate message, in bytes; refused by its declared length.
    pub media_message_bytes: usize,
    /// The longest of any other message, and of every message until a publish is accepted, in bytes.
    pub command_message_bytes: usize,
    /// How many chunk streams a connection may open.
    pub chunk_streams: usize,
    /// Bytes received of messages that are not complete yet, over all chunk streams.
    pub in_flight_bytes: usize,
    /// What each chunk is billed beside its payload: a peer that cuts messages into one-byte chunks, which
    /// is legal, pays for the work.
    pub chunk_bill_bytes: usize,
    /// The highest bill of one message.
    pub message_bill_bytes: usize,
    /// How deep AMF values may nest.
    pub amf_depth: usize,
    /// How many AMF values one message may hold.
    pub amf_values: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            media_message_bytes: 8 << 20,
            command_message_bytes: 64 << 10,
            chunk_streams: 64,
            in_flight_bytes: 12 << 20,
            chunk_bill_bytes: 12,
            message_bill_bytes: 16 << 20,
            amf_depth: 16,
            amf_values: 1024,
        }
    }
}
