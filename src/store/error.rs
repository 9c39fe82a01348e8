//! What a caller of the store can decide upon.

use crate::base::{ErrorKind, LiveId};

/// Why a call on the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The row that was to be changed, or one that a new row points at, is not there.
    #[error("there is no such row")]
    NotFound,
    /// A unique column holds this value already; the name is `table.column`
    /// (`users.email`, `users.username`, …).
    #[error("{0} is taken")]
    Conflict(&'static str),
    /// The owner has a live that has not ended: this one.
    #[error("live {0} of this member has not ended")]
    LiveOpen(LiveId),
    /// The database cannot be reached, is full, or stays locked past the busy timeout.
    #[error("the database is away: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// The database cannot be opened with this configuration; the text names the cause.
    #[error("{0}")]
    Config(String),
    /// The schema cannot be brought to this program's version.
    #[error("migration failed: {0}")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// A statement or a row that this program does not understand: our fault.
    #[error("database error: {0}")]
    Broken(#[source] sqlx::Error),
}

impl StoreError {
    /// What the caller's caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound => ErrorKind::NotFound,
            Self::Conflict(_) | Self::LiveOpen(_) => ErrorKind::Conflict,
            Self::Unavailable(_) => ErrorKind::Unavailable,
            Self::Config(_) | Self::Migration(_) | Self::Broken(_) => ErrorKind::Internal,
        }
    }
}
