//! GStreamer in child processes: what they find, what comes out, what they may not do.

mod films;
mod probing;
mod streaming;
