//! What every room stands on: ids, clock, randomness, error kinds, redacted secrets, events, places for connections.
//!
//! Nothing here knows about media, HTTP or storage. The wall clock and the random source live here
//! and are banned elsewhere, so that a test can hold both still.

mod clock;
mod error;
mod event;
mod ids;
mod random;
mod secret;
mod slots;
mod tasks;

pub use clock::{Clock, Timestamp};
pub use error::ErrorKind;
pub use event::{Event, Events};
pub use ids::{IdMaker, JobId, LiveId, MediaId, RecordingId, RunId, SessionId, UploadId, UserId};
pub use random::{random_array, random_hex};
pub use secret::Secret;
pub use slots::{Slot, Slots};
pub use tasks::{Tasks, blocking};
