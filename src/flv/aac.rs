//! AAC: `AudioSpecificConfig` (ISO/IEC 14496-3 1.6.2.1).

use bytes::Bytes;

use super::FlvError;
use super::bits::BitReader;
use crate::av::{AudioCodec, AudioConfig};

const CODEC: &str = "AAC";
/// Table 1.18.
const RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];
const SBR: u32 = 5;
const PS: u32 = 29;
/// Marks SBR behind a configuration that old decoders read as plain AAC (1.6.5.2).
const SBR_SYNC: u32 = 0x2b7;
const PS_SYNC: u32 = 0x548;

/// Reads a configuration. HE-AAC, signalled either way, is told at its output rate.
pub(super) fn parse(record: Bytes) -> Result<AudioConfig, FlvError> {
    let broken = |what| FlvError::Config { codec: CODEC, what };
    let fields = Fields::read(&record).ok_or(broken("it does not parse"))?;
    if !(1..=4).contains(&fields.object_type) {
        return Err(broken("only AAC Main, LC, SSR, LTP and HE-AAC are carried"));
    }
    if !(1..=8).contains(&fields.channels) {
        return Err(broken("the number of channels is not in 1 to 8"));
    }
    let core_samples = if fields.short_frames { 960 } else { 1_024 };
    let (sample_rate, frame_samples) = match fields.sbr_rate {
        Some(rate) if rate == 2 * fields.rate => (rate, 2 * core_samples),
        _ => (fields.rate, core_samples),
    };
    if sample_rate == 0 || sample_rate > 192_000 {
        return Err(broken("the sample rate is out of range"));
    }
    let shown_type = match (fields.ps, fields.sbr_rate) {
        (true, _) => PS,
        (false, Some(_)) => SBR,
        (false, None) => fields.object_type,
    };
    // Parametric stereo makes two channels out of one.
    let channels = if fields.ps { 2 } else { fields.channels };
    Ok(AudioConfig {
        codec: AudioCodec::Aac,
        sample_rate,
        channels,
        frame_samples,
        record,
        codecs: format!("mp4a.40.{shown_type}"),
    })
}

struct Fields {
    /// Of the core, below SBR and PS.
    object_type: u32,
    rate: u32,
    channels: u8,
    /// Frames of 960 samples.
    short_frames: bool,
    sbr_rate: Option<u32>,
    ps: bool,
}

impl Fields {
    fn read(record: &[u8]) -> Option<Self> {
        let mut bits = BitReader::new(record);
        let mut object_type = object_type(&mut bits)?;
        let rate = rate(&mut bits)?;
        let channel_configuration = bits.bits(4)?;
        let mut ps = object_type == PS;
        let mut sbr_rate = None;
        let explicit = matches!(object_type, SBR | PS);
        if explicit {
            sbr_rate = Some(self::rate(&mut bits)?);
            object_type = self::object_type(&mut bits)?;
        }
        // GASpecificConfig (4.4.1)
        let short_frames = bits.bit()?;
        if bits.bit()? {
            bits.skip(14)?;
        }
        bits.skip(1)?;
        let channels = match channel_configuration {
            0 => program_channels(&mut bits)?,
            configured @ 1..=6 => u8::try_from(configured).ok()?,
            11 => 7,
            7 | 12 | 14 => 8,
            _ => return None,
        };
        if !explicit
            && bits.bits(11) == Some(SBR_SYNC)
            && self::object_type(&mut bits) == Some(SBR)
            && bits.bit() == Some(true)
        {
            sbr_rate = Some(self::rate(&mut bits)?);
            ps = bits.bits(11) == Some(PS_SYNC) && bits.bit() == Some(true);
        }
        Some(Self {
            object_type,
            rate,
            channels,
            short_frames,
            sbr_rate,
            ps,
        })
    }
}

fn object_type(bits: &mut BitReader<'_>) -> Option<u32> {
    match bits.bits(5)? {
        31 => Some(32 + bits.bits(6)?),
        object_type => Some(object_type),
    }
}

fn rate(bits: &mut BitReader<'_>) -> Option<u32> {
    match bits.bits(4)? {
        15 => bits.bits(24),
        index => RATES.get(usize::try_from(index).ok()?).copied(),
    }
}

/// Counts the channels of a `program_config_element` (4.4.1.1).
fn program_channels(bits: &mut BitReader<'_>) -> Option<u8> {
    bits.skip(4 + 2 + 4)?;
    let (front, side, back) = (bits.bits(4)?, bits.bits(4)?, bits.bits(4)?);
    let low = bits.bits(2)?;
    let (data, coupling) = (bits.bits(3)?, bits.bits(4)?);
    for mixdown_bits in [4, 4, 3] {
        if bits.bit()? {
            bits.skip(mixdown_bits)?;
        }
    }
    let mut channels = u8::try_from(low).ok()?;
    for _ in 0..front + side + back {
        channels += if bits.bit()? { 2 } else { 1 };
        bits.skip(4)?;
    }
    bits.skip(usize::try_from(4 * low + 4 * data + 5 * coupling).ok()?)?;
    bits.byte_align();
    let comment = usize::from(bits.small(8)?);
    bits.skip(8 * comment)?;
    Some(channels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(hex_text: &str) -> Result<(u32, u8, u32, String), FlvError> {
        let config = parse(hex::decode(hex_text).unwrap().into())?;
        Ok((
            config.sample_rate,
            config.channels,
            config.frame_samples,
            config.codecs,
        ))
    }

    fn lc(rate: u32, channels: u8, samples: u32) -> Result<(u32, u8, u32, String), FlvError> {
        Ok((rate, channels, samples, "mp4a.40.2".to_owned()))
    }

    #[test]
    fn plain_configurations_are_read() {
        // The two-byte forms of table 1.16: 00010 0100 0010 000; 00010 0011 0001 000; 960 samples by the next bit.
        assert_eq!(read("1210"), lc(44_100, 2, 1_024));
        assert_eq!(read("1188"), lc(48_000, 1, 1_024));
        assert_eq!(read("1194"), lc(48_000, 2, 960));
        // ffmpeg 5.1's, stereo 44.1 kHz and 5.1 at 48 kHz: SBR is marked as absent.
        assert_eq!(read("121056e500"), lc(44_100, 2, 1_024));
        assert_eq!(read("11b056e500"), lc(48_000, 6, 1_024));
        // 24 bits of rate: 00010 1111 (000000001011101110000000 = 48,000) 0010 000.
        assert_eq!(
            read("1780_5dc0_10".replace('_', "").as_str()),
            lc(48_000, 2, 1_024)
        );
    }

    #[test]
    fn he_aac_is_told_at_its_output_rate() {
        // Explicit: 00101 0110 (24 kHz) 0010 0011 (48 kHz) 00010 0 0 0.
        assert_eq!(
            read("2b1188 00".replace(' ', "").as_str()),
            Ok((48_000, 2, 2_048, "mp4a.40.5".to_owned()))
        );
        // Backward compatible: 00010 0110 0010 000, 0x2b7, 00101, 1, 0011.
        assert_eq!(
            read("131056e598"),
            Ok((48_000, 2, 2_048, "mp4a.40.5".to_owned()))
        );
        // Version 2 explicit, one channel coded: 11101 0110 0001 0011 00010 0 0 0.
        assert_eq!(
            read("eb098800"),
            Ok((48_000, 2, 2_048, "mp4a.40.29".to_owned()))
        );
    }

    #[test]
    fn a_program_configuration_is_counted() {
        // 00010 0011 0000 0 0 0; tag 0, profile 1, rate 3; 1 front, 0 side, 0 back, 0 low, 0 data, 0 coupling;
        // no mixdowns; the front element is a pair with tag 0; aligned; no comment.
        let bits = concat!(
            "00010", "0011", "0000", "000", "0000", "01", "0011", "0001", "0000", "0000", "00",
            "000", "0000", "000", "1", "0000", "0000000", "00000000"
        );
        let text: String = bits
            .as_bytes()
            .chunks(8)
            .map(|byte| {
                let padded = format!("{:0<8}", std::str::from_utf8(byte).unwrap());
                format!("{:02x}", u8::from_str_radix(&padded, 2).unwrap())
            })
            .collect();
        assert_eq!(read(&text), lc(48_000, 2, 1_024));
    }

    #[test]
    fn what_cannot_be_carried_is_refused() {
        // Nothing; a reserved rate; xHE-AAC (31, 42 − 32); a rate of zero.
        for text in ["", "12", "1690", "f94a00000000", "178000001000"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
