//! Where the source has key frames, for those who see decoded pictures, which carry no such mark.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use gstreamer as gst;

/// More pictures than lie between the one who reads and the last encoder, were each a key frame.
const MOST: usize = 256;

/// Presentation times of the latest key frames. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    // std mutex: look-ups only, by streaming threads.
    times: Arc<Mutex<BTreeSet<gst::ClockTime>>>,
}

impl Keys {
    /// A key frame goes to the decoder.
    pub(super) fn expect(&self, time: gst::ClockTime) {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.insert(time);
        if times.len() > MOST {
            times.pop_first();
        }
    }

    /// Whether the picture of that time is one in the source.
    pub(super) fn has(&self, time: gst::ClockTime) -> bool {
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.contains(&time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_known_and_no_more() {
        let keys = Keys::default();
        for second in 0..1_000 {
            keys.expect(gst::ClockTime::from_seconds(second));
        }
        assert!(keys.has(gst::ClockTime::from_seconds(999)));
        assert!(!keys.has(gst::ClockTime::from_mseconds(998_999)));
        assert!(!keys.has(gst::ClockTime::from_seconds(1)));
    }
}
