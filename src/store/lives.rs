//! Lives: the row of the show, from its start to its end.

use super::db::{in_tx, read, sql, write};
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

sql! {
    INSERT_POST = "insert into posts (id, author_id, quartier_id, title, content, post_type, is_live_post,
            is_pinned, is_anonymous, created_at, updated_at)
        values ($1, $2, $3, $4, $5, 'live', true, false, false, $6, $6)";
    INSERT = "insert into lives (id, owner_id, playback_id, title, description, status, created_at,
            owner_seen_at, node)
        values ($1, $2, $3, $4, $5, 'ready', $6, $6, $7)
        returning *";
    BY_ID = "select * from lives where id = $1";
    BY_PLAYBACK_ID = "select * from lives where playback_id = $1";
    OPEN_OF = "select * from lives where owner_id = $1 and status <> 'ended'";
    LAST_OF = "select * from lives where owner_id = $1 order by id desc limit 1";
    OPEN = "select * from lives where status <> 'ended' order by id";
    UPDATE = "update lives set
            status = coalesce($3, status),
            started_at = coalesce(started_at, $4),
            grace_until = case when $5 then $6 else grace_until end,
            last_media_at = coalesce($7, last_media_at),
            owner_seen_at = coalesce($8, owner_seen_at),
            peak_viewers = case when $9 > peak_viewers then $9 else peak_viewers end,
            node = coalesce($10, node),
            heartbeat_at = coalesce($11, heartbeat_at)
        where id = $1 and status <> 'ended' and status = coalesce($2, status)
        returning *";
    END = "update lives set status = 'ended', end_reason = $2, ended_at = $3, grace_until = null
        where id = $1 and status <> 'ended'
        returning *";
    END_POST = "update posts set is_live_post = false, updated_at = $2 where id = $1";
}

impl Store {
    /// Adds a live, `Ready`, and its post, both or none.
    ///
    /// # Errors
    /// `LiveOpen(id)` when the owner has a live that has not ended; `NotFound` for an unknown owner or
    /// quartier; `Conflict("lives.playback_id")`.
    pub async fn start_live(&self, new: &NewLive) -> Result<Live, StoreError> {
        match self.insert_live(new).await {
            // Two starts at once: the second meets the index instead of the look-up.
            Err(StoreError::Conflict("lives.owner_id")) => {
                match self.open_live_of(new.owner_id).await? {
                    Some(open) => Err(StoreError::LiveOpen(open.id)),
                    None => Err(StoreError::Conflict("lives.owner_id")),
                }
            }
            outcome => outcome,
        }
    }

    /// The live with this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn live(&self, id: LiveId) -> Result<Option<Live>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(BY_ID).bind(id).fetch_optional(pool).await)?)
    }

    /// The live with this playback id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn live_by_playback_id(&self, playback_id: &str) -> Result<Option<Live>, StoreError> {
        Ok(
            read!(self, pool => sqlx::query_as(BY_PLAYBACK_ID).bind(playback_id)
            .fetch_optional(pool).await)?,
        )
    }

    /// The owner's live that has not ended; there is at most one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_live_of(&self, owner: UserId) -> Result<Option<Live>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(OPEN_OF).bind(owner).fetch_optional(pool).await)?)
    }

    /// The owner's newest live, ended or not.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn last_live_of(&self, owner: UserId) -> Result<Option<Live>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(LAST_OF).bind(owner).fetch_optional(pool).await)?)
    }

    /// All lives that have not ended, oldest first: what a start of the server resumes or ends.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_lives(&self) -> Result<Vec<Live>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(OPEN).fetch_all(pool).await)?)
    }

    /// Changes a live that has not ended. `None`: it has, or stands elsewhere than `only_if`;
    /// nothing was changed.
    ///
    /// # Errors
    /// `NotFound` for an unknown live.
    pub async fn update_live(
        &self,
        id: LiveId,
        change: &LiveChange,
    ) -> Result<Option<Live>, StoreError> {
        let changed = write!(self, pool => sqlx::query_as(UPDATE)
            .bind(id)
            .bind(change.only_if)
            .bind(change.status)
            .bind(change.started_at)
            .bind(change.grace_until.is_some())
            .bind(change.grace_until.flatten())
            .bind(change.last_media_at)
            .bind(change.owner_seen_at)
            .bind(change.viewers)
            .bind(&change.node)
            .bind(change.heartbeat_at)
            .fetch_optional(pool)
            .await)?;
        if changed.is_none() {
            self.live(id).await?.ok_or(StoreError::NotFound)?;
        }
        Ok(changed)
    }

    /// Ends a live and takes its post off the list of lives. `None`: it had ended already, and keeps
    /// its reason and moment.
    ///
    /// # Errors
    /// `NotFound` for an unknown live.
    pub async fn end_live(
        &self,
        id: LiveId,
        reason: EndReason,
        at: Timestamp,
    ) -> Result<Option<Live>, StoreError> {
        let ended: Option<Live> = in_tx!(self, tx => {
            let ended = sqlx::query_as(END)
                .bind(id)
                .bind(reason)
                .bind(at)
                .fetch_optional(&mut *tx)
                .await?;
            if ended.is_some() {
                sqlx::query(END_POST).bind(id).bind(at).execute(&mut *tx).await?;
            }
            ended
        });
        if ended.is_none() {
            self.live(id).await?.ok_or(StoreError::NotFound)?;
        }
        Ok(ended)
    }

    async fn insert_live(&self, new: &NewLive) -> Result<Live, StoreError> {
        let row = in_tx!(self, tx => {
            let open: Option<Live> = sqlx::query_as(OPEN_OF)
                .bind(new.owner_id)
                .fetch_optional(&mut *tx)
                .await?;
            if let Some(open) = open {
                return Err(StoreError::LiveOpen(open.id));
            }
            sqlx::query(INSERT_POST)
                .bind(new.id)
                .bind(new.owner_id)
                .bind(new.quartier_id)
                .bind(&new.title)
                .bind(&new.content)
                .bind(new.at)
                .execute(&mut *tx)
                .await?;
            sqlx::query_as(INSERT)
                .bind(new.id)
                .bind(new.owner_id)
                .bind(&new.playback_id)
                .bind(&new.title)
                .bind(&new.description)
                .bind(new.at)
                .bind(&new.node)
                .fetch_one(&mut *tx)
                .await?
        });
        Ok(row)
    }
}
