//! The chain of sound: frames of whole lengths, one behind the other, on the run's timeline.
//!
//! Times are in the track's sample rate. A frame that comes within half a frame of where the chain ends (more, if the
//! encoder's clock is known to jitter) is put exactly there; one that comes later leaves a hole, which is filled with
//! silence where the codec has a known silent frame; one that comes earlier overlaps and is dropped. A clock that drifts
//! against the pictures' is followed by whole frames: one of silence, or one dropped, once the chain is three quarters of a
//! frame off (16 ms for AAC at 48 kHz), which leaves it a quarter off on the other side, so it never swings.

use std::collections::VecDeque;

use bytes::Bytes;

use super::super::silence::Silence;

/// How far sound may lag behind the pictures before silence takes its place, in halves of a second: at first …
const PATIENCE_MIN: i64 = 1;
/// … and at most, once it has been seen to come late.
const PATIENCE_MAX: i64 = 8;

/// A frame in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::fmp4) struct Sound {
    /// Decoding and presentation time.
    pub(in crate::fmp4) start: i64,
    /// How long it lasts.
    pub(in crate::fmp4) samples: i64,
    /// The sample's bytes.
    pub(in crate::fmp4) data: Bytes,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fmp4) enum Verdict {
    /// It is in the chain, behind this many frames of silence or, where there is none, a hole of so many samples.
    Placed {
        /// Frames.
        silence: u64,
        /// Samples.
        hole: i64,
    },
    /// It overlaps what is there and was dropped.
    Overlap,
    /// It ends before the session's first picture and was dropped.
    BeforeStart,
}

/// The sound track's part of the timeline.
#[derive(Clone, Debug)]
pub(in crate::fmp4) struct SoundLane {
    rate: i64,
    silence: Option<Silence>,
    /// Where the chain ends; `None` before the run's first sound.
    end: Option<i64>,
    /// Where the last frame ends that was taken.
    taken_end: Option<i64>,
    /// Where the session's first picture is; sound may not begin a whole frame before.
    floor: i64,
    /// Whether a frame of the encoder's was placed in this session.
    started: bool,
    /// Where the session's first frame was placed.
    first: Option<i64>,
    /// Mean of how late frames come after the chain's end, sixteenths of a sample.
    late_16: i64,
    /// Mean of how far frames come from that mean, sixteenths of a sample.
    jitter_16: i64,
    /// Without pictures, a hole that silence cannot fill is closed.
    closes_holes: bool,
    /// Halves of a second.
    patience: i64,
    /// Silence is taking the sound's place.
    lost: bool,
    queue: VecDeque<Sound>,
}

impl SoundLane {
    /// A lane before its first session; `end` if the run already has sound.
    /// `closes_holes`: there are no pictures, so a hole that cannot be filled need not be kept.
    pub(in crate::fmp4) fn new(
        rate: u32,
        silence: Option<Silence>,
        end: Option<i64>,
        closes_holes: bool,
    ) -> Self {
        Self {
            rate: i64::from(rate),
            silence,
            end,
            taken_end: end,
            floor: 0,
            started: false,
            first: None,
            late_16: 0,
            jitter_16: 0,
            closes_holes,
            patience: PATIENCE_MIN,
            lost: false,
            queue: VecDeque::new(),
        }
    }

    /// A session begins whose first picture is presented at `floor`.
    pub(in crate::fmp4) fn start(&mut self, floor: i64) {
        self.floor = floor;
        self.started = false;
        self.first = None;
        self.late_16 = 0;
        self.lost = false;
        if !self.queue.is_empty() {
            self.queue.clear();
            self.end = self.taken_end;
        }
    }

    /// Where the chain ends.
    pub(in crate::fmp4) fn end(&self) -> Option<i64> {
        self.end
    }

    /// Where the chain ends, or will begin.
    pub(in crate::fmp4) fn end_or_floor(&self) -> i64 {
        self.end.map_or(self.floor, |end| end.max(self.floor))
    }

    /// Frames placed and not yet taken.
    pub(in crate::fmp4) fn queue(&self) -> &VecDeque<Sound> {
        &self.queue
    }

    /// Places a frame of `samples` that came at `at`.
    pub(in crate::fmp4) fn accept(&mut self, at: i64, samples: i64, data: Bytes) -> Verdict {
        if !self.started {
            let verdict = self.accept_first(at, samples, data);
            if self.started {
                self.first = self.queue.back().map(|sound| sound.start);
            }
            return verdict;
        }
        let end = self.end_or_floor();
        let late = at - end;
        let surprise = late - self.late_16 / 16;
        let slack = samples / 2 + 3 * self.jitter_16 / 16;
        self.jitter_16 += surprise.abs().min(samples) - self.jitter_16 / 16;
        if surprise < -slack {
            if let Some(priming) = self.priming_at(at, samples) {
                priming.data = data;
                return Verdict::BeforeStart;
            }
            if self.lost {
                // It was not lost but late: silence came too early, wait longer next time.
                self.patience = (self.patience * 2).min(PATIENCE_MAX);
                self.lost = false;
            }
            return Verdict::Overlap;
        }
        self.lost = false;
        if surprise > slack {
            let unit = self
                .silence
                .as_ref()
                .map_or(samples, |silence| silence.samples);
            let filled = self.fill(end, (2 * late + unit) / (2 * unit));
            let hole = if self.silence.is_some() { 0 } else { late };
            let end = self.end_or_floor() + if self.closes_holes { 0 } else { hole };
            let late = if hole > 0 { 0 } else { at - end };
            self.late_16 = late.clamp(-samples / 2, samples / 2) * 16;
            self.append(end, samples, data);
            return Verdict::Placed {
                silence: filled,
                hole,
            };
        }
        self.late_16 += surprise;
        let drift = self.late_16 / 16;
        if drift * 4 < -3 * samples {
            self.late_16 += samples * 16;
            return Verdict::Overlap;
        }
        let (mut filled, mut hole) = (0, 0);
        if drift * 4 > 3 * samples {
            self.late_16 -= samples * 16;
            filled = self.fill(end, 1);
            hole = if filled == 0 { samples } else { 0 };
        }
        let left = if self.closes_holes { 0 } else { hole };
        self.append(self.end_or_floor() + left, samples, data);
        Verdict::Placed {
            silence: filled,
            hole,
        }
    }

    /// The session's first frame, if a second one comes at its time: GStreamer's `flvmux` moves a priming frame, which
    /// ends before the first picture, from its negative time to zero. The second one is the one to be heard.
    fn priming_at(&mut self, at: i64, samples: i64) -> Option<&mut Sound> {
        let first = self.first?;
        match self.queue.make_contiguous() {
            [only] if only.start == first && (at - first).abs() <= samples / 2 => Some(only),
            _ => None,
        }
    }

    /// The first frame of a session stays exactly where it came, so that sound and picture are as the encoder meant.
    fn accept_first(&mut self, at: i64, samples: i64, data: Bytes) -> Verdict {
        if at + samples <= self.floor {
            return Verdict::BeforeStart;
        }
        // A run's first sound may begin before its first picture by less than a frame; later there is sound before it.
        if let Some(end) = self.end.filter(|end| self.floor - end < self.rate) {
            return self.join(end, at, samples, data);
        }
        self.started = true;
        self.lost = false;
        let length = self
            .silence
            .as_ref()
            .map_or(samples, |silence| silence.samples);
        let missing = (at - self.floor).max(0);
        let count = if missing * 2 > samples {
            missing / length
        } else {
            0
        };
        let filled = self.fill(at - count * length, count);
        self.append(at, samples, data);
        Verdict::Placed {
            silence: filled,
            hole: 0,
        }
    }

    /// The session's first frame behind the sound of the one before, which ends at `end`: without a hole, which players stumble
    /// over, so up to half a frame beside its time (11 ms for AAC at 48 kHz).
    fn join(&mut self, end: i64, at: i64, samples: i64, data: Bytes) -> Verdict {
        let late = at - end;
        if 2 * late < -samples {
            if self.lost {
                self.patience = (self.patience * 2).min(PATIENCE_MAX);
                self.lost = false;
            }
            return Verdict::Overlap;
        }
        self.started = true;
        self.lost = false;
        let length = self.silence.as_ref().map(|silence| silence.samples);
        let filled = length.map_or(0, |length| {
            self.fill(end, (2 * late + length).max(0) / (2 * length))
        });
        let place = match length {
            None if 2 * late > samples => at,
            _ => self.end.unwrap_or(end),
        };
        self.late_16 = (at - place) * 16;
        self.append(place, samples, data);
        Verdict::Placed {
            silence: filled,
            hole: 0,
        }
    }

    /// Whether sound lags so far behind `until` that silence should take its place.
    pub(in crate::fmp4) fn is_missing(&mut self, until: i64) -> bool {
        if until - self.end_or_floor() > self.rate * self.patience / 2 {
            self.lost = true;
        }
        self.lost
    }

    /// Lets silence go on for as long as it ends by `until`; returns how many frames. None where no silent
    /// frame is known.
    pub(in crate::fmp4) fn fill_until(&mut self, until: i64) -> u64 {
        let Some(length) = self.silence.as_ref().map(|silence| silence.samples) else {
            return 0;
        };
        let end = self.end_or_floor();
        self.fill(end, (until - end).max(0) / length)
    }

    /// Whether there is a frame that begins before `until`, or that follows the last one taken without a hole.
    pub(in crate::fmp4) fn reaches(&self, until: i64) -> bool {
        let front = self.queue.front().map(|sound| sound.start);
        front.is_some_and(|front| front < until || Some(front) == self.taken_end)
    }

    /// Takes the frames that begin before `until`; at least one if `some`.
    pub(in crate::fmp4) fn take(&mut self, until: i64, some: bool) -> Vec<Sound> {
        let count = self.queue.partition_point(|sound| sound.start < until);
        self.take_first(count.max(usize::from(some)))
    }

    fn take_first(&mut self, count: usize) -> Vec<Sound> {
        let taken: Vec<Sound> = self.queue.drain(..count.min(self.queue.len())).collect();
        if let Some(last) = taken.last() {
            self.taken_end = Some(last.start + last.samples);
        }
        taken
    }

    /// How many frames from the front fit into `limit` samples; `None` while more may come that fit.
    pub(in crate::fmp4) fn full(&self, limit: i64) -> Option<usize> {
        let first = self.queue.front()?.start;
        let fitting = self
            .queue
            .iter()
            .take_while(|sound| sound.start + sound.samples - first <= limit)
            .count();
        let last = self.queue.back()?;
        let another = last.start + 2 * last.samples - first <= limit;
        // A single frame longer than the limit is a part all the same.
        (fitting < self.queue.len() || !another).then_some(fitting.max(1))
    }

    /// Takes the frames that end by `until`; at least one, if there is any.
    pub(in crate::fmp4) fn take_ending_by(&mut self, until: i64) -> Vec<Sound> {
        let count = self
            .queue
            .partition_point(|sound| sound.start + sound.samples <= until);
        self.take_first(count.max(1))
    }

    /// How much earlier what is not yet taken could be.
    pub(in crate::fmp4) fn room(&self) -> Option<i64> {
        let front = self.queue.front()?.start;
        Some(front - self.taken_end.unwrap_or(i64::MIN / 4))
    }

    /// What was placed and not yet taken moves `by` samples earlier.
    pub(in crate::fmp4) fn shift(&mut self, by: i64) {
        if !self.queue.is_empty() {
            for sound in &mut self.queue {
                sound.start -= by;
            }
            self.end = self.end.map(|end| end - by);
        }
    }

    fn fill(&mut self, from: i64, count: i64) -> u64 {
        let Some(silence) = self.silence.clone() else {
            return 0;
        };
        let mut at = from;
        for _ in 0..count {
            self.append(at, silence.samples, silence.data.clone());
            at += silence.samples;
        }
        u64::try_from(count).unwrap_or(0)
    }

    fn append(&mut self, start: i64, samples: i64, data: Bytes) {
        self.queue.push_back(Sound {
            start,
            samples,
            data,
        });
        self.end = Some(start + samples);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fmp4::{silence::silence, testing};

    const FRAME: i64 = 1_024;
    const PLACED: Verdict = Verdict::Placed {
        silence: 0,
        hole: 0,
    };

    fn lane() -> SoundLane {
        let mut lane = SoundLane::new(48_000, silence(&testing::aac()), None, false);
        lane.start(0);
        lane
    }

    fn accept(lane: &mut SoundLane, at: i64) -> Verdict {
        lane.accept(at, FRAME, Bytes::from_static(b"x"))
    }

    fn is_gapless(lane: &SoundLane) -> bool {
        let starts: Vec<i64> = lane.queue.iter().map(|sound| sound.start).collect();
        starts.windows(2).all(|pair| pair[1] - pair[0] == FRAME)
    }

    #[test]
    fn a_millisecond_of_blur_is_neither_hole_nor_overlap() {
        let mut lane = lane();
        for n in 0..10_000 {
            let blurred = n * FRAME / 48 * 48;
            assert_eq!(accept(&mut lane, blurred), PLACED);
        }
        assert!(is_gapless(&lane));
    }

    #[test]
    fn a_lost_frame_is_replaced_by_silence() {
        let mut lane = lane();
        for n in (0..40).filter(|n| *n != 20 && *n != 30 && *n != 31) {
            let silence = match n {
                21 => 1,
                32 => 2,
                _ => 0,
            };
            assert_eq!(
                accept(&mut lane, n * FRAME),
                Verdict::Placed { silence, hole: 0 }
            );
        }
        assert!(is_gapless(&lane));
        assert_eq!(lane.end(), Some(40 * FRAME));
    }

    #[test]
    fn a_repeated_frame_is_dropped() {
        let mut lane = lane();
        for n in 0..10 {
            assert_eq!(accept(&mut lane, n * FRAME), PLACED);
        }
        assert_eq!(accept(&mut lane, 9 * FRAME), Verdict::Overlap);
        assert_eq!(accept(&mut lane, 10 * FRAME), PLACED);
    }

    #[test]
    fn a_priming_frame_moved_to_zero_gives_way_to_the_first_to_be_heard() {
        let mut lane = lane();
        lane.accept(0, FRAME, Bytes::from_static(b"priming"));
        let verdict = lane.accept(0, FRAME, Bytes::from_static(b"heard"));
        assert_eq!(verdict, Verdict::BeforeStart);
        lane.accept(FRAME, FRAME, Bytes::from_static(b"next"));
        let data: Vec<&[u8]> = lane.queue().iter().map(|sound| &sound.data[..]).collect();
        assert_eq!(data, [&b"heard"[..], b"next"]);
        // Only the very first: a repeated time later is an overlap.
        assert_eq!(
            lane.accept(FRAME, FRAME, Bytes::from_static(b"late")),
            Verdict::Overlap
        );
    }

    #[test]
    fn a_drifting_clock_is_followed_by_whole_frames() {
        for drift in [-2_000, 2_000] {
            let mut lane = lane();
            let (mut silence, mut dropped) = (0u64, 0u64);
            // Half a thousandth over 200 s: 100 ms, that is 4.7 frames.
            for n in 0..9_375 {
                match accept(&mut lane, n * FRAME + n * FRAME / drift) {
                    Verdict::Placed { silence: more, .. } => silence += more,
                    _ => dropped += 1,
                }
                let off = lane.end().unwrap() - FRAME - n * FRAME - n * FRAME / drift;
                assert!(off.abs() <= FRAME + FRAME / 8, "{off} at {n}");
            }
            assert!(is_gapless(&lane));
            let (expected_silence, expected_dropped) = if drift > 0 { (4, 0) } else { (0, 4) };
            assert!(
                (silence.abs_diff(expected_silence)) <= 1,
                "{silence} of silence"
            );
            assert!(dropped.abs_diff(expected_dropped) <= 1, "{dropped} dropped");
        }
    }

    #[test]
    fn jitter_of_a_phone_costs_a_few_frames_at_most() {
        let mut lane = lane();
        let mut lost = 0;
        for n in 0..2_000i64 {
            // Up to 15 ms early or late, in no order.
            let jitter = (n * 7_919 % 31 - 15) * 48;
            lost += u32::from(accept(&mut lane, n * FRAME + jitter) != PLACED);
        }
        assert!(lost < 20, "{lost} of 2000");
    }

    #[test]
    fn sound_that_ends_before_the_first_picture_is_dropped() {
        let mut lane = lane();
        lane.start(5_000);
        assert_eq!(accept(&mut lane, 2_952), Verdict::BeforeStart);
        assert_eq!(accept(&mut lane, 3_976), Verdict::BeforeStart);
        assert_eq!(accept(&mut lane, 3_977 + 200), PLACED, "covers the picture");
        assert_eq!(lane.queue[0].start, 4_177);
    }

    #[test]
    fn sound_that_begins_late_begins_with_silence() {
        let mut lane = lane();
        assert_eq!(
            accept(&mut lane, 2_100),
            Verdict::Placed {
                silence: 2,
                hole: 0
            }
        );
        assert_eq!(lane.queue[0].start, 2_100 - 2_048);
    }

    #[test]
    fn a_second_session_goes_on_behind_the_first() {
        let mut lane = lane();
        accept(&mut lane, 0);
        lane.take(i64::MAX, false);
        lane.start(4_000);
        // 2,876 samples lack, which is nearer to three frames than to two.
        assert_eq!(
            accept(&mut lane, 3_900),
            Verdict::Placed {
                silence: 3,
                hole: 0
            }
        );
        let starts: Vec<i64> = lane.queue.iter().map(|sound| sound.start).collect();
        assert_eq!(starts, [1_024, 2_048, 3_072, 4_096]);
        // What follows is as early as the first, so nothing is missing and nothing overlaps.
        for n in 1..200 {
            assert_eq!(accept(&mut lane, 3_900 + n * FRAME), PLACED);
        }
        assert!(is_gapless(&lane));
    }

    #[test]
    fn silence_takes_over_and_gives_back() {
        let mut lane = lane();
        accept(&mut lane, 0);
        assert!(!lane.is_missing(24_000));
        assert!(lane.is_missing(26_000));
        assert_eq!(lane.fill_until(26_000), 24);
        assert_eq!(
            accept(&mut lane, 30_000),
            Verdict::Placed {
                silence: 4,
                hole: 0
            }
        );
        assert!(!lane.is_missing(31_000));
    }

    #[test]
    fn sound_that_was_only_late_is_waited_for_longer() {
        let mut lane = lane();
        accept(&mut lane, 0);
        assert!(lane.is_missing(26_000));
        lane.fill_until(26_000);
        assert_eq!(accept(&mut lane, FRAME), Verdict::Overlap);
        let end = lane.end().unwrap();
        assert!(!lane.is_missing(end + 30_000));
    }
}
