//! The WebM as its owner sees it: how far it is, and asked for where it is not made unasked.

use super::config::Webm;
use super::service::{Recordings, subject};
use super::webm::{FILE, WEBM};
use crate::base::{ErrorKind, LiveId, UserId};
use crate::store::{Job, JobState, LiveStatus, RecordingState, StoreError, WholeRecording};

/// Where a WebM stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebmState {
    /// Nobody makes one.
    None,
    /// Its job waits.
    Queued,
    /// It is being made.
    Running,
    /// It is there.
    Ready,
    /// Its job was given up.
    Failed,
}

impl WebmState {
    /// Its name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Ready => "ready",
            Self::Failed => "failed",
        }
    }
}

/// What is told of a WebM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebmView {
    /// Where it stands.
    pub state: WebmState,
    /// How much of it is made, while it is.
    pub percent: Option<i64>,
    /// Its length, once it is there.
    pub bytes: Option<i64>,
    /// Why it failed or waits for another try, a word: `no_room`, `unavailable`, `unreadable`, `not_stored`, `store`, `internal`.
    pub reason: Option<String>,
    /// Whether its owner may ask for it.
    pub on_demand: bool,
}

/// Why a WebM is not made.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No such live, or nothing is left of it.
    #[error("there is no such recording")]
    NotFound,
    /// Only the owner or an admin may.
    #[error("only the owner or an admin may ask for it")]
    Forbidden,
    /// The live has not ended, or its recording is not final.
    #[error("the recording is not final yet")]
    NotYet,
    /// The settings forbid it.
    #[error("no WebM is made here")]
    Never,
    /// The rows failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AskError {
    /// What the caller's caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound | Self::Never => ErrorKind::NotFound,
            Self::Forbidden => ErrorKind::Forbidden,
            Self::NotYet => ErrorKind::Conflict,
            Self::Store(error) => error.kind(),
        }
    }
}

impl Recordings {
    /// How far the WebM of a recording is.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub async fn webm(&self, whole: &WholeRecording) -> Result<WebmView, StoreError> {
        let jobs = self.0.jobs.about(&subject(whole.recording.id)).await?;
        Ok(view(whole, &jobs, self.0.config.webm))
    }

    /// Has the WebM of a live made, if it is not there or on its way; answers how far it is.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn ask_for_webm(
        &self,
        user: UserId,
        is_admin: bool,
        live: LiveId,
    ) -> Result<WebmView, AskError> {
        let inner = &self.0;
        let row = inner.store.live(live).await?.ok_or(AskError::NotFound)?;
        if row.owner_id != user && !is_admin {
            return Err(AskError::Forbidden);
        }
        let whole = inner.store.recording_of(live).await?;
        if row.status != LiveStatus::Ended {
            return Err(AskError::NotYet);
        }
        let whole = whole.ok_or(AskError::NotFound)?;
        match whole.recording.state {
            RecordingState::Recording | RecordingState::Finishing => return Err(AskError::NotYet),
            RecordingState::Failed => return Err(AskError::NotFound),
            RecordingState::Ready => {}
        }
        let now = self.webm(&whole).await?;
        match now.state {
            WebmState::Ready | WebmState::Queued | WebmState::Running => return Ok(now),
            WebmState::None | WebmState::Failed => {}
        }
        if inner.config.webm == Webm::Never {
            return Err(AskError::Never);
        }
        inner.jobs.enqueue(&inner.webm_job(&whole)).await?;
        Ok(self.webm(&whole).await?)
    }
}

fn view(whole: &WholeRecording, jobs: &[Job], setting: Webm) -> WebmView {
    let nothing = WebmView {
        state: WebmState::None,
        percent: None,
        bytes: None,
        reason: None,
        on_demand: false,
    };
    if let Some(file) = whole.files.iter().find(|file| file.name == FILE) {
        return WebmView {
            state: WebmState::Ready,
            percent: Some(100),
            bytes: Some(file.bytes),
            ..nothing
        };
    }
    let can_be_asked = setting != Webm::Never && whole.recording.state == RecordingState::Ready;
    let latest = jobs.iter().rev().find(|job| job.kind == WEBM.name);
    let Some(job) = latest else {
        return WebmView {
            on_demand: can_be_asked,
            ..nothing
        };
    };
    let reason = job.reason.clone();
    match job.state {
        JobState::Queued => WebmView {
            state: WebmState::Queued,
            reason,
            ..nothing
        },
        JobState::Running => WebmView {
            state: WebmState::Running,
            percent: Some(job.percent.unwrap_or(0)),
            ..nothing
        },
        JobState::Failed => WebmView {
            state: WebmState::Failed,
            reason: Some(reason.unwrap_or_else(|| "internal".to_owned())),
            on_demand: can_be_asked,
            ..nothing
        },
        JobState::Done | JobState::Cancelled => WebmView {
            on_demand: can_be_asked,
            ..nothing
        },
    }
}
