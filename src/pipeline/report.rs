//! What a probe finds out about a file.

use serde::{Deserialize, Serialize};

/// The containers that are taken, told by their first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Container {
    /// ISO/IEC 14496-12 and its children: MP4, M4V, 3GP.
    Mp4,
    /// Apple's format, which came before it.
    QuickTime,
    /// WebM.
    WebM,
    /// Matroska that does not call itself WebM.
    Matroska,
    /// Microsoft's AVI.
    Avi,
}

impl Container {
    /// The name used in the API and in rows: `mp4`, `mov`, `webm`, `mkv`, `avi`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::QuickTime => "mov",
            Self::WebM => "webm",
            Self::Matroska => "mkv",
            Self::Avi => "avi",
        }
    }
}

/// A file that can be made into something that plays. All of it is the word of a child that has read hostile bytes: good
/// for decisions, not for allocations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeReport {
    /// What the tracks lie in.
    pub container: Container,
    /// From the first picture or sound that is shown to the end of the last, measured by the packets that are really there.
    pub duration_ms: u64,
    /// What the container claims, if anything.
    pub declared_duration_ms: Option<u64>,
    /// The file ends, or breaks, before what it claims.
    pub truncated: bool,
    /// The picture.
    pub video: VideoStream,
    /// The sound; `None` when there is none, or none that can be decoded.
    pub audio: Option<AudioStream>,
    /// There is sound, but in a codec that nothing here decodes: its name.
    pub undecodable_audio: Option<String>,
    /// Tracks besides: further pictures and sounds, subtitles, data.
    pub other_streams: u32,
}

/// The picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VideoStream {
    /// As ffprobe prints it: `h264`, `hevc`, `vp8`, `vp9`, `av1`, `mpeg4`, `prores`, `mjpeg`, ….
    pub codec: String,
    /// The profile where the codec has names for it: `high`, `main-10`, ….
    pub profile: Option<String>,
    /// Pixels, as they are stored.
    pub width: u32,
    /// Pixels, as they are stored.
    pub height: u32,
    /// Degrees clockwise by which a player turns it: 0, 90, 180, 270.
    pub rotation: u16,
    /// Whether a player mirrors it as well.
    pub mirrored: bool,
    /// Width that people see: upright, with square pixels.
    pub display_width: u32,
    /// Height that people see: upright, with square pixels.
    pub display_height: u32,
    /// Pixels that are not square.
    pub anamorphic: bool,
    /// 8-bit 4:2:0, which every player takes.
    pub plain_format: bool,
    /// Pictures a second on the average; 0 when there is one picture only.
    pub frame_rate: f64,
    /// The same where they come as they mostly do: one by the distance that is in the middle of all; 0 as above.
    #[serde(default)]
    pub usual_rate: f64,
    /// Distances between pictures differ.
    pub variable: bool,
    /// The longest time from one picture to the next, ms.
    #[serde(default)]
    pub longest_pause_ms: u64,
    /// Fields instead of frames.
    pub interlaced: bool,
    /// Pictures in the file.
    pub frames: u64,
    /// The longest distance between two key frames, ms; the whole duration when there is only one.
    pub longest_gop_ms: u64,
    /// Where the first picture is shown, ms after the file's beginning.
    pub start_ms: i64,
    /// How much of the picture lies before the first one that is shown (an edit that is no key frame), ms.
    pub hidden_ms: u64,
    /// Edits beyond the first: pieces that a player skips or repeats.
    pub further_edits: u32,
    /// Bits a second on the average.
    pub bit_rate: u64,
}

/// The sound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AudioStream {
    /// As ffprobe prints it: `aac`, `opus`, `mp3`, `vorbis`, `pcm_s16le`, ….
    pub codec: String,
    /// AAC-LC; false for every other codec and profile.
    pub is_aac_lc: bool,
    /// Channels.
    pub channels: u32,
    /// Samples a second.
    pub sample_rate: u32,
    /// Where the first sound is, ms after the file's beginning; negative for what a decoder must throw away.
    pub start_ms: i64,
    /// From the first to the end of the last sound, ms.
    pub duration_ms: u64,
    /// Bits a second on the average.
    pub bit_rate: u64,
}

impl ProbeReport {
    /// Whether picture and sound can go into a rendition as they are: everything plays H.264 in 8-bit 4:2:0 and AAC-LC in
    /// mono or stereo, and a rendition knows neither rotation nor edits nor pixels that are not square.
    #[must_use]
    pub fn can_be_remuxed(&self) -> bool {
        let video = &self.video;
        // Matroska has no decoding times: those that are made up show B-frames late at the beginning.
        let container = matches!(self.container, Container::Mp4 | Container::QuickTime);
        let as_it_is = video.codec == "h264"
            && video.plain_format
            && video.rotation == 0
            && !video.mirrored
            && !video.anamorphic
            && !video.interlaced
            && video.hidden_ms <= MAX_HIDDEN_MS
            && video.further_edits == 0
            && video.longest_gop_ms <= MAX_GOP_MS
            && (self.audio.is_some() || video.longest_pause_ms <= MAX_PAUSE_MS);
        let sound = match (&self.audio, &self.undecodable_audio) {
            (_, Some(_)) => false,
            (None, None) => true,
            (Some(audio), None) => {
                audio.is_aac_lc
                    && (1..=2).contains(&audio.channels)
                    && (32_000..=48_000).contains(&audio.sample_rate)
                    && audio.start_ms <= MAX_LATE_MS
            }
        };
        container && as_it_is && sound
    }
}

impl ProbeReport {
    /// The report, if no number of it is beyond sense, with its texts fit for a log: a child that reads hostile bytes has
    /// written it.
    pub(super) fn bounded(mut self) -> Option<Self> {
        /// A year.
        const MAX_MS: u64 = 366 * 24 * 3_600 * 1_000;
        let sides = [
            self.video.width,
            self.video.height,
            self.video.display_width,
            self.video.display_height,
        ];
        let is_sane = sides.iter().all(|side| (1..=16_384).contains(side))
            && self.duration_ms <= MAX_MS
            && self.declared_duration_ms.unwrap_or(0) <= MAX_MS
            && self.video.frame_rate.is_finite()
            && (0.0..=100_000.0).contains(&self.video.frame_rate)
            && (0.0..=1e9).contains(&self.video.usual_rate)
            && matches!(self.video.rotation, 0 | 90 | 180 | 270);
        for text in [
            Some(&mut self.video.codec),
            self.video.profile.as_mut(),
            self.audio.as_mut().map(|audio| &mut audio.codec),
            self.undecodable_audio.as_mut(),
        ]
        .into_iter()
        .flatten()
        {
            text.retain(|letter| letter.is_ascii_graphic());
            text.truncate(64);
        }
        is_sane.then_some(self)
    }
}

/// The picture may begin so much early without anybody seeing it, ms.
const MAX_HIDDEN_MS: u64 = 100;
/// Seeking and switching need a key frame now and then, ms.
const MAX_GOP_MS: u64 = 12_000;
/// A packager of lives takes a longer pause, where no sound goes on through it, for a clock that jumped, ms.
const MAX_PAUSE_MS: u64 = 4_000;
/// Players that find no sound for longer believe that there is none, ms; a transcode puts silence there.
const MAX_LATE_MS: i64 = 5_000;
