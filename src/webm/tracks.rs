//! What the tracks of a file are.

use bytes::Bytes;

use super::ebml::{element, float, text, unsigned};
use crate::av::{AudioCodec, AudioConfig, VideoCodec, VideoConfig};

/// The numbers of the tracks.
pub(super) const PICTURES: u8 = 1;
pub(super) const SOUND: u8 = 2;
/// How much a decoder must be fed before what it says after a seek is right, ns (RFC 7845 4.6: 80 ms).
const OPUS_PRE_ROLL_NS: u64 = 80_000_000;

/// A track that WebM does not carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TrackError(&'static str);

/// The codec of the picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PictureCodec {
    /// VP8.
    Vp8,
    /// VP9.
    Vp9,
    /// AV1, with the payload of its `av1C`.
    Av1(Bytes),
}

/// The picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureTrack {
    /// Its codec.
    pub codec: PictureCodec,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// The sound: Opus, whose clock is 48 kHz.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoundTrack {
    /// Channels.
    pub channels: u8,
    /// Samples at 48 kHz that a decoder throws away at the beginning.
    pub pre_skip: u16,
    /// The `OpusHead` (RFC 7845 5.1).
    head: Vec<u8>,
}

/// The tracks of a file; one at least.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tracks {
    /// The picture.
    pub pictures: Option<PictureTrack>,
    /// The sound.
    pub sound: Option<SoundTrack>,
}

impl PictureTrack {
    /// The track of pictures in such a codec.
    ///
    /// # Errors
    /// WebM has no such codec.
    pub fn of(config: &VideoConfig) -> Result<Self, TrackError> {
        let codec = match config.codec {
            VideoCodec::Vp9 => PictureCodec::Vp9,
            VideoCodec::Av1 => PictureCodec::Av1(config.record.clone()),
            VideoCodec::H264 | VideoCodec::Hevc => {
                return Err(TrackError("the picture is in a codec that WebM lacks"));
            }
        };
        Ok(Self {
            codec,
            width: config.width,
            height: config.height,
        })
    }

    fn entry(&self) -> Vec<u8> {
        let mut out = entry(PICTURES, 1);
        match &self.codec {
            PictureCodec::Vp8 => text(&mut out, 0x86, "V_VP8"),
            PictureCodec::Vp9 => text(&mut out, 0x86, "V_VP9"),
            PictureCodec::Av1(record) => {
                text(&mut out, 0x86, "V_AV1");
                element(&mut out, 0x63a2, record);
            }
        }
        let mut video = Vec::new();
        unsigned(&mut video, 0xb0, self.width.into());
        unsigned(&mut video, 0xba, self.height.into());
        element(&mut out, 0xe0, &video);
        out
    }
}

impl SoundTrack {
    /// The track of such sound.
    ///
    /// # Errors
    /// It is not Opus, or its record is cut short.
    pub fn of(config: &AudioConfig) -> Result<Self, TrackError> {
        if config.codec != AudioCodec::Opus {
            return Err(TrackError("the sound is in a codec that WebM lacks"));
        }
        let record = &config.record;
        let short = TrackError("the sound's record is cut short");
        let fixed: [u8; 11] = *record.first_chunk().ok_or(short)?;
        let [
            _,
            channels,
            skip_a,
            skip_b,
            a,
            b,
            c,
            d,
            gain_a,
            gain_b,
            family,
        ] = fixed;
        // The fields of a `dOps` (Opus-in-ISOBMFF 4.3.2) in the order of an `OpusHead`, which is little-endian.
        let mut head = b"OpusHead\x01".to_vec();
        head.extend([channels, skip_b, skip_a, d, c, b, a, gain_b, gain_a, family]);
        head.extend_from_slice(&record[fixed.len()..]);
        Ok(Self {
            channels,
            pre_skip: u16::from_be_bytes([skip_a, skip_b]),
            head,
        })
    }

    fn entry(&self) -> Vec<u8> {
        let mut out = entry(SOUND, 2);
        text(&mut out, 0x86, "A_OPUS");
        element(&mut out, 0x63a2, &self.head);
        unsigned(
            &mut out,
            0x56aa,
            u64::from(self.pre_skip) * 1_000_000_000 / 48_000,
        );
        unsigned(&mut out, 0x56bb, OPUS_PRE_ROLL_NS);
        let mut audio = Vec::new();
        float(&mut audio, 0xb5, 48_000.0);
        unsigned(&mut audio, 0x9f, self.channels.into());
        element(&mut out, 0xe1, &audio);
        out
    }
}

impl Tracks {
    /// The element `Tracks`.
    pub(super) fn encode(&self) -> Vec<u8> {
        let pictures = self.pictures.as_ref().map(PictureTrack::entry);
        let sound = self.sound.as_ref().map(SoundTrack::entry);
        let mut entries = Vec::new();
        for entry in pictures.into_iter().chain(sound) {
            element(&mut entries, 0xae, &entry);
        }
        let mut out = Vec::new();
        element(&mut out, 0x1654_ae6b, &entries);
        out
    }
}

/// What each entry begins with: number, a UID that is the number (unique in the file), type, no lacing, no language.
fn entry(number: u8, kind: u64) -> Vec<u8> {
    let mut out = Vec::new();
    unsigned(&mut out, 0xd7, number.into());
    unsigned(&mut out, 0x73c5, number.into());
    unsigned(&mut out, 0x83, kind);
    unsigned(&mut out, 0x9c, 0);
    text(&mut out, 0x22_b59c, "und");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_of_an_mp4_becomes_the_head_of_a_stream() {
        let config = AudioConfig {
            codec: AudioCodec::Opus,
            sample_rate: 48_000,
            channels: 2,
            frame_samples: 960,
            record: Bytes::from_static(&[0, 2, 1, 0x38, 0, 0, 0xac, 0x44, 0, 0, 0]),
            codecs: "opus".to_owned(),
        };
        let track = SoundTrack::of(&config).unwrap();
        // RFC 7845 5.1: magic, version, channels, pre-skip, input rate, gain, family.
        let head = b"OpusHead\x01\x02\x38\x01\x44\xac\x00\x00\x00\x00\x00";
        assert_eq!((track.pre_skip, &track.head[..]), (312, &head[..]));
        let short = AudioConfig {
            record: config.record.slice(..10),
            ..config
        };
        assert!(SoundTrack::of(&short).is_err());
    }
}
