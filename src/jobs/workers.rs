//! The workers of this process: takes what is due while there is a place for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use super::attempt::{Surroundings, attempt};
use super::{Config, Jobs, Registry, upkeep};
use crate::base::{Tasks, random_hex};
use crate::store::{Claim, Job};

/// A claim that is under way when the stop comes may still arrive.
const CLAIM_AT_STOP: Duration = Duration::from_secs(1);

/// The workers of this process.
#[derive(Debug)]
pub struct Workers {
    tasks: Tasks,
}

impl Workers {
    /// Starts them. Without places (`config.workers` 0) only the queue is looked after.
    #[must_use]
    pub fn start(jobs: &Jobs, registry: Registry, config: Config) -> Self {
        let name = format!("{} {}", jobs.0.node, std::process::id());
        Self::start_as(name, jobs, registry, config)
    }

    /// The same in the one server of this data folder: what an earlier one held when it died is taken back at once.
    #[must_use]
    pub fn start_in_server(jobs: &Jobs, registry: Registry, config: Config) -> Self {
        let name = format!("{} server", jobs.0.node);
        Self::start_as(name, jobs, registry, config)
    }

    fn start_as(worker: String, jobs: &Jobs, registry: Registry, config: Config) -> Self {
        let tasks = Tasks::default();
        let around = Surroundings {
            jobs: jobs.clone(),
            config,
            tasks: tasks.clone(),
        };
        tasks.spawn(upkeep::look_after(around.clone()));
        if around.config.workers > 0 {
            let foreman = Foreman {
                places: Arc::new(Semaphore::new(around.config.workers)),
                registry: Arc::new(registry),
                worker,
                around,
            };
            tasks.spawn(foreman.run());
        }
        Self { tasks }
    }

    /// From now on nothing new is begun, and what runs is told to end.
    pub fn stop(&self) {
        self.tasks.stopping().cancel();
    }

    /// Stops; returns when every job has ended or was given back. Bounded by `config.patience` and a few seconds
    /// for a database that is away.
    pub async fn stop_and_wait(&self) {
        self.tasks.stop_and_wait().await;
    }
}

#[derive(Clone, Debug)]
struct Foreman {
    around: Surroundings,
    registry: Arc<Registry>,
    places: Arc<Semaphore>,
    worker: String,
}

impl Foreman {
    async fn run(self) {
        let stopping = self.around.tasks.stopping();
        let jobs = &self.around.jobs;
        // Whoever had our name before us is gone; nothing is ours yet.
        let gone = jobs.0.store.abandon_jobs(&self.worker, jobs.0.clock.now());
        if let Err(error) = gone.await {
            tracing::warn!(%error, "jobs of an earlier run are taken back when their leases end");
        }
        loop {
            // Before the look, or a job that is enqueued between look and wait would wait for the poll.
            let woken = jobs.0.wake.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            tokio::select! {
                biased;
                () = self.fill() => {}
                () = async { stopping.cancelled().await; sleep(CLAIM_AT_STOP).await } => return,
            }
            tokio::select! {
                biased;
                () = stopping.cancelled() => return,
                () = woken => {}
                () = sleep(self.around.config.poll) => {}
            }
        }
    }

    /// Begins jobs until there is no place or no job.
    async fn fill(&self) {
        let stopping = self.around.tasks.stopping();
        while !stopping.is_cancelled() {
            let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
                return;
            };
            let kinds = self.registry.free();
            if kinds.is_empty() {
                return;
            }
            let lease = random_hex::<16>();
            let jobs = &self.around.jobs;
            let now = jobs.0.clock.now();
            let claim = Claim {
                lease: &lease,
                lease_until: now.plus(self.around.config.lease),
                worker: &self.worker,
                node: &jobs.0.node,
                kinds: &kinds,
                at: now,
            };
            match jobs.0.store.claim_job(&claim).await {
                Ok(Some(job)) => self.begin(job, lease, place),
                Ok(None) => return,
                Err(error) => {
                    metrics::counter!("griot_job_row_errors_total").increment(1);
                    tracing::warn!(%error, "the queue of jobs could not be looked at");
                    return;
                }
            }
        }
    }

    fn begin(&self, job: Job, lease: String, place: OwnedSemaphorePermit) {
        let entry = self.registry.entries.get(job.kind.as_str());
        let entry = Arc::clone(entry.expect("only kinds of the registry are asked for"));
        let of_kind = Arc::clone(&entry.places).try_acquire_owned();
        let of_kind = of_kind.expect("only this task takes places, and one was free");
        let around = self.around.clone();
        self.around.tasks.spawn(async move {
            let jobs = around.jobs.clone();
            attempt(around, &entry, job, lease).await;
            drop((place, of_kind));
            // There is a place again.
            jobs.wake();
        });
    }
}
