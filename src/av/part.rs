//! What the packager hands out: the init section once, then parts.

use bytes::Bytes;

use super::{Ticks, TrackKind, TrackSet};

/// The bytes `ftyp moov(mvex)` that a player needs before any part of its run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitSection {
    /// Which tracks it describes.
    pub tracks: TrackSet,
    /// The boxes.
    pub bytes: Bytes,
}

/// One sample as the final index needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Bytes.
    pub size: u32,
    /// Ticks until the next sample's decoding time, in the track's timescale.
    pub duration: u32,
    /// Presentation minus decoding time, in the track's timescale; never negative in a fragment.
    pub composition_offset: u32,
    /// Whether a decoder can start here.
    pub key: bool,
}

/// The samples of one track in one part: one `traf`, one chunk of the final index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackRun {
    /// Which track.
    pub track: TrackKind,
    /// Decoding time of the first sample on the playlist's timeline (`tfdt`), in the track's timescale.
    pub base_decode_time: Ticks,
    /// Where the first sample's bytes begin, counted from the first byte of the part.
    pub data_offset: u32,
    /// In decoding order; never empty.
    pub samples: Vec<Sample>,
}

/// One `moof` with its `mdat`: both tracks in one moof, the unit that is written, announced and played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The two boxes, ready to be appended and sent.
    pub bytes: Bytes,
    /// Start on the playlist's timeline: decoding time of the first picture (of the first sound where
    /// there is no picture), 90 kHz.
    pub start: Ticks,
    /// Duration in 90 kHz: of the pictures; of the sound where there is no picture track. Durations of a
    /// session's parts add up without a hole.
    pub duration: Ticks,
    /// Whether a player can start decoding with this part's *first* picture or later within it without
    /// anything before: it holds a key frame (EXT-X-PART INDEPENDENT=YES). Sound alone: always.
    pub independent: bool,
    /// One or two, picture first; a track that had nothing to say is absent.
    pub runs: Vec<TrackRun>,
}
