//! The queue as the rest of the house sees it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Kind, telling};
use crate::base::{Clock, IdMaker, JobId};
use crate::store::{Enqueued, Job, JobState, NewJob, Store, StoreError};

/// Enqueues, cancels, tells. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Jobs(pub(super) Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) store: Store,
    pub(super) clock: Clock,
    ids: IdMaker,
    /// The data folder that this process runs on.
    pub(super) node: String,
    /// Wakes this process's workers; others see new jobs when they look, about every second.
    pub(super) wake: Notify,
    /// The attempts of this process. std mutex: never held across an await; only map look-ups.
    running: Mutex<HashMap<JobId, CancellationToken>>,
}

impl Jobs {
    /// The queue in `store`; `node` names the data folder of this process.
    #[must_use]
    pub fn new(store: Store, clock: Clock, ids: IdMaker, node: String) -> Self {
        Self(Arc::new(Shared {
            store,
            clock,
            ids,
            node,
            wake: Notify::new(),
            running: Mutex::default(),
        }))
    }

    /// A job, not enqueued yet: for a call of the store that enqueues it in its own transaction. Call
    /// [`Jobs::wake`] afterwards.
    #[must_use]
    pub fn new_job(&self, kind: Kind, payload: &Value) -> NewJob {
        let now = self.0.clock.now();
        NewJob {
            id: JobId(self.0.ids.next()),
            kind: kind.name.to_owned(),
            payload: payload.to_string(),
            subject: None,
            node: None,
            dedupe_key: None,
            priority: kind.priority,
            run_at: now,
            max_attempts: kind.max_attempts.max(1),
            at: now,
        }
    }

    /// Adds a job, or finds the queued or running one with its key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn enqueue(&self, new: &NewJob) -> Result<Enqueued, StoreError> {
        let enqueued = self.0.store.enqueue_job(new).await?;
        if enqueued.new {
            tracing::debug!(job.id = %enqueued.id, job.kind = new.kind, to = "queued", "a job is enqueued");
        }
        self.wake();
        Ok(enqueued)
    }

    /// Workers of this process look at the queue now.
    pub fn wake(&self) {
        self.0.wake.notify_one();
    }

    /// Cancels a queued job at once; a running one is told, and ends within seconds.
    ///
    /// # Errors
    /// `NotFound` for a job that is unknown or has ended.
    pub async fn cancel(&self, id: JobId) -> Result<Job, StoreError> {
        let job = self.0.store.cancel_job(id, self.0.clock.now()).await?;
        if job.state == JobState::Cancelled {
            telling::changed(&job, JobState::Queued, "cancelled");
        } else if let Some(token) = self.running().get(&id) {
            token.cancel();
        }
        Ok(job)
    }

    /// Queues a job again that was given up or cancelled, with all its attempts.
    ///
    /// # Errors
    /// `NotFound` for one that is unknown, active or done; `Conflict` when another one with its key is active.
    pub async fn retry(&self, id: JobId) -> Result<Job, StoreError> {
        let job = self.0.store.retry_job(id, self.0.clock.now()).await?;
        telling::changed(&job, JobState::Failed, "asked");
        self.wake();
        Ok(job)
    }

    /// All jobs about a subject, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn about(&self, subject: &str) -> Result<Vec<Job>, StoreError> {
        self.0.store.jobs_about(subject).await
    }

    pub(super) fn running(&self) -> MutexGuard<'_, HashMap<JobId, CancellationToken>> {
        self.0
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl NewJob {
    /// The same, about this: `media:123`.
    #[must_use]
    pub fn about(self, subject: impl Into<String>) -> Self {
        Self {
            subject: Some(subject.into()),
            ..self
        }
    }

    /// The same, but not beside a queued or running job with this key.
    #[must_use]
    pub fn once_per(self, key: impl Into<String>) -> Self {
        Self {
            dedupe_key: Some(key.into()),
            ..self
        }
    }

    /// The same, not before so long.
    #[must_use]
    pub fn after(self, pause: Duration) -> Self {
        Self {
            run_at: self.at.plus(pause),
            ..self
        }
    }
}

impl Jobs {
    /// The name of this data folder, as rows have it.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.0.node
    }

    /// `new`, to be done by a process on this data folder: it needs files of the spool.
    #[must_use]
    pub fn here(&self, new: NewJob) -> NewJob {
        NewJob {
            node: Some(self.0.node.clone()),
            ..new
        }
    }
}
