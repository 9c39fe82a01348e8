//! Ticks as decimal seconds, as short as five digits behind the point allow.
//!
//! A tick of 90 kHz is 11.1 µs, so five digits tell any two ticks apart.

use crate::av::Ticks;

/// 90 kHz ticks in units of 10 µs, to the nearest. Negative times do not occur in a playlist and count as zero.
pub(super) fn nearest(ticks: Ticks) -> u64 {
    let ticks = u64::try_from(ticks.0).unwrap_or(0);
    (ticks * 10 + 4) / 9
}

/// 90 kHz ticks in units of 10 µs, rounded up: for values that others must not exceed.
pub(super) fn ceiling(ticks: Ticks) -> u64 {
    let ticks = u64::try_from(ticks.0).unwrap_or(0);
    (ticks * 10).div_ceil(9)
}

/// Units of 10 µs as a decimal-floating-point (4.2) without trailing zeros.
pub(super) fn seconds(units: u64) -> String {
    let (whole, rest) = (units / 100_000, units % 100_000);
    if rest == 0 {
        return whole.to_string();
    }
    let digits = format!("{whole}.{rest:05}");
    digits.trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_as_short_as_they_can_be_exact() {
        assert_eq!(seconds(nearest(Ticks(360_000))), "4");
        assert_eq!(seconds(nearest(Ticks(18_000))), "0.2");
        // 120 pictures at 30000/1001 last 4.004 s.
        assert_eq!(seconds(nearest(Ticks(360_360))), "4.004");
        // One tick is 11.1 µs, 5 ticks are 55.6 µs.
        assert_eq!(seconds(nearest(Ticks(1))), "0.00001");
        assert_eq!(seconds(nearest(Ticks(5))), "0.00006");
        assert_eq!(seconds(nearest(Ticks(0))), "0");
    }

    #[test]
    fn a_ceiling_is_never_below_the_nearest() {
        for ticks in 0..100_000 {
            let (near, up) = (nearest(Ticks(ticks)), ceiling(Ticks(ticks)));
            assert!(near <= up && up <= near + 1, "{ticks}");
        }
    }
}
