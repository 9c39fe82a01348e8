//! Multipart uploads: an object sent in parts, which appears when it is completed.

use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::s3::{S3, from_sdk, within};
use super::{ObjectError, ObjectKey};

/// Putting a large object together may take a server this long.
const COMPLETE_WITHIN: Duration = Duration::from_secs(120);
/// Bytes of each part of a file but the last: the same for all, some servers want it so.
const PART_BYTES: u64 = 8 << 20;
/// A part of a file is sent within this time (70 kB/s), and …
const PART_WITHIN: Duration = Duration::from_secs(120);
/// … as often as this.
const PART_TRIES: u32 = 3;

/// The server's name for an upload.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UploadId(pub String);

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A part that the server has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentPart {
    /// 1 to 10,000.
    pub number: i32,
    /// As the server answered the part's upload, quotes included.
    pub etag: String,
}

/// An upload that was neither completed nor aborted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingUpload {
    /// Below our root.
    pub path: String,
    /// Its name.
    pub id: UploadId,
}

impl S3 {
    /// Waits for room in memory for one part; dropped when the part is sent.
    pub async fn room_for_a_part(&self) -> OwnedSemaphorePermit {
        let parts: std::sync::Arc<Semaphore> = std::sync::Arc::clone(&self.parts);
        parts
            .acquire_owned()
            .await
            .expect("the semaphore is never closed")
    }

    /// Begins an upload.
    ///
    /// # Errors
    /// `Refused`, `Away`, `Other`.
    pub async fn create_upload(&self, key: &ObjectKey) -> Result<UploadId, ObjectError> {
        let asked = self.client.create_multipart_upload();
        let answer = asked
            .bucket(&*self.bucket)
            .key(self.name(key.as_str()))
            .content_type(key.content_type())
            .send()
            .await
            .map_err(|error| from_sdk("create_upload", error))?;
        answer
            .upload_id()
            .map(|id| UploadId(id.to_owned()))
            .ok_or_else(|| ObjectError::Other("an upload without a name".to_owned()))
    }

    /// Sends a part within `time`; a part that is there already is replaced. Sent once, without retries.
    ///
    /// # Errors
    /// `Missing` when the upload is gone, `Refused`, `Away`, `Other`.
    pub async fn upload_part(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        number: i32,
        bytes: Bytes,
        time: Duration,
    ) -> Result<SentPart, ObjectError> {
        let settings = aws_sdk_s3::Config::builder()
            .timeout_config(within(time))
            .retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled());
        let asked = self.client.upload_part();
        let answer = asked
            .bucket(&*self.bucket)
            .key(self.name(key.as_str()))
            .upload_id(&upload.0)
            .part_number(number)
            .body(ByteStream::from(bytes))
            .customize()
            .config_override(settings)
            .send()
            .await
            .map_err(|error| from_sdk("upload_part", error))?;
        let etag = answer.e_tag().map(str::to_owned);
        etag.map(|etag| SentPart { number, etag })
            .ok_or_else(|| ObjectError::Other("a part without an entity tag".to_owned()))
    }

    /// Makes the object of `parts`, in the order of their numbers.
    ///
    /// # Errors
    /// `Missing` when the upload is gone, which is also what some servers say when it is complete already.
    pub async fn complete_upload(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        parts: &[SentPart],
    ) -> Result<(), ObjectError> {
        let parts = parts.iter().map(|part| {
            CompletedPart::builder()
                .part_number(part.number)
                .e_tag(&part.etag)
                .build()
        });
        let settings = aws_sdk_s3::Config::builder().timeout_config(within(COMPLETE_WITHIN));
        let asked = self.client.complete_multipart_upload();
        asked
            .bucket(&*self.bucket)
            .key(self.name(key.as_str()))
            .upload_id(&upload.0)
            .multipart_upload(
                CompletedMultipartUpload::builder()
                    .set_parts(Some(parts.collect()))
                    .build(),
            )
            .customize()
            .config_override(settings)
            .send()
            .await
            .map_err(|error| from_sdk("complete_upload", error))?;
        Ok(())
    }

    /// Sends a whole file, one part in memory at a time, and looks whether all of it is there. What an earlier try left
    /// half sent under this key is aborted first.
    ///
    /// # Errors
    /// `Refused`, `Away`, `Other`.
    pub(super) async fn put_file(&self, key: &ObjectKey, path: &Path) -> Result<(), ObjectError> {
        for left in self.uploads(key.as_str()).await? {
            if left.path == key.as_str() {
                self.abort_upload(&left.path, &left.id).await?;
            }
        }
        let path = path.to_owned();
        let opened = crate::base::blocking(move || {
            let file = File::open(path)?;
            let length = file.metadata()?.len();
            Ok((Arc::new(file), length))
        });
        let (file, length) = opened.await?;
        let upload = self.create_upload(key).await?;
        let sent = self.send_parts(key, &upload, &file, length).await;
        if sent.is_err() {
            // The first error says more than one of the tidying up.
            drop(self.abort_upload(key.as_str(), &upload).await);
        }
        sent?;
        match self.head(key).await? {
            there if there == length => Ok(()),
            there => Err(ObjectError::Other(format!(
                "{there} bytes are there of {length}"
            ))),
        }
    }

    async fn send_parts(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        file: &Arc<File>,
        length: u64,
    ) -> Result<(), ObjectError> {
        let mut parts = Vec::new();
        for (number, part) in (1..).zip(0..length.max(1).div_ceil(PART_BYTES)) {
            let at = part * PART_BYTES;
            let _room = self.room_for_a_part().await;
            let (file, size) = (Arc::clone(file), PART_BYTES.min(length - at));
            let read = crate::base::blocking(move || {
                let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
                file.read_exact_at(&mut bytes, at)?;
                Ok(Bytes::from(bytes))
            });
            let bytes = read.await?;
            let mut tries = 1;
            let part = loop {
                let sent = self.upload_part(key, upload, number, bytes.clone(), PART_WITHIN);
                match sent.await {
                    Err(ObjectError::Away(_)) if tries < PART_TRIES => tries += 1,
                    sent => break sent?,
                }
            };
            parts.push(part);
        }
        self.complete_upload(key, upload, &parts).await
    }

    /// Forgets an upload and its parts. One that is gone is as good.
    ///
    /// # Errors
    /// `Refused`, `Away`, `Other`.
    pub async fn abort_upload(&self, path: &str, upload: &UploadId) -> Result<(), ObjectError> {
        let asked = self.client.abort_multipart_upload();
        let answer = asked
            .bucket(&*self.bucket)
            .key(self.name(path))
            .upload_id(&upload.0)
            .send()
            .await
            .map_err(|error| from_sdk("abort_upload", error));
        match answer {
            Ok(_) | Err(ObjectError::Missing) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Uploads under way whose path begins with `below`. `MinIO` lists only those of one whole key:
    /// ask with a key's path there.
    ///
    /// # Errors
    /// `Refused`, `Away`, `Other`.
    pub async fn uploads(&self, below: &str) -> Result<Vec<PendingUpload>, ObjectError> {
        let mut found = Vec::new();
        let (mut key_marker, mut id_marker) = (None, None);
        loop {
            let asked = self.client.list_multipart_uploads();
            let answer = asked
                .bucket(&*self.bucket)
                .prefix(self.name(below))
                .set_key_marker(key_marker)
                .set_upload_id_marker(id_marker)
                .send()
                .await
                .map_err(|error| from_sdk("list_uploads", error))?;
            found.extend(answer.uploads().iter().filter_map(|upload| {
                Some(PendingUpload {
                    path: self.path(upload.key()?),
                    id: UploadId(upload.upload_id()?.to_owned()),
                })
            }));
            key_marker = answer.next_key_marker().map(str::to_owned);
            id_marker = answer.next_upload_id_marker().map(str::to_owned);
            if answer.is_truncated() != Some(true) || key_marker.is_none() {
                return Ok(found);
            }
        }
    }
}
