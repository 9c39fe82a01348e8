//! GStreamer in child processes: what they find, what comes out, what they may not do.

#![expect(
    clippy::unwrap_used,
    reason = "what a tool prints is what it prints; a test ends there"
)]

mod costs;
mod films;
mod fuzzing;
mod ladder;
mod ladder_falls;
mod locked;
mod probing;
mod rungs;
mod streaming;
