//! What the child of a live is told to make, and what that will cost.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::plan::{AudioRung, VideoRung};
use super::wire::{Track, TrackCodec};
use crate::av::{AudioCodec, AudioConfig, Timescale, VideoCodec, VideoConfig};

/// A live's ladder: one decode, any number of encoders. Outputs name an encoder by its place in `pictures` or `sounds`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LivePlan {
    /// The source's picture; `None`: no picture is decoded.
    pub video: Option<VideoConfig>,
    /// The source's sound; `None`: no sound is decoded.
    pub audio: Option<AudioConfig>,
    /// H.264 encoders, best first; at most [`Self::MAX_PICTURES`].
    pub pictures: Vec<VideoRung>,
    /// AAC-LC encoders, 48 kHz, stereo; at most [`Self::MAX_SOUNDS`].
    pub sounds: Vec<AudioRung>,
    /// Posters on the way.
    pub stills: Option<Stills>,
}

/// JPEGs of the live as it goes, from the smallest picture that is scaled anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stills {
    /// From one to the next, media time; at least a second. The first is the first picture.
    pub every: Duration,
    /// Pixels, at most; `16..=4096`.
    pub width: u32,
}

/// The plan as a child is told it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LadderTask {
    pub(super) video: Option<SourceVideo>,
    pub(super) audio: Option<SourceAudio>,
    pub(super) pictures: Vec<VideoRung>,
    pub(super) sounds: Vec<AudioRung>,
    pub(super) stills: Option<Stills>,
}

/// The source's picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SourceVideo {
    pub(super) track: Track,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// The source's sound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SourceAudio {
    pub(super) track: Track,
    pub(super) channels: u8,
    /// Samples in a frame of constant length; see [`AudioConfig::frame_samples`].
    pub(super) frame_samples: u32,
}

/// The number of the source's picture among a ladder's streams, …
pub(super) const VIDEO_IN: u8 = 0;
/// … and of its sound. What comes out is numbered by [`LadderTask::streams`].
pub(super) const AUDIO_IN: u8 = 1;

impl LivePlan {
    /// The most encoders of pictures.
    pub const MAX_PICTURES: usize = 8;
    /// The most encoders of sound.
    pub const MAX_SOUNDS: usize = 4;

    /// Whether a child may be asked for this; else what is wrong.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        if self.pictures.len() > Self::MAX_PICTURES || self.sounds.len() > Self::MAX_SOUNDS {
            return Err("too many rungs");
        }
        let makes_pictures = !self.pictures.is_empty() || self.stills.is_some();
        if makes_pictures != self.video.is_some() || self.sounds.is_empty() == self.audio.is_some()
        {
            return Err("a source without a rung, or a rung without a source");
        }
        if self.video.is_none() && self.audio.is_none() {
            return Err("there is nothing to make");
        }
        let stills = self.stills.is_none_or(|stills| {
            stills.every >= Duration::from_secs(1) && (16..=4_096).contains(&stills.width)
        });
        let pictures = self.pictures.iter().all(VideoRung::is_in_range);
        let sounds = self.sounds.iter().all(AudioRung::is_in_range);
        if !stills || !pictures || !sounds {
            return Err("a rung is out of range");
        }
        Ok(())
    }

    pub(super) fn task(&self) -> LadderTask {
        let video = self.video.as_ref().map(|video| SourceVideo {
            track: Track {
                stream: VIDEO_IN,
                codec: match video.codec {
                    VideoCodec::H264 => TrackCodec::H264,
                    VideoCodec::Hevc => TrackCodec::Hevc,
                    VideoCodec::Av1 => TrackCodec::Av1,
                    VideoCodec::Vp9 => TrackCodec::Vp9,
                },
                record: hex::encode(&video.record),
                timescale: Timescale::VIDEO.get(),
            },
            width: video.width,
            height: video.height,
        });
        let audio = self.audio.as_ref().map(|audio| SourceAudio {
            track: Track {
                stream: AUDIO_IN,
                codec: match audio.codec {
                    AudioCodec::Aac => TrackCodec::Aac,
                    AudioCodec::Opus => TrackCodec::Opus,
                    AudioCodec::Mp3 => TrackCodec::Mp3,
                },
                record: hex::encode(&audio.record),
                timescale: audio.timescale().get(),
            },
            channels: audio.channels,
            frame_samples: audio.frame_samples,
        });
        LadderTask {
            video,
            audio,
            pictures: self.pictures.clone(),
            sounds: self.sounds.clone(),
            stills: self.stills,
        }
    }
}

impl LadderTask {
    /// How many streams come out: the pictures, then the sounds.
    pub(super) fn streams(&self) -> usize {
        self.pictures.len() + self.sounds.len()
    }
}

/// Cores that the plan takes while its live runs at `frame_rate` pictures a second: good for a decision whether a ladder
/// fits, not for accounts. `script/bench-ladder` measured 0.90 to 0.95 for 1080p30 in H.264 with three rungs, which is 0.99
/// here; what other codecs take to decode is an estimate.
#[must_use]
pub fn cost_cores(plan: &LivePlan, frame_rate: f64) -> f64 {
    // Without a rung only key frames are decoded, for the stills.
    let decoded = if plan.pictures.is_empty() {
        1.0
    } else {
        frame_rate
    };
    let video = plan.video.as_ref();
    let decode = video.map_or(0.0, |video| decode_cores(video, decoded));
    let pictures = plan.pictures.iter();
    let pictures: f64 = pictures.map(|rung| encode_cores(rung, frame_rate)).sum();
    let sounds: f64 = plan.sounds.iter().map(|_| SOUND).sum();
    decode + pictures + sounds
}

/// The share of decoding in [`cost_cores`].
#[must_use]
pub fn decode_cores(video: &VideoConfig, frame_rate: f64) -> f64 {
    let each = match video.codec {
        VideoCodec::H264 => DECODE_H264,
        VideoCodec::Hevc | VideoCodec::Vp9 => DECODE_LATER,
        VideoCodec::Av1 => DECODE_AV1,
    };
    megapixels(video.width, video.height) * frame_rate * each
}

/// The share of one encoder, scaling included.
#[must_use]
pub fn encode_cores(rung: &VideoRung, frame_rate: f64) -> f64 {
    megapixels(rung.width, rung.height) * frame_rate * ENCODE
}

fn megapixels(width: u32, height: u32) -> f64 {
    f64::from(width) * f64::from(height) / 1e6
}

/// Cores for each megapixel a second of a decode, …
const DECODE_H264: f64 = 0.0043;
/// … of HEVC and VP9, …
const DECODE_LATER: f64 = 0.006;
/// … of AV1 by libaom, …
const DECODE_AV1: f64 = 0.012;
/// … and of a rung's scaling and encoding.
const ENCODE: f64 = 0.015;
/// Cores for each encoder of sound, decoding included.
const SOUND: f64 = 0.02;
