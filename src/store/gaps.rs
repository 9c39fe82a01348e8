//! Gaps: where a recording lacks what was, or could have been, sent.

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

impl Store {
    /// Adds a gap.
    ///
    /// # Errors
    /// `NotFound` for an unknown recording.
    pub async fn add_gap(&self, _new: &NewGap) -> Result<Gap, StoreError> {
        unimplemented!()
    }

    /// Says how long an open gap was; a closed one keeps its length.
    ///
    /// # Errors
    /// `NotFound` for an unknown gap.
    pub async fn close_gap(&self, _id: i64, _seconds: f64) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// A recording's gaps by place.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn gaps(&self, _recording: RecordingId) -> Result<Vec<Gap>, StoreError> {
        unimplemented!()
    }
}
