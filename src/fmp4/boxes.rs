//! Writing boxes: bytes straight into one buffer, sizes patched when a box is closed (ISO/IEC 14496-12 4.2).

use bytes::{BufMut, BytesMut};

/// A box's type.
pub(super) type FourCc = [u8; 4];

/// Writes one box: header, whatever `body` writes, then the size.
///
/// # Panics
/// When the box is 4 GiB or more, which no caller can reach: parts and indexes are bounded far below.
pub(super) fn boxed(out: &mut BytesMut, kind: FourCc, body: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_u32(0);
    out.put_slice(&kind);
    body(out);
    let size = u32::try_from(out.len() - start).expect("a box of ours is far below 4 GiB");
    out[start..start + 4].copy_from_slice(&size.to_be_bytes());
}

/// Writes one full box: a box that begins with a version and 24 bits of flags.
pub(super) fn full_box(
    out: &mut BytesMut,
    kind: FourCc,
    version: u8,
    flags: u32,
    body: impl FnOnce(&mut BytesMut),
) {
    boxed(out, kind, |out| {
        out.put_u32(u32::from(version) << 24 | flags);
        body(out);
    });
}

/// The unity matrix of `mvhd` and `tkhd`.
pub(super) fn put_matrix(out: &mut BytesMut) {
    for value in [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000_u32] {
        out.put_u32(value);
    }
}

/// A 32-bit count of things that are held in memory one by one.
pub(super) fn count(len: usize) -> u32 {
    u32::try_from(len).expect("fewer than 2^32 entries are held in memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_carries_its_own_size() {
        let mut out = BytesMut::new();
        boxed(&mut out, *b"moof", |out| {
            full_box(out, *b"mfhd", 0, 0, |out| out.put_u32(7));
        });
        assert_eq!(
            out[..],
            *b"\0\0\0\x18moof\0\0\0\x10mfhd\0\0\0\0\0\0\0\x07".as_slice()
        );
    }
}
