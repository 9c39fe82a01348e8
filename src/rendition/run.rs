//! One run while it grows: its file and its rows.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::error::RenditionError;
use super::file::{FileRange, RunFile};
use super::growing::GrowingPlan;
use super::place::Place;
use super::rows::{Finished, SegmentRows};
use super::sending::Feed;
use super::shelf::{RunShelf, Source, Spot};
use crate::av::{InitSection, Part, Ticks, TrackSet};
use crate::base::{RecordingId, RunId, Timestamp, blocking};
use crate::fmp4::{PartIndex, PartTarget, SegmentIndex, file_head};
use crate::hls::SegmentMeta;
use crate::store::{NewRun, Run, Segment, StoreError};

/// How long the disk may take for some parts, or for the file of a new run, while media waits for it.
const STALL: Duration = Duration::from_secs(3);
/// How long the row of a new run may take while media waits for it.
const ROW_WITHIN: Duration = Duration::from_secs(2);

/// A write under way: gives the file back, and says how it went.
type Writing = JoinHandle<(RunFile, io::Result<u64>)>;

/// How the next run of a rendition is called.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RunNumbers {
    /// The number of the next run.
    pub(super) made: u32,
    /// The next run's number and id once its file was made, until its row is known to be there.
    claim: Option<(u32, RunId)>,
}

/// A run that is to begin.
#[derive(Debug)]
pub(super) struct NewOpenRun {
    /// What its row belongs to; there is none before an encoder publishes.
    pub(super) recording: Option<RecordingId>,
    pub(super) init: InitSection,
    /// Where it begins on the playlist's timeline.
    pub(super) timeline_start: Ticks,
    pub(super) started_at: Timestamp,
}

/// A run that media is appended to.
#[derive(Debug)]
pub(super) struct OpenRun {
    pub(super) id: RunId,
    pub(super) number: u32,
    pub(super) init: InitSection,
    head_bytes: u64,
    pub(super) place: Place,
    /// `None` only while a blocking task works on it; for good if that task broke.
    file: Option<RunFile>,
    rows: SegmentRows,
    /// Where the run goes to a bucket: told how far the file is synced.
    feed: Option<Feed>,
    /// The open segment: what of it is in the file, and where it begins.
    parts: Vec<PartIndex>,
    segment_offset: u64,
    /// Whether the disk refused a part of it: players are told that it is missing (EXT-X-GAP).
    lost_parts: bool,
    /// Whether the disk has refused a part: nothing more is written to this file.
    dry: bool,
    /// The write that took too long, and where it began: its parts count as lost, whatever becomes of it.
    stalled: Option<(Writing, u64)>,
}

/// A run that nothing is appended to any more.
#[derive(Debug)]
pub(super) struct ClosedRun {
    pub(super) id: RunId,
    pub(super) number: u32,
    pub(super) tracks: TrackSet,
    pub(super) place: Place,
    pub(super) feed: Option<Feed>,
    pub(super) file: RunFile,
    head_bytes: u64,
}

impl ClosedRun {
    /// A run whose rows are written and whose file ends with its last part. Nothing of it has been sent.
    pub(super) fn new(
        id: RunId,
        tracks: TrackSet,
        place: Place,
        file: RunFile,
        head_bytes: u64,
    ) -> Self {
        Self {
            id,
            number: 0,
            tracks,
            place,
            feed: None,
            file,
            head_bytes,
        }
    }

    /// Whether not a single part is in its file.
    pub(super) fn is_empty(&self) -> bool {
        self.file.end() <= self.head_bytes
    }
}

impl OpenRun {
    /// Makes file and row of the rendition's next run.
    pub(super) async fn create(
        plan: &GrowingPlan,
        numbers: &mut RunNumbers,
        new: NewOpenRun,
    ) -> Result<Self, RenditionError> {
        let head = file_head(&new.init);
        let head_bytes = head.len() as u64;
        let made = make_file(plan, numbers.claim, numbers.made, head);
        let (number, place, file) = timeout(STALL, made)
            .await
            .map_err(|_| RenditionError::Pending)??;
        let id = numbers.claim.map(|(_, id)| id);
        let id = id.unwrap_or_else(|| RunId(plan.ids.next()));
        numbers.claim = Some((number, id));
        let recording = new.recording.ok_or_else(|| {
            RenditionError::Index("there is no recording to belong to".to_owned())
        })?;
        let (video, audio) = (&new.init.tracks.video, &new.init.tracks.audio);
        let row = NewRun {
            id,
            recording_id: recording,
            rendition: plan.rendition.clone(),
            number: i64::from(number),
            path: place.to_row(),
            timeline_start: new.timeline_start,
            started_at: new.started_at,
            video_codec: video.as_ref().map(|video| video.codec.as_str().to_owned()),
            audio_codec: audio.as_ref().map(|audio| audio.codec.as_str().to_owned()),
            width: video.as_ref().map(|video| i64::from(video.width)),
            height: video.as_ref().map(|video| i64::from(video.height)),
            codecs: new.init.tracks.codecs(),
            tracks: new.init.bytes.to_vec(),
            head_bytes: i64::try_from(head_bytes).unwrap_or(i64::MAX),
        };
        // Object first, row second: a file without a row is swept at the next start.
        // When the row is late or refused it may be there all the same: the next try asks with the same claim.
        let row = match timeout(ROW_WITHIN, make_row(plan, &row)).await {
            Ok(made) => made?,
            Err(_) => return Err(RenditionError::Pending),
        };
        numbers.claim = None;
        numbers.made = number + 1;
        tracing::info!(rendition = plan.rendition, run = number, codecs = %row.codecs, "a run begins");
        Ok(Self::new(plan, row.id, number, new.init, place, file))
    }

    /// A run over an open file whose last segment is complete.
    pub(super) fn new(
        plan: &GrowingPlan,
        id: RunId,
        number: u32,
        init: InitSection,
        place: Place,
        file: RunFile,
    ) -> Self {
        Self {
            id,
            number,
            head_bytes: file_head(&init).len() as u64,
            init,
            segment_offset: file.end(),
            feed: plan.sending.grow(id, place.key().clone(), file.shared()),
            place,
            file: Some(file),
            rows: SegmentRows::new(plan.store.clone(), &plan.tasks),
            parts: Vec::new(),
            lost_parts: false,
            dry: false,
            stalled: None,
        }
    }

    /// What its frames are.
    pub(super) fn tracks(&self) -> &TrackSet {
        &self.init.tracks
    }

    /// What readers need of it.
    pub(super) fn shelf(&self) -> Option<RunShelf> {
        Some(RunShelf {
            number: self.number,
            init: self.init.bytes.clone(),
            source: Source::File(self.file.as_ref()?.shared()),
            download: None,
        })
    }

    /// Appends parts to the file; answers where the first begins. After an error, or a disk that takes too long,
    /// nothing more is appended.
    pub(super) async fn append(&mut self, parts: Vec<Bytes>) -> io::Result<u64> {
        if self.dry {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let Some(mut file) = self.file.take() else {
            return Err(io::Error::other("the file was lost by a broken task"));
        };
        let end = file.end();
        if parts.is_empty() {
            self.file = Some(file);
            return Ok(end);
        }
        let mut work = tokio::task::spawn_blocking(move || {
            let written = file.append(&parts);
            (file, written)
        });
        let Ok(done) = timeout(STALL, &mut work).await else {
            self.dry = true;
            self.stalled = Some((work, end));
            return Err(io::ErrorKind::TimedOut.into());
        };
        let (file, written) = done.map_err(io::Error::other)?;
        self.file = Some(file);
        self.dry = written.is_err();
        written
    }

    /// Reads back what of the open segment is in the file, part by part.
    pub(super) async fn open_parts(&self) -> io::Result<Vec<Bytes>> {
        let Some(file) = self.file.as_ref().map(RunFile::shared) else {
            return Ok(Vec::new());
        };
        let length = self.parts.iter().map(|part| u64::from(part.length)).sum();
        let open = FileRange::new(file, self.segment_offset, length);
        let mut bytes = blocking(move || open.read_whole()).await?;
        let lengths = self.parts.iter();
        let lengths = lengths.map(|part| usize::try_from(part.length).unwrap_or(usize::MAX));
        Ok(lengths
            .map(|length| bytes.split_to(length.min(bytes.len())))
            .collect())
    }

    pub(super) fn spot(&self, offset: u64, length: u64) -> Spot {
        Spot {
            run: self.number,
            offset,
            length,
        }
    }

    /// Notes a part of the open segment; one that the disk refused is no part of the file's index.
    pub(super) fn add_part(&mut self, part: &Part, written: bool) {
        if written {
            self.parts.push(PartIndex::from(part));
        } else {
            self.lost_parts = true;
        }
    }

    /// Where the open segment begins in the file.
    pub(super) fn segment_offset(&self) -> u64 {
        self.segment_offset
    }

    /// What follows `offset` in the file belongs to no segment yet: [`Self::put_back`] its parts.
    pub(super) fn rewind_segment(&mut self, offset: u64) {
        self.segment_offset = offset;
    }

    /// Notes a part of the open segment that an earlier process wrote.
    pub(super) fn put_back(&mut self, part: PartIndex) {
        self.parts.push(part);
    }

    /// Whether the open segment is not whole in the file.
    pub(super) fn has_lost_parts(&self) -> bool {
        self.lost_parts
    }

    /// Whether anything of the open segment is in the file.
    pub(super) fn has_parts(&self) -> bool {
        !self.parts.is_empty()
    }

    /// The open segment is complete: it is synced, then gets its row, in the background. Answers where it lies.
    pub(super) fn end_segment(&mut self, segment: &SegmentMeta) -> Spot {
        let index = SegmentIndex {
            parts: std::mem::take(&mut self.parts),
        };
        self.lost_parts = false;
        let spot = self.spot(self.segment_offset, index.length_bytes());
        self.segment_offset += spot.length;
        let row = Segment {
            run_id: self.id,
            msn: i64::try_from(segment.msn).unwrap_or(i64::MAX),
            byte_offset: i64::try_from(spot.offset).unwrap_or(i64::MAX),
            bytes: i64::try_from(spot.length).unwrap_or(i64::MAX),
            duration: segment.duration,
            date_time: segment.date_time,
            gap: segment.gap,
        };
        self.rows.append(Finished {
            row,
            index: index.encode(),
            file: self.file.as_ref().map(RunFile::shared),
            feed: self.feed.clone(),
        });
        spot
    }

    /// Hands over what sealing needs, once every row is committed; `None` if the file was lost by a broken task.
    pub(super) async fn close(mut self) -> Option<ClosedRun> {
        if let Some((work, end)) = self.stalled.take()
            && let Ok((mut file, _)) = work.await
        {
            file.forget(end);
            self.file = Some(file);
        }
        self.rows.flush().await;
        Some(ClosedRun {
            id: self.id,
            number: self.number,
            head_bytes: self.head_bytes,
            tracks: self.init.tracks,
            place: self.place,
            feed: self.feed,
            file: self.file?,
        })
    }

    /// Commits rows and syncs the file; the run stays as it is on disk.
    pub(super) async fn park(self) -> io::Result<()> {
        self.rows.flush().await;
        let Some(file) = self.file else {
            return Ok(());
        };
        blocking(move || file.shared().sync_all()).await
    }
}

/// Makes the file that was claimed, anew; or that of run `number`, or of the first number behind it that is free.
async fn make_file(
    plan: &GrowingPlan,
    claim: Option<(u32, RunId)>,
    number: u32,
    head: Bytes,
) -> Result<(u32, Place, RunFile), RenditionError> {
    let mut number = claim.map_or(number, |(claimed, _)| claimed);
    loop {
        let place = Place::growing(plan.live, &plan.rendition, number);
        let (path, head) = (plan.sending.places().spool_path(place.key()), head.clone());
        let object = plan.sending.places().objects.path(place.key());
        let made = blocking(move || {
            if claim.is_some() {
                match std::fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            if object.is_some_and(|object| object.exists()) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            RunFile::create(&path, &head)
        });
        match made.await {
            Ok(file) => return Ok((number, place, file)),
            // No row of ours names it, or its number would be taken: whatever it is, it stays as it is.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// The row of a new run; of an earlier try with the same id, if that was committed.
async fn make_row(plan: &GrowingPlan, new: &NewRun) -> Result<Run, StoreError> {
    match plan.store.create_run(new).await {
        Err(StoreError::Conflict(name)) => match plan.store.run(new.id).await? {
            Some(row) if row.tracks == new.tracks && row.number == new.number => Ok(row),
            _ => Err(StoreError::Conflict(name)),
        },
        made => made,
    }
}

/// The longest part of a run that follows an announced part target: PART-TARGET never changes.
pub(super) fn part_max_ms(plan: &GrowingPlan, announced: Option<PartTarget>) -> u32 {
    match announced {
        Some(PartTarget::Parts { duration }) => milliseconds(duration),
        _ => plan.part_max_ms,
    }
}

fn milliseconds(ticks: Ticks) -> u32 {
    u32::try_from(ticks.0 / 90).unwrap_or(u32::MAX)
}
