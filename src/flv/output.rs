//! What a tag turns into.

use crate::av::{CodecConfig, Frame};

/// One thing that a tag body brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A codec configuration that differs from the last one of its track; before the first frame that needs it.
    Config(CodecConfig),
    /// An encoded frame; its track's configuration has been given.
    Frame(Frame),
    /// Something that is left out on purpose: for counters.
    Ignored(Ignored),
}

/// Why something was left out. None of them is a reason to close the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ignored {
    /// A tag without a body.
    Empty,
    /// A codec that griot does not carry.
    UnknownCodec,
    /// A frame before the configuration of its track, or in another codec than that.
    BeforeConfig,
    /// A track other than the first of a multitrack packet.
    OtherTrack,
    /// A picture without any slice: access unit delimiters, filler, parameter sets alone, empty NAL units.
    NoPicture,
    /// A frame that does not parse as its codec says.
    Malformed,
    /// A seek command, HDR metadata, a channel map, an end of sequence: nothing to decode.
    Signal,
}

impl Ignored {
    /// As the `reason` label of metrics names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::UnknownCodec => "unknown_codec",
            Self::BeforeConfig => "before_config",
            Self::OtherTrack => "other_track",
            Self::NoPicture => "no_picture",
            Self::Malformed => "malformed",
            Self::Signal => "signal",
        }
    }
}
