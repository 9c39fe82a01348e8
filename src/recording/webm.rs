//! The job that makes the WebM of a recording.

use anyhow::anyhow;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::sync::Arc;

use super::film::{Film, FilmError, Made};
use super::plan::{Plan, source_runs, starts};
use super::service::{Inner, Recordings, subject};
use super::workshop::{FetchError, Half};
use crate::av::{Ticks, Timescale};
use crate::base::{LiveId, random_hex};
use crate::jobs::{JobContext, JobError, Kind, Registry, priority};
use crate::objects::ObjectKey;
use crate::pipeline::{self, PipelineError, Running};
use crate::store::{NewJob, NewRecordingFile, Run, WholeRecording};

/// The file's name in addresses.
pub const FILE: &str = "recording.webm";

/// Makes the WebM of a live: whole cores for as long as half of the live, so after everything that somebody waits for.
pub const WEBM: Kind = Kind {
    name: "recording-webm",
    priority: priority::UPKEEP + 10,
    concurrency: 1,
    max_attempts: 8,
};

/// What jobs of this room are told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Task {
    pub(super) live: LiveId,
}

impl Recordings {
    pub(super) fn register_webm(&self, registry: &mut Registry) {
        let recordings = self.clone();
        registry.on(WEBM, move |job| {
            let inner = Arc::clone(&recordings.0);
            async move { unless_cancelled(&job, inner.make_webm(&job)).await }
        });
    }
}

/// Whatever is under way is dropped when nobody wants it any more: children are killed, files removed.
pub(super) async fn unless_cancelled(
    job: &JobContext,
    work: impl Future<Output = Result<(), JobError>>,
) -> Result<(), JobError> {
    tokio::select! {
        biased;
        () = job.cancelled().cancelled_owned() => Err(anyhow!("cancelled").into()),
        done = work => done,
    }
}

impl Inner {
    /// The job that makes it: any process may do it, unless one is at it.
    pub(super) fn webm_job(&self, whole: &WholeRecording) -> NewJob {
        self.job_about(WEBM, whole)
    }

    pub(super) fn job_about(&self, kind: Kind, whole: &WholeRecording) -> NewJob {
        let id = whole.recording.id;
        let live = whole.recording.live_id.unwrap_or(LiveId(0));
        let payload = serde_json::to_value(Task { live }).expect("plain values have a JSON form");
        let new = self.jobs.new_job(kind, &payload);
        new.about(subject(id))
            .once_per(format!("{}:{id}", kind.name))
    }

    async fn make_webm(&self, job: &JobContext) -> Result<(), JobError> {
        let Task { live } = job.payload()?;
        let Some(whole) = self.store.recording_of(live).await? else {
            return Ok(());
        };
        if whole.files.iter().any(|file| file.name == FILE) {
            // An earlier attempt has done it and died before it could say so.
            return Ok(());
        }
        let runs = source_runs(&whole);
        let Some(plan) = Plan::of(&runs, self.config.webm_short_side) else {
            return Err(JobError::never("nothing", anyhow!("nothing is recorded")));
        };
        // What an attempt left that was killed; one that only lost its lease finds its file gone and fails.
        self.workshop.clear(whole.recording.id).await?;
        job.progress("webm", 0);
        let made = self.film(job, &whole, &runs, plan).await?;
        job.progress("store", 99);
        let key = ObjectKey::live_file(live, FILE).expect("our own names are pieces of a path");
        let stored = self.places.objects.put_file(&key, made.half.path()).await;
        stored.map_err(|error| JobError::again("store", error))?;
        let (width, height) = made.size.unzip();
        let file = NewRecordingFile {
            name: FILE.to_owned(),
            path: key.to_string(),
            content_type: if width.is_some() {
                "video/webm"
            } else {
                "audio/webm"
            }
            .to_owned(),
            bytes: made.bytes,
            duration: Some(made.duration),
            width,
            height,
            // One made anew may be as long and have other bytes.
            etag: random_hex::<16>(),
        };
        let (id, now) = (whole.recording.id, self.clock.now());
        self.store.put_recording_files(id, &[file], now).await?;
        let how = match plan {
            Plan::Remux => "remux",
            Plan::Encode { .. } => "encode",
        };
        metrics::counter!("griot_recording_webm_total", "how" => how).increment(1);
        tracing::info!(recording.id = %id, size_bytes = made.bytes, how, "a WebM is there");
        Ok(())
    }

    async fn film(
        &self,
        job: &JobContext,
        whole: &WholeRecording,
        runs: &[&Run],
        plan: Plan,
    ) -> Result<Made, JobError> {
        let id = whole.recording.id;
        let all = runs.iter().fold(Ticks::ZERO, |sum, run| sum + run.duration);
        let all_ms = milliseconds(all);
        let room = self.workshop.has_room(expected_bytes(runs, plan, all_ms));
        room.await.map_err(of_fetch)?;
        let half = self.workshop.begin(id).await?;
        let mut film = Film::begin(plan, half);
        let mut done_ms = 0;
        for (run, start) in runs.iter().zip(starts(runs)) {
            let (file, _fetched) = self.open(run).await?;
            let running = self.child(file, run, plan).await.map_err(of_pipeline)?;
            let told = |at: u64| {
                let percent = (done_ms + at) * 100 / all_ms.max(1);
                job.progress("webm", u8::try_from(percent.min(99)).unwrap_or(99));
            };
            let took = film.run(running, start, run.duration, told).await;
            took.map_err(of_film)?;
            done_ms += milliseconds(run.duration);
        }
        film.finish().await.map_err(of_film)
    }

    /// A run's file, for a child to read.
    pub(super) async fn open(&self, run: &Run) -> Result<(File, Option<Half>), JobError> {
        // It may have left the spool since the job began.
        let now = self.store.run(run.id).await?;
        let row = now.as_ref().map_or(&run.path, |run| &run.path);
        let bytes = u64::try_from(run.bytes).unwrap_or(0);
        let opened = self
            .workshop
            .open(&self.places, run.recording_id, row, bytes);
        opened.await.map_err(of_fetch)
    }

    async fn child(&self, file: File, run: &Run, plan: Plan) -> Result<Running, PipelineError> {
        match plan {
            Plan::Remux => self.host.demux(file).await,
            Plan::Encode { video, audio } => {
                let plan = pipeline::Webm {
                    video: video.filter(|_| run.video_codec.is_some()),
                    audio: audio.filter(|_| run.audio_codec.is_some()),
                    duration_ms: milliseconds(run.duration),
                };
                self.host.webm(file, plan).await
            }
        }
    }
}

/// The most that the film may become, for the room that it needs.
fn expected_bytes(runs: &[&Run], plan: Plan, all_ms: u64) -> u64 {
    match plan {
        Plan::Remux => runs
            .iter()
            .map(|run| u64::try_from(run.bytes).unwrap_or(0))
            .sum(),
        Plan::Encode { video, audio } => {
            let kbps =
                video.map_or(0, |video| video.max_kbps) + audio.map_or(0, |audio| audio.kbps);
            all_ms * u64::from(kbps) / 8
        }
    }
}

pub(super) fn milliseconds(ticks: Ticks) -> u64 {
    let ms = ticks.rescale(Timescale::VIDEO, Timescale::MILLIS);
    u64::try_from(ms.0).unwrap_or(0)
}

pub(super) fn of_fetch(error: FetchError) -> JobError {
    let reason = match &error {
        FetchError::NoRoom { .. } => "no_room",
        FetchError::Elsewhere(_) => "not_stored",
        FetchError::Objects(_) => "store",
        FetchError::Disk(_) => "internal",
    };
    JobError::again(reason, error)
}

/// The file is ours, so a child that dies or hangs is not its fault; one that looks and refuses is believed.
pub(super) fn of_pipeline(error: PipelineError) -> JobError {
    match &error {
        PipelineError::Refused(_) => JobError::never("unreadable", error),
        PipelineError::Unavailable(_) => JobError::again("unavailable", error),
        _ => JobError::again("internal", error),
    }
}

fn of_film(error: FilmError) -> JobError {
    match error {
        FilmError::Pipeline(error) => of_pipeline(error),
        FilmError::Disk(error) if error.kind() == std::io::ErrorKind::StorageFull => {
            JobError::again("no_room", error)
        }
        FilmError::Disk(error) => JobError::again("internal", error),
        error @ (FilmError::Track(_) | FilmError::Empty) => JobError::never("unreadable", error),
        error @ FilmError::Truncated => JobError::again("unreadable", error),
    }
}
