//! The settings of media.

use std::time::Duration;

/// How media are taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Pixels of the largest image that is decoded.
    pub max_pixels: u64,
    /// How long making one image may take.
    pub image_within: Duration,
    /// Whether Matroska is taken beside WebM.
    pub matroska: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_pixels: 50_000_000,
            image_within: Duration::from_secs(60),
            matroska: false,
        }
    }
}
