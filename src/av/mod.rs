//! The values that flow: ticks, codec configurations, frames, parts.
//!
//! Plain data, no behaviour beyond arithmetic. A frame enters from `flv` (later WHIP), leaves `fmp4`
//! inside a part. How clocks, wrap and drift are treated stands in `time.md` beside this file.

mod codec;
mod frame;
mod part;
mod rhythm;
mod time;

pub use codec::{
    AudioCodec, AudioConfig, CodecConfig, TrackKind, TrackSet, VideoCodec, VideoConfig,
};
pub use frame::Frame;
pub use part::{InitSection, Part, Sample, TrackRun};
pub use rhythm::Rhythm;
pub use time::{Ticks, Timescale};
