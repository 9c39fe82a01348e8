//! Makes a run final: index appended, header patched, file handed to the object store, row last.

use std::io;

use super::error::RenditionError;
use super::file::{FileRange, RunFile};
use super::growing::{Growing, GrowingPlan};
use super::place::Place;
use super::reader::Download;
use super::run::blocking;
use crate::av::TrackSet;
use crate::base::{RunId, Timestamp};
use crate::fmp4::{self, Finalised, Finaliser, MDAT_OFFSET, SegmentIndex};
use crate::objects::Objects;
use crate::store::{IndexedSegment, Run, RunChange};

impl Growing {
    /// Seals every run that is closed. What fails stays for the next try.
    pub(super) async fn seal_runs(&mut self) -> Result<(), RenditionError> {
        while let Some(run) = self.unfinished.pop() {
            let Some((id, number, tracks, place, file)) = run.into_parts().await else {
                continue;
            };
            let download = seal(&self.plan, id, &tracks, &place, file).await?;
            self.shelf().set_download(number, download);
            self.finished_runs += 1;
        }
        Ok(())
    }

    /// Ends the rendition: ENDLIST at once, then the files. Answers whether anything was recorded.
    ///
    /// # Errors
    /// When a file could not be made final; rows say so, and the next start tries again.
    pub async fn finish(&mut self) -> Result<bool, RenditionError> {
        let ended = self.end_session().await;
        self.window.end();
        self.announce();
        self.shelf().cool();
        ended?;
        self.unfinished.extend(self.run.take());
        self.seal_runs().await?;
        Ok(self.finished_runs > 0)
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
        if let Some(run) = self.run.take() {
            run.park().await?;
        }
        Ok(())
    }
}

/// Makes the file of run `id` final. Doing it again after a crash at any step is right.
pub(super) async fn seal(
    plan: &GrowingPlan,
    id: RunId,
    tracks: &TrackSet,
    place: &Place,
    mut file: RunFile,
) -> Result<Download, RenditionError> {
    let rows = plan.store.indexed_segments(id).await?;
    let (places, tracks, key) = (plan.places.clone(), tracks.clone(), place.key().clone());
    let has_video = tracks.video.is_some();
    let (length, finalised, shared) = blocking(move || {
        let finalised = index(&tracks, &rows, &file)?;
        let length = file.seal(&finalised.moov, &finalised.mdat_header, MDAT_OFFSET)?;
        if let Objects::Directory(directory) = &places.objects {
            directory.adopt(file.path(), &key)?;
        }
        Ok((length, finalised, file.shared()))
    })
    .await?;
    let now = plan.clock.now();
    let etag = format!("\"{id:x}-{length:x}\"", id = id.0);
    let change = RunChange {
        // Into a bucket it has yet to be sent.
        path: plan
            .places
            .objects
            .directory()
            .map(|_| Place::Object(place.key().clone()).to_row()),
        bytes: Some(i64::try_from(length).unwrap_or(i64::MAX)),
        duration: Some(finalised.duration),
        etag: Some(etag.clone()),
        ..RunChange::default()
    };
    plan.store.finish_run(id, &change, now).await?;
    tracing::info!(
        size_bytes = length,
        frames = finalised.video_frames,
        "a run is final"
    );
    Ok(Download {
        range: FileRange::new(shared, 0, length),
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
pub(super) fn download(run: &Run, file: std::sync::Arc<std::fs::File>) -> Option<Download> {
    Some(Download {
        range: FileRange::new(file, 0, u64::try_from(run.bytes).ok()?),
        etag: run.etag.clone()?,
        modified: run.finished_at.unwrap_or(Timestamp(0)),
        has_video: run.video_codec.is_some(),
    })
}
