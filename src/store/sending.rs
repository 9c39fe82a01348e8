//! What of a run is on its way to the object store.

use super::db::{in_tx, read, sql, write};
use super::{Run, Store, StoreError};
use crate::base::{RunId, Timestamp};

/// The multipart upload of a run.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct RunUpload {
    /// Of which run; at most one each.
    pub run_id: RunId,
    /// The server's name for it.
    pub upload_id: String,
    /// When it began: servers sweep old ones.
    pub started_at: Timestamp,
}

/// A part of it that the server has taken.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct RunPart {
    /// Of which run.
    pub run_id: RunId,
    /// From 1.
    pub number: i64,
    /// 32 bytes.
    pub sha256: Vec<u8>,
    /// The server's own, quotes included.
    pub etag: String,
}

sql! {
    UNSTORED = "select * from runs
        where state = 'final' and (stored_at is null or tree_sha256 is null) order by id";
    UPLOAD = "select * from run_uploads where run_id = $1";
    UPLOADS = "select * from run_uploads order by run_id";
    PARTS = "select * from run_parts where run_id = $1 order by number";
    BEGIN = "insert into run_uploads (run_id, upload_id, started_at) values ($1, $2, $3)
        on conflict (run_id) do update set
            upload_id = excluded.upload_id, started_at = excluded.started_at";
    ADD_PART = "insert into run_parts (run_id, number, sha256, etag) values ($1, $2, $3, $4)
        on conflict (run_id, number) do update set sha256 = excluded.sha256, etag = excluded.etag";
    FORGET_PART = "delete from run_parts where run_id = $1 and number = $2";
    FORGET_PARTS = "delete from run_parts where run_id = $1";
    FORGET_UPLOAD = "delete from run_uploads where run_id = $1";
    LOCK_RECORDING = "update recordings set stored_at = stored_at
        where id = (select recording_id from runs where id = $1)";
    STORED = "update runs set path = $2, tree_sha256 = $3, stored_at = $4
        where id = $1 and state = 'final' returning *";
    RECORDING_STORED = "update recordings set stored_at = $2
        where id = $1 and state = 'ready' and stored_at is null and not exists
            (select 1 from runs where recording_id = $1 and stored_at is null)";
    OBJECT_NAMED = "select count(*) from runs where path = $1";
}

impl Store {
    /// Final runs that are not stored or not hashed yet, oldest first: what a start of the server goes on with.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unstored_runs(&self) -> Result<Vec<Run>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(UNSTORED).fetch_all(pool).await)?)
    }

    /// The upload of a run and its parts, by number.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run_upload(
        &self,
        run: RunId,
    ) -> Result<Option<(RunUpload, Vec<RunPart>)>, StoreError> {
        let upload: Option<RunUpload> =
            read!(self, pool => sqlx::query_as(UPLOAD).bind(run).fetch_optional(pool).await)?;
        let Some(upload) = upload else {
            return Ok(None);
        };
        let parts = read!(self, pool => sqlx::query_as(PARTS).bind(run).fetch_all(pool).await)?;
        Ok(Some((upload, parts)))
    }

    /// Every upload that a row knows.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run_uploads(&self) -> Result<Vec<RunUpload>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(UPLOADS).fetch_all(pool).await)?)
    }

    /// Notes a new upload of a run, in place of an earlier one and its parts.
    ///
    /// # Errors
    /// `NotFound` for an unknown run.
    pub async fn begin_run_upload(&self, upload: &RunUpload) -> Result<(), StoreError> {
        in_tx!(self, tx => {
            sqlx::query(FORGET_PARTS).bind(upload.run_id).execute(&mut *tx).await?;
            sqlx::query(BEGIN)
                .bind(upload.run_id)
                .bind(&upload.upload_id)
                .bind(upload.started_at)
                .execute(&mut *tx)
                .await?;
        });
        Ok(())
    }

    /// Notes a part that the server has taken, in place of an earlier one of this number.
    ///
    /// # Errors
    /// `NotFound` for an unknown run.
    pub async fn add_run_part(&self, part: &RunPart) -> Result<(), StoreError> {
        write!(self, pool => sqlx::query(ADD_PART)
            .bind(part.run_id)
            .bind(part.number)
            .bind(&part.sha256)
            .bind(&part.etag)
            .execute(pool)
            .await
            .map(|_| ()))?;
        Ok(())
    }

    /// Forgets a part: it will be sent again.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_run_part(&self, run: RunId, number: i64) -> Result<(), StoreError> {
        write!(self, pool => sqlx::query(FORGET_PART).bind(run).bind(number)
            .execute(pool).await.map(|_| ()))?;
        Ok(())
    }

    /// Forgets a run's upload and its parts.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_run_upload(&self, run: RunId) -> Result<(), StoreError> {
        in_tx!(self, tx => {
            sqlx::query(FORGET_PARTS).bind(run).execute(&mut *tx).await?;
            sqlx::query(FORGET_UPLOAD).bind(run).execute(&mut *tx).await?;
        });
        Ok(())
    }

    /// Notes that a final run's object is there and was read back; its recording is stored with its last run,
    /// once it is `Ready`. Forgets the upload.
    ///
    /// # Errors
    /// `NotFound` for a run that is unknown or grows.
    pub async fn store_run(
        &self,
        run: RunId,
        path: &str,
        tree_sha256: &str,
        at: Timestamp,
    ) -> Result<Run, StoreError> {
        let row = in_tx!(self, tx => {
            // First, or two transactions that see each other's row as it was would both leave it unstored.
            sqlx::query(LOCK_RECORDING).bind(run).execute(&mut *tx).await?;
            let row: Run = sqlx::query_as(STORED)
                .bind(run)
                .bind(path)
                .bind(tree_sha256)
                .bind(at)
                .fetch_one(&mut *tx)
                .await?;
            sqlx::query(FORGET_PARTS).bind(run).execute(&mut *tx).await?;
            sqlx::query(FORGET_UPLOAD).bind(run).execute(&mut *tx).await?;
            sqlx::query(RECORDING_STORED)
                .bind(row.recording_id)
                .bind(at)
                .execute(&mut *tx)
                .await?;
            row
        });
        Ok(row)
    }

    /// Whether a run's row names this path.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_named_by_a_run(&self, path: &str) -> Result<bool, StoreError> {
        let count: i64 =
            read!(self, pool => sqlx::query_scalar(OBJECT_NAMED).bind(path).fetch_one(pool).await)?;
        Ok(count > 0)
    }
}
