//! One encoded picture or one encoded stretch of sound.

use bytes::Bytes;

use super::{Ticks, TrackKind};

/// One access unit on its way from an encoder to a part.
///
/// Times are in the track's timescale (90 kHz for pictures, the sample rate for sound) on the
/// publisher's own timeline: unwrapped, starting anywhere, as coarse as the protocol's clock
/// (RTMP: milliseconds). `fmp4` puts them on the run's timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Which track.
    pub track: TrackKind,
    /// Decoding time.
    pub dts: Ticks,
    /// Presentation time; equal to `dts` for sound, not before `dts` minus half a second for pictures.
    pub pts: Ticks,
    /// Whether a decoder can start here (IDR or CRA picture; every sound frame).
    pub key: bool,
    /// The bytes as the sample of an MP4 file has them: length-prefixed NAL units, raw AAC, OBUs without
    /// temporal delimiter, …
    pub data: Bytes,
}
