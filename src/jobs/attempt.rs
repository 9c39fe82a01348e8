//! One attempt at one job: its function, the lease that is renewed beside it, and how it ends.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::context::Progress;
use super::registry::Entry;
use super::{Config, JobContext, JobError, Jobs, telling};
use crate::base::Tasks;
use crate::store::{Job, JobEnd, JobState, StoreError, insist};

/// A job that cost so many processes their lives (or their lease) is given up without another.
const LOST_MAX: i64 = 10;
/// Rows of progress are not written more often.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// Why an attempt was told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Stopping,
    Cancelled,
    Lost,
}

/// What every attempt of this process shares.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    pub(super) jobs: Jobs,
    pub(super) config: Config,
    pub(super) tasks: Tasks,
}

/// Does `job`, whose lease we hold, and notes how it ended.
pub(super) async fn attempt(around: Surroundings, entry: &Entry, job: Job, lease: String) {
    let jobs = &around.jobs;
    let token = CancellationToken::new();
    jobs.running().insert(job.id, token.clone());
    telling::changed(&job, JobState::Queued, "claimed");
    let why = OnceLock::new();
    let outcome = if job.lost >= LOST_MAX {
        let error = anyhow::anyhow!("its worker died {} times", job.lost);
        Some(Err(JobError::never("internal", error)))
    } else {
        run(&around, entry, &job, &lease, &token, &why).await
    };
    let end = judge(&around, entry, &job, outcome, why.get().copied()).await;
    jobs.running().remove(&job.id);
    if let Some(end) = end {
        write_end(&around, &job, &lease, &end).await;
    }
}

/// Runs the job's function beside its lease. `None`: it was dropped, since it did not end when it was told to.
async fn run(
    around: &Surroundings,
    entry: &Entry,
    job: &Job,
    lease: &str,
    token: &CancellationToken,
    why: &OnceLock<Why>,
) -> Option<Result<(), JobError>> {
    // One value, replaced: a job that reports faster than rows are written never waits.
    let (progress, seen) = watch::channel(Progress::default());
    let context = JobContext {
        job: Arc::new(job.clone()),
        jobs: around.jobs.clone(),
        cancelled: token.clone(),
        progress: Arc::new(progress),
    };
    // Its own task, so that a panic ends only this attempt.
    let mut work: JoinHandle<Result<(), JobError>> =
        around.tasks.spawn((entry.work)(context.clone()));
    let told_to_end = async {
        let stopping = around.tasks.stopping();
        tokio::select! {
            biased;
            // Whoever cancelled it said why, or it was `Jobs::cancel`.
            () = token.cancelled() => why.set(Why::Cancelled).unwrap_or_default(),
            () = stopping.cancelled() => why.set(Why::Stopping).unwrap_or_default(),
        }
        token.cancel();
        sleep(around.config.patience).await;
    };
    let ended = tokio::select! {
        biased;
        ended = &mut work => Some(ended),
        () = told_to_end => None,
        () = keep(around, job, lease, seen, token, why) => None,
    };
    let Some(ended) = ended else {
        work.abort();
        return None;
    };
    Some(ended.unwrap_or_else(|error| {
        let said = if error.is_panic() {
            "it panicked"
        } else {
            "it was aborted"
        };
        Err(anyhow::anyhow!(said).into())
    }))
}

/// Renews the lease and writes the progress, for ever; tells the job to end when the row says so.
async fn keep(
    around: &Surroundings,
    job: &Job,
    lease: &str,
    mut progress: watch::Receiver<Progress>,
    token: &CancellationToken,
    why: &OnceLock<Why>,
) {
    let jobs = &around.jobs;
    let mut beat = interval(around.config.heartbeat);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat.tick().await;
    loop {
        tokio::select! {
            biased;
            _ = beat.tick() => {}
            Ok(()) = progress.changed() => {}
        }
        let now = progress.borrow_and_update().clone();
        let until = jobs.0.clock.now().plus(around.config.lease);
        let percent = now.percent.map(i64::from);
        let kept = jobs
            .0
            .store
            .keep_job(job.id, lease, until, now.stage.as_deref(), percent);
        match kept.await {
            Ok(Some(false)) => {}
            Ok(Some(true)) => {
                why.set(Why::Cancelled).unwrap_or_default();
                token.cancel();
            }
            Ok(None) => {
                why.set(Why::Lost).unwrap_or_default();
                token.cancel();
                // Nothing is ours any more.
                return std::future::pending().await;
            }
            // The job goes on: its lease lasts for some of these, and what it does may be done twice.
            Err(error) => {
                metrics::counter!("griot_job_row_errors_total").increment(1);
                tracing::warn!(job.id = %job.id, %error, "a job's lease could not be renewed");
            }
        }
        sleep(PROGRESS_EVERY.min(around.config.heartbeat)).await;
    }
}

/// What becomes of the job; `None` when that is not ours to say.
async fn judge(
    around: &Surroundings,
    entry: &Entry,
    job: &Job,
    outcome: Option<Result<(), JobError>>,
    why: Option<Why>,
) -> Option<JobEnd> {
    let failed = match (outcome, why) {
        (_, Some(Why::Lost)) => {
            tracing::warn!(job.id = %job.id, job.kind = job.kind, "a job's lease was lost; another worker does it");
            return None;
        }
        (Some(Ok(())), _) => return Some(JobEnd::Done),
        (_, Some(Why::Cancelled)) => return Some(JobEnd::Cancelled),
        (_, Some(Why::Stopping)) | (None, None) => return Some(JobEnd::GivenBack),
        (Some(Err(failed)), None) => failed,
    };
    let reason = failed.reason.map(std::borrow::Cow::into_owned);
    let mut error = format!("{:#}", failed.error);
    if !failed.again || job.attempts >= job.max_attempts {
        let given_up = Job {
            reason: reason.clone(),
            last_error: Some(error.clone()),
            ..job.clone()
        };
        let told = match &entry.gave_up {
            Some(tell) => tell(given_up).await,
            None => Ok(()),
        };
        match told {
            Ok(()) => return Some(JobEnd::Failed { reason, error }),
            Err(not_told) => error = format!("{error}; and it could not be given up: {not_told:#}"),
        }
    }
    Some(JobEnd::Again {
        run_at: around
            .jobs
            .0
            .clock
            .now()
            .plus(around.config.pause_after(job.attempts)),
        reason,
        error,
    })
}

/// Notes the end, for as long as the database takes.
async fn write_end(around: &Surroundings, job: &Job, lease: &str, end: &JobEnd) {
    let jobs = &around.jobs;
    let ended = std::sync::Mutex::new(None);
    let write = || async {
        let now = jobs.0.clock.now();
        let row = jobs.0.store.end_job(job.id, lease, end, now).await?;
        *ended.lock().expect("no panic while it is held") = Some(row);
        Ok(())
    };
    let outcome = match end {
        JobEnd::Done => "done",
        JobEnd::Failed { .. } => "failed",
        JobEnd::Cancelled => "cancelled",
        JobEnd::Again { .. } => "again",
        JobEnd::GivenBack => "given_back",
    };
    match insist(&around.tasks.stopping(), write).await {
        Ok(()) => {
            metrics::counter!("griot_jobs_ended_total", "kind" => job.kind.clone(), "outcome" => outcome)
                .increment(1);
            let row = ended.into_inner().expect("no panic while it is held");
            let event = if outcome == "again" {
                "failed"
            } else {
                outcome
            };
            telling::changed(&row.expect("it was written"), JobState::Running, event);
        }
        Err(StoreError::NotFound) => {
            tracing::warn!(job.id = %job.id, job.kind = job.kind, outcome, "a job ended without its lease; another worker does it");
        }
        Err(error) => {
            tracing::error!(job.id = %job.id, job.kind = job.kind, outcome, %error, "a job's end could not be noted; it is done again");
        }
    }
}
