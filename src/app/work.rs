//! The jobs that this program knows, and a process that does nothing else.

use super::{Config, Rooms, install_metrics};
use crate::base::Tasks;
use crate::jobs::{self, Registry, Workers};
use crate::media;
use crate::media::video::{self, Videos};
use crate::pipeline::Host;
use crate::recording::{self, Recordings};
use crate::rendition::{Places, Sending};

/// Every kind of job, with what it needs.
pub(super) fn registry(places: &Places, videos: &Videos, recordings: &Recordings) -> Registry {
    let mut registry = Registry::default();
    media::forget_objects_by(&mut registry, places.objects.clone());
    videos.register(&mut registry);
    recordings.register(&mut registry);
    registry
}

/// The service of videos, whose finished files go `sending`'s way.
pub(super) fn videos(rooms: &Rooms, host: Host, sending: &Sending) -> Videos {
    let config = video::Config {
        originals: rooms.originals(),
    };
    Videos::new(
        config,
        host,
        rooms.store.clone(),
        sending.clone(),
        rooms.jobs.clone(),
        rooms.clock.clone(),
        rooms.ids.clone(),
    )
}

/// The service of what lives leave behind.
pub(super) fn recordings(
    settings: &Config,
    rooms: &Rooms,
    places: &Places,
    host: Host,
) -> Recordings {
    Recordings::new(recording::Deps {
        config: settings.recording.clone(),
        host,
        store: rooms.store.clone(),
        places: places.clone(),
        jobs: rooms.jobs.clone(),
        clock: rooms.clock.clone(),
        folder: rooms.folder.join("recordings"),
        reserve_bytes: settings.live.spool_reserve_bytes,
    })
}

/// A process that only works.
#[derive(Debug)]
pub struct Worker {
    rooms: Rooms,
    workers: Workers,
    /// What is on its way to the object store; the next start of a server goes on with it.
    sending: Tasks,
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
    let places = rooms.places(config)?;
    let tasks = Tasks::default();
    let sending = Sending::new(
        rooms.store.clone(),
        places.clone(),
        rooms.clock.clone(),
        tasks.clone(),
    );
    let host = config.pipeline.host_in(&rooms.folder);
    let videos = videos(&rooms, host.clone(), &sending);
    let recordings = recordings(config, &rooms, &places, host);
    let registry = registry(&places, &videos, &recordings);
    let workers = Workers::start(&rooms.jobs, registry, settings);
    tracing::info!(workers = count, "griot works");
    Ok(Worker {
        rooms,
        workers,
        sending: tasks,
    })
}

impl Worker {
    /// Gives back what runs, and closes the database.
    pub async fn stop(self) {
        super::start::stop_workers(&self.workers).await;
        self.sending.stop_and_wait().await;
        super::start::close(&self.rooms).await;
        tracing::info!("griot works no more");
    }
}
