//! Who may write an upload: one request at a time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::base::UploadId;

/// A request whose peer has been silent for this long makes room for another one of the same upload: phones change
/// their network, and the old connection takes minutes to die.
const SILENT: Duration = Duration::from_secs(1);
/// How long a request waits for its turn.
const TURN_WITHIN: Duration = Duration::from_secs(3);
/// How often it looks whether who has the turn has fallen silent.
const LOOK: Duration = Duration::from_millis(200);

/// The turns. Clones share them. At most as many as requests that run.
#[derive(Clone, Debug)]
pub(super) struct Holds {
    // std mutex: never held across an await; only map look-ups.
    held: Arc<Mutex<HashMap<UploadId, Holder>>>,
    freed: Arc<Notify>,
    started: Instant,
}

#[derive(Clone, Debug)]
struct Holder {
    give_up: CancellationToken,
    heard_ms: Arc<AtomicU64>,
}

/// A turn; given back when dropped.
#[derive(Debug)]
pub(super) struct Held {
    holds: Holds,
    id: UploadId,
    holder: Holder,
}

impl Holds {
    pub(super) fn new() -> Self {
        Self {
            held: Arc::default(),
            freed: Arc::default(),
            started: Instant::now(),
        }
    }

    /// The turn, taken over from a request that has fallen silent; `None` when another one goes on sending.
    pub(super) async fn take(&self, id: UploadId) -> Option<Held> {
        let patience = Instant::now() + TURN_WITHIN;
        loop {
            let freed = self.freed.notified();
            if let Some(held) = self.try_take(id) {
                return Some(held);
            }
            if Instant::now() > patience {
                return None;
            }
            // Woken or not: it is looked again.
            drop(timeout(LOOK, freed).await);
        }
    }

    /// The turn if nobody has it; who has it and is silent is told to give it up.
    pub(super) fn try_take(&self, id: UploadId) -> Option<Held> {
        let mut held = self.lock();
        if let Some(holder) = held.get(&id) {
            let silent = self.now_ms() - holder.heard_ms.load(Ordering::Relaxed);
            if u128::from(silent) >= SILENT.as_millis() {
                holder.give_up.cancel();
            }
            return None;
        }
        let holder = Holder {
            give_up: CancellationToken::new(),
            heard_ms: Arc::new(AtomicU64::new(self.now_ms())),
        };
        held.insert(id, holder.clone());
        Some(Held {
            holds: self.clone(),
            id,
            holder,
        })
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UploadId, Holder>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Something has come.
    pub(super) fn heard(&self) {
        let now = self.holds.now_ms();
        self.holder.heard_ms.store(now, Ordering::Relaxed);
    }

    /// Cancelled when another request is to have the turn.
    pub(super) fn give_up(&self) -> CancellationToken {
        self.holder.give_up.clone()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.holds.lock().remove(&self.id);
        self.holds.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_sends_keeps_the_turn_and_who_is_silent_gives_it_up() {
        let holds = Holds::new();
        let id = UploadId(1);
        let first = holds.take(id).await.unwrap();
        assert!(holds.take(UploadId(2)).await.is_some());
        let sending = async {
            loop {
                tokio::time::sleep(SILENT / 2).await;
                first.heard();
            }
        };
        tokio::select! {
            () = sending => {}
            taken = holds.take(id) => assert!(taken.is_none(), "the first one sends"),
        }
        assert!(!first.give_up().is_cancelled());
        let giving_up = async {
            first.give_up().cancelled().await;
            drop(first);
        };
        let ((), second) = tokio::join!(giving_up, holds.take(id));
        assert!(second.is_some());
    }
}
