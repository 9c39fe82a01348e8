//! How many connections there may be, in all and from one address.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::Gauge;
use tokio_util::sync::CancellationToken;

/// Counts connections. Clones share the count.
///
/// A connection is a newcomer until it has shown what it is for ([`Slot::keep`]). When all places are taken, the
/// oldest newcomer makes room for the next one: thousands of sockets that say nothing cannot lock out those who do.
#[derive(Clone)]
pub struct Slots {
    max: usize,
    max_per_address: usize,
    gauge: Gauge,
    // std mutex: never held across an await; only map look-ups.
    taken: Arc<Mutex<Taken>>,
}

impl std::fmt::Debug for Slots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slots")
            .field("max", &self.max)
            .field("max_per_address", &self.max_per_address)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// At most as many entries as connections: an address goes with its last one.
    by_address: HashMap<IpAddr, usize>,
    next: u64,
    /// Oldest first; at most as many entries as connections.
    newcomers: BTreeMap<u64, CancellationToken>,
}

impl Taken {
    fn from(&self, address: IpAddr) -> usize {
        self.by_address.get(&address).copied().unwrap_or(0)
    }
}

/// One connection's place; given back when dropped.
#[derive(Debug)]
pub struct Slot {
    slots: Slots,
    /// Whose share it is of.
    address: Option<IpAddr>,
    number: u64,
    displaced: CancellationToken,
}

impl Slots {
    /// Places for `max` connections, `max_per_address` of them for one address. `gauge` shows how many are taken.
    #[must_use]
    pub fn new(max: usize, max_per_address: usize, gauge: Gauge) -> Self {
        Self {
            max,
            max_per_address,
            gauge,
            taken: Arc::default(),
        }
    }

    /// A place for a connection from `address`; `None` when the address has its share, or all places are kept.
    #[must_use]
    pub fn take(&self, address: IpAddr) -> Option<Slot> {
        self.take_of(Some(counted_as(address)))
    }

    /// The same for a peer that speaks for many and has no share: a proxy of ours.
    #[must_use]
    pub fn take_for_many(&self) -> Option<Slot> {
        self.take_of(None)
    }

    fn take_of(&self, address: Option<IpAddr>) -> Option<Slot> {
        let mut taken = self.lock();
        if let Some(address) = address
            && taken.from(address) >= self.max_per_address
        {
            return None;
        }
        if taken.all >= self.max {
            // Its place is counted until its task has heard of it, so that there is one connection too many for a moment.
            let (_, oldest) = taken.newcomers.pop_first()?;
            oldest.cancel();
        }
        taken.all += 1;
        if let Some(address) = address {
            *taken.by_address.entry(address).or_default() += 1;
        }
        let number = taken.next;
        taken.next += 1;
        let displaced = CancellationToken::new();
        taken.newcomers.insert(number, displaced.clone());
        drop(taken);
        self.gauge.increment(1.0);
        Some(Slot {
            slots: self.clone(),
            address,
            number,
            displaced,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// From now on nobody takes its place.
    pub fn keep(&self) {
        self.slots.lock().newcomers.remove(&self.number);
    }

    /// Cancelled when another connection was given its place.
    #[must_use]
    pub fn displaced(&self) -> CancellationToken {
        self.displaced.clone()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.lock();
        taken.all -= 1;
        taken.newcomers.remove(&self.number);
        if let Some(address) = self.address {
            match taken.from(address) {
                0 | 1 => taken.by_address.remove(&address),
                more => taken.by_address.insert(address, more - 1),
            };
        }
        drop(taken);
        self.slots.gauge.decrement(1.0);
    }
}

/// IPv4 by the whole address, IPv6 by the /64, which is what one customer gets.
fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn kept(slots: &Slots, from: &str) -> Option<Slot> {
        slots.take(address(from)).inspect(Slot::keep)
    }

    #[test]
    fn an_address_has_its_share_and_all_have_the_whole() {
        let slots = Slots::new(3, 2, Gauge::noop());
        let first = kept(&slots, "192.0.2.1");
        let second = kept(&slots, "::ffff:192.0.2.1");
        assert!(first.is_some() && second.is_some());
        assert!(kept(&slots, "192.0.2.1").is_none());
        let third = kept(&slots, "192.0.2.2");
        assert!(third.is_some());
        assert!(kept(&slots, "192.0.2.3").is_none());
        drop(first);
        assert!(kept(&slots, "192.0.2.1").is_some());
        drop((second, third));
        assert!(slots.lock().by_address.is_empty());
        assert!(slots.lock().newcomers.is_empty());
        assert_eq!(slots.lock().all, 0);
    }

    #[test]
    fn who_speaks_for_many_has_no_share_but_is_counted() {
        let slots = Slots::new(3, 1, Gauge::noop());
        let places: Vec<Slot> = (0..3).filter_map(|_| slots.take_for_many()).collect();
        places.iter().for_each(Slot::keep);
        assert_eq!(places.len(), 3);
        assert!(slots.take_for_many().is_none());
        drop(places);
        assert_eq!(slots.lock().all, 0);
    }

    #[test]
    fn an_ipv6_customer_counts_once() {
        let slots = Slots::new(9, 1, Gauge::noop());
        let first = slots.take(address("2001:db8:1:2::1"));
        assert!(first.is_some());
        assert!(slots.take(address("2001:db8:1:2:ffff::2")).is_none());
        assert!(slots.take(address("2001:db8:1:3::1")).is_some());
    }

    #[test]
    fn in_a_full_house_the_oldest_newcomer_makes_room_and_nobody_else() {
        let slots = Slots::new(3, 3, Gauge::noop());
        let guest = kept(&slots, "192.0.2.1").unwrap();
        let oldest = slots.take(address("192.0.2.2")).unwrap();
        let younger = slots.take(address("192.0.2.3")).unwrap();
        let next = slots.take(address("192.0.2.4")).unwrap();
        assert!(oldest.displaced().is_cancelled());
        assert!(!younger.displaced().is_cancelled() && !guest.displaced().is_cancelled());
        younger.keep();
        next.keep();
        assert!(slots.take(address("192.0.2.5")).is_none(), "all are kept");
    }
}
