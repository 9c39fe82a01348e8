//! Pictures drawn out of rendition files: one of them, or a storyboard of all. For videos, and for what a live leaves behind.

use std::fs::File;
use std::io;

use bytes::Bytes;
use image::{GenericImageView, ImageFormat};

use super::storyboard;
use crate::base::blocking;
use crate::pipeline::{Host, PipelineError};

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum StillError {
    /// The child gave none.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// It cannot be drawn or encoded.
    #[error("a picture cannot be drawn: {0}")]
    Draw(#[from] io::Error),
}

/// One picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Still {
    /// JPEG.
    pub jpeg: Bytes,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// A picture of a few pixels as text.
    pub blurhash: Option<String>,
}

/// The (key frame before the) moment `at_ms` of a file, at most `width` pixels wide; `None` when nothing can be shown.
///
/// # Errors
/// The file does not decode, or the child fails.
pub async fn still(
    host: &Host,
    file: File,
    at_ms: u64,
    width: u32,
) -> Result<Option<Still>, StillError> {
    let pictures = host.pictures(file, vec![at_ms], width).await?;
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
    let ((width, height), blurhash) = seen.await?;
    Ok(Some(Still {
        jpeg: picture.jpeg,
        width,
        height,
        blurhash,
    }))
}

/// One of the files that a storyboard is drawn from.
#[derive(Debug)]
pub struct Stretch {
    /// The file, whose own times begin at 0.
    pub file: File,
    /// Where on the whole's timeline it begins, ms.
    pub at_ms: u64,
}

/// A storyboard: a sheet of small pictures, and the list that says where on it each moment is (WebVTT).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Board {
    /// JPEG.
    pub sheet: Bytes,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// The text of the list.
    pub list: Bytes,
}

/// Draws what lasts `duration_ms`, given as files one behind the other; the list names the sheet `sheet`. `None` when nothing
/// can be shown.
///
/// # Errors
/// A file does not decode, or a child fails.
pub async fn board(
    host: &Host,
    stretches: Vec<Stretch>,
    duration_ms: u64,
    sheet: &'static str,
) -> Result<Option<Board>, StillError> {
    let times = storyboard::times(duration_ms);
    let mut pictures = Vec::with_capacity(times.len());
    let mut stretches = stretches.into_iter().peekable();
    while let Some(stretch) = stretches.next() {
        let end = stretches.peek().map_or(u64::MAX, |next| next.at_ms);
        let mine = times.iter().enumerate();
        let mine = mine.filter(|(_, at)| (stretch.at_ms..end).contains(*at));
        let (places, within): (Vec<usize>, Vec<u64>) =
            mine.map(|(place, at)| (place, at - stretch.at_ms)).unzip();
        if within.is_empty() {
            continue;
        }
        let drawn = host.pictures(stretch.file, within, storyboard::TILE_WIDTH);
        for mut picture in drawn.await? {
            let place = usize::try_from(picture.index).ok();
            let place = place.and_then(|index| places.get(index)).copied();
            picture.index = place
                .and_then(|place| u32::try_from(place).ok())
                .unwrap_or(0);
            pictures.push(picture);
        }
    }
    let drawn = blocking(move || storyboard::draw(&pictures, duration_ms, sheet)).await?;
    Ok(drawn.map(|drawn| Board {
        sheet: drawn.jpeg.into(),
        width: drawn.width,
        height: drawn.height,
        list: drawn.vtt.into(),
    }))
}
