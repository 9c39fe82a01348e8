//! The frame grid: where a picture belongs that came at a blurred time.

use super::measure::{FrameDuration, MILLI, Measured, measure};

/// How far from its place a picture may come and still be put there: half a millisecond of blur on either side, the
/// rest for a clock that drifts within one segment.
const TOLERANCE: i64 = MILLI + MILLI / 2;

/// How far the presentation's blur may add to the decoding's.
const OFFSET_TOLERANCE: i64 = 2 * MILLI;

/// Drift smaller than this is left alone, so that durations stay equal.
const SETTLED: i64 = MILLI / 4;

/// Times kept to measure anew.
const HISTORY: usize = 12;

/// A grid that follows its publisher's clock. All times are on the publisher's timeline, 90 kHz.
#[derive(Clone, Debug)]
pub(in crate::fmp4) struct FrameGrid {
    duration: FrameDuration,
    /// A place of the grid.
    anchor: i64,
    /// Mean of what pictures came late, eighths of a tick.
    late_8: i64,
    /// How much longer or shorter a frame may be made to follow the clock at once, ticks.
    slew: i64,
    /// Rises by four with each picture off the grid, falls by one with each on it.
    misses: u32,
    /// Where the long measurement began and how many frames ago.
    baseline: Option<(i64, i64)>,
    history: Vec<i64>,
    /// It was given up, and what came lies on no other.
    unsteady: bool,
}

/// Where a picture belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fmp4) struct Placed {
    /// Decoding time.
    pub(in crate::fmp4) dts: i64,
    /// Presentation minus decoding time; may be negative.
    pub(in crate::fmp4) offset: i64,
    /// How long it lasts if the next one follows at once.
    pub(in crate::fmp4) duration: i64,
    /// Whether the grid had a place for it.
    pub(in crate::fmp4) on_grid: bool,
    /// Whether the grid was given up at this picture and measured anew.
    pub(in crate::fmp4) lost: bool,
}

impl FrameGrid {
    /// A grid as measured.
    pub(in crate::fmp4) fn new(measured: Measured) -> Self {
        Self {
            duration: measured.duration,
            anchor: measured.anchor,
            late_8: 0,
            slew: 0,
            misses: 0,
            baseline: None,
            history: Vec::with_capacity(HISTORY),
            unsteady: false,
        }
    }

    /// Whether pictures come on no grid any more.
    pub(in crate::fmp4) fn is_unsteady(&self) -> bool {
        self.unsteady
    }

    /// The publisher's clock runs `by` ahead of what it was.
    pub(in crate::fmp4) fn shift(&mut self, by: i64) {
        self.anchor += by;
        if let Some((start, _)) = &mut self.baseline {
            *start += by;
        }
        for time in &mut self.history {
            *time += by;
        }
    }

    /// Between frames.
    pub(in crate::fmp4) fn duration(&self) -> FrameDuration {
        self.duration
    }

    /// A session begins with a picture at `dts`: the distance stays, the place is new.
    pub(in crate::fmp4) fn restart(&mut self, dts: i64) {
        self.anchor = dts;
        self.late_8 = 0;
        self.misses = 0;
        self.baseline = None;
        self.history.clear();
    }

    /// Lets frames be up to `slew` ticks longer or shorter than the grid's, so that its clock is followed at once; by
    /// default only segments' beginnings follow it.
    pub(in crate::fmp4) fn set_slew(&mut self, slew: i64) {
        self.slew = slew.max(0);
    }

    /// Follows the drift of the publisher's clock. Called at the key frame that begins a segment: its first part may
    /// be short, so that a longer frame there harms no rule.
    /// `dts` is the key frame's.
    pub(in crate::fmp4) fn settle(&mut self, dts: i64) {
        let late = self.late_8 / 8;
        if late.abs() > SETTLED {
            self.anchor += late;
            self.late_8 = 0;
        }
        let place = self.anchor + self.duration.times(self.duration.count(dts - self.anchor));
        let since = self
            .history
            .last()
            .map_or(0, |last| self.duration.count(dts - last));
        if self.correct(dts, since) && (dts - place).abs() <= TOLERANCE {
            self.anchor = place;
        }
    }

    /// Follows the clock by a little, once it is off by more than blur.
    fn follow(&mut self) {
        let late = self.late_8 / 8;
        let step = (late.abs() - SETTLED).clamp(0, self.slew) * late.signum();
        self.anchor += step;
        self.late_8 -= step * 8;
    }

    /// Puts a picture where it belongs; one that is off the grid stays where it is, and the grid goes on from there.
    pub(in crate::fmp4) fn place(&mut self, dts: i64, offset: i64) -> Placed {
        self.remember(dts);
        let at = self.duration.count(dts - self.anchor);
        let place = self.anchor + self.duration.times(at);
        let late = dts - place;
        if late.abs() > TOLERANCE {
            return self.off_grid(dts, offset);
        }
        self.misses = self.misses.saturating_sub(1);
        self.late_8 += late - self.late_8 / 8;
        let count = self.duration.count(offset);
        let snapped = self.anchor + self.duration.times(at + count) - place;
        let offset = if (offset - snapped).abs() <= OFFSET_TOLERANCE {
            snapped
        } else {
            offset
        };
        self.follow();
        Placed {
            dts: place,
            offset,
            duration: self.anchor + self.duration.times(at + 1) - place,
            on_grid: true,
            lost: false,
        }
    }

    fn remember(&mut self, dts: i64) {
        let previous = self.history.last().copied();
        if self.history.len() == HISTORY {
            self.history.remove(0);
        }
        self.history.push(dts);
        match (&mut self.baseline, previous) {
            (Some((_, frames)), Some(previous)) => *frames += self.duration.count(dts - previous),
            _ => self.baseline = Some((dts, 0)),
        }
    }

    fn off_grid(&mut self, dts: i64, offset: i64) -> Placed {
        self.anchor = dts;
        self.late_8 = 0;
        self.misses += 4;
        self.correct(dts, 0);
        let lost = self.misses >= 40;
        if lost {
            self.misses = 0;
            match measure(&self.history, None) {
                Some(found) => {
                    self.duration = found.duration;
                    self.baseline = None;
                }
                None => self.unsteady = true,
            }
        }
        Placed {
            dts,
            offset,
            duration: self.duration.times(1),
            on_grid: false,
            lost,
        }
    }

    /// The distance may be a little wrong (30 for 29.97): some seconds tell. Whether it was. `dts` is `since` frames
    /// after the last one remembered.
    fn correct(&mut self, dts: i64, since: i64) -> bool {
        let Some((start, frames)) = self.baseline else {
            return false;
        };
        let elapsed = dts - start;
        let frames = frames + since;
        let error = elapsed - self.duration.times(frames);
        // Below a second or so a common rate cannot be told from its neighbour; an error of whole frames is a hole.
        if elapsed < 90_000 || error.abs() * 100 > elapsed {
            return false;
        }
        let near = |common: &FrameDuration| (common.times(frames) - elapsed).abs() <= TOLERANCE;
        if near(&self.duration) {
            return false;
        }
        self.duration = FrameDuration::common()
            .find(near)
            .unwrap_or(FrameDuration::new(elapsed, frames));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(ticks: i64, frames: i64) -> FrameGrid {
        FrameGrid::new(Measured {
            duration: FrameDuration::new(ticks, frames),
            anchor: 0,
            doubt_ppm: 0,
        })
    }

    #[test]
    fn blur_of_a_millisecond_is_cleared_at_any_common_rate() {
        for (ticks, frames) in [
            (90_000, 24),
            (90_000, 60),
            (90_090_000, 24_000),
            (90_090_000, 60_000),
        ] {
            let mut grid = grid(ticks, frames);
            let exact = FrameDuration::new(ticks, frames);
            for n in 0..20_000 {
                let blurred = n * ticks / frames / MILLI * MILLI;
                let late_pts = (n + 2) * ticks / frames / MILLI * MILLI;
                let placed = grid.place(blurred, late_pts - blurred);
                assert!(placed.on_grid);
                assert_eq!(placed.dts, exact.times(n), "frame {n} of {frames}/{ticks}");
                assert_eq!(placed.dts + placed.offset, exact.times(n + 2));
            }
        }
    }

    #[test]
    fn a_drifting_clock_is_followed_where_segments_begin() {
        let mut grid = grid(90_000, 30);
        let mut off = 0;
        for n in 0..30_000i64 {
            // 100 millionths slow.
            let real = n * 3_000 + n * 3 / 10;
            if n % 120 == 0 {
                grid.settle(real / MILLI * MILLI);
            }
            let placed = grid.place(real / MILLI * MILLI, 0);
            off += i64::from(!placed.on_grid);
            assert!((placed.dts - real).abs() <= 2 * MILLI, "frame {n}");
        }
        assert_eq!(off, 0);
    }

    #[test]
    fn thirty_that_is_29_97_is_noticed() {
        let mut grid = grid(90_000, 30);
        let real = |n: i64| n * 3_003 / MILLI * MILLI;
        for n in 0..400 {
            grid.place(real(n), 0);
        }
        assert_eq!(grid.duration(), FrameDuration::new(90_090_000, 30_000));
        assert!((400..4_000).all(|n| grid.place(real(n), 0).on_grid));
    }

    #[test]
    fn another_rate_is_measured_anew() {
        let mut grid = grid(90_000, 30);
        for n in 0..30 {
            grid.place(n * 3_000, 0);
        }
        let lost = (0..40)
            .filter(|n| grid.place(90_000 + n * 1_800, 0).lost)
            .count();
        assert!(lost >= 1);
        assert_eq!(grid.duration(), FrameDuration::new(90_000, 50));
    }

    #[test]
    fn a_dropped_frame_leaves_its_place_empty() {
        let mut grid = grid(90_000, 30);
        grid.place(0, 0);
        let placed = grid.place(200 * MILLI, 0);
        assert_eq!((placed.dts, placed.on_grid), (18_000, true));
    }
}
