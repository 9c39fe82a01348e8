//! The calls on media that doors, the API and viewers make.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use super::image::{self, Limits, MadeImage};
use super::video::{Verdict, Videos};
use super::{Arrived, Config, Format, MediaError, Refusal};
use crate::base::{Clock, MediaId, Tasks, Timestamp, UserId, random_hex};
use crate::objects::{ObjectKey, Objects};
use crate::rendition::{FileRange, MediaBytes, ObjectRange};
use crate::store::{
    self, Media, MediaChange, MediaFile, MediaKind, MediaState, NewMedia, NewMediaFile, Page,
    Store, StoreError,
};

/// Images that are made at a time; more wait in the spool.
const IMAGES_AT_A_TIME: usize = 2;
/// Millions of pixels that are decoded at a time: with four bytes each, and as many for the smaller pictures, half a
/// gigabyte at the very worst. More wait.
pub(super) const MEGAPIXELS_AT_A_TIME: u32 = 64;

/// What media stand on.
#[derive(Clone, Debug)]
pub struct Deps {
    /// The settings.
    pub config: Config,
    /// The rows.
    pub store: Store,
    /// Where finished files lie.
    pub objects: Objects,
    /// The clock of rows.
    pub clock: Clock,
    /// What becomes of videos.
    pub videos: Videos,
    /// Where sweeping runs.
    pub tasks: Tasks,
}

/// Images and videos that members see. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Medias {
    pub(super) deps: Arc<Deps>,
    pub(super) images: Arc<Semaphore>,
    pub(super) megapixels: Arc<Semaphore>,
    pub(super) deleted: Arc<Notify>,
}

/// A file on its way to a viewer.
#[derive(Clone, Debug)]
pub struct Served {
    /// Its bytes.
    pub bytes: MediaBytes,
    /// By content.
    pub content_type: String,
    /// Strong, without quotes.
    pub etag: String,
    /// When its object was there.
    pub modified: Timestamp,
    /// What people call the medium; may be empty.
    pub title: String,
}

impl Medias {
    /// The room; [`Medias::keep_swept`] begins its work in the background.
    #[must_use]
    pub fn new(deps: Deps) -> Self {
        let megapixels = usize::try_from(MEGAPIXELS_AT_A_TIME).unwrap_or(usize::MAX);
        Self {
            deps: Arc::new(deps),
            images: Arc::new(Semaphore::new(IMAGES_AT_A_TIME)),
            megapixels: Arc::new(Semaphore::new(megapixels)),
            deleted: Arc::default(),
        }
    }

    /// Judges a file and makes a medium of it. When it returns, an image is `Ready` and a video at least on its way;
    /// the file may be gone from the spool. Called again for the same file, after a crash or a failure, it goes on.
    ///
    /// # Errors
    /// `Refused`, for good. `Objects`, `Store`, `Spool`: something is away, try again. `Unknown`: its owner has
    /// deleted the medium in the meantime.
    pub async fn accept(&self, arrived: &Arrived) -> Result<Media, MediaError> {
        if let Some(media) = self.deps.store.media(arrived.id).await?
            && media.state != MediaState::Processing
        {
            return Ok(media);
        }
        let format = self.format(arrived).await?;
        match format.kind() {
            MediaKind::Image => self.accept_image(arrived, format).await,
            MediaKind::Video => self.accept_video(arrived, format).await,
        }
    }

    async fn accept_video(&self, arrived: &Arrived, format: Format) -> Result<Media, MediaError> {
        let videos = &self.deps.videos;
        let most = arrived.allowed.video_duration;
        let accepted = match videos.judge(&arrived.path, arrived.id, most).await? {
            Verdict::Accepted(accepted) => accepted,
            Verdict::Refused(refused) => {
                tracing::info!(?refused, media.id = %arrived.id, "a video was refused");
                return Err(Refusal::from(refused).into());
            }
        };
        let media = self.row_of(arrived, format).await?;
        let change = MediaChange {
            width: Some(i64::from(accepted.width)),
            height: Some(i64::from(accepted.height)),
            duration: Some(accepted.duration),
            ..MediaChange::default()
        };
        let now = self.deps.clock.now();
        let changed = self.deps.store.change_media(media.id, &change, &[], now);
        let media = gone_is_unknown(changed.await)?;
        // A crash before this: the file is judged again.
        videos.begin(&accepted).await?;
        Ok(media)
    }

    /// What the file is, if its door takes as much of that.
    async fn format(&self, arrived: &Arrived) -> Result<Format, MediaError> {
        let path = arrived.path.clone();
        let head = blocking(move || read_head(&path)).await?;
        let format = Format::of(&head)?;
        if format == Format::Matroska && !self.deps.config.matroska {
            return Err(Refusal::UnknownType.into());
        }
        let allowed = arrived.allowed;
        let (most, refusal) = match format.kind() {
            MediaKind::Image => (allowed.image_bytes, Refusal::ImageTooLarge),
            MediaKind::Video => (allowed.video_bytes, Refusal::VideoTooLarge),
        };
        if arrived.bytes > most {
            return Err(refusal.into());
        }
        Ok(format)
    }

    async fn accept_image(&self, arrived: &Arrived, format: Format) -> Result<Media, MediaError> {
        let made = self.make_image(arrived, format).await?;
        let media = self.row_of(arrived, format).await?;
        let mut files = Vec::with_capacity(made.pieces.len());
        for piece in &made.pieces {
            let key = ObjectKey::media(media.id, &piece.name).ok_or(Refusal::Unreadable)?;
            self.deps.objects.put(&key, piece.bytes.clone()).await?;
            files.push(NewMediaFile {
                name: piece.name.clone(),
                path: key.as_str().to_owned(),
                content_type: piece.content_type.to_owned(),
                bytes: piece.bytes.len() as u64,
                width: Some(piece.width),
                height: Some(piece.height),
                etag: etag(&piece.bytes),
            });
        }
        let total: u64 = files.iter().map(|file| file.bytes).sum();
        let change = MediaChange {
            state: Some(MediaState::Ready),
            bytes: Some(i64::try_from(total).unwrap_or(i64::MAX)),
            width: Some(i64::from(made.width)),
            height: Some(i64::from(made.height)),
            blurhash: Some(made.blurhash),
            ..MediaChange::default()
        };
        let now = self.deps.clock.now();
        match self
            .deps
            .store
            .change_media(media.id, &change, &files, now)
            .await
        {
            // It was deleted meanwhile: what was put after its objects went is to go too.
            Err(StoreError::NotFound) => {
                self.remove_objects(media.id).await?;
                Err(MediaError::Unknown)
            }
            changed => Ok(changed?),
        }
    }

    async fn make_image(&self, arrived: &Arrived, format: Format) -> Result<MadeImage, MediaError> {
        let _turn = self.images.acquire().await;
        let path = arrived.path.clone();
        let limits = Limits {
            max_pixels: self.deps.config.max_pixels,
            until: Instant::now() + self.deps.config.image_within,
        };
        let (bytes, weight) = blocking(move || {
            let bytes = std::fs::read(path)?;
            let weight = image::megapixels(format, &bytes, limits)?;
            Ok::<_, MediaError>((bytes, weight))
        })
        .await?;
        let _room = self
            .megapixels
            .acquire_many(weight.min(MEGAPIXELS_AT_A_TIME))
            .await;
        blocking(move || Ok(image::make(format, &bytes, limits)?)).await
    }

    /// The medium's row, made now or by an earlier try.
    async fn row_of(&self, arrived: &Arrived, format: Format) -> Result<Media, MediaError> {
        if let Some(media) = self.deps.store.media(arrived.id).await? {
            return Ok(media);
        }
        let new = NewMedia {
            id: arrived.id,
            owner_id: arrived.owner_id,
            public_id: random_hex::<16>(),
            kind: format.kind(),
            title: arrived.title.clone(),
            description: arrived.description.clone(),
            original_name: arrived.original_name.clone(),
            content_type: format.content_type().to_owned(),
            bytes: arrived.bytes,
            live_id: arrived.live_id,
            at: self.deps.clock.now(),
        };
        match self.deps.store.create_media(&new).await {
            // There is a row, and it is not shown: it was deleted.
            Err(StoreError::Conflict(_)) => Err(MediaError::Unknown),
            made => Ok(made?),
        }
    }

    /// One page of a member's own media, newest first, with their files.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list(
        &self,
        owner: UserId,
        page: u32,
        page_size: u32,
    ) -> Result<Page<(Media, Vec<MediaFile>)>, MediaError> {
        Ok(self.deps.store.list_media(owner, page, page_size).await?)
    }

    /// A medium as `reader` may see it, with its files: one's own, and of others what is ready and approved.
    ///
    /// # Errors
    /// `Unknown`, `Store`.
    pub async fn look(
        &self,
        id: MediaId,
        reader: UserId,
        is_admin: bool,
    ) -> Result<(Media, Vec<MediaFile>), MediaError> {
        let media = self.deps.store.media(id).await?;
        let media = media.ok_or(MediaError::Unknown)?;
        let public = media.state == MediaState::Ready
            && media.is_appropriate
            && media.approval_status == "approved";
        if media.owner_id != reader && !is_admin && !public {
            return Err(MediaError::Unknown);
        }
        let files = self.deps.store.media_files(id).await?;
        Ok((media, files))
    }

    /// Changes what people call it; `None` leaves it as it is.
    ///
    /// # Errors
    /// `Unknown`, `NotYours`, `Store`.
    pub async fn describe(
        &self,
        id: MediaId,
        caller: UserId,
        title: Option<&str>,
        description: Option<&str>,
    ) -> Result<(Media, Vec<MediaFile>), MediaError> {
        self.own(id, caller).await?;
        let now = self.deps.clock.now();
        let described = self.deps.store.describe_media(id, title, description, now);
        let media = gone_is_unknown(described.await)?;
        let files = self.deps.store.media_files(id).await?;
        Ok((media, files))
    }

    /// Deletes a medium: nothing of it can be fetched any more, its objects go soon after.
    ///
    /// # Errors
    /// `Unknown`, `NotYours`, `Store`.
    pub async fn delete(&self, id: MediaId, caller: UserId) -> Result<(), MediaError> {
        self.own(id, caller).await?;
        let now = self.deps.clock.now();
        gone_is_unknown(self.deps.store.delete_media(id, now).await)?;
        self.deleted.notify_one();
        Ok(())
    }

    async fn own(&self, id: MediaId, caller: UserId) -> Result<Media, MediaError> {
        let media = self.deps.store.media(id).await?;
        let media = media.ok_or(MediaError::Unknown)?;
        if media.owner_id == caller {
            return Ok(media);
        }
        // Who may not even see it does not learn that it is there.
        match media.state {
            MediaState::Ready => Err(MediaError::NotYours),
            MediaState::Processing | MediaState::Failed => Err(MediaError::Unknown),
        }
    }

    /// What lies behind `/media/{public_id}/{name}`.
    ///
    /// # Errors
    /// `Unknown`, `Store`, `Objects`.
    pub async fn serve(&self, public_id: &str, name: &str) -> Result<Served, MediaError> {
        if Self::is_portrait(public_id) {
            return self.serve_portrait(name).await;
        }
        let found = self.deps.store.served_file(public_id, name).await?;
        let store::ServedFile { file, title } = found.ok_or(MediaError::Unknown)?;
        let key = ObjectKey::parse(&file.path).ok_or(MediaError::Unknown)?;
        let length = u64::try_from(file.bytes).unwrap_or(0);
        let bytes = self.bytes_of(key, length).await?;
        Ok(Served {
            bytes,
            content_type: file.content_type,
            etag: file.etag,
            modified: file.created_at,
            title,
        })
    }

    /// The `length` bytes of an object, wherever objects lie.
    pub(super) async fn bytes_of(
        &self,
        key: ObjectKey,
        length: u64,
    ) -> Result<MediaBytes, MediaError> {
        Ok(match self.deps.objects.path(&key) {
            Some(path) => {
                let file = crate::base::blocking(move || File::open(path)).await?;
                MediaBytes::File(FileRange::new(Arc::new(file), 0, length))
            }
            None => MediaBytes::Object(ObjectRange::new(self.deps.objects.clone(), key, 0, length)),
        })
    }
}

fn gone_is_unknown<T>(outcome: Result<T, StoreError>) -> Result<T, MediaError> {
    outcome.map_err(|error| match error {
        StoreError::NotFound => MediaError::Unknown,
        error => error.into(),
    })
}

/// 128 bits of SHA-256: the same bytes, the same tag.
fn etag(bytes: &[u8]) -> String {
    hex::encode(&Sha256::digest(bytes)[..16])
}

fn read_head(path: &Path) -> Result<Vec<u8>, MediaError> {
    let mut head = Vec::new();
    let limit = super::format::HEAD_BYTES as u64;
    File::open(path)?.take(limit).read_to_end(&mut head)?;
    Ok(head)
}

/// Runs what blocks off the asynchronous threads. A panic of a decoder refuses its file only.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, MediaError> + Send + 'static,
) -> Result<T, MediaError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => {
            tracing::error!(%error, "a file made its decoder fail");
            Err(Refusal::Unreadable.into())
        }
    }
}
