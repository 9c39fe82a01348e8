//! One live as viewers address it, running or ended.

use std::net::IpAddr;
use std::sync::Arc;

use super::running::Running;
use crate::base::LiveId;
use crate::rendition::{PlaybackError, Reader};

/// A live that can be watched. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Playback {
    running: Arc<Running>,
}

impl Playback {
    pub(super) fn new(running: Arc<Running>) -> Self {
        Self { running }
    }

    /// Which live.
    #[must_use]
    pub fn live(&self) -> LiveId {
        self.running.live
    }

    /// The rendition of this name: its playlists and its media.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn rendition(&self, name: &str) -> Result<&Reader, PlaybackError> {
        if name == self.running.reader.name() {
            Ok(&self.running.reader)
        } else {
            Err(PlaybackError::NotFound)
        }
    }

    /// The rendition that is the encoder's own.
    #[must_use]
    pub fn source(&self) -> &Reader {
        &self.running.reader
    }

    /// Notes a viewer's request.
    pub fn saw(&self, address: IpAddr, agent: &str) {
        self.running.audience.saw(address, agent);
    }
}
