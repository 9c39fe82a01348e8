//! Where segments are cut (design: the playlist's TARGETDURATION is 6 and never changes).

/// Segments that are cut early: a player wants one whole segment before it starts.
const SHORT_SEGMENTS: u32 = 3;
/// The least a short segment lasts before a key frame ends it: 0.9 s.
const SHORT_MIN: i64 = 81_000;
/// The least any later segment lasts: 3.2 s.
const MIN: i64 = 288_000;
/// The most any segment lasts: 6.4 s, which EXTINF rounds to 6.
pub(super) const MAX: i64 = 576_000;

/// The open segment. Times on the run's timeline, 90 kHz.
#[derive(Clone, Debug)]
pub(super) struct SegmentClock {
    /// Where it begins.
    start: i64,
    /// How many were before it.
    before: u32,
    /// Parts handed out of it.
    parts: u32,
}

impl SegmentClock {
    /// The segment that begins at `start` after `before` others.
    pub(super) fn new(start: i64, before: u32) -> Self {
        Self {
            start,
            before,
            parts: 0,
        }
    }

    /// Segments before the open one.
    pub(super) fn before(&self) -> u32 {
        self.before
    }

    /// Whether no part of it has been handed out.
    pub(super) fn is_empty(&self) -> bool {
        self.parts == 0
    }

    /// A part of it was handed out.
    pub(super) fn part(&mut self) {
        self.parts += 1;
    }

    /// Whether it is long enough for a key frame to end it at `end`.
    pub(super) fn may_end(&self, end: i64) -> bool {
        let least = if self.before < SHORT_SEGMENTS {
            SHORT_MIN
        } else {
            MIN
        };
        end - self.start >= least
    }

    /// Whether it would be too long if it went on to `end`.
    pub(super) fn must_end_before(&self, end: i64) -> bool {
        end - self.start > MAX
    }

    /// The furthest that it may go on to.
    pub(super) fn latest_end(&self) -> i64 {
        self.start + MAX
    }

    /// The next one, which begins at `start`.
    pub(super) fn next(&mut self, start: i64) {
        *self = Self::new(start, self.before + 1);
    }

    /// Moves an empty segment to where its first part begins.
    pub(super) fn begin(&mut self, start: i64) {
        if self.is_empty() {
            self.start = start;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_three_segments_are_short() {
        let mut clock = SegmentClock::new(0, 0);
        for _ in 0..3 {
            assert!(!clock.may_end(clock.start + 80_999));
            assert!(clock.may_end(clock.start + 81_000));
            clock.next(clock.start + 90_000);
        }
        assert!(!clock.may_end(clock.start + 287_999));
        assert!(clock.may_end(clock.start + 288_000));
    }

    #[test]
    fn no_segment_lasts_longer_than_six_and_a_bit() {
        let clock = SegmentClock::new(90_000, 9);
        assert!(!clock.must_end_before(90_000 + 576_000));
        assert!(clock.must_end_before(90_000 + 576_001));
    }
}
