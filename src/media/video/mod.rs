//! Videos: what becomes of an accepted file, and what plays of it.
//!
//! [`Videos::judge`] looks at a file that lies in the private spool, and [`Videos::begin`] has something made of it. The first
//! job makes it playable: what plays as it is goes through the packager of lives within a second or two, everything else
//! is transcoded. The second makes the rest: lower rungs, sound alone, the storyboard. Every rendition is a run of the
//! video's recording: the same file, rows and delivery as a live's. A job that dies leaves nothing that is played, and
//! does the same when it is done again. The file that was sent is dropped once both have ended.

mod file;
mod garbage;
mod job;
mod pack;
mod picture;
mod plan;
mod playback;
mod service;
pub mod stills;
mod storyboard;
mod verdict;

pub use job::{REMUX, REST, TRANSCODE};
pub use playback::Video;
pub use service::{Config, Videos};
pub use verdict::{Accepted, Refused, Verdict};
