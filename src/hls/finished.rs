//! Everything before the open segment: the prefix of the playlist that has its final form.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use crate::av::Ticks;

use super::gzip::Piece;
use super::segment::Segment;

/// Segments of one chunk. Delta updates never reach into one (parts are remembered for longer than the skip
/// boundary), so its size only trades the work of a full playlist against how well it compresses.
const CHUNK: usize = 64;

/// Consecutive segments whose parts are forgotten, as text without parts and as its compressed form.
#[derive(Debug)]
pub(super) struct Chunk {
    first: u64,
    text: String,
    /// Where in the text each segment's lines end.
    ends: Vec<usize>,
    /// The whole text.
    pub(super) piece: Piece,
}

impl Chunk {
    fn new(segments: &[Arc<Segment>]) -> Self {
        let mut text = String::new();
        let mut ends = Vec::with_capacity(segments.len());
        for segment in segments {
            segment.write(&mut text, false);
            ends.push(text.len());
        }
        Self {
            first: segments.first().map_or(0, |segment| segment.msn),
            piece: Piece::new(text.as_bytes()),
            text,
            ends,
        }
    }

    /// The lines of the segments from `msn` on, and whether that is all of them.
    pub(super) fn from(&self, msn: u64) -> (&str, bool) {
        let skipped = usize::try_from(msn.saturating_sub(self.first)).unwrap_or(usize::MAX);
        match skipped.checked_sub(1) {
            None => (&self.text, true),
            Some(last) => {
                let begin = self.ends.get(last).copied().unwrap_or(self.text.len());
                (&self.text[begin..], false)
            }
        }
    }

    /// Bytes of the whole text.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    fn after(&self) -> u64 {
        self.first + u64::try_from(self.ends.len()).unwrap_or(0)
    }
}

/// The finished segments. Cloned once per segment while a snapshot holds the former version: pointers only.
#[derive(Clone, Debug, Default)]
pub(super) struct Finished {
    /// First media sequence number of the playlist.
    pub(super) first: u64,
    /// First media sequence number that may still be fetched; `<= first`.
    pub(super) first_available: u64,
    /// Number of the segment that is open or comes next.
    pub(super) next_msn: u64,
    /// Discontinuities that have left.
    pub(super) discontinuity_sequence: u64,
    /// Where the last segment ends, on a timeline that counts media from zero.
    pub(super) end: Ticks,
    pub(super) chunks: Vec<Arc<Chunk>>,
    /// What follows the chunks: all whose parts must be known, and less than a chunk before.
    pub(super) recent: VecDeque<Arc<Segment>>,
    /// Run and its first media sequence number, ascending.
    runs: Vec<(u32, u64)>,
    /// Numbers of missing segments, ascending, joined where they touch.
    gaps: Vec<Range<u64>>,
}

impl Finished {
    /// Numbering begins here; only before the first segment.
    pub(super) fn begin_at(&mut self, msn: u64) {
        (self.first, self.first_available, self.next_msn) = (msn, msn, msn);
    }

    pub(super) fn push(&mut self, segment: Segment, parts_memory: Ticks) {
        let msn = segment.msn;
        if self.runs.last().is_none_or(|&(run, _)| run != segment.run) {
            self.runs.push((segment.run, msn));
        }
        if segment.gap {
            match self.gaps.last_mut() {
                Some(gap) if gap.end == msn => gap.end += 1,
                _ => self.gaps.push(msn..msn + 1),
            }
        }
        self.end = segment.end();
        self.next_msn = msn + 1;
        self.recent.push_back(Arc::new(segment));
        let settled = self
            .recent
            .get(CHUNK - 1)
            .is_some_and(|last| self.end - last.end() > parts_memory);
        if settled {
            let segments: Vec<_> = self.recent.drain(..CHUNK).collect();
            self.chunks.push(Arc::new(Chunk::new(&segments)));
        }
    }

    /// Marks a finished segment, whose parts are still known, as missing.
    pub(super) fn lose(&mut self, msn: u64) {
        let first = self.recent.front().map_or(msn, |segment| segment.msn);
        let index = usize::try_from(msn.saturating_sub(first)).unwrap_or(usize::MAX);
        let Some(segment) = self.recent.get_mut(index) else {
            return;
        };
        if segment.gap || segment.msn != msn {
            return;
        }
        Arc::make_mut(segment).lose();
        let at = self.gaps.partition_point(|gap| gap.end < msn);
        match self.gaps.get_mut(at) {
            Some(gap) if gap.end == msn => gap.end += 1,
            _ => self.gaps.insert(at, msn..msn + 1),
        }
    }

    /// Takes the first segment out of the playlist.
    pub(super) fn remove_first(&mut self, discontinuity: bool) {
        self.first += 1;
        self.discontinuity_sequence += u64::from(discontinuity);
    }

    /// Lets go of what is neither listed nor available.
    pub(super) fn forget(&mut self) {
        let (first, available) = (self.first, self.first_available);
        self.chunks.retain(|chunk| chunk.after() > first);
        self.gaps.retain(|gap| gap.end > available);
        while self.runs.get(1).is_some_and(|&(_, msn)| msn <= available) {
            self.runs.remove(0);
        }
    }

    /// The run that a finished segment lies in.
    pub(super) fn run_of(&self, msn: u64) -> Option<u32> {
        let after = self.runs.partition_point(|&(_, first)| first <= msn);
        Some(self.runs.get(after.checked_sub(1)?)?.0)
    }

    /// Whether a run begins with this segment, so that its lines name the init section.
    pub(super) fn begins_run(&self, msn: u64) -> bool {
        self.runs.iter().any(|&(_, first)| first == msn)
    }

    pub(super) fn is_gap(&self, msn: u64) -> bool {
        let after = self.gaps.partition_point(|gap| gap.start <= msn);
        after
            .checked_sub(1)
            .and_then(|index| self.gaps.get(index))
            .is_some_and(|gap| gap.contains(&msn))
    }

    /// A segment whose parts are still known.
    pub(super) fn recent(&self, msn: u64) -> Option<&Segment> {
        let first = self.recent.front()?.msn;
        let index = usize::try_from(msn.checked_sub(first)?).ok()?;
        self.recent.get(index).map(Arc::as_ref)
    }

    /// How many listed segments end further from the end of the last one than `boundary` (6.2.5.1).
    pub(super) fn skippable(&self, boundary: Ticks) -> u64 {
        let within = self
            .recent
            .iter()
            .rev()
            .take_while(|segment| self.end - segment.end() <= boundary)
            .count();
        let kept = u64::try_from(within).unwrap_or(u64::MAX);
        (self.next_msn - self.first).saturating_sub(kept)
    }
}
