//! Goes on with a rung that an earlier process left: whole segments, by their rows. What lies behind the last row in
//! its file is cut, for nothing tells which of the source's parts it was.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;

use super::beat::SourceLine;
use super::error::RenditionError;
use super::file::RunFile;
use super::growing::GrowingPlan;
use super::mirror::{Mirror, MirrorPlan};
use super::place::Place;
use super::replay::{put_on_or_lose, variant};
use super::resume::{Survived, lose_beyond, put_home};
use super::run::OpenRun;
use super::shelf::{Source, Spot};
use crate::base::blocking;
use crate::fmp4::{self, GROWING_HEADER, MDAT_OFFSET, MirrorPackager, SegmentIndex};
use crate::hls::SegmentMeta;
use crate::store::{Run, RunState, Segment, WholeRecording};

/// A segment that a rung has.
pub(super) struct Have {
    pub(super) run: u32,
    pub(super) segment: Segment,
    index: SegmentIndex,
}

impl Have {
    /// By its number; its parts cannot be asked for one by one.
    pub(super) fn of(run: &Run, segment: Segment) -> (u64, Self) {
        let have = Self {
            run: u32::try_from(run.number).unwrap_or(u32::MAX),
            index: SegmentIndex::default(),
            segment,
        };
        (u64::try_from(have.segment.msn).unwrap_or(0), have)
    }
}

impl Mirror {
    /// A rung that an earlier process has left, brought to where `source` ([`Growing::take_line`](super::Growing::take_line))
    /// stands now: it is away until its media comes again, or it is finished. Also for a rung of which there is nothing yet.
    ///
    /// # Errors
    /// When rows or files cannot be read.
    pub async fn resume(
        plan: GrowingPlan,
        mirror: MirrorPlan,
        recording: &WholeRecording,
        source: &SourceLine,
        survived: Survived,
    ) -> Result<Self, RenditionError> {
        let mut rung = Self::new(plan, mirror);
        rung.recording = Some(recording.recording.id);
        rung.set_target(source.target);
        let runs = runs_of(recording, &rung.plan.rendition);
        let made = runs.iter().map(|run| run.number + 1).max().unwrap_or(0);
        rung.numbers.made = u32::try_from(made).unwrap_or(u32::MAX);
        let mut have = BTreeMap::new();
        let next_msn = source.segments.last().map_or(0, |last| last.msn + 1);
        for (at, run) in runs.iter().enumerate() {
            let last = at + 1 == runs.len();
            rung.take_up(
                run,
                last && survived == Survived::Written,
                next_msn,
                &mut have,
            )
            .await?;
        }
        if let Some(first) = have.values().next() {
            // What comes before it is named after it.
            rung.named = Some(first.run);
        }
        for segment in &source.segments {
            rung.restore(segment, have.get(&segment.msn));
        }
        if have.is_empty() {
            rung.named = None;
        }
        rung.shelf().cool();
        let known = variant(&rung.plan.rendition, &runs);
        let average = known.and_then(|known| known.average_bandwidth);
        rung.rates.declare(average.unwrap_or(0));
        rung.begin_away();
        Ok(rung)
    }

    /// Takes up the next run in order; its last one may go on.
    async fn take_up(
        &mut self,
        run: &Run,
        may_go_on: bool,
        next_msn: u64,
        have: &mut BTreeMap<u64, Have>,
    ) -> Result<(), RenditionError> {
        let store = self.plan.store.clone();
        let (mut segments, mut indexes) = (Vec::new(), Vec::new());
        for row in store.indexed_segments(run.id).await? {
            let index = SegmentIndex::decode(&row.sample_index);
            indexes.push(index.map_err(|error| RenditionError::Index(error.to_string()))?);
            segments.push(row.segment);
        }
        put_home(&self.plan, run).await?;
        let place = put_on_or_lose(&self.shelf, run, &self.plan.sending, &store, &mut segments);
        let there = place.await?;
        let mut lost = there.is_none();
        let growing = run.state == RunState::Growing;
        if let Some(Source::File(file)) = &there
            && growing
        {
            let file = Arc::clone(file);
            lost |= lose_beyond(&self.plan, run, file, &mut segments, &mut indexes).await?;
            lost |= self
                .lose_ahead(run, next_msn, &mut segments, &mut indexes)
                .await?;
        }
        let end = segments.last().map(|last| last.byte_offset + last.bytes);
        let parts: usize = indexes.iter().map(|index| index.parts.len()).sum();
        let number = u32::try_from(run.number).unwrap_or(u32::MAX);
        for (segment, index) in segments.into_iter().zip(indexes) {
            let msn = u64::try_from(segment.msn).unwrap_or(0);
            if !segment.gap && msn < next_msn {
                have.insert(
                    msn,
                    Have {
                        run: number,
                        segment,
                        index,
                    },
                );
            }
        }
        if !growing {
            self.finished_runs += 1;
            return Ok(());
        }
        if there.is_none() {
            return Ok(());
        }
        let open = self.reopen(run, number, end).await?;
        if may_go_on && !lost {
            let parts = u32::try_from(parts).unwrap_or(u32::MAX);
            self.packager = MirrorPackager::new(self.mirror.picture, self.mirror.sound, parts);
            self.run = Some(open);
        } else {
            self.seal(open);
        }
        Ok(())
    }

    /// A power loss may have taken the newest segments of the source and not the rung's: they are nobody's now.
    async fn lose_ahead(
        &self,
        run: &Run,
        next_msn: u64,
        segments: &mut [Segment],
        indexes: &mut [SegmentIndex],
    ) -> Result<bool, RenditionError> {
        let next = i64::try_from(next_msn).unwrap_or(i64::MAX);
        let whole = segments.partition_point(|segment| segment.msn < next);
        let Some(first) = segments.get(whole) else {
            return Ok(false);
        };
        let (msn, end) = (first.msn, first.byte_offset);
        let empty = SegmentIndex::default();
        let store = &self.plan.store;
        store
            .lose_segments(run.id, msn, end, &empty.encode())
            .await?;
        for (segment, index) in segments.iter_mut().zip(indexes).skip(whole) {
            (segment.gap, segment.byte_offset, segment.bytes) = (true, end, 0);
            *index = SegmentIndex::default();
        }
        Ok(true)
    }

    /// The run's file, cut behind its last row.
    async fn reopen(
        &self,
        run: &Run,
        number: u32,
        end: Option<i64>,
    ) -> Result<OpenRun, RenditionError> {
        let place = Place::from_row(&run.path)
            .ok_or_else(|| RenditionError::Index(format!("run {} lies nowhere", run.id)))?;
        let path = self.plan.sending.places().spool_path(place.key());
        let (file, tracks) = blocking(move || {
            let mut reader = File::open(&path)?;
            let head = fmp4::scan_head(&mut reader).map_err(std::io::Error::other)?;
            let end = end.and_then(|end| u64::try_from(end).ok());
            let was_final = head.finalised_end.is_some();
            let growing = was_final.then_some((MDAT_OFFSET, GROWING_HEADER));
            let file = RunFile::resume(&path, end.unwrap_or(head.length), growing)?;
            Ok((file, head.tracks))
        })
        .await?;
        let init = fmp4::init_of(&tracks)?;
        Ok(OpenRun::new(&self.plan, run.id, number, init, place, file))
    }

    /// The source's next segment, as the rung has it or has it not.
    fn restore(&mut self, segment: &SegmentMeta, have: Option<&Have>) {
        let (meta, spot) = mirrored(segment, have, self.named.unwrap_or(self.numbers.made));
        self.named = Some(meta.run);
        self.window.restore(meta);
        let mut shelf = self.shelf();
        shelf.add_segment(meta.msn, spot);
        let Some(have) = have else {
            return;
        };
        let mut offset = spot.offset;
        for (at, part) in have.index.parts.iter().enumerate() {
            let length = u64::from(part.length);
            let spot = Spot {
                offset,
                length,
                ..spot
            };
            offset += length;
            shelf.add_part(meta.msn, at, Some(spot), Bytes::new());
        }
    }
}

/// The runs of a rendition, by number.
pub(super) fn runs_of(recording: &WholeRecording, rendition: &str) -> Vec<Run> {
    let runs = recording.runs.iter();
    runs.filter(|run| run.rendition == rendition)
        .cloned()
        .collect()
}

/// A segment of the source as a rung's playlist has it; `named`: the run that its gaps are named after.
pub(super) fn mirrored(
    source: &SegmentMeta,
    have: Option<&Have>,
    named: u32,
) -> (SegmentMeta, Spot) {
    let run = have.map_or(named, |have| have.run);
    let meta = SegmentMeta {
        run,
        gap: have.is_none(),
        ..*source
    };
    let number = |bytes: i64| u64::try_from(bytes).unwrap_or(0);
    let spot = Spot {
        run,
        offset: have.map_or(0, |have| number(have.segment.byte_offset)),
        length: have.map_or(0, |have| number(have.segment.bytes)),
    };
    (meta, spot)
}
