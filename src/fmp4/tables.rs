//! The sample tables of one track of the final `moov`, collected run by run (ISO/IEC 14496-12 8.6, 8.7).

use std::borrow::Cow;

use bytes::{BufMut, BytesMut};

use super::boxes::{count, full_box};
use crate::av::{Sample, TrackRun};

/// A value that holds for so many samples in a row.
type Runs = Vec<(u32, u32)>;

/// Grows with the file: about 4 bytes a sample and 8 a part, which is what the tables themselves take.
#[derive(Debug, Default)]
pub(super) struct SampleTables {
    durations: Runs,
    /// Composition offsets as in the fragments: not negative.
    offsets: Runs,
    sizes: Vec<u32>,
    keys: Vec<u32>,
    chunks: Vec<u64>,
    /// First chunk, counted from one, that holds so many samples.
    chunk_sizes: Runs,
    samples: u32,
    /// Duration of the newest sample, which may still grow.
    last_duration: i64,
    first_decode: Option<i64>,
    decode_end: i64,
    least_presented: i64,
    presented_end: i64,
    least_offset: u32,
    most_offset: u32,
}

/// The timeline of a track once all runs are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    /// Decoding time of the first sample.
    pub(super) first_decode: i64,
    /// The least presentation time.
    pub(super) first_presented: i64,
    /// The sum of all durations.
    pub(super) duration: u64,
}

impl SampleTables {
    /// Adds one run, whose data begins at `offset` of the file.
    pub(super) fn add(&mut self, run: &TrackRun, offset: u64) {
        let Some(first) = run.samples.first() else {
            return;
        };
        let base = run.base_decode_time.0;
        if self.first_decode.is_none() {
            self.first_decode = Some(base);
            self.decode_end = base;
            self.least_presented = base + i64::from(first.composition_offset);
            self.least_offset = first.composition_offset;
        }
        // A hole is the duration of the sample before it.
        let hole = base - self.decode_end;
        if hole != 0 && self.samples > 0 {
            let duration = (self.last_duration + hole).max(0);
            self.decode_end += duration - self.last_duration;
            self.last_duration = duration;
        }
        self.chunks.push(offset);
        let in_chunk = count(run.samples.len());
        if self
            .chunk_sizes
            .last()
            .is_none_or(|(_, last)| *last != in_chunk)
        {
            self.chunk_sizes.push((count(self.chunks.len()), in_chunk));
        }
        self.sizes
            .extend(run.samples.iter().map(|sample| sample.size));
        for sample in &run.samples {
            self.add_sample(sample);
        }
    }

    #[inline]
    fn add_sample(&mut self, sample: &Sample) {
        if self.samples > 0 {
            push(&mut self.durations, ticks_u32(self.last_duration));
        }
        self.samples += 1;
        self.last_duration = i64::from(sample.duration);
        push(&mut self.offsets, sample.composition_offset);
        if sample.key {
            self.keys.push(self.samples);
        }
        let presented = self.decode_end + i64::from(sample.composition_offset);
        self.least_presented = self.least_presented.min(presented);
        self.presented_end = self
            .presented_end
            .max(presented + i64::from(sample.duration));
        self.least_offset = self.least_offset.min(sample.composition_offset);
        self.most_offset = self.most_offset.max(sample.composition_offset);
        self.decode_end += i64::from(sample.duration);
    }

    /// Samples so far.
    pub(super) fn samples(&self) -> u32 {
        self.samples
    }

    /// Ends the last sample, no earlier than the last picture's presentation: a player drops what lies beyond the sum of
    /// durations.
    pub(super) fn finish(&mut self) -> Option<Extent> {
        let first_decode = self.first_decode?;
        let missing =
            (self.presented_end - self.least_presented) - (self.decode_end - first_decode);
        let last = self.last_duration + missing.max(0);
        self.decode_end += missing.max(0);
        push(&mut self.durations, ticks_u32(last));
        Some(Extent {
            first_decode,
            first_presented: self.least_presented,
            duration: u64::try_from(self.decode_end - first_decode).unwrap_or(0),
        })
    }

    /// Writes the tables. `lag`: the first presentation time less the first decoding time, by which all
    /// composition offsets are lowered, so that the movie begins at zero.
    pub(super) fn write(&self, out: &mut BytesMut, lag: i64, has_keys: bool) {
        table(out, *b"stts", 0, &self.durations);
        if self.most_offset != 0 {
            let lower = |offset: u32| i64::from(offset) - lag;
            let runs = match lower(self.least_offset) {
                ..0 => with_least_early(&self.offsets, self.least_offset),
                _ => Cow::Borrowed(&self.offsets[..]),
            };
            full_box(out, *b"ctts", 1, 0, |out| {
                out.put_u32(count(runs.len()));
                for (samples, offset) in runs.iter() {
                    out.put_u32(*samples);
                    out.put_i32(i32::try_from(lower(*offset)).unwrap_or(i32::MAX));
                }
            });
            self.cslg(out, lag);
        }
        if has_keys && self.keys.len() != self.sizes.len() {
            full_box(out, *b"stss", 0, 0, |out| {
                out.put_u32(count(self.keys.len()));
                put_all(out, &self.keys);
            });
        }
        full_box(out, *b"stsc", 0, 0, |out| {
            out.put_u32(count(self.chunk_sizes.len()));
            for (first_chunk, samples) in &self.chunk_sizes {
                out.put_u32(*first_chunk);
                out.put_u32(*samples);
                out.put_u32(1);
            }
        });
        full_box(out, *b"stsz", 0, 0, |out| {
            out.put_u32(0);
            out.put_u32(self.samples);
            put_all(out, &self.sizes);
        });
        full_box(out, *b"co64", 0, 0, |out| {
            out.put_u32(count(self.chunks.len()));
            self.chunks.iter().for_each(|offset| out.put_u64(*offset));
        });
    }

    /// Composition to decode (ISO/IEC 14496-12 8.6.1.4), in 64 bits: six hours of 90 kHz leave 31.
    fn cslg(&self, out: &mut BytesMut, lag: i64) {
        let least = i64::from(self.least_offset) - lag;
        full_box(out, *b"cslg", 1, 0, |out| {
            out.put_i64((-least).max(0));
            out.put_i64(least);
            out.put_i64(i64::from(self.most_offset) - lag);
            out.put_i64(0);
            out.put_i64(self.presented_end - self.least_presented);
        });
    }

    /// About how many bytes [`Self::write`] writes.
    pub(super) fn written_len(&self) -> usize {
        let pairs = self.durations.len() + self.offsets.len() + self.chunks.len();
        let numbers = self.sizes.len() + self.keys.len() + 3 * self.chunk_sizes.len();
        256 + 8 * pairs + 4 * numbers
    }
}

/// Millions of numbers: written as one stretch, without a check for each.
fn put_all(out: &mut BytesMut, values: &[u32]) {
    let start = out.len();
    out.resize(start + 4 * values.len(), 0);
    for (slot, value) in out[start..].chunks_exact_mut(4).zip(values) {
        slot.copy_from_slice(&value.to_be_bytes());
    }
}

fn table(out: &mut BytesMut, kind: [u8; 4], version: u8, runs: &Runs) {
    full_box(out, kind, version, 0, |out| {
        out.put_u32(count(runs.len()));
        for (samples, value) in runs {
            out.put_u32(*samples);
            out.put_u32(*value);
        }
    });
}

#[inline]
fn push(runs: &mut Runs, value: u32) {
    match runs.last_mut() {
        Some((samples, last)) if *last == value => *samples += 1,
        _ => runs.push((1, value)),
    }
}

fn ticks_u32(ticks: i64) -> u32 {
    u32::try_from(ticks.max(0)).unwrap_or(u32::MAX)
}
/// The runs of composition offsets, so that the least is in one before the last two: FFmpeg (libavformat/mov.c,
/// `mov_read_ctts`) does not look at those for how much later than decoded pictures are shown, and then finds times that go
/// back. A run may be written as several.
fn with_least_early(runs: &[(u32, u32)], least: u32) -> Cow<'_, [(u32, u32)]> {
    let Some(first) = runs.iter().position(|(_, offset)| *offset == least) else {
        return Cow::Borrowed(runs);
    };
    let lacking = (first + 3).saturating_sub(runs.len());
    let (samples, _) = runs[first];
    let Some(rest) = u32::try_from(lacking)
        .ok()
        .and_then(|ones| samples.checked_sub(ones))
    else {
        return Cow::Borrowed(runs);
    };
    if lacking == 0 || rest == 0 {
        return Cow::Borrowed(runs);
    }
    let mut split = runs.to_vec();
    split[first].0 = rest;
    split.splice(first..first, std::iter::repeat_n((1, least), lacking));
    Cow::Owned(split)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_offset_is_never_in_the_last_two_runs_alone() {
        for (runs, written) in [
            // One picture lost behind the first: ffprobe 5.1 called every time of this file invalid.
            (
                vec![(1, 6_000), (262, 3_000), (1, 6_000)],
                vec![(1, 6_000), (1, 3_000), (261, 3_000), (1, 6_000)],
            ),
            (
                vec![(1, 6_000), (9, 3_000)],
                vec![(1, 6_000), (1, 3_000), (1, 3_000), (7, 3_000)],
            ),
            (
                vec![(1, 6_000), (2, 3_000), (1, 9_000), (1, 6_000)],
                vec![(1, 6_000), (2, 3_000), (1, 9_000), (1, 6_000)],
            ),
            // Too few to be taken apart.
            (
                vec![(5, 6_000), (1, 3_000), (1, 6_000)],
                vec![(5, 6_000), (1, 3_000), (1, 6_000)],
            ),
        ] {
            assert_eq!(with_least_early(&runs, 3_000)[..], written[..]);
        }
    }
}
