//! Waits for the end of a pipeline, and tells the host how far it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gstreamer as gst;

use gst::prelude::*;
use tokio::time::Instant;

use super::super::error::Refusal;
use super::super::wire::Message;
use super::Trouble;
use super::link::Link;

/// How often the host is told.
const TELL_EVERY: Duration = Duration::from_millis(250);

/// How far the work is, ms of the source. Clones share it; streaming threads move it.
#[derive(Clone, Debug, Default)]
pub(super) struct Position {
    ms: Arc<AtomicU64>,
    /// Counts what has passed, where times stand still (an index at the front, pictures before the first).
    steps: Arc<AtomicU64>,
}

impl Position {
    /// Something has passed, at a time of the source where it has one.
    pub(super) fn reached(&self, time: Option<gst::ClockTime>) {
        self.steps.fetch_add(1, Ordering::Relaxed);
        if let Some(time) = time {
            self.ms.fetch_max(time.mseconds(), Ordering::Relaxed);
        }
    }
}

impl Position {
    /// Whether anything has passed.
    pub(super) fn has_moved(&self) -> bool {
        self.steps.load(Ordering::Relaxed) > 0
    }
}

/// How a pipeline ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// All of it has passed.
    Whole,
    /// It broke off: what the element says.
    Broken(String),
    /// Enough had passed.
    Enough,
}

/// What else the bus tells on the way.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    /// `rotate-90`, `flip-rotate-180`, …
    pub(super) orientation: Option<String>,
}

/// Runs `pipeline` until its end, an error, or until `is_enough`. The host hears of progress while there is some: the
/// silence of a pipeline that hangs is the host's to notice.
pub(super) fn run(
    pipeline: &gst::Pipeline,
    link: &Link,
    position: &Position,
    mut is_enough: impl FnMut() -> bool,
) -> Result<(Ended, Heard), Trouble> {
    let bus = pipeline
        .bus()
        .ok_or_else(|| Trouble::Failed("a pipeline without a bus".to_owned()))?;
    pipeline.set_state(gst::State::Playing)?;
    let wait = gst::ClockTime::try_from(TELL_EVERY).ok();
    let mut heard = Heard::default();
    let mut told = (0, 0);
    let mut seen = (u64::MAX, 0);
    let mut told_at = Instant::now();
    let mut broken: Option<String> = None;
    let ended = loop {
        let message = bus.timed_pop(wait);
        if is_enough() {
            break Ended::Enough;
        }
        let now = (
            position.ms.load(Ordering::Relaxed),
            position.steps.load(Ordering::Relaxed),
        );
        if now != told && told_at.elapsed() >= TELL_EVERY {
            told = now;
            told_at = Instant::now();
            link.send(&Message::Progress { position_ms: now.0 });
        }
        let Some(message) = message else {
            match (&broken, now == seen) {
                (Some(why), true) => break Ended::Broken(why.clone()),
                _ => {
                    seen = now;
                    continue;
                }
            }
        };
        match message.view() {
            gst::MessageView::Eos(_) => break broken.map_or(Ended::Whole, Ended::Broken),
            gst::MessageView::Error(error) => {
                // What was read before still goes through decoders and encoders, up to their end.
                let of_the_file = error.src().is_some_and(|source| source.name() == "demux");
                let text = error.error().to_string();
                if !of_the_file || text.starts_with("griot: ") {
                    break Ended::Broken(text);
                }
                broken.get_or_insert(text);
            }
            gst::MessageView::Warning(warning)
                if warning.error().to_string().contains("linking failed") =>
            {
                return Err(Trouble::Failed(warning.error().to_string()));
            }
            gst::MessageView::Tag(tags) => {
                if let Some(orientation) = tags.tags().get::<gst::tags::ImageOrientation>() {
                    heard.orientation = Some(orientation.get().to_owned());
                }
            }
            _ => {}
        }
    };
    Ok((ended, heard))
}

/// Stops a pipeline; what hangs on a broken file is left behind, the process ends anyway.
pub(super) fn stop(pipeline: &gst::Pipeline) {
    pipeline.set_state(gst::State::Null).ok();
}

/// The rotation clockwise in degrees, and whether it is mirrored, of an `image-orientation` tag.
pub(super) fn orientation(tag: Option<&str>) -> (u16, bool) {
    let Some(tag) = tag else { return (0, false) };
    let mirrored = tag.starts_with("flip-");
    let turn = tag.rsplit('-').next().and_then(|turn| turn.parse().ok());
    match turn {
        Some(turn @ (0 | 90 | 180 | 270)) => (turn, mirrored),
        _ => (0, false),
    }
}

/// An error of the demuxer before it has shown anything.
pub(super) fn unreadable() -> Trouble {
    Trouble::Refused(Refusal::Unreadable)
}
