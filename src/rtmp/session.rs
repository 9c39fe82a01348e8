//! The server's end of a connection.

use bytes::{Bytes, BytesMut};

use super::{Event, Limits, ProtocolError};

/// The server's end of one RTMP connection: bytes in, events and bytes out.
#[derive(Debug)]
pub struct ServerSession {
    _limits: Limits,
}

impl ServerSession {
    /// A session that awaits C0. `handshake_random` fills S1 (5.2.3).
    #[must_use]
    pub fn new(limits: Limits, handshake_random: [u8; 1528]) -> Self {
        let _ = handshake_random;
        Self { _limits: limits }
    }

    /// Takes what it can use from the front of `bytes`; call again with more behind what is left.
    /// While a publish decision is pending nothing is taken.
    ///
    /// # Errors
    /// The peer broke the protocol: close the connection.
    pub fn input(&mut self, bytes: &mut BytesMut) -> Result<(), ProtocolError> {
        let _ = bytes;
        Ok(())
    }

    /// The next event, oldest first.
    pub fn next_event(&mut self) -> Option<Event> {
        None
    }

    /// All bytes that wait to be written to the peer.
    pub fn take_output(&mut self) -> Option<Bytes> {
        None
    }

    /// Accepts the pending publish; call [`Self::input`] again with the bytes that were held back.
    pub fn accept_publish(&mut self) {}

    /// Refuses the pending publish: `NetStream.Publish.BadName` on its message stream (7.2.2). Nothing more is parsed.
    pub fn reject_publish(&mut self, description: &str) {
        let _ = description;
    }

    /// Ends an accepted publish from our side: an error status that encoders show, then
    /// `NetStream.Unpublish.Success`. Nothing more is parsed.
    pub fn close_publish(&mut self, description: &str) {
        let _ = description;
    }

    /// Asks the encoder to reconnect (E-RTMP, `NetConnection.Connect.ReconnectRequest`), if it said that it can.
    /// Says whether it was asked.
    pub fn request_reconnect(&mut self, description: &str) -> bool {
        let _ = description;
        false
    }
}
