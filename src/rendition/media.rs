//! What an encoder sends, in its order.

use crate::av::{CodecConfig, Frame};

/// One item of a publish session.
#[derive(Clone, Debug)]
pub enum Media {
    /// A codec configuration, always before the first frame of its track. Repeating an equal one is fine.
    Config(CodecConfig),
    /// An encoded frame.
    Frame(Frame),
    /// The frame rate the encoder claims, frames per second.
    FrameRateHint(f64),
    /// The bit rate the encoder claims for picture and sound together, bits per second.
    BitRateHint(u64),
    /// A track in a codec that griot does not carry was left out.
    UnknownCodec,
    /// The encoder's name, when it comes late (onMetaData).
    Encoder(String),
}

impl Media {
    /// Whether it is picture or sound.
    #[must_use]
    pub fn is_frame(&self) -> bool {
        matches!(self, Self::Frame(_))
    }

    /// The encoder's name, if it is that.
    #[must_use]
    pub fn encoder(&self) -> Option<&str> {
        match self {
            Self::Encoder(name) => Some(name),
            _ => None,
        }
    }
}
