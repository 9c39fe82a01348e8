//! Publish sessions: one row for each connection of an encoder in a live.

use super::{Store, StoreError};
use crate::base::{LiveId, SessionId, Timestamp};

/// One connection of an encoder.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct PublishSession {
    /// Time-ordered.
    pub id: SessionId,
    /// In which live.
    pub live_id: LiveId,
    /// When the publish was accepted.
    pub started_at: Timestamp,
    /// When it was over; `None` while it runs.
    pub ended_at: Option<Timestamp>,
    /// `rtmp`, `rtmps`, `whip`.
    pub protocol: String,
    /// The encoder's own name for itself.
    pub encoder: Option<String>,
    /// How it ended: `goodbye`, `dropped`, `protocol`, `stopped`, `taken_over`, `shutdown`, `crash`.
    pub end_reason: Option<String>,
}

/// What a new session's row is made from.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Made by `IdMaker`.
    pub id: SessionId,
    /// In which live.
    pub live_id: LiveId,
    /// `rtmp`, `rtmps`, `whip`.
    pub protocol: String,
    /// The encoder's own name for itself.
    pub encoder: Option<String>,
    /// Now.
    pub at: Timestamp,
}

impl Store {
    /// Adds a session that runs.
    ///
    /// # Errors
    /// `NotFound` for an unknown live.
    pub async fn open_session(&self, _new: &NewSession) -> Result<PublishSession, StoreError> {
        unimplemented!()
    }

    /// Notes the encoder's name when it comes late (onMetaData).
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn set_session_encoder(
        &self,
        _id: SessionId,
        _encoder: &str,
    ) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// Ends a session; one that has ended keeps its end.
    ///
    /// # Errors
    /// `NotFound` for an unknown session.
    pub async fn close_session(
        &self,
        _id: SessionId,
        _end_reason: &str,
        _at: Timestamp,
    ) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// Ends every session that still runs: what a start of the server does with those a crash left.
    /// Answers how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn close_open_sessions(
        &self,
        _end_reason: &str,
        _at: Timestamp,
    ) -> Result<u64, StoreError> {
        unimplemented!()
    }

    /// A live's sessions, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sessions_of(&self, _live: LiveId) -> Result<Vec<PublishSession>, StoreError> {
        unimplemented!()
    }
}
