//! GStreamer in child processes: what they find, what comes out, what they may not do.

mod costs;
mod films;
mod fuzzing;
mod locked;
mod probing;
mod streaming;
