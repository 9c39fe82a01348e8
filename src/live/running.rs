//! What the service and viewers see of a running live, beside its owner task.

use std::sync::Mutex;

use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::time::Instant;

use super::audience::Audience;
use super::doctor::Finding;
use super::owner::Command;
use super::publisher::full;
use crate::base::{LiveId, UserId};
use crate::rendition::{Loss, Reader};
use crate::store::LiveStatus;

/// A live that has an owner task, or had one until a moment ago.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) live: LiveId,
    pub(super) owner: UserId,
    pub(super) playback_id: String,
    pub(super) reader: Reader,
    pub(super) audience: Audience,
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
}

impl Running {
    pub(super) fn new(
        live: &crate::store::Live,
        reader: Reader,
        commands: mpsc::Sender<Command>,
    ) -> Self {
        Self {
            live: live.id,
            owner: live.owner_id,
            playback_id: live.playback_id.clone(),
            reader,
            audience: Audience::default(),
            commands,
            now: Mutex::new(Now {
                status: live.status,
                findings: Vec::new(),
                owner_seen: Instant::now(),
                losing: None,
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
