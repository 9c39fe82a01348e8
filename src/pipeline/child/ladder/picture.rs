//! The source's pictures: one decode, any number of rungs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::SyncSender;

use gstreamer as gst;

use gst::prelude::*;

use super::super::super::ladder::Ladder;
use super::super::super::live_plan::{LadderTask, SourceVideo};
use super::super::Trouble;
use super::super::chain::make;
use super::super::graph;
use super::super::link::Link;
use super::flow::{Flow, buffer};
use super::keys::Keys;
use super::place::Places;
use super::rung::{self, Gate};
use super::still::Stills;
use super::{Event, caps, line};
use crate::av::{Frame, Timescale};

/// Pictures in a row of which the decoder makes nothing: the longest usual GOP at 60 a second. Fewer are damage that the next
/// key frame mends.
const MAX_UNDECODED: u32 = 1_200;

/// From encoded pictures to encoders and posters.
#[derive(Debug)]
pub(super) struct Pictures {
    flow: Flow,
    keys: Keys,
    gates: Vec<Arc<Gate>>,
    stills: Option<Stills>,
    /// Whether the decoder has the pictures since the last key frame, so that it can take the next.
    follows: bool,
    undecoded: Arc<AtomicU32>,
    places: Places,
    video: SourceVideo,
    /// The first pictures, until they tell the rate.
    first: Option<Vec<Frame>>,
}

/// So much of the source tells its rate, 90 kHz: less than a part.
const RATE_FROM: i64 = 13_500;

/// What x264 chooses a level by (14496-10 table A-1), `None` where the first pictures do not tell. Where the source's rate
/// changes, the times say so, and the rate control follows them.
fn rate(first: &[Frame]) -> Option<(u32, u32)> {
    let (begin, end) = (first.first()?.dts.0, first.last()?.dts.0);
    let pictures = u32::try_from(first.len() - 1).ok()?;
    let span = i32::try_from(end - begin).ok().filter(|span| *span > 0)?;
    Some(Ladder::frame_rate(
        f64::from(pictures) * 90_000.0 / f64::from(span),
    ))
}

impl Pictures {
    pub(super) fn new(
        task: &LadderTask,
        video: &SourceVideo,
        link: &Link,
        places: &Places,
        tell: &SyncSender<Event>,
    ) -> Result<Self, Trouble> {
        let flow = Flow::new(None, tell)?;
        let decoder = caps::video_decoder(video)?;
        let usual = graph::LIVE_PICTURE.load()?;
        let tee = make("tee")?;
        let keys = Keys::default();
        let stills = task.stills;
        let stills = stills.map(|stills| Stills::new(stills, task.pictures.len(), link, tell));
        let stills = stills.transpose()?;
        let undecoded = Arc::new(AtomicU32::new(0));
        let (at, none) = (places.clone(), Arc::clone(&undecoded));
        watch(&decoder, "src", move |buffer, _| {
            none.store(0, Ordering::Relaxed);
            if let Some(time) = buffer.pts() {
                at.reached(time);
            }
            gst::PadProbeReturn::Ok
        })?;
        if let Some(offer) = stills.as_ref().map(Stills::of_the_source) {
            watch(&tee, "sink", offer)?;
        }
        flow.lay(&[decoder, usual.upcast(), tee.clone()])?;
        if task.pictures.is_empty() {
            // Posters are all that is wanted; somewhere the pictures must end.
            let nowhere = gst::ElementFactory::make("fakesink")
                .property("sync", false)
                .property("async", false)
                .build()?;
            flow.branch(&tee, &nowhere)?;
        }
        let mut gates = Vec::new();
        for (at, plan) in task.pictures.iter().enumerate() {
            let (bin, gate) = rung::rung(*plan, at, &keys, link)?;
            if let Some(offer) = stills.as_ref().map(|stills| stills.of_rung(at)) {
                watch(&graph::named(&bin, "size")?, "src", offer)?;
            }
            flow.branch(&tee, &bin)?;
            gates.push(gate);
        }
        flow.start()?;
        Ok(Self {
            flow,
            keys,
            gates,
            stills,
            follows: false,
            undecoded,
            places: places.clone(),
            video: video.clone(),
            first: Some(Vec::new()),
        })
    }

    /// Takes a picture; the first few wait until they tell the rate.
    pub(super) fn take(&mut self, frame: Frame) -> Result<(), Trouble> {
        let Some(first) = &mut self.first else {
            return self.decode(frame);
        };
        first.push(frame);
        let is_told = match (first.first(), first.last()) {
            (Some(begin), Some(end)) => end.dts.0 - begin.dts.0 >= RATE_FROM,
            _ => false,
        };
        if is_told { self.begin() } else { Ok(()) }
    }

    fn begin(&mut self) -> Result<(), Trouble> {
        let Some(first) = self.first.take() else {
            return Ok(());
        };
        let caps = caps::of_video(&self.video, rate(&first))?;
        self.flow.source().set_caps(Some(&caps));
        first.into_iter().try_for_each(|frame| self.decode(frame))
    }

    /// Gives the picture to the decoder when there is room; one that nobody wants, or that it could not decode, goes.
    fn decode(&mut self, frame: Frame) -> Result<(), Trouble> {
        let scale = Timescale::VIDEO;
        let Some(pts) = line::clock(frame.pts, scale) else {
            return Ok(());
        };
        let is_wanted = self.gates.iter().any(|gate| gate.is_active());
        // While every encoder rests, key frames alone make posters.
        self.follows = is_wanted && (frame.key || self.follows);
        if !frame.key && !self.follows {
            self.places.reached(pts);
            return Ok(());
        }
        if frame.key {
            self.keys.expect(pts);
        }
        let without = self.undecoded.fetch_add(1, Ordering::Relaxed);
        if without > MAX_UNDECODED {
            return Err(Trouble::Failed(format!(
                "the decoder makes nothing of {without} pictures"
            )));
        }
        let dts = line::clock(frame.dts, scale);
        self.flow.push(buffer(frame.data, pts, dts, frame.key)?)
    }

    pub(super) fn set_active(&self, picture: usize, active: bool) {
        if let Some(gate) = self.gates.get(picture) {
            gate.set_active(active);
        }
        let smallest = self.gates.iter().rposition(|gate| gate.is_active());
        if let Some(stills) = &self.stills {
            stills.take_from(smallest);
        }
    }

    pub(super) fn end(&mut self) -> Result<(), Trouble> {
        self.begin()?;
        self.flow.end()?;
        self.stills.as_ref().map_or(Ok(()), Stills::end)
    }
}

/// Calls `see` for each buffer that passes the element's pad; it decides whether the buffer goes on. It must not panic.
pub(super) fn watch(
    element: &gst::Element,
    pad: &str,
    see: impl Fn(&gst::Buffer, &gst::Pad) -> gst::PadProbeReturn + Send + Sync + 'static,
) -> Result<(), Trouble> {
    let pad = element
        .static_pad(pad)
        .ok_or_else(|| Trouble::Failed(format!("{} has no pad {pad}", element.name())))?;
    let probe = pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        info.buffer()
            .map_or(gst::PadProbeReturn::Ok, |buffer| see(buffer, pad))
    });
    probe
        .map(|_| ())
        .ok_or_else(|| Trouble::Failed("a pad that cannot be watched".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::av::{Ticks, TrackKind};

    #[test]
    fn the_first_pictures_tell_the_rate() {
        let frames = |step: i64, count: i64| -> Vec<Frame> {
            let frame = |at: i64| Frame {
                track: TrackKind::Video,
                dts: Ticks(7 + at * step),
                pts: Ticks(7 + at * step),
                key: true,
                data: bytes::Bytes::from_static(b"x"),
            };
            (0..count).map(frame).collect()
        };
        assert_eq!(rate(&frames(3_000, 6)), Some((30, 1)));
        assert_eq!(rate(&frames(1_500, 10)), Some((60, 1)));
        assert_eq!(rate(&frames(3_600, 5)), Some((25, 1)));
        assert_eq!(rate(&frames(3_600, 1)), None);
        assert_eq!(rate(&frames(0, 5)), None);
        assert_eq!(rate(&[]), None);
    }
}
