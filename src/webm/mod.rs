//! Frames to a WebM file that seeks: sans-IO, bytes out in the order of the file and a few patches at its end.
//!
//! ```text
//! EBML · Segment( SeekHead · Info · Tracks · Cluster* · Cues )
//! ```
//!
//! A cluster begins with a key picture where there is one, is gathered in memory (bounded in time and bytes) and leaves
//! whole, so every length in the file is known. `Cues` come last, since only then it is known where they point; the list of
//! contents at the front, the duration and the length of the segment are patched then. Times are milliseconds, as WebM has
//! them. What the element ids mean: RFC 9559; which of them WebM knows: "WebM Container Guidelines".

mod ebml;
mod tracks;
mod writer;

pub use tracks::{PictureCodec, PictureTrack, SoundTrack, TrackError, Tracks};
pub use writer::{Finished, Writer};
