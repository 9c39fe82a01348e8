//! What of a video has to go: what an attempt left half done, or all of it.

use super::service::{Inner, Videos};
use crate::base::MediaId;
use crate::media::MediaError;
use crate::rendition::RenditionError;
use crate::store::{Run, WholeRecording};

impl Videos {
    /// Removes everything of a deleted video but its row and its `media_files`: jobs, renditions on their way and in
    /// the object store, the file that was sent. Idempotent; the caller removes what lies below its prefix, then the row.
    ///
    /// # Errors
    /// What rows, spool or object store say; to be called again.
    pub async fn remove(&self, media: MediaId) -> Result<(), MediaError> {
        let inner = &self.0;
        for job in inner.jobs.about(&format!("media:{media}")).await? {
            if job.ended_at.is_none() {
                match inner.jobs.cancel(job.id).await {
                    Ok(_) | Err(crate::store::StoreError::NotFound) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        if let Some(whole) = inner.store.recording_of_media(media).await? {
            inner.clear(&whole, |_| true).await?;
        }
        Ok(inner.originals.drop(media).await?)
    }
}

impl Inner {
    /// Removes runs with their files and half-sent objects.
    pub(super) async fn clear(
        &self,
        whole: &WholeRecording,
        which: impl Fn(&Run) -> bool,
    ) -> Result<(), RenditionError> {
        for run in whole.runs.iter().filter(|run| which(run)) {
            self.sending.remove(run).await?;
        }
        Ok(())
    }
}
