//! One decode, VP8 and Opus out of it.

use std::fs::File;
use std::sync::{Arc, PoisonError};

use gstreamer as gst;

use gst::prelude::*;

use super::super::error::Refusal;
use super::super::plan::{VideoRung, Webm};
use super::super::wire::{Ending, Message};
use super::Trouble;
use super::chain::{Home, make};
use super::codecs::Codec;
use super::graph::{self, named, outlet};
use super::link::Link;
use super::outlet::{Outlet, attach};
use super::streams::{Role, Streams};
use super::watch::{self, Ended, Position};
use crate::av::TrackKind;

/// The streams.
const VIDEO: u8 = 0;
const AUDIO: u8 = 1;
/// From key picture to key picture, whatever the rate of pictures: how exactly a player can seek.
const KEY_EVERY: gst::ClockTime = gst::ClockTime::from_seconds(4);
/// Encoded packets between demuxer and decoder.
const QUEUE_BUFFERS: u32 = 100;
const QUEUE_BYTES: u32 = 16 << 20;

/// Says the frames of the WebM's tracks: stream 0 the picture, 1 the sound.
pub(super) fn webm(file: File, plan: Webm, link: &Link) -> Result<Ending, Trouble> {
    let home = Home::default();
    let position = Position::default();
    let (of_pads, out, at) = (home.clone(), link.clone(), position.clone());
    let connect = move |role: Role, pad: &gst::Pad, codec: &Codec| {
        // Nobody waits: more threads would only take more memory.
        let Ok(decoder) = codec.decoder(1) else {
            let codec = codec.name.clone();
            return Err(Trouble::Refused(Refusal::Codec { codec }));
        };
        let tail = match (role, plan.video, plan.audio) {
            (Role::Video, Some(video), _) => picture(video, &out, &at)?,
            (Role::Audio, _, Some(audio)) => sound(audio.kbps, &out, &at)?,
            _ => return Ok(()),
        };
        let queue = gst::ElementFactory::make("queue")
            .property("max-size-buffers", QUEUE_BUFFERS)
            .property("max-size-bytes", QUEUE_BYTES)
            .property("max-size-time", 0u64)
            .build()?;
        let mut chain = vec![queue];
        if let Some(parser) = codec.parser {
            chain.push(make(parser)?);
        }
        chain.extend(decoder);
        chain.push(tail.upcast());
        of_pads.add_behind(pad, &chain)
    };
    let streams = Streams::open(file, Box::new(connect))?;
    home.set(&streams.pipeline);
    let shown = Arc::clone(&streams.shown);
    let mut told = false;
    let out = link.clone();
    let nothing_to_wait_for = move || {
        let shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        let lacks = |track: &Option<Result<Codec, String>>| !matches!(track, Some(Ok(_)));
        let no_video = plan.video.is_none() || lacks(&shown.video);
        let no_audio = plan.audio.is_none() || lacks(&shown.audio);
        if shown.is_whole && !told {
            told = true;
            for (stream, none) in [(VIDEO, no_video), (AUDIO, no_audio)] {
                if none {
                    out.send(&Message::Closed { stream });
                }
            }
        }
        shown.is_whole && no_video && no_audio
    };
    let (ended, _) = watch::run(&streams.pipeline, link, &position, nothing_to_wait_for)?;
    if !position.has_moved() {
        return Err(match ended {
            Ended::Broken(why) => Trouble::Failed(why),
            _ => watch::unreadable(),
        });
    }
    Ok(Ending {
        truncated: matches!(ended, Ended::Broken(_)),
        missing: Vec::new(),
    })
}

fn picture(video: VideoRung, link: &Link, position: &Position) -> Result<gst::Bin, Trouble> {
    let bin = graph::WEBM_PICTURE.load()?;
    let side = |pixels: u32| i32::try_from(pixels).unwrap_or(i32::MAX);
    let size = gst::Caps::builder("video/x-raw")
        .field("format", "I420")
        .field("width", side(video.width))
        .field("height", side(video.height))
        .field("pixel-aspect-ratio", gst::Fraction::new(1, 1))
        .build();
    named(&bin, "size")?.set_property("caps", size);
    let encoder = named(&bin, "encoder")?;
    let bits = i32::try_from(video.max_kbps.saturating_mul(1_000)).unwrap_or(i32::MAX);
    encoder.set_property("target-bitrate", bits);
    ask_for_keys(&encoder)?;
    attach(
        &outlet(&bin)?,
        Outlet {
            stream: VIDEO,
            role: TrackKind::Video,
            earlier: 0,
        },
        link,
        position,
    );
    Ok(bin)
}

/// By time, not by count: pictures come at any rate.
fn ask_for_keys(encoder: &gst::Element) -> Result<(), Trouble> {
    let pad = |name| {
        let pad = encoder.static_pad(name);
        pad.ok_or_else(|| Trouble::Failed(format!("an encoder without {name}")))
    };
    let (input, output) = (pad("sink")?, pad("src")?.downgrade());
    let last = std::sync::Mutex::new(None::<gst::ClockTime>);
    input.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let time = match &info.data {
            Some(gst::PadProbeData::Buffer(buffer)) => buffer.pts(),
            _ => None,
        };
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(time) = time {
            match *last {
                // The first picture is a key picture anyway.
                None => *last = Some(time),
                Some(before) if time >= before + KEY_EVERY => {
                    *last = Some(time);
                    if let Some(output) = output.upgrade() {
                        // Without a running time: with one, 1.22 honours the first event only.
                        output.send_event(force_key_unit());
                    }
                }
                Some(_) => {}
            }
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}

/// `GstForceKeyUnit`, as `gst_video_event_new_upstream_force_key_unit` makes it, without its library.
fn force_key_unit() -> gst::Event {
    let asks = gst::Structure::builder("GstForceKeyUnit")
        .field("running-time", gst::ClockTime::NONE)
        .field("all-headers", false)
        .field("count", 0u32)
        .build();
    gst::event::CustomUpstream::new(asks)
}

fn sound(kbps: u32, link: &Link, position: &Position) -> Result<gst::Bin, Trouble> {
    let bin = graph::WEBM_SOUND.load()?;
    let bits = i32::try_from(kbps.saturating_mul(1_000)).unwrap_or(i32::MAX);
    named(&bin, "encoder")?.set_property("bitrate", bits);
    attach(
        &outlet(&bin)?,
        Outlet {
            stream: AUDIO,
            role: TrackKind::Audio,
            earlier: 0,
        },
        link,
        position,
    );
    Ok(bin)
}
