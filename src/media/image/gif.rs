//! GIF 89a (`CompuServe`, 31 July 1990): pictures, their timing and the loop stay; comments and applications' blocks go.

use super::clean::{Cleaned, Walk, dropped};
use crate::media::Refusal;

/// Keeps what the pictures need.
///
/// # Errors
/// `Unreadable` for what is no GIF or ends too early, `Hidden`.
pub(super) fn clean(bytes: &[u8]) -> Result<Cleaned, Refusal> {
    let mut walk = Walk::new(bytes);
    let mut kept = Cleaned::new();
    let version: [u8; 6] = walk.array()?;
    if &version != b"GIF87a" && &version != b"GIF89a" {
        return Err(Refusal::Unreadable);
    }
    kept.bytes.extend(version);
    let screen: [u8; 7] = walk.array()?;
    kept.bytes.extend(screen);
    kept.bytes.extend(walk.take(table_bytes(screen[4]))?);
    loop {
        match walk.byte()? {
            0x3b => break,
            0x2c => {
                let descriptor: [u8; 9] = walk.array()?;
                kept.bytes.push(0x2c);
                kept.bytes.extend(descriptor);
                kept.bytes.extend(walk.take(table_bytes(descriptor[8]))?);
                // The least code size of LZW.
                kept.bytes.push(walk.byte()?);
                kept.bytes.extend(blocks(&mut walk)?);
                kept.frames = kept.frames.saturating_add(1);
            }
            0x21 => {
                let label = walk.byte()?;
                let body = blocks(&mut walk)?;
                if keeps(label, body)? {
                    kept.bytes.extend([0x21, label]);
                    kept.bytes.extend(body);
                }
            }
            _ => return Err(Refusal::Unreadable),
        }
    }
    dropped(walk.left())?;
    if kept.frames == 0 {
        return Err(Refusal::Unreadable);
    }
    kept.bytes.push(0x3b);
    Ok(kept)
}

/// Whether an extension is copied: timing, and how often to loop.
fn keeps(label: u8, body: &[u8]) -> Result<bool, Refusal> {
    // Eleven letters, then three bytes (1 and the count), then the end.
    let is_loop = |name: &[u8]| {
        body.len() == 17 && body.get(1..12) == Some(name) && body.get(12..14) == Some(&[3, 1])
    };
    let keeps = match label {
        0xf9 => true,
        0xff => is_loop(b"NETSCAPE2.0") || is_loop(b"ANIMEXTS1.0"),
        _ => false,
    };
    // XMP among them, which is markup by itself.
    if !keeps && label != 0xff {
        dropped(body)?;
    }
    Ok(keeps)
}

/// Bytes of a colour table, by the packed field before it.
fn table_bytes(packed: u8) -> usize {
    if packed & 0x80 == 0 {
        return 0;
    }
    3 << ((packed & 7) + 1)
}

/// Sub-blocks up to and with the empty one that ends them.
fn blocks<'a>(walk: &mut Walk<'a>) -> Result<&'a [u8], Refusal> {
    let mut ahead = Walk::new(walk.left());
    loop {
        let size = usize::from(ahead.byte()?);
        ahead.take(size)?;
        if size == 0 {
            break;
        }
    }
    walk.take(walk.left().len() - ahead.left().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCREEN: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0rgbRGB";
    const LOOP: &[u8] = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0";
    const TIMING: &[u8] = b"\x21\xf9\x04\0\x0a\0\0\0";
    const PICTURE: &[u8] = b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0";

    #[test]
    fn animation_stays_and_everything_else_goes() {
        let comment = b"\x21\xfe\x05where\0";
        let xmp = b"\x21\xff\x0bXMP DataXMP\x03<x>\0";
        let text = b"\x21\x01\x0c            \x02hi\0";
        let given = [
            SCREEN, comment, LOOP, TIMING, PICTURE, xmp, text, TIMING, PICTURE, b";", b"behind",
        ]
        .concat();
        let kept = clean(&given).unwrap();
        let expected = [SCREEN, LOOP, TIMING, PICTURE, TIMING, PICTURE, b";"].concat();
        assert_eq!(kept.bytes, expected);
        assert_eq!(kept.frames, 2);
    }

    #[test]
    fn torn_false_and_two_faced_files_are_refused() {
        let whole = [SCREEN, LOOP, PICTURE, b";"].concat();
        for cut in 0..whole.len() {
            let torn = clean(&whole[..cut]).err();
            assert_eq!(torn, Some(Refusal::Unreadable), "{cut}");
        }
        let script = [&whole[..], b"*/=1;<script>alert(1)</script>"].concat();
        assert_eq!(clean(&script).err(), Some(Refusal::Hidden));
        let comment = [SCREEN, b"\x21\xfe\x06<html>\0", PICTURE, b";"].concat();
        assert_eq!(clean(&comment).err(), Some(Refusal::Hidden));
        let empty = [SCREEN, b";"].concat();
        assert_eq!(clean(&empty).err(), Some(Refusal::Unreadable));
    }
}
