//! The life of a live as one function: `next(state, happening)`.
//!
//! `ready → live → (interrupted → live)* → ended`. Times are the owner task's own; this file only says what
//! follows from what.

use std::time::Duration;

use crate::store::{EndReason, LiveStatus};

/// How long without media counts as an interruption; the socket stays open (it closes at 30 s).
pub(super) const SILENCE: Duration = Duration::from_secs(3);
/// How long a started live waits for its encoder after its owner's last request.
pub(super) const READY_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// How long an encoder must leave a stopped live alone before its reconnect counts as a new publish.
pub(super) const STOPPED_KEY_REST: Duration = Duration::from_secs(60);

/// Where a live is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Started by its owner; no encoder has come yet.
    Ready,
    /// An encoder publishes.
    Live,
    /// The encoder is silent or gone and may come back into the same live.
    Interrupted(Interruption),
    /// Over; what is left is the replay.
    Ended(EndReason),
}

/// Why a live is interrupted; it decides the grace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interruption {
    /// The socket is gone, or no media came for [`SILENCE`].
    Drop,
    /// The encoder said goodbye.
    Goodbye,
    /// The server was restarted under it.
    Restart,
}

impl State {
    /// As rows and the API have it.
    #[must_use]
    pub(super) fn status(self) -> LiveStatus {
        match self {
            Self::Ready => LiveStatus::Ready,
            Self::Live => LiveStatus::Live,
            Self::Interrupted(_) => LiveStatus::Interrupted,
            Self::Ended(_) => LiveStatus::Ended,
        }
    }
}

/// What can happen to a live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happening {
    /// A publish was accepted.
    Publish,
    /// Media came.
    Media,
    /// No media for [`SILENCE`] although the socket is open.
    Silence,
    /// The encoder's socket is gone, or it was cut for breaking the protocol.
    Dropped,
    /// The encoder said goodbye.
    Goodbye,
    /// The server is starting and finds this live unfinished.
    Restart,
    /// Nobody came back within the grace, or nobody ever came.
    GraceOver,
    /// Somebody who may, stops it.
    Stop(EndReason),
}

impl Happening {
    /// As the log and the metrics name it; a stop by its reason.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Media => "media",
            Self::Silence => "silence",
            Self::Dropped => "dropped",
            Self::Goodbye => "goodbye",
            Self::Restart => "restart",
            Self::GraceOver => "grace_over",
            Self::Stop(reason) => reason.as_str(),
        }
    }
}

/// What follows. Ended is final; what cannot happen in a state changes nothing.
#[must_use]
pub(super) fn next(state: State, happening: Happening) -> State {
    use Happening as H;
    use Interruption::{Drop, Goodbye, Restart};
    use State::{Ended, Interrupted, Live, Ready};
    match (state, happening) {
        (Ended(_), _) => state,
        (_, H::Stop(reason)) => Ended(reason),
        (Ready | Interrupted(_), H::Publish) => Live,
        // A silence that ends by itself: same socket, same session.
        (Interrupted(Drop), H::Media) => Live,
        (Live, H::Silence | H::Dropped) => Interrupted(Drop),
        (Live, H::Goodbye) | (Interrupted(Drop), H::Goodbye) => Interrupted(Goodbye),
        (Live | Interrupted(_), H::Restart) => Interrupted(Restart),
        (Interrupted(Goodbye), H::GraceOver) => Ended(EndReason::IngestClosed),
        (Ready | Interrupted(_), H::GraceOver) => Ended(EndReason::Timeout),
        (Ready, H::Media | H::Silence | H::Dropped | H::Goodbye | H::Restart)
        | (Live, H::Publish | H::Media | H::GraceOver)
        | (Interrupted(_), H::Media | H::Silence | H::Dropped | H::Goodbye) => state,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use EndReason::{Admin, Forced, IngestClosed, Owner, Timeout};
    use Interruption::{Drop, Goodbye, Restart};
    use State::{Ended, Interrupted, Live, Ready};

    /// Rows: states. Columns: publish, media, silence, dropped, goodbye, restart, grace over, stop.
    #[test]
    fn every_pair_of_state_and_happening_is_decided() {
        let happenings = [
            Happening::Publish,
            Happening::Media,
            Happening::Silence,
            Happening::Dropped,
            Happening::Goodbye,
            Happening::Restart,
            Happening::GraceOver,
            Happening::Stop(Owner),
        ];
        let drop = Interrupted(Drop);
        let bye = Interrupted(Goodbye);
        let restart = Interrupted(Restart);
        let over = Ended(Forced);
        let late = Ended(Timeout);
        let owner = Ended(Owner);
        #[rustfmt::skip]
        let table = [
            (Ready,   [Live,  Ready,   Ready,   Ready,   Ready,   Ready,   late,                owner]),
            (Live,    [Live,  Live,    drop,    drop,    bye,     restart, Live,                owner]),
            (drop,    [Live,  Live,    drop,    drop,    bye,     restart, late,                owner]),
            (bye,     [Live,  bye,     bye,     bye,     bye,     restart, Ended(IngestClosed), owner]),
            (restart, [Live,  restart, restart, restart, restart, restart, late,                owner]),
            (over,    [over,  over,    over,    over,    over,    over,    over,                over]),
        ];
        for (state, expected) in table {
            for (happening, expected) in happenings.into_iter().zip(expected) {
                assert_eq!(next(state, happening), expected, "{state:?} {happening:?}");
            }
        }
        assert_eq!(next(Live, Happening::Stop(Admin)), Ended(Admin));
    }
}
