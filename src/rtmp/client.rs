//! A publishing client, for tests and `griot demo-live`.

use bytes::{Bytes, BytesMut};

use super::ProtocolError;
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

/// The publishing client's end of one RTMP connection: bytes in, events and bytes out.
#[derive(Debug)]
pub struct ClientSession {}

impl ClientSession {
    /// A client that publishes `key` to `app` of `tc_url` (`rtmp://host/app`). `random` fills C1.
    /// C0 and C1 wait in [`Self::take_output`] at once.
    #[must_use]
    pub fn new(app: &str, key: &Secret, tc_url: &str, random: [u8; 1528]) -> Self {
        let _ = (app, key, tc_url, random);
        Self {}
    }

    /// Takes what it can use from the front of `bytes`.
    ///
    /// # Errors
    /// The server broke the protocol: close the connection.
    pub fn input(&mut self, bytes: &mut BytesMut) -> Result<(), ProtocolError> {
        let _ = bytes;
        Ok(())
    }

    /// The next event, oldest first.
    pub fn next_event(&mut self) -> Option<ClientEvent> {
        None
    }

    /// All bytes that wait to be written to the server.
    pub fn take_output(&mut self) -> Option<Bytes> {
        None
    }

    /// Sends an FLV video tag body; dropped before [`ClientEvent::Accepted`].
    pub fn send_video(&mut self, timestamp_ms: u32, body: &[u8]) {
        let _ = (timestamp_ms, body);
    }

    /// Sends an FLV audio tag body; dropped before [`ClientEvent::Accepted`].
    pub fn send_audio(&mut self, timestamp_ms: u32, body: &[u8]) {
        let _ = (timestamp_ms, body);
    }

    /// Sends `@setDataFrame` `onMetaData` with numbers and texts; dropped before [`ClientEvent::Accepted`].
    pub fn send_metadata(&mut self, numbers: &[(&str, f64)], texts: &[(&str, &str)]) {
        let _ = (numbers, texts);
    }

    /// Says goodbye: FCUnpublish and deleteStream.
    pub fn goodbye(&mut self) {}
}
