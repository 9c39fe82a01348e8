//! Publish sessions: one row for each connection of an encoder in a live.

use super::db::{one, read, sql, write};
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

sql! {
    INSERT = "insert into publish_sessions (id, live_id, started_at, protocol, encoder)
        values ($1, $2, $3, $4, $5)
        returning *";
    SET_ENCODER = "update publish_sessions set encoder = $2 where id = $1";
    CLOSE = "update publish_sessions set end_reason = coalesce(end_reason, $2),
            ended_at = coalesce(ended_at, $3)
        where id = $1";
    CLOSE_OPEN = "update publish_sessions set end_reason = $1, ended_at = $2 where ended_at is null";
    OF_LIVE = "select * from publish_sessions where live_id = $1 order by id";
}

impl Store {
    /// Adds a session that runs.
    ///
    /// # Errors
    /// `NotFound` for an unknown live.
    pub async fn open_session(&self, new: &NewSession) -> Result<PublishSession, StoreError> {
        let row = write!(self, pool => sqlx::query_as(INSERT)
            .bind(new.id)
            .bind(new.live_id)
            .bind(new.at)
            .bind(&new.protocol)
            .bind(&new.encoder)
            .fetch_one(pool)
            .await)?;
        Ok(row)
    }

    /// Notes the encoder's name when it comes late (onMetaData).
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn set_session_encoder(
        &self,
        id: SessionId,
        encoder: &str,
    ) -> Result<(), StoreError> {
        one(
            write!(self, pool => sqlx::query(SET_ENCODER).bind(id).bind(encoder)
            .execute(pool).await?.rows_affected()),
        )
    }

    /// Ends a session; one that has ended keeps its end.
    ///
    /// # Errors
    /// `NotFound` for an unknown session.
    pub async fn close_session(
        &self,
        id: SessionId,
        end_reason: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        one(
            write!(self, pool => sqlx::query(CLOSE).bind(id).bind(end_reason).bind(at)
            .execute(pool).await?.rows_affected()),
        )
    }

    /// Ends every session that still runs: what a start of the server does with those a crash left.
    /// Answers how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn close_open_sessions(
        &self,
        end_reason: &str,
        at: Timestamp,
    ) -> Result<u64, StoreError> {
        Ok(
            write!(self, pool => sqlx::query(CLOSE_OPEN).bind(end_reason).bind(at)
            .execute(pool).await?.rows_affected()),
        )
    }

    /// A live's sessions, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sessions_of(&self, live: LiveId) -> Result<Vec<PublishSession>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(OF_LIVE).bind(live).fetch_all(pool).await)?)
    }
}
