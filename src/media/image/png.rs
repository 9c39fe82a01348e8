//! PNG (W3C PNG 3rd edition): the picture's chunks stay, animation and colour included; texts, EXIF and times go.

use std::io::Read;

use super::clean::{Cleaned, Walk, dropped, length};
use crate::media::Refusal;

const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";
/// Colour profiles of cameras have a few kilobytes, those of printers a megabyte.
const PROFILE_MAX: u64 = 4 << 20;

/// Keeps what the picture needs.
///
/// # Errors
/// `Unreadable` for what is no PNG or ends too early, `Hidden`.
pub(super) fn clean(bytes: &[u8]) -> Result<Cleaned, Refusal> {
    let mut walk = Walk::new(bytes);
    if walk.array()? != SIGNATURE {
        return Err(Refusal::Unreadable);
    }
    let mut kept = Cleaned::new();
    kept.bytes.extend(SIGNATURE);
    let mut animated = 0;
    let mut first = true;
    loop {
        let declared: [u8; 4] = walk.array()?;
        let name: [u8; 4] = walk.array()?;
        let body = walk.take(length(u32::from_be_bytes(declared))?)?;
        let checksum: [u8; 4] = walk.array()?;
        if std::mem::take(&mut first) && &name != b"IHDR" {
            return Err(Refusal::Unreadable);
        }
        let keeps = match &name {
            b"IHDR" | b"PLTE" | b"IDAT" | b"IEND" | b"tRNS" | b"gAMA" | b"cHRM" | b"sRGB"
            | b"sBIT" | b"cICP" | b"bKGD" | b"pHYs" | b"acTL" | b"fdAT" => true,
            b"fcTL" => {
                animated += 1;
                true
            }
            b"iCCP" => unpacks(body),
            b"eXIf" => {
                kept.note_exif(body);
                false
            }
            _ => {
                dropped(body)?;
                false
            }
        };
        if keeps {
            kept.bytes.extend(declared);
            kept.bytes.extend(name);
            kept.bytes.extend(body);
            kept.bytes.extend(checksum);
        }
        if &name == b"IEND" {
            break;
        }
    }
    dropped(walk.left())?;
    kept.frames = animated.max(1);
    Ok(kept)
}

/// Whether a packed colour profile has a reasonable size: name, NUL, method 0, zlib.
fn unpacks(body: &[u8]) -> bool {
    let Some(end) = body.iter().position(|byte| *byte == 0) else {
        return false;
    };
    let Some(packed) = body.get(end + 2..) else {
        return false;
    };
    let mut unpacked = flate2::read::ZlibDecoder::new(packed).take(PROFILE_MAX);
    matches!(std::io::copy(&mut unpacked, &mut std::io::sink()), Ok(size) if size < PROFILE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        let checked = [&name[..], body].concat();
        let checksum = crc32fast::hash(&checked).to_be_bytes();
        [&length[..], &checked, &checksum].concat()
    }

    fn file(chunks: &[Vec<u8>], behind: &[u8]) -> Vec<u8> {
        [SIGNATURE.to_vec(), chunks.concat(), behind.to_vec()].concat()
    }

    fn profile(size: usize) -> Vec<u8> {
        let mut packed =
            flate2::write::ZlibEncoder::new(b"p\0\0".to_vec(), flate2::Compression::best());
        packed.write_all(&vec![0; size]).unwrap();
        chunk(b"iCCP", &packed.finish().unwrap())
    }

    #[test]
    fn only_what_the_picture_needs_is_kept() {
        let (head, data) = (chunk(b"IHDR", &[0; 13]), chunk(b"IDAT", b"x"));
        let (frame, end) = (chunk(b"fcTL", &[0; 26]), chunk(b"IEND", b""));
        let given = [
            head.clone(),
            profile(3_000),
            chunk(b"tEXt", b"GPS\0here"),
            chunk(b"iTXt", b"XML:com.adobe.xmp"),
            chunk(b"eXIf", b"II*\0"),
            chunk(b"tIME", &[0; 7]),
            frame.clone(),
            frame.clone(),
            data.clone(),
            end.clone(),
        ];
        let kept = clean(&file(&given, b"behind")).unwrap();
        let expected = [head, profile(3_000), frame.clone(), frame, data, end];
        assert_eq!(kept.bytes, file(&expected, b""));
        assert_eq!(kept.frames, 2);
    }

    #[test]
    fn a_profile_that_unpacks_to_much_is_dropped() {
        let (head, end) = (chunk(b"IHDR", &[0; 13]), chunk(b"IEND", b""));
        let bomb = profile(64 << 20);
        assert!(bomb.len() < 100 << 10);
        let kept = clean(&file(&[head.clone(), bomb, end.clone()], b"")).unwrap();
        assert_eq!(kept.bytes, file(&[head, end], b""));
    }

    #[test]
    fn torn_false_and_two_faced_files_are_refused() {
        let (head, end) = (chunk(b"IHDR", &[0; 13]), chunk(b"IEND", b""));
        let whole = file(&[head.clone(), end.clone()], b"");
        for cut in 0..whole.len() {
            let torn = clean(&whole[..cut]).err();
            assert_eq!(torn, Some(Refusal::Unreadable), "{cut}");
        }
        let hidden = chunk(b"tEXt", b"Comment\0<script>alert(1)</script>");
        let page = file(&[head.clone(), hidden, end.clone()], b"");
        assert_eq!(clean(&page).err(), Some(Refusal::Hidden));
        let archive = file(&[head, end.clone()], b"PK\x03\x04");
        assert_eq!(clean(&archive).err(), Some(Refusal::Hidden));
        let headless = file(&[end], b"");
        assert_eq!(clean(&headless).err(), Some(Refusal::Unreadable));
    }
}
