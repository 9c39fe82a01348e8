//! RTMP, sans-IO: handshake, chunk stream, AMF0, messages, the state machine of both ends.
//!
//! Bytes come in, [`Event`]s and bytes go out ([`ServerSession`]); nothing here reads a socket, a clock or a
//! random source, and nothing here knows what a media body means (`flv` does; `ingest` joins the two).
//! What a peer may make us hold or do is bounded by [`Limits`]; nothing is allocated by a declared length.
//!
//! Clauses are those of Adobe's "Real Time Messaging Protocol" 1.0, of "Action Message Format – AMF 0"
//! and of "Enhanced RTMP" v2 (E-RTMP).

mod amf0;
mod chunk_header;
mod chunk_reader;
mod chunk_writer;
mod client;
mod command;
mod error;
mod event;
mod handshake;
mod limits;
mod message;
mod metadata;
#[cfg(test)]
mod probes;
mod session;

pub use amf0::AmfError;
pub use client::{ClientEvent, ClientSession};
pub use error::ProtocolError;
pub use event::{Event, PublishRequest, StreamMetadata};
pub use limits::Limits;
pub use session::ServerSession;
