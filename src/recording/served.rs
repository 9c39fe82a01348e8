//! What viewers fetch of a recording beside its runs.

use std::fs::File;
use std::sync::Arc;

use super::service::Recordings;
use crate::base::{Timestamp, blocking};
use crate::objects::ObjectKey;
use crate::rendition::{Download, FileRange, MediaBytes, ObjectRange, PlaybackError};
use crate::store::ServedRecordingFile;

/// A file as it is sent.
#[derive(Clone, Debug)]
pub struct Served {
    /// Its bytes, entity tag and age.
    pub download: Download,
    /// With which it is served.
    pub content_type: String,
    /// What the live is called.
    pub title: String,
    /// When it began.
    pub began_at: Timestamp,
}

impl Recordings {
    /// The file `name` of a live's recording.
    ///
    /// # Errors
    /// `NotFound` when it was not made (yet), `Unavailable` when rows or file cannot be read now.
    pub async fn serve(&self, playback_id: &str, name: &str) -> Result<Served, PlaybackError> {
        let inner = &self.0;
        let found = inner.store.served_recording_file(playback_id, name).await;
        let found = found.map_err(|error| {
            tracing::error!(%error, "the row of a recording's file cannot be read");
            PlaybackError::Unavailable
        })?;
        let ServedRecordingFile {
            file,
            title,
            began_at,
        } = found.ok_or(PlaybackError::NotFound)?;
        let key = ObjectKey::parse(&file.path).ok_or(PlaybackError::NotFound)?;
        let length = u64::try_from(file.bytes).unwrap_or(0);
        let objects = &inner.places.objects;
        let media = match objects.path(&key) {
            Some(path) => {
                let opened = blocking(move || File::open(path)).await;
                let opened = opened.map_err(|error| {
                    tracing::error!(%error, object.key = %key, "a recording's file cannot be read");
                    PlaybackError::Unavailable
                })?;
                MediaBytes::File(FileRange::new(Arc::new(opened), 0, length))
            }
            None => MediaBytes::Object(ObjectRange::new(objects.clone(), key, 0, length)),
        };
        Ok(Served {
            download: Download {
                media,
                etag: format!("\"{}\"", file.etag),
                modified: file.created_at,
                has_video: file.width.is_some(),
            },
            content_type: file.content_type,
            title,
            began_at,
        })
    }
}
