//! Recordings: what a live leaves behind, and what becomes of a member's video.

use super::db::{in_tx, one, read, sql, unsigned, write};
use super::{Gap, RecordingFile, Run, Store, StoreError};
use crate::base::{LiveId, MediaId, RecordingId, Timestamp};

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
    /// Of which live; one each. `None` for a video's.
    pub live_id: Option<LiveId>,
    /// Of which video; one each. `None` for a live's.
    pub media_id: Option<MediaId>,
    /// Where it stands. A video's is `Finishing` from its first rendition on, and `Ready` with its last.
    pub state: RecordingState,
    /// When the first session began; when the video's first rendition did.
    pub created_at: Timestamp,
    /// When it became `Ready`.
    pub ready_at: Option<Timestamp>,
    /// When all of its bytes were in the object store, read back.
    pub stored_at: Option<Timestamp>,
    /// When the jobs that follow its end were queued; a live's only.
    pub followed_up_at: Option<Timestamp>,
}

/// A recording with its runs (by rendition, then number), its gaps (by place) and its files (by name).
#[derive(Clone, Debug, PartialEq)]
pub struct WholeRecording {
    /// The row.
    pub recording: Recording,
    /// Its files.
    pub runs: Vec<Run>,
    /// Its holes.
    pub gaps: Vec<Gap>,
    /// What was made of it.
    pub files: Vec<RecordingFile>,
}

sql! {
    INSERT = "insert into recordings (id, live_id, state, created_at) values ($1, $2, 'recording', $3)
        on conflict (live_id) do nothing";
    OF_LIVE = "select * from recordings where live_id = $1";
    INSERT_OF_MEDIA = "insert into recordings (id, media_id, state, created_at)
        values ($1, $2, 'recording', $3) on conflict (media_id) do nothing";
    OF_MEDIA = "select * from recordings where media_id = $1";
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
        match recording {
            Some(recording) => self.whole_recording(recording).await.map(Some),
            None => Ok(None),
        }
    }

    /// The same of a video: adds its recording, `Recording`, or answers the one that is there (an earlier try).
    ///
    /// # Errors
    /// `NotFound` for an unknown medium.
    pub async fn create_media_recording(
        &self,
        id: RecordingId,
        media: MediaId,
        at: Timestamp,
    ) -> Result<Recording, StoreError> {
        let row = in_tx!(self, tx => {
            sqlx::query(INSERT_OF_MEDIA).bind(id).bind(media).bind(at).execute(&mut *tx).await?;
            sqlx::query_as(OF_MEDIA).bind(media).fetch_one(&mut *tx).await?
        });
        Ok(row)
    }

    /// A video's recording, with its runs.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recording_of_media(
        &self,
        media: MediaId,
    ) -> Result<Option<WholeRecording>, StoreError> {
        let recording: Option<Recording> =
            read!(self, pool => sqlx::query_as(OF_MEDIA).bind(media).fetch_optional(pool).await)?;
        match recording {
            Some(recording) => self.whole_recording(recording).await.map(Some),
            None => Ok(None),
        }
    }

    /// What belongs to a recording.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn whole_recording(
        &self,
        recording: Recording,
    ) -> Result<WholeRecording, StoreError> {
        let runs = self.runs_of(recording.id).await?;
        let gaps = self.gaps(recording.id).await?;
        let files = self.recording_files(recording.id).await?;
        Ok(WholeRecording {
            recording,
            runs,
            gaps,
            files,
        })
    }

    /// A recording's runs, by rendition, then number.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn runs_of(&self, recording: RecordingId) -> Result<Vec<Run>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(RUNS).bind(recording)
            .fetch_all(pool).await)?)
    }

    /// The recordings that stand there, of lives and of videos, oldest first.
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
