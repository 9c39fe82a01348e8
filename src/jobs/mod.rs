//! Work that outlives a request: rows with a lease, done by whichever worker takes them, again until they are done.
//!
//! [`Jobs`] enqueues, cancels and tells progress; [`Registry`] says what this process can do; [`Workers`] do it.
//! Knows no kind of work: `app/start.rs` registers them. A job may be done twice in part, when its process dies or
//! is cut off from the database for longer than the lease, so what it does must be the same the second time; that it
//! is *done* is noted once.

mod attempt;
mod config;
mod context;
mod error;
mod kind;
mod queue;
mod registry;
mod telling;
#[cfg(test)]
mod tests;
mod upkeep;
mod workers;

pub use config::Config;
pub use context::JobContext;
pub use error::JobError;
pub use kind::{Kind, priority};
pub use queue::Jobs;
pub use registry::Registry;
pub use workers::Workers;
