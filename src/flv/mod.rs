//! Tag bodies to frames and codec configurations, Enhanced RTMP included.
//!
//! A tag body and its 32-bit millisecond timestamp enter [`Demuxer::video`] or [`Demuxer::audio`]; codec
//! configurations and frames leave as `av` values. Pure: no I/O, no clock. Knows nothing of chunks, messages
//! or sockets (`rtmp`), nor of what becomes of a frame (`live`, `fmp4`).
//!
//! Clauses are those of Adobe's "Flash Video File Format" 10.1, annex E, of "Enhanced RTMP" v2 (E-RTMP) and
//! of the codecs' own papers.

mod aac;
mod av1;
mod avc;
mod bits;
mod demuxer;
mod error;
mod hevc;
mod mp3;
mod nal;
mod opus;
mod output;
mod sample;
mod tag;
mod timeline;
mod vp9;

pub use demuxer::Demuxer;
pub use error::FlvError;
pub use output::{Ignored, Output};
