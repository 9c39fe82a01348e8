//! One decode, any number of rungs.

use std::fs::File;

use gstreamer as gst;

use gst::prelude::*;

use super::super::error::Refusal;
use super::super::plan::{Transcode, VideoRung};
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

/// Encoded packets between demuxer and decoder.
const QUEUE_BUFFERS: u32 = 100;
const QUEUE_BYTES: u32 = 16 << 20;
/// Both encoders put one frame of nothing before the first sound and do not say so: the decoder gives the sound of a
/// buffer's time one frame later than that time says.
const PRIMING_SAMPLES: i64 = 1_024;

/// Says the frames of every rung. Streams are numbered as [`Transcode::streams`] does.
pub(super) fn transcode(file: File, plan: &Transcode, link: &Link) -> Result<Ending, Trouble> {
    let home = Home::default();
    let position = Position::default();
    let (of_pads, work, out, at) = (home.clone(), plan.clone(), link.clone(), position.clone());
    let connect = move |role: Role, pad: &gst::Pad, codec: &Codec| {
        let tail = match role {
            Role::Video => pictures(&work, &of_pads, &out, &at)?,
            Role::Audio => sounds(&work, &of_pads, &out, &at)?,
        };
        let Some(tail) = tail else { return Ok(()) };
        let decoder = match (codec.decoder(threads(&work)), role) {
            (Ok(decoder), _) => decoder,
            (Err(()), Role::Audio) => {
                close(&work, Role::Audio, &out);
                return Ok(());
            }
            (Err(()), Role::Video) => {
                let codec = codec.name.clone();
                return Err(Trouble::Refused(Refusal::Codec { codec }));
            }
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
        of_pads.add(&chain)?;
        let last = chain.last().expect("a chain has a queue");
        last.link(&tail)?;
        let entry = chain[0].static_pad("sink");
        let entry = entry.ok_or_else(|| Trouble::Failed("a queue without a sink".to_owned()))?;
        pad.link(&entry).map_err(|_| watch::unreadable())?;
        Ok(())
    };
    let streams = Streams::open(file, Box::new(connect))?;
    home.set(&streams.pipeline);
    let (out, work) = (link.clone(), plan.clone());
    let shown = std::sync::Arc::clone(&streams.shown);
    let mut told = false;
    let nothing_to_wait_for = move || {
        let shown = shown
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let lacks = |track: &Option<Result<Codec, String>>| !matches!(track, Some(Ok(_)));
        let (no_video, no_audio) = (lacks(&shown.video), lacks(&shown.audio));
        if shown.is_whole && !told {
            told = true;
            if no_video {
                close(&work, Role::Video, &out);
            }
            if no_audio {
                close(&work, Role::Audio, &out);
            }
        }
        let wants_video = work.rungs.iter().any(|rung| rung.video.is_some());
        let wants_audio = work.rungs.iter().any(|rung| rung.audio.is_some());
        shown.is_whole && (no_video || !wants_video) && (no_audio || !wants_audio)
    };
    let (ended, _) = watch::run(&streams.pipeline, link, &position, nothing_to_wait_for)?;
    if !position.has_moved() {
        return Err(match ended {
            Ended::Broken(why) if why.starts_with("griot: ") => Trouble::Failed(why),
            _ => watch::unreadable(),
        });
    }
    Ok(Ending {
        truncated: matches!(ended, Ended::Broken(_)),
        missing: Vec::new(),
    })
}

/// No frame of such a stream will come.
fn close(plan: &Transcode, role: Role, link: &Link) {
    let all = plan.streams().len();
    let pictures = all - plan.sounds().len();
    let numbers = match role {
        Role::Video => 0..pictures,
        Role::Audio => pictures..all,
    };
    for stream in numbers {
        link.send(&Message::Closed {
            stream: number(stream),
        });
    }
}

fn number(stream: usize) -> u8 {
    u8::try_from(stream).unwrap_or(u8::MAX)
}

/// Where the first picture comes later, `videorate` shows it from the beginning on. But where it comes less than a picture's
/// time later, 1.22 hands it out there and then goes back to the beginning: all others would be up to two pictures late.
fn begin_with_the_first_picture(rate: &gst::Element, frame: gst::ClockTime) {
    let Some(input) = rate.static_pad("sink") else {
        return;
    };
    let rate = rate.downgrade();
    input.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let segment = pad.sticky_event::<gst::event::Segment>(0);
        let begin = segment.and_then(|event| {
            let segment = event.segment().downcast_ref::<gst::ClockTime>()?;
            segment.to_running_time(info.buffer()?.pts()?)
        });
        if begin.is_some_and(|begin| begin < frame)
            && let Some(rate) = rate.upgrade()
        {
            rate.set_property("skip-to-first", true);
        }
        gst::PadProbeReturn::Remove
    });
}

/// Everything behind the picture's decoder; `None` when no rung wants pictures.
fn pictures(
    plan: &Transcode,
    home: &Home,
    link: &Link,
    position: &Position,
) -> Result<Option<gst::Element>, Trouble> {
    let rungs: Vec<VideoRung> = plan.rungs.iter().filter_map(|rung| rung.video).collect();
    if rungs.is_empty() {
        return Ok(None);
    }
    let upright = if plan.deinterlace || plan.turned {
        graph::PICTURE.load()?
    } else {
        graph::PICTURE_PLAIN.load()?
    };
    if plan.deinterlace {
        named(&upright, "fields")?.set_property_from_str("mode", "auto");
    }
    let (frames, seconds) = plan.frame_rate;
    let fraction = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    let steady = gst::Caps::builder("video/x-raw")
        .field("format", "I420")
        .field(
            "framerate",
            gst::Fraction::new(fraction(frames), fraction(seconds)),
        )
        .build();
    named(&upright, "steady")?.set_property("caps", steady);
    // Interlaced pictures came 54 ms late with it, and in time without; why was not looked for.
    if !plan.deinterlace {
        let frame = gst::ClockTime::SECOND.mul_div_ceil(u64::from(seconds), u64::from(frames));
        begin_with_the_first_picture(&named(&upright, "rate")?, frame.unwrap_or_default());
    }
    let upright: gst::Element = upright.upcast();
    let whole = make("tee")?;
    home.add(&[upright.clone(), whole.clone()])?;
    // Each of the whole pictures: made of the next larger rung's, 360p would cost a quarter less scaling and 3 dB.
    for (at, rung) in rungs.into_iter().enumerate() {
        let size = size(rung)?;
        let bin = encoder(rung, plan)?;
        let outlet_of = Outlet {
            stream: number(at),
            role: TrackKind::Video,
            earlier: 0,
        };
        attach(&outlet(&bin)?, outlet_of, link, position);
        home.add(&[size.clone(), bin.upcast()])?;
        whole.link(&size)?;
    }
    Ok(Some(upright))
}

/// What makes pictures as large as a rung's.
fn size(rung: VideoRung) -> Result<gst::Element, Trouble> {
    let bin = graph::SIZE.load()?;
    let side = |pixels: u32| i32::try_from(pixels).unwrap_or(i32::MAX);
    let size = gst::Caps::builder("video/x-raw")
        .field("format", "I420")
        .field("width", side(rung.width))
        .field("height", side(rung.height))
        .field("pixel-aspect-ratio", gst::Fraction::new(1, 1))
        .build();
    named(&bin, "size")?.set_property("caps", size);
    Ok(bin.upcast())
}

/// Threads for the decoder and for each encoder. They work beside each other: as many as there are cores for all of them cost
/// a tenth less time and some CPU than the many that each would take for itself.
fn threads(plan: &Transcode) -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let pictures = plan.rungs.iter().filter(|rung| rung.video.is_some());
    let beside = pictures.count() + 1;
    u32::try_from(cores / beside).unwrap_or(1).max(1)
}

/// A rung's encoder, by x264 where it is installed.
fn encoder(rung: VideoRung, plan: &Transcode) -> Result<gst::Bin, Trouble> {
    let bin = if graph::has("x264enc") {
        let bin = graph::RUNG.load()?;
        let encoder = named(&bin, "encoder")?;
        encoder.set_property("bitrate", rung.max_kbps);
        encoder.set_property("key-int-max", plan.gop_frames());
        encoder.set_property("threads", threads(plan));
        bin
    } else {
        let bin = graph::RUNG_OPENH264.load()?;
        let encoder = named(&bin, "encoder")?;
        encoder.set_property("bitrate", rung.max_kbps.saturating_mul(1_000));
        encoder.set_property("gop-size", plan.gop_frames());
        bin
    };
    Ok(bin)
}

/// Everything behind the sound's decoder; `None` when no rung wants sound.
fn sounds(
    plan: &Transcode,
    home: &Home,
    link: &Link,
    position: &Position,
) -> Result<Option<gst::Element>, Trouble> {
    let rates = plan.sounds();
    if rates.is_empty() {
        return Ok(None);
    }
    let first = plan.streams().len() - rates.len();
    let tee = make("tee")?;
    home.add(std::slice::from_ref(&tee))?;
    for (at, kbps) in rates.into_iter().enumerate() {
        let bin = if graph::has("avenc_aac") {
            graph::SOUND.load()?
        } else {
            graph::SOUND_VOAAC.load()?
        };
        let bits = i32::try_from(kbps.saturating_mul(1_000)).unwrap_or(i32::MAX);
        named(&bin, "encoder")?.set_property("bitrate", bits);
        let outlet_of = Outlet {
            stream: number(first + at),
            role: TrackKind::Audio,
            earlier: PRIMING_SAMPLES,
        };
        attach(&outlet(&bin)?, outlet_of, link, position);
        let bin: gst::Element = bin.upcast();
        home.add(std::slice::from_ref(&bin))?;
        tee.link(&bin)?;
    }
    Ok(Some(tee))
}
