//! Frames of silence, and how long a packet of sound lasts.

use bytes::Bytes;

use crate::av::{AudioCodec, AudioConfig};

/// One raw AAC-LC frame of 1024 silent samples, one channel.
const AAC_MONO: &[u8] = &[0x00, 0xc8, 0x00, 0x80, 0x23, 0x80];
/// The same with two channels.
const AAC_STEREO: &[u8] = &[0x21, 0x00, 0x49, 0x90, 0x02, 0x19, 0x00, 0x23, 0x80];
/// One silent Opus packet: CELT, full band, 20 ms, mono (RFC 6716 3.1).
const OPUS_MONO: &[u8] = &[0xf8, 0xff, 0xfe];
/// The same in stereo.
const OPUS_STEREO: &[u8] = &[0xfc, 0xff, 0xfe];

/// A frame that decodes to silence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Silence {
    /// The sample's bytes.
    pub(super) data: Bytes,
    /// How long it lasts, in the track's sample rate.
    pub(super) samples: i64,
}

/// The silent frame that fits a configuration; `None` where none is known.
pub(super) fn silence(audio: &AudioConfig) -> Option<Silence> {
    let data = match (audio.codec, audio.channels) {
        (AudioCodec::Aac, 1 | 2) if is_plain_lc(audio) => {
            if audio.channels == 1 {
                AAC_MONO
            } else {
                AAC_STEREO
            }
        }
        (AudioCodec::Opus, 1) => OPUS_MONO,
        (AudioCodec::Opus, 2) => OPUS_STEREO,
        _ => return None,
    };
    let samples = match audio.codec {
        AudioCodec::Opus => 960,
        _ => 1_024,
    };
    Some(Silence {
        data: Bytes::from_static(data),
        samples,
    })
}

/// AAC-LC with frames of 1024 and as many channels in the stream as its configuration says. The object type is
/// the first five bits of `AudioSpecificConfig`.
fn is_plain_lc(audio: &AudioConfig) -> bool {
    audio.frame_samples == 1_024 && audio.record.first().is_some_and(|byte| byte >> 3 == 2)
}

/// How long a frame lasts, in the track's sample rate: the configuration's length, or what an Opus packet says
/// itself (RFC 6716 3.1, 3.2). An impossible packet counts as the configuration's length.
pub(super) fn frame_samples(audio: &AudioConfig, data: &[u8]) -> i64 {
    let usual = i64::from(audio.frame_samples);
    match audio.codec {
        AudioCodec::Opus => opus_samples(data).unwrap_or(usual),
        AudioCodec::Aac | AudioCodec::Mp3 => usual,
    }
}

fn opus_samples(packet: &[u8]) -> Option<i64> {
    let toc = *packet.first()?;
    let config = usize::from(toc >> 3);
    let one = match config {
        0..12 => [480, 960, 1_920, 2_880][config & 3],
        12..16 => [480, 960][config & 1],
        _ => [120, 240, 480, 960][config & 3],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => i64::from(packet.get(1)? & 0x3f),
    };
    // A packet lasts 120 ms at most.
    (1..=5_760)
        .contains(&(one * frames))
        .then_some(one * frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opus_packet_tells_its_length() {
        // Examples from the table of RFC 6716 3.1.
        assert_eq!(opus_samples(&[0xfc, 0xff, 0xfe]), Some(960));
        assert_eq!(opus_samples(&[3 << 3]), Some(2_880));
        assert_eq!(opus_samples(&[16 << 3 | 1]), Some(240));
        assert_eq!(opus_samples(&[31 << 3 | 3, 3]), Some(2_880));
        assert_eq!(opus_samples(&[31 << 3 | 3, 7]), None, "140 ms");
        assert_eq!(opus_samples(&[31 << 3 | 3, 0]), None);
        assert_eq!(opus_samples(&[]), None);
    }

    #[test]
    fn silence_is_known_for_stereo_lc_only_as_it_is() {
        let mut audio = crate::fmp4::testing::aac();
        assert_eq!(silence(&audio).map(|silence| silence.samples), Some(1_024));
        audio.record = Bytes::from_static(&[0x2b, 0x92]);
        assert_eq!(silence(&audio), None, "object type 5 is HE-AAC");
        audio = crate::fmp4::testing::aac();
        audio.channels = 6;
        assert_eq!(silence(&audio), None);
    }
}
