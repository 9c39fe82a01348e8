//! Whether a file becomes a video.

use crate::av::Ticks;
use crate::pipeline::{ProbeReport, Refusal};
use crate::store::NewJob;

/// Pictures of more pixels than 8K has are not decoded here.
const MOST_PIXELS: u64 = 7_680 * 4_320;

/// What is decided about a file.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It becomes a video once its row is written.
    Accepted(Box<Accepted>),
    /// It does not.
    Refused(Refused),
}

/// What its row says, and what is to be done: to be written in one transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// Pixels, as people see it.
    pub width: u32,
    /// Pixels, as people see it.
    pub height: u32,
    /// 90 kHz, measured.
    pub duration: Ticks,
    /// By content: `video/mp4`, `video/quicktime`, `video/webm`, `video/x-matroska`, `video/x-msvideo`.
    pub content_type: &'static str,
    /// The jobs that make it playable. Wake the workers once they are written.
    pub jobs: Vec<NewJob>,
}

/// Why a file does not become a video.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It lasts longer than its door allows; both in ms.
    TooLong {
        /// As measured.
        lasts_ms: u64,
        /// What the door allows.
        most_ms: u64,
    },
    /// Broken: nothing in it can be shown.
    Unreadable,
    /// It can be read and has no picture that moves.
    NoVideo,
    /// A container that is not taken.
    Container,
    /// A picture in a codec that cannot be decoded here: which.
    Codec(String),
    /// A picture of too many pixels.
    TooLarge {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
}

impl Refused {
    /// The word for rows and clients.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "too_long",
            Self::Unreadable => "unreadable",
            Self::NoVideo => "no_video",
            Self::Container => "container",
            Self::Codec(_) => "codec",
            Self::TooLarge { .. } => "too_large",
        }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Container => Self::Container,
            Refusal::Unreadable => Self::Unreadable,
            Refusal::NoVideo => Self::NoVideo,
            Refusal::Codec { codec } => Self::Codec(codec),
            Refusal::TooLarge { width, height } => Self::TooLarge { width, height },
        }
    }
}

/// Why a file that can be read is refused all the same. `most_ms`: the longest that its door takes.
pub(super) fn judge(report: &ProbeReport, most_ms: u64) -> Option<Refused> {
    let video = &report.video;
    let (width, height) = (video.width, video.height);
    if report.duration_ms > most_ms {
        let lasts_ms = report.duration_ms;
        return Some(Refused::TooLong { lasts_ms, most_ms });
    }
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        return Some(Refused::TooLarge { width, height });
    }
    (video.frames == 0 || report.duration_ms == 0).then_some(Refused::NoVideo)
}
