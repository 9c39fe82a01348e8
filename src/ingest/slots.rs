//! How many connections there may be, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts connections. Clones share the count.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    max: usize,
    max_per_address: usize,
    // std mutex: never held across an await; only map look-ups.
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// At most as many entries as connections: an address goes with its last one.
    by_address: HashMap<IpAddr, usize>,
}

/// One connection's place; given back when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Slots,
    address: IpAddr,
}

impl Slots {
    pub(super) fn new(max: usize, max_per_address: usize) -> Self {
        Self {
            max,
            max_per_address,
            taken: Arc::default(),
        }
    }

    /// A place for a connection from `address`; `None` when there is none left.
    pub(super) fn take(&self, address: IpAddr) -> Option<Slot> {
        let address = counted_as(address);
        let mut taken = self.lock();
        let from_there = taken.by_address.get(&address).copied().unwrap_or(0);
        if taken.all >= self.max || from_there >= self.max_per_address {
            return None;
        }
        taken.all += 1;
        taken.by_address.insert(address, from_there + 1);
        drop(taken);
        metrics::gauge!("griot_rtmp_connections").increment(1.0);
        Some(Slot {
            slots: self.clone(),
            address,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.lock();
        taken.all -= 1;
        if let Some(from_there) = taken.by_address.get_mut(&self.address) {
            *from_there -= 1;
            if *from_there == 0 {
                taken.by_address.remove(&self.address);
            }
        }
        drop(taken);
        metrics::gauge!("griot_rtmp_connections").decrement(1.0);
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

    #[test]
    fn an_address_has_its_share_and_all_have_the_whole() {
        let slots = Slots::new(3, 2);
        let first = slots.take(address("192.0.2.1"));
        let second = slots.take(address("::ffff:192.0.2.1"));
        assert!(first.is_some() && second.is_some());
        assert!(slots.take(address("192.0.2.1")).is_none());
        let third = slots.take(address("192.0.2.2"));
        assert!(third.is_some());
        assert!(slots.take(address("192.0.2.3")).is_none());
        drop(first);
        assert!(slots.take(address("192.0.2.1")).is_some());
        drop((second, third));
        assert!(slots.lock().by_address.is_empty());
        assert_eq!(slots.lock().all, 0);
    }

    #[test]
    fn an_ipv6_customer_counts_once() {
        let slots = Slots::new(9, 1);
        let first = slots.take(address("2001:db8:1:2::1"));
        assert!(first.is_some());
        assert!(slots.take(address("2001:db8:1:2:ffff::2")).is_none());
        assert!(slots.take(address("2001:db8:1:3::1")).is_some());
    }
}
