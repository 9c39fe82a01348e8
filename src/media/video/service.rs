//! Videos as the rest of the house sees them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::file::Originals;
use super::job::first_job;
use super::playback::{Playbacks, Video};
use super::verdict::{Accepted, Refused, Verdict, judge};
use crate::av::Ticks;
use crate::base::{Clock, IdMaker, MediaId};
use crate::jobs::Jobs;
use crate::media::MediaError;
use crate::pipeline::{Host, Ladder, PipelineError};
use crate::rendition::{PlaybackError, Sending};
use crate::store::{Store, StoreError};

/// What videos need.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder for files that were sent, until everything is made of them; private, on the disk of the spool.
    pub originals: PathBuf,
}

/// Videos of members. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Videos(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) originals: Originals,
    pub(super) host: Host,
    pub(super) ladder: Ladder,
    pub(super) store: Store,
    pub(super) sending: Sending,
    pub(super) jobs: Jobs,
    pub(super) clock: Clock,
    pub(super) ids: IdMaker,
    pub(super) playbacks: Playbacks,
}

impl Videos {
    /// The service over what the composition root provides.
    #[must_use]
    pub fn new(
        config: Config,
        host: Host,
        store: Store,
        sending: Sending,
        jobs: Jobs,
        clock: Clock,
        ids: IdMaker,
    ) -> Self {
        Self(Arc::new(Inner {
            originals: Originals::new(config.originals),
            host,
            ladder: Ladder::default(),
            store,
            sending,
            jobs,
            clock,
            ids,
            playbacks: Playbacks::default(),
        }))
    }

    /// Judges a complete file that lies in the private spool, and takes it beside where it lies. When it is accepted, the
    /// caller writes its row, and then calls [`Videos::begin`]; the file under its old name is the caller's. A file whose
    /// row never comes is swept.
    ///
    /// # Errors
    /// `Pipeline`, `Spool`: it cannot be judged now, and nothing was taken.
    pub async fn judge(
        &self,
        file: &Path,
        media: MediaId,
        longest: Duration,
    ) -> Result<Verdict, MediaError> {
        let inner = &self.0;
        let opened = tokio::fs::File::open(file).await?.into_std().await;
        let report = match inner.host.probe(opened).await {
            Ok(report) => report,
            Err(PipelineError::Refused(refusal)) => return Ok(Verdict::Refused(refusal.into())),
            Err(error) if error.is_the_files_fault() => {
                tracing::warn!(%error, media.id = %media, "a file breaks what looks at it, and is refused");
                return Ok(Verdict::Refused(Refused::Unreadable));
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(refused) = judge(&report, longest) {
            return Ok(Verdict::Refused(refused));
        }
        inner.originals.take(file, media).await?;
        Ok(Verdict::Accepted(Box::new(Accepted {
            width: report.video.display_width,
            height: report.video.display_height,
            duration: Ticks(i64::try_from(report.duration_ms * 90).unwrap_or(i64::MAX)),
            job: first_job(&inner.jobs, media, report),
        })))
    }

    /// The row of an accepted file is written: the work begins. Twice is as good as once.
    ///
    /// # Errors
    /// The rows' failure.
    pub async fn begin(&self, accepted: &Accepted) -> Result<(), StoreError> {
        self.0.jobs.enqueue(&accepted.job).await.map(|_| ())
    }

    /// A video by what its addresses hold.
    ///
    /// # Errors
    /// `NotFound` while nothing of it can be played; `Unavailable` when rows or files cannot be read now.
    pub async fn playback(&self, public_id: &str) -> Result<Arc<Video>, PlaybackError> {
        let inner = &self.0;
        let playbacks = &inner.playbacks;
        playbacks
            .open(&inner.store, &inner.sending, public_id)
            .await
    }
}
