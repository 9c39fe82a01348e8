//! Work that outlives a request: queued in the caller's transaction, held by a lease, done by any process.

use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;

use super::db::{Db, in_tx, read, sql, unsigned, write};
use super::{Store, StoreError};
use crate::base::{JobId, Timestamp};

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JobState {
    /// Waits for a worker, or for its time.
    Queued,
    /// A worker holds its lease.
    Running,
    /// Done.
    Done,
    /// Given up.
    Failed,
    /// Somebody did not want it any more.
    Cancelled,
}

/// A job's row.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Job {
    /// Time-ordered.
    pub id: JobId,
    /// Which work.
    pub kind: String,
    /// JSON, understood by the kind.
    pub payload: String,
    /// What it is about, as in `media:123`.
    pub subject: Option<String>,
    /// When set, only processes on this data folder can do it.
    pub node: Option<String>,
    /// At most one job with this key is queued or running.
    pub dedupe_key: Option<String>,
    /// Larger is sooner.
    pub priority: i64,
    /// Where it stands.
    pub state: JobState,
    /// Not before.
    pub run_at: Timestamp,
    /// Attempts that have begun, those that were given back left out.
    pub attempts: i64,
    /// After so many that failed it is given up.
    pub max_attempts: i64,
    /// Attempts whose process died, or was away for longer than the lease.
    pub lost: i64,
    /// Somebody wants it to end.
    pub cancel_requested: bool,
    /// Of the attempt that runs; who does not know it can change nothing.
    pub lease: Option<String>,
    /// When the lease ends by itself.
    pub lease_until: Option<Timestamp>,
    /// Who holds the lease, or held the last one.
    pub worker: Option<String>,
    /// What it is doing.
    pub stage: Option<String>,
    /// How much of it, 0 to 100.
    pub percent: Option<i64>,
    /// Why the last attempt failed, a word that members may see.
    pub reason: Option<String>,
    /// The same for operators.
    pub last_error: Option<String>,
    /// When it was enqueued.
    pub created_at: Timestamp,
    /// When its first attempt began.
    pub started_at: Option<Timestamp>,
    /// When it was done, given up or cancelled.
    pub ended_at: Option<Timestamp>,
}

/// What a new job's row is made from; `jobs::Jobs::new_job` fills it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// Made by `IdMaker`; the next free one is taken when another process was faster.
    pub id: JobId,
    /// Which work.
    pub kind: String,
    /// JSON.
    pub payload: String,
    /// What it is about, as in `media:123`.
    pub subject: Option<String>,
    /// When set, only processes on this data folder can do it.
    pub node: Option<String>,
    /// At most one job with this key is queued or running.
    pub dedupe_key: Option<String>,
    /// Larger is sooner.
    pub priority: i64,
    /// Not before.
    pub run_at: Timestamp,
    /// At least 1.
    pub max_attempts: i64,
    /// Now.
    pub at: Timestamp,
}

/// What became of a [`NewJob`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enqueued {
    /// The job: the new one, or the one that has its key.
    pub id: JobId,
    /// Whether it is new.
    pub new: bool,
}

/// Who asks for work, and what work it can do now.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    /// Random; names the attempt.
    pub lease: &'a str,
    /// When the lease ends unless it is renewed.
    pub lease_until: Timestamp,
    /// For people.
    pub worker: &'a str,
    /// The data folder it runs on.
    pub node: &'a str,
    /// Kinds with a free place.
    pub kinds: &'a [String],
    /// Now.
    pub at: Timestamp,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobEnd {
    /// The job is done.
    Done,
    /// It is given up.
    Failed {
        /// For members.
        reason: Option<String>,
        /// For operators.
        error: String,
    },
    /// It was not wanted any more.
    Cancelled,
    /// It failed and is tried again.
    Again {
        /// Not before.
        run_at: Timestamp,
        /// For members.
        reason: Option<String>,
        /// For operators.
        error: String,
    },
    /// Its process stops: the attempt does not count, and the next worker may begin at once.
    GivenBack,
}

/// How many jobs of a kind are in a state.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct JobCount {
    /// Which kind.
    pub kind: String,
    /// Which state.
    pub state: JobState,
    /// How many, at least 1.
    pub count: i64,
}

/// Which jobs a list shows; `None` is all.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// Of this kind.
    pub kind: Option<String>,
    /// In this state.
    pub state: Option<JobState>,
}

/// How many ids are tried when other processes made the same in the same millisecond.
const ID_TRIES: usize = 16;

sql! {
    INSERT = "insert into jobs (id, kind, payload, subject, node, dedupe_key, priority, state, run_at,
            attempts, max_attempts, lost, cancel_requested, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, 'queued', $8, 0, $9, 0, false, $10)
        on conflict do nothing";
    ACTIVE = "select id from jobs where dedupe_key = $1 and state in ('queued', 'running')";
    CLAIM_SQLITE = "update jobs set state = 'running', attempts = attempts + 1, lease = $1, lease_until = $2,
            worker = $3, started_at = coalesce(started_at, $4), stage = null, percent = null
        where id = (select id from jobs
            where state = 'queued' and run_at <= $4 and not cancel_requested
                and (node is null or node = $5) and kind in (select value from json_each($6))
            order by priority desc, run_at, id limit 1)
        returning *";
    KEEP = "update jobs set lease_until = $3, stage = $4, percent = $5
        where id = $1 and lease = $2 returning cancel_requested";
    END = "update jobs set state = $3, ended_at = $4, reason = $5, last_error = $6, lease = null, lease_until = null
        where id = $1 and lease = $2 returning *";
    AGAIN = "update jobs set state = 'queued', run_at = $3, reason = $4, last_error = $5,
            lease = null, lease_until = null
        where id = $1 and lease = $2 returning *";
    GIVE_BACK = "update jobs set state = 'queued', attempts = attempts - 1, run_at = $3,
            lease = null, lease_until = null
        where id = $1 and lease = $2 returning *";
    // At once after the first loss; then later each time, or a job that kills its process would do so without rest.
    REAP = "update jobs set state = case when cancel_requested then 'cancelled' else 'queued' end,
            ended_at = case when cancel_requested then cast($1 as bigint) end,
            run_at = cast($1 as bigint) + lost * cast($2 as bigint),
            lost = case when state = 'running' then lost + 1 else lost end,
            last_error = case when state = 'running' then 'its worker is gone' else last_error end,
            lease = null, lease_until = null
        where (state = 'running' and lease_until <= $1) or (state = 'queued' and cancel_requested)
        returning *";
    ABANDON = "update jobs set lease_until = $2 where state = 'running' and worker = $1";
    CANCEL = "update jobs set cancel_requested = true,
            state = case when state = 'queued' then 'cancelled' else state end,
            ended_at = case when state = 'queued' then cast($2 as bigint) end
        where id = $1 and state in ('queued', 'running') returning *";
    RETRY = "update jobs set state = 'queued', attempts = 0, lost = 0, run_at = $2, ended_at = null,
            cancel_requested = false, reason = null, stage = null, percent = null
        where id = $1 and state in ('failed', 'cancelled') returning *";
    BY_ID = "select * from jobs where id = $1";
    ABOUT = "select * from jobs where subject = $1 order by id";
    LIST = "select * from jobs where ($1 is null or state = $1) and ($2 is null or kind = $2)
        order by id desc limit $3";
    COUNT = "select kind, state, count(*) as count from jobs group by kind, state order by kind, state";
    PURGE = "delete from jobs where ended_at <= $1";
}

/// As `CLAIM_SQLITE`, but workers that ask at once do not wait for each other's row: each takes another.
const CLAIM_POSTGRES: &str = "update jobs set state = 'running', attempts = attempts + 1, lease = $1,
        lease_until = $2, worker = $3, started_at = coalesce(started_at, $4), stage = null, percent = null
    where id = (select id from jobs
        where state = 'queued' and run_at <= $4 and not cancel_requested
            and (node is null or node = $5) and kind = any($6)
        order by priority desc, run_at, id limit 1 for update skip locked)
    returning *";

/// Enqueues inside a transaction: `(&mut *tx).enqueue(&new).await?` in any call of the store. The job is there
/// when the transaction is.
pub(super) trait Enqueue {
    /// Adds the job, or finds the queued or running one that has its key.
    async fn enqueue(&mut self, new: &NewJob) -> Result<Enqueued, StoreError>;
}

macro_rules! enqueue_on {
    ($($connection:ty),+) => {$(
        impl Enqueue for $connection {
            async fn enqueue(&mut self, new: &NewJob) -> Result<Enqueued, StoreError> {
                let mut id = new.id;
                for _ in 0..ID_TRIES {
                    let added = sqlx::query(INSERT)
                        .bind(id)
                        .bind(&new.kind)
                        .bind(&new.payload)
                        .bind(&new.subject)
                        .bind(&new.node)
                        .bind(&new.dedupe_key)
                        .bind(new.priority)
                        .bind(new.run_at)
                        .bind(new.max_attempts)
                        .bind(new.at)
                        .execute(&mut *self)
                        .await?
                        .rows_affected();
                    if added == 1 {
                        return Ok(Enqueued { id, new: true });
                    }
                    let active: Option<JobId> = sqlx::query_scalar(ACTIVE)
                        .bind(&new.dedupe_key)
                        .fetch_optional(&mut *self)
                        .await?;
                    if let Some(id) = active {
                        return Ok(Enqueued { id, new: false });
                    }
                    // Another process made this id in the same millisecond, or the job with the key has just ended.
                    id = JobId(id.0 + 1);
                }
                Err(StoreError::Conflict("jobs.id"))
            }
        }
    )+};
}

enqueue_on!(SqliteConnection, PgConnection);

impl Store {
    /// Adds a job on its own. Other calls of the store do so inside their transaction.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn enqueue_job(&self, new: &NewJob) -> Result<Enqueued, StoreError> {
        Ok(in_tx!(self, tx => { (*tx).enqueue(new).await? }))
    }

    /// Takes the job that is due and comes first; of workers that ask at once, each gets another.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim_job(&self, claim: &Claim<'_>) -> Result<Option<Job>, StoreError> {
        // Two arms, since SQLite has one writer and no lists to bind.
        let row = match &self.db {
            Db::Sqlite { writer, .. } => {
                let kinds = serde_json::Value::from(claim.kinds).to_string();
                sqlx::query_as(CLAIM_SQLITE)
                    .bind(claim.lease)
                    .bind(claim.lease_until)
                    .bind(claim.worker)
                    .bind(claim.at)
                    .bind(claim.node)
                    .bind(kinds)
                    .fetch_optional(writer)
                    .await?
            }
            Db::Postgres(pool) => {
                sqlx::query_as(CLAIM_POSTGRES)
                    .bind(claim.lease)
                    .bind(claim.lease_until)
                    .bind(claim.worker)
                    .bind(claim.at)
                    .bind(claim.node)
                    .bind(claim.kinds)
                    .fetch_optional(pool)
                    .await?
            }
        };
        Ok(row)
    }

    /// Renews a lease and notes the progress. `Some(true)`: somebody wants the job to end. `None`: the lease is
    /// lost, and the job belongs to somebody else or to nobody.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep_job(
        &self,
        id: JobId,
        lease: &str,
        until: Timestamp,
        stage: Option<&str>,
        percent: Option<i64>,
    ) -> Result<Option<bool>, StoreError> {
        Ok(write!(self, pool => sqlx::query_scalar(KEEP)
            .bind(id)
            .bind(lease)
            .bind(until)
            .bind(stage)
            .bind(percent)
            .fetch_optional(pool)
            .await)?)
    }

    /// Ends an attempt and its lease; answers the row as it is now.
    ///
    /// # Errors
    /// `NotFound` when the lease is lost: nothing was changed.
    pub async fn end_job(
        &self,
        id: JobId,
        lease: &str,
        end: &JobEnd,
        at: Timestamp,
    ) -> Result<Job, StoreError> {
        let (state, reason, error) = match end {
            JobEnd::Done => (JobState::Done, None, None),
            JobEnd::Cancelled => (JobState::Cancelled, None, None),
            JobEnd::Failed { reason, error } => (JobState::Failed, reason.as_ref(), Some(error)),
            JobEnd::Again {
                run_at,
                reason,
                error,
            } => {
                return Ok(write!(self, pool => sqlx::query_as(AGAIN)
                    .bind(id)
                    .bind(lease)
                    .bind(run_at)
                    .bind(reason)
                    .bind(error)
                    .fetch_one(pool)
                    .await)?);
            }
            JobEnd::GivenBack => {
                return Ok(write!(self, pool => sqlx::query_as(GIVE_BACK)
                    .bind(id)
                    .bind(lease)
                    .bind(at)
                    .fetch_one(pool)
                    .await)?);
            }
        };
        Ok(write!(self, pool => sqlx::query_as(END)
            .bind(id)
            .bind(lease)
            .bind(state)
            .bind(at)
            .bind(reason)
            .bind(error)
            .fetch_one(pool)
            .await)?)
    }

    /// Takes back what workers hold that are gone: each job whose lease has ended is queued again, `pause_us`
    /// microseconds later for each time that it was lost before. Answers the rows as they are now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn reap_jobs(&self, now: Timestamp, pause_us: i64) -> Result<Vec<Job>, StoreError> {
        Ok(write!(self, pool => sqlx::query_as(REAP)
            .bind(now)
            .bind(pause_us)
            .fetch_all(pool)
            .await)?)
    }

    /// Ends the leases of a worker that is known to be gone: they are taken back with the next [`Store::reap_jobs`].
    /// Answers how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn abandon_jobs(&self, worker: &str, now: Timestamp) -> Result<u64, StoreError> {
        Ok(
            write!(self, pool => sqlx::query(ABANDON).bind(worker).bind(now).execute(pool).await?.rows_affected()),
        )
    }

    /// Cancels a queued job at once and asks a running one to end.
    ///
    /// # Errors
    /// `NotFound` for a job that is unknown or has ended.
    pub async fn cancel_job(&self, id: JobId, at: Timestamp) -> Result<Job, StoreError> {
        Ok(write!(self, pool => sqlx::query_as(CANCEL).bind(id).bind(at).fetch_one(pool).await)?)
    }

    /// Queues a job again that was given up or cancelled, with all its attempts.
    ///
    /// # Errors
    /// `NotFound` for one that is unknown, active or done; `Conflict("jobs.dedupe_key")` when another one with
    /// its key is active.
    pub async fn retry_job(&self, id: JobId, at: Timestamp) -> Result<Job, StoreError> {
        Ok(write!(self, pool => sqlx::query_as(RETRY).bind(id).bind(at).fetch_one(pool).await)?)
    }

    /// A job.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(BY_ID).bind(id).fetch_optional(pool).await)?)
    }

    /// All jobs about a subject, oldest first: what a page shows as progress.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn jobs_about(&self, subject: &str) -> Result<Vec<Job>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(ABOUT).bind(subject).fetch_all(pool).await)?)
    }

    /// At most `limit` jobs, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn jobs(&self, filter: &JobFilter, limit: u32) -> Result<Vec<Job>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(LIST)
            .bind(filter.state)
            .bind(&filter.kind)
            .bind(i64::from(limit))
            .fetch_all(pool)
            .await)?)
    }

    /// How many jobs of each kind are in each state.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_jobs(&self) -> Result<Vec<JobCount>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(COUNT).fetch_all(pool).await)?)
    }

    /// Forgets jobs that ended before; answers how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn purge_jobs(&self, before: Timestamp) -> Result<u64, StoreError> {
        Ok(
            write!(self, pool => sqlx::query(PURGE).bind(before).execute(pool).await?.rows_affected()),
        )
    }
}

impl JobCount {
    /// How many, for a gauge.
    #[must_use]
    pub fn number(&self) -> u64 {
        unsigned(self.count)
    }
}
