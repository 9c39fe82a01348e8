//! The rendition file of a live or a video: append, index, finish, read back by ranges while it grows and after.
//!
//! A rendition has a growing side ([`Growing`]), which its live's owner task feeds, and a reading side
//! ([`Reader`]), which viewers share; what is over already is written by a [`RunWriter`]. One file is a *run*; a new codec configuration begins another.
//! This room knows neither encoders nor HTTP.

mod beat;
mod buffer;
mod error;
mod file;
mod gate;
mod growing;
mod ladder;
mod losing;
mod media;
mod mirror;
mod mirror_resume;
mod object_range;
mod pieces;
mod place;
mod reader;
mod replay;
mod resume;
mod rows;
mod run;
mod seal;
mod sending;
mod shelf;
mod shipment;
mod siblings;
mod spool;
mod sweep;
#[cfg(test)]
mod tests;
mod variant;
mod writer;

pub use beat::{Beat, SourceLine};
pub use error::RenditionError;
pub use file::FileRange;
pub use growing::{Growing, GrowingPlan};
pub use ladder::{drop_rungs, live_multivariant};
pub use losing::Loss;
pub use media::Media;
pub use mirror::{From, Mirror, MirrorPlan};
pub use object_range::ObjectRange;
pub use place::{Place, Places};
pub use reader::{
    Download, Freshness, MediaBytes, PlaybackError, PlaylistQuery, PlaylistText, Reader,
    multivariant,
};
pub use resume::Survived;
pub use sending::{ObjectsTrouble, Sending};
pub use siblings::introduce;
pub use spool::SpoolRoom;
pub use sweep::sweep;
pub use writer::{NewRendition, RunWriter, Written};
