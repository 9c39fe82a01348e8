//! MP3: each frame says what it is (ISO/IEC 11172-3 2.4.2.3, 13818-3).

use bytes::Bytes;

use crate::av::{AudioCodec, AudioConfig};

/// The configuration that a frame's header speaks of; `None` when it is none of layer III.
pub(super) fn config(frame: &[u8]) -> Option<AudioConfig> {
    let &[sync, kind, rate, mode] = frame.first_chunk::<4>()?;
    if sync != 0xff || kind & 0xe0 != 0xe0 || kind >> 1 & 3 != 1 {
        return None;
    }
    let full_rate = *[44_100, 48_000, 32_000].get(usize::from(rate >> 2 & 3))?;
    let (sample_rate, frame_samples) = match kind >> 3 & 3 {
        3 => (full_rate, 1_152),
        2 => (full_rate / 2, 576),
        0 => (full_rate / 4, 576),
        _ => return None,
    };
    Some(AudioConfig {
        codec: AudioCodec::Mp3,
        sample_rate,
        channels: if mode >> 6 == 3 { 1 } else { 2 },
        frame_samples,
        record: Bytes::new(),
        codecs: "mp4a.40.34".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_tell_rate_and_channels() {
        let told = |header: [u8; 4]| {
            config(&header)
                .map(|config| (config.sample_rate, config.channels, config.frame_samples))
        };
        // MPEG-1 layer III 128 kbit/s 44.1 kHz joint stereo; MPEG-2 22.05 kHz mono; layer II; no sync.
        assert_eq!(told([0xff, 0xfb, 0x90, 0x44]), Some((44_100, 2, 1_152)));
        assert_eq!(told([0xff, 0xf3, 0x80, 0xc4]), Some((22_050, 1, 576)));
        assert_eq!(told([0xff, 0xfd, 0x90, 0x44]), None);
        assert_eq!(told([0x00, 0xfb, 0x90, 0x44]), None);
        assert_eq!(config(&[0xff, 0xfb]), None);
    }
}
