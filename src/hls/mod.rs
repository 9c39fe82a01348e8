//! Window of segments and parts, playlist text, blocking-reload rule (RFC 8216bis).
//!
//! A live's owner task keeps one [`Window`] per rendition and tells it what was packaged; after each change it
//! publishes a [`Snapshot`], which answers everything a viewer may ask: playlist text, whether a blocked reload is
//! satisfied, whether a segment or part exists. Nothing here does I/O, knows a clock, or sees a media byte.
//!
//! Clause numbers are those of draft-pantos-hls-rfc8216bis; `tests/it/hls_rules.rs` holds a validator written from
//! its MUSTs and names the deviations.

mod decimal;
mod finished;
mod gzip;
mod multivariant;
mod render;
mod segment;
mod snapshot;
mod window;

pub use multivariant::{Variant, multivariant};
pub use render::{Form, RenditionReport};
pub use segment::{PartMeta, SegmentMeta};
pub use snapshot::{Decision, Lookup, Snapshot};
pub use window::{Config, Window};
