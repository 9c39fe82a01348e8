//! HEVC: `hvcC` and its sequence parameter set (ISO/IEC 14496-15 8.3.3, 23008-2 7.3.2.2.1).

use std::fmt::Write as _;

use bytes::Bytes;

use super::FlvError;
use super::avc::{cropped, nal_length_bytes};
use super::bits::{BitReader, without_emulation_prevention};
use super::error::picture_size;
use crate::av::{VideoCodec, VideoConfig};

const CODEC: &str = "HEVC";
const SPS_NAL_TYPE: u8 = 33;
/// What of a sequence parameter set is looked at: the sizes stand near its beginning.
const SPS_BYTES: usize = 256;

/// A configuration and how many bytes a NAL unit's length has in the samples.
pub(super) fn parse(record: Bytes) -> Result<(VideoConfig, usize), FlvError> {
    let broken = |what| FlvError::Config { codec: CODEC, what };
    let Some((header, arrays)) = record.split_first_chunk::<23>() else {
        return Err(broken("it is cut short"));
    };
    // Some encoders still write the draft's version 0; but then not Annex B's start code.
    if header[0] > 1 || header[..3] == [0, 0, 0] {
        return Err(broken(
            "it is not an HEVCDecoderConfigurationRecord (Annex B start codes?)",
        ));
    }
    let nal_length_bytes = nal_length_bytes(header[21])
        .ok_or(broken("NAL unit lengths of three bytes are not allowed"))?;
    let sps = sequence_parameter_set(arrays, header[22])
        .ok_or(broken("it has no sequence parameter set"))?;
    let (width, height) =
        sps_size(sps).ok_or(broken("its sequence parameter set does not parse"))?;
    let (width, height) = picture_size(CODEC, width, height)?;
    let config = VideoConfig {
        codec: VideoCodec::Hevc,
        width,
        height,
        codecs: codecs(header),
        record,
    };
    Ok((config, nal_length_bytes))
}

fn sequence_parameter_set(mut arrays: &[u8], count: u8) -> Option<&[u8]> {
    for _ in 0..count {
        let (&[kind, n1, n0], mut rest) = arrays.split_first_chunk::<3>()?;
        for _ in 0..u16::from_be_bytes([n1, n0]) {
            let (length, nals) = rest.split_first_chunk::<2>()?;
            let (nal, after) = nals.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            if kind & 0x3f == SPS_NAL_TYPE {
                return Some(nal);
            }
            rest = after;
        }
        arrays = rest;
    }
    None
}

/// ISO/IEC 14496-15 annex E.3: profile space and profile, compatibility flags with their bits turned round, tier and level,
/// constraint bytes without the zeros at their end.
fn codecs(header: &[u8; 23]) -> String {
    let [_, profile, c0, c1, c2, c3, constraints @ ..] = header;
    let space = ["", "A", "B", "C"][usize::from(profile >> 6)];
    let tier = if profile & 0x20 == 0 { 'L' } else { 'H' };
    let compatibility = u32::from_be_bytes([*c0, *c1, *c2, *c3]).reverse_bits();
    let level = header[12];
    let mut codecs = format!(
        "hvc1.{space}{}.{compatibility:X}.{tier}{level}",
        profile & 0x1f
    );
    let constraints = &constraints[..6];
    let kept = constraints
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    for byte in &constraints[..kept] {
        write!(codecs, ".{byte:X}").expect("a string takes everything");
    }
    codecs
}

/// Width and height inside the conformance window, each `None` when it does not fit; `None` when the set does not parse.
fn sps_size(nal: &[u8]) -> Option<(Option<u32>, Option<u32>)> {
    let payload = without_emulation_prevention(nal.get(2..)?, SPS_BYTES);
    let mut bits = BitReader::new(&payload);
    bits.skip(4)?;
    let sub_layers = bits.bits(3)?;
    bits.skip(1)?;
    // profile_tier_level (7.3.3): 88 bits of profile, 8 of level, then those of the sub-layers.
    bits.skip(96)?;
    let mut present = Vec::new();
    for _ in 0..sub_layers {
        present.push((bits.bit()?, bits.bit()?));
    }
    if sub_layers > 0 {
        bits.skip(2 * (8 - usize::try_from(sub_layers).ok()?))?;
    }
    for (profile, level) in present {
        bits.skip(if profile { 88 } else { 0 } + if level { 8 } else { 0 })?;
    }
    bits.exp_golomb()?;
    let chroma_format = bits.exp_golomb()?;
    let separate_planes = chroma_format == 3 && bits.bit()?;
    let width = bits.exp_golomb()?;
    let height = bits.exp_golomb()?;
    let mut window = [0; 4];
    if bits.bit()? {
        for side in &mut window {
            *side = bits.exp_golomb()?;
        }
    }
    let (unit_x, unit_y) = match chroma_format {
        _ if separate_planes => (1, 1),
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    };
    let [left, right, top, bottom] = window;
    Some((
        cropped(Some(width), unit_x, left, right),
        cropped(Some(height), unit_y, top, bottom),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codecs_text_is_that_of_the_standards_examples() {
        // 14496-15 E.3: Main, compatible with Main and Main 10, level 3.1, progressive and frame only.
        let mut header = [0; 23];
        header[..13].copy_from_slice(&[1, 1, 0x60, 0, 0, 0, 0xb0, 0, 0, 0, 0, 0, 93]);
        assert_eq!(codecs(&header), "hvc1.1.6.L93.B0");
        // Space 1, profile 4, high tier, level 3.0; the flags' lowest two bits set turn into the highest.
        header[..13].copy_from_slice(&[1, 0x64, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 90]);
        assert_eq!(codecs(&header), "hvc1.A4.C0000000.H90");
    }

    // Records as ffmpeg 5.1 and x265 wrote them for `testsrc` of these sizes, without their SEI array.
    #[test]
    fn records_of_x265_give_the_size_that_was_asked_for() {
        for (record, codecs, size) in [
            (
                "0101600000009000000000005af000fcfdf8f800000f03a00001001840010c01ffff016000000300\
                 90000003000003005a959409a10001002b42010101600000030090000003000003005aa006c201e1\
                 cde595952930bc05a02000000300200000030321a2000100064401c073c189",
                "hvc1.1.6.L90.90",
                (854, 480),
            ),
            (
                "01022000000090000000000078f000fcfdfafa00000f03a00001001840010c01ffff022000000300\
                 900000030000030078959409a10001002d420101022000000300900000030000030078a003c08011\
                 07cad965654a4c2f016808000003000800000300c840a2000100064401c073c189",
                "hvc1.2.4.L120.90",
                (1_920, 1_080),
            ),
        ] {
            let (config, nal_length_bytes) =
                parse(hex::decode(record).unwrap().into()).expect("x265 is right");
            assert_eq!((config.width, config.height), size);
            assert_eq!(config.codecs, codecs);
            assert_eq!(nal_length_bytes, 4);
        }
    }

    #[test]
    fn broken_records_are_refused() {
        for record in [vec![], vec![1; 22], vec![0; 40], {
            let mut record = vec![1; 23];
            record[21] = 0x03;
            record[22] = 0;
            record
        }] {
            assert!(parse(record.into()).is_err());
        }
    }
}
