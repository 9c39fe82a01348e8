//! A whole upload becomes a medium, or is refused. A crash in the middle begins it again.

use std::time::Duration;

use super::Uploads;
use crate::base::{MediaId, blocking};
use crate::media::{Arrived, MediaError, Refusal};
use crate::store::{StoreError, Upload};

/// What fails for want of an object store, a disk or a database is tried again after this, and then after twice as
/// long, up to [`PATIENCE`]; the bytes stay where they are.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(30);

impl Uploads {
    /// Judges a received upload in the background.
    pub(super) fn judge(&self, upload: Upload) {
        let uploads = self.clone();
        let stopping = self.deps().tasks.stopping();
        drop(self.deps().tasks.spawn(async move {
            tokio::select! {
                biased;
                // The next start begins again.
                () = stopping.cancelled() => {}
                () = uploads.judge_to_the_end(&upload) => {}
            }
        }));
    }

    async fn judge_to_the_end(&self, upload: &Upload) {
        let mut wait = FIRST_WAIT;
        while let Err(error) = self.judge_once(upload).await {
            tracing::warn!(upload.id = %upload.id, error, "an upload cannot be judged yet");
            metrics::counter!("griot_upload_retries_total").increment(1);
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(PATIENCE);
        }
        self.tell(upload.id);
    }

    /// # Errors
    /// What may go better another time.
    async fn judge_once(&self, upload: &Upload) -> Result<(), String> {
        let bytes = u64::try_from(upload.received).unwrap_or(0);
        let id = MediaId(upload.id.0);
        let verdict = if bytes == 0 {
            Err(Refusal::Empty.into())
        } else {
            let arrived = Arrived {
                id,
                owner_id: upload.owner_id,
                path: self.spool().path(upload.id),
                bytes,
                allowed: self.config().allowed(upload.door),
                title: upload.title.clone(),
                description: upload.description.clone(),
                original_name: upload.original_name.clone(),
                live_id: upload.live_id,
            };
            self.deps().medias.accept(&arrived).await
        };
        let now = self.deps().clock.now();
        let store = &self.deps().store;
        match verdict {
            Ok(media) => {
                let accepted = store.accept_upload(upload.id, media.id, now, self.expiry(now));
                match accepted.await {
                    // Noted by an earlier try, or forgotten.
                    Ok(_) | Err(StoreError::NotFound) => {}
                    Err(error) => return Err(error.to_string()),
                }
                metrics::counter!("griot_uploads_accepted_total").increment(1);
                let dropped = self.drop_bytes(upload.id).await;
                dropped.map_err(|error| error.to_string())
            }
            Err(MediaError::Refused(refusal)) => {
                // A row that an earlier try has made is garbage with whatever lies behind it.
                match store.delete_media(id, now).await {
                    Ok(()) | Err(StoreError::NotFound) => {}
                    Err(error) => return Err(error.to_string()),
                }
                match self.refuse(upload, refusal).await {
                    super::UploadError::Refused(_)
                    | super::UploadError::Store(StoreError::NotFound) => Ok(()),
                    error => Err(error.to_string()),
                }
            }
            // Its owner has deleted the medium: the upload is forgotten with it.
            Err(MediaError::Unknown) => {
                let forgotten = self.forget(upload).await;
                forgotten.map_err(|error| error.to_string())
            }
            Err(MediaError::Spool(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                let spool = self.spool().clone();
                let (path, of) = (spool.path(upload.id), upload.id);
                if blocking(move || Ok(path.exists())).await.unwrap_or(true) {
                    return Err(error.to_string());
                }
                tracing::error!(upload.id = %of, "the bytes of a whole upload are lost");
                drop(self.refuse(upload, Refusal::Unreadable).await);
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        }
    }
}
