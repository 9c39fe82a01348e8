//! After a start of the server: every live that an earlier process left is resumed, finished or ended.

use std::collections::HashSet;
use std::sync::Arc;

use super::error::LiveError;
use super::lives::{Left, Lives};
use super::owner::note_finished;
use super::state::{Happening, State, next};
use super::steps::Steps;
use crate::base::LiveId;
use crate::hls::Variant;
use crate::rendition::{From, Growing, Mirror, MirrorPlan, Survived, sweep};
use crate::store::{
    EndReason, Live, LiveChange, LiveStatus, Recording, RecordingState, WholeRecording,
};

/// What a start found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resumed {
    /// Lives whose encoder may come back into the same file.
    pub resumed: usize,
    /// Recordings of ended lives that were made final.
    pub finished: usize,
    /// Lives or recordings of which nothing can be played.
    pub failed: usize,
}

impl Lives {
    /// Brings rows and files of an earlier process in order. Once, before anybody publishes or plays.
    ///
    /// # Errors
    /// The rows' failure. A live whose file is broken is ended and counted, not an error.
    pub async fn resume(&self, survived: Survived) -> Result<Resumed, LiveError> {
        let deps = self.deps();
        let mut found = Resumed::default();
        let now = deps.clock.now();
        deps.store.close_open_sessions("restart", now).await?;
        for live in deps.store.open_lives().await? {
            match self.resume_live(&live, survived).await {
                Ok(()) => found.resumed += 1,
                Err(error) => {
                    tracing::error!(live.id = %live.id, %error, "a live cannot go on and is ended");
                    deps.store
                        .end_live(live.id, EndReason::Timeout, now)
                        .await?;
                    found.failed += 1;
                }
            }
        }
        for state in [RecordingState::Recording, RecordingState::Finishing] {
            for recording in deps.store.recordings_in(state).await? {
                let Some(id) = recording.live_id else {
                    // Of a video: its job goes on with it.
                    continue;
                };
                let live = deps.store.live(id).await?;
                if live.is_none_or(|live| live.status != LiveStatus::Ended) {
                    continue;
                }
                if self.finish_recording(id, &recording, survived).await? {
                    found.finished += 1;
                } else {
                    found.failed += 1;
                }
            }
        }
        self.finish_rungs(survived).await?;
        self.sweep().await?;
        self.sending.take_up().await?;
        Ok(found)
    }

    /// Recordings that are ready, but for rungs that a crash left.
    async fn finish_rungs(&self, survived: Survived) -> Result<(), LiveError> {
        let store = &self.deps().store;
        let growing = store.growing_runs().await?;
        let growing: HashSet<_> = growing.iter().map(|run| run.recording_id).collect();
        if growing.is_empty() {
            return Ok(());
        }
        for recording in store.recordings_in(RecordingState::Ready).await? {
            if let Some(live) = recording
                .live_id
                .filter(|_| growing.contains(&recording.id))
            {
                self.finish_recording(live, &recording, survived).await?;
            }
        }
        Ok(())
    }

    /// Takes out of the spool what a crash left and nobody needs.
    async fn sweep(&self) -> Result<(), LiveError> {
        let deps = self.deps();
        let places = self.sending.places().clone();
        let runs = deps.store.runs_in_spool().await?;
        let named = runs
            .iter()
            .filter_map(|run| places.path_of_row(&run.path))
            .collect();
        let swept = tokio::task::spawn_blocking(move || sweep(&places.spool, &named)).await;
        match swept {
            Ok(Ok(0)) => {}
            Ok(Ok(files)) => tracing::info!(files, "files without media are gone from the spool"),
            Ok(Err(error)) => tracing::warn!(%error, "the spool could not be swept"),
            Err(error) => tracing::error!(%error, "sweeping the spool broke"),
        }
        Ok(())
    }

    async fn resume_live(&self, live: &Live, survived: Survived) -> anyhow::Result<()> {
        let deps = self.deps();
        let Some(recording) = deps.store.recording_of(live.id).await? else {
            self.run(live.clone(), State::Ready, None);
            return Ok(());
        };
        let (mut growing, written) =
            Growing::resume(self.plan(live.id), &recording, survived).await?;
        let steps = self
            .resume_rungs(live.id, &mut growing, &recording, survived)
            .await;
        let mut live = live.clone();
        live.last_media_at = live.last_media_at.max(written);
        let state = next(State::Live, Happening::Restart);
        let now = deps.clock.now();
        let change = LiveChange {
            status: Some(state.status()),
            grace_until: Some(Some(now.plus(deps.config.reconnect_grace))),
            last_media_at: live.last_media_at,
            ..LiveChange::default()
        };
        deps.store.update_live(live.id, &change).await?;
        live.status = state.status();
        let left = Left {
            growing,
            recording: recording.recording.id,
            steps,
        };
        self.run(live, state, Some(left));
        Ok(())
    }

    /// The rungs that an earlier process left of a live whose source goes on as `growing`. One that cannot be read is
    /// left to the replay.
    async fn resume_rungs(
        &self,
        live: LiveId,
        growing: &mut Growing,
        recording: &WholeRecording,
        survived: Survived,
    ) -> Steps {
        let line = growing.take_line();
        let files = self.plan(live);
        let mut names: Vec<&str> = Vec::new();
        let rungs = recording.runs.iter();
        for run in rungs.filter(|run| run.rendition != files.rendition) {
            if !names.contains(&run.rendition.as_str()) {
                names.push(&run.rendition);
            }
        }
        let mut mirrors = Vec::new();
        for name in names {
            let Some(plan) = plan_of_rows(name, recording) else {
                continue;
            };
            let size = plan.estimate.resolution;
            let resumed = Mirror::resume(files.clone(), plan, recording, &line, survived).await;
            match resumed {
                Ok(mirror) => mirrors.push((mirror, size)),
                Err(error) => {
                    tracing::error!(rendition = name, %error, "a rung cannot go on");
                }
            }
        }
        Steps::resumed(mirrors, line)
    }

    /// Makes the recording of an ended live final; `false` when nothing of it can be played, or not yet.
    async fn finish_recording(
        &self,
        live: LiveId,
        recording: &Recording,
        survived: Survived,
    ) -> Result<bool, LiveError> {
        let deps = self.deps();
        let id = recording.id;
        let Some(whole) = deps.store.recording_of(live).await? else {
            return Ok(false);
        };
        let mut growing = match Growing::resume(self.plan(live), &whole, survived).await {
            Ok((growing, _)) => growing,
            Err(error) => {
                tracing::error!(live.id = %live, %error, "a recording cannot be finished");
                return Ok(note_finished(deps, id, &Ok(false)).await);
            }
        };
        let mut steps = self
            .resume_rungs(live, &mut growing, &whole, survived)
            .await;
        let finished = growing.finish().await;
        let saved = note_finished(deps, id, &finished).await;
        let (store, sending) = (deps.store.clone(), self.sending.clone());
        let keep = deps.config.keep_rungs;
        deps.tasks
            .spawn(async move { steps.finish(live, keep, &store, &sending).await });
        if finished.is_err() {
            // A full disk: it goes on beside the server.
            let deps = Arc::clone(deps);
            let tasks = deps.tasks.clone();
            tasks.spawn(async move {
                let finished = growing.finished().await;
                note_finished(&deps, id, &finished).await;
            });
        }
        Ok(saved)
    }
}

/// What a rung is made of, as far as its rows tell: until its source's next run begins, only what is there matters.
fn plan_of_rows(name: &str, recording: &WholeRecording) -> Option<MirrorPlan> {
    let runs = recording.runs.iter();
    let newest = runs
        .filter(|run| run.rendition == name)
        .max_by_key(|run| run.number)?;
    let side = |side: Option<i64>| side.and_then(|side| u32::try_from(side).ok());
    let has = |codec: &Option<String>| codec.is_some().then_some(From::Encoder);
    Some(MirrorPlan {
        rendition: name.to_owned(),
        picture: has(&newest.video_codec),
        sound: has(&newest.audio_codec),
        estimate: Variant {
            uri: format!("{name}/index.m3u8"),
            bandwidth: 0,
            average_bandwidth: None,
            codecs: newest.codecs.clone(),
            resolution: side(newest.width).zip(side(newest.height)),
            frame_rate: newest.frame_rate,
        },
    })
}
