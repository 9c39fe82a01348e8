//! What a restart finds, and what nobody wants any more.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::{UploadError, Uploads};
use crate::base::{UploadId, blocking};
use crate::rendition::Survived;
use crate::store::{Upload, UploadDoor};

/// How often abandoned uploads are looked for.
const EVERY: Duration = Duration::from_secs(60);

impl Uploads {
    /// Takes up what an earlier run has left: bytes that are not durable for sure go, bytes without an upload go, forms that broke off go, whole
    /// uploads are judged. Then abandoned uploads are swept in the background.
    ///
    /// # Errors
    /// The rows or the folder cannot be read.
    pub async fn resume(&self, survived: Survived) -> Result<(), UploadError> {
        let store = &self.deps().store;
        let mut receiving = Vec::new();
        for upload in store.receiving_uploads().await? {
            match upload.door {
                UploadDoor::Tus => receiving.push(upload),
                // What came by a form cannot go on.
                UploadDoor::Multipart | UploadDoor::Recording => self.forget(&upload).await?,
            }
        }
        let received = store.received_uploads().await?;
        let known: HashSet<UploadId> = receiving
            .iter()
            .chain(&received)
            .map(|upload| upload.id)
            .collect();
        let spool = self.spool().clone();
        let swept = blocking(move || {
            spool.make()?;
            let mut swept = 0;
            for id in spool.ids()? {
                if !known.contains(&id) {
                    spool.remove(id)?;
                    swept += 1;
                }
            }
            for upload in &receiving {
                // Also cuts off what was not verified.
                spool.length(upload.id)?;
                if survived == Survived::Synced {
                    let noted = u64::try_from(upload.received).unwrap_or(0);
                    spool.cut(upload.id, noted)?;
                }
            }
            Ok(swept)
        })
        .await?;
        if swept > 0 {
            tracing::info!(swept, "removed bytes of uploads that no row knows");
        }
        for upload in received {
            self.judge(upload);
        }
        let uploads = self.clone();
        let stopping = self.deps().tasks.stopping();
        drop(self.deps().tasks.spawn(async move {
            let mut every = interval(EVERY);
            every.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    biased;
                    () = stopping.cancelled() => return,
                    _ = every.tick() => if let Err(error) = uploads.sweep().await {
                        tracing::warn!(%error, "abandoned uploads cannot be removed yet");
                    },
                }
            }
        }));
        Ok(())
    }

    /// Forgets uploads whose time is over; answers how many.
    ///
    /// # Errors
    /// `Store`, `Spool`: the rest stays for the next time.
    pub async fn sweep(&self) -> Result<usize, UploadError> {
        let now = self.deps().clock.now();
        let mut swept = 0;
        loop {
            let expired = self.deps().store.expired_uploads(now).await?;
            let mut gone = 0;
            for upload in &expired {
                gone += usize::from(self.expire(upload).await?);
            }
            swept += gone;
            // Those to which bytes come just now wait for the next time.
            if gone == 0 {
                return Ok(swept);
            }
            metrics::counter!("griot_uploads_expired_total").increment(gone as u64);
        }
    }

    async fn expire(&self, upload: &Upload) -> Result<bool, UploadError> {
        let Some(_held) = self.holds().try_take(upload.id) else {
            return Ok(false);
        };
        // It may have gone on since.
        let row = self.deps().store.upload(upload.id).await?;
        if row.is_some_and(|row| row.expires_at > self.deps().clock.now()) {
            return Ok(false);
        }
        self.forget(upload).await?;
        Ok(true)
    }
}
