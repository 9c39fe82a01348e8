//! JPEG (ITU-T T.81 Annex B): frame, tables and scans stay, with the colour profile; applications' segments go.

use super::clean::{Cleaned, Walk, dropped};
use crate::media::Refusal;

/// A progressive picture has about ten scans; one with thousands costs a decoder that many passes.
const SCANS_MAX: u32 = 64;

const EXIF: &[u8] = b"Exif\0\0";
const ICC: &[u8] = b"ICC_PROFILE\0";
const ADOBE: &[u8] = b"Adobe";
/// Version 1.02, no unit, square pixels, no thumbnail.
const JFIF: &[u8] = b"\xff\xe0\0\x10JFIF\0\x01\x02\0\0\x01\0\x01\0\0";

/// Keeps what the picture needs.
///
/// # Errors
/// `Unreadable` for what is no JPEG or ends too early, `Hidden`, `TooSlow` for one of too many scans.
pub(super) fn clean(bytes: &[u8]) -> Result<Cleaned, Refusal> {
    let mut walk = Walk::new(bytes);
    if walk.array()? != [0xff, 0xd8] {
        return Err(Refusal::Unreadable);
    }
    let mut kept = Cleaned::new();
    kept.bytes.extend([0xff, 0xd8]);
    let mut scans = 0;
    loop {
        if walk.byte()? != 0xff {
            return Err(Refusal::Unreadable);
        }
        let mut marker = walk.byte()?;
        while marker == 0xff {
            // B.1.1.2: any number of fill bytes.
            marker = walk.byte()?;
        }
        match marker {
            0xd9 => break,
            // TEM and RSTn stand alone.
            0x01 | 0xd0..=0xd7 => kept.bytes.extend([0xff, marker]),
            0x00 | 0xd8 => return Err(Refusal::Unreadable),
            _ => {
                let declared: [u8; 2] = walk.array()?;
                let length = usize::from(u16::from_be_bytes(declared));
                let segment = walk.take(length.checked_sub(2).ok_or(Refusal::Unreadable)?)?;
                if keeps(marker, segment, &mut kept)? {
                    kept.bytes.extend([0xff, marker]);
                    kept.bytes.extend(declared);
                    kept.bytes.extend(segment);
                }
                if marker == 0xda {
                    scans += 1;
                    if scans > SCANS_MAX {
                        return Err(Refusal::TooSlow);
                    }
                    let coded = entropy_coded(walk.left());
                    kept.bytes.extend(walk.take(coded)?);
                }
            }
        }
    }
    if scans == 0 {
        return Err(Refusal::Unreadable);
    }
    // Phones put a film or another picture behind it.
    dropped(walk.left())?;
    kept.bytes.extend([0xff, 0xd9]);
    kept.frames = 1;
    Ok(kept)
}

/// Whether a segment is copied as it is.
fn keeps(marker: u8, segment: &[u8], kept: &mut Cleaned) -> Result<bool, Refusal> {
    Ok(match marker {
        // Frames, Huffman and arithmetic tables, scans, quantisation, lines, restart interval.
        0xc0..=0xcf | 0xda | 0xdb | 0xdc | 0xdd => true,
        0xe0 if segment.starts_with(b"JFIF\0") => {
            // Anew: it may hold a thumbnail of what was cut off.
            kept.bytes.extend(JFIF);
            false
        }
        0xe1 if segment.starts_with(EXIF) => {
            kept.note_exif(&segment[EXIF.len()..]);
            false
        }
        0xe2 => segment.starts_with(ICC),
        // Says whether three components are RGB, and four inverted.
        0xee => segment.starts_with(ADOBE),
        0xfe => {
            dropped(segment)?;
            false
        }
        _ => false,
    })
}

/// How many bytes come before the next marker that is neither a stuffed zero nor a restart (B.1.1.5).
fn entropy_coded(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|byte| *byte == 0xff) {
        at += found;
        match bytes.get(at + 1) {
            Some(0x00 | 0xd0..=0xd7) => at += 2,
            // A fill byte belongs to the marker behind it.
            Some(_) => return at,
            None => return bytes.len(),
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::metadata::Orientation;

    /// A segment with its length.
    fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len() + 2).unwrap().to_be_bytes();
        [&[0xff, marker], &length[..], body].concat()
    }

    /// TIFF of one entry: tag 0x0112 orientation, type SHORT (Exif 2.32 §4.6.4).
    fn exif(orientation: u8) -> Vec<u8> {
        let mut body = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
        body.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
        body.extend(b"GPS here");
        segment(0xe1, &body)
    }

    fn file(extra: &[Vec<u8>], behind: &[u8]) -> Vec<u8> {
        let scan = [
            segment(0xda, b"\x01\x01\0\0\x3f\0"),
            b"ab\xff\0c\xff\xd0d".to_vec(),
        ];
        [
            b"\xff\xd8".to_vec(),
            extra.concat(),
            segment(0xc0, b"frame"),
            scan.concat(),
            b"\xff\xff\xd9".to_vec(),
            behind.to_vec(),
        ]
        .concat()
    }

    #[test]
    fn only_what_the_picture_needs_is_kept() {
        let icc = segment(0xe2, b"ICC_PROFILE\0\x01\x01profile");
        let given = file(
            &[
                segment(0xe0, b"JFIF\0\x01\x01\0\0\x01\0\x01\x01\x01rgb"),
                exif(6),
                segment(0xe1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>"),
                icc.clone(),
                segment(0xe2, b"MPF\0other picture"),
                segment(0xed, b"Photoshop 3.0\0"),
                segment(0xfe, b"a comment"),
            ],
            b"ftypmp42 a film",
        );
        let kept = clean(&given).unwrap();
        assert_eq!(kept.orientation, Orientation::Rotate90);
        let mut expected = file(&[JFIF.to_vec(), icc], b"");
        // The fill byte before the end is not kept.
        expected.remove(expected.len() - 2);
        assert_eq!(kept.bytes, expected);
    }

    #[test]
    fn torn_false_and_two_faced_files_are_refused() {
        let whole = file(&[exif(1)], b"");
        for cut in 0..whole.len() {
            let torn = clean(&whole[..cut]).err();
            assert_eq!(torn, Some(Refusal::Unreadable), "{cut}");
        }
        let page = file(&[], b"<html><script>alert(1)</script>");
        assert_eq!(clean(&page).err(), Some(Refusal::Hidden));
        let script = file(&[segment(0xfe, b"*/<?php system(1);")], b"");
        assert_eq!(clean(&script).err(), Some(Refusal::Hidden));
        assert_eq!(clean(b"\xff\xd8\xff\xd9").err(), Some(Refusal::Unreadable));
        let short = [&b"\xff\xd8"[..], b"\xff\xe0\0\x01"].concat();
        assert_eq!(clean(&short).err(), Some(Refusal::Unreadable));
    }

    #[test]
    fn a_picture_of_very_many_scans_is_refused() {
        let scan = [segment(0xda, b"\x01\x01\0\0\x3f\0"), b"ab".to_vec()].concat();
        let many = [b"\xff\xd8".to_vec(), scan.repeat(65), b"\xff\xd9".to_vec()].concat();
        assert_eq!(clean(&many).err(), Some(Refusal::TooSlow));
    }
}
