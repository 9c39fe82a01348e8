//! `griot check`: the files of which videos are made, against the jobs that make them.

use std::io;
use std::path::Path;

use anyhow::Context;

use super::check::Problem;
use crate::app::Rooms;
use crate::base::{MediaId, UploadId};
use crate::store::{JobFilter, JobState, Store};

/// The most jobs that are looked at; a server has some dozens under way.
const MOST_JOBS: u32 = 10_000;

/// Files without a job, and jobs of this machine without their file.
///
/// # Errors
/// When folder or rows cannot be read.
pub(super) async fn check(rooms: &Rooms) -> anyhow::Result<Vec<Problem>> {
    let (store, folder) = (&rooms.store, rooms.originals());
    let mut problems = Vec::new();
    for media in files(&folder).with_context(|| format!("{} cannot be read", folder.display()))? {
        let path = folder.join(media.to_string());
        let is_idle = !is_under_way(store, media).await?;
        // A server that runs may have removed it meanwhile.
        if is_idle && path.exists() && !is_under_way(store, media).await? {
            problems.push(Problem::idle_original(path, media));
        }
    }
    for state in [JobState::Queued, JobState::Running] {
        let filter = JobFilter {
            state: Some(state),
            ..JobFilter::default()
        };
        for job in store.jobs(&filter, MOST_JOBS).await? {
            let media = job
                .subject
                .as_deref()
                .and_then(|subject| subject.strip_prefix("media:"));
            let Some(media) = media.and_then(|id| id.parse::<MediaId>().ok()) else {
                continue;
            };
            let is_ours = job.node.as_deref() == Some(rooms.jobs.node());
            let is_of_video = job.kind.starts_with("video-");
            let needs_it = is_ours && is_of_video && !folder.join(media.to_string()).exists();
            // A job's last act is to remove it.
            if needs_it && is_under_way(store, media).await? {
                problems.push(Problem::lost_original(media));
            }
        }
    }
    Ok(problems)
}

/// Whether something is or will be made of it: a job that is not over, or an upload that has no verdict yet.
async fn is_under_way(store: &Store, media: MediaId) -> anyhow::Result<bool> {
    let jobs = store.jobs_about(&format!("media:{media}")).await?;
    if jobs.iter().any(|job| job.ended_at.is_none()) {
        return Ok(true);
    }
    // A medium has the id of its upload.
    let upload = store.upload(UploadId(media.0)).await?;
    Ok(jobs.is_empty() && upload.is_some_and(|upload| upload.media_id.is_none()))
}

fn files(folder: &Path) -> io::Result<Vec<MediaId>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut all = Vec::new();
    for entry in entries {
        all.extend(entry?.file_name().to_string_lossy().parse::<MediaId>().ok());
    }
    Ok(all)
}
