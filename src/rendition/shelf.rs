//! Where the media of a rendition is to be found: in memory while it is hot, in its file, in its object.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;

use super::file::FileRange;
use super::object_range::ObjectRange;
use super::reader::{Download, MediaBytes};
use crate::objects::{ObjectKey, Objects};

/// Bytes of parts kept in memory: at 6 Mbit/s the last 1.4 s, which is what low-latency players ask for.
const HOT_BYTES: usize = 1 << 20;
/// Newest parts kept whatever their size.
const HOT_PARTS: usize = 3;
/// Segments whose parts can be addressed; the playlist lists parts for the last three target durations (18 s),
/// and no segment but the first three is shorter than 3.2 s.
pub(super) const PARTED_SEGMENTS: usize = 12;

/// Bytes of segments that the disk refused, kept for viewers: half a minute at 6 Mbit/s.
const UNWRITTEN_BYTES: usize = 24 << 20;
/// Such segments kept at most, the open one included: what players read who keep three target durations behind
/// (18 s), and within what delta updates always repeat (36 s).
const UNWRITTEN_SEGMENTS: usize = 6;

/// A segment of which some part is in no file: all its parts from the `first` on.
#[derive(Debug)]
struct Unwritten {
    run: u32,
    msn: u64,
    first: usize,
    parts: Vec<Bytes>,
}

/// One file of the rendition.
#[derive(Clone, Debug)]
pub(super) struct RunShelf {
    pub(super) number: u32,
    pub(super) init: Bytes,
    pub(super) source: Source,
    /// Once the file is final.
    pub(super) download: Option<Download>,
}

/// Where the bytes of a run are read.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// On this disk; open, so a rename does not matter.
    File(Arc<File>),
    /// In the object store.
    Object(Objects, ObjectKey),
}

impl Source {
    pub(super) fn range(&self, offset: u64, length: u64) -> MediaBytes {
        match self {
            Self::File(file) => MediaBytes::File(FileRange::new(Arc::clone(file), offset, length)),
            Self::Object(objects, key) => MediaBytes::Object(ObjectRange::new(
                objects.clone(),
                key.clone(),
                offset,
                length,
            )),
        }
    }
}

/// A range of a run's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) run: u32,
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// All that viewers can fetch of a rendition. Grows by its owner, read by everybody.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    runs: Vec<RunShelf>,
    /// Media sequence number of `segments[0]`.
    first_msn: u64,
    /// Finished segments, numbered without a hole. A spot without length is a gap.
    segments: Vec<Spot>,
    /// Parts of the segments from `parted_from` on, the open one last; `None` is a part that the disk refused.
    parted_from: u64,
    parted: VecDeque<Vec<Option<Spot>>>,
    hot: VecDeque<(u64, usize, Bytes)>,
    hot_bytes: usize,
    /// Oldest first. Full: the oldest goes, and becomes a gap.
    unwritten: VecDeque<Unwritten>,
}

impl Shelf {
    pub(super) fn add_run(&mut self, run: RunShelf) {
        self.runs.push(run);
    }

    pub(super) fn set_download(&mut self, number: u32, download: Download) {
        if let Some(run) = self.runs.iter_mut().find(|run| run.number == number) {
            run.download = Some(download);
        }
    }

    /// The run is stored: from now on its bytes come from there, and nothing holds its file open.
    pub(super) fn set_source(&mut self, number: u32, source: &Source) {
        if let Some(run) = self.runs.iter_mut().find(|run| run.number == number) {
            run.source = source.clone();
            if let Some(download) = &mut run.download {
                download.media = source.range(0, download.media.length());
            }
        }
    }

    /// Puts a finished segment behind the last one.
    pub(super) fn add_segment(&mut self, msn: u64, spot: Spot) {
        if self.segments.is_empty() {
            self.first_msn = msn;
        }
        self.segments.push(spot);
    }

    /// Run and number of the newest finished segment that the file has.
    pub(super) fn newest_segment(&self) -> Option<(u32, u64)> {
        let written = self.segments.iter().rposition(|spot| spot.length > 0)?;
        let spot = self.segments.get(written)?;
        Some((spot.run, self.first_msn + written as u64))
    }

    /// Whether the last finished segment is of this run.
    pub(super) fn ends_with(&self, run: u32) -> bool {
        self.segments.last().is_some_and(|spot| spot.run == run)
    }

    /// Puts a part behind the last one of segment `msn`.
    pub(super) fn add_part(&mut self, msn: u64, part: usize, spot: Option<Spot>, bytes: Bytes) {
        if self.parted.is_empty() {
            self.parted_from = msn;
        }
        while self.parted_from + self.parted.len() as u64 <= msn {
            self.parted.push_back(Vec::new());
        }
        if let Some(parts) = self.parted.back_mut() {
            parts.push(spot);
        }
        while self.parted.len() > PARTED_SEGMENTS {
            self.parted.pop_front();
            self.parted_from += 1;
        }
        self.hot_bytes += bytes.len();
        self.hot.push_back((msn, part, bytes));
        while self.hot_bytes > HOT_BYTES && self.hot.len() > HOT_PARTS {
            let gone = self.hot.pop_front();
            self.hot_bytes -= gone.map_or(0, |(_, _, bytes)| bytes.len());
        }
    }

    /// Keeps the next part of a segment that is not whole in its file; the first to be kept is number `part`.
    pub(super) fn hold(&mut self, run: u32, msn: u64, part: usize, bytes: Bytes) {
        match self.unwritten.back_mut() {
            Some(last) if last.msn == msn => last.parts.push(bytes),
            _ => self.unwritten.push_back(Unwritten {
                run,
                msn,
                first: part,
                parts: vec![bytes],
            }),
        }
    }

    /// When a segment has ended: lets go of those that memory has not got as a whole, and of the oldest, as many
    /// as are too many. Says which.
    pub(super) fn shed(&mut self) -> Vec<u64> {
        let torn = self.unwritten.iter().filter(|segment| segment.first > 0);
        let mut gone: Vec<u64> = torn.map(|segment| segment.msn).collect();
        self.unwritten.retain(|segment| segment.first == 0);
        while self.unwritten.len() > 1 && self.holds_too_much() {
            gone.extend(self.unwritten.pop_front().map(|segment| segment.msn));
        }
        gone
    }

    /// The same of all of them.
    pub(super) fn shed_all(&mut self) -> Vec<u64> {
        let all = self.unwritten.drain(..);
        all.map(|segment| segment.msn).collect()
    }

    fn holds_too_much(&self) -> bool {
        let parts = self.unwritten.iter().flat_map(|segment| &segment.parts);
        let bytes: usize = parts.map(Bytes::len).sum();
        bytes > UNWRITTEN_BYTES || self.unwritten.len() > UNWRITTEN_SEGMENTS
    }

    fn unwritten(&self, run: u32, msn: u64) -> Option<&Unwritten> {
        let mut held = self.unwritten.iter();
        held.find(|segment| segment.run == run && segment.msn == msn)
    }

    /// Nothing new will come: memory is given back, the file has it all.
    pub(super) fn cool(&mut self) {
        self.hot = VecDeque::new();
        self.hot_bytes = 0;
    }

    pub(super) fn init(&self, run: u32) -> Option<Bytes> {
        self.run(run).map(|run| run.init.clone())
    }

    pub(super) fn download(&self, run: u32) -> Option<Download> {
        self.run(run).and_then(|run| run.download.clone())
    }

    pub(super) fn segment(&self, run: u32, msn: u64) -> Option<MediaBytes> {
        let index = usize::try_from(msn.checked_sub(self.first_msn)?).ok()?;
        let spot = *self.segments.get(index)?;
        if spot.run != run {
            return None;
        }
        let held = self.unwritten(run, msn);
        if let Some(held) = held.filter(|segment| segment.first == 0) {
            return Some(MediaBytes::Memory(held.parts.concat().into()));
        }
        if spot.length == 0 {
            return None;
        }
        self.range(spot)
    }

    pub(super) fn part(&self, run: u32, msn: u64, part: usize) -> Option<MediaBytes> {
        let row = usize::try_from(msn.checked_sub(self.parted_from)?).ok()?;
        let spot = *self.parted.get(row)?.get(part)?;
        if let Some(spot) = spot
            && spot.run != run
        {
            return None;
        }
        let mut newest_first = self.hot.iter().rev();
        let hot = newest_first.find(|(at, index, _)| (*at, *index) == (msn, part));
        if let Some((_, _, bytes)) = hot {
            return Some(MediaBytes::Memory(bytes.clone()));
        }
        let held = self.unwritten(run, msn);
        let held = held.and_then(|segment| segment.parts.get(part.checked_sub(segment.first)?));
        if let Some(bytes) = held {
            return Some(MediaBytes::Memory(bytes.clone()));
        }
        self.range(spot?)
    }

    fn range(&self, spot: Spot) -> Option<MediaBytes> {
        let run = self.run(spot.run)?;
        Some(run.source.range(spot.offset, spot.length))
    }

    fn run(&self, number: u32) -> Option<&RunShelf> {
        self.runs.iter().find(|run| run.number == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf_with_run() -> Shelf {
        let mut shelf = Shelf::default();
        shelf.add_run(RunShelf {
            number: 0,
            init: Bytes::from_static(b"init"),
            source: Source::File(Arc::new(tempfile::tempfile().expect("a scratch file"))),
            download: None,
        });
        shelf
    }

    fn spot(offset: u64, length: u64) -> Spot {
        Spot {
            run: 0,
            offset,
            length,
        }
    }

    #[test]
    fn a_part_is_answered_from_memory_while_hot_and_from_the_file_after() {
        let mut shelf = shelf_with_run();
        let big = Bytes::from(vec![0; HOT_BYTES / 4]);
        for part in 0..6_u64 {
            let at = part * big.len() as u64;
            let index = usize::try_from(part).unwrap();
            shelf.add_part(0, index, Some(spot(at, big.len() as u64)), big.clone());
        }
        assert!(matches!(shelf.part(0, 0, 5), Some(MediaBytes::Memory(_))));
        let Some(MediaBytes::File(range)) = shelf.part(0, 0, 1) else {
            panic!("part 1 has cooled");
        };
        assert_eq!(range.offset, big.len() as u64);
        assert!(shelf.hot_bytes <= HOT_BYTES);
    }

    #[test]
    fn what_the_disk_refused_is_answered_from_memory_until_there_is_too_much_of_it() {
        let mut shelf = shelf_with_run();
        for msn in 0..10 {
            for (part, bytes) in [&b"one"[..], b"two"].into_iter().enumerate() {
                let bytes = Bytes::from_static(bytes);
                shelf.add_part(msn, part, None, bytes.clone());
                shelf.hold(0, msn, part, bytes);
            }
            shelf.add_segment(msn, spot(0, 0));
        }
        shelf.cool();
        assert_eq!(shelf.shed(), [0, 1, 2, 3]);
        assert!(shelf.segment(0, 3).is_none() && shelf.part(0, 3, 0).is_none());
        let Some(MediaBytes::Memory(segment)) = shelf.segment(0, 4) else {
            panic!("segment 4 is held");
        };
        assert_eq!(segment, "onetwo");
        assert!(matches!(shelf.part(0, 9, 1), Some(MediaBytes::Memory(part)) if part == "two"));
        assert!(shelf.segment(1, 4).is_none(), "another run");
        assert_eq!(shelf.shed_all(), [4, 5, 6, 7, 8, 9]);
        assert!(shelf.segment(0, 9).is_none());
    }

    #[test]
    fn a_segment_whose_first_parts_are_nowhere_is_answered_by_parts_only_and_then_lost() {
        let mut shelf = shelf_with_run();
        shelf.add_part(3, 0, Some(spot(0, 4)), Bytes::from_static(b"disk"));
        shelf.add_part(3, 1, None, Bytes::from_static(b"memory"));
        shelf.hold(0, 3, 1, Bytes::from_static(b"memory"));
        shelf.cool();
        assert!(matches!(shelf.part(0, 3, 0), Some(MediaBytes::File(_))));
        assert!(matches!(shelf.part(0, 3, 1), Some(MediaBytes::Memory(part)) if part == "memory"));
        shelf.add_segment(3, spot(0, 0));
        assert!(shelf.segment(0, 3).is_none());
        assert_eq!(shelf.shed(), [3]);
    }

    #[test]
    fn what_was_never_announced_is_not_there() {
        let mut shelf = shelf_with_run();
        shelf.add_part(7, 0, Some(spot(0, 4)), Bytes::from_static(b"part"));
        shelf.add_segment(7, spot(0, 4));
        assert!(shelf.segment(0, 7).is_some());
        assert!(shelf.segment(0, 8).is_none());
        assert!(shelf.segment(0, 6).is_none());
        assert!(shelf.segment(1, 7).is_none(), "another run");
        assert!(shelf.part(0, 7, 1).is_none());
        assert!(shelf.part(1, 7, 0).is_none());
        assert!(shelf.init(1).is_none());
    }

    #[test]
    fn parts_of_old_segments_are_forgotten_but_the_segments_stay() {
        let mut shelf = shelf_with_run();
        for msn in 0..100 {
            shelf.add_part(msn, 0, Some(spot(msn, 1)), Bytes::from_static(b"p"));
            shelf.add_segment(msn, spot(msn, 1));
        }
        assert!(shelf.part(0, 80, 0).is_none());
        assert!(shelf.part(0, 99, 0).is_some());
        assert!(shelf.segment(0, 0).is_some());
        assert!(shelf.parted.len() <= PARTED_SEGMENTS);
    }
}
