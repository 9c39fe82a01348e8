//! From the publisher's clock to the run's: the frame grid of pictures, the chain of sound.

mod grid;
mod measure;
mod sound;

pub(super) use grid::{FrameGrid, Placed};
pub(super) use measure::{FrameDuration, Measured, measure};
pub(super) use sound::{Sound, SoundLane, Verdict};
