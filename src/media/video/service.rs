//! Videos as the rest of the house sees them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file::Originals;
use super::job::first_jobs;
use super::playback::{Playbacks, Video};
use super::verdict::{Accepted, Refused, Verdict, judge};
use crate::av::Ticks;
use crate::base::{Clock, ErrorKind, IdMaker, MediaId};
use crate::jobs::Jobs;
use crate::pipeline::{Container, Host, Ladder, PipelineError};
use crate::rendition::{PlaybackError, Sending};
use crate::store::Store;

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

/// Why a file could not be judged; it may be later.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// No child can look at it now.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// The disk does not take it, or lost it.
    #[error("the spool: {0}")]
    Spool(#[from] std::io::Error),
}

impl AcceptError {
    /// What a caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Pipeline(error) => error.kind(),
            Self::Spool(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                ErrorKind::Exhausted
            }
            Self::Spool(_) => ErrorKind::Unavailable,
        }
    }
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

    /// Judges a complete file that lies in the private spool, and takes it beside where it lies. `most_ms`: the longest
    /// video that its door takes. When it is accepted, the caller writes the row of `media` and the jobs in one
    /// transaction, and then removes its own name of the file; a file whose row never comes is swept.
    ///
    /// # Errors
    /// When it cannot be judged now; nothing was taken then.
    pub async fn accept(
        &self,
        file: &Path,
        media: MediaId,
        most_ms: u64,
    ) -> Result<Verdict, AcceptError> {
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
        if let Some(refused) = judge(&report, most_ms) {
            return Ok(Verdict::Refused(refused));
        }
        inner.originals.take(file, media).await?;
        Ok(Verdict::Accepted(Box::new(Accepted {
            width: report.video.display_width,
            height: report.video.display_height,
            duration: Ticks(i64::try_from(report.duration_ms * 90).unwrap_or(i64::MAX)),
            content_type: content_type(report.container),
            jobs: first_jobs(&inner.jobs, media, report),
        })))
    }

    /// A video by what its addresses hold.
    ///
    /// # Errors
    /// `NotFound` while nothing of it can be played; `Unavailable` when rows or files cannot be read now.
    pub async fn playback(&self, public_id: &str) -> Result<Arc<Video>, PlaybackError> {
        let inner = &self.0;
        let playbacks = &inner.playbacks;
        playbacks.open(&inner.store, &inner.sending, public_id).await
    }
}

fn content_type(container: Container) -> &'static str {
    match container {
        Container::Mp4 => "video/mp4",
        Container::QuickTime => "video/quicktime",
        Container::WebM => "video/webm",
        Container::Matroska => "video/x-matroska",
        Container::Avi => "video/x-msvideo",
    }
}
