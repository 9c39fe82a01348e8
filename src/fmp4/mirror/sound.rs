//! A rung's sound from its encoder: frames by their own times, which part takes which.

use std::collections::VecDeque;

use super::MirrorCounters;
use crate::av::{AudioConfig, Frame, Sample, Ticks, Timescale, TrackRun};
use crate::fmp4::boxes::count;
use crate::fmp4::fragment::Pending;
use crate::fmp4::silence::Silence;

/// Frames that wait for their part; more are dropped. A minute and more.
const MOST: usize = 4_096;
/// A frame that begins so close to the last one's end follows it: times are rounded on their way.
const CLOSE: i64 = 2;
/// An encoder keeps about three frames back: a part does not wait for them, the next one has them. 80 ms, 90 kHz.
pub(super) const KEPT_BACK: i64 = 7_200;

/// Where the sound ends that belongs to a part of the source, 90 kHz: where the part's own does; a part without any moves
/// nothing.
pub(super) fn until(run: Option<&TrackRun>, rate: Timescale, before: i64) -> i64 {
    let Some(run) = run else {
        return before;
    };
    let lasting = run.samples.iter().map(|sample| i64::from(sample.duration));
    let end = run.base_decode_time + Ticks(lasting.sum());
    end.rescale(rate, Timescale::VIDEO).0.max(before)
}

#[derive(Debug)]
struct Sound {
    start: i64,
    data: bytes::Bytes,
}

/// Sound that has come and was not handed out.
#[derive(Debug)]
pub(super) struct Sounds {
    rate: Timescale,
    /// How long a frame lasts, in `rate`.
    samples: i64,
    queue: VecDeque<Sound>,
    /// Where the last that came ends, in `rate`.
    end: Option<i64>,
}

impl Default for Sounds {
    fn default() -> Self {
        Self {
            rate: Timescale::VIDEO,
            samples: 1_024,
            queue: VecDeque::new(),
            end: None,
        }
    }
}

impl Sounds {
    pub(super) fn set_config(&mut self, audio: &AudioConfig) {
        let end = self
            .end
            .map(|end| Ticks(end).rescale(self.rate, audio.timescale()).0);
        if self.rate != audio.timescale() {
            self.end = end;
            self.queue.clear();
        }
        self.rate = audio.timescale();
        self.samples = i64::from(audio.frame_samples);
    }

    pub(super) fn push(&mut self, frame: Frame, counters: &mut MirrorCounters) {
        let mut start = frame.dts.0;
        if let Some(end) = self.end {
            if (start - end).abs() <= CLOSE {
                start = end;
            } else if start < end {
                counters.overlap += 1;
                return;
            }
        }
        if start < 0 || self.queue.len() >= MOST {
            counters.ahead += 1;
            return;
        }
        self.end = Some(start + self.samples);
        self.queue.push_back(Sound {
            start,
            data: frame.data,
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether all up to `until` (90 kHz) has come.
    pub(super) fn reaches(&self, until: i64) -> bool {
        let end = self
            .end
            .map(|end| Ticks(end).rescale(self.rate, Timescale::VIDEO).0);
        end.is_some_and(|end| end >= until)
    }

    /// What begins before `until`, 90 kHz: where the first begins, in the sound's rate, and all of it. With
    /// `at_least_one` a later one, if there is none; `later` are left for parts that need one too.
    pub(super) fn take(
        &mut self,
        until: i64,
        at_least_one: bool,
        later: usize,
    ) -> (i64, Vec<Pending>) {
        let until = self.to_own(until);
        let before = self
            .queue
            .iter()
            .take_while(|sound| sound.start < until)
            .count();
        let most = self.queue.len().saturating_sub(later);
        let least = usize::from(at_least_one).min(self.queue.len());
        let taken: Vec<Sound> = self.queue.drain(..before.min(most).max(least)).collect();
        let base = taken.first().map_or(0, |first| first.start);
        let ends: Vec<i64> = taken.iter().skip(1).map(|next| next.start).collect();
        let ends = ends.into_iter().map(Some).chain([None]);
        let pending = taken.into_iter().zip(ends).map(|(sound, end)| Pending {
            sample: Sample {
                size: count(sound.data.len()),
                // Until the next begins: a hole within a part is its predecessor's.
                duration: super::ticks_u32(end.map_or(self.samples, |end| end - sound.start)),
                composition_offset: 0,
                key: true,
            },
            data: sound.data,
        });
        (base, pending.collect())
    }

    /// A frame of silence where there is none, as [`Sounds::take`] answers.
    pub(super) fn silent(&mut self, until: i64, silence: Silence) -> (i64, Vec<Pending>) {
        let start = self.end.unwrap_or_else(|| self.to_own(until)).max(0);
        self.end = Some(start + silence.samples);
        let sample = Sample {
            size: count(silence.data.len()),
            duration: super::ticks_u32(silence.samples),
            composition_offset: 0,
            key: true,
        };
        let data = silence.data;
        (start, vec![Pending { sample, data }])
    }

    /// Drops what belongs to a part that is lost.
    pub(super) fn skip(&mut self, until: i64, counters: &mut MirrorCounters) {
        let until = self.to_own(until);
        while self.queue.front().is_some_and(|sound| sound.start < until) {
            self.queue.pop_front();
            counters.unused += 1;
        }
    }

    /// The encoder is gone; its successor has a grid of its own, and never begins before what was handed out.
    pub(super) fn clear(&mut self, counters: &mut MirrorCounters) {
        counters.unused += self.queue.len() as u64;
        if let Some(first) = self.queue.front() {
            self.end = Some(first.start);
        }
        self.queue.clear();
    }

    fn to_own(&self, ticks: i64) -> i64 {
        Ticks(ticks).rescale(Timescale::VIDEO, self.rate).0
    }
}
