//! When the next picture that completes a part is due, so that those before it are read together.
//!
//! A part leaves with its last picture: of the others nobody has anything before. Reading each as it comes wakes us thirty
//! times a second, reading them together and then the last one at once ten times, and no viewer sees it later. When a
//! picture comes is foretold from the earliest that any came, measured by its own decoding time: a network's jitter
//! makes us get up too early, never too late.

use std::time::Duration;

use tokio::time::Instant;

use crate::av::{Rhythm, Ticks};

/// Shorter rests cost more than they spare.
const LEAST_REST: Duration = Duration::from_millis(20);
/// An encoder's clock may be this much slower than ours: so fast does what was earliest age, parts per million.
const DRIFT_PPM: i64 = 1_000;
/// Pictures further apart than this, or in the wrong order, are another timeline: what was learnt is forgotten, µs.
const JUMP: i64 = 2_000_000;

/// What is known of when pictures come.
#[derive(Debug)]
pub(super) struct Pace {
    origin: Instant,
    newest: Option<Newest>,
}

/// Times in microseconds, since `origin` or on the publisher's timeline.
#[derive(Clone, Copy, Debug)]
struct Newest {
    /// Decoding time of the newest picture.
    dts: Ticks,
    heard_at: i64,
    /// The least that a picture came behind its decoding time.
    behind: i64,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            origin: now,
            newest: None,
        }
    }

    /// A read at `now` brought pictures, the newest decoded at `dts`.
    pub(super) fn heard(&mut self, now: Instant, dts: Ticks) {
        let heard_at = self.since(now);
        let behind = heard_at - micros(dts);
        let known = self.newest.filter(|newest| {
            let step = micros(dts) - micros(newest.dts);
            (0..JUMP).contains(&step)
        });
        let behind = known.map_or(behind, |known| {
            let aged = (heard_at - known.heard_at) * DRIFT_PPM / 1_000_000;
            behind.min(known.behind + aged)
        });
        self.newest = Some(Newest {
            dts,
            heard_at,
            behind,
        });
    }

    /// Until when nothing need be read: half a frame before the picture that is waited for. `None`: now.
    pub(super) fn rest(&self, now: Instant, rhythm: Option<Rhythm>) -> Option<Instant> {
        let (rhythm, newest) = (rhythm?, self.newest?);
        let awaited = rhythm.next_after(newest.dts);
        // With one picture in between there is nothing to be read together.
        if (awaited - newest.dts).0 < rhythm.frame.0 * 3 / 2 {
            return None;
        }
        let before = micros(awaited) - micros(rhythm.frame) / 2 + newest.behind;
        let up = self.origin + Duration::from_micros(u64::try_from(before).ok()?);
        let longest = Duration::from_micros(micros(rhythm.part).unsigned_abs());
        let rest = up.checked_duration_since(now)?;
        (LEAST_REST..=longest).contains(&rest).then_some(up)
    }

    fn since(&self, now: Instant) -> i64 {
        let since = now.saturating_duration_since(self.origin);
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    }
}

/// 90 kHz to microseconds.
fn micros(ticks: Ticks) -> i64 {
    ticks.0.saturating_mul(100) / 9
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 30 pictures a second, parts of six; those decoded at 15,000, 33,000, … complete them.
    const RHYTHM: Rhythm = Rhythm {
        completes: Ticks(15_000),
        part: Ticks(18_000),
        frame: Ticks(3_000),
    };

    /// Pictures that come exactly in time, `late_ms` behind their decoding times; where each would rest to, in ms.
    fn rests(late_ms: impl Fn(i64) -> u64, pictures: i64) -> Vec<Option<u128>> {
        let origin = Instant::now();
        let mut pace = Pace::new(origin);
        (0..pictures)
            .map(|picture| {
                let dts = Ticks(picture * 3_000);
                let came = micros(dts).unsigned_abs() / 1_000 + late_ms(picture);
                let now = origin + Duration::from_millis(came);
                pace.heard(now, dts);
                let until = pace.rest(now, Some(RHYTHM))?;
                Some((until - origin).as_millis())
            })
            .collect()
    }

    #[test]
    fn after_a_parts_last_picture_we_rest_until_half_a_frame_before_the_next_ones() {
        let rests = rests(|_| 50, 12);
        // The picture at 33_000 (366.6 ms) comes at 416 ms, and we are up 16.6 ms before.
        assert_eq!(rests[5], Some(399));
        assert_eq!(rests[11], Some(599));
        // Nothing to be gained with one picture before it.
        assert_eq!((rests[4], rests[10]), (None, None));
    }

    #[test]
    fn jitter_makes_us_get_up_too_early_and_never_too_late() {
        let jitter =
            |picture: i64| [50, 90, 70, 120, 50, 110][usize::try_from(picture % 6).unwrap()];
        for (picture, until) in rests(jitter, 60).into_iter().enumerate() {
            let Some(until) = until else { continue };
            let picture = i64::try_from(picture).unwrap();
            let awaited = RHYTHM.next_after(Ticks(picture * 3_000)).0 / 3_000;
            let comes = u128::from((awaited * 100 / 3).unsigned_abs() + jitter(awaited));
            assert!(until <= comes, "{picture}: {until} {comes}");
        }
    }

    #[test]
    fn a_clock_that_jumps_is_learnt_anew() {
        let origin = Instant::now();
        let mut pace = Pace::new(origin);
        pace.heard(origin + Duration::from_secs(10), Ticks(0));
        for dts in [900_000, 0] {
            let now = origin + Duration::from_secs(20);
            pace.heard(now, Ticks(dts));
            let until = pace.rest(now, Some(RHYTHM)).expect("a part to wait for");
            assert!(until - now < Duration::from_millis(200));
        }
    }

    #[test]
    fn without_a_rhythm_or_a_picture_nothing_rests() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        assert_eq!(pace.rest(now, Some(RHYTHM)), None);
        pace.heard(now, Ticks(0));
        assert_eq!(pace.rest(now, None), None);
    }
}
