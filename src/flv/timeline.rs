//! 32-bit milliseconds to a timeline that does not wrap.

/// librtmp, OBS and GStreamer wrap at 2^32 ms (RTMP 5.3.1.1); ffmpeg at 2^31.
const WRAPS: [i64; 2] = [1 << 31, 1 << 32];
/// How far from an exact wrap a step may be and still be one. A connection that is silent for 30 s is closed, so a
/// larger step at a wrap does not happen to honest encoders.
const NEAR_MS: i64 = 60_000;

/// The timeline of one publish session, shared by both tracks so that they stay together over a wrap.
///
/// Steps that are no wrap pass as they are, forward or back: `fmp4` decides what they mean (`av/time.md`).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timeline {
    last: Option<(i64, i64)>,
}

impl Timeline {
    /// The time of the next tag of either track: `timestamp_ms` plus what has wrapped. The first is taken as it is.
    pub(super) fn unwrap(&mut self, timestamp_ms: u32) -> i64 {
        let raw = i64::from(timestamp_ms);
        let unwrapped = match self.last {
            None => raw,
            Some((last_raw, last_unwrapped)) => {
                let step = raw - last_raw;
                // Once over the wrap forward; or back over it, when one track runs a little behind the other.
                let wrapped = WRAPS
                    .iter()
                    .flat_map(|wrap| [step + wrap, step - wrap])
                    .find(|step| step.abs() <= NEAR_MS);
                last_unwrapped + wrapped.unwrap_or(step)
            }
        };
        self.last = Some((raw, unwrapped));
        unwrapped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ffmpeg_wraps_at_31_bits() {
        // facts: `-output_ts_offset 4294966` made ffmpeg 5.1 send 2147482285, then 2671.
        let mut timeline = Timeline::default();
        assert_eq!(timeline.unwrap(2_147_482_285), 2_147_482_285);
        assert_eq!(timeline.unwrap(2_671), 2_147_486_319);
        assert_eq!(timeline.unwrap(2_711), 2_147_486_359);
    }

    #[test]
    fn a_step_over_31_bits_by_a_32_bit_clock_is_no_wrap() {
        let mut timeline = Timeline::default();
        assert_eq!(timeline.unwrap(0x7fff_ffff), 0x7fff_ffff);
        assert_eq!(timeline.unwrap(0x8000_0010), 0x8000_0010);
    }

    #[test]
    fn sound_behind_the_picture_stays_with_it_over_the_wrap() {
        for wrap in [1i64 << 31, 1 << 32] {
            let mut timeline = Timeline::default();
            let steps = [-40, -60, 0, -37, 40, 3];
            let times = steps.map(|ms| {
                let raw = u32::try_from((wrap + ms) % wrap).unwrap();
                timeline.unwrap(raw) - wrap
            });
            assert_eq!(times, steps, "wrap at {wrap}");
        }
    }

    #[test]
    fn a_restarted_clock_passes_as_it_is() {
        let mut timeline = Timeline::default();
        assert_eq!(timeline.unwrap(7_200_000), 7_200_000);
        assert_eq!(timeline.unwrap(0), 0);
        assert_eq!(timeline.unwrap(3_600_000), 3_600_000);
    }

    proptest! {
        #[test]
        fn a_growing_clock_of_32_bits_is_followed_for_ever(
            start in any::<u32>(),
            steps in prop::collection::vec(-500i64..20_000, 1..200),
        ) {
            let mut timeline = Timeline::default();
            let mut at = i64::from(start);
            prop_assert_eq!(timeline.unwrap(start), at);
            for step in steps {
                at += step;
                let raw = u32::try_from(at.rem_euclid(1 << 32)).unwrap();
                prop_assert_eq!(timeline.unwrap(raw), at);
            }
        }
    }
}
