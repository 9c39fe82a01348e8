//! TLS for sockets that others accept: certificates from files, reloaded when they change.
//!
//! The only room that knows rustls. `http` and `ingest` hand an accepted socket to an [`Acceptor`] and get a stream
//! that reads and writes like the socket did, or a handshake that failed within its deadline.

mod acceptor;
mod certificate;
#[cfg(test)]
mod testing;

pub use acceptor::{Acceptor, Handshake, Speaks, Stream};
pub use certificate::{Certificate, Files, TlsError};
