//! A pipeline that is fed by hand.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use gstreamer as gst;
use gstreamer_app as gst_app;

use gst::prelude::*;

use super::super::Trouble;
use super::{Event, report};

/// What may lie between the one who reads the socket and a decoder; then reading waits, and the host knows.
const MAX_WAITING: u64 = 4;
/// How long what is inside may take to come out at the end.
const DRAIN_WITHIN: Duration = Duration::from_secs(20);

/// One way through: a source, what comes behind it, and its end. Dropping it stops it.
#[derive(Debug)]
pub(super) struct Flow {
    pipeline: gst::Pipeline,
    source: gst_app::AppSrc,
    ended: Receiver<()>,
}

impl Flow {
    /// A source of buffers of that kind, and nothing behind it. An error anywhere in it ends the child.
    pub(super) fn new(caps: Option<&gst::Caps>, tell: &SyncSender<Event>) -> Result<Self, Trouble> {
        let source = gst_app::AppSrc::builder()
            .format(gst::Format::Time)
            .max_buffers(MAX_WAITING)
            .max_bytes(0)
            .max_time(gst::ClockTime::ZERO)
            .block(true)
            .build();
        source.set_caps(caps);
        let pipeline = gst::Pipeline::new();
        pipeline.add(&source)?;
        let bus = pipeline
            .bus()
            .ok_or_else(|| Trouble::Failed("a pipeline without a bus".to_owned()))?;
        let (end, ended) = sync_channel(1);
        let tell = tell.clone();
        bus.set_sync_handler(move |_, message| {
            match message.view() {
                // One end, one place.
                gst::MessageView::Eos(_) => drop(end.try_send(())),
                gst::MessageView::Error(error) => {
                    let why = format!("{} {:?}", error.error(), error.debug());
                    report(&tell, Event::Failed(Trouble::Failed(why)));
                }
                _ => {}
            }
            gst::BusSyncReply::Drop
        });
        Ok(Self {
            pipeline,
            source,
            ended,
        })
    }

    /// Puts elements behind the source, in their order.
    pub(super) fn lay(&self, chain: &[gst::Element]) -> Result<(), Trouble> {
        self.pipeline.add_many(chain)?;
        let source: gst::Element = self.source.clone().upcast();
        let whole: Vec<gst::Element> = std::iter::once(source)
            .chain(chain.iter().cloned())
            .collect();
        gst::Element::link_many(&whole)?;
        Ok(())
    }

    /// Puts a branch behind `from`, a tee of this pipeline.
    pub(super) fn branch(
        &self,
        from: &gst::Element,
        branch: &impl IsA<gst::Element>,
    ) -> Result<(), Trouble> {
        self.pipeline.add(branch)?;
        from.link(branch)?;
        Ok(())
    }

    pub(super) fn start(&self) -> Result<(), Trouble> {
        self.pipeline.set_state(gst::State::Playing)?;
        Ok(())
    }

    /// The door for others who give it something, never waiting.
    pub(super) fn source(&self) -> gst_app::AppSrc {
        self.source.clone()
    }

    /// Waits until there is room.
    pub(super) fn push(&self, buffer: gst::Buffer) -> Result<(), Trouble> {
        let pushed = self.source.push_buffer(buffer);
        // What stopped it has been told by then, with a better word.
        pushed
            .map(|_| ())
            .map_err(|error| Trouble::Failed(format!("a pipeline takes no more: {error}")))
    }

    /// No more comes; waits until everything is out.
    pub(super) fn end(&self) -> Result<(), Trouble> {
        self.source.end_of_stream().ok();
        self.ended
            .recv_timeout(DRAIN_WITHIN)
            .map_err(|_| Trouble::Failed("what is inside does not come out".to_owned()))
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        // Never from a thread of its own: only the reader of the socket owns flows.
        self.pipeline.set_state(gst::State::Null).ok();
    }
}

/// An encoded frame as a buffer; its bytes are not copied.
pub(super) fn buffer(
    data: bytes::Bytes,
    pts: gst::ClockTime,
    dts: Option<gst::ClockTime>,
    key: bool,
) -> Result<gst::Buffer, Trouble> {
    let mut buffer = gst::Buffer::from_slice(data);
    let fields = buffer
        .get_mut()
        .ok_or_else(|| Trouble::Failed("a buffer of two owners".to_owned()))?;
    fields.set_pts(pts);
    fields.set_dts(dts);
    if !key {
        fields.set_flags(gst::BufferFlags::DELTA_UNIT);
    }
    Ok(buffer)
}
