//! The publishing side of a live: who may publish, and the handle that an ingest feeds.

use std::net::IpAddr;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};

use crate::av::Rhythm;
use crate::base::{LiveId, Secret, SessionId};
use crate::rendition::Media;

/// What an encoder says about itself before it may publish.
#[derive(Clone, Debug)]
pub struct PublishRequest {
    /// The stream key, as sent.
    pub key: Secret,
    /// `rtmp`, `rtmps`, `whip`.
    pub protocol: &'static str,
    /// The encoder's own name for itself (`flashVer`, `encoder` of onMetaData, User-Agent); at most 200 characters.
    pub encoder: Option<String>,
    /// Where the connection comes from.
    pub remote: IpAddr,
}

/// Why a publish is refused. `Display` is what the encoder is told; it never holds the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishRefusal {
    /// No member has this key.
    #[error("unknown stream key")]
    UnknownKey,
    /// The account is disabled.
    #[error("this account is disabled")]
    Disabled,
    /// Another encoder publishes with this key and was heard within the last three seconds.
    #[error("another encoder is publishing with this stream key")]
    Busy,
    /// The owner has stopped the live and this is the encoder's own reconnect.
    #[error("the live was stopped; press start on the page, or wait 60 s before publishing again")]
    Stopped,
    /// No live was started and this server does not start one on publish.
    #[error("no live was started; start one on the page first")]
    NotStarted,
    /// The owner has no quartier.
    #[error("a quartier is required in the profile before a live")]
    NoQuartier,
    /// The spool's disk has less room than the setting keeps.
    #[error("this server's disk is nearly full; no new live can be recorded now")]
    NoRoom,
    /// The server is stopping or its database is away.
    #[error("the server cannot take this publish now; try again")]
    Unavailable,
}

impl PublishRefusal {
    /// As metrics name it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::UnknownKey => "unknown_key",
            Self::Disabled => "disabled",
            Self::Busy => "busy",
            Self::Stopped => "stopped",
            Self::NotStarted => "not_started",
            Self::NoQuartier => "no_quartier",
            Self::NoRoom => "no_room",
            Self::Unavailable => "unavailable",
        }
    }
}

/// How a publish session ended, seen from the encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEnd {
    /// FCUnpublish, deleteStream or closeStream: the encoder says goodbye.
    Goodbye,
    /// The socket is gone, or was silent too long.
    Dropped,
    /// The encoder broke the protocol and was cut.
    Protocol,
}

impl SessionEnd {
    /// As rows and the API name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Goodbye => "goodbye",
            Self::Dropped => "dropped",
            Self::Protocol => "protocol",
        }
    }
}

/// Why the live wants this session's connection closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// The owner or an admin stopped the live.
    Stopped,
    /// A new connection with the same key took over.
    TakenOver,
    /// The server is shutting down; the encoder should reconnect.
    Shutdown,
}

/// What the owner task hears from its publisher.
#[derive(Debug)]
pub(super) enum FromPublisher {
    /// Media of one read of the socket.
    Media(Vec<Media>),
    /// The end of the session; nothing follows.
    End(SessionEnd),
}

/// An accepted publish. Dropping it without [`Publisher::end`] counts as [`SessionEnd::Dropped`].
#[derive(Debug)]
pub struct Publisher {
    /// In which live.
    pub live: LiveId,
    /// Which session of it.
    pub session: SessionId,
    // 16 reads of at most 64 KiB: full means the disk or this machine is behind; the ingest waits,
    // stops reading its socket, and the encoder feels it.
    pub(super) to_owner: mpsc::Sender<FromPublisher>,
    pub(super) closing: watch::Receiver<Option<Closing>>,
    pub(super) rhythm: watch::Receiver<Option<Rhythm>>,
}

impl Publisher {
    /// Which pictures complete parts, as of what was sent before: until such a one has come, viewers get nothing of
    /// those before it, so there is no hurry to read them. `None`: each may.
    #[must_use]
    pub fn rhythm(&self) -> Option<Rhythm> {
        *self.rhythm.borrow()
    }

    /// Hands over what one read of the socket brought; waits while the live is behind.
    /// `Err` says that the live wants no more and why: tell the encoder and close.
    ///
    /// # Errors
    /// The reason, when the live is closing this session.
    pub async fn send(&self, media: Vec<Media>) -> Result<(), Closing> {
        let place = match self.to_owner.try_reserve() {
            Err(TrySendError::Full(())) => {
                full("publish");
                self.to_owner.reserve().await.ok()
            }
            place => place.ok(),
        };
        let Some(place) = place else {
            return Err(self.closing.borrow().unwrap_or(Closing::Stopped));
        };
        place.send(FromPublisher::Media(media));
        Ok(())
    }

    /// Waits until the live wants this session closed; pending until then. Cancel safe.
    pub async fn closed(&self) -> Closing {
        let mut closing = self.closing.clone();
        match closing.wait_for(Option::is_some).await {
            Ok(reason) => reason.unwrap_or(Closing::Stopped),
            Err(_) => Closing::Stopped,
        }
    }

    /// Ends the session; returns when the live has taken note.
    pub async fn end(self, how: SessionEnd) {
        // An owner task that is gone has already closed the session.
        drop(self.to_owner.send(FromPublisher::End(how)).await);
    }
}

/// Counts that one of a live's channels was full, so that its sender waited.
pub(super) fn full(channel: &'static str) {
    metrics::counter!("griot_channel_full_total", "channel" => channel).increment(1);
}

/// The live's side of a [`Publisher`], for the tests of `ingest`.
#[cfg(test)]
pub(crate) struct Listening {
    heard: mpsc::Receiver<FromPublisher>,
    closing: watch::Sender<Option<Closing>>,
    rhythm: watch::Sender<Option<Rhythm>>,
}

#[cfg(test)]
impl Listening {
    /// A publisher whose live takes `depth` unread batches.
    pub(crate) fn to_publisher(depth: usize) -> (Publisher, Self) {
        let (to_owner, heard) = mpsc::channel(depth);
        let (closing, closing_seen) = watch::channel(None);
        let (rhythm, rhythm_seen) = watch::channel(None);
        let publisher = Publisher {
            live: LiveId(1),
            session: SessionId(2),
            to_owner,
            closing: closing_seen,
            rhythm: rhythm_seen,
        };
        let live = Self {
            heard,
            closing,
            rhythm,
        };
        (publisher, live)
    }

    /// The next batch, or how the session ended; a publisher that is dropped counts as that.
    pub(crate) async fn next(&mut self) -> Result<Vec<Media>, SessionEnd> {
        match self.heard.recv().await {
            Some(FromPublisher::Media(media)) => Ok(media),
            Some(FromPublisher::End(how)) => Err(how),
            None => Err(SessionEnd::Dropped),
        }
    }

    /// Says which pictures are waited for.
    pub(crate) fn set_rhythm(&self, rhythm: Rhythm) {
        self.rhythm.send_replace(Some(rhythm));
    }

    /// Wants the session closed.
    pub(crate) fn close(&self, reason: Closing) {
        self.closing.send_replace(Some(reason));
    }
}
