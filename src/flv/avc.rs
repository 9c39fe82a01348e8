//! H.264: `avcC` and its sequence parameter set (ISO/IEC 14496-15 5.3.3, 14496-10 7.3.2.1.1).

use bytes::Bytes;

use super::FlvError;
use super::bits::{BitReader, without_emulation_prevention};
use super::error::picture_size;
use crate::av::{VideoCodec, VideoConfig};

const CODEC: &str = "H.264";
/// What of a sequence parameter set is looked at: more than the longest scaling lists take.
const SPS_BYTES: usize = 1_024;

/// A configuration and how many bytes a NAL unit's length has in the samples.
pub(super) fn parse(record: Bytes) -> Result<(VideoConfig, usize), FlvError> {
    let broken = |what| FlvError::Config { codec: CODEC, what };
    let &[
        version,
        profile,
        compatibility,
        level,
        sizes,
        counts,
        ref sets @ ..,
    ] = &record[..]
    else {
        return Err(broken("it is cut short"));
    };
    if version != 1 {
        return Err(broken(
            "it is not an AVCDecoderConfigurationRecord (Annex B start codes?)",
        ));
    }
    let nal_length_bytes =
        nal_length_bytes(sizes).ok_or(broken("NAL unit lengths of three bytes are not allowed"))?;
    if counts & 0x1f == 0 {
        return Err(broken("it has no sequence parameter set"));
    }
    let sps = first_set(sets).ok_or(broken("its sequence parameter set is cut short"))?;
    let (width, height) =
        sps_size(sps).ok_or(broken("its sequence parameter set does not parse"))?;
    let (width, height) = picture_size(CODEC, width, height)?;
    let config = VideoConfig {
        codec: VideoCodec::H264,
        width,
        height,
        codecs: format!("avc1.{profile:02x}{compatibility:02x}{level:02x}"),
        record,
    };
    Ok((config, nal_length_bytes))
}

/// `lengthSizeMinusOne` of `avcC` and `hvcC`: 0, 1 or 3 (5.3.3.1.2).
pub(super) fn nal_length_bytes(field: u8) -> Option<usize> {
    match field & 3 {
        2 => None,
        minus_one => Some(usize::from(minus_one) + 1),
    }
}

fn first_set(sets: &[u8]) -> Option<&[u8]> {
    let (length, rest) = sets.split_first_chunk::<2>()?;
    rest.get(..usize::from(u16::from_be_bytes(*length)))
}

/// Width and height after cropping, each `None` when it does not fit; `None` when the set does not parse.
fn sps_size(nal: &[u8]) -> Option<(Option<u32>, Option<u32>)> {
    let payload = without_emulation_prevention(nal.get(1..)?, SPS_BYTES);
    let mut bits = BitReader::new(&payload);
    let profile = bits.bits(8)?;
    bits.skip(16)?;
    bits.exp_golomb()?;
    let mut chroma_format = 1;
    let mut separate_planes = false;
    if matches!(
        profile,
        44 | 83 | 86 | 100 | 110 | 118 | 122 | 128 | 134 | 135 | 138 | 139 | 244
    ) {
        chroma_format = bits.exp_golomb()?;
        separate_planes = chroma_format == 3 && bits.bit()?;
        bits.exp_golomb()?;
        bits.exp_golomb()?;
        bits.skip(1)?;
        if bits.bit()? {
            skip_scaling_lists(&mut bits, if chroma_format == 3 { 12 } else { 8 })?;
        }
    }
    bits.exp_golomb()?;
    match bits.exp_golomb()? {
        0 => {
            bits.exp_golomb()?;
        }
        1 => {
            bits.skip(1)?;
            bits.exp_golomb()?;
            bits.exp_golomb()?;
            for _ in 0..bits.exp_golomb()?.min(255) {
                bits.exp_golomb()?;
            }
        }
        _ => {}
    }
    bits.exp_golomb()?;
    bits.skip(1)?;
    let width_in_macroblocks = bits.exp_golomb()?.checked_add(1)?;
    let height_in_map_units = bits.exp_golomb()?.checked_add(1)?;
    let frames_only = bits.bit()?;
    if !frames_only {
        bits.skip(1)?;
    }
    bits.skip(1)?;
    let mut crop = [0; 4];
    if bits.bit()? {
        for side in &mut crop {
            *side = bits.exp_golomb()?;
        }
    }
    // Table 6-1 and 7-19 to 7-22.
    let (unit_x, unit_y) = match chroma_format {
        _ if separate_planes => (1, 1),
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    };
    let fields = if frames_only { 1 } else { 2 };
    let [left, right, top, bottom] = crop;
    let width = cropped(width_in_macroblocks.checked_mul(16), unit_x, left, right);
    let height = cropped(
        height_in_map_units.checked_mul(16 * fields),
        unit_y * fields,
        top,
        bottom,
    );
    Some((width, height))
}

/// A side less what is cropped at both ends, in units.
pub(super) fn cropped(side: Option<u32>, unit: u32, before: u32, after: u32) -> Option<u32> {
    side?.checked_sub(before.checked_add(after)?.checked_mul(unit)?)
}

/// 7.3.2.1.1.1
fn skip_scaling_lists(bits: &mut BitReader<'_>, lists: u32) -> Option<()> {
    for list in 0..lists {
        if !bits.bit()? {
            continue;
        }
        let (mut last, mut next) = (8, 8);
        for _ in 0..if list < 6 { 16 } else { 64 } {
            if next != 0 {
                next = (last + bits.signed_exp_golomb()? + 256).rem_euclid(256);
            }
            if next != 0 {
                last = next;
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    // Records as ffmpeg 5.1 and x264 wrote them for `testsrc` of these sizes: High, cropped below; High 4:4:4
    // Predictive, cropped at the right; Main, interlaced.
    #[test]
    fn records_of_x264_give_the_size_that_was_asked_for() {
        for (record, codecs, size) in [
            (
                "0142c028ffe100196742c028da01e0089f97011000000300100000030320f1832a01000468ce0fc8",
                "avc1.42c028",
                (1_920, 1_080),
            ),
            (
                "01f40020ffe1001b67f4002091968056061e2fc044000003000400000300c83c60ca80\
                 01000568ce0f1920fff8f800",
                "avc1.f40020",
                (1_366, 768),
            ),
            (
                "014d401effe10018674d401ef405a126c044000003000400000300c87c50aa8001000468de0fc8",
                "avc1.4d401e",
                (720, 576),
            ),
        ] {
            let (config, _) = parse(hex::decode(record).unwrap().into()).expect("x264 is right");
            assert_eq!((config.width, config.height), size);
            assert_eq!(config.codecs, codecs);
        }
    }

    #[test]
    fn an_sps_written_by_hand_gives_its_cropped_size() {
        // Baseline, id 0, frame_num 4 bits, POC type 2, one reference, 120 × 68 macroblocks, frames only,
        // cropping 0 0 0 4 (× 2): 1920 × 1080.
        let text = concat!(
            "1",
            "1",
            "011",
            "010",
            "0",
            "0000001111000",
            "0000001000100",
            "1",
            "1",
            "1",
            "1",
            "1",
            "1",
            "00101",
            "0",
            "1"
        );
        let mut sps = vec![0x67, 66, 0xc0, 40];
        for byte in text.as_bytes().chunks(8) {
            let padded = format!("{:0<8}", std::str::from_utf8(byte).unwrap());
            sps.push(u8::from_str_radix(&padded, 2).unwrap());
        }
        let mut record = vec![
            1,
            66,
            0xc0,
            40,
            0xff,
            0xe1,
            0,
            u8::try_from(sps.len()).unwrap(),
        ];
        record.extend_from_slice(&sps);
        record.extend_from_slice(&[1, 0, 4, 0x68, 0xce, 0x38, 0x80]);
        let (config, nal_length_bytes) = parse(record.into()).expect("it is right");
        assert_eq!((config.width, config.height), (1_920, 1_080));
        assert_eq!(config.codecs, "avc1.42c028");
        assert_eq!(nal_length_bytes, 4);
    }

    #[test]
    fn broken_records_say_what_is_wrong() {
        let what = |record: &[u8]| match parse(Bytes::copy_from_slice(record)) {
            Err(FlvError::Config { what, .. }) => what,
            Ok(_) => "nothing",
        };
        assert_eq!(what(&[]), "it is cut short");
        assert_eq!(
            what(&[0, 0, 0, 1, 0x67, 0x64, 0]),
            "it is not an AVCDecoderConfigurationRecord (Annex B start codes?)"
        );
        assert_eq!(
            what(&[1, 66, 0, 30, 0xfe, 0xe1, 0, 1, 0x67]),
            "NAL unit lengths of three bytes are not allowed"
        );
        assert_eq!(
            what(&[1, 66, 0, 30, 0xff, 0xe0, 0]),
            "it has no sequence parameter set"
        );
        assert_eq!(
            what(&[1, 66, 0, 30, 0xff, 0xe1, 0, 9, 0x67]),
            "its sequence parameter set is cut short"
        );
    }

    #[test]
    fn a_size_that_cropping_eats_up_is_refused() {
        assert_eq!(cropped(Some(16), 2, 4, 4), Some(0));
        assert_eq!(cropped(Some(16), 2, 4, 5), None);
        assert!(picture_size(CODEC, Some(0), Some(16)).is_err());
        assert!(picture_size(CODEC, Some(16_385), Some(16)).is_err());
    }
}
