//! Single pictures out of a video, by its key frames.

use std::fs::File;

use gstreamer as gst;
use gstreamer_app as gst_app;

use gst::prelude::*;

use super::super::error::Refusal;
use super::super::wire::{Ending, Message};
use super::Trouble;
use super::chain::{Home, make};
use super::codecs::Codec;
use super::graph::{self, named, outlet};
use super::link::Link;
use super::streams::{Role, Streams};
use super::watch;

/// How long one picture may take; the host's patience is longer.
const PICTURE_WITHIN: gst::ClockTime = gst::ClockTime::from_seconds(30);

/// Says a picture for each of the times, in their order.
pub(super) fn pictures(
    file: File,
    times_ms: &[u64],
    width: u32,
    link: &Link,
) -> Result<Ending, Trouble> {
    let still = graph::STILL.load()?;
    let sink = outlet(&still)?;
    let pixels = i32::try_from(width).unwrap_or(i32::MAX);
    let size = gst::Caps::builder("video/x-raw")
        // No picture gets wider than it is.
        .field("width", gst::IntRange::new(16, pixels))
        .field("pixel-aspect-ratio", gst::Fraction::new(1, 1))
        .build();
    named(&still, "size")?.set_property("caps", size);
    let home = Home::default();
    let (of_pads, tail) = (home.clone(), still.upcast::<gst::Element>());
    let connect = move |role: Role, pad: &gst::Pad, codec: &Codec| {
        if role == Role::Audio {
            return Ok(());
        }
        let Ok(decoder) = codec.decoder(1) else {
            let codec = codec.name.clone();
            return Err(Trouble::Refused(Refusal::Codec { codec }));
        };
        let mut chain = Vec::new();
        if let Some(parser) = codec.parser {
            chain.push(make(parser)?);
        }
        chain.extend(decoder);
        chain.push(tail.clone());
        of_pads.add_behind(pad, &chain)
    };
    let streams = Streams::open(file, Box::new(connect))?;
    home.set(&streams.pipeline);
    let pipeline = &streams.pipeline;
    pipeline.set_state(gst::State::Paused)?;
    wait_for_preroll(pipeline, &streams)?;
    // A search for a place in a browser's recording finds another one, or does not come back.
    if !streams.has_index {
        return read_through(pipeline, &sink, times_ms, link);
    }
    let mut said = 0;
    for (index, at) in times_ms.iter().enumerate() {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let flags = gst::SeekFlags::FLUSH
            | gst::SeekFlags::KEY_UNIT
            | gst::SeekFlags::SNAP_BEFORE
            | gst::SeekFlags::TRICKMODE_KEY_UNITS;
        let at = gst::ClockTime::from_mseconds(*at);
        if pipeline.seek_simple(flags, at).is_err() {
            // No index, and the container cannot do without: read through.
            return read_through(pipeline, &sink, times_ms, link);
        }
        let Some(sample) = sink.try_pull_preroll(PICTURE_WITHIN) else {
            if !sink.is_eos() {
                return Err(watch::unreadable());
            }
            // Behind the end.
            link.send(&Message::Progress {
                position_ms: at.mseconds(),
            });
            continue;
        };
        said += u32::from(say(&sample, index, link));
    }
    if said == 0 && !times_ms.is_empty() {
        return Err(watch::unreadable());
    }
    Ok(Ending::default())
}

fn wait_for_preroll(pipeline: &gst::Pipeline, streams: &Streams) -> Result<(), Trouble> {
    let bus = pipeline
        .bus()
        .ok_or_else(|| Trouble::Failed("a pipeline without a bus".to_owned()))?;
    loop {
        let wait = gst::ClockTime::from_mseconds(250);
        if let Some(message) = bus.timed_pop(wait) {
            match message.view() {
                gst::MessageView::AsyncDone(_) => return Ok(()),
                gst::MessageView::Error(_) | gst::MessageView::Eos(_) => {
                    return Err(watch::unreadable());
                }
                _ => {}
            }
        }
        let shown = streams.shown();
        match &shown.video {
            Some(Err(codec)) => {
                let codec = codec.clone();
                return Err(Trouble::Refused(Refusal::Codec { codec }));
            }
            None if shown.is_whole => return Err(Trouble::Refused(Refusal::NoVideo)),
            _ => {}
        }
    }
}

/// Decodes everything, and takes the first picture at or behind each time.
fn read_through(
    pipeline: &gst::Pipeline,
    sink: &gst_app::AppSink,
    times_ms: &[u64],
    link: &Link,
) -> Result<Ending, Trouble> {
    pipeline.set_state(gst::State::Playing)?;
    let mut told = 0;
    let mut wanted: Vec<(usize, u64)> = times_ms.iter().copied().enumerate().collect();
    wanted.sort_by_key(|(_, at)| *at);
    let mut wanted = wanted.into_iter().peekable();
    while wanted.peek().is_some() {
        let Some(sample) = sink.try_pull_sample(PICTURE_WITHIN) else {
            break;
        };
        let now = time_of(&sample).unwrap_or(0);
        if now >= told + 1_000 {
            told = now;
            link.send(&Message::Progress { position_ms: now });
        }
        while let Some((index, _)) = wanted.next_if(|(_, at)| *at <= now) {
            say(&sample, u32::try_from(index).unwrap_or(u32::MAX), link);
        }
    }
    Ok(Ending::default())
}

fn time_of(sample: &gst::Sample) -> Option<u64> {
    let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
    let time = segment.to_stream_time(sample.buffer()?.pts()?)?;
    Some(time.mseconds())
}

fn say(sample: &gst::Sample, index: u32, link: &Link) -> bool {
    let Some(jpeg) = sample
        .buffer()
        .and_then(|buffer| buffer.map_readable().ok())
    else {
        return false;
    };
    link.send(&Message::Picture {
        index,
        at_ms: time_of(sample).unwrap_or(0),
        jpeg: bytes::Bytes::copy_from_slice(&jpeg),
    });
    true
}
