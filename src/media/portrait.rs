//! Profile pictures: made harmless like any image, but no medium of their own: a member has one or none, and the
//! member's row names it (contract §1.1).

use bytes::Bytes;
use tokio::time::Instant;

use super::image::{self, Limits, MadeImage};
use super::service::{MEGAPIXELS_AT_A_TIME, blocking};
use super::{Format, MediaError, Medias, Refusal, Served};
use crate::base::random_hex;
use crate::objects::ObjectKey;
use crate::store::MediaKind;

/// The largest profile picture that is taken (contract §1.1).
pub const PORTRAIT_BYTES: usize = 5 << 20;
/// What a page shows is at most this large; the first of these that an image has.
const SHOWN: [&str; 3] = ["600.jpg", "600.webp", "300.webp"];
/// What their paths below `/media/` begin with (contract §1.1).
const FOLDER: &str = "profile_pictures";

impl Medias {
    /// Makes a profile picture of `bytes` and stores it; answers its path below `/media/`, which is its object's too.
    /// Until a row names it nobody can fetch it.
    ///
    /// # Errors
    /// `Refused`, for good: no image, too large, not to be decoded. `Objects`: the store is away.
    pub async fn make_portrait(&self, bytes: Bytes) -> Result<String, MediaError> {
        if bytes.is_empty() {
            return Err(Refusal::Empty.into());
        }
        if bytes.len() > PORTRAIT_BYTES {
            return Err(Refusal::ImageTooLarge.into());
        }
        let format = Format::of(&bytes)?;
        if format.kind() != MediaKind::Image {
            return Err(Refusal::UnknownType.into());
        }
        let made = self.drawn(format, bytes).await?;
        let shown = SHOWN
            .iter()
            .find_map(|name| made.pieces.iter().find(|piece| piece.name == *name));
        let piece = shown.or(made.pieces.first()).ok_or(Refusal::Unreadable)?;
        let extension = piece.name.rsplit('.').next().unwrap_or_default();
        let path = format!("{FOLDER}/{}.{extension}", random_hex::<16>());
        let key = ObjectKey::parse(&path).ok_or(Refusal::Unreadable)?;
        self.deps.objects.put(&key, piece.bytes.clone()).await?;
        Ok(path)
    }

    async fn drawn(&self, format: Format, bytes: Bytes) -> Result<MadeImage, MediaError> {
        let _turn = self.images.acquire().await;
        let limits = Limits {
            max_pixels: self.deps.config.max_pixels,
            until: Instant::now() + self.deps.config.image_within,
        };
        let same = bytes.clone();
        let weight = blocking(move || Ok(image::megapixels(format, &same, limits)?)).await?;
        let room = weight.min(MEGAPIXELS_AT_A_TIME);
        let _room = self.megapixels.acquire_many(room).await;
        blocking(move || Ok(image::make(format, &bytes, limits)?)).await
    }

    /// The picture at `/media/profile_pictures/{name}`, if a member has it now.
    pub(super) async fn serve_portrait(&self, name: &str) -> Result<Served, MediaError> {
        let path = format!("{FOLDER}/{name}");
        let changed = self.deps.store.portrait_since(&path).await?;
        let modified = changed.ok_or(MediaError::Unknown)?;
        let key = ObjectKey::parse(&path).ok_or(MediaError::Unknown)?;
        let length = self.deps.objects.head(&key).await?;
        let content_type = key.content_type().to_owned();
        let bytes = self.bytes_of(key, length).await?;
        Ok(Served {
            bytes,
            content_type,
            // Random, and never another picture's.
            etag: name.split('.').next().unwrap_or_default().to_owned(),
            modified,
            title: String::new(),
        })
    }

    /// Whether `public_id` stands for profile pictures, which have no medium.
    pub(super) fn is_portrait(public_id: &str) -> bool {
        public_id == FOLDER
    }
}
