//! `griot jobs …`: the queue, for whoever runs the server.

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::output;
use crate::app::{Config, Rooms};
use crate::base::JobId;
use crate::store::{Job, JobFilter, JobState, StoreError};

#[derive(Debug, Subcommand)]
pub(super) enum JobsCommand {
    /// Prints jobs, newest first, one JSON object a line. Those that ended are kept for a week.
    List(List),
    /// Queues a job again that was given up or cancelled; prints it.
    Retry(Which),
    /// Cancels a queued job at once, and tells a running one to end; prints it.
    Cancel(Which),
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only those in this state.
    #[arg(long)]
    state: Option<StateName>,
    /// Only those of this kind.
    #[arg(long)]
    kind: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 1_000)]
    limit: u32,
}

#[derive(Debug, Args)]
pub(super) struct Which {
    /// The job's id.
    id: i64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum StateName {
    Queued,
    Running,
    Done,
    Failed,
    Cancelled,
}

impl From<StateName> for JobState {
    fn from(name: StateName) -> Self {
        match name {
            StateName::Queued => Self::Queued,
            StateName::Running => Self::Running,
            StateName::Done => Self::Done,
            StateName::Failed => Self::Failed,
            StateName::Cancelled => Self::Cancelled,
        }
    }
}

pub(super) async fn jobs(config: &Config, command: JobsCommand) -> anyhow::Result<()> {
    let rooms = Rooms::open(config, &mut |_| {}).await?;
    let done = execute(&rooms, command).await;
    rooms.close().await;
    done
}

async fn execute(rooms: &Rooms, command: JobsCommand) -> anyhow::Result<()> {
    match command {
        JobsCommand::List(list) => {
            let filter = JobFilter {
                kind: list.kind,
                state: list.state.map(JobState::from),
            };
            for job in rooms.store.jobs(&filter, list.limit).await? {
                output::json(&shown(&job))?;
            }
            Ok(())
        }
        JobsCommand::Retry(Which { id }) => {
            let job = match rooms.jobs.retry(JobId(id)).await {
                Err(StoreError::NotFound) => None,
                Err(StoreError::Conflict(_)) => {
                    anyhow::bail!("another job does the same already; see `griot jobs list`")
                }
                other => Some(other?),
            };
            let job = job.with_context(|| {
                format!("job {id} was neither given up nor cancelled; see `griot jobs list`")
            })?;
            output::json(&shown(&job))
        }
        JobsCommand::Cancel(Which { id }) => {
            let job = match rooms.jobs.cancel(JobId(id)).await {
                Err(StoreError::NotFound) => None,
                other => Some(other?),
            };
            let job = job.with_context(|| {
                format!("job {id} is neither queued nor running; see `griot jobs list`")
            })?;
            output::json(&shown(&job))
        }
    }
}

fn shown(job: &Job) -> Value {
    // What is no JSON any more is shown as it is.
    let payload = serde_json::from_str(&job.payload).unwrap_or(Value::from(job.payload.as_str()));
    json!({
        "id": job.id,
        "kind": job.kind,
        "state": job.state.as_str(),
        "subject": job.subject,
        "payload": payload,
        "priority": job.priority,
        "attempts": job.attempts,
        "max_attempts": job.max_attempts,
        "lost": job.lost,
        "stage": job.stage,
        "percent": job.percent,
        "reason": job.reason,
        "error": job.last_error,
        "cancel_requested": job.cancel_requested,
        "node": job.node,
        "worker": job.worker,
        "run_at": job.run_at,
        "lease_until": job.lease_until,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "ended_at": job.ended_at,
    })
}
