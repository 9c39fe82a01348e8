//! One run on its way to a bucket.
//!
//! While the run grows, its second, third, … 8 MiB are sent as soon as they are synced; the first and the last
//! when the file is final, since the first bytes change then. Rows say what the bucket has taken; rows and the
//! spool's file are all that another process needs to go on. Nothing is ever concluded from a list of the
//! server's. What fails is tried again for as long as it takes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::error::RenditionError;
use super::pieces::{
    PIECE_BYTES, PieceHash, StreamHash, hash_piece, pieces_of, place_of, read_piece, tree,
};
use super::place::Place;
use super::sending::Inner;
use crate::base::{RunId, Timestamp, blocking};
use crate::fmp4::MDAT_OFFSET;
use crate::objects::{ObjectError, ObjectKey, Objects, S3, SentPart, UploadId};
use crate::store::{RunPart, RunUpload, StoreError};

/// Pause after a failure, doubled with each that follows, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The same after everything was sent in vain, four times as long with each: a server that will never take it is
/// not to be sent gigabytes for ever.
const LONGEST_PAUSE_IN_VAIN: Duration = Duration::from_secs(3_600);
/// A part may take this long; after a failure twice as long, up to the longest: 8 MiB in four minutes are
/// 280 kbit/s, and a link that is slower keeps up with no live.
const PART_WITHIN: Duration = Duration::from_secs(60);
const PART_WITHIN_AT_MOST: Duration = Duration::from_secs(240);
/// An upload that is older is begun anew from the spool: MinIO sweeps uploads 24 hours after their start.
const OLDEST_UPLOAD: Duration = Duration::from_secs(12 * 3_600);
/// Of an upload ("Amazon S3 User Guide", Multipart upload limits).
const MOST_PARTS: i32 = 10_000;
/// The bytes that sealing changes, and those before them: what is read back of a stored object.
const HEAD_BYTES: u64 = MDAT_OFFSET + 16;

/// How far a run has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outlook {
    /// Bytes of the file that survive a power loss.
    pub(super) synced: u64,
    /// The file is final and its row says so.
    pub(super) sealed: bool,
}

/// Why an attempt ended early.
#[derive(Debug, thiserror::Error)]
enum Setback {
    #[error(transparent)]
    Objects(#[from] ObjectError),
    /// Everything was sent, and did not become the object: all is to be sent again.
    #[error(transparent)]
    Spoilt(ObjectError),
    #[error("rows: {0}")]
    Rows(#[from] StoreError),
    #[error("spool: {0}")]
    Spool(#[from] io::Error),
    #[error(transparent)]
    Rendition(#[from] RenditionError),
}

/// The upload as rows know it.
#[derive(Debug)]
struct Upload {
    id: UploadId,
    started_at: Timestamp,
    /// By number.
    parts: BTreeMap<i64, RunPart>,
}

/// The task of one run.
#[derive(Debug)]
pub(super) struct Shipment {
    house: Arc<Inner>,
    bucket: S3,
    run: RunId,
    key: ObjectKey,
    file: Arc<File>,
    outlook: watch::Receiver<Outlook>,
    upload: Option<Upload>,
    /// Whether `upload` says what rows and file say.
    loaded: bool,
    part_within: Duration,
    /// Parts sent: an attempt that came further pauses briefly again.
    progress: u64,
    /// How often everything was sent in vain.
    spoilt: u32,
}

impl Shipment {
    pub(super) fn new(
        house: Arc<Inner>,
        bucket: S3,
        run: RunId,
        key: ObjectKey,
        file: Arc<File>,
        outlook: watch::Receiver<Outlook>,
    ) -> Self {
        Self {
            house,
            bucket,
            run,
            key,
            file,
            outlook,
            upload: None,
            loaded: false,
            part_within: PART_WITHIN,
            progress: 0,
            spoilt: 0,
        }
    }

    /// Until the run is stored, or nobody feeds it any more.
    pub(super) async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let before = self.progress;
            let Err(setback) = self.attempt().await else {
                break;
            };
            if self.progress > before {
                pause = FIRST_PAUSE;
            }
            if let Setback::Objects(error) | Setback::Spoilt(error) = &setback {
                self.house.note_outcome(Some(error));
            }
            if let Setback::Spoilt(_) = &setback {
                let times = 4_u32.saturating_pow(self.spoilt);
                pause = FIRST_PAUSE.saturating_mul(times).min(LONGEST_PAUSE_IN_VAIN);
                self.spoilt += 1;
            }
            tracing::warn!(error = %setback, object.key = %self.key, pause_s = pause.as_secs(),
                "a run waits to be sent");
            if matches!(setback, Setback::Rows(StoreError::NotFound)) && self.vanish().await.is_ok()
            {
                break;
            }
            self.loaded = false;
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        self.house.nothing_waits(self.run);
    }

    async fn attempt(&mut self) -> Result<(), Setback> {
        self.load().await?;
        loop {
            let outlook = *self.outlook.borrow_and_update();
            if outlook.sealed {
                return self.finish().await;
            }
            self.tell_waiting(outlook.synced);
            if let Some(number) = self.next_whole_piece(outlook.synced) {
                self.send(number, outlook.synced).await?;
            } else if self.outlook.changed().await.is_err() {
                // Parked: the next process goes on.
                return Ok(());
            }
        }
    }

    /// Takes up what rows say, as far as the file says the same: a power loss may have taken bytes that were
    /// sent, and other bytes may have followed.
    async fn load(&mut self) -> Result<(), Setback> {
        if self.loaded {
            return Ok(());
        }
        let fresh = self.upload.is_none();
        let known = self.house.store.run_upload(self.run).await?;
        self.upload = known.map(|(upload, parts)| Upload {
            id: UploadId(upload.upload_id),
            started_at: upload.started_at,
            parts: parts.into_iter().map(|part| (part.number, part)).collect(),
        });
        if let Some(upload) = self.upload.as_mut().filter(|_| fresh) {
            let length = self.file.metadata()?.len();
            for part in std::mem::take(&mut upload.parts).into_values() {
                let number = u64::try_from(part.number).unwrap_or(1).max(1);
                let hash = hash_piece(&self.file, number, length).await?;
                if part.sha256 == hash {
                    upload.parts.insert(part.number, part);
                } else {
                    tracing::warn!(number, object.key = %self.key, "a part that was sent is another now");
                    let store = &self.house.store;
                    store.forget_run_part(self.run, part.number).await?;
                }
            }
        }
        self.loaded = true;
        Ok(())
    }

    fn has(&self, number: u64) -> bool {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        let upload = self.upload.as_ref();
        upload.is_some_and(|upload| upload.parts.contains_key(&number))
    }

    /// The next piece after the first that is synced as a whole and not sent.
    fn next_whole_piece(&self, synced: u64) -> Option<u64> {
        (2..=synced / PIECE_BYTES).find(|number| !self.has(*number))
    }

    fn tell_waiting(&self, length: u64) {
        let sent = self.upload.iter().flat_map(|upload| upload.parts.keys());
        let sent: u64 = sent
            .map(|number| place_of(u64::try_from(*number).unwrap_or(1).max(1), length).1)
            .sum();
        self.house
            .note_waiting(self.run, length.saturating_sub(sent));
    }

    /// Sends one piece of the file's first `length` bytes, and notes it.
    async fn send(&mut self, number: u64, length: u64) -> Result<(), Setback> {
        let upload = self.upload().await?;
        let _room = self.bucket.room_for_a_part().await;
        let (bytes, hash) = read_piece(&self.file, number, length).await?;
        let sent_bytes = bytes.len() as u64;
        let part_number = i32::try_from(number).unwrap_or(i32::MAX);
        if part_number > MOST_PARTS {
            let text = "the run has more than 80 GiB, which no upload holds; it stays in the spool";
            return Err(ObjectError::Other(text.to_owned()).into());
        }
        let sending =
            self.bucket
                .upload_part(&self.key, &upload, part_number, bytes, self.part_within);
        let sent = match sending.await {
            Ok(sent) => sent,
            Err(error) => {
                self.part_within = (self.part_within * 2).min(PART_WITHIN_AT_MOST);
                if error == ObjectError::Missing {
                    self.begin_anew().await?;
                }
                return Err(error.into());
            }
        };
        let part = RunPart {
            run_id: self.run,
            number: i64::from(part_number),
            sha256: hash.to_vec(),
            etag: sent.etag,
        };
        self.house.store.add_run_part(&part).await?;
        if let Some(upload) = &mut self.upload {
            upload.parts.insert(part.number, part);
        }
        self.part_within = PART_WITHIN;
        self.progress += 1;
        self.house.note_outcome(None);
        metrics::counter!("griot_objects_parts_sent_total").increment(1);
        metrics::counter!("griot_objects_sent_bytes_total").increment(sent_bytes);
        tracing::debug!(number, object.key = %self.key, size_bytes = sent_bytes, "a part is sent");
        Ok(())
    }

    /// The upload to send parts to; begun when there is none, or none that will last.
    async fn upload(&mut self) -> Result<UploadId, Setback> {
        let now = self.house.clock.now();
        if let Some(upload) = &self.upload {
            if now.since(upload.started_at) < OLDEST_UPLOAD {
                return Ok(upload.id.clone());
            }
            tracing::warn!(object.key = %self.key, "an upload has grown too old and is begun anew");
        }
        self.begin_anew().await?;
        let id = self.bucket.create_upload(&self.key).await?;
        let row = RunUpload {
            run_id: self.run,
            upload_id: id.0.clone(),
            started_at: now,
        };
        self.house.store.begin_run_upload(&row).await?;
        self.upload = Some(Upload {
            id: id.clone(),
            started_at: now,
            parts: BTreeMap::new(),
        });
        Ok(id)
    }

    /// Forgets the upload, at the server too.
    async fn begin_anew(&mut self) -> Result<(), Setback> {
        self.abort_all().await?;
        if self.upload.take().is_some() {
            self.house.store.forget_run_upload(self.run).await?;
        }
        Ok(())
    }

    /// Aborts every upload of this key, also those that no row knows: a crash came between the server's answer
    /// and the row.
    async fn abort_all(&self) -> Result<(), Setback> {
        let path = self.key.as_str();
        let pending = match self.bucket.uploads(path).await {
            Ok(pending) => pending,
            Err(ObjectError::Refused(why)) => {
                tracing::warn!(why, "multipart uploads may not be listed: lost ones stay");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        for lost in pending.iter().filter(|upload| upload.path == path) {
            self.bucket.abort_upload(path, &lost.id).await?;
        }
        Ok(())
    }

    /// The file is final: sends what is missing, completes, reads back, notes it, frees the spool.
    async fn finish(&mut self) -> Result<(), Setback> {
        let length = self.file.metadata()?.len();
        self.tell_waiting(length);
        let hashes = if length <= PIECE_BYTES {
            self.put_whole(length).await?
        } else {
            self.send_rest(length).await?
        };
        self.read_back(length).await?;
        self.abort_all().await?;
        self.house.note_outcome(None);
        let path = Place::Object(self.key.clone()).to_row();
        let now = self.house.clock.now();
        let store = &self.house.store;
        store
            .store_run(self.run, &path, &tree(&hashes), now)
            .await?;
        tracing::info!(object.key = %self.key, size_bytes = length, "a run is stored");
        self.house.stored(self.run, &self.key).await?;
        Ok(())
    }

    /// The run's row is gone, so somebody removed it: nothing of it stays.
    async fn vanish(&mut self) -> Result<(), Setback> {
        if self.house.store.run(self.run).await?.is_some() {
            return Err(StoreError::NotFound.into());
        }
        self.abort_all().await?;
        self.objects().delete(&self.key).await?;
        self.house.free(&self.key).await?;
        tracing::info!(object.key = %self.key, "a run was removed before it was stored");
        Ok(())
    }

    async fn put_whole(&mut self, length: u64) -> Result<Vec<PieceHash>, Setback> {
        if self.upload.is_some() {
            self.begin_anew().await?;
        }
        let _room = self.bucket.room_for_a_part().await;
        let (bytes, hash) = read_piece(&self.file, 1, length).await?;
        self.objects().put(&self.key, bytes).await?;
        self.progress += 1;
        Ok(vec![hash])
    }

    async fn send_rest(&mut self, length: u64) -> Result<Vec<PieceHash>, Setback> {
        let pieces = pieces_of(length);
        // The first last: it is the one that says that the file is final.
        for number in (2..=pieces).chain([1]) {
            if !self.has(number) {
                self.send(number, length).await?;
                self.tell_waiting(length);
            }
        }
        let Some(upload) = &self.upload else {
            return Err(ObjectError::Missing.into());
        };
        let hashes = upload.parts.values().map(|part| {
            PieceHash::try_from(part.sha256.as_slice())
                .map_err(|_| ObjectError::Other("a row holds no hash".to_owned()))
        });
        let hashes: Vec<PieceHash> = hashes.collect::<Result<_, _>>()?;
        let parts = upload.parts.values().map(|part| SentPart {
            number: i32::try_from(part.number).unwrap_or(i32::MAX),
            etag: part.etag.clone(),
        });
        let parts: Vec<SentPart> = parts.collect();
        let completed = self.bucket.complete_upload(&self.key, &upload.id, &parts);
        match completed.await {
            Ok(()) => Ok(hashes),
            // An earlier try may have been heard, and its answer lost.
            Err(ObjectError::Missing) if self.is_there(length, &hashes).await? => Ok(hashes),
            Err(error @ (ObjectError::Missing | ObjectError::Other(_))) => {
                self.begin_anew().await?;
                Err(Setback::Spoilt(error))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the object is there, byte for byte.
    async fn is_there(&self, length: u64, hashes: &[PieceHash]) -> Result<bool, Setback> {
        match self.objects().head(&self.key).await {
            Ok(there) if there == length => {}
            Ok(_) | Err(ObjectError::Missing) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let mut stream = self.objects().read(&self.key, 0, length).await?;
        let mut found = StreamHash::default();
        while let Some(piece) = stream.next().await? {
            found.update(&piece);
        }
        Ok(found.finish() == hashes)
    }

    /// Length and first bytes of the object are the file's; otherwise everything is sent again.
    async fn read_back(&mut self, length: u64) -> Result<(), Setback> {
        let there = self.objects().head(&self.key).await?;
        let head_bytes = HEAD_BYTES.min(length);
        let stream = self
            .objects()
            .read(&self.key, 0, head_bytes.min(there))
            .await?;
        let head = stream.collect().await?;
        let range = super::FileRange::new(Arc::clone(&self.file), 0, head_bytes);
        let expected = blocking(move || range.read_whole()).await?;
        if there == length && head == expected {
            return Ok(());
        }
        self.begin_anew().await?;
        Err(Setback::Spoilt(ObjectError::Other(format!(
            "{} came out with {there} bytes of {length}, or with another head",
            self.key
        ))))
    }

    fn objects(&self) -> &Objects {
        &self.house.places.objects
    }
}
