//! A rendition of what is over already: frames as fast as they come, one file, its rows at the end.
//!
//! Nobody plays it while it grows, so there is no owner task, no clock and no memory of parts. A run that an earlier
//! try left half written is thrown away and begun anew; one that is final stays as it is.

use std::io;

use bytes::Bytes;

use super::error::RenditionError;
use super::file::RunFile;
use super::place::Place;
use super::resume::begins_with_key;
use super::run::ClosedRun;
use super::seal::{discard, seal};
use super::sending::Sending;
use crate::av::{Frame, Ticks, Timescale, TrackKind, TrackSet};
use crate::base::{IdMaker, MediaId, RecordingId, RunId, blocking};
use crate::fmp4::{Packager, PackagerConfig, Packed, PartIndex, SegmentIndex};
use crate::objects::ObjectKey;
use crate::store::{IndexedSegment, NewRun, RunState, Segment};

/// Parts need not be short: nobody waits for them, and longer ones have fewer boxes.
const PART_MS: u32 = 1_000;
/// Bytes that are written at once. Full: [`RunWriter::push`] waits for the disk.
const WRITE_BYTES: usize = 4 << 20;
/// A segment that no key frame ends goes on up to here, so that players can begin with each: encoders that were left
/// alone have a key frame every 8 to 10 s. 90 kHz.
const LONGEST_SEGMENT: i64 = 24 * 90_000;

/// What a rendition is to become.
#[derive(Clone, Debug)]
pub struct NewRendition {
    /// Whose row is there.
    pub recording: RecordingId,
    /// The video that it is of.
    pub media: MediaId,
    /// Its name in URLs and paths: `source`, `720p`, `audio`.
    pub rendition: String,
    /// What its frames are.
    pub tracks: TrackSet,
    /// Pictures per second, where they are said to come at a stable rate: believed as far as they do.
    pub frame_rate: Option<f64>,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Of the longer track, 90 kHz.
    pub duration: Ticks,
    /// Of the file.
    pub bytes: u64,
    /// Pictures.
    pub pictures: u64,
}

/// Writes one run. Dropped before [`RunWriter::finish`], it leaves what the next try throws away.
#[derive(Debug)]
pub struct RunWriter {
    sending: Sending,
    id: RunId,
    new: NewRendition,
    place: Place,
    packager: Packager,
    file: RunFile,
    head_bytes: u64,
    waiting: Vec<Bytes>,
    waiting_bytes: usize,
    /// The open segment: its parts, where it begins, how long it is, and whether the packager has ended it.
    parts: Vec<PartIndex>,
    offset: u64,
    duration: i64,
    ended: bool,
    rows: Vec<IndexedSegment>,
    pictures: u64,
    /// Decoding times of the first and the last picture, 90 kHz.
    first: Option<i64>,
    last: i64,
}

impl RunWriter {
    /// Makes file and row; `None` when the rendition is there already, final.
    ///
    /// # Errors
    /// When tracks cannot be packaged, or file or row cannot be made.
    pub async fn begin(
        sending: &Sending,
        ids: &IdMaker,
        new: NewRendition,
    ) -> Result<Option<Self>, RenditionError> {
        let store = &sending.house().store;
        let key = ObjectKey::video_run(new.media, &new.rendition, 0);
        let path = sending.places().spool_path(&key);
        let runs = store.runs_of(new.recording).await?;
        for run in runs.iter().filter(|run| run.rendition == new.rendition) {
            if run.state == RunState::Final {
                return Ok(None);
            }
            discard(sending, run.id, &path).await?;
        }
        let config = PackagerConfig {
            part_max_ms: PART_MS,
        };
        let packager = Packager::new(config, new.tracks.clone(), Ticks::ZERO, new.frame_rate)?;
        let head = packager.head();
        let head_bytes = head.len() as u64;
        let object = sending.places().objects.path(&key);
        let file = blocking(move || {
            // No row names them: a crash came before its row, or after the file had moved.
            for left in [Some(&path), object.as_ref()].into_iter().flatten() {
                match std::fs::remove_file(left) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            RunFile::create(&path, &head)
        });
        let file = file.await?;
        let place = Place::Spool(key);
        let id = RunId(ids.next());
        let (video, audio) = (&new.tracks.video, &new.tracks.audio);
        let row = NewRun {
            id,
            recording_id: new.recording,
            rendition: new.rendition.clone(),
            number: 0,
            path: place.to_row(),
            timeline_start: Ticks::ZERO,
            started_at: sending.house().clock.now(),
            video_codec: video.as_ref().map(|video| video.codec.as_str().to_owned()),
            audio_codec: audio.as_ref().map(|audio| audio.codec.as_str().to_owned()),
            width: video.as_ref().map(|video| i64::from(video.width)),
            height: video.as_ref().map(|video| i64::from(video.height)),
            codecs: new.tracks.codecs(),
            tracks: packager.init().bytes.to_vec(),
            head_bytes: i64::try_from(head_bytes).unwrap_or(i64::MAX),
        };
        store.create_run(&row).await?;
        let mut writer = Self {
            sending: sending.clone(),
            id,
            new,
            place,
            packager,
            file,
            head_bytes,
            waiting: Vec::new(),
            waiting_bytes: 0,
            parts: Vec::new(),
            offset: head_bytes,
            duration: 0,
            ended: false,
            rows: Vec::new(),
            pictures: 0,
            first: None,
            last: 0,
        };
        writer.packager.start_session();
        Ok(Some(writer))
    }

    /// The next frame of either track, in the order of the file that they come from.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn push(&mut self, frame: Frame) -> Result<(), RenditionError> {
        if frame.track == TrackKind::Video {
            self.pictures += 1;
            self.last = frame.dts.0;
            self.first.get_or_insert(frame.dts.0);
        }
        let mut packed = Vec::new();
        self.packager.push(frame, &mut packed);
        self.take(packed).await
    }

    /// No frame follows: the file is made final and on its way to where it stays. `None` when there was not a
    /// single part in it; then nothing is left behind.
    ///
    /// # Errors
    /// What disk or database say; the next try begins anew.
    pub async fn finish(mut self) -> Result<Option<Written>, RenditionError> {
        let mut packed = Vec::new();
        self.packager.end_session(&mut packed);
        self.take(packed).await?;
        self.write_out().await?;
        self.close_segment();
        let counters = self.packager.counters();
        tracing::debug!(
            rendition = self.new.rendition,
            ?counters,
            "a rendition was packaged"
        );
        let sending = self.sending.clone();
        if self.rows.is_empty() {
            discard(&sending, self.id, self.file.path()).await?;
            return Ok(None);
        }
        let store = &sending.house().store;
        store.append_segments(self.id, &self.rows).await?;
        let rate = self.frame_rate();
        let (key, file) = (self.place.key().clone(), self.file.shared());
        let tracks = self.new.tracks.clone();
        let mut run = ClosedRun::new(self.id, tracks, self.place, self.file, self.head_bytes);
        let download = seal(&sending, &mut run, rate).await?;
        sending.send_final(self.id, key, file);
        Ok(Some(Written {
            duration: self.packager.end(),
            bytes: download.media.length(),
            pictures: self.pictures,
        }))
    }

    async fn take(&mut self, packed: Vec<Packed>) -> Result<(), RenditionError> {
        for item in packed {
            match item {
                Packed::SegmentEnd => self.ended = true,
                Packed::Part(part) => {
                    let index = PartIndex::from(&part);
                    let may_end = begins_with_key(&index) || self.duration >= LONGEST_SEGMENT;
                    if self.ended && may_end {
                        self.close_segment();
                    }
                    self.ended = false;
                    self.duration += index.duration.0;
                    self.parts.push(index);
                    self.waiting_bytes += part.bytes.len();
                    self.waiting.push(part.bytes);
                }
            }
        }
        if self.waiting_bytes >= WRITE_BYTES {
            self.write_out().await?;
        }
        Ok(())
    }

    /// The open segment becomes a row, to be written when the file is whole.
    fn close_segment(&mut self) {
        if self.parts.is_empty() {
            return;
        }
        let index = SegmentIndex {
            parts: std::mem::take(&mut self.parts),
        };
        let bytes = index.length_bytes();
        self.rows.push(IndexedSegment {
            segment: Segment {
                run_id: self.id,
                msn: i64::try_from(self.rows.len()).unwrap_or(i64::MAX),
                byte_offset: i64::try_from(self.offset).unwrap_or(i64::MAX),
                bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
                duration: Ticks(std::mem::take(&mut self.duration)),
                date_time: None,
                gap: false,
            },
            sample_index: index.encode(),
        });
        self.offset += bytes;
    }

    async fn write_out(&mut self) -> Result<(), RenditionError> {
        let parts = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        let mut file = self.file.clone();
        self.file = blocking(move || {
            file.append(&parts)?;
            Ok(file)
        })
        .await?;
        Ok(())
    }

    /// The mean of what came; as it was told when that was a single picture.
    fn frame_rate(&self) -> Option<f64> {
        let mean = || {
            let seconds = Ticks(self.last - self.first?).seconds(Timescale::VIDEO);
            let pictures = u32::try_from(self.pictures.checked_sub(1)?).ok()?;
            (seconds > 0.0).then(|| f64::from(pictures) / seconds)
        };
        mean().or(self.new.frame_rate)
    }
}
