//! Bytes that members send: one resumable upload behind every door, judged by content before anything is served.
//!
//! A door creates an upload ([`Uploads::create`]), appends what comes ([`Uploads::append`]) and, when all is there, it
//! is judged (`judge`): a medium comes of it, or a refusal. Bytes lie in a private folder, one file each; how many a
//! client is told is how many are durable. What is abandoned expires (`upkeep`). Knows no HTTP: `http/tus.rs` and
//! `http/uploads.rs` speak with clients.

mod append;
mod checksum;
mod config;
mod error;
mod harmless;
mod holds;
mod judge;
mod service;
mod spool;
#[cfg(test)]
mod tests;
mod upkeep;

pub use append::{Append, Incoming};
pub use checksum::Checksum;
pub use config::Config;
pub use error::UploadError;
pub use harmless::harmless_name;
pub use service::{Deps, Opening, Uploads};
