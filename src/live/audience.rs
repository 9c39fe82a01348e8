//! Who watches: distinct viewers within the last ten seconds.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// A viewer that asked for nothing this long is gone.
const PRESENCE: Duration = Duration::from_secs(10);
/// Entries kept at most; beyond it newcomers are not counted until others leave.
const MOST: usize = 100_000;

/// Counts viewers by (address, agent). Only a keyed hash of the pair is kept, and only while they watch.
#[derive(Debug)]
pub(super) struct Audience {
    key: RandomState,
    // std mutex: never held across an await; only map look-ups.
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    last: HashMap<u64, Instant>,
    swept: Option<Instant>,
    peak: usize,
}

impl Default for Audience {
    fn default() -> Self {
        Self {
            key: RandomState::new(),
            seen: Mutex::default(),
        }
    }
}

impl Audience {
    /// Notes a request of a viewer.
    pub(super) fn saw(&self, address: IpAddr, agent: &str) {
        let who = self.key.hash_one((address, agent));
        let now = Instant::now();
        let mut seen = self
            .seen
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if seen.last.len() < MOST || seen.last.contains_key(&who) {
            seen.last.insert(who, now);
        }
        // Sweeping once a second keeps a request's cost flat.
        if seen
            .swept
            .is_none_or(|at| now - at >= Duration::from_secs(1))
        {
            seen.sweep(now);
        }
    }

    /// Viewers now.
    pub(super) fn count(&self) -> usize {
        let mut seen = self
            .seen
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        seen.sweep(Instant::now());
        seen.last.len()
    }

    /// The most viewers at any second so far.
    pub(super) fn peak(&self) -> usize {
        let mut seen = self
            .seen
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        seen.sweep(Instant::now());
        seen.peak
    }
}

impl Seen {
    fn sweep(&mut self, now: Instant) {
        self.last.retain(|_, at| now - *at < PRESENCE);
        self.peak = self.peak.max(self.last.len());
        self.swept = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_viewer_counts_once_and_for_ten_seconds() {
        let audience = Audience::default();
        let address = IpAddr::from([127, 0, 0, 1]);
        for _ in 0..3 {
            audience.saw(address, "hls.js");
        }
        audience.saw(address, "Safari");
        assert_eq!(audience.count(), 2);
        tokio::time::advance(Duration::from_secs(9)).await;
        audience.saw(address, "hls.js");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(audience.count(), 1);
        assert_eq!(audience.peak(), 2);
    }
}
