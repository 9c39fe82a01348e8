//! The bytes of an object, piece by piece.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use bytes::{Bytes, BytesMut};
use tokio::time::timeout;

use super::ObjectError;

/// Bytes of a file read at a time.
const PIECE: usize = 256 * 1024;
/// A store that says nothing for this long in the middle of an answer is away.
const SILENCE: Duration = Duration::from_secs(20);

/// A range of an object on its way: exactly as many bytes as were asked for, or an error.
/// One piece is in memory at a time; dropping it drops the request.
#[derive(Debug)]
pub struct ObjectStream {
    source: Source,
    left: u64,
}

#[derive(Debug)]
enum Source {
    File { file: Arc<File>, at: u64 },
    S3(ByteStream),
}

impl ObjectStream {
    pub(super) fn file(file: File, offset: u64, length: u64) -> Self {
        Self {
            source: Source::File {
                file: Arc::new(file),
                at: offset,
            },
            left: length,
        }
    }

    pub(super) fn s3(body: ByteStream, length: u64) -> Self {
        Self {
            source: Source::S3(body),
            left: length,
        }
    }

    /// Bytes that are still to come.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.left
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// `Away` when the store falls silent or breaks off, `Other` when it gives less than it said.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ObjectError> {
        if self.left == 0 {
            return Ok(None);
        }
        let mut piece = match &mut self.source {
            Source::File { file, at } => {
                let (file, from) = (Arc::clone(file), *at);
                let size = usize::try_from(self.left).map_or(PIECE, |left| left.min(PIECE));
                let read = tokio::task::spawn_blocking(move || {
                    let mut piece = BytesMut::zeroed(size);
                    file.read_exact_at(&mut piece, from)
                        .map(|()| piece.freeze())
                });
                let piece = read
                    .await
                    .map_err(|error| ObjectError::Other(error.to_string()))??;
                *at += piece.len() as u64;
                piece
            }
            Source::S3(body) => match timeout(SILENCE, body.next()).await {
                Err(_) => return Err(ObjectError::Away("it fell silent".to_owned())),
                Ok(Some(Ok(piece))) => piece,
                Ok(Some(Err(error))) => return Err(ObjectError::Away(error.to_string())),
                Ok(None) => {
                    return Err(ObjectError::Away(format!(
                        "{} bytes are missing",
                        self.left
                    )));
                }
            },
        };
        piece.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= piece.len() as u64;
        Ok(Some(piece))
    }

    /// All of it at once: for what is known to be small.
    ///
    /// # Errors
    /// As [`ObjectStream::next`].
    pub async fn collect(mut self) -> Result<Bytes, ObjectError> {
        let mut all = BytesMut::new();
        while let Some(piece) = self.next().await? {
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }
}
