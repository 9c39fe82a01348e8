//! A cleaned file decoded: pixels, upright, and what they mean in colour.

use std::io::Cursor;

use image::codecs::gif::GifDecoder;
use image::codecs::jpeg::JpegDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{AnimationDecoder, DynamicImage, Frames, ImageDecoder, ImageResult};

use super::clean::Cleaned;
use super::webp;
use crate::media::{Format, Refusal};

/// Nobody has a screen of a GIF's 65,535.
const SIDE_MAX: u32 = 32_768;

/// Pixels of 8 bits, row by row without padding, with alpha or without.
#[derive(Clone, Debug)]
pub(super) struct Pixels {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Four channels and not three.
    pub(super) alpha: bool,
    pub(super) bytes: Vec<u8>,
}

impl Pixels {
    /// Alpha is kept where some pixel uses it.
    fn of(image: DynamicImage) -> Self {
        let (width, height) = (image.width(), image.height());
        let mut image = image;
        if image.color().has_alpha() {
            let rgba = image.into_rgba8();
            if rgba.pixels().any(|pixel| pixel.0[3] != u8::MAX) {
                return Self {
                    width,
                    height,
                    alpha: true,
                    bytes: rgba.into_raw(),
                };
            }
            image = DynamicImage::ImageRgba8(rgba);
        }
        Self {
            width,
            height,
            alpha: false,
            bytes: image.into_rgb8().into_raw(),
        }
    }
}

/// What the head of a file says, before a pixel is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Size {
    pub(super) fn pixels(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

/// Evaluates an expression with `$decoder` the decoder of a format.
macro_rules! decoding {
    ($format:expr, $bytes:expr, $decoder:ident => $body:expr) => {
        match $format {
            Format::Jpeg => {
                let mut $decoder = JpegDecoder::new(Cursor::new($bytes)).map_err(unreadable)?;
                $body
            }
            Format::Png => {
                let mut $decoder = PngDecoder::new(Cursor::new($bytes)).map_err(unreadable)?;
                $body
            }
            Format::Gif => {
                let mut $decoder = GifDecoder::new(Cursor::new($bytes)).map_err(unreadable)?;
                $body
            }
            Format::Webp => {
                let mut $decoder = WebPDecoder::new(Cursor::new($bytes)).map_err(unreadable)?;
                $body
            }
            _ => return Err(Refusal::UnknownType),
        }
    };
}

/// The size of a picture that may be decoded.
///
/// # Errors
/// `Unreadable`, `TooManyPixels`.
pub(super) fn size(format: Format, bytes: &[u8], max_pixels: u64) -> Result<Size, Refusal> {
    let (width, height, decoded) = decoding!(format, bytes, decoder => {
        decoder.set_limits(limits(max_pixels)).map_err(unreadable)?;
        let (width, height) = decoder.dimensions();
        (width, height, decoder.total_bytes())
    });
    let size = Size { width, height };
    if size.pixels() == 0 {
        return Err(Refusal::Unreadable);
    }
    // Four bytes a pixel: of 16 bits a channel half as many are taken.
    let too_many = size.pixels() > max_pixels || decoded > max_pixels.saturating_mul(4);
    if too_many || width > SIDE_MAX || height > SIDE_MAX {
        return Err(Refusal::TooManyPixels);
    }
    Ok(size)
}

/// The picture, or the first of an animation, upright.
///
/// # Errors
/// `Unreadable`.
pub(super) fn decode(
    format: Format,
    cleaned: &Cleaned,
    max_pixels: u64,
) -> Result<Pixels, Refusal> {
    let bytes: &[u8] = &cleaned.bytes;
    let mut image = decoding!(format, bytes, decoder => {
        decoder.set_limits(limits(max_pixels)).map_err(unreadable)?;
        DynamicImage::from_decoder(decoder).map_err(unreadable)?
    });
    if cleaned.orientation != Orientation::NoTransforms {
        image.apply_orientation(cleaned.orientation);
    }
    Ok(Pixels::of(image))
}

fn limits(max_pixels: u64) -> image::Limits {
    let mut limits = image::Limits::no_limits();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    // The picture, and as much for the decoder's own tables.
    limits.max_alloc = Some(max_pixels.saturating_mul(8));
    limits
}

/// The pictures of an animation, each drawn over those before; `None` for a format without.
///
/// # Errors
/// `Unreadable`.
pub(super) fn animation(format: Format, bytes: &[u8]) -> Result<Option<Frames<'_>>, Refusal> {
    let reader = Cursor::new(bytes);
    Ok(match format {
        Format::Gif => Some(GifDecoder::new(reader).map_err(unreadable)?.into_frames()),
        Format::Webp => Some(WebPDecoder::new(reader).map_err(unreadable)?.into_frames()),
        Format::Png => {
            let decoder = PngDecoder::new(reader).map_err(unreadable)?;
            Some(decoder.apng().map_err(unreadable)?.into_frames())
        }
        _ => None,
    })
}

/// One picture of an animation, and for how many milliseconds it is shown.
///
/// # Errors
/// `Unreadable`.
pub(super) fn frame(frame: ImageResult<image::Frame>) -> Result<(Pixels, u32), Refusal> {
    let frame = frame.map_err(unreadable)?;
    let (numerator, denominator) = frame.delay().numer_denom_ms();
    let buffer = frame.into_buffer();
    let pixels = Pixels {
        width: buffer.width(),
        height: buffer.height(),
        alpha: true,
        bytes: buffer.into_raw(),
    };
    Ok((pixels, numerator / denominator.max(1)))
}

/// The profile that says what the numbers of RGB pixels mean; one for grey or CMYK says nothing of the RGB that
/// was decoded.
pub(super) fn profile(format: Format, bytes: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
    let found = match format {
        Format::Webp => webp::profile(bytes),
        format => decoding!(format, bytes, decoder => {
            decoder.icc_profile().map_err(unreadable)?
        }),
    };
    // ICC.1:2022 §7.2.6: bytes 16 to 19 name the colour space.
    Ok(found.filter(|profile| profile.get(16..20) == Some(b"RGB ")))
}

fn unreadable(error: image::ImageError) -> Refusal {
    match error {
        image::ImageError::Limits(_) => Refusal::TooManyPixels,
        _ => Refusal::Unreadable,
    }
}
