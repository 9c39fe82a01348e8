//! Codec configurations: what a decoder must know before the first frame.

use bytes::Bytes;

use super::Timescale;

/// Which of the two tracks of a rendition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TrackKind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

/// The picture codecs that fit into fMP4 and that encoders send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VideoCodec {
    /// H.264 / AVC.
    H264,
    /// H.265 / HEVC.
    Hevc,
    /// AV1.
    Av1,
    /// VP9.
    Vp9,
}

impl VideoCodec {
    /// The name used in the API and in rows: `h264`, `hevc`, `av1`, `vp9` (as ffprobe prints them).
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::Hevc => "hevc",
            Self::Av1 => "av1",
            Self::Vp9 => "vp9",
        }
    }
}

/// The sound codecs that fit into fMP4 and that encoders send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AudioCodec {
    /// AAC, any object type.
    Aac,
    /// Opus.
    Opus,
    /// MP3.
    Mp3,
}

impl AudioCodec {
    /// The name used in the API and in rows: `aac`, `opus`, `mp3` (as ffprobe prints them).
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aac => "aac",
            Self::Opus => "opus",
            Self::Mp3 => "mp3",
        }
    }
}

/// What the decoder of the picture must know. Two equal values mean: one sample entry, one file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VideoConfig {
    /// Which codec.
    pub codec: VideoCodec,
    /// Picture width in pixels, after cropping; `1..=16384`.
    pub width: u32,
    /// Picture height in pixels, after cropping; `1..=16384`.
    pub height: u32,
    /// The payload of the configuration box, without its 8-byte header:
    /// `avcC` (ISO/IEC 14496-15 5.3.3), `hvcC` (8.3.3), `av1C` (AV1-ISOBMFF 2.3), `vpcC` with its
    /// version and flags (VP-ISOBMFF 2.2).
    pub record: Bytes,
    /// The CODECS member of this track (RFC 6381): `avc1.64001f`, `hvc1.1.6.L93.B0`, `av01.0.04M.08`, `vp09.00.31.08`.
    pub codecs: String,
}

/// What the decoder of the sound must know. Two equal values mean: one sample entry, one file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AudioConfig {
    /// Which codec.
    pub codec: AudioCodec,
    /// Samples per second, also the track's timescale; 48,000 for Opus whatever it was fed (RFC 7845 5.1).
    pub sample_rate: u32,
    /// Channels, `1..=8`.
    pub channels: u8,
    /// Samples in one frame of constant length (1024 for AAC-LC, 2048 for HE-AAC at its output rate,
    /// 1152 for MP3 at 32 kHz and more); for Opus the longest of a packet is told by the packet: here 960.
    pub frame_samples: u32,
    /// AAC: the `AudioSpecificConfig` (ISO/IEC 14496-3 1.6.2.1). Opus: the payload of `dOps`
    /// (Opus-in-ISOBMFF 4.3.2). MP3: empty.
    pub record: Bytes,
    /// The CODECS member of this track: `mp4a.40.2`, `opus`, `mp4a.40.34`.
    pub codecs: String,
}

impl AudioConfig {
    /// Ticks per second of the track: its sample rate.
    #[must_use]
    pub fn timescale(&self) -> Timescale {
        // A rate of zero is refused where configurations are parsed; 48 kHz keeps arithmetic sane.
        Timescale::new(self.sample_rate).unwrap_or(Timescale::VIDEO)
    }
}

/// One track's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CodecConfig {
    /// Of the picture.
    Video(VideoConfig),
    /// Of the sound.
    Audio(AudioConfig),
}

/// The tracks of one rendition file. At least one is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TrackSet {
    /// The picture, if there is one.
    pub video: Option<VideoConfig>,
    /// The sound, if there is some.
    pub audio: Option<AudioConfig>,
}

impl TrackSet {
    /// The CODECS attribute: picture before sound (RFC 8216bis 4.4.6.2).
    #[must_use]
    pub fn codecs(&self) -> String {
        let video = self.video.as_ref().map(|video| video.codecs.as_str());
        let audio = self.audio.as_ref().map(|audio| audio.codecs.as_str());
        video.into_iter().chain(audio).collect::<Vec<_>>().join(",")
    }

    /// Whether there is no track at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.video.is_none() && self.audio.is_none()
    }
}
