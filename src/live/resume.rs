//! After a start of the server: every live that an earlier process left is resumed, finished or ended.

use std::sync::Arc;

use super::error::LiveError;
use super::lives::Lives;
use super::owner::note_finished;
use super::state::{Happening, State, next};
use crate::base::LiveId;
use crate::rendition::{Growing, Survived, sweep};
use crate::store::{EndReason, Live, LiveChange, LiveStatus, Recording, RecordingState};

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
        self.sweep().await?;
        self.sending.take_up().await?;
        Ok(found)
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
            self.run(live.clone(), State::Ready, None, None);
            return Ok(());
        };
        let (growing, written) = Growing::resume(self.plan(live.id), &recording, survived).await?;
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
        self.run(live, state, Some(growing), Some(recording.recording.id));
        Ok(())
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
        let finished = growing.finish().await;
        let saved = note_finished(deps, id, &finished).await;
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
