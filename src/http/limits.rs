//! Sliding windows: how often somebody may ask.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Keys remembered at a time: 20,000 × 100 moments of 4 bytes are 8 MB at the very worst. Full: keys that
/// have been silent for a window are forgotten; if none has, newcomers pass uncounted.
const MAX_KEYS: usize = 20_000;

/// At most `limit` acts of one key in any stretch of `window`.
#[derive(Debug)]
pub(super) struct SlidingWindow<K> {
    limit: usize,
    window: Duration,
    started: Instant,
    // std mutex: never held across an await; only map look-ups.
    seen: Mutex<Seen<K>>,
}

#[derive(Debug)]
struct Seen<K> {
    /// Milliseconds since `started` of the last acts of each key, oldest first, at most `limit`.
    acts: HashMap<K, VecDeque<u32>>,
    swept_at_ms: u32,
}

impl<K: Hash + Eq> SlidingWindow<K> {
    pub(super) fn new(limit: usize, window: Duration) -> Self {
        Self {
            limit,
            window,
            started: Instant::now(),
            seen: Mutex::new(Seen {
                acts: HashMap::new(),
                swept_at_ms: 0,
            }),
        }
    }

    /// Counts one act of `key` now; `Err` is how long until the next one is allowed, and is not counted.
    pub(super) fn admit(&self, key: K) -> Result<(), Duration> {
        // Wraps after 49.7 days; differences are taken wrapping, and nothing older than a window matters.
        let now = self.now_ms();
        let window = u32::try_from(self.window.as_millis()).unwrap_or(u32::MAX);
        let mut seen = self.lock();
        if seen.acts.len() >= MAX_KEYS && !seen.acts.contains_key(&key) {
            // Once a second at most, so that a flood of addresses cannot buy a sweep each.
            if now.wrapping_sub(seen.swept_at_ms) >= 1_000 {
                seen.swept_at_ms = now;
                seen.acts.retain(|_, acts| {
                    acts.back()
                        .is_some_and(|last| now.wrapping_sub(*last) < window)
                });
            }
            if seen.acts.len() >= MAX_KEYS {
                return Ok(());
            }
        }
        let acts = seen.acts.entry(key).or_default();
        while acts
            .front()
            .is_some_and(|oldest| now.wrapping_sub(*oldest) >= window)
        {
            acts.pop_front();
        }
        if let (true, Some(oldest)) = (acts.len() >= self.limit, acts.front()) {
            let left = window - now.wrapping_sub(*oldest);
            return Err(Duration::from_millis(u64::from(left)));
        }
        acts.push_back(now);
        Ok(())
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "wraps on purpose; differences are taken wrapping"
    )]
    fn now_ms(&self) -> u32 {
        self.started.elapsed().as_millis() as u32
    }

    fn lock(&self) -> MutexGuard<'_, Seen<K>> {
        // A panic between two map operations leaves a usable map.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// About `limit` acts of one key in any stretch of a long `window`, in twelve bytes for each: of the window before the
/// present one, so much counts as would still be inside if its acts had been spread evenly.
#[derive(Debug)]
pub(super) struct SlidingCount<K> {
    limit: u64,
    window: Duration,
    started: Instant,
    // std mutex: never held across an await; only map look-ups.
    seen: Mutex<HashMap<K, Counted>>,
}

/// Acts in the window of that number, and in the one before it.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    number: u32,
    before: u32,
    now: u32,
}

impl Counted {
    /// The same as it stands in the window `number`.
    fn in_window(self, number: u32) -> Self {
        match number.wrapping_sub(self.number) {
            0 => self,
            1 => Self {
                number,
                before: self.now,
                now: 0,
            },
            _ => Self {
                number,
                ..Self::default()
            },
        }
    }
}

impl<K: Hash + Eq> SlidingCount<K> {
    pub(super) fn new(limit: u32, window: Duration) -> Self {
        Self {
            limit: limit.into(),
            window,
            started: Instant::now(),
            seen: Mutex::default(),
        }
    }

    /// Counts one act of `key` now; `Err` is how long until the next one is allowed, and is not counted.
    pub(super) fn admit(&self, key: K) -> Result<(), Duration> {
        let window = u64::try_from(self.window.as_millis())
            .unwrap_or(u64::MAX)
            .max(1);
        let since = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let number = u32::try_from(since / window).unwrap_or(u32::MAX);
        let left = window - since % window;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MAX_KEYS && !seen.contains_key(&key) {
            seen.retain(|_, counted| number.wrapping_sub(counted.number) <= 1);
            if seen.len() >= MAX_KEYS {
                return Ok(());
            }
        }
        let counted = seen.entry(key).or_default();
        *counted = counted.in_window(number);
        let (before, now) = (u64::from(counted.before), u64::from(counted.now));
        if before * left / window + now < self.limit {
            counted.now += 1;
            return Ok(());
        }
        // When so much of the window before has left that one more has room; in the next window at the latest.
        let wait = match (self.limit - 1).checked_sub(now) {
            Some(room) if before > 0 => left.saturating_sub(room * window / before),
            _ => left,
        };
        Err(Duration::from_millis(wait.max(1)))
    }
}

/// What stands for one client: its IPv4 address, or the /64 that one IPv6 customer owns.
pub(super) fn client_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_hundred_and_first_in_a_minute_waits_until_the_first_is_a_minute_old() {
        let window = SlidingWindow::new(100, Duration::from_secs(60));
        window.admit(1).unwrap();
        tokio::time::advance(Duration::from_secs(20)).await;
        for _ in 0..99 {
            window.admit(1).unwrap();
        }
        assert_eq!(window.admit(1), Err(Duration::from_secs(40)));
        assert_eq!(window.admit(2), Ok(()), "others are not concerned");
        tokio::time::advance(Duration::from_secs(40)).await;
        assert_eq!(window.admit(1), Ok(()));
        assert_eq!(window.admit(1), Err(Duration::from_secs(20)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_hours_count_slides_and_says_when_there_is_room_again() {
        let count = SlidingCount::new(100, Duration::from_secs(3_600));
        for _ in 0..100 {
            count.admit(1).unwrap();
        }
        assert_eq!(count.admit(1), Err(Duration::from_secs(3_600)));
        assert_eq!(count.admit(2), Ok(()), "others are not concerned");
        // Half an hour into the next hour half of the hundred have left.
        tokio::time::advance(Duration::from_secs(3_600 + 1_800)).await;
        for _ in 0..50 {
            count.admit(1).unwrap();
        }
        let wait = count.admit(1).unwrap_err();
        tokio::time::advance(wait).await;
        assert_eq!(count.admit(1), Ok(()), "after {wait:?}");
        tokio::time::advance(Duration::from_secs(3 * 3_600)).await;
        for _ in 0..100 {
            count.admit(1).unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_table_forgets_the_silent_and_never_grows() {
        let window = SlidingWindow::new(1, Duration::from_secs(60));
        for key in 0..MAX_KEYS {
            window.admit(key).unwrap();
        }
        assert_eq!(window.admit(MAX_KEYS), Ok(()));
        assert_eq!(window.admit(MAX_KEYS), Ok(()), "passes uncounted");
        assert_eq!(window.lock().acts.len(), MAX_KEYS);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(window.admit(MAX_KEYS), Ok(()));
        assert_eq!(window.lock().acts.len(), 1);
    }

    #[test]
    fn an_ipv6_customer_is_one_client() {
        let one = client_key("2001:db8:1:2::1".parse().unwrap());
        assert_eq!(one, client_key("2001:db8:1:2:ffff::9".parse().unwrap()));
        assert_ne!(one, client_key("2001:db8:1:3::1".parse().unwrap()));
        assert_eq!(
            client_key("::ffff:192.0.2.1".parse().unwrap()),
            "192.0.2.1".parse::<IpAddr>().unwrap()
        );
    }
}
