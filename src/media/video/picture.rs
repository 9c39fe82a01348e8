//! A video's poster and storyboard, stored.

use std::fs::File;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::stills::{self, StillError, Stretch};
use crate::base::MediaId;
use crate::objects::{ObjectKey, Objects};
use crate::pipeline::Host;
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
    Still(#[from] StillError),
    #[error("a picture cannot be stored: {0}")]
    Objects(#[from] crate::objects::ObjectError),
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
    let Some(still) = stills::still(host, file, at, POSTER_WIDTH).await? else {
        return Ok(None);
    };
    let size = (still.width, still.height);
    let file = store(objects, media, POSTER, still.jpeg, Some(size)).await?;
    let blurhash = still.blurhash;
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
    let all = vec![Stretch { file, at_ms: 0 }];
    let Some(board) = stills::board(host, all, duration_ms, SHEET).await? else {
        return Ok(Vec::new());
    };
    let size = Some((board.width, board.height));
    let sheet = store(objects, media, SHEET, board.sheet, size).await?;
    let list = store(objects, media, LIST, board.list, None).await?;
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
