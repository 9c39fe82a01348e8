//! Ids: time-ordered integers of at most 53 bits, so that JavaScript reads them exactly.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde::{Deserialize, Serialize};

use super::{Clock, random_array};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

id!(/// A member.
    UserId);
id!(/// A live; the same number is its post's id (contract §1.8).
    LiveId);
id!(/// One publish session: one connection of an encoder in a live.
    SessionId);
id!(/// What a live leaves behind.
    RecordingId);
id!(/// One rendition file of a recording.
    RunId);
id!(/// An image or a video that members see.
    MediaId);
id!(/// One piece of work that outlives a request.
    JobId);
id!(/// Bytes on their way in.
    UploadId);

/// 2024-01-01T00:00:00Z in milliseconds: where our ids begin to count.
const EPOCH_MS: i64 = 1_704_067_200_000;
/// Bits below the milliseconds: 4,096 ids per millisecond. 41 bits of milliseconds last until 2093.
const SEQUENCE_BITS: u32 = 12;

/// Makes ids that grow with time and never repeat within this process, even when the clock steps back.
#[derive(Clone, Debug)]
pub struct IdMaker {
    clock: Clock,
    last: Arc<AtomicI64>,
    /// Where the sequence of each millisecond begins.
    begin: i64,
}

impl IdMaker {
    /// A maker that reads `clock`. One per process. Makers of other processes on the same database begin elsewhere
    /// in a millisecond, so that they rarely make the same id; a primary key tells.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let begin = i64::from(u16::from_be_bytes(random_array())) & ((1 << SEQUENCE_BITS) - 1);
        Self {
            clock,
            last: Arc::new(AtomicI64::new(0)),
            begin,
        }
    }

    /// The next id, in `1..2^53`.
    #[must_use]
    pub fn next(&self) -> i64 {
        let by_clock =
            ((self.clock.now().0 / 1_000 - EPOCH_MS).max(0) << SEQUENCE_BITS) + self.begin;
        let mut last = self.last.load(Ordering::Relaxed);
        loop {
            let next = by_clock.max(last + 1);
            match self
                .last
                .compare_exchange_weak(last, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return next,
                Err(seen) => last = seen,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Timestamp;
    use super::*;

    #[test]
    fn ids_grow_while_the_clock_stands_still_and_fit_in_53_bits() {
        // 2060-01-01T00:00:00Z
        let ids = IdMaker::new(Clock::manual(Timestamp(2_840_140_800_000_000)));
        let made: Vec<i64> = (0..10_000).map(|_| ids.next()).collect();
        assert!(made.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(made.iter().all(|id| (1..1 << 53).contains(id)));
    }
}
