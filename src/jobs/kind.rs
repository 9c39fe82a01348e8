//! What work there is, as a constant of the room that does it.

/// A kind of job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Unique; stays the same for as long as rows have it.
    pub name: &'static str,
    /// One of [`priority`].
    pub priority: i64,
    /// How many of this kind one process does at a time; at least 1.
    pub concurrency: usize,
    /// How many failed attempts a job has; at least 1.
    pub max_attempts: i64,
}

/// What comes first when there is more work than workers.
pub mod priority {
    /// What a live or its recording waits for.
    pub const LIVE: i64 = 100;
    /// What a member who uploads waits for.
    pub const UPLOAD: i64 = 50;
    /// What nobody waits for.
    pub const UPKEEP: i64 = 0;
}
