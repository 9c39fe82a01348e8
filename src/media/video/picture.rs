//! Pictures out of a video: the poster, and the storyboard's sheet.

use std::fs::File;
use std::io;

use bytes::Bytes;
use image::{GenericImageView, ImageFormat};
use sha2::{Digest, Sha256};

use super::storyboard;
use crate::base::{MediaId, blocking};
use crate::objects::{ObjectKey, Objects};
use crate::pipeline::{Host, PipelineError};
use crate::store::NewMediaFile;

/// The poster's name in addresses.
const POSTER: &str = "poster.jpg";
/// The storyboard's sheet, and …
const SHEET: &str = "storyboard.jpg";
/// … its list.
pub(super) const LIST: &str = "storyboard.vtt";
/// Pixels of the poster's width, at most.
pub(super) const POSTER_WIDTH: u32 = 1_280;
/// Where the poster is taken (contract §3): at one second, or at the beginning of what is shorter.
const POSTER_AT_MS: u64 = 1_000;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub(super) enum PictureError {
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error("a picture cannot be stored: {0}")]
    Objects(#[from] crate::objects::ObjectError),
    #[error("a picture cannot be drawn: {0}")]
    Draw(#[from] io::Error),
}

/// A poster, stored.
#[derive(Debug)]
pub(super) struct Poster {
    pub(super) file: NewMediaFile,
    pub(super) blurhash: Option<String>,
}

/// Takes the poster and stores it; `None` when nothing can be shown.
pub(super) async fn poster(
    host: &Host,
    objects: &Objects,
    media: MediaId,
    file: File,
    duration_ms: u64,
) -> Result<Option<Poster>, PictureError> {
    let at = if duration_ms > POSTER_AT_MS {
        POSTER_AT_MS
    } else {
        0
    };
    let pictures = host.pictures(file, vec![at], POSTER_WIDTH).await?;
    let Some(picture) = pictures.into_iter().next() else {
        return Ok(None);
    };
    let jpeg = picture.jpeg.clone();
    let seen = blocking(move || {
        let decoded = image::load_from_memory_with_format(&jpeg, ImageFormat::Jpeg);
        let decoded = decoded.map_err(io::Error::other)?;
        let small = decoded.thumbnail(32, 32);
        let (width, height) = small.dimensions();
        let hash = blurhash::encode(4, 3, width, height, small.to_rgba8().as_raw()).ok();
        Ok((decoded.dimensions(), hash))
    });
    let (size, blurhash) = seen.await?;
    let file = store(objects, media, POSTER, picture.jpeg, Some(size)).await?;
    Ok(Some(Poster { file, blurhash }))
}

/// Draws the storyboard and stores it.
pub(super) async fn storyboard(
    host: &Host,
    objects: &Objects,
    media: MediaId,
    file: File,
    duration_ms: u64,
) -> Result<Vec<NewMediaFile>, PictureError> {
    let times = storyboard::times(duration_ms);
    let pictures = host.pictures(file, times, storyboard::TILE_WIDTH).await?;
    let drawn = blocking(move || storyboard::draw(&pictures, duration_ms, SHEET)).await?;
    let Some(board) = drawn else {
        return Ok(Vec::new());
    };
    let size = Some((board.width, board.height));
    let sheet = store(objects, media, SHEET, board.jpeg.into(), size).await?;
    let list = store(objects, media, LIST, board.vtt.into(), None).await?;
    Ok(vec![sheet, list])
}

async fn store(
    objects: &Objects,
    media: MediaId,
    name: &str,
    bytes: Bytes,
    size: Option<(u32, u32)>,
) -> Result<NewMediaFile, PictureError> {
    let key = ObjectKey::media(media, name).expect("our own names are pieces of a path");
    let file = NewMediaFile {
        name: name.to_owned(),
        path: key.to_string(),
        content_type: key.content_type().to_owned(),
        bytes: bytes.len() as u64,
        width: size.map(|(width, _)| width),
        height: size.map(|(_, height)| height),
        etag: hex::encode(&Sha256::digest(&bytes)[..16]),
    };
    objects.put(&key, bytes).await?;
    Ok(file)
}
