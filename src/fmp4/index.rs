//! The index of one segment: what the final `moov` needs to know of its parts, in few bytes.
//!
//! Kept with the segment's row, so that finishing after a crash need not read the media. About 450 bytes for
//! two seconds of 30 fps and AAC. Layout, all numbers varints unless said otherwise:
//!
//! ```text
//! version          byte, 1
//! unit             greatest common divisor of all composition offsets of the segment
//! parts            count, then for each:
//!   flags          byte: 1 independent · 2 a first run · 4 a second run · 8 a start · 16 a duration
//!                        32 the first run is sound · 64 the second is
//!   length         bytes
//!   start          zig-zag, from where the last part ended (left out: exactly there)
//!   duration       zig-zag (left out: the sum of the pictures')
//!   run            none, one or two:
//!     base         zig-zag, decoding time, from where the track's last run ended
//!     data_offset  zig-zag, from where the last run's data ended
//!     samples      count × 4 + durations (0: all as the track's last, 1: all as one that follows, 2: each)
//!     each sample  size; of pictures: offset ÷ unit × 2, + 1 if not key; duration if each is told
//! ```
//!
//! Every sound frame counts as key and has no offset; there are at most a run of each track, the picture's first.

use super::bits::{Reader, put_varint, put_zigzag};
use crate::av::{Part, Sample, Ticks, TrackKind, TrackRun};

/// The version of the encoding that this code writes; others are refused.
const VERSION: u8 = 1;

/// Times lie below: 2^53 ticks of 90 kHz are three thousand years, and sums of a few stay far from 64 bits.
const MAX_TIME: i64 = 1 << 53;

const INDEPENDENT: u8 = 1;
const FIRST_RUN: u8 = 2;
const SECOND_RUN: u8 = 4;
const START: u8 = 8;
const DURATION: u8 = 16;
const FIRST_IS_AUDIO: u8 = 32;
const SECOND_IS_AUDIO: u8 = 64;

/// What the index keeps of one part: all of [`Part`] but its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartIndex {
    /// Bytes of `moof` and `mdat` together.
    pub length: u32,
    /// See [`Part::start`].
    pub start: Ticks,
    /// See [`Part::duration`].
    pub duration: Ticks,
    /// See [`Part::independent`].
    pub independent: bool,
    /// See [`Part::runs`]; at most two.
    pub runs: Vec<TrackRun>,
}

impl From<&Part> for PartIndex {
    fn from(part: &Part) -> Self {
        Self {
            length: super::boxes::count(part.bytes.len()),
            start: part.start,
            duration: part.duration,
            independent: part.independent,
            runs: part.runs.clone(),
        }
    }
}

/// The parts of one segment, in order, without their bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SegmentIndex {
    /// In order; the parts lie in the file one behind the other.
    pub parts: Vec<PartIndex>,
}

/// Why an encoded index is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// It was written by another version.
    #[error("segment index of unknown version {0}")]
    Version(u8),
    /// It is cut short, goes on behind its end, or holds impossible numbers.
    #[error("segment index is damaged")]
    Damaged,
}

/// What is expected of the next part or run, so that only surprises are written.
#[derive(Default)]
struct Expected {
    start: i64,
    video: TrackExpected,
    audio: TrackExpected,
}

#[derive(Default)]
struct TrackExpected {
    base: i64,
    duration: u32,
}

impl Expected {
    fn track(&mut self, kind: TrackKind) -> &mut TrackExpected {
        match kind {
            TrackKind::Video => &mut self.video,
            TrackKind::Audio => &mut self.audio,
        }
    }
}

/// Where a run ends if nothing is missing: its decoding time, and its data in the part.
fn run_end(run: &TrackRun) -> (i64, i64) {
    let mut time = run.base_decode_time.0;
    let mut data = i64::from(run.data_offset);
    for sample in &run.samples {
        time = time.wrapping_add(i64::from(sample.duration));
        data = data.wrapping_add(i64::from(sample.size));
    }
    (time, data)
}

/// The duration a part has unless told otherwise: its pictures'.
fn usual_duration(runs: &[TrackRun]) -> i64 {
    runs.iter()
        .filter(|run| run.track == TrackKind::Video)
        .flat_map(|run| &run.samples)
        .map(|sample| i64::from(sample.duration))
        .sum()
}

fn is_time(ticks: i64) -> bool {
    (-MAX_TIME..MAX_TIME).contains(&ticks)
}

fn greatest_common_divisor(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

impl SegmentIndex {
    /// The bytes for the segment's row.
    ///
    /// # Panics
    /// When a part holds more than two runs, which the packager never makes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Self::encode_parts(&self.parts)
    }

    /// [`Self::encode`] of parts that are not yet collected in a `SegmentIndex`.
    ///
    /// # Panics
    /// When a part holds more than two runs, which the packager never makes.
    #[must_use]
    pub fn encode_parts(parts: &[PartIndex]) -> Vec<u8> {
        let samples = parts
            .iter()
            .flat_map(|part| &part.runs)
            .flat_map(|run| &run.samples);
        let unit = samples.fold(0, |unit, sample| {
            greatest_common_divisor(unit, sample.composition_offset)
        });
        let unit = unit.max(1);
        let mut out = Vec::with_capacity(32 + parts.len() * 64);
        out.push(VERSION);
        put_varint(&mut out, u64::from(unit));
        put_varint(&mut out, parts.len() as u64);
        let mut expected = Expected::default();
        for part in parts {
            assert!(part.runs.len() <= 2, "a part has one run per track");
            encode_part(&mut out, part, unit, &mut expected);
        }
        out
    }

    /// Reads what [`Self::encode`] wrote. Memory stays within a small multiple of `bytes`.
    ///
    /// # Errors
    /// Another version, or damage.
    pub fn decode(bytes: &[u8]) -> Result<Self, IndexError> {
        let mut reader = Reader::new(bytes);
        match reader.byte() {
            Some(VERSION) => {}
            Some(version) => return Err(IndexError::Version(version)),
            None => return Err(IndexError::Damaged),
        }
        let index = decode_parts(&mut reader).ok_or(IndexError::Damaged)?;
        if reader.remaining() == 0 {
            Ok(index)
        } else {
            Err(IndexError::Damaged)
        }
    }

    /// Bytes of all parts together.
    #[must_use]
    pub fn length_bytes(&self) -> u64 {
        self.parts.iter().map(|part| u64::from(part.length)).sum()
    }
}

fn encode_part(out: &mut Vec<u8>, part: &PartIndex, unit: u32, expected: &mut Expected) {
    let usual = usual_duration(&part.runs);
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    let is_audio = |at: usize| {
        part.runs
            .get(at)
            .is_some_and(|run| run.track == TrackKind::Audio)
    };
    out.push(
        flag(part.independent, INDEPENDENT)
            | flag(!part.runs.is_empty(), FIRST_RUN)
            | flag(part.runs.len() > 1, SECOND_RUN)
            | flag(part.start.0 != expected.start, START)
            | flag(part.duration.0 != usual, DURATION)
            | flag(is_audio(0), FIRST_IS_AUDIO)
            | flag(is_audio(1), SECOND_IS_AUDIO),
    );
    put_varint(out, u64::from(part.length));
    if part.start.0 != expected.start {
        put_zigzag(out, part.start.0.wrapping_sub(expected.start));
    }
    if part.duration.0 != usual {
        put_zigzag(out, part.duration.0);
    }
    expected.start = part.start.0.wrapping_add(part.duration.0);
    let mut data_end = 0;
    for run in &part.runs {
        encode_run(out, run, unit, data_end, expected.track(run.track));
        data_end = run_end(run).1;
    }
}

fn encode_run(
    out: &mut Vec<u8>,
    run: &TrackRun,
    unit: u32,
    data_end: i64,
    expected: &mut TrackExpected,
) {
    put_zigzag(out, run.base_decode_time.0.wrapping_sub(expected.base));
    put_zigzag(out, i64::from(run.data_offset).wrapping_sub(data_end));
    let first = run.samples.first().map_or(0, |sample| sample.duration);
    let uniform = run.samples.iter().all(|sample| sample.duration == first);
    let durations = match uniform {
        true if first == expected.duration => 0,
        true => 1,
        false => 2,
    };
    put_varint(out, (run.samples.len() as u64) << 2 | durations);
    if durations == 1 {
        put_varint(out, u64::from(first));
    }
    for sample in &run.samples {
        put_varint(out, u64::from(sample.size));
        if run.track == TrackKind::Video {
            let delta = u64::from(!sample.key);
            put_varint(
                out,
                u64::from(sample.composition_offset / unit) << 1 | delta,
            );
        }
        if durations == 2 {
            put_varint(out, u64::from(sample.duration));
        }
        expected.duration = sample.duration;
    }
    expected.base = run_end(run).0;
}

fn decode_parts(reader: &mut Reader<'_>) -> Option<SegmentIndex> {
    let unit = reader.varint_u32()?;
    let count = usize::try_from(reader.varint()?).ok()?;
    // Each part takes two bytes at least: a count beyond that is a lie, and nothing is allocated for it.
    if count > reader.remaining() / 2 {
        return None;
    }
    let mut parts = Vec::with_capacity(count);
    let mut expected = Expected::default();
    for _ in 0..count {
        parts.push(decode_part(reader, unit, &mut expected)?);
    }
    Some(SegmentIndex { parts })
}

fn decode_part(reader: &mut Reader<'_>, unit: u32, expected: &mut Expected) -> Option<PartIndex> {
    let flags = reader.byte()?;
    if flags & 0x80 != 0 || flags & (FIRST_RUN | SECOND_RUN) == SECOND_RUN {
        return None;
    }
    let length = reader.varint_u32()?;
    let start = match flags & START {
        0 => expected.start,
        _ => expected.start.wrapping_add(reader.zigzag()?),
    };
    let told_duration = match flags & DURATION {
        0 => None,
        _ => Some(reader.zigzag()?),
    };
    let mut runs = Vec::with_capacity(2);
    let mut data_end = 0;
    for (there, is_audio) in [(FIRST_RUN, FIRST_IS_AUDIO), (SECOND_RUN, SECOND_IS_AUDIO)] {
        if flags & there != 0 {
            let track = match flags & is_audio {
                0 => TrackKind::Video,
                _ => TrackKind::Audio,
            };
            let run = decode_run(reader, unit, track, data_end, expected.track(track))?;
            data_end = run_end(&run).1;
            if runs.iter().any(|other: &TrackRun| other.track >= track) {
                return None;
            }
            runs.push(run);
        }
    }
    let duration = told_duration.unwrap_or_else(|| usual_duration(&runs));
    expected.start = start.wrapping_add(duration);
    if !is_time(start) || !is_time(duration) {
        return None;
    }
    Some(PartIndex {
        length,
        start: Ticks(start),
        duration: Ticks(duration),
        independent: flags & INDEPENDENT != 0,
        runs,
    })
}

fn decode_run(
    reader: &mut Reader<'_>,
    unit: u32,
    track: TrackKind,
    data_end: i64,
    expected: &mut TrackExpected,
) -> Option<TrackRun> {
    let base = expected.base.wrapping_add(reader.zigzag()?);
    let data_offset = u32::try_from(data_end.wrapping_add(reader.zigzag()?)).ok()?;
    let head = reader.varint()?;
    let count = usize::try_from(head >> 2).ok()?;
    if count == 0 || count > reader.remaining() || !is_time(base) {
        return None;
    }
    let each = head & 3 == 2;
    match head & 3 {
        0 | 2 => {}
        1 => expected.duration = reader.varint_u32()?,
        _ => return None,
    }
    let mut samples = Vec::with_capacity(count);
    for _ in 0..count {
        let size = reader.varint_u32()?;
        let (offset, key) = match track {
            TrackKind::Audio => (0, true),
            TrackKind::Video => {
                let both = reader.varint()?;
                let offset = u32::try_from(both >> 1).ok()?.checked_mul(unit)?;
                (offset, both & 1 == 0)
            }
        };
        if each {
            expected.duration = reader.varint_u32()?;
        }
        samples.push(Sample {
            size,
            duration: expected.duration,
            composition_offset: offset,
            key,
        });
    }
    let run = TrackRun {
        track,
        base_decode_time: Ticks(base),
        data_offset,
        samples,
    };
    expected.base = run_end(&run).0;
    Some(run)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fmp4::testing::{Encoder, indexes, packager, session};

    fn samples(track: TrackKind) -> impl Strategy<Value = Vec<Sample>> {
        let sample = (
            any::<u32>(),
            prop_oneof![Just(3_000), any::<u32>()],
            any::<u32>(),
            any::<bool>(),
        );
        let sample = sample.prop_map(move |(size, duration, offset, key)| Sample {
            size,
            duration,
            composition_offset: if track == TrackKind::Video { offset } else { 0 },
            key: key || track == TrackKind::Audio,
        });
        prop::collection::vec(sample, 1..9)
    }

    fn run(track: TrackKind) -> impl Strategy<Value = TrackRun> {
        (-MAX_TIME..MAX_TIME, any::<u32>(), samples(track)).prop_map(
            move |(base, data_offset, samples)| TrackRun {
                track,
                base_decode_time: Ticks(base),
                data_offset,
                samples,
            },
        )
    }

    fn part() -> impl Strategy<Value = PartIndex> {
        let runs = prop_oneof![
            run(TrackKind::Video).prop_map(|run| vec![run]),
            run(TrackKind::Audio).prop_map(|run| vec![run]),
            (run(TrackKind::Video), run(TrackKind::Audio))
                .prop_map(|(video, audio)| vec![video, audio]),
        ];
        (
            any::<u32>(),
            -MAX_TIME..MAX_TIME,
            -MAX_TIME..MAX_TIME,
            any::<bool>(),
            runs,
        )
            .prop_map(|(length, start, duration, independent, runs)| PartIndex {
                length,
                start: Ticks(start),
                duration: Ticks(duration),
                independent,
                runs,
            })
    }

    proptest! {
        #[test]
        fn any_numbers_are_read_as_written(parts in prop::collection::vec(part(), 0..9)) {
            let index = SegmentIndex { parts };
            prop_assert_eq!(SegmentIndex::decode(&index.encode()), Ok(index));
        }

        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(first) = bytes.first_mut() {
                *first = VERSION;
            }
            if let Ok(index) = SegmentIndex::decode(&bytes) {
                prop_assert_eq!(SegmentIndex::decode(&index.encode()), Ok(index));
            }
        }
    }

    #[test]
    fn another_version_or_a_cut_is_refused() {
        let encoder = Encoder::default().with_b_frames();
        let mut packager = packager(encoder.tracks(), Some(30.0));
        let packed = session(&mut packager, encoder.seconds(2.0));
        let bytes = indexes(&packed)[0].encode();
        for cut in 0..bytes.len() {
            assert_eq!(
                SegmentIndex::decode(&bytes[..cut]),
                Err(IndexError::Damaged)
            );
        }
        let mut newer = bytes.clone();
        newer[0] = 2;
        assert_eq!(SegmentIndex::decode(&newer), Err(IndexError::Version(2)));
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(SegmentIndex::decode(&longer), Err(IndexError::Damaged));
    }

    #[test]
    fn two_seconds_take_half_a_kilobyte() {
        let encoder = Encoder::default().with_b_frames();
        let mut packager = packager(encoder.tracks(), Some(30.0));
        let packed = session(&mut packager, encoder.seconds(2.0));
        let bytes = indexes(&packed)[0].encode();
        assert!(bytes.len() < 512, "{}", bytes.len());
    }
}
