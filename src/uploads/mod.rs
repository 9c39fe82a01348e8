//! Bytes that members send: one resumable upload behind every door, judged by content before anything is served.
