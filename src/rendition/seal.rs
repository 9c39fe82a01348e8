//! Makes a run final: index appended, header patched, file handed to the object store, row last.

use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::timeout;

use super::error::RenditionError;
use super::file::{FileRange, RunFile};
use super::growing::{Growing, GrowingPlan};
use super::place::Place;
use super::reader::{Download, MediaBytes};
use super::run::{ClosedRun, OpenRun};
use super::sending::Sending;
use super::shelf::{Shelf, Source};
use super::sweep::leave_folders;
use crate::av::TrackSet;
use crate::base::{ErrorKind, RunId, Timestamp, blocking};
use crate::fmp4::{self, Finalised, Finaliser, MDAT_OFFSET, SegmentIndex};
use crate::store::{IndexedSegment, Run, RunChange, StoreError};

/// How long [`Growing::finish`] waits for the files: a second is much for twelve hours of media.
pub(super) const FINISH_WITHIN: Duration = Duration::from_secs(10);
/// How long a file that cannot be made final waits for the next try, doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What became of a closed run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sealed {
    /// It is an MP4.
    Final,
    /// It held no media and is gone.
    Discarded,
    /// It cannot be made final.
    Broken,
    /// The server stops; the next start makes it final.
    Parked,
}

impl Growing {
    /// Makes a closed run final beside the live: however long disk or database take, media goes on.
    pub(super) fn seal(&mut self, run: OpenRun) {
        let (plan, shelf) = (self.plan.clone(), Arc::clone(&self.shelf));
        let sealing = self.plan.tasks.spawn(seal_at_last(plan, shelf, run));
        self.sealing.push(sealing);
    }

    /// Ends the rendition: ENDLIST at once, then the files. Answers whether anything was recorded.
    ///
    /// # Errors
    /// `Pending` when the files are not final in time: [`Growing::finished`] then waits for them.
    pub async fn finish(&mut self) -> Result<bool, RenditionError> {
        if let Err(error) = self.end_session().await {
            tracing::error!(%error, "the last part could not be recorded");
        }
        let unwritten = self.shelf().shed_all();
        self.lose(unwritten);
        self.end_losing();
        self.followers.leave();
        self.window.end();
        self.announce();
        self.shelf().cool();
        if let Some(packing) = self.run.take() {
            self.seal(packing.run);
        }
        match timeout(FINISH_WITHIN, self.finished()).await {
            Ok(finished) => finished,
            Err(_) => Err(RenditionError::Pending),
        }
    }

    /// Waits until no file is left to be made final: a full disk has room again, the database is back. Answers
    /// whether anything was recorded. Cancel safe.
    ///
    /// # Errors
    /// `Pending` when the server stops before.
    pub async fn finished(&mut self) -> Result<bool, RenditionError> {
        while let Some(sealing) = self.sealing.last_mut() {
            let sealed = sealing.await;
            self.sealing.pop();
            match sealed {
                Ok(Sealed::Final) => self.finished_runs += 1,
                Ok(Sealed::Discarded | Sealed::Broken) => {}
                Ok(Sealed::Parked) => self.parked_runs += 1,
                Err(error) => tracing::error!(%error, "a task that makes a run final broke"),
            }
        }
        if self.parked_runs > 0 {
            return Err(RenditionError::Pending);
        }
        Ok(self.finished_runs > 0)
    }

    /// Whether no file is left to be made final.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.sealing.is_empty() && self.parked_runs == 0
    }

    /// Ends a rendition that never had media.
    pub fn abandon(&mut self) {
        self.window.end();
        self.announce();
    }

    /// Makes everything durable and lets go of the files, for a later process to go on.
    ///
    /// # Errors
    /// When the disk refuses to sync.
    pub async fn park(&mut self) -> Result<(), RenditionError> {
        self.end_session().await?;
        self.end_losing();
        self.followers.leave();
        if let Some(packing) = self.run.take() {
            packing.run.park().await?;
        }
        Ok(())
    }
}

/// Seals until it is done, or never can be.
pub(super) async fn seal_at_last(
    plan: GrowingPlan,
    shelf: Arc<RwLock<Shelf>>,
    run: OpenRun,
) -> Sealed {
    let stopping = plan.tasks.stopping();
    let Some(mut run) = run.close().await else {
        return Sealed::Broken;
    };
    let mut pause = FIRST_PAUSE;
    loop {
        let sealed = match run.is_empty() {
            true => discard(&plan.sending, run.id, run.file.path())
                .await
                .map(|()| None),
            false => seal(&plan.sending, &mut run, None).await.map(Some),
        };
        match sealed {
            Ok(None) => return Sealed::Discarded,
            Ok(Some(download)) => {
                shelf
                    .write()
                    .unwrap_or_else(PoisonError::into_inner)
                    .set_download(run.number, download);
                // Before it can be stored: or the shelf would not hear of it.
                plan.sending.tell_when_stored(run.id, run.number, &shelf);
                match &run.feed {
                    Some(feed) => feed.sealed(),
                    None => plan.sending.adopted(run.id, run.place.key().clone()),
                }
                return Sealed::Final;
            }
            Err(error) if is_lasting(&error) => {
                tracing::error!(%error, run = run.number, "a run cannot be made final");
                return Sealed::Broken;
            }
            Err(error) => {
                metrics::counter!("griot_seal_retries_total").increment(1);
                tracing::warn!(%error, run = run.number, "a run is not final yet");
            }
        }
        tokio::select! {
            biased;
            () = stopping.cancelled() => return Sealed::Parked,
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
        }
    }
}

/// Whether trying again cannot help: what is wrong is in the file or its rows, not with disk or database.
fn is_lasting(error: &RenditionError) -> bool {
    use io::ErrorKind::{InvalidData, NotFound, Other, UnexpectedEof};
    match error {
        RenditionError::File(error) => {
            matches!(error.kind(), InvalidData | NotFound | Other | UnexpectedEof)
        }
        RenditionError::Store(error) => error.kind() != ErrorKind::Unavailable,
        RenditionError::Pending => false,
        RenditionError::Packaging(_) | RenditionError::Index(_) => true,
    }
}

/// Removes a run without media: nobody was ever told of it. Row first, so that none points at a missing file.
pub(super) async fn discard(
    sending: &Sending,
    run: RunId,
    path: &Path,
) -> Result<(), RenditionError> {
    match sending.house().store.discard_run(run).await {
        // An earlier try was committed.
        Ok(()) | Err(StoreError::NotFound) => {}
        Err(error) => return Err(error.into()),
    }
    let (spool, path) = (sending.places().spool.clone(), path.to_owned());
    let gone = blocking(move || {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => leave_folders(&spool, &path),
        }
        Ok(())
    });
    Ok(gone.await?)
}

/// Makes the file of a run final and lets go of it: the directory has it then, a bucket will. Doing it again after a
/// crash at any step is right.
pub(super) async fn seal(
    sending: &Sending,
    run: &mut ClosedRun,
    frame_rate: Option<f64>,
) -> Result<Download, RenditionError> {
    let (id, place, house) = (run.id, &run.place, sending.house());
    let rows = house.store.indexed_segments(id).await?;
    let places = sending.places();
    let (spool, directory) = (places.spool.clone(), places.objects.directory().cloned());
    let in_directory = directory.is_some();
    let (tracks, key) = (run.tracks.clone(), place.key().clone());
    let mut file = run.file.clone();
    let has_video = tracks.video.is_some();
    let (length, finalised, shared) = blocking(move || {
        let finalised = index(&tracks, &rows, &file)?;
        let length = file.seal(&finalised.moov, &finalised.mdat_header, MDAT_OFFSET)?;
        if let Some(directory) = directory {
            directory.adopt(file.path(), &key)?;
            leave_folders(&spool, file.path());
        }
        Ok((length, finalised, file.shared()))
    })
    .await?;
    let now = house.clock.now();
    let etag = format!("\"{id:x}-{length:x}\"", id = id.0);
    let change = RunChange {
        // Into a bucket it has yet to be sent.
        path: in_directory.then(|| Place::Object(place.key().clone()).to_row()),
        stored_at: in_directory.then_some(now),
        bytes: Some(i64::try_from(length).unwrap_or(i64::MAX)),
        duration: Some(finalised.duration),
        etag: Some(etag.clone()),
        frame_rate,
        ..RunChange::default()
    };
    house.store.finish_run(id, &change, now).await?;
    tracing::info!(
        size_bytes = length,
        frames = finalised.video_frames,
        "a run is final"
    );
    Ok(Download {
        media: MediaBytes::File(FileRange::new(shared, 0, length)),
        etag,
        modified: now,
        has_video,
    })
}

/// The final index from the rows; from the file itself where rows are missing.
fn index(tracks: &TrackSet, rows: &[IndexedSegment], file: &RunFile) -> io::Result<Finalised> {
    let mut finaliser = Finaliser::new(tracks);
    let decoded = rows.iter().try_for_each(|row| {
        SegmentIndex::decode(&row.sample_index).map(|segment| finaliser.add(&segment))
    });
    let complete = decoded
        .ok()
        .and_then(|()| finaliser.finish(file.end()).ok());
    if let Some(finalised) = complete {
        return Ok(finalised);
    }
    tracing::warn!("rows do not cover the file; its parts are scanned");
    let mut reader = std::fs::File::open(file.path())?;
    let scan = fmp4::scan(&mut reader).map_err(io::Error::other)?;
    let segment = SegmentIndex { parts: scan.parts };
    fmp4::finalise(tracks, [&segment], file.end()).map_err(io::Error::other)
}

/// The download of a run that is final already.
pub(super) fn download(run: &Run, source: &Source) -> Option<Download> {
    Some(Download {
        media: source.range(0, u64::try_from(run.bytes).ok()?),
        etag: run.etag.clone()?,
        modified: run.finished_at.unwrap_or(Timestamp(0)),
        has_video: run.video_codec.is_some(),
    })
}
