//! Recordings: what a live leaves behind.

use super::db::{in_tx, one, read, sql, unsigned, write};
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

sql! {
    INSERT = "insert into recordings (id, live_id, state, created_at) values ($1, $2, 'recording', $3)
        on conflict (live_id) do nothing";
    OF_LIVE = "select * from recordings where live_id = $1";
    RUNS = "select * from runs where recording_id = $1 order by rendition, number";
    IN_STATE = "select * from recordings where state = $1 order by id";
    SET_STATE = "update recordings set state = $2,
            ready_at = case when $2 = 'ready' then coalesce(ready_at, $3) else ready_at end
        where id = $1";
    EXISTS = "select count(*) from recordings where id = $1";
    SET_STORED = "update recordings set stored_at = $2
        where id = $1 and stored_at is null and not exists
            (select 1 from runs where recording_id = $1 and stored_at is null)";
}

impl Store {
    /// Adds the live's recording, `Recording`, or answers the one that is there (a reconnect).
    ///
    /// # Errors
    /// `NotFound` for an unknown live.
    pub async fn create_recording(
        &self,
        id: RecordingId,
        live: LiveId,
        at: Timestamp,
    ) -> Result<Recording, StoreError> {
        let row = in_tx!(self, tx => {
            sqlx::query(INSERT).bind(id).bind(live).bind(at).execute(&mut *tx).await?;
            sqlx::query_as(OF_LIVE).bind(live).fetch_one(&mut *tx).await?
        });
        Ok(row)
    }

    /// The live's recording, with its runs and gaps.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recording_of(&self, live: LiveId) -> Result<Option<WholeRecording>, StoreError> {
        let recording: Option<Recording> =
            read!(self, pool => sqlx::query_as(OF_LIVE).bind(live).fetch_optional(pool).await)?;
        let Some(recording) = recording else {
            return Ok(None);
        };
        let runs = read!(self, pool => sqlx::query_as(RUNS).bind(recording.id)
            .fetch_all(pool).await)?;
        let gaps = self.gaps(recording.id).await?;
        Ok(Some(WholeRecording {
            recording,
            runs,
            gaps,
        }))
    }

    /// The recordings that stand there, oldest first: what a start of the server finishes.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recordings_in(&self, state: RecordingState) -> Result<Vec<Recording>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(IN_STATE).bind(state).fetch_all(pool).await)?)
    }

    /// Moves a recording on; the first `Ready` sets `ready_at`.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn set_recording_state(
        &self,
        id: RecordingId,
        state: RecordingState,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        one(
            write!(self, pool => sqlx::query(SET_STATE).bind(id).bind(state).bind(at)
            .execute(pool).await?.rows_affected()),
        )
    }

    /// Notes that the object store has all of it, if that is so: every run is stored.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn set_recording_stored(
        &self,
        id: RecordingId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let known: i64 =
            read!(self, pool => sqlx::query_scalar(EXISTS).bind(id).fetch_one(pool).await)?;
        one(unsigned(known))?;
        write!(self, pool => sqlx::query(SET_STORED).bind(id).bind(at)
            .execute(pool).await.map(|_| ()))?;
        Ok(())
    }
}
