//! The end of a branch: encoded samples become messages for the host.

use std::sync::{Arc, Mutex, PoisonError};

use gstreamer as gst;
use gstreamer_app as gst_app;

use super::super::wire::{Message, Track, TrackCodec};
use super::link::Link;
use super::reorder::Reorder;
use super::watch::Position;
use crate::av::{Frame, Ticks, Timescale, TrackKind};

const NANOS: Timescale = Timescale::new(1_000_000_000).expect("not zero");
/// Samples that wait for the host; then the streaming thread does, and so the whole pipeline.
const MAX_WAITING: u32 = 4;

/// How a stream's samples are told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outlet {
    pub(super) stream: u8,
    pub(super) role: TrackKind,
    /// By how many ticks the stream is told earlier than its buffers say: what an encoder puts before the first sample
    /// and does not say.
    pub(super) earlier: i64,
}

/// Makes of `sink` the end of a stream.
pub(super) fn attach(sink: &gst_app::AppSink, outlet: Outlet, link: &Link, position: &Position) {
    sink.set_sync(false);
    sink.set_async(false);
    sink.set_max_buffers(MAX_WAITING);
    sink.set_drop(false);
    let (position, end) = (position.clone(), link.clone());
    let telling = Arc::new(Mutex::new(Telling {
        outlet,
        link: link.clone(),
        known: None,
        reorder: None,
    }));
    let last = Arc::clone(&telling);
    let callbacks = gst_app::AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let mut telling = telling.lock().unwrap_or_else(PoisonError::into_inner);
            telling.tell(&sample, &position).ok_or_else(|| {
                gst::element_error!(sink, gst::StreamError::Format, ["griot: no such stream"]);
                gst::FlowError::Error
            })
        })
        .eos(move |_| {
            last.lock().unwrap_or_else(PoisonError::into_inner).flush();
            end.send(&Message::Closed {
                stream: outlet.stream,
            });
        })
        .build();
    sink.set_callbacks(callbacks);
}

/// What the end of a branch remembers.
#[derive(Debug)]
struct Telling {
    outlet: Outlet,
    link: Link,
    /// What the host has been told of the stream.
    known: Option<(gst::Caps, Timescale)>,
    /// Where the container has no decoding times.
    reorder: Option<Reorder>,
}

impl Telling {
    fn tell(&mut self, sample: &gst::Sample, position: &Position) -> Option<gst::FlowSuccess> {
        let buffer = sample.buffer()?;
        let caps = sample.caps_owned()?;
        if self.known.as_ref().is_none_or(|(known, _)| *known != caps) {
            let track = track(&caps, self.outlet.stream)?;
            let timescale = Timescale::new(track.timescale)?;
            self.flush();
            self.link.send(&Message::Track(track));
            self.known = Some((caps, timescale));
        }
        let (_, timescale) = self.known.as_ref()?;
        let timescale = *timescale;
        let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
        let running = |time: gst::ClockTime| -> Option<i64> {
            Some(match segment.to_running_time_full(time)? {
                gst::Signed::Positive(time) => i64::try_from(time.nseconds()).ok()?,
                gst::Signed::Negative(time) => -i64::try_from(time.nseconds()).ok()?,
            })
        };
        let earlier = self.outlet.earlier;
        let ticks = |ns: i64| Ticks(Ticks(ns).rescale(NANOS, timescale).0 - earlier);
        // A buffer without any time belongs to the one before it, which has gone.
        let Some(pts) = buffer.pts().or(buffer.dts()).and_then(running) else {
            return Some(gst::FlowSuccess::Ok);
        };
        let dts = buffer.dts().and_then(running);
        position.reached(u64::try_from(pts).ok().map(gst::ClockTime::from_nseconds));
        let data = buffer.map_readable().ok()?;
        if data.is_empty() {
            return Some(gst::FlowSuccess::Ok);
        }
        let frame = Frame {
            track: self.outlet.role,
            dts: ticks(dts.unwrap_or(pts)),
            pts: ticks(pts),
            key: !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
            data: bytes::Bytes::copy_from_slice(&data),
        };
        match self.outlet.role {
            TrackKind::Video if self.reorder.is_some() || dts.is_none() => {
                let reorder = self.reorder.get_or_insert_default();
                if let Some(frame) = reorder.push(frame) {
                    self.say(frame);
                }
            }
            TrackKind::Video => self.say(frame),
            TrackKind::Audio => self.say(Frame {
                dts: frame.pts,
                ..frame
            }),
        }
        Some(gst::FlowSuccess::Ok)
    }

    fn flush(&mut self) {
        while let Some(frame) = self.reorder.as_mut().and_then(Reorder::pop) {
            self.say(frame);
        }
    }

    fn say(&self, frame: Frame) {
        self.link.send(&Message::Frame {
            stream: self.outlet.stream,
            frame,
        });
    }
}

/// What the host must know of a stream; `None` for a codec that no rendition holds.
fn track(caps: &gst::Caps, stream: u8) -> Option<Track> {
    let structure = caps.structure(0)?;
    let codec_data = || -> Option<Vec<u8>> {
        let buffer = structure.get::<gst::Buffer>("codec_data").ok()?;
        Some(buffer.map_readable().ok()?.to_vec())
    };
    let rate = || {
        let rate = structure.get::<i32>("rate").ok()?;
        u32::try_from(rate).ok().filter(|rate| *rate > 0)
    };
    let pictures = Timescale::VIDEO.get();
    let (codec, record, timescale) = match structure.name().as_str() {
        "video/x-h264" => (TrackCodec::H264, codec_data()?, pictures),
        "video/x-h265" => (TrackCodec::Hevc, codec_data()?, pictures),
        "video/x-av1" => (TrackCodec::Av1, av1c(structure, codec_data()?), pictures),
        "video/x-vp9" => (TrackCodec::Vp9, vpcc(structure), pictures),
        "video/x-vp8" => (TrackCodec::Vp8, Vec::new(), pictures),
        "audio/mpeg" => (TrackCodec::Aac, codec_data()?, rate()?),
        "audio/x-opus" => (TrackCodec::Opus, opus_head(structure), 48_000),
        _ => return None,
    };
    Some(Track {
        stream,
        codec,
        record: hex::encode(record),
        timescale,
    })
}

/// The payload of an `av1C` (AV1-ISOBMFF 2.3). In its place `qtdemux` 1.22 gives what follows the first byte of the sequence
/// header's OBU, which is the last of five that it skips; they are made anew from what the parser knows.
fn av1c(caps: &gst::StructureRef, data: Vec<u8>) -> Vec<u8> {
    const MARKER_AND_VERSION: u8 = 0x81;
    /// An OBU of type 1 that has a size.
    const SEQUENCE_HEADER: u8 = 0x0a;
    let is_torn = data
        .first()
        .is_some_and(|size| usize::from(*size) == data.len() - 1);
    if data.first() == Some(&MARKER_AND_VERSION) || !is_torn {
        return data;
    }
    let depth = caps.get::<u32>("bit-depth-luma").unwrap_or(8);
    let subsampling = match caps.get::<&str>("chroma-format").unwrap_or("4:2:0") {
        "4:4:4" => 0,
        "4:2:2" => 0b1000,
        "4:0:0" => 0b1_1100,
        _ => 0b1100,
    };
    // 5.5.1: profile in the first three bits; where nothing is said of timing and there is one operating point, the level
    // begins at bit 24. 31 is the level that promises nothing.
    let header = &data[1..];
    let profile = header.first().map_or(0, |first| first >> 5);
    let level = match header {
        [first, _, _, level, ..] if first & 0b0001_1111 == 0 => level >> 3,
        _ => 31,
    };
    let deep = u8::from(depth > 8) << 6 | u8::from(depth > 10) << 5;
    let mut record = vec![
        MARKER_AND_VERSION,
        profile << 5 | level,
        deep | subsampling,
        0,
        SEQUENCE_HEADER,
    ];
    record.extend(data);
    record
}

/// The payload of a `vpcC` (VP-ISOBMFF 2.2), from what the parser knows of the stream.
fn vpcc(caps: &gst::StructureRef) -> Vec<u8> {
    let profile = caps
        .get::<&str>("profile")
        .ok()
        .and_then(|profile| profile.parse().ok())
        .unwrap_or(0u8);
    let depth = caps.get::<u32>("bit-depth-luma").unwrap_or(8);
    let depth = u8::try_from(depth).unwrap_or(8) & 15;
    let chroma = match caps.get::<&str>("chroma-format").unwrap_or("4:2:0") {
        "4:4:4" => 3u8,
        "4:2:2" => 2,
        _ => 1,
    };
    // Level 4.0 where nobody says; 2: colours unspecified.
    vec![
        1,
        0,
        0,
        0,
        profile,
        40,
        depth << 4 | chroma << 1,
        2,
        2,
        2,
        0,
        0,
    ]
}

/// An `OpusHead` (RFC 7845 5.1): the stream's own, or one for its channels.
fn opus_head(caps: &gst::StructureRef) -> Vec<u8> {
    let headers = caps.get::<gst::ArrayRef>("streamheader").ok();
    let own = headers.and_then(|headers| {
        let first = headers.as_slice().first()?.get::<gst::Buffer>().ok()?;
        Some(first.map_readable().ok()?.to_vec())
    });
    if let Some(head) = own.filter(|head| head.starts_with(b"OpusHead")) {
        return head;
    }
    let channels = caps.get::<i32>("channels").unwrap_or(2).clamp(1, 2);
    let mut head = b"OpusHead\x01".to_vec();
    head.push(u8::try_from(channels).unwrap_or(2));
    head.extend(312u16.to_le_bytes());
    head.extend(48_000u32.to_le_bytes());
    head.extend([0, 0, 0]);
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    // fixtures/media/av1.mp4: its `av1C`, and what qtdemux 1.22.0 makes of it (`gst-launch-1.0 -v`).
    #[test]
    fn the_record_that_qtdemux_tears_is_whole_again() {
        gst::init().unwrap();
        let whole = hex::decode("81000c000a0b000000043cfeccdaf90040").unwrap();
        let caps = gst::Structure::builder("video/x-av1")
            .field("bit-depth-luma", 8u32)
            .field("chroma-format", "4:2:0")
            .build();
        assert_eq!(av1c(&caps, whole[5..].to_vec()), whole);
        assert_eq!(av1c(&caps, whole.clone()), whole);
    }
}
