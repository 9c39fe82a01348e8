//! Why a call on a live failed.

use crate::base::{ErrorKind, LiveId};
use crate::store::StoreError;

/// What a caller of [`super::Lives`] can decide upon.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The owner has no quartier (contract §1.8).
    #[error("the owner has no quartier")]
    NoQuartier,
    /// The owner has a live already: this one.
    #[error("the owner is live already")]
    AlreadyLive(LiveId),
    /// No such live, or no such member.
    #[error("there is no such live")]
    NotFound,
    /// Only the owner or an admin may.
    #[error("only the owner or an admin may do this")]
    Forbidden,
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
    /// The rows failed.
    #[error(transparent)]
    Store(StoreError),
    /// What was recorded cannot be read.
    #[error("the replay cannot be read: {0}")]
    Replay(#[source] crate::rendition::RenditionError),
    /// A member's key could not be read or made.
    #[error("the stream key is not to be had: {0}")]
    Key(#[source] crate::accounts::AccountsError),
}

impl LiveError {
    /// What the caller's caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoQuartier => ErrorKind::Invalid,
            Self::AlreadyLive(_) => ErrorKind::Conflict,
            Self::NotFound => ErrorKind::NotFound,
            Self::Forbidden => ErrorKind::Forbidden,
            Self::Stopping => ErrorKind::Unavailable,
            Self::Store(error) => error.kind(),
            Self::Replay(error) => error.kind(),
            Self::Key(error) => error.kind(),
        }
    }
}

impl From<StoreError> for LiveError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::LiveOpen(live) => Self::AlreadyLive(live),
            StoreError::NotFound => Self::NotFound,
            other => Self::Store(other),
        }
    }
}
