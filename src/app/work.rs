//! The jobs that this program knows, and a process that does nothing else.

use super::{Config, Rooms, install_metrics};
use crate::jobs::{self, Registry, Workers};

/// Every kind of job, with what it needs.
pub(super) fn registry(_rooms: &Rooms) -> Registry {
    Registry::default()
}

/// A process that only works.
#[derive(Debug)]
pub struct Worker {
    rooms: Rooms,
    workers: Workers,
}

/// Starts `count` workers, or as many as the settings say; with neither, one for each processor.
///
/// # Errors
/// What cannot work; the message says which key to change.
pub async fn work(config: &Config, count: Option<usize>) -> anyhow::Result<Worker> {
    // Nobody asks this process for them; the counts of what it does are in its log.
    drop(install_metrics()?);
    let rooms = Rooms::open(config, &mut |step| {
        let (version, name) = (step.version, &step.name);
        tracing::info!(version, name, "migration {} of {}", step.step, step.steps);
    })
    .await?;
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    let settings = jobs::Config {
        workers: match (count, config.jobs.workers) {
            (Some(count), _) => count,
            (None, 0) => processors(),
            (None, count) => count,
        },
        ..config.jobs.clone()
    };
    let count = settings.workers;
    let workers = Workers::start(&rooms.jobs, registry(&rooms), settings);
    tracing::info!(workers = count, "griot works");
    Ok(Worker { rooms, workers })
}

impl Worker {
    /// Gives back what runs, and closes the database.
    pub async fn stop(self) {
        super::start::stop_workers(&self.workers).await;
        super::start::close(&self.rooms).await;
        tracing::info!("griot works no more");
    }
}
