//! The source's sound: one decode, an encoder for each bit rate.
//!
//! Encoders count samples and believe no time behind the first. So sound that goes on elsewhere, more than a second away, is
//! another stretch, with elements of its own; shorter holes are filled with silence (`pipelines/live/sound.launch`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::SyncSender;

use gstreamer as gst;

use gst::prelude::*;

use super::super::super::live_plan::{LadderTask, SourceAudio};
use super::super::Trouble;
use super::super::chain::make;
use super::super::graph::{self, named, outlet};
use super::super::link::Link;
use super::super::outlet::{Outlet, attach};
use super::super::watch::Position;
use super::flow::{Flow, buffer};
use super::picture::watch;
use super::place::Places;
use super::{Event, caps, line};
use crate::av::{Frame, Timescale, TrackKind};

/// Both encoders put one frame of nothing before the first sound and do not say so: the decoder gives the sound of a
/// buffer's time one frame later than that time says.
const PRIMING_SAMPLES: i64 = 1_024;
/// What comes out.
const USUAL: Timescale = Timescale::new(48_000).expect("not zero");
/// Packets in a row of which the decoder makes nothing: half a minute.
const MAX_UNDECODED: u32 = 1_500;

/// From encoded sound to encoders.
#[derive(Debug)]
pub(super) struct Sounds {
    audio: SourceAudio,
    scale: Timescale,
    /// kbit/s of each encoder, and the number of the first's stream.
    rates: Vec<u32>,
    first: usize,
    stretch: Option<Flow>,
    /// When the last frame began, in the source's ticks.
    last: i64,
    undecoded: Arc<AtomicU32>,
    /// Told of decoded sound where there are no pictures to tell of.
    places: Option<Places>,
    link: Link,
    tell: SyncSender<Event>,
}

impl Sounds {
    pub(super) fn new(
        task: &LadderTask,
        audio: &SourceAudio,
        link: &Link,
        places: &Places,
        tell: &SyncSender<Event>,
    ) -> Result<Self, Trouble> {
        let scale = Timescale::new(audio.track.timescale);
        let scale = scale.ok_or_else(|| Trouble::Failed("sound without a rate".to_owned()))?;
        Ok(Self {
            audio: audio.clone(),
            scale,
            rates: task.sounds.iter().map(|sound| sound.kbps).collect(),
            first: task.pictures.len(),
            stretch: None,
            last: 0,
            undecoded: Arc::default(),
            places: task.video.is_none().then(|| places.clone()),
            link: link.clone(),
            tell: tell.clone(),
        })
    }

    /// Gives the frame to the decoder when there is room.
    pub(super) fn take(&mut self, frame: Frame) -> Result<(), Trouble> {
        let Some(time) = line::clock(frame.dts, self.scale) else {
            return Ok(());
        };
        let second = i64::from(self.scale.get());
        let goes_on = (0..=second).contains(&(frame.dts.0 - self.last));
        self.last = frame.dts.0;
        if !goes_on && let Some(old) = self.stretch.take() {
            old.end()?;
        }
        let without = self.undecoded.fetch_add(1, Ordering::Relaxed);
        if without > MAX_UNDECODED {
            return Err(Trouble::Failed(format!(
                "the decoder makes nothing of {without} frames of sound"
            )));
        }
        let stretch = match self.stretch.take() {
            Some(stretch) => stretch,
            None => self.begin()?,
        };
        stretch.push(buffer(frame.data, time, None, true)?)?;
        self.stretch = Some(stretch);
        Ok(())
    }

    pub(super) fn end(&mut self) -> Result<(), Trouble> {
        self.stretch.take().map_or(Ok(()), |stretch| stretch.end())
    }

    /// Elements for a stretch of sound.
    fn begin(&self) -> Result<Flow, Trouble> {
        let flow = Flow::new(Some(&caps::of_audio(&self.audio)?), &self.tell)?;
        let decoder = caps::audio_decoder(&self.audio)?;
        let (places, none) = (self.places.clone(), Arc::clone(&self.undecoded));
        watch(&decoder, "src", move |buffer, _| {
            none.store(0, Ordering::Relaxed);
            if let (Some(places), Some(time)) = (&places, buffer.pts()) {
                places.reached(time);
            }
            gst::PadProbeReturn::Ok
        })?;
        let tee = make("tee")?;
        flow.lay(&[decoder, tee.clone()])?;
        for (at, kbps) in self.rates.iter().enumerate() {
            let bin = if graph::has("avenc_aac") {
                graph::LIVE_SOUND.load()?
            } else {
                graph::LIVE_SOUND_VOAAC.load()?
            };
            let bits = i32::try_from(kbps.saturating_mul(1_000)).unwrap_or(i32::MAX);
            named(&bin, "encoder")?.set_property("bitrate", bits);
            let outlet_of = Outlet {
                stream: u8::try_from(self.first + at).unwrap_or(u8::MAX),
                role: TrackKind::Audio,
                earlier: line::later(USUAL) + PRIMING_SAMPLES,
            };
            attach(&outlet(&bin)?, outlet_of, &self.link, &Position::default());
            flow.branch(&tee, &bin)?;
        }
        flow.start()?;
        Ok(flow)
    }
}
