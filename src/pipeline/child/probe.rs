//! Looks at a file: every packet is counted, the first pictures and sounds are decoded.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gstreamer as gst;

use gst::prelude::*;

use super::super::error::Refusal;
use super::super::report::{AudioStream, ProbeReport, VideoStream};
use super::super::wire::{Ending, Message};
use super::Trouble;
use super::chain::{Home, make};
use super::codecs::Codec;
use super::link::Link;
use super::streams::{Role, Streams};
use super::watch::{self, Ended, Position};

/// Sides and pixels beyond which nothing is decoded: 8K, either way up.
const MAX_SIDE: u32 = 8_192;
const MAX_PIXELS: u64 = 8_192 * 4_320;
/// Pictures whose distances are looked at one by one.
const MAX_TIMES: usize = 20_000;
/// Pictures and sounds that prove that they can be decoded.
const DECODED_PICTURES: u32 = 8;
const DECODED_SOUNDS: u32 = 4;
/// Distances that differ by more are no rounding of a container's clock, ns.
const UNEVEN_NS: u64 = 2_500_000;

/// What is counted of a track.
#[derive(Debug, Default)]
struct Count {
    packets: u64,
    bytes: u64,
    /// Running times, ns; presentation.
    first: Option<i64>,
    end: Option<i64>,
    /// Presentation times of the first packets.
    times: Vec<i64>,
    last_key: Option<i64>,
    longest_gop: i64,
    longest_pause: i64,
    /// The latest presentation time so far.
    latest: Option<i64>,
    /// Before the first edit.
    hidden: i64,
    segments: u32,
    segment_start: Option<u64>,
    /// As the parser tells them.
    caps: Option<gst::Caps>,
    /// As the demuxer tells them.
    raw_caps: Option<gst::Caps>,
    /// As the decoder tells them.
    decoded_caps: Option<gst::Caps>,
}

type Shared = Arc<Mutex<Count>>;

fn lock(count: &Shared) -> MutexGuard<'_, Count> {
    count.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone, Debug, Default)]
struct Counts {
    video: Shared,
    audio: Shared,
}

impl Counts {
    fn of(&self, role: Role) -> &Shared {
        match role {
            Role::Video => &self.video,
            Role::Audio => &self.audio,
        }
    }
}

/// Says a report, or why there is none.
pub(super) fn probe(file: File, link: &Link) -> Result<Ending, Trouble> {
    let again = file
        .try_clone()
        .map_err(|error| Trouble::Failed(format!("no second descriptor: {error}")))?;
    let counts = Counts::default();
    let position = Position::default();
    let (streams, ended, heard) = count_packets(file, link, &counts, &position)?;
    let declared = streams.pipeline.query_duration::<gst::ClockTime>();
    watch::stop(&streams.pipeline);
    let shown = streams.shown();
    let codec = match &shown.video {
        None if shown.audio.is_some() => return Err(Trouble::Refused(Refusal::NoVideo)),
        None if shown.is_whole => return Err(Trouble::Refused(Refusal::NoVideo)),
        None => return Err(watch::unreadable()),
        Some(Err(codec)) => {
            let codec = codec.clone();
            return Err(Trouble::Refused(Refusal::Codec { codec }));
        }
        Some(Ok(codec)) => codec.clone(),
    };
    refuse_too_large(&counts)?;
    let decoded = decode_some(again, link, &counts, &position)?;
    let video = lock(&counts.video);
    if video.packets == 0 {
        return Err(watch::unreadable());
    }
    match decoded.video {
        Decoded::Yes => {}
        Decoded::No => return Err(watch::unreadable()),
        Decoded::Never => {
            let codec = codec.name.clone();
            return Err(Trouble::Refused(Refusal::Codec { codec }));
        }
    }
    let (rotation, mirrored) = watch::orientation(heard.orientation.as_deref());
    let audio = lock(&counts.audio);
    let start = video
        .first
        .into_iter()
        .chain(audio.first)
        .min()
        .unwrap_or(0)
        .max(0);
    let end = video
        .end
        .into_iter()
        .chain(audio.end)
        .max()
        .unwrap_or(start);
    let duration_ms = millis(end - start);
    let declared_ms = declared.map(gst::ClockTime::mseconds).filter(|ms| *ms > 0);
    // Containers round, and sound often ends a little before or after.
    let is_short = declared_ms.is_some_and(|declared| duration_ms + 250 + declared / 50 < declared);
    let (sound, undecodable) = match (&shown.audio, decoded.audio) {
        (Some(Ok(codec)), Decoded::Yes) if audio.packets > 0 => {
            (Some(sound_of(&audio, codec)), None)
        }
        (Some(Ok(codec)), Decoded::Never) => (None, Some(codec.name.clone())),
        (Some(Err(name)), _) => (None, Some(name.clone())),
        _ => (None, None),
    };
    let picture = picture_of(&video, &codec, (rotation, mirrored));
    let report = ProbeReport {
        container: streams.container,
        duration_ms,
        declared_duration_ms: declared_ms,
        truncated: is_short || matches!(ended, Ended::Broken(_)),
        video: picture.ok_or_else(watch::unreadable)?,
        audio: sound,
        undecodable_audio: undecodable,
        other_streams: shown.others,
    };
    link.send(&Message::Report(Box::new(report)));
    Ok(Ending::default())
}

/// Reads the whole file once, without decoding.
fn count_packets(
    file: File,
    link: &Link,
    counts: &Counts,
    position: &Position,
) -> Result<(Streams, Ended, watch::Heard), Trouble> {
    let home = Home::default();
    let (elements, of_pads, at) = (home.clone(), counts.clone(), position.clone());
    let connect = move |role: Role, pad: &gst::Pad, codec: &Codec| {
        let sink = gst::ElementFactory::make("fakesink")
            .property("sync", false)
            .property("async", false)
            .build()?;
        let mut chain = Vec::new();
        if let Some(parser) = codec.parser {
            chain.push(make(parser)?);
        }
        chain.push(sink.clone());
        watch_packets(pad, of_pads.of(role), &at);
        let parsed = Arc::clone(of_pads.of(role));
        if let Some(end) = sink.static_pad("sink") {
            end.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
                if let Some(gst::EventView::Caps(caps)) = info.event().map(|event| event.view()) {
                    lock(&parsed).caps = Some(caps.caps_owned());
                }
                gst::PadProbeReturn::Ok
            });
        }
        elements.add_behind(pad, &chain)
    };
    let streams = Streams::open(file, Box::new(connect))?;
    home.set(&streams.pipeline);
    let shown = Arc::clone(&streams.shown);
    let nothing_to_wait_for = move || {
        let shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        let none = |track: &Option<Result<Codec, String>>| !matches!(track, Some(Ok(_)));
        shown.is_whole && none(&shown.video) && none(&shown.audio)
    };
    let (ended, heard) = watch::run(&streams.pipeline, link, position, nothing_to_wait_for)?;
    Ok((streams, ended, heard))
}

/// Counts what leaves a pad of the demuxer, on the timeline of the file's edits.
fn watch_packets(pad: &gst::Pad, count: &Shared, position: &Position) {
    let segment: Mutex<gst::FormattedSegment<gst::ClockTime>> = Mutex::default();
    let (count, position) = (Arc::clone(count), position.clone());
    let kinds = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
    pad.add_probe(kinds, move |_, info| {
        let mut segment = segment.lock().unwrap_or_else(PoisonError::into_inner);
        match &info.data {
            Some(gst::PadProbeData::Event(event)) => match event.view() {
                gst::EventView::Segment(event) => {
                    if let Some(new) = event.segment().downcast_ref::<gst::ClockTime>() {
                        *segment = new.clone();
                        let mut count = lock(&count);
                        count.segments += 1;
                        let start = new.start().map(gst::ClockTime::nseconds);
                        count.segment_start = count.segment_start.or(start);
                    }
                }
                gst::EventView::Caps(caps) => {
                    lock(&count).raw_caps = Some(caps.caps_owned());
                }
                _ => {}
            },
            Some(gst::PadProbeData::Buffer(buffer)) => {
                position.reached(buffer.dts_or_pts());
                lock(&count).add(buffer, &segment);
            }
            _ => {}
        }
        gst::PadProbeReturn::Ok
    });
}

impl Count {
    fn add(&mut self, buffer: &gst::BufferRef, segment: &gst::FormattedSegment<gst::ClockTime>) {
        self.packets += 1;
        self.bytes += u64::try_from(buffer.size()).unwrap_or(0);
        let Some(time) = buffer.pts().or(buffer.dts()) else {
            return;
        };
        let Some(at) = segment.to_running_time_full(time).map(signed_ns) else {
            return;
        };
        let lasts = buffer.duration().map_or(0, gst::ClockTime::nseconds);
        let end = at.saturating_add(i64::try_from(lasts).unwrap_or(0));
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.end = Some(self.end.map_or(end, |known| known.max(end)));
        if at < 0 {
            self.hidden = self.hidden.max(-at);
        }
        if self.times.len() < MAX_TIMES {
            self.times.push(at);
        }
        let latest = self.latest.map_or(at, |latest| latest.max(at));
        self.longest_pause = self.longest_pause.max(latest - self.latest.unwrap_or(at));
        self.latest = Some(latest);
        if !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT) {
            if let Some(last) = self.last_key {
                self.longest_gop = self.longest_gop.max(at - last);
            }
            self.last_key = Some(at);
        }
    }

    /// The packets' own rate, that of the usual distance, and whether they are uneven.
    fn rate(&self) -> (f64, f64, bool) {
        let mut times = self.times.clone();
        times.sort_unstable();
        times.dedup();
        let mut distances: BTreeMap<u64, u64> = BTreeMap::new();
        for pair in times.windows(2) {
            *distances
                .entry((pair[1] - pair[0]).unsigned_abs())
                .or_default() += 1;
        }
        let (Some(first), Some(last)) = (times.first(), times.last()) else {
            return (0.0, 0.0, false);
        };
        let pairs = times.len() - 1;
        if pairs == 0 || last == first {
            return (0.0, 0.0, false);
        }
        let mut seen = 0;
        let middle = distances
            .iter()
            .find_map(|(distance, many)| {
                seen += many;
                (seen * 2 >= u64::try_from(pairs).unwrap_or(u64::MAX)).then_some(*distance)
            })
            .unwrap_or(0);
        let uneven: u64 = distances
            .iter()
            .filter(|(distance, _)| distance.abs_diff(middle) > UNEVEN_NS.max(middle / 10))
            .map(|(_, many)| *many)
            .sum();
        #[expect(clippy::cast_precision_loss, reason = "rates for decisions")]
        let (rate, usual) = (
            pairs as f64 / ((last - first) as f64 / 1e9),
            1e9 / middle.max(1) as f64,
        );
        // One hole is a hole; a twentieth of all distances is a way of life.
        let is_uneven = uneven * 20 > u64::try_from(pairs).unwrap_or(0);
        (rate, usual, is_uneven)
    }
}

fn signed_ns(time: gst::Signed<gst::ClockTime>) -> i64 {
    match time {
        gst::Signed::Positive(time) => i64::try_from(time.nseconds()).unwrap_or(i64::MAX),
        gst::Signed::Negative(time) => i64::try_from(time.nseconds()).map_or(i64::MIN, |ns| -ns),
    }
}

fn millis(ns: i64) -> u64 {
    u64::try_from((ns + 500_000) / 1_000_000).unwrap_or(0)
}

fn signed_millis(ns: i64) -> i64 {
    ns / 1_000_000
}

fn side(caps: Option<&gst::Caps>, field: &str) -> Option<u32> {
    let value = caps?.structure(0)?.get::<i32>(field).ok()?;
    u32::try_from(value).ok().filter(|side| *side > 0)
}

/// Both the container's word and the codec's own are believed when they say "large".
fn refuse_too_large(counts: &Counts) -> Result<(), Trouble> {
    let video = lock(&counts.video);
    for caps in [&video.raw_caps, &video.caps] {
        let width = side(caps.as_ref(), "width");
        let height = side(caps.as_ref(), "height");
        if let (Some(width), Some(height)) = (width, height) {
            let pixels = u64::from(width) * u64::from(height);
            if width > MAX_SIDE || height > MAX_SIDE || pixels > MAX_PIXELS {
                return Err(Trouble::Refused(Refusal::TooLarge { width, height }));
            }
        }
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decoded {
    Yes,
    /// It did not work for this file.
    No,
    /// It works for no file: there is no decoder.
    Never,
}

struct DecodedTracks {
    video: Decoded,
    audio: Decoded,
}

#[derive(Debug, Default)]
struct Progress {
    pictures: AtomicU32,
    sounds: AtomicU32,
    no_video_decoder: AtomicU32,
    no_audio_decoder: AtomicU32,
    has_audio: AtomicU32,
}

/// Reads the file a second time, until enough of both tracks has been decoded.
fn decode_some(
    file: File,
    link: &Link,
    counts: &Counts,
    position: &Position,
) -> Result<DecodedTracks, Trouble> {
    let progress = Arc::new(Progress::default());
    let home = Home::default();
    let (elements, done) = (home.clone(), Arc::clone(&progress));
    let (of_pads, at) = (counts.clone(), position.clone());
    let connect = move |role: Role, pad: &gst::Pad, codec: &Codec| {
        // Somebody waits for the verdict: as many threads as the decoder wants.
        let Ok(decoder) = codec.decoder(0) else {
            let missing = match role {
                Role::Video => &done.no_video_decoder,
                Role::Audio => &done.no_audio_decoder,
            };
            missing.store(1, Ordering::Relaxed);
            return Ok(());
        };
        if role == Role::Audio {
            done.has_audio.store(1, Ordering::Relaxed);
        }
        let mut chain = vec![make("queue")?];
        if let Some(parser) = codec.parser {
            chain.push(make(parser)?);
        }
        chain.extend(decoder);
        let sink = gst::ElementFactory::make("fakesink")
            .property("sync", false)
            .property("async", false)
            .build()?;
        chain.push(sink.clone());
        let (done, count, at) = (Arc::clone(&done), Arc::clone(of_pads.of(role)), at.clone());
        let kinds = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
        let end = sink
            .static_pad("sink")
            .ok_or_else(|| Trouble::Failed("no sink".to_owned()))?;
        end.add_probe(kinds, move |_, info| {
            match &info.data {
                Some(gst::PadProbeData::Event(event)) => {
                    if let gst::EventView::Caps(caps) = event.view() {
                        lock(&count).decoded_caps = Some(caps.caps_owned());
                    }
                }
                Some(gst::PadProbeData::Buffer(_)) => {
                    at.reached(None);
                    match role {
                        Role::Video => done.pictures.fetch_add(1, Ordering::Relaxed),
                        Role::Audio => done.sounds.fetch_add(1, Ordering::Relaxed),
                    };
                }
                _ => {}
            }
            gst::PadProbeReturn::Ok
        });
        elements.add_behind(pad, &chain)
    };
    let streams = Streams::open(file, Box::new(connect))?;
    home.set(&streams.pipeline);
    let done = Arc::clone(&progress);
    let is_enough = move || {
        let video = done.pictures.load(Ordering::Relaxed) >= DECODED_PICTURES
            || done.no_video_decoder.load(Ordering::Relaxed) > 0;
        let audio = done.sounds.load(Ordering::Relaxed) >= DECODED_SOUNDS
            || done.has_audio.load(Ordering::Relaxed) == 0;
        video && audio
    };
    watch::run(&streams.pipeline, link, position, is_enough)?;
    let of = |decoded: &AtomicU32, never: &AtomicU32| {
        if never.load(Ordering::Relaxed) > 0 {
            Decoded::Never
        } else if decoded.load(Ordering::Relaxed) > 0 {
            Decoded::Yes
        } else {
            Decoded::No
        }
    };
    Ok(DecodedTracks {
        video: of(&progress.pictures, &progress.no_video_decoder),
        audio: of(&progress.sounds, &progress.no_audio_decoder),
    })
}

fn text(caps: Option<&gst::Caps>, field: &str) -> Option<String> {
    let text = caps?.structure(0)?.get::<&str>(field).ok()?;
    Some(text.to_owned())
}

fn picture_of(count: &Count, codec: &Codec, turned: (u16, bool)) -> Option<VideoStream> {
    let decoded = count.decoded_caps.as_ref();
    let told = count.caps.as_ref().or(count.raw_caps.as_ref());
    let either = |field: &str| side(decoded, field).or(side(told, field));
    let (width, height) = (either("width")?, either("height")?);
    let shape = [decoded, told, count.raw_caps.as_ref()]
        .into_iter()
        .flatten()
        .find_map(|caps| {
            let shape = caps
                .structure(0)?
                .get::<gst::Fraction>("pixel-aspect-ratio")
                .ok()?;
            (shape.numer() > 0 && shape.denom() > 0).then_some(shape)
        });
    let (numer, denom) = shape.map_or((1, 1), |shape| {
        (shape.numer().unsigned_abs(), shape.denom().unsigned_abs())
    });
    let seen = u64::from(width) * u64::from(numer) / u64::from(denom);
    let seen = u32::try_from(seen).unwrap_or(0).clamp(1, 16_384);
    let (rotation, mirrored) = turned;
    let (display_width, display_height) = match rotation {
        90 | 270 => (height, seen),
        _ => (seen, height),
    };
    let (frame_rate, usual_rate, variable) = count.rate();
    let mode = text(decoded, "interlace-mode").or(text(told, "interlace-mode"));
    let format = text(decoded, "format");
    let lasts = count.end.unwrap_or(0) - count.first.unwrap_or(0);
    let first_shown = count.first.unwrap_or(0);
    let last_gop = count.end.unwrap_or(0) - count.last_key.unwrap_or(first_shown);
    Some(VideoStream {
        codec: codec.name.clone(),
        profile: text(told, "profile"),
        width,
        height,
        rotation,
        mirrored,
        display_width,
        display_height,
        anamorphic: numer != denom,
        plain_format: matches!(format.as_deref(), Some("I420" | "YV12" | "NV12")),
        frame_rate,
        usual_rate,
        variable,
        longest_pause_ms: millis(count.longest_pause),
        interlaced: mode.is_some_and(|mode| mode != "progressive"),
        frames: count.packets,
        longest_gop_ms: millis(count.longest_gop.max(last_gop)),
        start_ms: signed_millis(first_shown.max(0)),
        hidden_ms: millis(count.hidden),
        further_edits: count.segments.saturating_sub(1),
        bit_rate: bit_rate(count.bytes, lasts),
    })
}

fn sound_of(count: &Count, codec: &Codec) -> AudioStream {
    let decoded = count.decoded_caps.as_ref();
    let told = count.caps.as_ref().or(count.raw_caps.as_ref());
    let either = |field: &str| side(decoded, field).or(side(told, field));
    let profile = text(told, "profile");
    let (first, end) = (count.first.unwrap_or(0), count.end.unwrap_or(0));
    AudioStream {
        codec: codec.name.clone(),
        is_aac_lc: codec.name == "aac" && profile.as_deref() == Some("lc"),
        channels: either("channels").unwrap_or(0),
        sample_rate: either("rate").unwrap_or(0),
        start_ms: signed_millis(first),
        duration_ms: millis(end - first),
        bit_rate: bit_rate(count.bytes, end - first),
    }
}

fn bit_rate(bytes: u64, ns: i64) -> u64 {
    let ms = millis(ns);
    (bytes.saturating_mul(8_000)).checked_div(ms).unwrap_or(0)
}
