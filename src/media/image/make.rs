//! What people fetch of an image: the file itself, made harmless, and smaller ones.

use bytes::Bytes;
use image::metadata::Orientation;
use tokio::time::Instant;

use super::clean::Cleaned;
use super::draw::{self, Wish};
use super::picture::{self, Pixels, Size};
use super::{gif, jpeg, png, webp};
use crate::media::{Format, Refusal};

/// Longer sides of the smaller pictures.
const SIDES: [u32; 4] = [150, 300, 600, 1_920];
/// Bytes of pixels of one animation that is drawn smaller; a longer or larger one is not, and people see the file.
const ANIMATION_BYTES: u64 = 64 << 20;
/// Pixels of all pictures of an animation that are decoded; of more only the first is.
const ANIMATION_PIXELS: u64 = 1_000_000_000;

/// What making an image may cost.
#[derive(Clone, Copy, Debug)]
pub(in crate::media) struct Limits {
    /// Pixels of the picture.
    pub(in crate::media) max_pixels: u64,
    /// When it must be done; looked at between steps.
    pub(in crate::media) until: Instant,
}

/// One file that people fetch.
#[derive(Clone, Debug)]
pub(in crate::media) struct Piece {
    /// The last piece of its address.
    pub(in crate::media) name: String,
    /// With which it is served.
    pub(in crate::media) content_type: &'static str,
    /// Pixels.
    pub(in crate::media) width: u32,
    /// Pixels.
    pub(in crate::media) height: u32,
    /// The file.
    pub(in crate::media) bytes: Bytes,
}

/// An image, ready to be stored.
#[derive(Clone, Debug)]
pub(in crate::media) struct MadeImage {
    /// Pixels, upright.
    pub(in crate::media) width: u32,
    /// Pixels, upright.
    pub(in crate::media) height: u32,
    /// See `Media::blurhash`.
    pub(in crate::media) blurhash: String,
    /// The file itself first.
    pub(in crate::media) pieces: Vec<Piece>,
}

/// Millions of pixels of an image, at least 1: what decoding it takes of the memory that all share.
///
/// # Errors
/// As [`make`], told by the head alone.
pub(in crate::media) fn megapixels(
    format: Format,
    bytes: &[u8],
    limits: Limits,
) -> Result<u32, Refusal> {
    let size = picture::size(format, &clean(format, bytes)?.bytes, limits.max_pixels)?;
    Ok(u32::try_from(size.pixels().div_ceil(1_000_000)).unwrap_or(u32::MAX))
}

/// Makes what people fetch of the image `bytes`. Blocks, for seconds.
///
/// # Errors
/// `Unreadable`, `TooManyPixels`, `Hidden`, `TooSlow`, `UnknownType` for a format that is no image's.
pub(in crate::media) fn make(
    format: Format,
    bytes: &[u8],
    limits: Limits,
) -> Result<MadeImage, Refusal> {
    let cleaned = clean(format, bytes)?;
    let size = picture::size(format, &cleaned.bytes, limits.max_pixels)?;
    in_time(limits)?;
    let pixels = picture::decode(format, &cleaned, limits.max_pixels)?;
    in_time(limits)?;
    let profile = picture::profile(format, &cleaned.bytes)?;
    let profile = profile.as_deref();
    let blurhash = draw::blurhash(&pixels)?;
    let (width, height) = (pixels.width, pixels.height);
    let mut pieces = vec![Piece {
        name: format!("file.{}", format.extension()),
        content_type: format.content_type(),
        width,
        height,
        bytes: file(format, &cleaned, &pixels, profile)?.into(),
    }];
    if cleaned.frames > 1 {
        pieces.extend(animated(format, &cleaned, size, limits, profile)?);
    }
    if pieces.len() == 1 {
        pieces.extend(smaller(pixels, limits, profile)?);
    }
    Ok(MadeImage {
        width,
        height,
        blurhash,
        pieces,
    })
}

fn clean(format: Format, bytes: &[u8]) -> Result<Cleaned, Refusal> {
    match format {
        Format::Jpeg => jpeg::clean(bytes),
        Format::Png => png::clean(bytes),
        Format::Gif => gif::clean(bytes),
        Format::Webp => webp::clean(bytes),
        _ => Err(Refusal::UnknownType),
    }
}

fn in_time(limits: Limits) -> Result<(), Refusal> {
    if Instant::now() > limits.until {
        return Err(Refusal::TooSlow);
    }
    Ok(())
}

/// The file itself: as it came without what was cut, or turned upright and written anew.
fn file(
    format: Format,
    cleaned: &Cleaned,
    pixels: &Pixels,
    profile: Option<&[u8]>,
) -> Result<Vec<u8>, Refusal> {
    if cleaned.orientation == Orientation::NoTransforms || cleaned.frames > 1 {
        return Ok(cleaned.bytes.clone());
    }
    match format {
        Format::Jpeg => draw::jpeg(pixels, profile, Wish::Turned),
        Format::Png => draw::png(pixels, profile),
        Format::Webp => draw::webp(pixels, profile, Wish::Turned),
        _ => Ok(cleaned.bytes.clone()),
    }
}

/// The sides that are drawn: those that are smaller than the picture, and one that holds all of it.
fn sides(longer: u32) -> impl DoubleEndedIterator<Item = u32> {
    let smaller = SIDES.iter().filter(|side| **side < longer).count();
    SIDES.into_iter().take(smaller + 1)
}

/// Smaller pictures, largest first, each drawn from the one before.
fn smaller(pixels: Pixels, limits: Limits, profile: Option<&[u8]>) -> Result<Vec<Piece>, Refusal> {
    let mut pieces = Vec::new();
    let mut from = pixels;
    for side in sides(from.width.max(from.height)).rev() {
        in_time(limits)?;
        let (width, height) = draw::fit(from.width, from.height, side);
        from = draw::resize(&from, width, height)?;
        let mut add = |extension: &str, content_type, bytes: Vec<u8>| {
            pieces.push(Piece {
                name: format!("{side}.{extension}"),
                content_type,
                width,
                height,
                bytes: bytes.into(),
            });
        };
        add(
            "webp",
            "image/webp",
            draw::webp(&from, profile, Wish::Small)?,
        );
        if !from.alpha {
            add(
                "jpg",
                "image/jpeg",
                draw::jpeg(&from, profile, Wish::Small)?,
            );
        }
    }
    Ok(pieces)
}

/// The same of an animation, which stays one; nothing when that would take too much.
fn animated(
    format: Format,
    cleaned: &Cleaned,
    size: Size,
    limits: Limits,
    profile: Option<&[u8]>,
) -> Result<Vec<Piece>, Refusal> {
    let frames = u64::from(cleaned.frames);
    let mut pieces = Vec::new();
    if size.pixels().saturating_mul(frames) > ANIMATION_PIXELS {
        return Ok(pieces);
    }
    for side in sides(size.width.max(size.height)) {
        let (width, height) = draw::fit(size.width, size.height, side);
        let drawn = u64::from(width) * u64::from(height) * 4;
        if drawn.saturating_mul(frames) > ANIMATION_BYTES {
            break;
        }
        let Some(decoded) = picture::animation(format, &cleaned.bytes)? else {
            break;
        };
        let mut small = Vec::new();
        for frame in decoded {
            in_time(limits)?;
            let (pixels, duration) = picture::frame(frame)?;
            small.push((draw::resize(&pixels, width, height)?, duration));
        }
        // One that turns out to hold a single picture cannot be written as an animation.
        let Ok(bytes) = draw::animated_webp(&small, profile) else {
            break;
        };
        pieces.push(Piece {
            name: format!("{side}.webp"),
            content_type: "image/webp",
            width,
            height,
            bytes: bytes.into(),
        });
    }
    Ok(pieces)
}
