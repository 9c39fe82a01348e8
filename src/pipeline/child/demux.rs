//! A file's encoded frames as they are.

use std::fs::File;
use std::sync::{Arc, PoisonError};

use gstreamer as gst;
use gstreamer_app as gst_app;

use gst::prelude::*;

use super::super::error::Refusal;
use super::super::wire::{Ending, Message};
use super::Trouble;
use super::chain::{Home, make};
use super::codecs::Codec;
use super::link::Link;
use super::outlet::{self, Outlet};
use super::streams::{Role, Streams};
use super::watch::{self, Ended, Position};
use crate::av::TrackKind;

/// The streams of a demux.
const VIDEO: u8 = 0;
const AUDIO: u8 = 1;

/// How a codec must look inside a rendition.
fn wanted(codec: &Codec) -> Option<&'static str> {
    Some(match codec.name.as_str() {
        "h264" => "video/x-h264,stream-format=avc,alignment=au",
        "hevc" => "video/x-h265,stream-format=hvc1,alignment=au",
        "vp9" => "video/x-vp9,alignment=super-frame",
        "av1" => "video/x-av1,stream-format=obu-stream,alignment=tu",
        "aac" => "audio/mpeg,mpegversion=4,stream-format=raw",
        "opus" => "audio/x-opus",
        _ => return None,
    })
}

/// Says the frames of the first picture and the first sound. A sound that no rendition holds is left out.
pub(super) fn demux(file: File, link: &Link) -> Result<Ending, Trouble> {
    let home = Home::default();
    let position = Position::default();
    let (of_pads, out, at) = (home.clone(), link.clone(), position.clone());
    let connect = move |role: Role, pad: &gst::Pad, codec: &Codec| {
        let caps = match (wanted(codec), role) {
            (Some(wanted), _) => wanted,
            (None, Role::Audio) => return Ok(()),
            (None, Role::Video) => {
                let codec = codec.name.clone();
                return Err(Trouble::Refused(Refusal::Codec { codec }));
            }
        };
        // Both tracks through one thread: the host's interleaving needs them about together, and a queue would add a copy.
        let mut chain = Vec::new();
        if let Some(parser) = codec.parser {
            chain.push(make(parser)?);
        }
        let filter = gst::ElementFactory::make("capsfilter")
            .property("caps", caps.parse::<gst::Caps>()?)
            .build()?;
        chain.push(filter);
        let sink = gst_app::AppSink::builder().build();
        let (stream, kind) = match role {
            Role::Video => (VIDEO, TrackKind::Video),
            Role::Audio => (AUDIO, TrackKind::Audio),
        };
        let outlet = Outlet {
            stream,
            role: kind,
            earlier: 0,
        };
        outlet::attach(&sink, outlet, &out, &at);
        chain.push(sink.upcast());
        of_pads.add_behind(pad, &chain)
    };
    let streams = Streams::open(file, Box::new(connect))?;
    home.set(&streams.pipeline);
    let shown = Arc::clone(&streams.shown);
    let mut told = false;
    let (out, tracks) = (link.clone(), Arc::clone(&shown));
    let nothing_to_wait_for = move || {
        let shown = tracks.lock().unwrap_or_else(PoisonError::into_inner);
        let lacks = |track: &Option<Result<Codec, String>>| match track {
            Some(Ok(codec)) => wanted(codec).is_none(),
            _ => true,
        };
        if shown.is_whole && !told {
            told = true;
            if lacks(&shown.video) {
                out.send(&Message::Closed { stream: VIDEO });
            }
            if lacks(&shown.audio) {
                out.send(&Message::Closed { stream: AUDIO });
            }
        }
        shown.is_whole && lacks(&shown.video) && lacks(&shown.audio)
    };
    let (ended, _) = watch::run(&streams.pipeline, link, &position, nothing_to_wait_for)?;
    let shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
    if shown.video.is_none() && shown.audio.is_none() {
        return Err(watch::unreadable());
    }
    Ok(Ending {
        truncated: matches!(ended, Ended::Broken(_)),
        missing: Vec::new(),
    })
}
