//! Posters: now and then a picture that is there anyway.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};

use gstreamer as gst;
use gstreamer_app as gst_app;

use gst::prelude::*;

use super::super::super::live_plan;
use super::super::super::wire::Message;
use super::super::Trouble;
use super::super::graph::{self, named, outlet};
use super::super::link::Link;
use super::Event;
use super::flow::Flow;
use super::line;

/// The place of the decoder among those that offer pictures; rungs have theirs in the plan.
const SOURCE: usize = usize::MAX;

/// The way from a raw picture to a JPEG.
#[derive(Debug)]
pub(super) struct Stills {
    flow: Flow,
    choice: Arc<Choice>,
}

/// Whose picture is taken, and when.
#[derive(Debug)]
struct Choice {
    from: AtomicUsize,
    every: gst::ClockTime,
    /// std mutex: one look by a streaming thread.
    next: Mutex<gst::ClockTime>,
}

impl Choice {
    /// Whether the picture that `from` has at `time` is the next to be taken.
    fn takes(&self, from: usize, time: gst::ClockTime) -> bool {
        if self.from.load(Ordering::Relaxed) != from {
            return false;
        }
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = time >= *next;
        if is_due {
            *next = time.saturating_add(self.every);
        }
        is_due
    }
}

impl Stills {
    pub(super) fn new(
        plan: live_plan::Stills,
        rungs: usize,
        link: &Link,
        tell: &SyncSender<Event>,
    ) -> Result<Self, Trouble> {
        let bin = graph::LIVE_STILL.load()?;
        let most = i32::try_from(plan.width).unwrap_or(i32::MAX);
        let size = gst::Caps::builder("video/x-raw")
            .field("width", gst::IntRange::new(1, most))
            .field("pixel-aspect-ratio", gst::Fraction::new(1, 1))
            .build();
        named(&bin, "size")?.set_property("caps", size);
        say(&outlet(&bin)?, link);
        let flow = Flow::new(None, tell)?;
        flow.lay(&[bin.upcast()])?;
        flow.start()?;
        let every = gst::ClockTime::try_from(plan.every).unwrap_or(gst::ClockTime::SECOND);
        let choice = Choice {
            from: AtomicUsize::new(rungs.checked_sub(1).unwrap_or(SOURCE)),
            every,
            next: Mutex::new(gst::ClockTime::ZERO),
        };
        Ok(Self {
            flow,
            choice: Arc::new(choice),
        })
    }

    /// From the rung at this place from now on; `None`: from the decoder.
    pub(super) fn take_from(&self, rung: Option<usize>) {
        let from = rung.unwrap_or(SOURCE);
        self.choice.from.store(from, Ordering::Relaxed);
    }

    /// What looks at a rung's scaled pictures.
    pub(super) fn of_rung(
        &self,
        at: usize,
    ) -> impl Fn(&gst::Buffer, &gst::Pad) -> gst::PadProbeReturn + Send + Sync + 'static {
        self.of(at)
    }

    /// What looks at decoded pictures.
    pub(super) fn of_the_source(
        &self,
    ) -> impl Fn(&gst::Buffer, &gst::Pad) -> gst::PadProbeReturn + Send + Sync + 'static {
        self.of(SOURCE)
    }

    fn of(
        &self,
        from: usize,
    ) -> impl Fn(&gst::Buffer, &gst::Pad) -> gst::PadProbeReturn + Send + Sync + 'static {
        let (choice, into) = (Arc::clone(&self.choice), self.flow.source());
        move |buffer, pad| {
            if buffer.pts().is_some_and(|time| choice.takes(from, time)) {
                give(&into, buffer, pad);
            }
            gst::PadProbeReturn::Ok
        }
    }

    pub(super) fn end(&self) -> Result<(), Trouble> {
        self.flow.end()
    }
}

/// Pictures that may wait to become a poster: fewer than the source takes before it makes wait.
const MAX_WAITING: u64 = 3;

/// One that finds too many waiting is left out: a streaming thread must not wait.
fn give(into: &gst_app::AppSrc, buffer: &gst::Buffer, pad: &gst::Pad) {
    if into.current_level_buffers() >= MAX_WAITING {
        return;
    }
    let Some(caps) = pad.current_caps() else {
        return;
    };
    let sample = gst::Sample::builder().buffer(buffer).caps(&caps).build();
    // An error of it has been told by its bus.
    into.push_sample(&sample).ok();
}

fn say(sink: &gst_app::AppSink, link: &Link) {
    sink.set_sync(false);
    sink.set_async(false);
    sink.set_max_buffers(1);
    let link = link.clone();
    let callbacks = gst_app::AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let buffer = sample.buffer().ok_or(gst::FlowError::Error)?;
            let jpeg = buffer.map_readable().map_err(|_| gst::FlowError::Error)?;
            if let Some(time) = buffer.pts() {
                link.send(&Message::Still {
                    at: line::picture_ticks(time),
                    jpeg: bytes::Bytes::copy_from_slice(&jpeg),
                });
            }
            Ok(gst::FlowSuccess::Ok)
        })
        .build();
    sink.set_callbacks(callbacks);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_picture_of_the_one_that_is_chosen_is_taken_now_and_then() {
        let choice = Choice {
            from: AtomicUsize::new(1),
            every: gst::ClockTime::from_seconds(10),
            next: Mutex::new(gst::ClockTime::ZERO),
        };
        let at = gst::ClockTime::from_seconds;
        assert!(!choice.takes(0, at(5)));
        assert!(choice.takes(1, at(5)));
        assert!(!choice.takes(1, at(14)));
        assert!(choice.takes(1, at(15)));
        // Behind a hole of an hour the next comes at once, and none is made up for.
        assert!(choice.takes(1, at(3_615)));
        assert!(!choice.takes(1, at(3_616)));
    }
}
