//! A range of a stored run: read from the object store when somebody wants it.

use std::time::Duration;

use tokio::time::timeout;

use super::reader::PlaybackError;
use crate::objects::{ObjectKey, ObjectStream, Objects};

/// A viewer is told to come again rather than kept waiting longer than this for a store that is away.
const OPEN_WITHIN: Duration = Duration::from_secs(5);
/// How long an address of the store itself is good: long enough to begin a download with it.
const ADDRESS_LIFETIME: Duration = Duration::from_secs(3_600);

/// A range of an object. Nothing of it is in memory.
#[derive(Clone, Debug)]
pub struct ObjectRange {
    objects: Objects,
    key: ObjectKey,
    /// First byte.
    pub offset: u64,
    /// Bytes; the range lies wholly in the object.
    pub length: u64,
}

impl ObjectRange {
    /// `length` bytes of an object from `offset`.
    #[must_use]
    pub fn new(objects: Objects, key: ObjectKey, offset: u64, length: u64) -> Self {
        Self {
            objects,
            key,
            offset,
            length,
        }
    }

    /// Asks the store for the bytes; it has five seconds to begin its answer.
    ///
    /// # Errors
    /// `Unavailable` when it does not, or refuses.
    pub async fn open(&self) -> Result<ObjectStream, PlaybackError> {
        let asked = self.objects.read(&self.key, self.offset, self.length);
        let why = match timeout(OPEN_WITHIN, asked).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => error.to_string(),
            Err(_) => {
                metrics::counter!("griot_objects_errors_total", "kind" => "away", "operation" => "read")
                    .increment(1);
                "the object store does not answer".to_owned()
            }
        };
        tracing::error!(error = why, object.key = %self.key, "a stored run cannot be read");
        Err(PlaybackError::Unavailable)
    }

    /// An address of the whole object at the store itself, for an hour; `None` where the store has none.
    pub async fn address(&self, disposition: String, content_type: &str) -> Option<String> {
        let bucket = self.objects.s3()?;
        let signed =
            bucket.presigned_get(&self.key, Some(disposition), content_type, ADDRESS_LIFETIME);
        signed
            .await
            .inspect_err(|error| tracing::error!(%error, "an address of the store was not made"))
            .ok()
    }
}
