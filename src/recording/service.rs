//! Recordings as the rest of the house sees them.

use std::path::PathBuf;
use std::sync::Arc;

use super::config::Config;
use super::workshop::Workshop;
use crate::base::{Clock, RecordingId};
use crate::jobs::{Jobs, Registry};
use crate::pipeline::Host;
use crate::rendition::Places;
use crate::store::Store;

/// What the composition root provides.
#[derive(Clone, Debug)]
pub struct Deps {
    /// Settings.
    pub config: Config,
    /// Children.
    pub host: Host,
    /// Rows.
    pub store: Store,
    /// Where media lie.
    pub places: Places,
    /// The queue.
    pub jobs: Jobs,
    /// The clock.
    pub clock: Clock,
    /// A private folder for what is half made, on the disk of the objects' folder; made when it is needed.
    pub folder: PathBuf,
    /// What is to stay free on its disk, bytes.
    pub reserve_bytes: u64,
}

/// What lives leave behind. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Recordings(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) config: Config,
    pub(super) host: Host,
    pub(super) store: Store,
    pub(super) places: Places,
    pub(super) jobs: Jobs,
    pub(super) clock: Clock,
    pub(super) workshop: Workshop,
}

impl Recordings {
    /// The service; nothing runs until [`Recordings::follow`] and the workers do.
    #[must_use]
    pub fn new(deps: Deps) -> Self {
        Self(Arc::new(Inner {
            workshop: Workshop::new(deps.folder, deps.reserve_bytes),
            config: deps.config,
            host: deps.host,
            store: deps.store,
            places: deps.places,
            jobs: deps.jobs,
            clock: deps.clock,
        }))
    }

    /// Says what this process does with jobs of recordings.
    pub fn register(&self, registry: &mut Registry) {
        self.register_webm(registry);
        self.register_pictures(registry);
    }

    /// Removes what attempts left half made that died with their process. Once, at the start of a server.
    ///
    /// # Errors
    /// When rows or folder cannot be read.
    pub async fn sweep(&self) -> anyhow::Result<usize> {
        let mut swept = 0;
        for recording in self.0.workshop.all().await? {
            let jobs = self.0.jobs.about(&subject(recording)).await?;
            // Another process on this folder may be at work.
            let is_running = |job: &crate::store::Job| job.state == crate::store::JobState::Running;
            if !jobs.iter().any(is_running) {
                swept += self.0.workshop.clear(recording).await?;
            }
        }
        Ok(swept)
    }
}

/// What jobs of a recording are about.
pub(super) fn subject(recording: RecordingId) -> String {
    format!("recording:{recording}")
}
