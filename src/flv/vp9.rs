//! VP9: `vpcC` and the frame header that holds the size (VP-ISOBMFF 2.2, VP9 bitstream 6.2).

use bytes::{BufMut, Bytes, BytesMut};

use super::FlvError;
use super::bits::BitReader;
use super::error::picture_size;
use crate::av::{VideoCodec, VideoConfig};

const CODEC: &str = "VP9";
/// Version 1 and flags 0 of the box, which `vpcC` has and most encoders leave out on the wire.
const BOX_HEADER: [u8; 4] = [1, 0, 0, 0];

/// A `vpcC` with its version and flags. The size comes with each key frame.
pub(super) fn parse(record: &Bytes) -> Result<Bytes, FlvError> {
    // Without the header these four bytes would be a bit depth of 0.
    let fields = record.strip_prefix(&BOX_HEADER).unwrap_or(record);
    if fields.len() < 8 {
        return Err(FlvError::Config {
            codec: CODEC,
            what: "it is cut short",
        });
    }
    let mut whole = BytesMut::with_capacity(BOX_HEADER.len() + fields.len());
    whole.put_slice(&BOX_HEADER);
    whole.put_slice(fields);
    Ok(whole.freeze())
}

/// The configuration that a key frame completes; `None` when the frame is no key frame or does not parse.
pub(super) fn config(record: &Bytes, frame: &[u8]) -> Option<VideoConfig> {
    let (width, height) = frame_size(frame)?;
    let (width, height) = picture_size(CODEC, Some(width), Some(height)).ok()?;
    let &[profile, level, depths, primaries, transfer, matrix, ..] = record.get(4..)? else {
        return None;
    };
    let (depth, chroma, full_range) = (depths >> 4, depths >> 1 & 7, depths & 1);
    let mut codecs = format!("vp09.{profile:02}.{level:02}.{depth:02}");
    // The optional members stand together or not at all; these are their defaults (VP-ISOBMFF, codecs parameter).
    // 2 means unspecified, which is no claim.
    let unspecified = |value: u8| matches!(value, 0..=2);
    let plain = chroma == 1
        && full_range == 0
        && [primaries, transfer, matrix].into_iter().all(unspecified);
    if !plain {
        codecs += &format!(".{chroma:02}.{primaries:02}.{transfer:02}.{matrix:02}.{full_range:02}");
    }
    Some(VideoConfig {
        codec: VideoCodec::Vp9,
        width,
        height,
        record: record.clone(),
        codecs,
    })
}

/// `uncompressed_header` of a key frame.
fn frame_size(frame: &[u8]) -> Option<(u32, u32)> {
    let mut bits = BitReader::new(frame);
    if bits.bits(2)? != 2 {
        return None;
    }
    let profile = bits.bits(1)? | bits.bits(1)? << 1;
    if profile == 3 {
        bits.skip(1)?;
    }
    let (shows_existing, inter) = (bits.bit()?, bits.bit()?);
    if shows_existing || inter {
        return None;
    }
    bits.skip(2)?;
    if bits.bits(24)? != 0x0049_8342 {
        return None;
    }
    if profile >= 2 {
        bits.skip(1)?;
    }
    let odd = profile & 1 == 1;
    if bits.bits(3)? == 7 {
        bits.skip(usize::from(odd))?;
    } else {
        bits.skip(if odd { 4 } else { 1 })?;
    }
    Some((bits.bits(16)? + 1, bits.bits(16)? + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Profile 0 key frame header after VP9 6.2: marker 10, profile 00, 0, key 0, shown 1, resilient 0;
    // sync code; colour space 1 (BT.601), range 0; 639 and 359, 16 bits each.
    const KEY_640X360: [u8; 9] = [0x82, 0x49, 0x83, 0x42, 0x20, 0x27, 0xf0, 0x16, 0x70];
    const RECORD: [u8; 8] = [0, 31, 0x82, 1, 1, 1, 0, 0];

    #[test]
    fn the_key_frame_gives_the_size_and_the_record_the_rest() {
        let record = parse(&Bytes::from_static(&RECORD)).expect("it is whole");
        assert_eq!(record[..4], BOX_HEADER);
        assert_eq!(parse(&record), Ok(record.clone()));
        let config = config(&record, &KEY_640X360).expect("it is a key frame");
        assert_eq!((config.width, config.height), (640, 360));
        assert_eq!(config.codecs, "vp09.00.31.08");
    }

    #[test]
    fn hdr_is_told_in_full() {
        // Profile 2, level 5.1, 10 bits 4:2:0, BT.2020, PQ: the example of VP-ISOBMFF with other numbers.
        let record =
            parse(&Bytes::from_static(&[2, 51, 0xa2, 9, 16, 9, 0, 0])).expect("it is whole");
        let frame = [0x92, 0x49, 0x83, 0x42, 0x50, 0x77, 0xf8, 0x43, 0x78];
        let config = config(&record, &frame).expect("it is a key frame");
        assert_eq!((config.width, config.height), (3_840, 2_160));
        assert_eq!(config.codecs, "vp09.02.51.10.01.09.16.09.00");
    }

    #[test]
    fn a_frame_that_is_no_key_frame_gives_nothing() {
        let record = parse(&Bytes::from_static(&RECORD)).expect("it is whole");
        assert_eq!(config(&record, &[0x86, 0, 0, 0]), None);
        assert_eq!(config(&record, &KEY_640X360[..5]), None);
        assert!(parse(&Bytes::from_static(&RECORD[..7])).is_err());
    }
}
