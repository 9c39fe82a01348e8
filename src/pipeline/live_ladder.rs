//! A live's ladder as its live sees it: frames in, frames out, a child between them that may fail at any time.

use std::time::Duration;

use bytes::Bytes;

use super::error::PipelineError;
use super::host::Host;
use super::live_plan::LivePlan;
use crate::av::{CodecConfig, Frame, Ticks};

/// The child has not read what it was given before: the bound of what waits for it would be passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the child of the ladder is behind")]
pub struct Behind;

/// What comes out of a ladder. Times are those of the source.
#[derive(Clone, Debug, PartialEq)]
pub enum LadderOutput {
    /// Before the first frame of an encoder of pictures; once.
    PictureConfig {
        /// Place in [`LivePlan::pictures`].
        picture: usize,
        /// H.264.
        config: CodecConfig,
    },
    /// An encoded picture for one of the source: the same presentation time, `dts` = `pts`, a key frame where the source
    /// has one and nowhere else (but the first after a pause, which is one of those).
    Picture {
        /// Place in [`LivePlan::pictures`].
        picture: usize,
        /// 90 kHz.
        frame: Frame,
    },
    /// Before the first frame of an encoder of sound; once.
    SoundConfig {
        /// Place in [`LivePlan::sounds`].
        sound: usize,
        /// AAC-LC, 48 kHz, stereo.
        config: CodecConfig,
    },
    /// 1,024 samples of sound.
    Sound {
        /// Place in [`LivePlan::sounds`].
        sound: usize,
        /// 48 kHz.
        frame: Frame,
    },
    /// A picture of the live.
    Still {
        /// Its presentation time, 90 kHz.
        at: Ticks,
        /// At most as wide as asked.
        jpeg: Bytes,
    },
    /// How far the decoder is, for the real-time factor; some ten a second while media flows.
    Position {
        /// The latest presentation time of a decoded picture, 90 kHz; of a ladder without pictures, of its sound.
        decoded: Ticks,
    },
}

/// Where a live puts its frames.
#[derive(Debug)]
pub struct LadderIn {}

/// Where the encoded frames come out. Ask for the [`next`](Self::next) one until there is none, and do not stop asking:
/// what was pushed reaches the child while somebody asks. Drop it to kill the child.
#[derive(Debug)]
pub struct LadderOut {}

impl Host {
    /// Starts the child of a live. It waits for nobody: a live cannot.
    ///
    /// # Errors
    /// The plan is out of range, or no child can be started.
    pub async fn ladder(&self, plan: LivePlan) -> Result<(LadderIn, LadderOut), PipelineError> {
        plan.check()
            .map_err(|what| PipelineError::Failed(what.to_owned()))?;
        let _ = plan.task().streams();
        Err(PipelineError::Failed("not yet".to_owned()))
    }
}

impl LadderIn {
    /// Takes frames on the playlist's timeline, in decoding order. Never waits.
    ///
    /// # Errors
    /// The child is [`Behind`]; nothing of this call was taken.
    pub fn push(&self, frames: Vec<Frame>) -> Result<(), Behind> {
        drop(frames);
        Err(Behind)
    }

    /// The encoder at this place of [`LivePlan::pictures`] pauses, and takes no CPU, or goes on with the next key frame of
    /// the source. All are active at the beginning.
    pub fn set_active(&self, picture: usize, active: bool) {
        let _ = (picture, active);
    }

    /// Media that was pushed and that the child has not read yet.
    #[must_use]
    pub fn waiting(&self) -> Duration {
        Duration::ZERO
    }

    /// No more frames: decoders and encoders are drained, then [`LadderOut::next`] says `None`.
    pub fn end(&self) {}
}

impl LadderOut {
    /// The next output; `None` when all is out after [`LadderIn::end`]. Cancel safe. After an error the child is gone.
    ///
    /// # Errors
    /// The child was ended, is silent although it was given media, or says what no child of ours says.
    pub async fn next(&mut self) -> Result<Option<LadderOutput>, PipelineError> {
        Ok(None)
    }

    /// The process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        None
    }

    /// Seconds of CPU that the child has taken.
    #[must_use]
    pub fn cpu_s(&self) -> f64 {
        0.0
    }

    /// Resident memory of the child now; 0 when it is gone.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        0
    }
}
