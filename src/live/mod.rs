//! A live's life: who may publish, publish sessions, one owner task per live, graces, state machine.
//!
//! Media enters through [`Publisher`], leaves through [`Playback`]. What is said of a live in the API is its
//! [`LiveView`]. This room knows no protocol: `ingest` speaks with encoders, `http` with viewers.

mod audience;
mod config;
mod deps;
mod doctor;
mod error;
mod ladder;
mod lives;
mod making;
mod owner;
mod playback;
mod poster;
mod publisher;
mod resume;
mod room;
mod rows;
mod rungs;
mod running;
mod shedding;
mod standing;
mod state;
mod steps;
#[cfg(test)]
mod tests;
mod transcoder;
mod vitals;

pub use crate::rendition::{Media, Survived};
pub use config::{Config, LadderWish, Latency};
pub use deps::Deps;
pub use doctor::{Finding, FindingCode, Numbers, Severity};
pub use error::LiveError;
pub use lives::{Actor, LiveView, Lives, StartLive, StartedLive, StoppedLive};
pub use making::ladders_that_fit;
pub use playback::Playback;
#[cfg(test)]
pub(crate) use publisher::Listening;
pub use publisher::{Closing, PublishRefusal, PublishRequest, Publisher, SessionEnd};
pub use resume::Resumed;
pub use standing::{ChildView, LadderView, NoLadder, Poster, Rung, RungState};
