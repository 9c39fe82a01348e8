//! Which pictures complete parts.

use super::Ticks;

/// When parts are complete, as long as pictures come at a steady rate. Times are decoding times on the publisher's own
/// timeline, 90 kHz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    /// The picture that completes one part is decoded then; the others are whole parts before and behind it.
    pub completes: Ticks,
    /// How long a part is, at least one frame.
    pub part: Ticks,
    /// Between two pictures, greater than zero.
    pub frame: Ticks,
}

impl Rhythm {
    /// When the first picture behind `newest` is decoded that completes a part.
    #[must_use]
    pub fn next_after(&self, newest: Ticks) -> Ticks {
        // A picture that is half a frame off its place is still that picture.
        let since = newest.0 + self.frame.0 / 2 - self.completes.0;
        let parts = since.div_euclid(self.part.0) + 1;
        Ticks(self.completes.0 + parts * self.part.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sixth_picture_completes_a_part() {
        // 30 pictures a second, parts of 200 ms, pictures at 15_000, 33_000, 51_000, … complete them.
        let rhythm = Rhythm {
            completes: Ticks(33_000),
            part: Ticks(18_000),
            frame: Ticks(3_000),
        };
        for (newest, next) in [
            (0, 15_000),
            (12_000, 15_000),
            // RTMP's milliseconds blur the picture at 15_000.
            (14_940, 33_000),
            (15_000, 33_000),
            (15_060, 33_000),
            (33_000, 51_000),
            (90_000, 105_000),
        ] {
            assert_eq!(rhythm.next_after(Ticks(newest)), Ticks(next), "{newest}");
        }
    }
}
