//! The only GStreamer: child processes that probe, demux, transcode and draw, without sockets and under limits.
//!
//! Outside a child nothing of GStreamer runs: a file that crashes or hangs a decoder takes its child with it.
