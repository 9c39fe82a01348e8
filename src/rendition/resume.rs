//! Goes on with a rendition that an earlier process left: after a crash, a power loss or an orderly stop.
//!
//! Rows tell every finished segment; only what follows the last row is scanned in the file. A torn tail is
//! cut. Parts behind the last row become the segment that the packager would have made of them: its rule of
//! cutting depends on nothing but the parts.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytes::Bytes;

use super::error::RenditionError;
use super::file::RunFile;
use super::growing::{Growing, GrowingPlan, Packing};
use super::place::Place;
use super::replay::{SOURCE, put_on_or_lose, shelve, source_runs, variant};
use super::run::{OpenRun, part_max_ms};
use super::shelf::{PARTED_SEGMENTS, Source, Spot};
use crate::av::{Ticks, Timescale, TrackKind, TrackSet};
use crate::base::{Timestamp, blocking};
use crate::fmp4::{
    self, GROWING_HEADER, MDAT_OFFSET, Packager, PackagerConfig, PartIndex, PartTarget,
    ResumeState, SegmentIndex,
};
use crate::hls::PartMeta;
use crate::store::{Run, RunState, Segment, WholeRecording};

/// What the end of the server before this one has left of what it had written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survived {
    /// All of it: it stopped in order, or was killed and the system lived on.
    Written,
    /// What it had synced for sure, of the rest something: the system went down under it.
    Synced,
}

/// What lies in a run's file behind its last row.
struct Leftover {
    file: RunFile,
    tracks: TrackSet,
    from: u64,
    parts: Vec<PartIndex>,
    modified: Timestamp,
}

impl Growing {
    /// The growing side of a recording that was not finished, ready for its encoder to come back or to be
    /// finished. Also says when its file was last written. A run of which anything that was announced is lost
    /// ends here: what comes next lies in a new one, so that no address ever answers other bytes.
    ///
    /// # Errors
    /// When rows or files cannot be read.
    pub async fn resume(
        plan: GrowingPlan,
        recording: &WholeRecording,
        survived: Survived,
    ) -> Result<(Self, Option<Timestamp>), RenditionError> {
        let mut growing = Self::new(plan);
        growing.recording = Some(recording.recording.id);
        let runs = source_runs(recording);
        let mut written = None;
        for (at, run) in runs.iter().enumerate() {
            let last = at + 1 == runs.len();
            written = growing.take_up(run, last, survived).await?.or(written);
        }
        let made = runs.iter().map(|run| run.number + 1).max().unwrap_or(0);
        growing.numbers.made = u32::try_from(made).unwrap_or(u32::MAX);
        growing.shelf().cool();
        let variant = variant(SOURCE, &runs);
        let average = variant
            .as_ref()
            .and_then(|variant| variant.average_bandwidth);
        growing.rates.declare(average.unwrap_or(0));
        growing.announce_variant(variant);
        Ok((growing, written))
    }

    /// Takes up the next run in order; says when its file was last written, if it was growing.
    async fn take_up(
        &mut self,
        run: &Run,
        last: bool,
        survived: Survived,
    ) -> Result<Option<Timestamp>, RenditionError> {
        let mut indexed = self.plan.store.indexed_segments(run.id).await?;
        let (mut segments, mut indexes) = (Vec::new(), Vec::new());
        for row in indexed.drain(..) {
            let index = SegmentIndex::decode(&row.sample_index);
            indexes.push(index.map_err(|error| RenditionError::Index(error.to_string()))?);
            segments.push(row.segment);
        }
        put_home(&self.plan, run).await?;
        let (sending, store) = (&self.plan.sending, &self.plan.store);
        let source = put_on_or_lose(&self.shelf, run, sending, store, &mut segments).await?;
        let there = source.is_some();
        let mut lost = !there;
        if let Some(Source::File(file)) = source
            && run.state == RunState::Growing
        {
            lost |= lose_beyond(&self.plan, run, file, &mut segments, &mut indexes).await?;
        }
        for segment in &segments {
            let row = shelve(&mut self.shelf(), run, segment);
            self.window.restore(row);
            self.restored.push(row);
        }
        self.fix_part_target(&indexes);
        self.shelve_parts(run, &segments, &indexes);
        // Not the run's own duration: a final file lacks what its gaps last.
        let media = segments.iter().map(|segment| segment.duration.0).sum();
        self.end = run.timeline_start + Ticks(media);
        if run.state == RunState::Final {
            self.finished_runs += 1;
            return Ok(None);
        }
        if !there {
            // Nothing is left to be made final; `griot check` says so.
            return Ok(None);
        }
        let (open, modified) = self.reopen(run, &segments, indexes, survived).await?;
        self.end = open.packager.end();
        if last && !lost && survived == Survived::Written {
            self.run = Some(open);
        } else {
            // What was announced is lost; or its successor exists, and the crash came before it was sealed.
            self.seal(open.run);
        }
        Ok(Some(modified))
    }

    /// PART-TARGET as it was announced: it never changes, so the first run that has parts tells.
    fn fix_part_target(&mut self, segments: &[SegmentIndex]) {
        if self.part_target.is_none() {
            self.part_target = announced_target(self.plan.part_max_ms, segments);
            if let Some(PartTarget::Parts { duration }) = self.part_target {
                self.window.set_part_target(Some(duration));
            }
        }
    }

    /// The parts of the newest segments can be fetched again: players may have read of them before the restart.
    fn shelve_parts(&self, run: &Run, segments: &[Segment], indexes: &[SegmentIndex]) {
        let number = u32::try_from(run.number).unwrap_or(u32::MAX);
        let mut shelf = self.shelf();
        let newest = segments.len().saturating_sub(PARTED_SEGMENTS);
        for (segment, index) in segments.iter().zip(indexes).skip(newest) {
            let mut offset = u64::try_from(segment.byte_offset).unwrap_or(0);
            let msn = u64::try_from(segment.msn).unwrap_or(0);
            for (at, part) in index.parts.iter().enumerate() {
                let spot = Spot {
                    run: number,
                    offset,
                    length: u64::from(part.length),
                };
                offset += spot.length;
                if !segment.gap {
                    shelf.add_part(msn, at, Some(spot), Bytes::new());
                }
            }
        }
    }

    async fn reopen(
        &mut self,
        run: &Run,
        rows: &[Segment],
        mut segments: Vec<SegmentIndex>,
        survived: Survived,
    ) -> Result<(Packing, Timestamp), RenditionError> {
        let plan = self.plan.clone();
        let place = Place::from_row(&run.path)
            .ok_or_else(|| RenditionError::Index(format!("run {} lies nowhere", run.id)))?;
        let known_end = rows
            .last()
            .map(|row| row.byte_offset + row.bytes)
            .and_then(|end| u64::try_from(end).ok());
        let path = plan.sending.places().spool_path(place.key());
        let leftover = blocking(move || read_leftover(&path, known_end, survived)).await?;

        let done = segments.len();
        segments.extend(split(done, leftover.parts));
        self.fix_part_target(&segments);
        let tracks = leftover.tracks;
        let target = self.part_target.unwrap_or(PartTarget::Measuring);
        let state = ResumeState::after(target, run.timeline_start, &segments);
        let config = PackagerConfig {
            part_max_ms: part_max_ms(&plan, self.part_target),
        };
        let packager = Packager::resume(config, tracks, state, None)?;
        let number = u32::try_from(run.number).unwrap_or(u32::MAX);
        let init = packager.init().clone();
        let mut open = OpenRun::new(&plan, run.id, number, init, place, leftover.file);
        open.rewind_segment(leftover.from);
        if done == 0 {
            self.window.start_run(number, number > 0);
            if segments.len() > done {
                self.window.start_session(run.started_at);
            }
        }
        for segment in segments.drain(done..) {
            self.put_back(&mut open, segment);
        }
        let packing = Packing {
            packager,
            run: open,
        };
        Ok((packing, leftover.modified))
    }

    /// Gives a segment that no row knows its place in playlist, shelf and rows.
    fn put_back(&mut self, run: &mut OpenRun, segment: SegmentIndex) {
        let mut offset = run.segment_offset();
        for part in segment.parts {
            let length = u64::from(part.length);
            let (msn, index) = self.window.push_part(PartMeta {
                duration: part.duration,
                independent: part.independent,
                bytes: part.length,
            });
            let spot = run.spot(offset, length);
            offset += length;
            self.shelf().add_part(msn, index, Some(spot), Bytes::new());
            run.put_back(part);
        }
        let put_back = self.end_segment(run);
        self.restored.extend(put_back);
    }
}

/// Back into the spool, to be sealed again: a file that was renamed into the object store before a crash
/// that came before its row.
pub(super) async fn put_home(plan: &GrowingPlan, run: &Run) -> Result<(), RenditionError> {
    let Some(place @ Place::Spool(_)) = Place::from_row(&run.path) else {
        return Ok(());
    };
    let spool = plan.sending.places().spool_path(place.key());
    let Some(object) = plan.sending.places().objects.path(place.key()) else {
        return Ok(());
    };
    let home = blocking(move || {
        if run_is_away(&spool, &object) {
            if let Some(folder) = spool.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::rename(&object, &spool)?;
        }
        Ok(())
    });
    Ok(home.await?)
}

/// Makes gaps of the segments whose bytes the file has not got; says whether there are such.
pub(super) async fn lose_beyond(
    plan: &GrowingPlan,
    run: &Run,
    file: Arc<File>,
    segments: &mut [Segment],
    indexes: &mut [SegmentIndex],
) -> Result<bool, RenditionError> {
    let length = blocking(move || Ok(file.metadata()?.len())).await?;
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let whole = segments
        .iter()
        .take_while(|segment| segment.byte_offset + segment.bytes <= length)
        .count();
    let Some(first) = segments.get(whole) else {
        return Ok(false);
    };
    let (msn, end) = (first.msn, first.byte_offset);
    tracing::error!(
        run = run.number,
        segment.msn = msn,
        segments = segments.len() - whole,
        "segments are lost: the file is shorter than its rows say"
    );
    let empty = SegmentIndex::default();
    let store = &plan.store;
    store
        .lose_segments(run.id, msn, end, &empty.encode())
        .await?;
    for (segment, index) in segments.iter_mut().zip(indexes).skip(whole) {
        (segment.gap, segment.byte_offset, segment.bytes) = (true, end, 0);
        *index = SegmentIndex::default();
    }
    Ok(true)
}

/// Whether a run's file lies among the objects although its row says spool.
fn run_is_away(spool: &Path, object: &Path) -> bool {
    !spool.exists() && object.exists()
}

fn read_leftover(path: &Path, known_end: Option<u64>, survived: Survived) -> io::Result<Leftover> {
    let mut reader = File::open(path)?;
    let modified = reader.metadata()?.modified()?;
    let head = fmp4::scan_head(&mut reader).map_err(io::Error::other)?;
    let from = known_end.unwrap_or(head.length);
    let mut scan = fmp4::scan_parts(&mut reader, head, known_end).map_err(io::Error::other)?;
    if survived == Survived::Synced {
        // Headers may have reached the disk and what they announce not: what was not synced is not trusted.
        scan.parts.clear();
        scan.data_end = from;
    }
    let was_final = scan.head.finalised_end.is_some();
    let growing = was_final.then_some((MDAT_OFFSET, GROWING_HEADER));
    let file = RunFile::resume(path, scan.data_end, growing)?;
    let since_1970 = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Leftover {
        file,
        tracks: scan.head.tracks,
        from,
        parts: scan.parts,
        modified: Timestamp(i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX)),
    })
}

/// PART-TARGET as it was announced: the longest part, in whole milliseconds. Longer parts than the
/// setting allows were never announced as such. `None` when there is no part.
fn announced_target(part_max_ms: u32, segments: &[SegmentIndex]) -> Option<PartTarget> {
    let longest = segments
        .iter()
        .flat_map(|segment| &segment.parts)
        .map(|part| part.duration.0)
        .max()?;
    let millis = (longest + 89) / 90;
    if millis > i64::from(part_max_ms) {
        return Some(PartTarget::NoParts);
    }
    Some(PartTarget::Parts {
        duration: Ticks(millis * 90),
    })
}

/// Cuts parts behind the last row into segments as the packager does (design §4a): at the first part that
/// begins with a key frame once the segment is long enough, by force before 6.4 s.
fn split(segments_before: usize, parts: Vec<PartIndex>) -> Vec<SegmentIndex> {
    let second = i64::from(Timescale::VIDEO.get());
    let mut segments: Vec<SegmentIndex> = Vec::new();
    let mut open = SegmentIndex::default();
    let mut length = 0;
    for part in parts {
        let least = if segments_before + segments.len() < 3 {
            second * 9 / 10
        } else {
            second * 32 / 10
        };
        let forced = length + part.duration.0 >= second * 64 / 10;
        if !open.parts.is_empty() && (forced || (length >= least && begins_with_key(&part))) {
            segments.push(std::mem::take(&mut open));
            length = 0;
        }
        length += part.duration.0;
        open.parts.push(part);
    }
    if !open.parts.is_empty() {
        segments.push(open);
    }
    segments
}

pub(super) fn begins_with_key(part: &PartIndex) -> bool {
    let pictures = part.runs.iter().find(|run| run.track == TrackKind::Video);
    let first = pictures.or(part.runs.first());
    first
        .and_then(|run| run.samples.first())
        .is_some_and(|sample| sample.key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::av::{Sample, TrackRun};

    fn part(duration: i64, key: bool) -> PartIndex {
        PartIndex {
            length: 100,
            start: Ticks::ZERO,
            duration: Ticks(duration),
            independent: key,
            runs: vec![TrackRun {
                track: TrackKind::Video,
                base_decode_time: Ticks::ZERO,
                data_offset: 50,
                samples: vec![Sample {
                    size: 50,
                    duration: 3_000,
                    composition_offset: 0,
                    key,
                }],
            }],
        }
    }

    /// 200 ms parts, a key frame every two seconds.
    fn parts(count: usize) -> Vec<PartIndex> {
        (0..count)
            .map(|index| part(18_000, index % 10 == 0))
            .collect()
    }

    fn lengths(segments: &[SegmentIndex]) -> Vec<usize> {
        segments.iter().map(|segment| segment.parts.len()).collect()
    }

    #[test]
    fn parts_behind_the_last_row_are_cut_as_the_packager_would_have() {
        // The first three at the first key frame after 0.9 s, then at the first after 3.2 s.
        assert_eq!(lengths(&split(0, parts(63))), [10, 10, 10, 20, 13]);
        assert_eq!(lengths(&split(3, parts(25))), [20, 5]);
        // No key frame at all: before 6.4 s.
        let endless = (0..40).map(|_| part(18_000, false)).collect();
        assert_eq!(lengths(&split(3, endless)), [31, 9]);
        assert!(split(0, Vec::new()).is_empty());
    }

    #[test]
    fn the_part_target_is_the_longest_part_in_whole_milliseconds() {
        let of = |duration| {
            let segment = SegmentIndex {
                parts: vec![part(duration, true)],
            };
            announced_target(200, &[segment])
        };
        // Four frames of 24 fps are 15,000 ticks: 166.7 ms.
        assert_eq!(
            of(15_000),
            Some(PartTarget::Parts {
                duration: Ticks(167 * 90)
            })
        );
        assert_eq!(
            of(18_000),
            Some(PartTarget::Parts {
                duration: Ticks(18_000)
            })
        );
        assert_eq!(of(400_000), Some(PartTarget::NoParts));
        assert_eq!(announced_target(200, &[]), None);
    }
}
