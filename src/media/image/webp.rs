//! WebP (RFC 9649): pictures, alpha, animation and the colour profile stay; EXIF, XMP and unknown chunks go.

use super::clean::{Cleaned, Walk, dropped, length};
use crate::media::Refusal;

/// Flags of VP8X (§2.7): EXIF and XMP.
const OF_METADATA: u8 = 0x08 | 0x04;

/// Keeps what the picture needs.
///
/// # Errors
/// `Unreadable` for what is no WebP or ends too early, `Hidden`.
pub(super) fn clean(bytes: &[u8]) -> Result<Cleaned, Refusal> {
    let mut walk = Walk::new(bytes);
    let riff: [u8; 4] = walk.array()?;
    let declared: [u8; 4] = walk.array()?;
    if &riff != b"RIFF" {
        return Err(Refusal::Unreadable);
    }
    let inside = walk.take(length(u32::from_le_bytes(declared))?)?;
    dropped(walk.left())?;
    let mut walk = Walk::new(inside);
    if &walk.array::<4>()? != b"WEBP" {
        return Err(Refusal::Unreadable);
    }
    let mut kept = Cleaned::new();
    kept.bytes.extend(b"RIFF\0\0\0\0WEBP");
    while !walk.left().is_empty() {
        let (name, body) = chunk(&mut walk)?;
        match &name {
            b"VP8X" => {
                let mut body = body.to_vec();
                *body.first_mut().ok_or(Refusal::Unreadable)? &= !OF_METADATA;
                push(&mut kept.bytes, name, &body)?;
            }
            b"VP8 " | b"VP8L" => {
                kept.frames = kept.frames.max(1);
                push(&mut kept.bytes, name, body)?;
            }
            b"ALPH" | b"ICCP" | b"ANIM" => push(&mut kept.bytes, name, body)?,
            b"ANMF" => {
                kept.frames = kept.frames.saturating_add(1);
                push(&mut kept.bytes, name, &frame(body)?)?;
            }
            b"EXIF" => kept.note_exif(body.strip_prefix(b"Exif\0\0").unwrap_or(body)),
            b"XMP " => {}
            _ => dropped(body)?,
        }
    }
    if kept.frames == 0 {
        return Err(Refusal::Unreadable);
    }
    let size = u32::try_from(kept.bytes.len() - 8).map_err(|_| Refusal::Unreadable)?;
    kept.bytes[4..8].copy_from_slice(&size.to_le_bytes());
    Ok(kept)
}

/// The colour profile of a cleaned file.
pub(super) fn profile(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut walk = Walk::new(bytes.get(12..)?);
    loop {
        let (name, body) = chunk(&mut walk).ok()?;
        if &name == b"ICCP" {
            return Some(body.to_vec());
        }
    }
}

/// A frame of an animation with its own chunks: position and timing, then the picture (§2.7.1.1).
fn frame(body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut walk = Walk::new(body);
    let mut kept = walk.take(16)?.to_vec();
    while !walk.left().is_empty() {
        let (name, body) = chunk(&mut walk)?;
        match &name {
            b"ALPH" | b"VP8 " | b"VP8L" => push(&mut kept, name, body)?,
            _ => dropped(body)?,
        }
    }
    Ok(kept)
}

/// A name, a length and as many bytes, made even.
fn chunk<'a>(walk: &mut Walk<'a>) -> Result<([u8; 4], &'a [u8]), Refusal> {
    let name = walk.array()?;
    let size = length(u32::from_le_bytes(walk.array()?))?;
    let body = walk.take(size)?;
    if size % 2 == 1 && !walk.left().is_empty() {
        walk.byte()?;
    }
    Ok((name, body))
}

fn push(bytes: &mut Vec<u8>, name: [u8; 4], body: &[u8]) -> Result<(), Refusal> {
    let size = u32::try_from(body.len()).map_err(|_| Refusal::Unreadable)?;
    bytes.extend(name);
    bytes.extend(size.to_le_bytes());
    bytes.extend(body);
    if body.len() % 2 == 1 {
        bytes.push(0);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk_of(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        push(&mut bytes, *name, body).unwrap();
        bytes
    }

    fn file(chunks: &[Vec<u8>]) -> Vec<u8> {
        let inside = [b"WEBP".to_vec(), chunks.concat()].concat();
        chunk_of(b"RIFF", &inside)
    }

    #[test]
    fn only_what_the_picture_needs_is_kept() {
        let picture = chunk_of(b"VP8L", b"odd");
        let profile_chunk = chunk_of(b"ICCP", b"profile");
        let frame_with = |more: &[Vec<u8>]| {
            let inside = [vec![7; 16], more.concat()].concat();
            chunk_of(b"ANMF", &inside)
        };
        let given = file(&[
            chunk_of(b"VP8X", b"\x2e\0\0\0\0\0\0\0\0\0"),
            profile_chunk.clone(),
            chunk_of(b"ANIM", b"\0\0\0\0\0\0"),
            frame_with(&[picture.clone(), chunk_of(b"XTRA", b"where")]),
            frame_with(std::slice::from_ref(&picture)),
            chunk_of(b"EXIF", b"Exif\0\0II*\0"),
            chunk_of(b"XMP ", b"<x:xmpmeta/>"),
            chunk_of(b"OTHR", b"x"),
        ]);
        let kept = clean(&given).unwrap();
        let expected = file(&[
            // 0x2e: profile, EXIF, XMP, animation; 0x22: profile, animation.
            chunk_of(b"VP8X", b"\x22\0\0\0\0\0\0\0\0\0"),
            profile_chunk,
            chunk_of(b"ANIM", b"\0\0\0\0\0\0"),
            frame_with(std::slice::from_ref(&picture)),
            frame_with(&[picture]),
        ]);
        assert_eq!(kept.bytes, expected);
        assert_eq!(kept.frames, 2);
        assert_eq!(profile(&kept.bytes).as_deref(), Some(&b"profile"[..]));
    }

    #[test]
    fn torn_false_and_two_faced_files_are_refused() {
        let whole = file(&[chunk_of(b"VP8 ", b"four")]);
        for cut in 0..whole.len() {
            let torn = clean(&whole[..cut]).err();
            assert_eq!(torn, Some(Refusal::Unreadable), "{cut}");
        }
        let page = [&whole[..], b"<html>"].concat();
        assert_eq!(clean(&page).err(), Some(Refusal::Hidden));
        let inside = file(&[chunk_of(b"VP8 ", b"four"), chunk_of(b"OTHR", b"<script>")]);
        assert_eq!(clean(&inside).err(), Some(Refusal::Hidden));
        assert_eq!(clean(&file(&[])).err(), Some(Refusal::Unreadable));
    }
}
