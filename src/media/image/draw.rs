//! Pictures drawn smaller, and written as files.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{PixelType, Resizer};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use img_parts::ImageICC;

use super::picture::Pixels;
use crate::media::Refusal;

/// Good enough that people see no difference at the size of a screen (contract §3: 85).
const JPEG_QUALITY: u8 = 85;
/// The same for a picture that only had to be turned.
const TURNED_QUALITY: u8 = 92;
/// About what JPEG's 85 looks like, with a third fewer bytes.
const WEBP_QUALITY: f32 = 80.0;
const TURNED_WEBP_QUALITY: f32 = 92.0;

/// The size of a picture whose longer side is to have `most` pixels; never larger than it is.
pub(super) fn fit(width: u32, height: u32, most: u32) -> (u32, u32) {
    let longer = width.max(height);
    if longer <= most {
        return (width, height);
    }
    let scale = |side: u32| {
        let scaled =
            (u64::from(side) * u64::from(most) + u64::from(longer) / 2) / u64::from(longer);
        u32::try_from(scaled).unwrap_or(most).max(1)
    };
    (scale(width), scale(height))
}

/// The picture in another size.
///
/// # Errors
/// `Unreadable` when the pixels are not as many as they say.
pub(super) fn resize(pixels: &Pixels, width: u32, height: u32) -> Result<Pixels, Refusal> {
    if (pixels.width, pixels.height) == (width, height) {
        return Ok(pixels.clone());
    }
    let kind = if pixels.alpha {
        PixelType::U8x4
    } else {
        PixelType::U8x3
    };
    let source = ImageRef::new(pixels.width, pixels.height, &pixels.bytes, kind)
        .map_err(|_| Refusal::Unreadable)?;
    let mut target = Image::new(width, height, kind);
    // Lanczos; colours of transparent pixels do not bleed, since it multiplies by alpha first.
    Resizer::new()
        .resize(&source, &mut target, None)
        .map_err(|_| Refusal::Unreadable)?;
    Ok(Pixels {
        width,
        height,
        alpha: pixels.alpha,
        bytes: target.into_vec(),
    })
}

/// How a picture is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// A smaller one.
    Small,
    /// The file itself, turned upright.
    Turned,
}

pub(super) fn jpeg(
    pixels: &Pixels,
    profile: Option<&[u8]>,
    wish: Wish,
) -> Result<Vec<u8>, Refusal> {
    let quality = match wish {
        Wish::Small => JPEG_QUALITY,
        Wish::Turned => TURNED_QUALITY,
    };
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, quality);
    if let Some(profile) = profile {
        // Too large for its segments: then without.
        drop(encoder.set_icc_profile(profile.to_vec()));
    }
    encoder
        .encode(
            &pixels.bytes,
            pixels.width,
            pixels.height,
            ExtendedColorType::Rgb8,
        )
        .map_err(|_| Refusal::Unreadable)?;
    Ok(bytes)
}

pub(super) fn png(pixels: &Pixels, profile: Option<&[u8]>) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    let mut encoder = PngEncoder::new(&mut bytes);
    if let Some(profile) = profile {
        drop(encoder.set_icc_profile(profile.to_vec()));
    }
    let colour = if pixels.alpha {
        ExtendedColorType::Rgba8
    } else {
        ExtendedColorType::Rgb8
    };
    encoder
        .write_image(&pixels.bytes, pixels.width, pixels.height, colour)
        .map_err(|_| Refusal::Unreadable)?;
    Ok(bytes)
}

pub(super) fn webp(
    pixels: &Pixels,
    profile: Option<&[u8]>,
    wish: Wish,
) -> Result<Vec<u8>, Refusal> {
    let quality = match wish {
        Wish::Small => WEBP_QUALITY,
        Wish::Turned => TURNED_WEBP_QUALITY,
    };
    let encoder = if pixels.alpha {
        webp::Encoder::from_rgba(&pixels.bytes, pixels.width, pixels.height)
    } else {
        webp::Encoder::from_rgb(&pixels.bytes, pixels.width, pixels.height)
    };
    let written = encoder.encode_simple(false, quality);
    let written = written.map_err(|_| Refusal::Unreadable)?;
    with_profile(written.to_vec(), profile)
}

/// An animation of pictures of one size, with alpha, each shown for its milliseconds.
pub(super) fn animated_webp(
    frames: &[(Pixels, u32)],
    profile: Option<&[u8]>,
) -> Result<Vec<u8>, Refusal> {
    let (first, _) = frames.first().ok_or(Refusal::Unreadable)?;
    let mut config = webp::WebPConfig::new().map_err(|()| Refusal::Unreadable)?;
    config.quality = WEBP_QUALITY;
    let mut encoder = webp::AnimEncoder::new(first.width, first.height, &config);
    let mut moment: i32 = 0;
    for (pixels, duration) in frames {
        encoder.add_frame(webp::AnimFrame::from_rgba(
            &pixels.bytes,
            pixels.width,
            pixels.height,
            moment,
        ));
        moment = moment.saturating_add(i32::try_from(*duration).unwrap_or(i32::MAX));
    }
    let written = encoder.try_encode().map_err(|_| Refusal::Unreadable)?;
    with_profile(written.to_vec(), profile)
}

/// A WebP with a colour profile before its picture.
fn with_profile(bytes: Vec<u8>, profile: Option<&[u8]>) -> Result<Vec<u8>, Refusal> {
    let Some(profile) = profile else {
        return Ok(bytes);
    };
    let mut file =
        img_parts::webp::WebP::from_bytes(bytes.into()).map_err(|_| Refusal::Unreadable)?;
    file.set_icc_profile(Some(profile.to_vec().into()));
    Ok(file.encoder().bytes().to_vec())
}

/// A few numbers as text that stand for the picture while it loads: 4 × 3 of them.
pub(super) fn blurhash(pixels: &Pixels) -> Result<String, Refusal> {
    let (width, height) = fit(pixels.width, pixels.height, 32);
    let small = resize(pixels, width, height)?;
    let bytes = if small.alpha {
        small.bytes
    } else {
        let opaque = small.bytes.chunks_exact(3);
        opaque
            .flat_map(|rgb| [rgb[0], rgb[1], rgb[2], u8::MAX])
            .collect()
    };
    blurhash::encode(4, 3, width, height, &bytes).map_err(|_| Refusal::Unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_fitted_and_never_enlarged() {
        assert_eq!(fit(4_000, 3_000, 1_920), (1_920, 1_440));
        assert_eq!(fit(3_000, 4_000, 150), (113, 150));
        assert_eq!(fit(150, 100, 150), (150, 100));
        assert_eq!(fit(20, 10, 150), (20, 10));
        assert_eq!(fit(30_000, 1, 150), (150, 1));
    }
}
