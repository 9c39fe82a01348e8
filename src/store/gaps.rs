//! Gaps: where a recording lacks what was, or could have been, sent.

use super::db::{one, read, sql, write};
use super::{Store, StoreError};
use crate::av::Ticks;
use crate::base::{RecordingId, Timestamp};

/// Why something is missing (design §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GapCause {
    /// The encoder was gone.
    Encoder,
    /// The disk was full or too slow.
    Disk,
}

/// A gap's row.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct Gap {
    /// Time-ordered; made by `IdMaker`.
    pub id: i64,
    /// Of which recording.
    pub recording_id: RecordingId,
    /// Where on the recording's timeline, 90 kHz.
    pub at: Ticks,
    /// When it began.
    pub started_at: Timestamp,
    /// How long nothing was kept; `None` while the gap is open.
    pub seconds: Option<f64>,
    /// Why.
    pub cause: GapCause,
}

/// What a new gap's row is made from.
#[derive(Clone, Debug)]
pub struct NewGap {
    /// Made by `IdMaker`.
    pub id: i64,
    /// Of which recording.
    pub recording_id: RecordingId,
    /// Where on the recording's timeline, 90 kHz.
    pub at: Ticks,
    /// When it began.
    pub started_at: Timestamp,
    /// How long, if that is known already.
    pub seconds: Option<f64>,
    /// Why.
    pub cause: GapCause,
}

sql! {
    INSERT = "insert into gaps (id, recording_id, at, started_at, seconds, cause)
        values ($1, $2, $3, $4, $5, $6)
        returning *";
    CLOSE = "update gaps set seconds = coalesce(seconds, $2) where id = $1";
    OF_RECORDING = "select * from gaps where recording_id = $1 order by at, id";
}

impl Store {
    /// Adds a gap.
    ///
    /// # Errors
    /// `NotFound` for an unknown recording.
    pub async fn add_gap(&self, new: &NewGap) -> Result<Gap, StoreError> {
        let row = write!(self, pool => sqlx::query_as(INSERT)
            .bind(new.id)
            .bind(new.recording_id)
            .bind(new.at)
            .bind(new.started_at)
            .bind(new.seconds)
            .bind(new.cause)
            .fetch_one(pool)
            .await)?;
        Ok(row)
    }

    /// Says how long an open gap was; a closed one keeps its length.
    ///
    /// # Errors
    /// `NotFound` for an unknown gap.
    pub async fn close_gap(&self, id: i64, seconds: f64) -> Result<(), StoreError> {
        one(
            write!(self, pool => sqlx::query(CLOSE).bind(id).bind(seconds)
            .execute(pool).await?.rows_affected()),
        )
    }

    /// A recording's gaps by place.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn gaps(&self, recording: RecordingId) -> Result<Vec<Gap>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(OF_RECORDING).bind(recording).fetch_all(pool).await)?)
    }
}
