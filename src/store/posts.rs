//! Posts, as far as a live needs one: its row and what its readers see around it.

use super::{Live, LiveFilter, Page, Quartier, Role, Store, StoreError};
use crate::base::{LiveId, Timestamp, UserId};

/// A post's row (contract §2, post). A live's post has the live's id.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Post {
    /// The live's id.
    pub id: LiveId,
    /// Who wrote it.
    pub author_id: UserId,
    /// Where: the author's quartier at that time.
    pub quartier_id: i64,
    /// At most 200 characters; may be empty.
    pub title: String,
    /// May be empty.
    pub content: String,
    /// `info|event|help|announcement|discussion|live`.
    pub post_type: String,
    /// Whether its live has not ended.
    pub is_live_post: bool,
    /// Set by an admin.
    pub is_pinned: bool,
    /// Whether readers see the author.
    pub is_anonymous: bool,
    /// How many likes.
    pub likes_count: i64,
    /// How many comments.
    pub comments_count: i64,
    /// How many views.
    pub views_count: i64,
    /// How many shares.
    pub shares_count: i64,
    /// When it was written.
    pub created_at: Timestamp,
    /// Its last change.
    pub updated_at: Timestamp,
}

/// What readers see of a post's author: no address, telephone or birthday (contract §1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostAuthor {
    /// Who.
    pub id: UserId,
    /// Unique name.
    pub username: String,
    /// May be empty.
    pub first_name: String,
    /// May be empty.
    pub last_name: String,
    /// May be empty.
    pub bio: String,
    /// Path below `/media/`.
    pub profile_picture: Option<String>,
    /// Where the author lives now.
    pub quartier_id: Option<i64>,
    /// What the author may do.
    pub role: Role,
    /// Set by an admin.
    pub is_verified: bool,
    /// Set by a check of the address.
    pub is_geographically_verified: bool,
    /// When the account was made.
    pub date_joined: Timestamp,
}

/// A live with its post, its author and its quartier.
#[derive(Clone, Debug, PartialEq)]
pub struct LivePost {
    /// The live.
    pub live: Live,
    /// Its post.
    pub post: Post,
    /// The post's author, who owns the live.
    pub author: PostAuthor,
    /// The post's quartier.
    pub quartier: Quartier,
}

impl Store {
    /// A live with all that its public view shows of its post.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn live_post(&self, _id: LiveId) -> Result<Option<LivePost>, StoreError> {
        unimplemented!()
    }

    /// One page of lives, newest start first, with the number of all that match. `page` counts from 1.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list_lives(
        &self,
        _filter: LiveFilter,
        _page: u32,
        _page_size: u32,
    ) -> Result<Page<LivePost>, StoreError> {
        unimplemented!()
    }
}
