//! What the service and viewers see of a running live, beside its owner task.

use std::sync::Mutex;

use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::watch;
use tokio::time::Instant;

use super::audience::Audience;
use super::doctor::Finding;
use super::error::LiveError;
use super::owner::Command;
use super::poster::Drawn;
use super::publisher::full;
use super::standing::{LadderView, Poster};
use crate::base::{LiveId, UserId};
use crate::rendition::{Loss, Reader, Sending};
use crate::store::{LiveStatus, Store};

/// A live that has an owner task, or had one until a moment ago.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) live: LiveId,
    pub(super) owner: UserId,
    pub(super) playback_id: String,
    source: Reader,
    ladder: watch::Sender<LadderView>,
    pub(super) audience: Audience,
    /// When a picture was drawn of it last.
    pub(super) drawn: Drawn,
    // 32 commands: publishes and stops are rare. Full: the caller waits.
    commands: mpsc::Sender<Command>,
    // std mutex: never held across an await.
    now: Mutex<Now>,
}

#[derive(Debug)]
struct Now {
    status: LiveStatus,
    findings: Vec<Finding>,
    owner_seen: Instant,
    /// The hole that the disk is making in the recording.
    losing: Option<Loss>,
    poster: Option<Poster>,
}

impl Running {
    pub(super) fn new(
        live: &crate::store::Live,
        source: Reader,
        ladder: LadderView,
        commands: mpsc::Sender<Command>,
    ) -> Self {
        Self {
            live: live.id,
            owner: live.owner_id,
            playback_id: live.playback_id.clone(),
            source,
            ladder: watch::Sender::new(ladder),
            audience: Audience::default(),
            drawn: Drawn::default(),
            commands,
            now: Mutex::new(Now {
                status: live.status,
                findings: Vec::new(),
                owner_seen: Instant::now(),
                losing: None,
                poster: None,
            }),
        }
    }

    /// Hands the owner task a command; false when it is gone.
    pub(super) async fn tell(&self, command: Command) -> bool {
        match self.commands.try_send(command) {
            Err(TrySendError::Full(command)) => {
                full("live_commands");
                self.commands.send(command).await.is_ok()
            }
            told => told.is_ok(),
        }
    }

    /// The rendition that is the encoder's own.
    pub(super) fn source(&self) -> &Reader {
        &self.source
    }

    /// What is known of its ladder; those who wait see it change.
    pub(super) fn ladder(&self) -> watch::Receiver<LadderView> {
        self.ladder.subscribe()
    }

    pub(super) fn set_ladder(&self, ladder: LadderView) {
        self.ladder.send_replace(ladder);
    }

    /// Whether viewers lack rungs that they could have.
    pub(super) fn lacks_rungs(&self) -> bool {
        self.ladder.borrow().is_short()
    }

    /// The rendition of this name.
    pub(super) fn rendition(&self, name: &str) -> Option<Reader> {
        if name == self.source.name() {
            return Some(self.source.clone());
        }
        let ladder = self.ladder.borrow();
        let mut readers = ladder.rungs.iter().map(|rung| &rung.reader);
        readers.find(|reader| reader.name() == name).cloned()
    }

    /// What rows and files have of its rungs, after its end.
    pub(super) async fn replay(
        &self,
        store: &Store,
        sending: &Sending,
    ) -> Result<LadderView, LiveError> {
        let Some(recording) = store.recording_of(self.live).await? else {
            return Ok(LadderView::default());
        };
        let all = Reader::replay_all(store, sending, &recording).await;
        let all = all.map_err(LiveError::Replay)?;
        Ok(LadderView::of_replay(all.into_iter().skip(1)))
    }

    /// The newest picture of it.
    pub(super) fn poster(&self) -> Option<Poster> {
        self.lock().poster.clone()
    }

    pub(super) fn set_poster(&self, poster: Poster) {
        self.lock().poster = Some(poster);
    }

    pub(super) fn status(&self) -> LiveStatus {
        self.lock().status
    }

    pub(super) fn set_status(&self, status: LiveStatus) {
        self.lock().status = status;
    }

    pub(super) fn losing(&self) -> Option<Loss> {
        self.lock().losing
    }

    pub(super) fn set_losing(&self, losing: Option<Loss>) {
        self.lock().losing = losing;
    }

    /// What the doctor found, for the owner's view.
    pub(super) fn findings(&self) -> Vec<Finding> {
        self.lock().findings.clone()
    }

    pub(super) fn set_findings(&self, findings: &[Finding]) {
        self.lock().findings = findings.to_vec();
    }

    pub(super) fn owner_seen(&self) -> Instant {
        self.lock().owner_seen
    }

    pub(super) fn see_owner(&self) {
        self.lock().owner_seen = Instant::now();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Now> {
        self.now
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
