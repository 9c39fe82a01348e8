//! Why a connection must be closed.

use super::amf0::AmfError;

/// The peer broke the protocol or a limit: close the connection. Nothing that is read later makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The first byte is not 3 (RTMP 5.2.2): another protocol, or RTMPE.
    #[error("version {0} is not RTMP 3")]
    Version(u8),
    /// A chunk refers to an earlier header of its chunk stream and there is none (5.3.1.2).
    #[error("chunk stream {0} begins without a message header")]
    HeaderMissing(u32),
    /// A chunk with a message header arrived while a message of its chunk stream was unfinished.
    #[error("chunk stream {0} begins a message inside another")]
    HeaderInsideMessage(u32),
    /// A message is longer than its kind may be, the bill for its chunks included.
    #[error("a message of type {message_type} has {bytes} bytes, more than {limit}")]
    MessageTooLong {
        /// The message type id.
        message_type: u8,
        /// Its declared length, or its bill.
        bytes: usize,
        /// What is allowed.
        limit: usize,
    },
    /// More chunk streams than allowed.
    #[error("more than {0} chunk streams")]
    TooManyChunkStreams(usize),
    /// The unfinished messages of all chunk streams hold too much.
    #[error("more than {0} bytes of unfinished messages")]
    TooMuchInFlight(usize),
    /// Set Chunk Size outside `1..=2^31-1` (5.4.1).
    #[error("a chunk size of {0}")]
    ChunkSize(u32),
    /// A protocol control message, or an aggregate message, is too short for what it says.
    #[error("a message of type {0} is cut short")]
    Truncated(u8),
    /// A command, or a limit of data messages, is broken.
    #[error("AMF: {0}")]
    Amf(#[from] AmfError),
    /// A command that needs `connect` came before it.
    #[error("publish before connect")]
    NotConnected,
}
