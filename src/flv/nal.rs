//! Samples made of length-prefixed NAL units (ISO/IEC 14496-15 5.3.2).

use bytes::{BufMut, Bytes, BytesMut};

use super::Ignored;
use crate::av::VideoCodec;

/// Looks through a sample: whether a decoder can start at it, and the sample as it goes on.
///
/// Parameter sets, SEI and delimiters stay where they are; empty NAL units, which browsers refuse, are taken out.
/// Whether it is a key frame is told by its slices, not by the tag: players look there too.
pub(super) fn picture(
    codec: VideoCodec,
    nal_length_bytes: usize,
    sample: Bytes,
) -> Result<(bool, Bytes), Ignored> {
    let mut has_picture = false;
    let mut key = false;
    let mut empty = false;
    let mut rest = &sample[..];
    while !rest.is_empty() {
        let (nal, after) = split_nal(rest, nal_length_bytes).ok_or(Ignored::Malformed)?;
        match nal.first() {
            None => empty = true,
            Some(&first) => {
                let (is_slice, is_key) = kind(codec, first);
                has_picture |= is_slice;
                key |= is_key;
            }
        }
        rest = after;
    }
    if !has_picture {
        return Err(Ignored::NoPicture);
    }
    let sample = if empty {
        without_empty(&sample, nal_length_bytes)
    } else {
        sample
    };
    Ok((key, sample))
}

fn split_nal(bytes: &[u8], nal_length_bytes: usize) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_at_checked(nal_length_bytes)?;
    let length = length
        .iter()
        .fold(0usize, |length, byte| length << 8 | usize::from(*byte));
    rest.split_at_checked(length)
}

/// Whether a NAL unit is (part of) a picture, and whether of one where decoding can start.
fn kind(codec: VideoCodec, first: u8) -> (bool, bool) {
    if codec == VideoCodec::Hevc {
        // 23008-2 table 7-1: 0 to 31 are slices, 16 to 21 those of IRAP pictures.
        let nal_type = first >> 1 & 0x3f;
        (nal_type < 32, (16..=21).contains(&nal_type))
    } else {
        // 14496-10 table 7-1: 1 to 5 are slices, 5 that of an IDR picture.
        let nal_type = first & 0x1f;
        ((1..=5).contains(&nal_type), nal_type == 5)
    }
}

fn without_empty(sample: &[u8], nal_length_bytes: usize) -> Bytes {
    let mut kept = BytesMut::with_capacity(sample.len());
    let mut rest = sample;
    while let Some((nal, after)) = split_nal(rest, nal_length_bytes) {
        if !nal.is_empty() {
            kept.put_slice(&rest[..nal_length_bytes]);
            kept.put_slice(nal);
        }
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    kept.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn h264(sample: &'static [u8]) -> Result<(bool, Bytes), Ignored> {
        picture(VideoCodec::H264, 4, Bytes::from_static(sample))
    }

    #[test]
    fn the_slices_tell_whether_a_picture_is_a_key_frame() {
        // Parameter sets (7, 8) and an IDR slice (5); a slice (1) alone.
        let idr = &[0, 0, 0, 1, 0x67, 0, 0, 0, 1, 0x68, 0, 0, 0, 2, 0x65, 0x88];
        assert_eq!(h264(idr), Ok((true, Bytes::from_static(idr))));
        let inter = &[0, 0, 0, 2, 0x41, 0x9a];
        assert_eq!(h264(inter), Ok((false, Bytes::from_static(inter))));
        // HEVC: CRA (21) with two-byte lengths; TRAIL_R (1).
        let hevc = |sample: &'static [u8]| {
            picture(VideoCodec::Hevc, 2, Bytes::from_static(sample)).map(|(key, _)| key)
        };
        assert_eq!(hevc(&[0, 2, 0x2a, 0x01]), Ok(true));
        assert_eq!(hevc(&[0, 2, 0x02, 0x01]), Ok(false));
    }

    #[test]
    fn delimiters_alone_and_empty_units_alone_are_no_picture() {
        assert_eq!(h264(&[0, 0, 0, 2, 0x09, 0xf0]), Err(Ignored::NoPicture));
        assert_eq!(h264(&[0, 0, 0, 0]), Err(Ignored::NoPicture));
        assert_eq!(h264(&[]), Err(Ignored::NoPicture));
    }

    #[test]
    fn empty_units_beside_a_picture_are_taken_out() {
        let sample = &[0, 0, 0, 0, 0, 0, 0, 2, 0x41, 0x9a, 0, 0, 0, 0];
        assert_eq!(
            h264(sample),
            Ok((false, Bytes::from_static(&[0, 0, 0, 2, 0x41, 0x9a])))
        );
    }

    #[test]
    fn a_unit_that_goes_over_the_end_is_malformed() {
        assert_eq!(h264(&[0, 0, 0, 3, 0x41, 0x9a]), Err(Ignored::Malformed));
        assert_eq!(h264(&[0, 0, 0]), Err(Ignored::Malformed));
        // Annex B: the start code reads as a length of one.
        assert_eq!(
            h264(&[0, 0, 0, 1, 0x65, 0x88, 0x84, 0x00, 0x33]),
            Err(Ignored::Malformed)
        );
    }
}
