//! What a job knows while it runs.

use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{JobError, Jobs};
use crate::base::JobId;
use crate::store::Job;

/// How far a job is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) stage: Option<String>,
    pub(super) percent: Option<u8>,
}

/// Given to the job's function. Cheap to clone.
#[derive(Clone, Debug)]
pub struct JobContext {
    pub(super) job: std::sync::Arc<Job>,
    pub(super) jobs: Jobs,
    pub(super) cancelled: CancellationToken,
    pub(super) progress: std::sync::Arc<watch::Sender<Progress>>,
}

impl JobContext {
    /// Which job.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.job.id
    }

    /// Its row as it was when this attempt began.
    #[must_use]
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// The payload that it was enqueued with.
    ///
    /// # Errors
    /// It has another form; trying again cannot help.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, JobError> {
        serde_json::from_str(&self.job.payload).map_err(|error| JobError::never("internal", error))
    }

    /// Whether a failure of this attempt is the last one.
    #[must_use]
    pub fn is_last_attempt(&self) -> bool {
        self.job.attempts >= self.job.max_attempts
    }

    /// Says what is being done and how much of it, in percent (100 at most). Never waits; rows are written about
    /// once a second.
    pub fn progress(&self, stage: &str, percent: u8) {
        let now = Progress {
            stage: Some(stage.to_owned()),
            percent: Some(percent.min(100)),
        };
        self.progress.send_if_modified(|before| {
            let changed = *before != now;
            *before = now;
            changed
        });
    }

    /// Cancelled when the job shall end: it is not wanted any more, its process stops, or its lease is lost. What it
    /// answers then does not count as a failure; a few seconds later it is dropped where it stands.
    #[must_use]
    pub fn cancelled(&self) -> CancellationToken {
        self.cancelled.clone()
    }

    /// The queue, for jobs that follow.
    #[must_use]
    pub fn jobs(&self) -> &Jobs {
        &self.jobs
    }
}
