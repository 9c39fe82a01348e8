//! The storyboard: small pictures of a video on one sheet, and the list that says where each is (WebVTT, as players
//! that show previews while seeking read it).

use std::fmt::Write;
use std::io;

use image::codecs::jpeg::JpegEncoder;
use image::{GenericImage, ImageReader, RgbImage};

use crate::pipeline::Picture;

/// Pixels of one small picture's width.
pub(super) const TILE_WIDTH: u32 = 160;
/// Small pictures in a row.
const COLUMNS: u32 = 10;
/// The most of them: a sheet of 1600 × 1000 for a picture of 16:9.
const MOST: u64 = 100;
/// The least time between two, ms.
const LEAST_MS: u64 = 1_000;
const QUALITY: u8 = 70;

/// Where the small pictures of a video of `duration_ms` are taken: in the middle of equal spans.
pub(super) fn times(duration_ms: u64) -> Vec<u64> {
    let count = (duration_ms / LEAST_MS).clamp(1, MOST);
    (0..count)
        .map(|at| (2 * at + 1) * duration_ms / (2 * count))
        .collect()
}

/// A sheet and its list.
#[derive(Debug)]
pub(super) struct Storyboard {
    pub(super) jpeg: Vec<u8>,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) vtt: String,
}

/// Puts `pictures`, those of [`times`] that there are, on a sheet that lies beside the list under `name`. `None` when
/// none can be read. Blocks for as long as a few dozen small pictures take.
///
/// # Errors
/// When the sheet cannot be encoded.
pub(super) fn draw(
    pictures: &[Picture],
    duration_ms: u64,
    name: &str,
) -> io::Result<Option<Storyboard>> {
    let mut tiles: Vec<(u32, RgbImage)> = Vec::with_capacity(pictures.len());
    for picture in pictures {
        let read =
            ImageReader::with_format(io::Cursor::new(&picture.jpeg), image::ImageFormat::Jpeg);
        if let Ok(tile) = read.decode() {
            tiles.push((picture.index, tile.to_rgb8()));
        }
    }
    let Some((_, first)) = tiles.first() else {
        return Ok(None);
    };
    let (wide, high) = first.dimensions();
    let count = u32::try_from(tiles.len()).unwrap_or(u32::MAX);
    let (width, height) = (wide * COLUMNS.min(count), high * count.div_ceil(COLUMNS));
    let mut sheet = RgbImage::new(width, height);
    let mut vtt = "WEBVTT\n".to_owned();
    let spans = times(duration_ms).len() as u64;
    let begin = |index: u32| u64::from(index) * duration_ms / spans;
    let ends = tiles.iter().skip(1).map(|(index, _)| begin(*index));
    let ends: Vec<u64> = ends.chain([duration_ms]).collect();
    for ((place, (index, tile)), end) in (0..).zip(&tiles).zip(ends) {
        let (x, y) = (place % COLUMNS * wide, place / COLUMNS * high);
        if sheet.copy_from(tile, x, y).is_err() {
            // A picture of another size: its place stays black.
            continue;
        }
        // What no picture was found for is shown by the first.
        let from = if place == 0 { 0 } else { begin(*index) };
        let (from, to) = (moment(from), moment(end));
        std::write!(
            vtt,
            "\n{from} --> {to}\n{name}#xywh={x},{y},{wide},{high}\n"
        )
        .map_err(io::Error::other)?;
    }
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY)
        .encode_image(&sheet)
        .map_err(io::Error::other)?;
    Ok(Some(Storyboard {
        jpeg,
        width,
        height,
        vtt,
    }))
}

/// `HH:MM:SS.mmm` (WebVTT 4.3).
fn moment(ms: u64) -> String {
    let (seconds, millis) = (ms / 1_000, ms % 1_000);
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    format!(
        "{:02}:{:02}:{seconds:02}.{millis:03}",
        minutes / 60,
        minutes % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    fn picture(index: u32, grey: u8) -> Picture {
        let mut jpeg = Vec::new();
        let tile = RgbImage::from_pixel(16, 8, Rgb([grey; 3]));
        JpegEncoder::new_with_quality(&mut jpeg, 90)
            .encode_image(&tile)
            .unwrap();
        Picture {
            index,
            at_ms: 0,
            jpeg: jpeg.into(),
        }
    }

    #[test]
    fn small_pictures_are_taken_in_the_middle_of_equal_spans() {
        assert_eq!(times(400), [200]);
        assert_eq!(times(4_000), [500, 1_500, 2_500, 3_500]);
        let long = times(7_200_000);
        assert_eq!((long.len(), long[0], long[99]), (100, 36_000, 7_164_000));
    }

    #[test]
    fn the_list_says_where_on_the_sheet_each_moment_is() {
        let pictures: Vec<_> = (0..12_u8).map(|at| picture(at.into(), 20 * at)).collect();
        let board = draw(&pictures, 12_000, "storyboard.jpg").unwrap().unwrap();
        assert_eq!((board.width, board.height), (160, 16));
        let cues: Vec<&str> = board.vtt.split("\n\n").collect();
        assert_eq!(cues[0], "WEBVTT");
        assert_eq!(
            cues[12],
            "00:00:11.000 --> 00:00:12.000\nstoryboard.jpg#xywh=16,8,16,8\n"
        );
        let sheet = image::load_from_memory(&board.jpeg).unwrap().to_rgb8();
        for (x, y, grey) in [(8, 4, 0), (24, 4, 20), (24, 12, 220)] {
            assert!(sheet.get_pixel(x, y).0[0].abs_diff(grey) < 6, "{x} {y}");
        }
    }

    #[test]
    fn a_moment_without_a_picture_is_shown_by_the_one_before() {
        let pictures = [picture(1, 9), picture(3, 9)];
        let board = draw(&pictures, 4_000, "s.jpg").unwrap().unwrap();
        assert_eq!(
            board.vtt,
            "WEBVTT\n\n00:00:00.000 --> 00:00:03.000\ns.jpg#xywh=0,0,16,8\n\
             \n00:00:03.000 --> 00:00:04.000\ns.jpg#xywh=16,0,16,8\n"
        );
        assert!(draw(&[], 4_000, "s.jpg").unwrap().is_none());
    }
}
