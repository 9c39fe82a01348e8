//! What a live leaves behind: a WebM of all of it, its poster, its storyboard.
//!
//! The recording itself, its runs and their MP4s, is there when the live ends, by `rendition`. The rest is made
//! afterwards, by jobs that can never fail the end: [`Recordings::follow`] queues them when a recording is ready (or finds,
//! after a crash, that nobody did), whichever worker does them. Objects first, then their rows; what is made twice is the
//! same. Children of `pipeline` decode and encode, `webm` writes the file. This room knows no HTTP.

mod asking;
mod config;
mod film;
mod follow;
mod pictures;
mod plan;
mod served;
mod service;
mod webm;
mod workshop;

pub use asking::{AskError, WebmState, WebmView};
pub use config::{Config, Webm};
pub use pictures::{PICTURES, POSTER, SHEET, STORYBOARD};
pub use served::Served;
pub use service::{Deps, Recordings};
pub use webm::{FILE, WEBM};
