//! Lives: the row of the show, from its start to its end.

use super::{Store, StoreError};
use crate::base::{LiveId, Timestamp, UserId};

/// Where a live stands (design §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LiveStatus {
    /// Started; no encoder yet.
    Ready,
    /// Media comes in.
    Live,
    /// The encoder is gone; it may come back until `grace_until`.
    Interrupted,
    /// Over, for good.
    Ended,
}

/// Why a live ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// Its owner stopped it.
    Owner,
    /// Its owner stopped it by force.
    Forced,
    /// The encoder said goodbye and did not come back.
    IngestClosed,
    /// The encoder dropped and did not come back, or none came.
    Timeout,
    /// An admin stopped it.
    Admin,
}

/// A live's row.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Live {
    /// The same number as its post's.
    pub id: LiveId,
    /// Who publishes.
    pub owner_id: UserId,
    /// Random; what viewers' URLs hold. Tells nothing of the stream key.
    pub playback_id: String,
    /// May be empty.
    pub title: String,
    /// May be empty.
    pub description: String,
    /// Where it stands.
    pub status: LiveStatus,
    /// Set with `Ended`.
    pub end_reason: Option<EndReason>,
    /// When it was started (HTTP or a publish).
    pub created_at: Timestamp,
    /// When the first media came.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// While `Interrupted`: until when the encoder may come back.
    pub grace_until: Option<Timestamp>,
    /// When media came last, as far as noted.
    pub last_media_at: Option<Timestamp>,
    /// When its owner was last heard of.
    pub owner_seen_at: Timestamp,
    /// The most viewers at one time.
    pub peak_viewers: i64,
    /// The node that ingests it.
    pub node: Option<String>,
    /// When that node last said so.
    pub heartbeat_at: Option<Timestamp>,
}

/// What a new live and its post are made from.
#[derive(Clone, Debug)]
pub struct NewLive {
    /// Made by `IdMaker`; the post's id too.
    pub id: LiveId,
    /// Who publishes and writes the post.
    pub owner_id: UserId,
    /// The owner's quartier.
    pub quartier_id: i64,
    /// Random.
    pub playback_id: String,
    /// May be empty.
    pub title: String,
    /// May be empty.
    pub description: String,
    /// The post's text; may be empty.
    pub content: String,
    /// The node that starts it.
    pub node: Option<String>,
    /// Now.
    pub at: Timestamp,
}

/// A change of a live that has not ended. `None` leaves a column as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveChange {
    /// Compare and set: only if the live stands there. `None`: wherever, but not ended.
    pub only_if: Option<LiveStatus>,
    /// Where it stands now; to end a live use [`Store::end_live`].
    pub status: Option<LiveStatus>,
    /// The first media's moment; kept when there is one already.
    pub started_at: Option<Timestamp>,
    /// `Some(None)` clears it.
    pub grace_until: Option<Option<Timestamp>>,
    /// When media came last.
    pub last_media_at: Option<Timestamp>,
    /// When its owner was last heard of.
    pub owner_seen_at: Option<Timestamp>,
    /// Viewers at this time; kept if more than ever.
    pub viewers: Option<i64>,
    /// The node that ingests it.
    pub node: Option<String>,
    /// When that node last said so.
    pub heartbeat_at: Option<Timestamp>,
}

/// Which lives a list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiveFilter {
    /// Those that have not ended (`ready` and `interrupted` count as live, design §4).
    Live,
    /// Those that have.
    Ended,
    /// All.
    All,
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The rows of this page; empty past the end.
    pub rows: Vec<T>,
    /// How many rows all pages have.
    pub total: u64,
}

impl Store {
    /// Adds a live, `Ready`, and its post, both or none.
    ///
    /// # Errors
    /// `LiveOpen(id)` when the owner has a live that has not ended; `NotFound` for an unknown owner or
    /// quartier; `Conflict("lives.playback_id")`.
    pub async fn start_live(&self, _new: &NewLive) -> Result<Live, StoreError> {
        unimplemented!()
    }

    /// The live with this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn live(&self, _id: LiveId) -> Result<Option<Live>, StoreError> {
        unimplemented!()
    }

    /// The live with this playback id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn live_by_playback_id(
        &self,
        _playback_id: &str,
    ) -> Result<Option<Live>, StoreError> {
        unimplemented!()
    }

    /// The owner's live that has not ended; there is at most one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_live_of(&self, _owner: UserId) -> Result<Option<Live>, StoreError> {
        unimplemented!()
    }

    /// The owner's newest live, ended or not.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn last_live_of(&self, _owner: UserId) -> Result<Option<Live>, StoreError> {
        unimplemented!()
    }

    /// All lives that have not ended, oldest first: what a start of the server resumes or ends.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_lives(&self) -> Result<Vec<Live>, StoreError> {
        unimplemented!()
    }

    /// Changes a live that has not ended. `None`: it has, or stands elsewhere than `only_if`;
    /// nothing was changed.
    ///
    /// # Errors
    /// `NotFound` for an unknown live.
    pub async fn update_live(
        &self,
        _id: LiveId,
        _change: &LiveChange,
    ) -> Result<Option<Live>, StoreError> {
        unimplemented!()
    }

    /// Ends a live and takes its post off the list of lives. `None`: it had ended already, and keeps
    /// its reason and moment.
    ///
    /// # Errors
    /// `NotFound` for an unknown live.
    pub async fn end_live(
        &self,
        _id: LiveId,
        _reason: EndReason,
        _at: Timestamp,
    ) -> Result<Option<Live>, StoreError> {
        unimplemented!()
    }
}
