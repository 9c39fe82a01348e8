//! From tag bodies to outputs.

use bytes::Bytes;

use super::{FlvError, Output};

/// The demuxer of one publish session: one picture track and one sound track.
#[derive(Debug, Default)]
pub struct Demuxer {}

impl Demuxer {
    /// A demuxer that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the body of a video tag; what it brings is appended to `outputs`.
    ///
    /// # Errors
    /// The stream cannot be understood: end the publish.
    pub fn video(
        &mut self,
        timestamp_ms: u32,
        body: Bytes,
        outputs: &mut Vec<Output>,
    ) -> Result<(), FlvError> {
        let _ = (timestamp_ms, body, outputs);
        Ok(())
    }

    /// Takes the body of an audio tag; what it brings is appended to `outputs`.
    ///
    /// # Errors
    /// The stream cannot be understood: end the publish.
    pub fn audio(
        &mut self,
        timestamp_ms: u32,
        body: Bytes,
        outputs: &mut Vec<Output>,
    ) -> Result<(), FlvError> {
        let _ = (timestamp_ms, body, outputs);
        Ok(())
    }
}
