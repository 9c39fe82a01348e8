//! The calls that doors make.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::time::{Instant, timeout_at};

use super::append::refusal_of;
use super::holds::Holds;
use super::spool::Spool;
use super::{Config, UploadError, harmless_name};
use crate::base::{Clock, IdMaker, LiveId, Tasks, Timestamp, UploadId, UserId, blocking};
use crate::media::{Medias, Refusal};
use crate::rendition::SpoolRoom;
use crate::store::{Admission, NewUpload, Store, StoreError, Upload, UploadDoor, UploadState};

/// Characters of a title (contract §2).
const TITLE: usize = 200;
/// A verdict that was missed is looked for this often.
const LOOK: Duration = Duration::from_secs(1);

/// What uploads stand on.
#[derive(Clone, Debug)]
pub struct Deps {
    /// The settings.
    pub config: Config,
    /// The rows.
    pub store: Store,
    /// Where bytes lie until they are judged; a folder of its own.
    pub folder: PathBuf,
    /// Who judges.
    pub medias: Medias,
    /// The clock of rows.
    pub clock: Clock,
    /// The process's maker of ids.
    pub ids: IdMaker,
    /// Where bodies are taken and judged.
    pub tasks: Tasks,
}

/// Bytes that members send. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Uploads(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    deps: Deps,
    spool: Spool,
    holds: Holds,
    /// Uploads that have changed. Full: a listener that lags looks at the row anyway.
    changed: broadcast::Sender<UploadId>,
}

/// What a new upload is made from.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Who sends.
    pub owner: UserId,
    /// Which way.
    pub door: UploadDoor,
    /// How many bytes; `None`: said later.
    pub length: Option<u64>,
    /// As tus carries it, to be echoed.
    pub metadata: String,
    /// Cut to 200 characters.
    pub title: String,
    /// Free text.
    pub description: String,
    /// Made harmless.
    pub file_name: String,
    /// The live that it is a recording of.
    pub live_id: Option<LiveId>,
}

impl Uploads {
    /// The room; [`Uploads::resume`] takes up what an earlier run has left.
    #[must_use]
    pub fn new(deps: Deps) -> Self {
        Self(Arc::new(Inner {
            spool: Spool::new(deps.folder.clone()),
            holds: Holds::new(),
            changed: broadcast::Sender::new(1_024),
            deps,
        }))
    }

    pub(super) fn deps(&self) -> &Deps {
        &self.0.deps
    }

    pub(super) fn spool(&self) -> &Spool {
        &self.0.spool
    }

    pub(super) fn holds(&self) -> &Holds {
        &self.0.holds
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.deps.config
    }

    /// Hears the id of each upload that changes.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<UploadId> {
        self.0.changed.subscribe()
    }

    pub(super) fn tell(&self, id: UploadId) {
        // Nobody listening is fine.
        drop(self.0.changed.send(id));
    }

    /// Begins an upload. One of no bytes is whole, and refused, at once.
    ///
    /// # Errors
    /// `TooLarge`, `TooMany`, `OverQuota`, `DiskFull`, `Store`.
    pub async fn create(&self, opening: Opening) -> Result<Upload, UploadError> {
        let deps = self.deps();
        let most = deps.config.allowed(opening.door).bytes;
        if opening.length.is_some_and(|length| length > most) {
            return Err(UploadError::TooLarge { limit: most });
        }
        self.room_on_disk(opening.length.unwrap_or(0)).await?;
        let now = deps.clock.now();
        let new = NewUpload {
            id: UploadId(deps.ids.next()),
            owner_id: opening.owner,
            door: opening.door,
            length: opening.length,
            metadata: opening.metadata,
            title: plain(&opening.title).chars().take(TITLE).collect(),
            description: plain(&opening.description),
            original_name: harmless_name(&opening.file_name),
            live_id: opening.live_id,
            node: None,
            at: now,
            expires_at: now.plus(deps.config.expire_after),
        };
        let upload = match deps.store.create_upload(&new, deps.config.room()).await? {
            Admission::Admitted(upload) => *upload,
            Admission::TooMany => return Err(UploadError::TooMany),
            Admission::OverQuota => return Err(UploadError::OverQuota),
        };
        if upload.length == Some(0) {
            return self.complete(&upload, 0).await;
        }
        Ok(upload)
    }

    /// The upload, with as many bytes as are durable now.
    ///
    /// # Errors
    /// `Unknown`, `Gone`, `Store`, `Spool`.
    pub async fn look(&self, owner: UserId, id: UploadId) -> Result<Upload, UploadError> {
        let upload = self.row(owner, id).await?;
        if upload.state != UploadState::Receiving {
            return Ok(upload);
        }
        // One that has fallen silent gives up its turn, so that what it brought is told.
        let Some(_held) = self.holds().take(id).await else {
            return Ok(upload);
        };
        let upload = self.row(owner, id).await?;
        if upload.state != UploadState::Receiving {
            return Ok(upload);
        }
        let at = self.offset(&upload).await?;
        self.note(upload, at).await
    }

    /// The upload as its row says, without waiting for whoever sends.
    ///
    /// # Errors
    /// `Unknown`, `Store`.
    pub async fn glance(&self, owner: UserId, id: UploadId) -> Result<(Upload, u64), UploadError> {
        let upload = self.row(owner, id).await?;
        let noted = u64::try_from(upload.received).unwrap_or(0);
        let path = self.spool().path(id);
        let there = blocking(move || std::fs::metadata(path)).await;
        let received = there.map_or(noted, |found| found.len().max(noted));
        Ok((upload, received))
    }

    /// Gives an upload up, with all that has come. One that became a medium is only forgotten.
    ///
    /// # Errors
    /// `Unknown`, `Busy` while bytes come or it is being judged, `Store`, `Spool`.
    pub async fn terminate(&self, owner: UserId, id: UploadId) -> Result<(), UploadError> {
        self.row(owner, id).await?;
        let _held = self.holds().take(id).await.ok_or(UploadError::Busy)?;
        let upload = self.row(owner, id).await?;
        if upload.state == UploadState::Received {
            return Err(UploadError::Busy);
        }
        self.forget(&upload).await
    }

    /// Row first: bytes without a row are swept by the next start.
    pub(super) async fn forget(&self, upload: &Upload) -> Result<(), UploadError> {
        match self.deps().store.delete_upload(upload.id).await {
            Err(StoreError::NotFound) | Ok(()) => {}
            Err(error) => return Err(error.into()),
        }
        self.drop_bytes(upload.id).await?;
        self.tell(upload.id);
        Ok(())
    }

    pub(super) async fn drop_bytes(&self, id: UploadId) -> Result<(), UploadError> {
        let spool = self.spool().clone();
        Ok(blocking(move || spool.remove(id)).await?)
    }

    /// What became of an upload: waits for its verdict, at most `within`.
    ///
    /// # Errors
    /// `Refused`, `Unknown`, `Store`.
    pub async fn verdict(
        &self,
        owner: UserId,
        id: UploadId,
        within: Duration,
    ) -> Result<Upload, UploadError> {
        let until = Instant::now() + within;
        let mut changes = self.changes();
        loop {
            let upload = self.row(owner, id).await?;
            match upload.state {
                UploadState::Refused => return Err(refusal_of(&upload).into()),
                UploadState::Accepted => return Ok(upload),
                UploadState::Receiving | UploadState::Received if Instant::now() >= until => {
                    return Ok(upload);
                }
                UploadState::Receiving | UploadState::Received => {}
            }
            let look = until.min(Instant::now() + LOOK);
            // Told, lagging or timed out: the row says how it is.
            drop(timeout_at(look, changes.recv()).await);
        }
    }

    /// A member's upload.
    pub(super) async fn row(&self, owner: UserId, id: UploadId) -> Result<Upload, UploadError> {
        let upload = self.deps().store.upload(id).await?;
        upload
            .filter(|upload| upload.owner_id == owner)
            .ok_or(UploadError::Unknown)
    }

    /// How many bytes there are; fewer than were told is a loss that nobody can mend. For whoever has the turn.
    pub(super) async fn offset(&self, upload: &Upload) -> Result<u64, UploadError> {
        let noted = u64::try_from(upload.received).unwrap_or(0);
        if upload.state != UploadState::Receiving {
            return Ok(noted);
        }
        let (spool, id) = (self.spool().clone(), upload.id);
        let there = blocking(move || spool.length(id)).await?;
        if there < noted {
            tracing::error!(upload.id = %id, noted, there, "bytes of an upload are lost");
            return Err(UploadError::Gone);
        }
        Ok(there)
    }

    /// Makes durable what is there and notes it. For whoever has the turn.
    pub(super) async fn note(&self, upload: Upload, at: u64) -> Result<Upload, UploadError> {
        if u64::try_from(upload.received).ok() == Some(at) {
            return Ok(upload);
        }
        let (spool, id) = (self.spool().clone(), upload.id);
        blocking(move || spool.sync(id)).await?;
        let now = self.deps().clock.now();
        let noted = self
            .deps()
            .store
            .note_received(id, at, now, self.expiry(now));
        let upload = noted.await?;
        self.tell(id);
        Ok(upload)
    }

    /// All is there: it is judged from now on.
    pub(super) async fn complete(
        &self,
        upload: &Upload,
        length: u64,
    ) -> Result<Upload, UploadError> {
        let now = self.deps().clock.now();
        let store = &self.deps().store;
        let upload = store
            .complete_upload(upload.id, length, now, self.expiry(now))
            .await?;
        self.tell(upload.id);
        self.judge(upload.clone());
        Ok(upload)
    }

    /// Nothing comes of it: noted, its bytes go.
    pub(super) async fn refuse(&self, upload: &Upload, refusal: Refusal) -> UploadError {
        let now = self.deps().clock.now();
        let store = &self.deps().store;
        let noted = store
            .refuse_upload(upload.id, refusal.code(), now, self.expiry(now))
            .await;
        metrics::counter!("griot_uploads_refused_total", "reason" => refusal.code()).increment(1);
        if let Err(error) = noted {
            return error.into();
        }
        if let Err(error) = self.drop_bytes(upload.id).await {
            return error;
        }
        self.tell(upload.id);
        refusal.into()
    }

    pub(super) fn expiry(&self, now: Timestamp) -> Timestamp {
        now.plus(self.deps().config.expire_after)
    }

    /// Whether the disk has room for `more` bytes and what is to stay free.
    pub(super) async fn room_on_disk(&self, more: u64) -> Result<(), UploadError> {
        let spool = self.spool().clone();
        let room = blocking(move || {
            spool.make()?;
            SpoolRoom::of(spool.root())
        })
        .await?;
        let reserve = room.reserve(self.deps().config.spool_reserve_bytes);
        if room.free < reserve.saturating_add(more) {
            metrics::counter!("griot_uploads_without_room_total").increment(1);
            return Err(UploadError::DiskFull);
        }
        Ok(())
    }
}

/// A text that people typed, without what no text has.
fn plain(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_control() || matches!(letter, '\n' | '\t'))
        .collect()
}
