//! AV1: `av1C`, its sequence header, and OBUs (AV1-ISOBMFF 2.3, AV1 bitstream 5.3 and 5.5).

use bytes::{Buf, Bytes};

use super::FlvError;
use super::bits::BitReader;
use super::error::picture_size;
use crate::av::{VideoCodec, VideoConfig};

const CODEC: &str = "AV1";
const SEQUENCE_HEADER: u8 = 1;
const TEMPORAL_DELIMITER: u8 = 2;
/// Fields of `av1C` before its OBUs.
const FIELDS_BYTES: usize = 4;

/// Checks an `av1C` and, when it carries a sequence header, makes the configuration.
pub(super) fn parse(record: &Bytes) -> Result<Option<VideoConfig>, FlvError> {
    // Marker 1, version 1.
    if record.len() < FIELDS_BYTES || record[0] != 0x81 {
        return Err(FlvError::Config {
            codec: CODEC,
            what: "it is not an AV1CodecConfigurationRecord",
        });
    }
    match sequence_header(&record[FIELDS_BYTES..]) {
        None => Ok(None),
        Some(header) => config(record, header).map(Some),
    }
}

/// The configuration out of an `av1C` and a sequence header that may stand in the first key frame only.
pub(super) fn config(record: &Bytes, sequence_header: &[u8]) -> Result<VideoConfig, FlvError> {
    let header = SequenceHeader::read(sequence_header).ok_or(FlvError::Config {
        codec: CODEC,
        what: "its sequence header does not parse",
    })?;
    let (width, height) = picture_size(CODEC, Some(header.width), Some(header.height))?;
    let (profile, level) = (record[1] >> 5, record[1] & 0x1f);
    let flags = record[2];
    let tier = if flags & 0x80 == 0 { 'M' } else { 'H' };
    let depth = match (flags & 0x40 != 0, flags & 0x20 != 0) {
        (false, _) => 8,
        (true, false) => 10,
        (true, true) => 12,
    };
    let mono = flags >> 4 & 1;
    let (sub_x, sub_y, position) = (flags >> 3 & 1, flags >> 2 & 1, flags & 3);
    // The third digit is the sample position where both are subsampled, else 0 (AV1-ISOBMFF 5).
    let position = if sub_x & sub_y == 1 { position } else { 0 };
    let [primaries, transfer, matrix] = header.colour;
    let full_range = u8::from(header.full_range);
    let mut codecs = format!("av01.{profile}.{level:02}{tier}.{depth:02}");
    // The optional members stand together or not at all; 2 means unspecified, which is no claim.
    let plain_colour = [primaries, transfer, matrix]
        .iter()
        .all(|value| matches!(value, 1 | 2));
    if !(plain_colour && full_range == 0 && mono == 0 && (sub_x, sub_y) == (1, 1)) {
        codecs += &format!(
            ".{mono}.{sub_x}{sub_y}{position}.{primaries:02}.{transfer:02}.{matrix:02}.{full_range}"
        );
    }
    Ok(VideoConfig {
        codec: VideoCodec::Av1,
        width,
        height,
        record: record.clone(),
        codecs,
    })
}

/// The payload of the first sequence header among some OBUs.
pub(super) fn sequence_header(obus: &[u8]) -> Option<&[u8]> {
    let mut rest = obus;
    loop {
        let obu = Obu::read(rest)?;
        if obu.kind == SEQUENCE_HEADER {
            return Some(obu.payload);
        }
        rest = &rest[obu.whole_bytes..];
    }
}

/// A sample without the temporal delimiters at its front (AV1-ISOBMFF 2.4); `None` when nothing is left or it does not parse.
pub(super) fn without_temporal_delimiter(mut sample: Bytes) -> Option<Bytes> {
    loop {
        let obu = Obu::read(&sample)?;
        if obu.kind != TEMPORAL_DELIMITER {
            return Some(sample);
        }
        sample.advance(obu.whole_bytes);
    }
}

struct Obu<'a> {
    kind: u8,
    payload: &'a [u8],
    whole_bytes: usize,
}

impl<'a> Obu<'a> {
    /// 5.3.1: without a size an OBU goes to the end.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (&header, mut rest) = bytes.split_first()?;
        if header & 0x80 != 0 {
            return None;
        }
        if header & 0x04 != 0 {
            rest = rest.get(1..)?;
        }
        let mut size = rest.len();
        if header & 0x02 != 0 {
            (size, rest) = leb128(rest)?;
        }
        let (payload, after) = rest.split_at_checked(size)?;
        Some(Self {
            kind: header >> 3 & 0x0f,
            payload,
            whole_bytes: bytes.len() - after.len(),
        })
    }
}

/// 4.10.5; sizes of more than four bytes do not fit into a message.
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}

/// What of a sequence header matters outside the decoder.
struct SequenceHeader {
    width: u32,
    height: u32,
    /// Primaries, transfer, matrix.
    colour: [u8; 3],
    full_range: bool,
}

impl SequenceHeader {
    /// 5.5.1
    fn read(payload: &[u8]) -> Option<Self> {
        let mut bits = BitReader::new(payload);
        let profile = bits.bits(3)?;
        bits.skip(1)?;
        let reduced = bits.bit()?;
        if reduced {
            bits.skip(5)?;
        } else {
            Self::skip_operating_points(&mut bits)?;
        }
        let width_bits = bits.bits(4)? + 1;
        let height_bits = bits.bits(4)? + 1;
        let width = bits.bits(width_bits)? + 1;
        let height = bits.bits(height_bits)? + 1;
        Self::skip_tools(&mut bits, reduced)?;
        let (colour, full_range) = Self::colour_config(&mut bits, profile)?;
        Some(Self {
            width,
            height,
            colour,
            full_range,
        })
    }

    fn skip_operating_points(bits: &mut BitReader<'_>) -> Option<()> {
        let mut delay_bits = None;
        if bits.bit()? {
            // timing_info (5.5.3)
            bits.skip(64)?;
            if bits.bit()? {
                bits.exp_golomb()?;
            }
            if bits.bit()? {
                // decoder_model_info (5.5.4)
                delay_bits = Some(usize::try_from(bits.bits(5)?).ok()? + 1);
                bits.skip(42)?;
            }
        }
        let display_delays = bits.bit()?;
        for _ in 0..=bits.bits(5)? {
            bits.skip(12)?;
            if bits.bits(5)? > 7 {
                bits.skip(1)?;
            }
            if let Some(delay_bits) = delay_bits
                && bits.bit()?
            {
                bits.skip(2 * delay_bits + 1)?;
            }
            if display_delays && bits.bit()? {
                bits.skip(4)?;
            }
        }
        Some(())
    }

    fn skip_tools(bits: &mut BitReader<'_>, reduced: bool) -> Option<()> {
        if !reduced && bits.bit()? {
            bits.skip(7)?;
        }
        bits.skip(3)?;
        if !reduced {
            bits.skip(4)?;
            let order_hint = bits.bit()?;
            if order_hint {
                bits.skip(2)?;
            }
            let chosen_by_frame = bits.bit()?;
            if chosen_by_frame || bits.bit()? {
                let integer_by_frame = bits.bit()?;
                if !integer_by_frame {
                    bits.skip(1)?;
                }
            }
            if order_hint {
                bits.skip(3)?;
            }
        }
        bits.skip(3)
    }

    /// 5.5.2, as far as the colours and their range.
    fn colour_config(bits: &mut BitReader<'_>, profile: u32) -> Option<([u8; 3], bool)> {
        const SRGB: [u8; 3] = [1, 13, 0];
        let high_depth = bits.bit()?;
        if profile == 2 && high_depth {
            bits.skip(1)?;
        }
        let mono = profile != 1 && bits.bit()?;
        let colour = if bits.bit()? {
            [bits.small(8)?, bits.small(8)?, bits.small(8)?]
        } else {
            [2; 3]
        };
        let full_range = if !mono && colour == SRGB {
            true
        } else {
            bits.bit()?
        };
        Some((colour, full_range))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporal_delimiters_are_stripped_and_the_rest_is_the_same_bytes() {
        let sample = Bytes::from_static(&[0x12, 0x00, 0x12, 0x00, 0x32, 0x02, 0xaa, 0xbb]);
        let stripped = without_temporal_delimiter(sample.clone());
        assert_eq!(stripped, Some(sample.slice(4..)));
        assert_eq!(
            without_temporal_delimiter(Bytes::from_static(&[0x12, 0x00])),
            None
        );
        assert_eq!(
            without_temporal_delimiter(Bytes::from_static(&[0x32, 0x05, 0x00])),
            None
        );
    }

    #[test]
    fn sizes_in_leb128_are_read() {
        assert_eq!(leb128(&[0xe5, 0x0e, 9]), Some((1_893, &[9][..])));
        assert_eq!(leb128(&[0x80, 0x80, 0x80, 0x80, 0x01]), None);
        assert_eq!(leb128(&[0x80]), None);
    }

    // Records as ffmpeg 5.1 wrote them into MP4 files for `testsrc=s=426x240`, by SVT-AV1 and libaom.
    #[test]
    fn records_with_a_sequence_header_give_size_and_colours() {
        let config = |text: &str| {
            let record = Bytes::from(hex::decode(text).unwrap());
            let config = parse(&record).unwrap().expect("it has a sequence header");
            (config.width, config.height, config.codecs)
        };
        assert_eq!(
            config("81000c000a0b000000043ea7bc02f80040"),
            (426, 240, "av01.0.00M.08".to_owned())
        );
        // 10 bits, BT.2020, SMPTE 2084, BT.2020 non-constant: what HDR10 is made of.
        assert_eq!(
            config("81004c000a0e000000043ea7bcdaf95091009040"),
            (426, 240, "av01.0.00M.10.0.110.09.16.09.0".to_owned())
        );
    }

    #[test]
    fn a_record_that_is_none_is_refused() {
        for record in [&[][..], &[0x81, 0, 0], &[0x01, 0, 0, 0]] {
            assert!(parse(&Bytes::copy_from_slice(record)).is_err());
        }
        assert_eq!(parse(&Bytes::from_static(&[0x81, 0x04, 0x0c, 0])), Ok(None));
    }
}
