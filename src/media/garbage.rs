//! What is deleted: first its row is garbage, then its objects go, then the row; a crash in between changes nothing.

use std::time::Duration;

use tokio::time::timeout;

use super::{MediaError, Medias};
use crate::base::MediaId;
use crate::objects::{ObjectError, ObjectKey};
use crate::store::MediaKind;

/// How often garbage is looked for without a hint: what a crash or an object store that was away has left.
const EVERY: Duration = Duration::from_secs(60);

impl Medias {
    /// Begins to remove deleted media in the background, those of an earlier run too.
    pub fn keep_swept(&self) {
        let medias = self.clone();
        let stopping = self.deps.tasks.stopping();
        drop(self.deps.tasks.spawn(async move {
            loop {
                tokio::select! {
                    biased;
                    () = stopping.cancelled() => return,
                    swept = medias.sweep() => if let Err(error) = swept {
                        tracing::warn!(%error, "deleted media cannot be removed yet");
                    },
                }
                tokio::select! {
                    biased;
                    () = stopping.cancelled() => return,
                    // Timed out or told: either way it is time to look.
                    _ = timeout(EVERY, medias.deleted.notified()) => {}
                }
            }
        }));
    }

    /// Removes what is garbage now; answers how many media went.
    ///
    /// # Errors
    /// `Store`, `Objects`: the rest stays garbage.
    pub async fn sweep(&self) -> Result<usize, MediaError> {
        let mut swept = 0;
        loop {
            let garbage = self.deps.store.garbage_media().await?;
            if garbage.is_empty() {
                return Ok(swept);
            }
            for media in garbage {
                if media.kind == MediaKind::Video {
                    self.deps.videos.remove(media.id).await?;
                }
                self.remove_objects(media.id).await?;
                self.deps.store.forget_media(media.id).await?;
                swept += 1;
            }
        }
    }

    /// Removes every object of a medium, whether a row names it or not.
    pub(super) async fn remove_objects(&self, id: MediaId) -> Result<(), ObjectError> {
        let objects = &self.deps.objects;
        for listed in objects.list_all(&ObjectKey::of_media(id)).await? {
            if let Some(key) = ObjectKey::parse(&listed.path) {
                objects.delete(&key).await?;
            }
        }
        Ok(())
    }
}
