//! One part's bytes: `moof` with one `traf` per track, then one `mdat` (ISO/IEC 14496-12 8.8).
//!
//! The hot path: everything is written once into one buffer of the right size.

use bytes::{BufMut, Bytes, BytesMut};

use super::boxes::{boxed, count, full_box};
use super::init::{DELTA_FLAGS, KEY_FLAGS, track_id};
use crate::av::{Sample, Ticks, TrackKind, TrackRun};

/// A sample that waits for its part to be closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    /// As the index will have it; `size` is that of `data`.
    pub(super) sample: Sample,
    /// The bytes.
    pub(super) data: Bytes,
}

/// The samples of one track for one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PendingRun {
    /// Which track.
    pub(super) track: TrackKind,
    /// Decoding time of the first sample.
    pub(super) base: i64,
    /// What `trex` says of sample durations.
    pub(super) default_duration: u32,
    /// Never empty.
    pub(super) samples: Vec<Pending>,
}

/// `moof` and `mdat` of the given runs, picture first, and what the index keeps of them.
pub(super) fn write(sequence: u32, runs: Vec<PendingRun>) -> (Bytes, Vec<TrackRun>) {
    let payload: usize = runs
        .iter()
        .flat_map(|run| &run.samples)
        .map(|pending| pending.data.len())
        .sum();
    let samples: usize = runs.iter().map(|run| run.samples.len()).sum();
    let mut out = BytesMut::with_capacity(payload + 256 + samples * 16);
    let mut offsets_at = [0; 2];
    boxed(&mut out, *b"moof", |out| {
        full_box(out, *b"mfhd", 0, 0, |out| out.put_u32(sequence));
        for (run, offset_at) in runs.iter().zip(&mut offsets_at) {
            *offset_at = traf(out, run);
        }
    });
    let mut data_offset = out.len() + 8;
    boxed(&mut out, *b"mdat", |out| {
        for pending in runs.iter().flat_map(|run| &run.samples) {
            out.put_slice(&pending.data);
        }
    });
    let mut indexed = Vec::with_capacity(runs.len());
    for (run, offset_at) in runs.into_iter().zip(offsets_at) {
        out[offset_at..offset_at + 4].copy_from_slice(&count(data_offset).to_be_bytes());
        let track_run = TrackRun {
            track: run.track,
            base_decode_time: Ticks(run.base),
            data_offset: count(data_offset),
            samples: run.samples.iter().map(|pending| pending.sample).collect(),
        };
        data_offset += run
            .samples
            .iter()
            .map(|pending| pending.data.len())
            .sum::<usize>();
        indexed.push(track_run);
    }
    (out.freeze(), indexed)
}

/// Writes one `traf` and returns where its `data_offset` has to be filled in.
fn traf(out: &mut BytesMut, run: &PendingRun) -> usize {
    let mut offset_at = 0;
    let duration = run.samples[0].sample.duration;
    let same_duration = run
        .samples
        .iter()
        .all(|pending| pending.sample.duration == duration);
    let own_default = same_duration && duration != run.default_duration;
    boxed(out, *b"traf", |out| {
        // default-base-is-moof, and default-sample-duration-present.
        let flags = 0x02_0000 | if own_default { 0x08 } else { 0 };
        full_box(out, *b"tfhd", 0, flags, |out| {
            out.put_u32(track_id(run.track));
            if own_default {
                out.put_u32(duration);
            }
        });
        full_box(out, *b"tfdt", 1, 0, |out| {
            out.put_u64(
                u64::try_from(run.base).expect("the run's timeline begins at zero or later"),
            );
        });
        offset_at = trun(out, run, same_duration);
    });
    offset_at
}

fn trun(out: &mut BytesMut, run: &PendingRun, same_duration: bool) -> usize {
    const DATA_OFFSET: u32 = 0x001;
    const FIRST_FLAGS: u32 = 0x004;
    const DURATIONS: u32 = 0x100;
    const SIZES: u32 = 0x200;
    const FLAGS: u32 = 0x400;
    const OFFSETS: u32 = 0x800;

    let video = run.track == TrackKind::Video;
    let key_later = video && run.samples[1..].iter().any(|pending| pending.sample.key);
    let key_first = video && run.samples[0].sample.key && !key_later;
    let offsets = run
        .samples
        .iter()
        .any(|pending| pending.sample.composition_offset != 0);
    let flag = |set: bool, flag: u32| if set { flag } else { 0 };
    let flags = DATA_OFFSET
        | SIZES
        | flag(key_first, FIRST_FLAGS)
        | flag(!same_duration, DURATIONS)
        | flag(key_later, FLAGS)
        | flag(offsets, OFFSETS);
    let mut offset_at = 0;
    full_box(out, *b"trun", 0, flags, |out| {
        out.put_u32(count(run.samples.len()));
        offset_at = out.len();
        out.put_u32(0);
        if key_first {
            out.put_u32(KEY_FLAGS);
        }
        for Pending { sample, .. } in &run.samples {
            if !same_duration {
                out.put_u32(sample.duration);
            }
            out.put_u32(sample.size);
            if key_later {
                out.put_u32(if sample.key { KEY_FLAGS } else { DELTA_FLAGS });
            }
            if offsets {
                out.put_u32(sample.composition_offset);
            }
        }
    });
    offset_at
}
