//! One encoder of pictures, and the gate before it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gstreamer as gst;
use gstreamer_app as gst_app;

use gst::prelude::*;

use super::super::super::plan::VideoRung;
use super::super::Trouble;
use super::super::graph::{self, named, outlet};
use super::super::link::Link;
use super::super::outlet::{Outlet, attach};
use super::super::watch::Position;
use super::keys::Keys;
use super::line;
use super::picture::watch;
use crate::av::{Timescale, TrackKind};

/// Opens at a key frame of the source, shuts at once.
#[derive(Debug)]
pub(super) struct Gate {
    active: AtomicBool,
    /// Whether pictures pass; only the thread of the decoder moves it.
    open: AtomicBool,
}

impl Gate {
    fn new() -> Self {
        Self {
            active: AtomicBool::new(true),
            open: AtomicBool::new(false),
        }
    }

    pub(super) fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed)
    }

    pub(super) fn set_active(&self, active: bool) {
        self.active.store(active, Ordering::Relaxed);
    }

    /// Whether a picture passes.
    fn passes(&self, is_key: bool) -> bool {
        let open = self.is_active() && (is_key || self.open.load(Ordering::Relaxed));
        self.open.store(open, Ordering::Relaxed);
        open
    }
}

/// A rung's bin and its gate; `at` is its place in the plan and the number of its stream.
pub(super) fn rung(
    plan: VideoRung,
    at: usize,
    keys: &Keys,
    link: &Link,
) -> Result<(gst::Bin, Arc<Gate>), Trouble> {
    let bin = if graph::has("x264enc") {
        let bin = graph::LIVE_RUNG.load()?;
        let encoder = named(&bin, "encoder")?;
        encoder.set_property("bitrate", plan.max_kbps);
        encoder.set_property("threads", threads(plan));
        bin
    } else {
        let bin = graph::LIVE_RUNG_OPENH264.load()?;
        let encoder = named(&bin, "encoder")?;
        let bits = plan.max_kbps.saturating_mul(1_000);
        encoder.set_property("bitrate", bits);
        encoder.set_property("max-bitrate", bits);
        bin
    };
    let side = |pixels: u32| i32::try_from(pixels).unwrap_or(i32::MAX);
    let size = gst::Caps::builder("video/x-raw")
        .field("format", "I420")
        .field("width", side(plan.width))
        .field("height", side(plan.height))
        .field("pixel-aspect-ratio", gst::Fraction::new(1, 1))
        .build();
    named(&bin, "size")?.set_property("caps", size);
    let gate = Arc::new(Gate::new());
    let (door, of_source) = (Arc::clone(&gate), keys.clone());
    watch(&named(&bin, "in")?, "sink", move |buffer, _| {
        let is_key = buffer.pts().is_some_and(|pts| of_source.has(pts));
        match door.passes(is_key) {
            true => gst::PadProbeReturn::Ok,
            false => gst::PadProbeReturn::Drop,
        }
    })?;
    force_keys(&named(&bin, "encoder")?, keys)?;
    let out: gst_app::AppSink = outlet(&bin)?;
    let outlet_of = Outlet {
        stream: u8::try_from(at).unwrap_or(u8::MAX),
        role: TrackKind::Video,
        earlier: line::later(Timescale::VIDEO),
    };
    attach(&out, outlet_of, link, &Position::default());
    Ok((bin, gate))
}

/// One thread costs least, and the rungs run beside each other; a large picture is cut into slices for more.
fn threads(plan: VideoRung) -> u32 {
    match plan.width * plan.height {
        0..=1_000_000 => 1,
        1_000_001..=2_500_000 => 2,
        _ => 4,
    }
}

/// A key frame for each of the source's. The event has no running time: with one, 1.22 hears only the first.
fn force_keys(encoder: &gst::Element, keys: &Keys) -> Result<(), Trouble> {
    let keys = keys.clone();
    let back = encoder
        .static_pad("src")
        .ok_or_else(|| Trouble::Failed("an encoder without an end".to_owned()))?;
    watch(encoder, "sink", move |buffer, _| {
        if buffer.pts().is_some_and(|pts| keys.has(pts)) {
            // `gst_video_event_new_upstream_force_key_unit` (gst-plugins-base) makes the same.
            let order = gst::Structure::builder("GstForceKeyUnit")
                .field("all-headers", true)
                .field("count", 0u32)
                .build();
            let event = gst::event::CustomUpstream::new(order);
            back.send_event(event);
        }
        gst::PadProbeReturn::Ok
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_opens_at_a_key_frame_and_shuts_at_once() {
        let gate = Gate::new();
        let passed: Vec<bool> = [false, true, false]
            .map(|is_key| gate.passes(is_key))
            .to_vec();
        assert_eq!(passed, [false, true, true]);
        gate.set_active(false);
        assert!(!gate.passes(true) && !gate.passes(false));
        gate.set_active(true);
        let passed: Vec<bool> = [false, true, false]
            .map(|is_key| gate.passes(is_key))
            .to_vec();
        assert_eq!(passed, [false, true, true]);
    }
}
