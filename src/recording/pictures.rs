//! The job that draws the poster and the storyboard of a recording.

use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::sync::Arc;

use super::plan::{source_runs, starts};
use super::service::{Inner, Recordings};
use super::webm::{Task, milliseconds, unless_cancelled};
use crate::base::LiveId;
use crate::jobs::{JobContext, JobError, Kind, Registry, priority};
use crate::media::video::stills::{self, StillError, Stretch};
use crate::objects::ObjectKey;
use crate::store::{NewJob, NewRecordingFile, Run, WholeRecording};

/// The poster's name in addresses.
pub const POSTER: &str = "poster.jpg";
/// The storyboard's sheet, and …
pub const SHEET: &str = "storyboard.jpg";
/// … its list.
pub const STORYBOARD: &str = "storyboard.vtt";
/// Pixels of the poster's width, at most.
const POSTER_WIDTH: u32 = 1_280;
/// Where the poster is taken: the first seconds of a live are often black; of a short one in its middle.
const POSTER_AT_MS: u64 = 10_000;

/// Draws the pictures of a live: seconds, and people look for a replay at once.
pub const PICTURES: Kind = Kind {
    name: "recording-pictures",
    priority: priority::UPLOAD - 10,
    concurrency: 1,
    max_attempts: 8,
};

impl Recordings {
    pub(super) fn register_pictures(&self, registry: &mut Registry) {
        let recordings = self.clone();
        registry.on(PICTURES, move |job| {
            let inner = Arc::clone(&recordings.0);
            async move { unless_cancelled(&job, inner.draw(&job)).await }
        });
    }
}

impl Inner {
    pub(super) fn pictures_job(&self, whole: &WholeRecording) -> NewJob {
        self.job_about(PICTURES, whole)
    }

    async fn draw(&self, job: &JobContext) -> Result<(), JobError> {
        let Task { live } = job.payload()?;
        let Some(whole) = self.store.recording_of(live).await? else {
            return Ok(());
        };
        let lacks = |name: &str| whole.files.iter().all(|file| file.name != name);
        let runs = source_runs(&whole);
        let runs: Vec<(&Run, u64)> = runs
            .iter()
            .zip(starts(&runs))
            .filter(|(run, _)| run.video_codec.is_some())
            .map(|(run, start)| (*run, milliseconds(start)))
            .collect();
        let Some((last, at_ms)) = runs.last() else {
            // Sound alone has no pictures.
            return Ok(());
        };
        let duration_ms = at_ms + milliseconds(last.duration);
        if lacks(POSTER) {
            job.progress("poster", 0);
            let poster = self.poster(live, &runs).await?;
            self.put(&whole, poster.as_slice()).await?;
        }
        if lacks(STORYBOARD) {
            job.progress("storyboard", 50);
            let board = self.storyboard(live, &runs, duration_ms).await?;
            self.put(&whole, &board).await?;
        }
        Ok(())
    }

    async fn put(
        &self,
        whole: &WholeRecording,
        files: &[NewRecordingFile],
    ) -> Result<(), JobError> {
        let (id, now) = (whole.recording.id, self.clock.now());
        Ok(self.store.put_recording_files(id, files, now).await?)
    }

    async fn poster(
        &self,
        live: LiveId,
        runs: &[(&Run, u64)],
    ) -> Result<Option<NewRecordingFile>, JobError> {
        let Some((run, _)) = runs.first() else {
            return Ok(None);
        };
        let (file, _fetched) = self.open(run).await?;
        let at_ms = POSTER_AT_MS.min(milliseconds(run.duration) / 2);
        let still = stills::still(&self.host, file, at_ms, POSTER_WIDTH).await;
        let Some(still) = still.map_err(of_still)? else {
            return Ok(None);
        };
        let size = (still.width, still.height);
        self.store_picture(live, POSTER, still.jpeg, Some(size))
            .await
            .map(Some)
    }

    async fn storyboard(
        &self,
        live: LiveId,
        runs: &[(&Run, u64)],
        duration_ms: u64,
    ) -> Result<Vec<NewRecordingFile>, JobError> {
        let mut stretches = Vec::with_capacity(runs.len());
        // Held until all is drawn: what was fetched from a bucket.
        let mut fetched = Vec::new();
        for (run, at_ms) in runs {
            let (file, half) = self.open(run).await?;
            fetched.extend(half);
            stretches.push(Stretch {
                file,
                at_ms: *at_ms,
            });
        }
        let board = stills::board(&self.host, stretches, duration_ms, SHEET).await;
        let Some(board) = board.map_err(of_still)? else {
            return Ok(Vec::new());
        };
        let size = Some((board.width, board.height));
        let sheet = self.store_picture(live, SHEET, board.sheet, size).await?;
        let list = self
            .store_picture(live, STORYBOARD, board.list, None)
            .await?;
        Ok(vec![sheet, list])
    }

    async fn store_picture(
        &self,
        live: LiveId,
        name: &str,
        bytes: Bytes,
        size: Option<(u32, u32)>,
    ) -> Result<NewRecordingFile, JobError> {
        let key = ObjectKey::live_file(live, name).expect("our own names are pieces of a path");
        let file = NewRecordingFile {
            name: name.to_owned(),
            path: key.to_string(),
            content_type: key.content_type().to_owned(),
            bytes: bytes.len() as u64,
            duration: None,
            width: size.map(|(width, _)| width),
            height: size.map(|(_, height)| height),
            etag: hex::encode(&Sha256::digest(&bytes)[..16]),
        };
        let stored = self.places.objects.put(&key, bytes).await;
        stored.map_err(|error| JobError::again("store", error))?;
        Ok(file)
    }
}

fn of_still(error: StillError) -> JobError {
    match error {
        StillError::Pipeline(error) => super::webm::of_pipeline(error),
        StillError::Draw(error) => JobError::again("internal", error),
    }
}
