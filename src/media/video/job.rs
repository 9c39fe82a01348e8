//! The two jobs of a video: make it playable, make the rest.

use std::fs::File;
use std::io;

use anyhow::anyhow;
use serde::{Deserialize, Serialize};

use super::pack::{PackError, Shelf, pack};
use super::picture::{LIST, POSTER_WIDTH, poster, storyboard};
use super::plan::{Plan, SOURCE};
use super::service::{Inner, Videos};
use super::storyboard::TILE_WIDTH;
use crate::base::{MediaId, RecordingId};
use crate::jobs::{JobContext, JobError, Jobs, Kind, Registry, priority};
use crate::pipeline::ProbeReport;
use crate::store::{
    Job, Media, MediaChange, MediaState, NewJob, RecordingState, Run, RunState, WholeRecording,
};

/// Makes a video playable that plays as it is: no work for the processor, so nothing that is transcoded holds it up.
pub const REMUX: Kind = Kind {
    name: "video-remux",
    priority: priority::UPLOAD + 10,
    concurrency: 2,
    max_attempts: 4,
};
/// Makes a video playable by encoding it anew.
pub const TRANSCODE: Kind = Kind {
    name: "video-transcode",
    priority: priority::UPLOAD,
    concurrency: 1,
    max_attempts: 4,
};
/// Lower rungs, sound alone, the storyboard.
pub const REST: Kind = Kind {
    name: "video-rest",
    priority: priority::UPLOAD - 20,
    concurrency: 1,
    max_attempts: 4,
};

/// What a job of ours is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Task {
    media: MediaId,
    /// What the file was found to be.
    report: ProbeReport,
}

fn subject(media: MediaId) -> String {
    format!("media:{media}")
}

fn new_job(jobs: &Jobs, kind: Kind, task: &Task) -> NewJob {
    let payload = serde_json::to_value(task).expect("plain values have a JSON form");
    let new = jobs.new_job(kind, &payload);
    let key = format!("{}:{}", kind.name, task.media);
    // The file that was sent lies on this data folder.
    jobs.here(new.about(subject(task.media)).once_per(key))
}

/// The job that an accepted file begins with.
pub(super) fn first_job(jobs: &Jobs, media: MediaId, report: ProbeReport) -> NewJob {
    let kind = if report.can_be_remuxed() {
        REMUX
    } else {
        TRANSCODE
    };
    new_job(jobs, kind, &Task { media, report })
}

impl Videos {
    /// Says what this process does with jobs of videos.
    pub fn register(&self, registry: &mut Registry) {
        for kind in [REMUX, TRANSCODE] {
            let videos = self.clone();
            registry.on(kind, move |job| {
                let videos = videos.clone();
                async move {
                    videos
                        .0
                        .unless_cancelled(&job, videos.0.play(kind, &job))
                        .await
                }
            });
            let videos = self.clone();
            registry.on_giving_up(kind, move |job| {
                let videos = videos.clone();
                async move { videos.0.cannot_play(&job).await }
            });
        }
        let videos = self.clone();
        registry.on(REST, move |job| {
            let videos = videos.clone();
            async move { videos.0.unless_cancelled(&job, videos.0.rest(&job)).await }
        });
        let videos = self.clone();
        registry.on_giving_up(REST, move |job| {
            let videos = videos.clone();
            async move { videos.0.without_rest(&job).await }
        });
    }

    /// Removes files that were sent and of which nothing more is made: a crash came before the row, or after the last
    /// job. Once, at the start.
    ///
    /// # Errors
    /// When rows or folder cannot be read.
    pub async fn sweep(&self) -> anyhow::Result<usize> {
        let inner = &self.0;
        let mut swept = 0;
        for media in inner.originals.all().await? {
            let jobs = inner.jobs.about(&subject(media)).await?;
            if jobs.iter().all(|job| job.ended_at.is_some()) {
                inner.originals.drop(media).await?;
                swept += 1;
            }
        }
        Ok(swept)
    }
}

impl Inner {
    async fn unless_cancelled(
        &self,
        job: &JobContext,
        work: impl Future<Output = Result<(), JobError>>,
    ) -> Result<(), JobError> {
        tokio::select! {
            biased;
            () = job.cancelled().cancelled_owned() => Err(anyhow!("cancelled").into()),
            done = work => done,
        }
    }

    /// The first rendition and the poster; then the video is ready, and the rest is asked for.
    async fn play(&self, kind: Kind, job: &JobContext) -> Result<(), JobError> {
        let task: Task = job.payload()?;
        let Some(media) = self.store.media(task.media).await? else {
            // Deleted in the meantime.
            return Ok(self.originals.drop(task.media).await?);
        };
        if media.state == MediaState::Processing {
            let id = RecordingId(self.ids.next());
            let now = self.clock.now();
            let recording = self.store.create_media_recording(id, media.id, now).await?;
            let made = if kind == REMUX {
                self.remux(job, &task, recording.id).await
            } else {
                let plan = Plan::of_source(&self.ladder, &task.report);
                self.transcode(job, &task, &plan, recording.id, "transcode")
                    .await
            };
            match made {
                Err(error) if kind == REMUX && error.is_the_files_fault() => {
                    tracing::warn!(%error, media.id = %media.id, "a video does not go through as it is, and is encoded anew");
                    job.jobs()
                        .enqueue(&new_job(job.jobs(), TRANSCODE, &task))
                        .await?;
                    return Ok(());
                }
                made => made.map_err(PackError::of_job)?,
            }
            self.ready(job, &task, &media).await?;
        }
        job.jobs()
            .enqueue(&new_job(job.jobs(), REST, &task))
            .await?;
        Ok(())
    }

    async fn remux(
        &self,
        job: &JobContext,
        task: &Task,
        recording: RecordingId,
    ) -> Result<(), PackError> {
        job.progress("remux", 0);
        let file = self.originals.open(task.media).await?;
        let video = &task.report.video;
        let running = self.host.demux(file).await?;
        let rate = Some(video.frame_rate).filter(|_| !video.variable);
        let shelf = self.shelf(task.media, recording);
        let names = [SOURCE.to_owned()];
        let told = |at| job.progress("remux", percent(at, task.report.duration_ms));
        pack(running, &names, rate, shelf, told).await
    }

    async fn transcode(
        &self,
        job: &JobContext,
        task: &Task,
        plan: &Plan,
        recording: RecordingId,
        stage: &str,
    ) -> Result<(), PackError> {
        job.progress(stage, 0);
        let file = self.originals.open(task.media).await?;
        let running = self.host.transcode(file, plan.transcode.clone()).await?;
        let shelf = self.shelf(task.media, recording);
        let told = |at| job.progress(stage, percent(at, task.report.duration_ms));
        pack(running, &plan.names, Some(plan.frame_rate()), shelf, told).await
    }

    /// The first rendition is there: notes what it is, with the poster.
    async fn ready(&self, job: &JobContext, task: &Task, media: &Media) -> Result<(), JobError> {
        job.progress("poster", 0);
        let whole = self.recording(media.id).await?;
        let file = self.to_draw_from(&whole, media.id, POSTER_WIDTH).await?;
        let objects = &self.sending.places().objects;
        let duration_ms = task.report.duration_ms;
        let poster = match poster(&self.host, objects, media.id, file, duration_ms).await {
            Ok(poster) => poster,
            Err(error) if !job.is_last_attempt() => return Err(error.into()),
            Err(error) => {
                tracing::error!(%error, media.id = %media.id, "a video goes without a poster");
                None
            }
        };
        let run = whole.runs.iter().find(|run| run.rendition == SOURCE);
        let run = run.ok_or_else(|| anyhow!("the first rendition is gone"))?;
        let change = MediaChange {
            state: Some(MediaState::Ready),
            bytes: Some(run.bytes),
            width: run.width,
            height: run.height,
            duration: Some(run.duration),
            blurhash: poster.as_ref().and_then(|poster| poster.blurhash.clone()),
            ..MediaChange::default()
        };
        let files: Vec<_> = poster.into_iter().map(|poster| poster.file).collect();
        let (id, now) = (whole.recording.id, self.clock.now());
        let finishing = RecordingState::Finishing;
        self.store.set_recording_state(id, finishing, now).await?;
        self.store
            .change_media(media.id, &change, &files, now)
            .await?;
        tracing::info!(media.id = %media.id, size_bytes = run.bytes, "a video can be played");
        Ok(())
    }

    /// Everything that a video is not waited for.
    async fn rest(&self, job: &JobContext) -> Result<(), JobError> {
        let task: Task = job.payload()?;
        let Some(media) = self.store.media(task.media).await? else {
            return Ok(self.originals.drop(task.media).await?);
        };
        let whole = self.recording(media.id).await?;
        let there = whole.runs.iter().filter(|run| run.state == RunState::Final);
        let there: Vec<String> = there.map(|run| run.rendition.clone()).collect();
        let side = |pixels: Option<i64>| pixels.and_then(|side| u32::try_from(side).ok());
        let size = side(media.width).zip(side(media.height)).unwrap_or((0, 0));
        if let Some(plan) = Plan::of_rest(&self.ladder, &task.report, size, &there) {
            let id = whole.recording.id;
            let made = self.transcode(job, &task, &plan, id, "rungs").await;
            made.map_err(PackError::of_job)?;
        }
        let files = self.store.media_files(media.id).await?;
        let mut new = Vec::new();
        if files.iter().all(|file| file.name != LIST) {
            job.progress("storyboard", 0);
            let whole = self.recording(media.id).await?;
            let file = self.to_draw_from(&whole, media.id, TILE_WIDTH).await?;
            let objects = &self.sending.places().objects;
            let duration_ms = task.report.duration_ms;
            new = storyboard(&self.host, objects, media.id, file, duration_ms).await?;
        }
        let pictures: u64 = new.iter().map(|file| file.bytes).sum();
        let pictures = i64::try_from(pictures).unwrap_or(i64::MAX);
        let known: i64 = files.iter().map(|file| file.bytes).sum();
        self.complete(media.id, known + pictures, &new).await?;
        Ok(self.originals.drop(media.id).await?)
    }

    /// No rendition will follow.
    async fn complete(
        &self,
        media: MediaId,
        pictures: i64,
        new: &[crate::store::NewMediaFile],
    ) -> anyhow::Result<()> {
        let whole = self.recording(media).await?;
        let (id, now) = (whole.recording.id, self.clock.now());
        let runs: i64 = whole.runs.iter().map(|run| run.bytes).sum();
        let change = MediaChange {
            bytes: Some(runs + pictures),
            ..MediaChange::default()
        };
        let row = self.store.change_media(media, &change, new, now).await?;
        self.store
            .set_recording_state(id, RecordingState::Ready, now)
            .await?;
        // What was stored before it was ready does not say so by itself.
        self.store.set_recording_stored(id, now).await?;
        self.playbacks.forget(&row.public_id);
        Ok(())
    }

    /// The first job was given up: the video has failed.
    async fn cannot_play(&self, job: &Job) -> anyhow::Result<()> {
        let task: Task = serde_json::from_str(&job.payload)?;
        let now = self.clock.now();
        if let Some(whole) = self.store.recording_of_media(task.media).await? {
            let id = whole.recording.id;
            self.clear(&whole, |run| run.state == RunState::Growing)
                .await?;
            let failed = RecordingState::Failed;
            self.store.set_recording_state(id, failed, now).await?;
        }
        let change = MediaChange {
            state: Some(MediaState::Failed),
            failure: Some(job.reason.clone().unwrap_or_else(|| "internal".to_owned())),
            ..MediaChange::default()
        };
        match self.store.change_media(task.media, &change, &[], now).await {
            Ok(_) | Err(crate::store::StoreError::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(self.originals.drop(task.media).await?)
    }

    /// The second job was given up: what can be played stays.
    async fn without_rest(&self, job: &Job) -> anyhow::Result<()> {
        let task: Task = serde_json::from_str(&job.payload)?;
        if let Some(whole) = self.store.recording_of_media(task.media).await?
            && self.store.media(task.media).await?.is_some()
        {
            self.clear(&whole, |run| run.state == RunState::Growing)
                .await?;
            let files = self.store.media_files(task.media).await?;
            let pictures = files.iter().map(|file| file.bytes).sum();
            self.complete(task.media, pictures, &[]).await?;
        }
        Ok(self.originals.drop(task.media).await?)
    }

    /// What pictures of this width are drawn from: the smallest rendition that is no narrower, else the widest, since
    /// any player can seek in ours; the file that was sent once they have left for a bucket.
    async fn to_draw_from(
        &self,
        whole: &WholeRecording,
        media: MediaId,
        width: u32,
    ) -> io::Result<File> {
        let runs = whole.runs.iter();
        let runs = runs.filter(|run| run.state == RunState::Final && run.width.is_some());
        let (narrow, wide): (Vec<&Run>, Vec<&Run>) =
            runs.partition(|run| run.width < Some(i64::from(width)));
        let best = wide.iter().min_by_key(|run| run.width);
        let best = best.or_else(|| narrow.iter().max_by_key(|run| run.width));
        let path = best.and_then(|run| self.sending.places().path_of_row(&run.path));
        if let Some(path) = path
            && let Ok(file) = tokio::fs::File::open(path).await
        {
            return Ok(file.into_std().await);
        }
        self.originals.open(media).await
    }

    pub(super) async fn recording(&self, media: MediaId) -> anyhow::Result<WholeRecording> {
        let whole = self.store.recording_of_media(media).await?;
        whole.ok_or_else(|| anyhow!("video {media} has no recording"))
    }

    fn shelf(&self, media: MediaId, recording: RecordingId) -> Shelf<'_> {
        Shelf {
            sending: &self.sending,
            ids: &self.ids,
            media,
            recording,
        }
    }
}

fn percent(at: u64, of: u64) -> u8 {
    u8::try_from((at * 100 / of.max(1)).min(99)).unwrap_or(99)
}
