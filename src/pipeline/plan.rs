//! What a child is told to make.

use serde::{Deserialize, Serialize};

/// A transcode: one decode, any number of rungs. Every rung's key frames are aligned, [`Self::gop_frames`] apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transcode {
    /// At least one, at most [`Self::MAX_RUNGS`]. Outputs name a rung by its place in here.
    pub rungs: Vec<Rung>,
    /// The steady rate that all pictures are put on, a fraction; both in `1..=1_000_000`, at most 120 a second.
    pub frame_rate: (u32, u32),
    /// Whether the picture consists of fields.
    pub deinterlace: bool,
    /// Whether a player turns or mirrors the picture; if not, nothing is.
    pub turned: bool,
    /// Milliseconds of the source, for progress and for the bounds of the output.
    pub duration_ms: u64,
}

impl Transcode {
    /// The most rungs of one decode.
    pub const MAX_RUNGS: usize = 8;

    /// Whether a child may be asked for this; else what is wrong.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let (frames, seconds) = self.frame_rate;
        let is_rate = (1..=1_000_000).contains(&frames) && (1..=1_000_000).contains(&seconds);
        if !is_rate || frames / seconds > 120 {
            return Err("the frame rate is out of range");
        }
        if self.rungs.is_empty() || self.rungs.len() > Self::MAX_RUNGS {
            return Err("no rung, or too many");
        }
        for rung in &self.rungs {
            let video = rung.video.is_none_or(|video| video.is_in_range());
            let audio = rung.audio.is_none_or(|audio| audio.is_in_range());
            if !video || !audio || (rung.video.is_none() && rung.audio.is_none()) {
                return Err("a rung is out of range");
            }
        }
        Ok(())
    }

    /// The distinct rates of sound, kbit/s, in the order of the rungs.
    pub(super) fn sounds(&self) -> Vec<u32> {
        let mut rates: Vec<u32> = Vec::new();
        for rung in &self.rungs {
            if let Some(audio) = rung.audio
                && !rates.contains(&audio.kbps)
            {
                rates.push(audio.kbps);
            }
        }
        rates
    }

    /// The streams that a child makes, each with the rungs it belongs to: the pictures, then the sounds.
    pub(super) fn streams(&self) -> Vec<Vec<usize>> {
        let places = |is_in: &dyn Fn(&Rung) -> bool| -> Vec<usize> {
            let rungs = self.rungs.iter().enumerate();
            rungs
                .filter(|(_, rung)| is_in(rung))
                .map(|(at, _)| at)
                .collect()
        };
        let pictures = places(&|rung| rung.video.is_some());
        let sounds = self
            .sounds()
            .into_iter()
            .map(|kbps| places(&|rung| rung.audio.is_some_and(|audio| audio.kbps == kbps)));
        pictures
            .into_iter()
            .map(|at| vec![at])
            .chain(sounds)
            .collect()
    }

    /// Pictures from key frame to key frame: two seconds, at least one.
    #[must_use]
    pub fn gop_frames(&self) -> u32 {
        let (frames, seconds) = self.frame_rate;
        (2 * frames).div_ceil(seconds.max(1)).max(1)
    }
}

/// One WebM: VP8 and Opus out of whatever a rendition file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webm {
    /// Its picture; `None`: none is decoded.
    pub video: Option<VideoRung>,
    /// Its sound, Opus 48 kHz stereo; `None`: none is decoded.
    pub audio: Option<AudioRung>,
    /// Milliseconds of the source, for the bounds of the child.
    pub duration_ms: u64,
}

impl Webm {
    /// Whether a child may be asked for this; else what is wrong.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let is_side = |side: u32| (16..=4_096).contains(&side) && side.is_multiple_of(2);
        let video = self.video.is_none_or(|video| {
            is_side(video.width)
                && is_side(video.height)
                && (16..=100_000).contains(&video.max_kbps)
        });
        let audio = self
            .audio
            .is_none_or(|audio| (16..=320).contains(&audio.kbps));
        if !video || !audio || (self.video.is_none() && self.audio.is_none()) {
            return Err("a WebM is out of range");
        }
        Ok(())
    }
}

/// One rendition that comes out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rung {
    /// Its picture, H.264; `None`: sound alone.
    pub video: Option<VideoRung>,
    /// Its sound, AAC-LC 48 kHz stereo, if the source has some; rungs of the same rate share one encoder.
    pub audio: Option<AudioRung>,
}

/// The picture of a rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoRung {
    /// Pixels, even, `16..=4096`.
    pub width: u32,
    /// Pixels, even, `16..=4096`.
    pub height: u32,
    /// The most the encoder spends over a second or two, kbit/s; still pictures take far less.
    pub max_kbps: u32,
}

impl VideoRung {
    pub(super) fn is_in_range(&self) -> bool {
        let is_side = |side: u32| (16..=4_096).contains(&side) && side.is_multiple_of(2);
        is_side(self.width) && is_side(self.height) && (16..=100_000).contains(&self.max_kbps)
    }
}

/// The sound of a rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioRung {
    /// kbit/s.
    pub kbps: u32,
}

impl AudioRung {
    pub(super) fn is_in_range(&self) -> bool {
        (16..=320).contains(&self.kbps)
    }
}

/// One picture out of a video.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Which of the times that were asked for.
    pub index: u32,
    /// Where the picture really is, ms.
    pub at_ms: u64,
    /// JPEG, upright, at most as wide as asked.
    pub jpeg: bytes::Bytes,
}
