//! What a picture of VP8 looks like from outside (RFC 6386 9.1): enough to believe what a child says of it.

use crate::av::Frame;

/// Whether the bytes begin as a picture of the kind that the frame says: a key picture has a start code and a size.
pub(super) fn is_picture(frame: &Frame) -> bool {
    let Some([first, ..]) = frame.data.first_chunk::<3>() else {
        return false;
    };
    let is_key = first & 1 == 0;
    let starts = || frame.data.len() >= 10 && frame.data[3..6] == [0x9d, 0x01, 0x2a];
    is_key == frame.key && (!is_key || starts())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::av::{Ticks, TrackKind};

    #[test]
    fn a_key_picture_has_its_start_code() {
        let frame = |key: bool, data: &'static [u8]| Frame {
            track: TrackKind::Video,
            dts: Ticks(0),
            pts: Ticks(0),
            key,
            data: bytes::Bytes::from_static(data),
        };
        let key = b"\x10\x02\x00\x9d\x01\x2a\x40\x01\xb4\x00";
        assert!(is_picture(&frame(true, key)));
        assert!(!is_picture(&frame(false, key)), "it is one");
        assert!(!is_picture(&frame(true, &key[..9])), "cut short");
        assert!(is_picture(&frame(false, b"\x11\x02\x00")));
        assert!(!is_picture(&frame(true, b"\x11\x02\x00")), "it is none");
        assert!(!is_picture(&frame(true, b"")));
    }
}
