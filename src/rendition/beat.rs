//! What a source's rendition tells those that mirror it.

use tokio::sync::mpsc::{self, error::TrySendError};

use crate::av::{Part, TrackSet};
use crate::base::Timestamp;
use crate::fmp4::PartTarget;
use crate::hls::SegmentMeta;

/// One decision of the source's packager, or one change of its playlist, in its order.
#[derive(Clone, Debug, PartialEq)]
pub enum Beat {
    /// What follows lies in another run of the source. `discontinuity` as for
    /// [`hls::Window::start_run`](crate::hls::Window::start_run): it counts where anything came before. Without one it
    /// is the run that was open before: a follower is told of it when it comes.
    Run {
        /// What the run's frames are.
        tracks: TrackSet,
        /// Whether EXT-X-DISCONTINUITY stands before it.
        discontinuity: bool,
    },
    /// A publish session begins with the next part.
    Session {
        /// When its first frame came.
        at: Timestamp,
    },
    /// A part was announced.
    Part {
        /// It, with its bytes: [`fmp4::frames_of`](crate::fmp4::frames_of) reads it.
        part: Part,
        /// The media sequence number of its segment.
        msn: u64,
        /// Its place in it.
        index: usize,
        /// The playlist's part target; never `Measuring`.
        target: PartTarget,
    },
    /// The segment of the last part is complete.
    SegmentEnd {
        /// As its row tells it; `gap` says what the source's file lacks.
        segment: SegmentMeta,
        /// It is its session's last.
        ends_session: bool,
    },
    /// The publish session is over, all its parts were told.
    SessionEnd,
    /// Nothing will come soon; or media comes again.
    Interrupted(bool),
}

/// What of a source there is already: what a mirror must know that begins late or goes on after a restart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceLine {
    /// Its segments from number 0 on, without a hole.
    pub segments: Vec<SegmentMeta>,
    /// Its part target, once there was a part.
    pub target: Option<PartTarget>,
}

impl SourceLine {
    /// Notes what the source has told since. 40 bytes for each segment: half a megabyte in twelve hours.
    pub fn hear(&mut self, beat: &Beat) {
        match beat {
            Beat::Part { target, .. } => self.target = Some(*target),
            Beat::SegmentEnd { segment, .. } => self.segments.push(*segment),
            _ => {}
        }
    }
}

/// Who hears a source's beats; nobody, for a live without a ladder.
#[derive(Debug, Default)]
pub(super) struct Followers(Option<mpsc::Sender<Beat>>);

impl Followers {
    pub(super) fn set(&mut self, followers: mpsc::Sender<Beat>) {
        self.0 = Some(followers);
    }

    /// Nothing more will be told.
    pub(super) fn leave(&mut self) {
        self.0 = None;
    }

    /// Tells the beat, which is made only where somebody hears it. Never waits: who is so far behind that the channel
    /// is full hears nothing more, which ends the ladder.
    pub(super) fn tell(&mut self, beat: impl FnOnce() -> Beat) {
        let Some(followers) = &self.0 else {
            return;
        };
        match followers.try_send(beat()) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                metrics::counter!("griot_ladder_beats_full_total").increment(1);
                tracing::error!("the ladder does not keep up with its source and is let go");
                self.0 = None;
            }
            Err(TrySendError::Closed(_)) => self.0 = None,
        }
    }
}
