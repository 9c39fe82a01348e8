//! What readers see of a live's post: contract §1.4, as far as there is something behind it.

use serde::Serialize;

use crate::base::{LiveId, Timestamp, UserId};
use crate::store::{Live, LiveFilter, Page, Quartier, Store, StoreError};

/// A post's author as anybody may see them: the contract's User object (§1.1) without what is private.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Author {
    /// Who.
    pub id: UserId,
    /// Unique name.
    pub username: String,
    /// May be empty.
    pub first_name: String,
    /// May be empty.
    pub last_name: String,
    /// First and last name, or the user name without them.
    pub full_name: String,
    /// May be empty.
    pub bio: String,
    /// Path below `/media/`; `http` makes it absolute.
    pub profile_picture: Option<String>,
    /// A quartier's id.
    pub quartier: Option<i64>,
    /// `user|ambassador|admin`.
    pub role: &'static str,
    /// Set by an admin.
    pub is_verified: bool,
    /// Set by a check of the address.
    pub is_geographically_verified: bool,
    /// The role says so.
    pub is_ambassador: bool,
    /// The role says so.
    pub is_admin: bool,
    /// When the account was made.
    pub date_joined: Timestamp,
}

/// The contract's Post object; serialises with its field names (§1.4).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PostView {
    /// The live's id too.
    pub id: LiveId,
    /// `None` for everyone but the author when the post is anonymous.
    pub author: Option<Author>,
    /// Where.
    pub quartier: Quartier,
    /// May be empty.
    pub title: String,
    /// May be empty.
    pub content: String,
    /// `live`.
    pub post_type: String,
    /// Whether its live has not ended.
    pub is_live_post: bool,
    /// Set by an admin.
    pub is_pinned: bool,
    /// Whether readers see the author.
    pub is_anonymous: bool,
    /// How many.
    pub likes_count: i64,
    /// How many.
    pub comments_count: i64,
    /// How many.
    pub views_count: i64,
    /// How many.
    pub shares_count: i64,
    /// When it was written.
    pub created_at: Timestamp,
    /// Its last change.
    pub updated_at: Timestamp,
    /// `ready|live|interrupted|ended`.
    pub live_status: &'static str,
    /// When the first media came.
    pub live_started_at: Option<Timestamp>,
    /// When the live ended.
    pub live_ended_at: Option<Timestamp>,
}

/// A live and its post.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveView {
    /// The row; not all of it is for everybody.
    pub live: Live,
    /// For everybody.
    pub post: PostView,
}

/// A live and its post, as `viewer` sees it.
///
/// # Errors
/// When the store fails.
pub async fn live(
    _store: &Store,
    _id: LiveId,
    _viewer: Option<UserId>,
) -> Result<Option<LiveView>, StoreError> {
    unimplemented!()
}

/// One page of lives, newest start first, as `viewer` sees them. `page` counts from 1.
///
/// # Errors
/// When the store fails.
pub async fn lives(
    _store: &Store,
    _filter: LiveFilter,
    _page: u32,
    _page_size: u32,
    _viewer: Option<UserId>,
) -> Result<Page<LiveView>, StoreError> {
    unimplemented!()
}
