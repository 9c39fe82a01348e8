//! One line of the log for each change of a job's state.

use crate::store::{Job, JobState};

/// `job` has come from `from` to the state that its row has now; `event` says why.
pub(super) fn changed(job: &Job, from: JobState, event: &str) {
    let (id, kind) = (job.id, job.kind.as_str());
    let (from, to) = (from.as_str(), job.state.as_str());
    let attempt = job.attempts;
    match job.state {
        JobState::Failed => {
            let error = job.last_error.as_deref().unwrap_or_default();
            let reason = job.reason.as_deref().unwrap_or_default();
            tracing::error!(job.id = %id, job.kind = kind, from, to, event, attempt, reason, error, "a job is given up");
        }
        JobState::Queued if event == "failed" || event == "lost" => {
            let error = job.last_error.as_deref().unwrap_or_default();
            let run_at = job.run_at;
            tracing::warn!(job.id = %id, job.kind = kind, from, to, event, attempt, error, %run_at, "a job is tried again");
        }
        _ => {
            let subject = job.subject.as_deref();
            tracing::info!(job.id = %id, job.kind = kind, subject, from, to, event, attempt, "a job");
        }
    }
}
