//! Recordings: what a live leaves behind.

use super::{Gap, Run, Store, StoreError};
use crate::base::{LiveId, RecordingId, Timestamp};

/// Where a recording stands (design §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordingState {
    /// It grows.
    Recording,
    /// The live has ended; the final index is being written.
    Finishing,
    /// Playable and downloadable from this node.
    Ready,
    /// Nothing of it can be played.
    Failed,
}

/// A recording's row.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Recording {
    /// Time-ordered.
    pub id: RecordingId,
    /// Of which live; one each.
    pub live_id: LiveId,
    /// Where it stands.
    pub state: RecordingState,
    /// When the first session began.
    pub created_at: Timestamp,
    /// When it became `Ready`.
    pub ready_at: Option<Timestamp>,
    /// When all of its bytes were in the object store, read back.
    pub stored_at: Option<Timestamp>,
}

/// A recording with its runs (by rendition, then number) and its gaps (by place).
#[derive(Clone, Debug, PartialEq)]
pub struct WholeRecording {
    /// The row.
    pub recording: Recording,
    /// Its files.
    pub runs: Vec<Run>,
    /// Its holes.
    pub gaps: Vec<Gap>,
}

impl Store {
    /// Adds the live's recording, `Recording`, or answers the one that is there (a reconnect).
    ///
    /// # Errors
    /// `NotFound` for an unknown live.
    pub async fn create_recording(
        &self,
        _id: RecordingId,
        _live: LiveId,
        _at: Timestamp,
    ) -> Result<Recording, StoreError> {
        unimplemented!()
    }

    /// The live's recording, with its runs and gaps.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recording_of(&self, _live: LiveId) -> Result<Option<WholeRecording>, StoreError> {
        unimplemented!()
    }

    /// The recordings that stand there, oldest first: what a start of the server finishes.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recordings_in(
        &self,
        _state: RecordingState,
    ) -> Result<Vec<Recording>, StoreError> {
        unimplemented!()
    }

    /// Moves a recording on; the first `Ready` sets `ready_at`.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn set_recording_state(
        &self,
        _id: RecordingId,
        _state: RecordingState,
        _at: Timestamp,
    ) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// Notes that the object store has all of it.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn set_recording_stored(
        &self,
        _id: RecordingId,
        _at: Timestamp,
    ) -> Result<(), StoreError> {
        unimplemented!()
    }
}
