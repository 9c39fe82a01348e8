//! Runs: the rendition files of a recording.

use super::db::{one, read, sql, write};
use super::{Store, StoreError};
use crate::av::Ticks;
use crate::base::{RecordingId, RunId, Timestamp};

/// Whether a file still grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunState {
    /// Parts are appended; not a plain MP4 yet.
    Growing,
    /// Its final index is written: a plain MP4 that never changes.
    Final,
}

/// A rendition file's row.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct Run {
    /// Time-ordered.
    pub id: RunId,
    /// Of which recording.
    pub recording_id: RecordingId,
    /// `source`, or a rung's name.
    pub rendition: String,
    /// 0, 1, … within recording and rendition.
    pub number: i64,
    /// Path in the spool, or the object's key.
    pub path: String,
    /// Where it begins on the recording's timeline, 90 kHz.
    pub timeline_start: Ticks,
    /// The wall clock at its first picture.
    pub started_at: Timestamp,
    /// `h264`, `hevc`, `av1`, `vp9`.
    pub video_codec: Option<String>,
    /// `aac`, `opus`, `mp3`.
    pub audio_codec: Option<String>,
    /// Pixels.
    pub width: Option<i64>,
    /// Pixels.
    pub height: Option<i64>,
    /// The CODECS attribute.
    pub codecs: String,
    /// The tracks' configuration, opaque to the store.
    pub tracks: Vec<u8>,
    /// Bytes before the first part: where the init section ends.
    pub head_bytes: i64,
    /// Bytes up to the end of the last segment row; of the whole file once `Final`.
    pub bytes: i64,
    /// Sum of its segments, 90 kHz; the exact duration once `Final`.
    pub duration: Ticks,
    /// Whether it still grows.
    pub state: RunState,
    /// SHA-256 of the list of SHA-256 of each 8 MiB, in hexadecimal.
    pub tree_sha256: Option<String>,
    /// A strong entity tag, quotes included; set with `Final`.
    pub etag: Option<String>,
    /// When it became `Final`.
    pub finished_at: Option<Timestamp>,
    /// When its object was in the store, read back; its path is the object's since.
    pub stored_at: Option<Timestamp>,
    /// Pictures per second, where that is known.
    pub frame_rate: Option<f64>,
}

/// What a new run's row is made from.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Made by `IdMaker`.
    pub id: RunId,
    /// Of which recording.
    pub recording_id: RecordingId,
    /// `source`, or a rung's name.
    pub rendition: String,
    /// 0, 1, … within recording and rendition.
    pub number: i64,
    /// Path in the spool.
    pub path: String,
    /// Where it begins on the recording's timeline, 90 kHz.
    pub timeline_start: Ticks,
    /// The wall clock at its first picture.
    pub started_at: Timestamp,
    /// `h264`, `hevc`, `av1`, `vp9`.
    pub video_codec: Option<String>,
    /// `aac`, `opus`, `mp3`.
    pub audio_codec: Option<String>,
    /// Pixels.
    pub width: Option<i64>,
    /// Pixels.
    pub height: Option<i64>,
    /// The CODECS attribute.
    pub codecs: String,
    /// The tracks' configuration, opaque to the store.
    pub tracks: Vec<u8>,
    /// Bytes before the first part.
    pub head_bytes: i64,
}

/// A change of a run, at any time; `None` leaves a column as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunChange {
    /// Path in the spool, or the object's key.
    pub path: Option<String>,
    /// Bytes of the file.
    pub bytes: Option<i64>,
    /// Its duration, 90 kHz.
    pub duration: Option<Ticks>,
    /// Bytes before the first part.
    pub head_bytes: Option<i64>,
    /// See [`Run::tree_sha256`].
    pub tree_sha256: Option<String>,
    /// See [`Run::etag`].
    pub etag: Option<String>,
    /// See [`Run::stored_at`].
    pub stored_at: Option<Timestamp>,
    /// See [`Run::frame_rate`].
    pub frame_rate: Option<f64>,
}

sql! {
    INSERT = "insert into runs (id, recording_id, rendition, number, path, timeline_start, started_at,
            video_codec, audio_codec, width, height, codecs, tracks, head_bytes, bytes, state)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14, 'growing')
        returning *";
    BY_ID = "select * from runs where id = $1";
    IN_SPOOL = "select * from runs where path like 'spool:%' order by id";
    DISCARD = "delete from runs where id = $1";
    GROWING = "select * from runs where state = 'growing' order by id";
    UPDATE = "update runs set
            path = coalesce($2, path),
            bytes = coalesce($3, bytes),
            duration = coalesce($4, duration),
            head_bytes = coalesce($5, head_bytes),
            tree_sha256 = coalesce($6, tree_sha256),
            etag = coalesce($7, etag),
            stored_at = coalesce($8, stored_at),
            frame_rate = coalesce($9, frame_rate)
        where id = $1
        returning *";
    FINISH = "update runs set
            path = coalesce($2, path),
            bytes = coalesce($3, bytes),
            duration = coalesce($4, duration),
            head_bytes = coalesce($5, head_bytes),
            tree_sha256 = coalesce($6, tree_sha256),
            etag = coalesce($7, etag),
            stored_at = coalesce($8, stored_at),
            frame_rate = coalesce($9, frame_rate),
            state = 'final',
            finished_at = coalesce(finished_at, $10)
        where id = $1
        returning *";
}

impl Store {
    /// Adds a run that grows.
    ///
    /// # Errors
    /// `NotFound` for an unknown recording, `Conflict("runs.number")` when rendition and number are taken.
    pub async fn create_run(&self, new: &NewRun) -> Result<Run, StoreError> {
        let row = write!(self, pool => sqlx::query_as(INSERT)
            .bind(new.id)
            .bind(new.recording_id)
            .bind(&new.rendition)
            .bind(new.number)
            .bind(&new.path)
            .bind(new.timeline_start)
            .bind(new.started_at)
            .bind(&new.video_codec)
            .bind(&new.audio_codec)
            .bind(new.width)
            .bind(new.height)
            .bind(&new.codecs)
            .bind(&new.tracks)
            .bind(new.head_bytes)
            .fetch_one(pool)
            .await)?;
        Ok(row)
    }

    /// The run with this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(BY_ID).bind(id).fetch_optional(pool).await)?)
    }

    /// All runs that still grow, oldest first: what a start of the server recovers.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn growing_runs(&self) -> Result<Vec<Run>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(GROWING).fetch_all(pool).await)?)
    }

    /// All runs whose file lies in a spool, growing or final, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn runs_in_spool(&self) -> Result<Vec<Run>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(IN_SPOOL).fetch_all(pool).await)?)
    }

    /// Removes a run and its segments: one that has no media.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn discard_run(&self, id: RunId) -> Result<(), StoreError> {
        one(
            write!(self, pool => sqlx::query(DISCARD).bind(id).execute(pool).await?.rows_affected()),
        )
    }

    /// Changes a run.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn update_run(&self, id: RunId, change: &RunChange) -> Result<Run, StoreError> {
        let row = write!(self, pool => sqlx::query_as(UPDATE)
            .bind(id)
            .bind(&change.path)
            .bind(change.bytes)
            .bind(change.duration)
            .bind(change.head_bytes)
            .bind(&change.tree_sha256)
            .bind(&change.etag)
            .bind(change.stored_at)
            .bind(change.frame_rate)
            .fetch_one(pool)
            .await)?;
        Ok(row)
    }

    /// Changes a run and makes it `Final`.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn finish_run(
        &self,
        id: RunId,
        change: &RunChange,
        at: Timestamp,
    ) -> Result<Run, StoreError> {
        let row = write!(self, pool => sqlx::query_as(FINISH)
            .bind(id)
            .bind(&change.path)
            .bind(change.bytes)
            .bind(change.duration)
            .bind(change.head_bytes)
            .bind(&change.tree_sha256)
            .bind(&change.etag)
            .bind(change.stored_at)
            .bind(change.frame_rate)
            .bind(at)
            .fetch_one(pool)
            .await)?;
        Ok(row)
    }
}
