//! Ticks and the only rescale function.

use std::ops::{Add, Neg, Sub};

/// Ticks per second of a track; never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timescale(u32);

impl Timescale {
    /// RTMP's clock: milliseconds.
    pub const MILLIS: Self = Self(1_000);
    /// The clock of every video track and of the movie: 90 kHz divides by 24, 25, 30, 50 and 60,
    /// and by 30000/1001 after rounding to a third of a tick.
    pub const VIDEO: Self = Self(90_000);

    /// A timescale of `ticks_per_second`; `None` for zero.
    #[must_use]
    pub const fn new(ticks_per_second: u32) -> Option<Self> {
        if ticks_per_second == 0 {
            None
        } else {
            Some(Self(ticks_per_second))
        }
    }

    /// Ticks per second.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// A time or a duration in the timescale of its track; may be negative between two rooms, never in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticks(pub i64);

impl Ticks {
    /// Zero.
    pub const ZERO: Self = Self(0);

    /// The same time in another timescale, to the nearest tick (halves away from zero).
    /// Exact for any time a live can reach: the product is taken in 128 bits.
    #[must_use]
    pub fn rescale(self, from: Timescale, to: Timescale) -> Self {
        if from == to {
            return self;
        }
        let product = i128::from(self.0) * i128::from(to.0);
        let half = i128::from(from.0) / 2;
        let rounded = (product + if product < 0 { -half } else { half }) / i128::from(from.0);
        Self(i64::try_from(rounded).unwrap_or(if rounded < 0 { i64::MIN } else { i64::MAX }))
    }

    /// Seconds, for playlists and people; not for arithmetic.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "2^53 ticks are three thousand years of 90 kHz"
    )]
    pub fn seconds(self, timescale: Timescale) -> f64 {
        self.0 as f64 / f64::from(timescale.0)
    }
}

impl Add for Ticks {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Ticks {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Neg for Ticks {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn milliseconds_become_ticks_to_the_nearest() {
        let audio = Timescale::new(44_100).expect("not zero");
        // 23 ms × 44.1 = 1014.3; 0.5 rounds away from zero on both sides.
        assert_eq!(Ticks(23).rescale(Timescale::MILLIS, audio), Ticks(1_014));
        assert_eq!(Ticks(-23).rescale(Timescale::MILLIS, audio), Ticks(-1_014));
        assert_eq!(
            Ticks(33).rescale(Timescale::MILLIS, Timescale::VIDEO),
            Ticks(2_970)
        );
    }

    proptest! {
        #[test]
        fn there_and_back_is_the_same_time(ms in -1_000_000_000_000i64..1_000_000_000_000) {
            let there = Ticks(ms).rescale(Timescale::MILLIS, Timescale::VIDEO);
            prop_assert_eq!(there.rescale(Timescale::VIDEO, Timescale::MILLIS), Ticks(ms));
        }
    }
}
