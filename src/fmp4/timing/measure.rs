//! Measuring the frame rate from the first decoding times.

/// One millisecond, the blur of RTMP's clock, in 90 kHz.
pub(in crate::fmp4) const MILLI: i64 = 90;

/// Widest scatter around a grid, in ticks: rounding to milliseconds scatters by one at most.
const SCATTER: i64 = MILLI + 20;

/// Frame rates that encoders use, as frames × 1001 per 1001 seconds or plain: (ticks, frames).
const COMMON: [(i64, i64); 20] = [
    (90_000, 30),
    (90_000, 25),
    (90_000, 60),
    (90_000, 50),
    (90_000, 24),
    (90_090_000, 30_000),
    (90_090_000, 24_000),
    (90_090_000, 60_000),
    (90_000, 15),
    (90_000, 20),
    (90_000, 10),
    (90_000, 12),
    (180_000, 25),
    (90_000, 40),
    (90_000, 48),
    (90_000, 90),
    (90_000, 100),
    (90_000, 120),
    (90_000, 8),
    (90_090_000, 120_000),
];

/// The duration of one frame: `ticks ÷ frames` of 90 kHz, not rounded (23.976 fps: 3753.75).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fmp4) struct FrameDuration {
    ticks: i64,
    frames: i64,
}

impl FrameDuration {
    /// `frames` frames in `ticks` of 90 kHz; both positive.
    pub(in crate::fmp4) const fn new(ticks: i64, frames: i64) -> Self {
        Self { ticks, frames }
    }

    /// Of a rate that an encoder claims, snapped to a common rate within 0.03 %; `None` outside 1 to 300 fps.
    pub(in crate::fmp4) fn of_rate(frames_per_second: f64) -> Option<Self> {
        if !(1.0..=300.0).contains(&frames_per_second) {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "between 1,000 and 300,000")]
        let per_mille = (frames_per_second * 1_000.0).round() as i64;
        let told = Self::new(90_000_000, per_mille);
        let near = |common: &Self| {
            // |common − told| ÷ told in parts of ten thousand; 29.97 is 30000/1001 to one in a million.
            let difference = (common.ticks * told.frames - told.ticks * common.frames).abs();
            difference * 10_000 <= 3 * told.ticks * common.frames
        };
        Some(Self::common().find(near).unwrap_or(told))
    }

    /// The common rates.
    pub(super) fn common() -> impl Iterator<Item = Self> {
        COMMON
            .into_iter()
            .map(|(ticks, frames)| Self::new(ticks, frames))
    }

    /// `count` frames, to the nearest tick.
    pub(in crate::fmp4) fn times(self, count: i64) -> i64 {
        let product = i128::from(count) * i128::from(self.ticks);
        let frames = i128::from(self.frames);
        i64::try_from((2 * product + frames).div_euclid(2 * frames)).unwrap_or(i64::MAX)
    }

    /// How many frames `ticks` are, to the nearest.
    pub(in crate::fmp4) fn count(self, ticks: i64) -> i64 {
        let product = i128::from(ticks) * i128::from(self.frames);
        let ticks = i128::from(self.ticks);
        i64::try_from((2 * product + ticks).div_euclid(2 * ticks)).unwrap_or(i64::MAX)
    }

    /// The most whole frames within `ticks`, with a tick of tolerance.
    pub(in crate::fmp4) fn whole(self, ticks: i64) -> i64 {
        (ticks.saturating_add(1)).saturating_mul(self.frames) / self.ticks
    }
}

/// A frame grid as the first frames show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fmp4) struct Measured {
    /// Between frames.
    pub(in crate::fmp4) duration: FrameDuration,
    /// Decoding time of the first frame, cleared of blur, on the publisher's timeline.
    pub(in crate::fmp4) anchor: i64,
    /// How far the duration may be off, in millionths.
    pub(in crate::fmp4) doubt_ppm: i64,
}

/// Finds the grid of decoding times `dts` (publisher's timeline, 90 kHz, blurred to milliseconds); `None` if
/// they lie on none. A hint that fits is believed; else a common rate that fits; else the mean, if they scatter little
/// enough. The first frame may be off: some encoders begin with an odd one.
pub(in crate::fmp4) fn measure(dts: &[i64], hint: Option<FrameDuration>) -> Option<Measured> {
    fit(dts, hint).or_else(|| {
        let (first, rest) = dts.split_first()?;
        let found = (rest.len() > 5).then(|| fit(rest, hint))??;
        let back = found.duration.count(found.anchor - first);
        Some(Measured {
            anchor: found.anchor - found.duration.times(back),
            ..found
        })
    })
}

fn fit(dts: &[i64], hint: Option<FrameDuration>) -> Option<Measured> {
    let first = *dts.first()?;
    let last = *dts.last()?;
    let intervals = i64::try_from(dts.len()).ok()? - 1;
    if let Some(hint) = hint
        && intervals >= 2
        && let Some((_, offset)) = scatter(dts, hint)
    {
        return Some(Measured {
            duration: hint,
            anchor: first + offset,
            doubt_ppm: 0,
        });
    }
    if intervals < 4 {
        return None;
    }
    let mut best: Option<(i64, FrameDuration, i64)> = None;
    for common in FrameDuration::common() {
        if let Some((width, offset)) = scatter(dts, common)
            // Earlier in the table is likelier: another must be clearly better.
            && best.is_none_or(|(least, _, _)| width + 20 < least)
        {
            best = Some((width, common, offset));
        }
    }
    if let Some((_, duration, offset)) = best {
        return Some(Measured {
            duration,
            anchor: first + offset,
            // 30 and 29.97 look alike for the first second.
            doubt_ppm: 1_001,
        });
    }
    let span = last.checked_sub(first).filter(|span| *span > 0)?;
    let mean = FrameDuration::new(span, intervals);
    let (_, offset) = scatter(dts, mean)?;
    Some(Measured {
        duration: mean,
        anchor: first + offset,
        doubt_ppm: 2 * MILLI * 1_000_000 / span,
    })
}

/// How widely `dts` scatter around a grid of `duration`, and where its origin lies relative to the first; `None` if
/// they do not lie on it: scatter above the blur, times that do not grow, or more frames missing than there.
fn scatter(dts: &[i64], duration: FrameDuration) -> Option<(i64, i64)> {
    let first = *dts.first()?;
    let (mut least, mut most, mut sum) = (0, 0, 0);
    let mut previous = None;
    let mut missing = 0;
    for &time in dts {
        let relative = time.checked_sub(first)?;
        let position = duration.count(relative);
        if let Some(previous) = previous {
            if position <= previous {
                return None;
            }
            missing += position - previous - 1;
        }
        previous = Some(position);
        let residue = relative - duration.times(position);
        least = least.min(residue);
        most = most.max(residue);
        sum += residue;
    }
    let len = i64::try_from(dts.len()).ok()?;
    (most - least <= SCATTER && missing * 2 < len).then_some((most - least, sum / len))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decoding times of `count` frames of a rate, floored to milliseconds as encoders do.
    fn blurred(ticks: i64, frames: i64, count: i64) -> Vec<i64> {
        (0..count)
            .map(|n| n * ticks / frames / MILLI * MILLI + 700 * MILLI)
            .collect()
    }

    #[test]
    fn common_rates_are_found_without_a_hint() {
        for (ticks, frames) in [
            (90_000, 30),
            (90_000, 25),
            (90_000, 50),
            (90_000, 15),
            (90_000, 20),
        ] {
            let found = measure(&blurred(ticks, frames, 11), None).unwrap();
            assert_eq!(found.duration, FrameDuration::new(ticks, frames));
        }
    }

    #[test]
    fn a_rate_is_found_within_its_doubt() {
        for (ticks, frames) in COMMON
            .into_iter()
            .chain([(90_000, 17), (90_000, 33), (90_000, 29)])
        {
            let found = measure(&blurred(ticks, frames, 13), None).unwrap();
            let real = FrameDuration::new(ticks, frames).times(1_000_000);
            let seen = found.duration.times(1_000_000);
            let off = (real - seen).abs() * 1_000_000 / real;
            assert!(
                off <= found.doubt_ppm,
                "{ticks}/{frames}: {found:?} is off by {off} ppm"
            );
        }
    }

    #[test]
    fn a_hint_decides_between_rates_that_look_alike() {
        for rate in [29.97, 30.0, 23.976, 24.0, 59.94] {
            let hint = FrameDuration::of_rate(rate);
            let exact = hint.unwrap();
            let times = blurred(exact.ticks, exact.frames, 11);
            let found = measure(&times, hint).unwrap();
            assert_eq!(found.duration, exact);
            assert_eq!(found.doubt_ppm, 0);
        }
        assert_eq!(
            FrameDuration::of_rate(29.97),
            Some(FrameDuration::new(90_090_000, 30_000))
        );
    }

    #[test]
    fn a_hint_that_does_not_fit_is_not_believed() {
        for lie in [60.0, 25.0, 24.0, 1_000.0, f64::NAN, -1.0] {
            let found = measure(&blurred(90_000, 30, 11), FrameDuration::of_rate(lie)).unwrap();
            assert_eq!(found.duration, FrameDuration::new(90_000, 30), "hint {lie}");
        }
    }

    #[test]
    fn missing_frames_do_not_hide_the_grid() {
        let mut times = blurred(90_000, 30, 14);
        times.remove(9);
        times.remove(4);
        assert_eq!(
            measure(&times, None).unwrap().duration,
            FrameDuration::new(90_000, 30)
        );
    }

    #[test]
    fn an_odd_first_frame_does_not_hide_the_grid() {
        let mut times = blurred(90_000, 30, 11);
        times[0] += 14 * MILLI;
        assert_eq!(
            measure(&times, None).unwrap().duration,
            FrameDuration::new(90_000, 30)
        );
    }

    #[test]
    fn jitter_is_no_grid() {
        let times: Vec<i64> = [0, 31, 70, 99, 138, 160, 204, 231, 270, 296, 335]
            .map(|ms: i64| ms * MILLI)
            .to_vec();
        assert_eq!(measure(&times, None), None);
        assert_eq!(measure(&times, FrameDuration::of_rate(30.0)), None);
        assert_eq!(measure(&[], None), None);
        assert_eq!(measure(&[5, 5, 5, 5, 5, 5, 5, 5], None), None);
    }
}
