//! Whether a file becomes a video.

use std::time::Duration;

use crate::av::Ticks;
use crate::media;
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

/// What its row says, and what is to be done.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// Pixels, as people see it.
    pub width: u32,
    /// Pixels, as people see it.
    pub height: u32,
    /// 90 kHz, measured.
    pub duration: Ticks,
    /// What makes it playable.
    pub(super) job: NewJob,
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

impl From<Refused> for media::Refusal {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::TooLong { .. } => Self::TooLong,
            Refused::Unreadable => Self::Unreadable,
            Refused::NoVideo => Self::NoVideo,
            Refused::Container | Refused::Codec(_) => Self::UnknownType,
            Refused::TooLarge { .. } => Self::TooManyPixels,
        }
    }
}

/// Why a file that can be read is refused all the same. `longest`: what its door takes.
pub(super) fn judge(report: &ProbeReport, longest: Duration) -> Option<Refused> {
    let most_ms = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
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
