//! Work that outlives a request: rows with a lease, done by whichever worker takes them, again until they are done.
//!
//! Knows no kind of work: `app/start.rs` registers them.
