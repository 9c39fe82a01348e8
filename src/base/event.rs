//! What has happened and is committed. Side effects listen here; none can fail the act itself.

use tokio::sync::broadcast;

use super::{LiveId, UserId};

/// A committed fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A live was started from the page or by a publish; its encoder may not be there yet.
    LiveStarted {
        /// Which live.
        live: LiveId,
        /// Whose.
        owner: UserId,
    },
    /// A live went live, was interrupted, came back or ended.
    LiveChanged {
        /// Which live.
        live: LiveId,
    },
    /// The recording of a live can be played and downloaded.
    RecordingReady {
        /// Of which live.
        live: LiveId,
    },
}

/// Hands events to whoever listens.
#[derive(Clone, Debug)]
pub struct Events(broadcast::Sender<Event>);

impl Default for Events {
    fn default() -> Self {
        // Full: the oldest are dropped for that listener, who is told how many (`Lagged`).
        // Listeners re-read rows; an event is a hint to look, never the only copy of a fact.
        Self(broadcast::Sender::new(1_024))
    }
}

impl Events {
    /// Tells all listeners; nobody listening is fine.
    pub fn publish(&self, event: Event) {
        // The only error is "no receiver", which is no failure of the act that was committed.
        drop(self.0.send(event));
    }

    /// Hears everything published from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }
}
