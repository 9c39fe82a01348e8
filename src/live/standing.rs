//! What viewers and the API see of a live's ladder.

use bytes::Bytes;

use crate::base::Timestamp;
use crate::rendition::Reader;

/// How a rung stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RungState {
    /// It has no media yet.
    Planned,
    /// It can be played.
    Live,
    /// It went for want of CPU, or its child is being replaced; it may come back.
    Shed,
    /// The live is over.
    Ended,
}

impl RungState {
    /// As the API names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Live => "live",
            Self::Shed => "shed",
            Self::Ended => "ended",
        }
    }
}

/// One rung as viewers find it.
#[derive(Clone, Debug)]
pub struct Rung {
    /// Its media; what it is called and what it holds.
    pub reader: Reader,
    /// How it stands.
    pub state: RungState,
    /// Pixels, as planned; `None` for sound alone.
    pub size: Option<(u32, u32)>,
}

/// Why a live has no ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoLadder {
    /// Settings, or its owner's role.
    NotWanted,
    /// Nothing in the table is smaller than what the encoder sends.
    NothingBelow,
    /// Elements of GStreamer are missing, or children cannot be locked up.
    NoGstreamer,
    /// Ladders have taken what the machine can give.
    NoRoom,
}

impl NoLadder {
    /// As the API names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotWanted => "not_wanted",
            Self::NothingBelow => "nothing_below",
            Self::NoGstreamer => "no_gstreamer",
            Self::NoRoom => "no_room",
        }
    }
}

/// What is known of a live's ladder.
#[derive(Clone, Debug)]
pub struct LadderView {
    /// Whether `rungs` says all that will be for a while: a live that has just begun is still being looked at.
    pub decided: bool,
    /// All rungs, best first.
    pub rungs: Vec<Rung>,
    /// Why there are none, or not all that the table has.
    pub lacks: Option<NoLadder>,
    /// How the child fares; `None` while there is none.
    pub child: Option<ChildView>,
    /// How many children have ended before their time.
    pub children_lost: u64,
}

impl Default for LadderView {
    /// Of a live that gets none.
    fn default() -> Self {
        Self {
            decided: true,
            rungs: Vec::new(),
            lacks: None,
            child: None,
            children_lost: 0,
        }
    }
}

impl LadderView {
    /// Of an ended live: its source, and the rungs behind it.
    pub(super) fn of_replay(rungs: impl IntoIterator<Item = Reader>) -> Self {
        let rung = |reader: Reader| Rung {
            size: reader.variant().and_then(|variant| variant.resolution),
            state: RungState::Ended,
            reader,
        };
        Self {
            rungs: rungs.into_iter().map(rung).collect(),
            ..Self::default()
        }
    }

    /// Whether the machine has no room for what viewers could have.
    pub(super) fn is_short(&self) -> bool {
        let shed = self.rungs.iter().any(|rung| rung.state == RungState::Shed);
        shed || matches!(self.lacks, Some(NoLadder::NoRoom | NoLadder::NoGstreamer))
    }
}

/// A child, as it was seen last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChildView {
    /// Seconds of media that it is behind its source.
    pub lag_s: f64,
    /// Seconds of media that it made in each second; 1 is real time.
    pub real_time_factor: f64,
    /// Seconds of CPU that it has taken.
    pub cpu_s: f64,
    /// Bytes of memory.
    pub memory_bytes: u64,
}

/// A picture of a live that runs.
#[derive(Clone, Debug)]
pub struct Poster {
    /// JPEG.
    pub jpeg: Bytes,
    /// When it was made.
    pub at: Timestamp,
}
