//! Bytes of one request, put behind those that are there.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::time::{Instant, timeout};

use super::checksum::{Checksum, Hashing};
use super::holds::Held;
use super::{UploadError, Uploads};
use crate::base::{UploadId, UserId, blocking};
use crate::media::{Format, Refusal};
use crate::store::{MediaKind, Upload, UploadState};

/// Bytes in memory for each request that sends: written when it is full, or the body ends.
const BUFFER: usize = 256 << 10;
/// What has been written is made durable this often, so that the end does not take long.
const SYNC_EVERY: u64 = 64 << 20;
/// A peer that sends nothing for this long is gone.
const SILENT: Duration = Duration::from_secs(30);
/// In every such stretch of time …
const STRETCH: Duration = Duration::from_secs(60);
/// … at least this many bytes must come: 1 kbit/s.
const STRETCH_BYTES: u64 = 8 << 10;
/// What a refused peer may still send, and for how long.
const SWALLOWED: usize = 64 << 20;
const SWALLOWED_WITHIN: Duration = Duration::from_secs(5);
/// First bytes that tell what a file is.
const HEAD: u64 = 4_096;

/// A body, piece by piece.
pub type Incoming = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// What a request says of the bytes it brings.
#[derive(Clone, Copy, Debug, Default)]
pub struct Append {
    /// Where they begin; `None`: where ours end.
    pub offset: Option<u64>,
    /// The upload's length, when it was left open.
    pub length: Option<u64>,
    /// What they hash to.
    pub checksum: Option<Checksum>,
    /// How many there are, as far as the request says.
    pub expected: Option<u64>,
    /// With their end the upload is whole: its length is what has come.
    pub is_whole: bool,
}

impl Uploads {
    /// Puts a body's bytes behind those that are there and answers the upload with how many are durable now; the last
    /// byte begins its judgement. A body that breaks off leaves what came. Goes on when the caller does not wait any
    /// more, as when its client has gone.
    ///
    /// # Errors
    /// What [`UploadError`] lists but `TooMany`. Only `WrongChecksum`, `Refused` and `Gone` lose bytes.
    pub async fn append(
        &self,
        owner: UserId,
        id: UploadId,
        append: Append,
        body: Incoming,
    ) -> Result<Upload, UploadError> {
        let uploads = self.clone();
        // A task of its own: hyper drops the future of a request whose client has gone.
        let appending = self.deps().tasks.spawn(async move {
            let held = uploads.turn(owner, id).await?;
            uploads.append_in_turn(owner, id, append, body, &held).await
        });
        appending
            .await
            .unwrap_or_else(|error| Err(UploadError::Spool(io::Error::other(error))))
    }

    /// Takes what a peer still sends after it was told that it is not wanted, for a while and into nothing: a
    /// connection that is closed before would take the answer with it.
    pub fn swallow(&self, mut body: Incoming) {
        let stopping = self.deps().tasks.stopping();
        drop(self.deps().tasks.spawn(async move {
            let swallowing = async {
                let mut left = SWALLOWED;
                while let Some(Ok(piece)) = body.next().await {
                    left = left.saturating_sub(piece.len());
                    if left == 0 {
                        return;
                    }
                }
            };
            tokio::select! {
                () = stopping.cancelled() => {}
                // Too late, too much or all: it is let go.
                _ = timeout(SWALLOWED_WITHIN, swallowing) => {}
            }
        }));
    }

    /// Answers when nobody else writes this upload, and it is this member's.
    async fn turn(&self, owner: UserId, id: UploadId) -> Result<Held, UploadError> {
        // Not for strangers.
        self.row(owner, id).await?;
        self.holds().take(id).await.ok_or(UploadError::Busy)
    }

    async fn append_in_turn(
        &self,
        owner: UserId,
        id: UploadId,
        append: Append,
        body: Incoming,
        held: &Held,
    ) -> Result<Upload, UploadError> {
        let upload = self.row(owner, id).await?;
        self.still_receives(&upload, append)?;
        let at = self.offset(&upload).await?;
        if upload.state != UploadState::Receiving {
            return Ok(upload);
        }
        if append.offset.is_some_and(|offset| offset != at) {
            return Err(UploadError::WrongOffset { offset: at });
        }
        let upload = match append.length {
            Some(length) => self.declare(upload, length, at).await?,
            None => upload,
        };
        let limit = self.limit(&upload, at, append.expected).await?;
        if let Some(expected) = append.expected
            && at.saturating_add(expected) > limit.most
        {
            return Err(limit.exceeded());
        }
        let mut writing = Writing {
            uploads: self.clone(),
            id,
            file: None,
            at,
            synced: at,
            buffer: Vec::new(),
            limit,
            allowed: self.deps().config.allowed(upload.door),
            looked: at >= HEAD,
        };
        if append.checksum.is_some() {
            let spool = self.spool().clone();
            blocking(move || spool.mark_unverified(id, at)).await?;
        }
        let mut hashing = append.checksum.map(Hashing::of);
        let outcome = writing.take(body, held, hashing.as_mut()).await;
        let outcome = outcome.and_then(|()| match hashing.is_none_or(Hashing::matches) {
            true => Ok(()),
            false => Err(UploadError::WrongChecksum),
        });
        // What cannot be verified any more is not kept.
        if outcome.is_err() && append.checksum.is_some() {
            let spool = self.spool().clone();
            blocking(move || spool.cut(id, at)).await?;
            writing.at = at;
        }
        if let Err(UploadError::Refused(refusal)) = outcome {
            return Err(self.refuse(&upload, refusal).await);
        }
        // A form cannot go on: what has come of it is nobody's.
        if append.is_whole && outcome.is_err() {
            self.forget(&upload).await?;
        }
        if append.is_whole {
            outcome?;
            let received = writing.at;
            let upload = self.note(upload, received).await?;
            return self.complete(&upload, received).await;
        }
        let received = writing.at;
        let upload = self.note(upload, received).await?;
        if append.checksum.is_some() {
            let spool = self.spool().clone();
            blocking(move || spool.unmark(id)).await?;
        }
        outcome?;
        let length = upload.length.and_then(|length| u64::try_from(length).ok());
        if length == Some(received) {
            return self.complete(&upload, received).await;
        }
        Ok(upload)
    }

    /// Whether bytes may come still. An empty body at the end of one that is whole is as good.
    fn still_receives(&self, upload: &Upload, append: Append) -> Result<(), UploadError> {
        let received = u64::try_from(upload.received).unwrap_or(0);
        match upload.state {
            UploadState::Receiving => Ok(()),
            UploadState::Refused => Err(refusal_of(upload).into()),
            UploadState::Received | UploadState::Accepted => {
                if append.offset.is_none_or(|offset| offset == received) {
                    Ok(())
                } else {
                    Err(UploadError::WrongOffset { offset: received })
                }
            }
        }
    }

    async fn declare(&self, upload: Upload, length: u64, at: u64) -> Result<Upload, UploadError> {
        if let Some(known) = upload.length {
            if u64::try_from(known).ok() == Some(length) {
                return Ok(upload);
            }
            return Err(UploadError::WrongLength);
        }
        let most = self.deps().config.allowed(upload.door).bytes;
        if length > most {
            return Err(UploadError::TooLarge { limit: most });
        }
        if length < at {
            return Err(UploadError::WrongLength);
        }
        let others = self
            .deps()
            .store
            .bytes_of_member(upload.owner_id, upload.id);
        if others.await?.saturating_add(length) > self.deps().config.quota_bytes {
            return Err(UploadError::OverQuota);
        }
        let now = self.deps().clock.now();
        Ok(self
            .deps()
            .store
            .declare_upload(upload.id, length, now)
            .await?)
    }

    /// How far the upload may grow now.
    async fn limit(
        &self,
        upload: &Upload,
        at: u64,
        expected: Option<u64>,
    ) -> Result<Limit, UploadError> {
        let config = &self.deps().config;
        let most = config.allowed(upload.door).bytes;
        self.room_on_disk(expected.unwrap_or(0)).await?;
        if let Some(length) = upload.length.and_then(|length| u64::try_from(length).ok()) {
            return Ok(Limit {
                most: length,
                why: Why::Declared,
            });
        }
        // Of a length that is not known every byte is counted as it comes.
        let others = self
            .deps()
            .store
            .bytes_of_member(upload.owner_id, upload.id);
        let quota = config.quota_bytes.saturating_sub(others.await?);
        if quota <= at {
            return Err(UploadError::OverQuota);
        }
        Ok(if quota < most {
            Limit {
                most: quota,
                why: Why::Quota,
            }
        } else {
            Limit {
                most,
                why: Why::Door,
            }
        })
    }
}

/// How many bytes there may be, and what is said of one more.
#[derive(Clone, Copy, Debug)]
struct Limit {
    most: u64,
    why: Why,
}

#[derive(Clone, Copy, Debug)]
enum Why {
    Declared,
    Door,
    Quota,
    Format(Refusal),
}

impl Limit {
    fn exceeded(self) -> UploadError {
        match self.why {
            Why::Declared | Why::Door => UploadError::TooLarge { limit: self.most },
            Why::Quota => UploadError::OverQuota,
            Why::Format(refusal) => refusal.into(),
        }
    }
}

/// A file that grows by one body.
struct Writing {
    uploads: Uploads,
    id: UploadId,
    file: Option<Arc<File>>,
    /// Bytes in the file.
    at: u64,
    /// Of them durable.
    synced: u64,
    buffer: Vec<u8>,
    limit: Limit,
    allowed: crate::media::Allowed,
    /// Its first bytes have been looked at.
    looked: bool,
}

impl Writing {
    /// Takes the body to its end. What came before an error is written.
    async fn take(
        &mut self,
        body: Incoming,
        held: &Held,
        hashing: Option<&mut Hashing>,
    ) -> Result<(), UploadError> {
        let taken = self.receive(body, held, hashing).await;
        let flushed = self.flush().await;
        taken.and(flushed)
    }

    async fn receive(
        &mut self,
        mut body: Incoming,
        held: &Held,
        mut hashing: Option<&mut Hashing>,
    ) -> Result<(), UploadError> {
        let (give_up, stopping) = (held.give_up(), self.uploads.deps().tasks.stopping());
        let mut stretch = (Instant::now(), self.at);
        loop {
            let next = tokio::select! {
                biased;
                () = stopping.cancelled() => return Err(UploadError::Stopping),
                () = give_up.cancelled() => return Err(UploadError::TakenOver),
                next = timeout(SILENT, body.next()) => next,
            };
            let piece = match next {
                Err(_) => return Err(UploadError::TooSlow),
                Ok(None) => return Ok(()),
                Ok(Some(Err(error))) => return Err(UploadError::BrokenOff(error.to_string())),
                Ok(Some(Ok(piece))) => piece,
            };
            held.heard();
            if let Some(hashing) = hashing.as_deref_mut() {
                hashing.update(&piece);
            }
            let end = self.at + self.buffer.len() as u64 + piece.len() as u64;
            if end > self.limit.most {
                // What came before this piece is kept.
                return Err(self.limit.exceeded());
            }
            self.buffer.extend_from_slice(&piece);
            if self.buffer.len() >= BUFFER || (!self.looked && end >= HEAD) {
                self.flush().await?;
            }
            if stretch.0.elapsed() >= STRETCH {
                if end - stretch.1 < STRETCH_BYTES {
                    return Err(UploadError::TooSlow);
                }
                stretch = (Instant::now(), end);
            }
        }
    }

    async fn flush(&mut self) -> Result<(), UploadError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let (spool, id, at) = (self.uploads.spool().clone(), self.id, self.at);
        let (file, mut buffer) = (self.file.take(), std::mem::take(&mut self.buffer));
        let due = at + buffer.len() as u64 - self.synced >= SYNC_EVERY;
        let (file, mut buffer) = blocking(move || {
            let file = match file {
                Some(file) => file,
                None => Arc::new(spool.open(id)?),
            };
            if let Err(error) = file.write_all_at(&buffer, at) {
                // Half a piece is not told.
                file.set_len(at)?;
                return Err(error);
            }
            if due {
                file.sync_data()?;
            }
            let written = std::mem::take(&mut buffer);
            Ok((file, written))
        })
        .await
        .map_err(full)?;
        self.file = Some(file);
        self.at += buffer.len() as u64;
        metrics::counter!("griot_upload_bytes_total").increment(buffer.len() as u64);
        if due {
            self.synced = self.at;
            self.uploads.room_on_disk(0).await?;
        }
        if !self.looked && self.at >= HEAD {
            self.looked = true;
            self.look().await?;
        }
        buffer.clear();
        self.buffer = buffer;
        Ok(())
    }

    /// Refuses what is no medium by its first bytes, before the rest of it is swallowed.
    async fn look(&mut self) -> Result<(), UploadError> {
        let (spool, id) = (self.uploads.spool().clone(), self.id);
        let head = blocking(move || {
            let mut head = vec![0; usize::try_from(HEAD).unwrap_or(0)];
            File::open(spool.path(id))?.read_exact_at(&mut head, 0)?;
            Ok(head)
        })
        .await?;
        let format = Format::of(&head)?;
        let (most, refusal) = match format.kind() {
            MediaKind::Image => (self.allowed.image_bytes, Refusal::ImageTooLarge),
            MediaKind::Video => (self.allowed.video_bytes, Refusal::VideoTooLarge),
        };
        let declared = matches!(self.limit.why, Why::Declared);
        if self.at > most || (declared && self.limit.most > most) {
            return Err(refusal.into());
        }
        if most < self.limit.most {
            self.limit = Limit {
                most,
                why: Why::Format(refusal),
            };
        }
        Ok(())
    }
}

/// What a refused upload was refused for.
pub(super) fn refusal_of(upload: &Upload) -> Refusal {
    let code = upload.refusal.as_deref().unwrap_or_default();
    Refusal::from_code(code).unwrap_or(Refusal::Unreadable)
}

fn full(error: io::Error) -> UploadError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => UploadError::DiskFull,
        _ => UploadError::Spool(error),
    }
}
