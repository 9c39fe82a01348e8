//! A live's life: stream keys, publish sessions, one owner task per live, graces, state machine.

mod publisher;

pub use publisher::{Closing, Media, PublishRefusal, PublishRequest, Publisher, SessionEnd};
