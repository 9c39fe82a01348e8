//! What an operator decides.

use std::time::Duration;

/// When a WebM is made of a live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Webm {
    /// After each live up to [`Config::webm_longest`]; of longer ones on demand.
    Always,
    /// When the owner asks for it.
    OnDemand,
    /// Not at all.
    Never,
}

/// Settings of this room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// When a WebM is made.
    pub webm: Webm,
    /// The longest live of which one is made unasked.
    pub webm_longest: Duration,
    /// Pixels of the shorter side of a picture that is encoded anew, at most; `16..=4096`.
    pub webm_short_side: u32,
    /// Whether poster and storyboard are drawn.
    pub pictures: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            webm: Webm::Always,
            webm_longest: Duration::from_secs(3_600),
            webm_short_side: 720,
            pictures: true,
        }
    }
}
