//! What the renditions of one live tell of each other (EXT-X-RENDITION-REPORT, RFC 8216bis 4.4.5.4).

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;

use super::reader::{Announced, Reader};
use crate::hls::RenditionReport;

/// The other renditions of a rendition's live; none, for one without a ladder. Cheap to clone.
///
/// std lock: never held across an await; written when a ladder is decided.
#[derive(Clone, Debug, Default)]
pub(super) struct Siblings(Arc<RwLock<Vec<Sibling>>>);

#[derive(Debug)]
struct Sibling {
    name: String,
    announced: watch::Receiver<Announced>,
}

impl Siblings {
    /// The newest media of each that can be had now.
    pub(super) fn reports(&self, without_parts: bool) -> Vec<RenditionReport> {
        let siblings = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let reports = siblings.iter().filter_map(|sibling| {
            let announced = sibling.announced.borrow();
            announced.report(&sibling.name, without_parts)
        });
        reports.collect()
    }
}

/// From now on the media playlist of each names the newest part of the others, but of those that are away. To be called again when
/// a rung joins or leaves; `[source]` alone ends it.
pub fn introduce(renditions: &[&Reader]) {
    for (at, reader) in renditions.iter().enumerate() {
        let others = renditions
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != at);
        let siblings = others.map(|(_, other)| Sibling {
            name: other.name().to_owned(),
            announced: other.announced.clone(),
        });
        let siblings = siblings.collect();
        let mut own = reader
            .siblings
            .0
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *own = siblings;
    }
}
