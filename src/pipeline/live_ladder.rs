//! A live's ladder as its live sees it: frames in, frames out, a child between them that may fail at any time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::error::PipelineError;
use super::feed::Feed;
use super::host::Host;
use super::live_plan::LivePlan;
use super::running::{Output, Running};
use crate::av::{AudioConfig, CodecConfig, Frame, Ticks, Timescale};

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

/// Where a live puts its frames. Dropping it is [`end`](Self::end).
#[derive(Debug)]
pub struct LadderIn {
    feed: Arc<Feed>,
}

/// Where the encoded frames come out. Ask for the [`next`](Self::next) one until there is none, and do not stop asking:
/// what was pushed reaches the child while somebody asks. Drop it to kill the child.
#[derive(Debug)]
pub struct LadderOut {
    running: Running,
    /// The encoders of pictures; the other streams are sounds.
    pictures: usize,
    feed: Arc<Feed>,
    /// Frames and bytes that have come out.
    made: (u64, u64),
    /// What of in and out the metrics have.
    counted: [(u64, u64); 2],
}

impl Host {
    /// Starts the child of a live. It waits for nobody: a live cannot.
    ///
    /// # Errors
    /// The plan is out of range, or no child can be started.
    pub async fn ladder(&self, plan: LivePlan) -> Result<(LadderIn, LadderOut), PipelineError> {
        plan.check()
            .map_err(|what| PipelineError::Failed(what.to_owned()))?;
        let pictures = plan.pictures.len();
        let audio = plan.audio.as_ref().map(AudioConfig::timescale);
        let feed = Arc::new(Feed::new(pictures, audio.unwrap_or(Timescale::VIDEO)));
        let running = self.start_fed(plan.task(), Arc::clone(&feed)).await?;
        let out = LadderOut {
            running,
            pictures,
            feed: Arc::clone(&feed),
            made: (0, 0),
            counted: [(0, 0); 2],
        };
        Ok((LadderIn { feed }, out))
    }
}

impl LadderIn {
    /// Takes frames on the playlist's timeline, in decoding order. Never waits.
    ///
    /// # Errors
    /// The child is [`Behind`] by more than three seconds of media; nothing of this call was taken.
    pub fn push(&self, frames: Vec<Frame>) -> Result<(), Behind> {
        self.feed.push(frames)
    }

    /// The encoder at this place of [`LivePlan::pictures`] pauses, and takes no CPU, or goes on with the next key frame of
    /// the source. All are active at the beginning.
    pub fn set_active(&self, picture: usize, active: bool) {
        self.feed.order(picture, active);
    }

    /// Media that was pushed and that the child has not read yet; it says so ten times a second.
    #[must_use]
    pub fn waiting(&self) -> Duration {
        self.feed.waiting()
    }

    /// No more frames: decoders and encoders are drained, then [`LadderOut::next`] says `None`.
    pub fn end(&self) {
        self.feed.end();
    }
}

impl Drop for LadderIn {
    fn drop(&mut self) {
        self.feed.end();
    }
}

impl LadderOut {
    /// The next output; `None` when all is out after [`LadderIn::end`]. Cancel safe. After an error the child is gone.
    ///
    /// # Errors
    /// The child was ended, is silent although it was given media, or says what no child of ours says.
    pub async fn next(&mut self) -> Result<Option<LadderOutput>, PipelineError> {
        loop {
            let Some(output) = self.running.next().await? else {
                return Ok(None);
            };
            if let Some(output) = self.named(output) {
                return Ok(Some(output));
            }
        }
    }

    /// The output of a stream as one of an encoder.
    fn named(&mut self, output: Output) -> Option<LadderOutput> {
        Some(match output {
            Output::Track { rung, config } => match rung.checked_sub(self.pictures) {
                None => LadderOutput::PictureConfig {
                    picture: rung,
                    config,
                },
                Some(sound) => LadderOutput::SoundConfig { sound, config },
            },
            Output::Frame { rung, frame } => {
                self.made.0 += 1;
                self.made.1 += u64::try_from(frame.data.len()).unwrap_or(0);
                match rung.checked_sub(self.pictures) {
                    // No encoder reorders.
                    None => LadderOutput::Picture {
                        picture: rung,
                        frame: Frame {
                            dts: frame.pts,
                            ..frame
                        },
                    },
                    Some(sound) => LadderOutput::Sound { sound, frame },
                }
            }
            Output::Still { at, jpeg } => LadderOutput::Still { at, jpeg },
            Output::Position { decoded } => {
                self.count();
                LadderOutput::Position { decoded }
            }
            Output::Report(_) | Output::Picture(_) | Output::Progress { .. } => return None,
        })
    }

    /// Tells the metrics what is new, some times a second.
    fn count(&mut self) {
        let now = [self.feed.taken(), self.made];
        for (at, direction) in ["in", "out"].into_iter().enumerate() {
            let (before, now) = (self.counted[at], now[at]);
            metrics::counter!("griot_pipeline_ladder_frames_total", "direction" => direction)
                .increment(now.0 - before.0);
            metrics::counter!("griot_pipeline_ladder_bytes_total", "direction" => direction)
                .increment(now.1 - before.1);
        }
        self.counted = now;
    }

    /// The process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.running.pid()
    }

    /// Seconds of CPU that the child has taken.
    #[must_use]
    pub fn cpu_s(&self) -> f64 {
        self.running.cpu_seconds()
    }

    /// Resident memory of the child now; 0 when it is gone.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.running.resident_bytes()
    }
}

impl Drop for LadderOut {
    fn drop(&mut self) {
        self.count();
    }
}
