//! What a live leaves behind beside its runs: a WebM of all of it, its poster, its storyboard.

use super::db::{in_tx, one, read, sql};
use super::jobs::Enqueue;
use super::{NewJob, Recording, Store, StoreError};
use crate::av::Ticks;
use crate::base::{RecordingId, Timestamp};

/// A file of a recording.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct RecordingFile {
    /// Of which recording.
    pub recording_id: RecordingId,
    /// The last piece of its address: `recording.webm`, `poster.jpg`.
    pub name: String,
    /// Its object key.
    pub path: String,
    /// With which it is served.
    pub content_type: String,
    /// Its length.
    pub bytes: i64,
    /// How long it plays, 90 kHz; `None` for what stands still.
    pub duration: Option<Ticks>,
    /// Pixels, if it is a picture or has one.
    pub width: Option<i64>,
    /// Pixels.
    pub height: Option<i64>,
    /// Strong, without quotes.
    pub etag: String,
    /// When its object was there.
    pub created_at: Timestamp,
}

/// What a new [`RecordingFile`] is made from; its object is there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecordingFile {
    /// The last piece of its address; letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// Its object key.
    pub path: String,
    /// With which it is served.
    pub content_type: String,
    /// Its length.
    pub bytes: u64,
    /// How long it plays, 90 kHz.
    pub duration: Option<Ticks>,
    /// Pixels.
    pub width: Option<u32>,
    /// Pixels.
    pub height: Option<u32>,
    /// Strong, without quotes.
    pub etag: String,
}

/// A file with what its answer needs of the live.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct ServedRecordingFile {
    /// The file.
    #[sqlx(flatten)]
    pub file: RecordingFile,
    /// The live's title: for the name of a download.
    pub title: String,
    /// When the live began.
    pub began_at: Timestamp,
}

sql! {
    PUT = "insert into recording_files
            (recording_id, name, path, content_type, bytes, duration, width, height, etag, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        on conflict (recording_id, name) do update set path = excluded.path, content_type = excluded.content_type,
            bytes = excluded.bytes, duration = excluded.duration, width = excluded.width, height = excluded.height,
            etag = excluded.etag, created_at = excluded.created_at";
    FILES = "select * from recording_files where recording_id = $1 order by name";
    EVERY = "select * from recording_files order by recording_id, name";
    SERVED = "select recording_files.*, lives.title, coalesce(lives.started_at, lives.created_at) as began_at
        from recording_files join recordings on recordings.id = recording_files.recording_id
            join lives on lives.id = recordings.live_id
        where lives.playback_id = $1 and recording_files.name = $2";
    TO_FOLLOW_UP = "select * from recordings
        where state = 'ready' and live_id is not null and followed_up_at is null order by id limit $1";
    FOLLOW_UP = "update recordings set followed_up_at = $2 where id = $1 and followed_up_at is null";
}

impl Store {
    /// Adds files of a recording, all or none; one of a name that is there is replaced.
    ///
    /// # Errors
    /// `NotFound` for an unknown recording.
    pub async fn put_recording_files(
        &self,
        recording: RecordingId,
        files: &[NewRecordingFile],
        at: Timestamp,
    ) -> Result<(), StoreError> {
        in_tx!(self, tx => {
            for file in files {
                sqlx::query(PUT)
                    .bind(recording)
                    .bind(&file.name)
                    .bind(&file.path)
                    .bind(&file.content_type)
                    .bind(i64::try_from(file.bytes).unwrap_or(i64::MAX))
                    .bind(file.duration)
                    .bind(file.width.map(i64::from))
                    .bind(file.height.map(i64::from))
                    .bind(&file.etag)
                    .bind(at)
                    .execute(&mut *tx)
                    .await?;
            }
        });
        Ok(())
    }

    /// A recording's files, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recording_files(
        &self,
        recording: RecordingId,
    ) -> Result<Vec<RecordingFile>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(FILES).bind(recording).fetch_all(pool).await)?)
    }

    /// The files of all recordings.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn every_recording_file(&self) -> Result<Vec<RecordingFile>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(EVERY).fetch_all(pool).await)?)
    }

    /// A file of a live's recording, as its address names it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn served_recording_file(
        &self,
        playback_id: &str,
        name: &str,
    ) -> Result<Option<ServedRecordingFile>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(SERVED)
            .bind(playback_id)
            .bind(name)
            .fetch_optional(pool)
            .await)?)
    }

    /// Recordings of lives that are ready and whose jobs were not queued yet, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recordings_to_follow_up(&self, most: i64) -> Result<Vec<Recording>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(TO_FOLLOW_UP).bind(most).fetch_all(pool).await)?)
    }

    /// Queues what follows a recording's end, once: with the note that it was done.
    ///
    /// # Errors
    /// `NotFound` when it was done before, or the recording is unknown; nothing is queued then.
    pub async fn follow_up_recording(
        &self,
        recording: RecordingId,
        jobs: &[NewJob],
        at: Timestamp,
    ) -> Result<(), StoreError> {
        in_tx!(self, tx => {
            one(sqlx::query(FOLLOW_UP)
                .bind(recording)
                .bind(at)
                .execute(&mut *tx)
                .await?
                .rows_affected())?;
            for job in jobs {
                (*tx).enqueue(job).await?;
            }
        });
        Ok(())
    }
}
