//! Opus: the identification header, which is little-endian, to `dOps`, which is big-endian (RFC 7845 5.1,
//! Opus-in-ISOBMFF 4.3.2).

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::FlvError;
use crate::av::{AudioCodec, AudioConfig};

const MAGIC: &[u8] = b"OpusHead";

/// Reads `OpusHead`.
pub(super) fn parse(header: &Bytes) -> Result<AudioConfig, FlvError> {
    let broken = |what| FlvError::Config {
        codec: "Opus",
        what,
    };
    let mut fields = header
        .strip_prefix(MAGIC)
        .ok_or(broken("it does not begin with OpusHead"))?;
    if fields.len() < 11 {
        return Err(broken("it is cut short"));
    }
    // The upper half of the version says whether it can be read (5.1).
    if fields.get_u8() >> 4 != 0 {
        return Err(broken("its version is unknown"));
    }
    let channels = fields.get_u8();
    if !(1..=8).contains(&channels) {
        return Err(broken("the number of channels is not in 1 to 8"));
    }
    let pre_skip = fields.get_u16_le();
    let input_rate = fields.get_u32_le();
    let gain = fields.get_i16_le();
    let mapping_family = fields.get_u8();
    let mut record = BytesMut::with_capacity(21);
    record.put_u8(0);
    record.put_u8(channels);
    record.put_u16(pre_skip);
    record.put_u32(input_rate);
    record.put_i16(gain);
    record.put_u8(mapping_family);
    match mapping_family {
        0 if channels <= 2 => {}
        0 => return Err(broken("more than two channels need a mapping")),
        _ => {
            // Streams, coupled streams, one byte for each channel: the same in both.
            let table = fields
                .get(..2 + usize::from(channels))
                .ok_or(broken("its channel mapping is cut short"))?;
            record.put_slice(table);
        }
    }
    Ok(AudioConfig {
        codec: AudioCodec::Opus,
        sample_rate: 48_000,
        channels,
        frame_samples: 960,
        record: record.freeze(),
        codecs: "opus".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_turns_into_the_box_that_ffmpeg_writes() {
        // 312 samples of pre-skip, 48 kHz; the box as ffmpeg 5.1 wrote it into an MP4 for the same encoder.
        let header = Bytes::from_static(b"OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00");
        let config = parse(&header).expect("it is right");
        assert_eq!(hex::encode(&config.record), "000201380000bb80000000");
        assert_eq!((config.sample_rate, config.channels), (48_000, 2));
    }

    #[test]
    fn a_channel_mapping_is_copied() {
        let header = [
            &b"OpusHead\x01\x06\x38\x01\x80\xbb\x00\x00\xff\xff\x01"[..],
            &[4, 2, 0, 4, 1, 2, 3, 5],
        ]
        .concat();
        let config = parse(&header.into()).expect("it is right");
        assert_eq!(
            hex::encode(&config.record),
            "000601380000bb80ffff010402000401020305"
        );
    }

    #[test]
    fn broken_headers_are_refused() {
        for header in [
            &b"OpusTags\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00"[..],
            b"OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00",
            b"OpusHead\x10\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00",
            b"OpusHead\x01\x00\x38\x01\x80\xbb\x00\x00\x00\x00\x00",
            b"OpusHead\x01\x03\x38\x01\x80\xbb\x00\x00\x00\x00\x00",
            b"OpusHead\x01\x03\x38\x01\x80\xbb\x00\x00\x00\x00\x01\x02",
        ] {
            assert!(parse(&Bytes::copy_from_slice(header)).is_err());
        }
    }
}
