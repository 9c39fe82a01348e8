//! Sockets that publish: the RTMP listener, plain and over TLS, and its connection task.
//!
//! Owns sockets, deadlines and limits by address; joins `rtmp` (bytes → messages), `flv` (tag bodies → frames)
//! and the publishing door of `live`. One task for each connection; a live that is behind makes its task wait,
//! which makes the socket wait, which the encoder feels.

mod config;
mod connection;
#[cfg(test)]
mod golden;
mod listener;
mod pace;
mod sparing;

#[cfg(test)]
mod tests;

pub use config::Config;
pub use listener::{PublishDoor, RtmpListener};
