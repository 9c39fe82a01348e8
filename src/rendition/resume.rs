//! Goes on with a rendition that an earlier process left: after a crash, a power loss or an orderly stop.
//!
//! Rows tell every finished segment; only what follows the last row is scanned in the file. A torn tail is
//! cut. Parts behind the last row become the segment that the packager would have made of them: its rule of
//! cutting depends on nothing but the parts.

use std::fs::File;
use std::io;
use std::time::UNIX_EPOCH;

use bytes::Bytes;

use super::error::RenditionError;
use super::file::RunFile;
use super::growing::{Growing, GrowingPlan};
use super::place::Place;
use super::replay::{shelve, source_runs, stand, variant};
use super::run::{OpenRun, blocking, part_max_ms};
use crate::av::{Ticks, Timescale, TrackKind, TrackSet};
use crate::base::Timestamp;
use crate::fmp4::{
    self, Packager, PackagerConfig, PartIndex, PartTarget, ResumeState, SegmentIndex,
};
use crate::hls::{self, PartMeta};
use crate::store::{Run, RunState, WholeRecording};

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
    /// finished. Also says when its file was last written.
    ///
    /// # Errors
    /// When rows or files cannot be read.
    pub async fn resume(
        plan: GrowingPlan,
        recording: &WholeRecording,
    ) -> Result<(Self, Option<Timestamp>), RenditionError> {
        let mut growing = Self::new(plan);
        growing.recording = Some(recording.recording.id);
        let runs = source_runs(recording);
        let mut rows = Vec::new();
        for run in &runs {
            let segments = growing.plan.store.segments(run.id).await?;
            let stand = stand(&growing.plan.places, run).await?;
            let mut shelf = growing.shelf();
            shelf.add_run(stand);
            rows.extend(
                segments
                    .iter()
                    .map(|segment| shelve(&mut shelf, run, segment)),
            );
        }
        growing.window = hls::Window::from_segments(growing.plan.window(), rows);
        growing.runs_made = u32::try_from(runs.len()).unwrap_or(u32::MAX);
        let mut written = None;
        for (at, run) in runs.iter().enumerate() {
            if run.state == RunState::Final {
                growing.finished_runs += 1;
                growing.end = run.timeline_start + run.duration;
                continue;
            }
            let (open, modified) = growing.reopen(run).await?;
            growing.end = open.packager.end();
            written = Some(modified);
            if at + 1 == runs.len() {
                growing.run = Some(open);
            } else {
                // Its successor exists: the crash came before it was sealed.
                growing.unfinished.push(open);
                growing.seal_runs().await?;
            }
        }
        growing.shelf().cool();
        let variant = variant(&runs);
        let average = variant
            .as_ref()
            .and_then(|variant| variant.average_bandwidth);
        growing.rates.declare(average.unwrap_or(0));
        growing.announce_variant(variant);
        Ok((growing, written))
    }

    async fn reopen(&mut self, run: &Run) -> Result<(OpenRun, Timestamp), RenditionError> {
        let plan = self.plan.clone();
        let indexed = plan.store.indexed_segments(run.id).await?;
        let place = Place::from_row(&run.path)
            .ok_or_else(|| RenditionError::Index(format!("run {} lies nowhere", run.id)))?;
        let known_end = indexed
            .last()
            .map(|row| row.segment.byte_offset + row.segment.bytes)
            .and_then(|end| u64::try_from(end).ok());
        let (path, object) = (
            plan.places.spool_path(place.key()),
            plan.places.objects.path(place.key()),
        );
        let leftover = blocking(move || {
            if let Some(object) = object.filter(|object| !path.exists() && object.exists()) {
                // Renamed into the object store, but the crash came before the row: back, to be sealed again.
                std::fs::rename(&object, &path)?;
            }
            read_leftover(&path, known_end)
        })
        .await?;

        let mut segments = Vec::with_capacity(indexed.len() + 1);
        for row in &indexed {
            let index = SegmentIndex::decode(&row.sample_index);
            segments.push(index.map_err(|error| RenditionError::Index(error.to_string()))?);
        }
        let done = segments.len();
        segments.extend(split(done, leftover.parts));
        let target = announced_target(plan.part_max_ms, &segments);
        self.part_target = target;
        if let Some(PartTarget::Parts { duration }) = target {
            self.window.set_part_target(Some(duration));
        }

        let tracks = leftover.tracks;
        let target = target.unwrap_or(PartTarget::Measuring);
        let state = ResumeState::after(target, run.timeline_start, &segments);
        let config = PackagerConfig {
            part_max_ms: part_max_ms(&plan, self.part_target),
        };
        let packager = Packager::resume(config, tracks, state, None)?;
        let number = u32::try_from(run.number).unwrap_or(u32::MAX);
        let mut open = OpenRun::new(&plan, run.id, number, packager, place, leftover.file);
        open.rewind_segment(leftover.from);
        if done == 0 {
            self.window.start_run(number, number > 0);
        }
        for segment in segments.drain(done..) {
            self.put_back(&mut open, segment);
        }
        Ok((open, leftover.modified))
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
        self.end_segment(run);
    }
}

fn read_leftover(path: &std::path::Path, known_end: Option<u64>) -> io::Result<Leftover> {
    let mut reader = File::open(path)?;
    let modified = reader.metadata()?.modified()?;
    let head = fmp4::scan_head(&mut reader).map_err(io::Error::other)?;
    let from = known_end.unwrap_or(head.length);
    let scan = fmp4::scan_parts(&mut reader, head, known_end).map_err(io::Error::other)?;
    let file = RunFile::resume(path, scan.data_end)?;
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

fn begins_with_key(part: &PartIndex) -> bool {
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
