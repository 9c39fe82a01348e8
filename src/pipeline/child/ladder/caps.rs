//! The source's codecs as GStreamer names them, and what decodes them.
//!
//! No parser: samples of a rendition are whole access units, and their configuration is known.

use gstreamer as gst;

use gst::prelude::*;

use super::super::super::live_plan::{SourceAudio, SourceVideo};
use super::super::super::wire::{Track, TrackCodec};
use super::super::Trouble;

/// Pictures above so many pixels are decoded by several threads, each of which delays them by one.
const LARGE_PIXELS: u32 = 1_920 * 1_200;

fn side(pixels: u32) -> i32 {
    i32::try_from(pixels).unwrap_or(i32::MAX)
}

fn record(track: &Track) -> Result<gst::Buffer, Trouble> {
    let bytes = hex::decode(&track.record);
    bytes
        .map(gst::Buffer::from_slice)
        .map_err(|error| Trouble::Failed(error.to_string()))
}

/// What the pictures are, and how many come in a second where that is known.
pub(super) fn of_video(
    video: &SourceVideo,
    rate: Option<(u32, u32)>,
) -> Result<gst::Caps, Trouble> {
    let rate = rate.map(|(pictures, seconds)| gst::Fraction::new(side(pictures), side(seconds)));
    let named = |name: &str| {
        gst::Caps::builder(name)
            .field("width", side(video.width))
            .field("height", side(video.height))
            .field_if_some("framerate", rate)
    };
    Ok(match video.track.codec {
        TrackCodec::H264 => named("video/x-h264")
            .field("stream-format", "avc")
            .field("alignment", "au")
            .field("codec_data", record(&video.track)?)
            .build(),
        TrackCodec::Hevc => named("video/x-h265")
            .field("stream-format", "hvc1")
            .field("alignment", "au")
            .field("codec_data", record(&video.track)?)
            .build(),
        TrackCodec::Vp9 => named("video/x-vp9")
            .field("alignment", "super-frame")
            .build(),
        TrackCodec::Av1 => named("video/x-av1")
            .field("stream-format", "obu-stream")
            .field("alignment", "tu")
            .build(),
        TrackCodec::Vp8 => return Err(Trouble::Failed("no live is VP8".to_owned())),
        TrackCodec::Aac | TrackCodec::Opus | TrackCodec::Mp3 => {
            return Err(Trouble::Failed("a picture in a codec of sound".to_owned()));
        }
    })
}

/// The decoder of the pictures, told to hold back none but those that wait for their turn.
pub(super) fn video_decoder(video: &SourceVideo) -> Result<gst::Element, Trouble> {
    let name = match video.track.codec {
        TrackCodec::H264 => "avdec_h264",
        TrackCodec::Hevc => "avdec_h265",
        TrackCodec::Vp9 => "vp9dec",
        _ => "av1dec",
    };
    let decoder = gst::ElementFactory::make(name).build()?;
    if name.starts_with("avdec") {
        // `strict`, its choice where no clock runs, fills the whole buffer of pictures before the first comes out.
        decoder.set_property_from_str("std-compliance", "normal");
        if video.width.saturating_mul(video.height) <= LARGE_PIXELS {
            decoder.set_property("max-threads", 1i32);
        }
    }
    Ok(decoder)
}

/// What the sound is.
pub(super) fn of_audio(audio: &SourceAudio) -> Result<gst::Caps, Trouble> {
    let rate = side(audio.track.timescale);
    let channels = i32::from(audio.channels);
    Ok(match audio.track.codec {
        TrackCodec::Aac => gst::Caps::builder("audio/mpeg")
            .field("mpegversion", 4i32)
            .field("stream-format", "raw")
            .field("framed", true)
            .field("rate", rate)
            .field("channels", channels)
            .field("codec_data", record(&audio.track)?)
            .build(),
        TrackCodec::Mp3 => gst::Caps::builder("audio/mpeg")
            .field("mpegversion", 1i32)
            .field("layer", 3i32)
            .field("parsed", true)
            .field("rate", rate)
            .field("channels", channels)
            .build(),
        TrackCodec::Opus => opus(audio)?,
        _ => return Err(Trouble::Failed("a sound in a codec of pictures".to_owned())),
    })
}

/// From the `dOps` (Opus-in-ISOBMFF 4.3.2). Its pre-skip is left out: players show the source's sound without it.
fn opus(audio: &SourceAudio) -> Result<gst::Caps, Trouble> {
    let dops = hex::decode(&audio.track.record).unwrap_or_default();
    let broken = || Trouble::Failed("an Opus configuration is cut short".to_owned());
    let family = *dops.get(10).ok_or_else(broken)?;
    let caps = gst::Caps::builder("audio/x-opus")
        .field("rate", 48_000i32)
        .field("channels", i32::from(audio.channels))
        .field("channel-mapping-family", i32::from(family));
    if family == 0 {
        return Ok(caps.build());
    }
    let mapping = dops.get(13..13 + usize::from(audio.channels));
    let mapping = mapping.ok_or_else(broken)?.iter();
    Ok(caps
        .field("stream-count", i32::from(dops[11]))
        .field("coupled-count", i32::from(dops[12]))
        .field(
            "channel-mapping",
            gst::Array::new(mapping.map(|channel| i32::from(*channel))),
        )
        .build())
}

/// The decoder of the sound.
pub(super) fn audio_decoder(audio: &SourceAudio) -> Result<gst::Element, Trouble> {
    let name = match audio.track.codec {
        TrackCodec::Mp3 => "avdec_mp3",
        TrackCodec::Opus => "opusdec",
        _ => "avdec_aac",
    };
    Ok(gst::ElementFactory::make(name).build()?)
}
