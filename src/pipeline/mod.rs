//! The only GStreamer: child processes that probe, demux, transcode and draw, without sockets and under limits.
//!
//! Outside a child nothing of GStreamer runs: a file that crashes or hangs a decoder takes its child with it. [`Host`]
//! starts children (`griot pipeline KIND`, the same program), gives each one task and one file as an open descriptor, and
//! believes nothing that comes back: every message is bounded, every codec configuration and sample is parsed again by
//! `flv`. Plain values cross the door: files in; reports, `av` values and JPEG bytes out.
//!
//! What each graph is for stands in `pipelines/README.md`.

pub mod child;
mod error;
mod feed;
mod host;
mod interleave;
mod ladder;
mod limits;
mod live_ladder;
mod live_plan;
mod plan;
mod plugins;
mod process;
mod report;
mod running;
mod vp8;
mod wire;

pub use error::{PipelineError, Refusal};
pub use host::{Config, Host};
pub use ladder::{Ladder, LadderRung};
pub use live_ladder::{Behind, LadderIn, LadderOut, LadderOutput};
pub use live_plan::{LivePlan, Stills, cost_cores, decode_cores, encode_cores};
pub use plan::{AudioRung, Picture, Rung, Transcode, VideoRung, Webm};
pub use plugins::Missing;
pub use report::{AudioStream, Container, ProbeReport, VideoStream};
pub use running::{Output, Running, Summary};
