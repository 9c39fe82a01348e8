//! The playlist's timeline on GStreamer's, and back.
//!
//! GStreamer counts nanoseconds from zero and knows no time before it; encoders want to put something there. So everything
//! lies an hour later inside the child. Ticks of 90 kHz and of 48 kHz survive: a nanosecond is far below half of one.

use gstreamer as gst;

use crate::av::{Ticks, Timescale};

const NANOS: Timescale = Timescale::new(1_000_000_000).expect("not zero");
/// By how much everything is later here.
const LATER_S: i64 = 3_600;

/// The time of `ticks`; `None` for one that lies more than an hour before the beginning.
pub(super) fn clock(ticks: Ticks, scale: Timescale) -> Option<gst::ClockTime> {
    let nanos = ticks.rescale(scale, NANOS).0 + LATER_S * 1_000_000_000;
    u64::try_from(nanos).ok().map(gst::ClockTime::from_nseconds)
}

/// What must be taken off the ticks that come out.
pub(super) fn later(scale: Timescale) -> i64 {
    LATER_S * i64::from(scale.get())
}

/// The 90 kHz ticks of a time.
pub(super) fn picture_ticks(time: gst::ClockTime) -> Ticks {
    let nanos = Ticks(i64::try_from(time.nseconds()).unwrap_or(i64::MAX));
    Ticks(nanos.rescale(NANOS, Timescale::VIDEO).0 - later(Timescale::VIDEO))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Up to a year.
        #[test]
        fn every_tick_comes_back_as_it_went(ticks in -324_000_000i64..90_000 * 31_536_000) {
            let time = clock(Ticks(ticks), Timescale::VIDEO).unwrap();
            prop_assert_eq!(picture_ticks(time), Ticks(ticks));
        }
    }

    #[test]
    fn what_lies_far_before_the_beginning_has_no_time() {
        assert_eq!(clock(Ticks(-3_601), Timescale::new(1).unwrap()), None);
    }
}
