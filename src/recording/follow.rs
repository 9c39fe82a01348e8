//! What follows the end of a live: its jobs are queued, once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{MissedTickBehavior, interval};

use super::service::{Inner, Recordings};
use crate::av::{Ticks, Timescale};
use crate::base::{Event, Tasks};
use crate::store::{NewJob, StoreError, WholeRecording};

/// How often it is looked, beside the events: a start finds what a crash left, and rows that were away are back.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Recordings at a time.
const BATCH: i64 = 100;

impl Recordings {
    /// Queues the jobs of recordings that are ready: at each event that says so, at the start, and every now and then. The
    /// row of a recording says whether it was done, so an event that is lost costs half a minute.
    pub fn follow(&self, mut events: Receiver<Event>, tasks: &Tasks) {
        let (inner, stopping) = (Arc::clone(&self.0), tasks.stopping());
        tasks.spawn(async move {
            let mut look = interval(LOOK_EVERY);
            look.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    biased;
                    () = stopping.cancelled() => return,
                    heard = events.recv() => match heard {
                        Ok(Event::RecordingReady { .. }) | Err(RecvError::Lagged(_)) => {}
                        Ok(_) => continue,
                        Err(RecvError::Closed) => return,
                    },
                    _ = look.tick() => {}
                }
                if let Err(error) = inner.follow_up().await {
                    tracing::warn!(%error, "what follows the end of lives is queued later");
                }
            }
        });
    }
}

impl Inner {
    async fn follow_up(&self) -> Result<(), StoreError> {
        loop {
            let ready = self.store.recordings_to_follow_up(BATCH).await?;
            let is_last = ready.len() < usize::try_from(BATCH).unwrap_or(0);
            for recording in ready {
                let whole = self.store.whole_recording(recording).await?;
                let (id, jobs) = (whole.recording.id, self.jobs_after(&whole));
                match self
                    .store
                    .follow_up_recording(id, &jobs, self.clock.now())
                    .await
                {
                    Ok(()) => {
                        tracing::debug!(recording.id = %id, jobs = jobs.len(), "what follows a live is queued")
                    }
                    // Another process was faster.
                    Err(StoreError::NotFound) => {}
                    Err(error) => return Err(error),
                }
            }
            self.jobs.wake();
            if is_last {
                return Ok(());
            }
        }
    }

    fn jobs_after(&self, whole: &WholeRecording) -> Vec<NewJob> {
        let webm = self.wants_webm(whole).then(|| self.webm_job(whole));
        let pictures = self.config.pictures.then(|| self.pictures_job(whole));
        pictures.into_iter().chain(webm).collect()
    }

    fn wants_webm(&self, whole: &WholeRecording) -> bool {
        let runs = super::plan::source_runs(whole);
        let lasts = runs.iter().fold(Ticks::ZERO, |sum, run| sum + run.duration);
        let longest = self.config.webm_longest.as_secs_f64();
        self.config.webm == super::Webm::Always && lasts.seconds(Timescale::VIDEO) <= longest
    }
}
