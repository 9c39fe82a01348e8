//! How far the child is, for its host.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gstreamer as gst;

use super::super::super::wire::{Message, Place};
use super::super::link::Link;
use super::line;

/// Nothing has been decoded yet.
const NEVER: i64 = i64::MIN;

/// Clones share it; streaming threads move it.
#[derive(Clone, Debug)]
pub(super) struct Places {
    read: Arc<AtomicU64>,
    decoded: Arc<AtomicI64>,
    told: Arc<Mutex<Place>>,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            read: Arc::default(),
            decoded: Arc::new(AtomicI64::new(NEVER)),
            told: Arc::default(),
        }
    }
}

impl Places {
    /// A frame has been read, and has a place before its decoder.
    pub(super) fn read_one(&self) {
        self.read.fetch_add(1, Ordering::Relaxed);
    }

    /// Something of that time has been decoded, or is not wanted.
    pub(super) fn reached(&self, time: gst::ClockTime) {
        let ticks = line::picture_ticks(time).0;
        self.decoded.fetch_max(ticks, Ordering::Relaxed);
    }

    /// Tells the host where it has changed.
    pub(super) fn tell(&self, link: &Link) {
        let decoded = self.decoded.load(Ordering::Relaxed);
        let now = Place {
            read: self.read.load(Ordering::Relaxed),
            decoded: (decoded != NEVER).then_some(crate::av::Ticks(decoded)),
        };
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if *told != now {
            *told = now;
            link.send(&Message::Position(now));
        }
    }
}
