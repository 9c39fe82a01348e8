//! Elements one behind the other, in a pipeline that may run already.

use std::sync::{Arc, Mutex, PoisonError};

use gstreamer as gst;

use gst::prelude::*;

use super::Trouble;
use super::watch;

/// A pipeline that callbacks find once it has been made.
#[derive(Clone, Debug, Default)]
pub(super) struct Home {
    pipeline: Arc<Mutex<Option<gst::Pipeline>>>,
}

impl Home {
    pub(super) fn set(&self, pipeline: &gst::Pipeline) {
        let mut home = self.pipeline.lock().unwrap_or_else(PoisonError::into_inner);
        *home = Some(pipeline.clone());
    }

    /// Adds the elements, links them in order and lets them run; the last first, so that nothing flows into what stands.
    pub(super) fn add(&self, chain: &[gst::Element]) -> Result<(), Trouble> {
        let home = self.pipeline.lock().unwrap_or_else(PoisonError::into_inner);
        let pipeline = home
            .as_ref()
            .ok_or_else(|| Trouble::Failed("no pipeline".to_owned()))?;
        pipeline.add_many(chain)?;
        gst::Element::link_many(chain)?;
        for element in chain.iter().rev() {
            element.sync_state_with_parent()?;
        }
        Ok(())
    }

    /// The same behind a pad of the demuxer.
    pub(super) fn add_behind(&self, pad: &gst::Pad, chain: &[gst::Element]) -> Result<(), Trouble> {
        self.add(chain)?;
        let entry = chain.first().and_then(|first| first.static_pad("sink"));
        let entry = entry.ok_or_else(|| Trouble::Failed("a chain without a sink".to_owned()))?;
        pad.link(&entry).map_err(|_| watch::unreadable())?;
        Ok(())
    }
}

/// An element of the allow list.
pub(super) fn make(name: &str) -> Result<gst::Element, Trouble> {
    Ok(gst::ElementFactory::make(name).build()?)
}
