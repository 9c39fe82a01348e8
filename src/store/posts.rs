//! Posts, as far as a live needs one: its row and what its readers see around it.

use super::db::{read, sql, unsigned};
use super::places::{QuartierRow, quartier_columns, quartier_joins};
use super::{Live, LiveFilter, Page, Quartier, Role, Store, StoreError};
use crate::base::{LiveId, Timestamp, UserId};

/// A post's row (contract §2, post). A live's post has the live's id.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// One row of the join behind a [`LivePost`].
#[derive(sqlx::FromRow)]
struct LivePostRow {
    #[sqlx(flatten)]
    live: Live,
    author_id: UserId,
    post_title: String,
    content: String,
    post_type: String,
    is_live_post: bool,
    is_pinned: bool,
    is_anonymous: bool,
    likes_count: i64,
    comments_count: i64,
    views_count: i64,
    shares_count: i64,
    post_created_at: Timestamp,
    updated_at: Timestamp,
    username: String,
    first_name: String,
    last_name: String,
    bio: String,
    profile_picture: Option<String>,
    author_quartier_id: Option<i64>,
    role: Role,
    is_verified: bool,
    is_geographically_verified: bool,
    date_joined: Timestamp,
    #[sqlx(flatten)]
    quartier: QuartierRow,
}

impl From<LivePostRow> for LivePost {
    fn from(row: LivePostRow) -> Self {
        let quartier = Quartier::from(row.quartier);
        Self {
            post: Post {
                id: row.live.id,
                author_id: row.author_id,
                quartier_id: quartier.id,
                title: row.post_title,
                content: row.content,
                post_type: row.post_type,
                is_live_post: row.is_live_post,
                is_pinned: row.is_pinned,
                is_anonymous: row.is_anonymous,
                likes_count: row.likes_count,
                comments_count: row.comments_count,
                views_count: row.views_count,
                shares_count: row.shares_count,
                created_at: row.post_created_at,
                updated_at: row.updated_at,
            },
            author: PostAuthor {
                id: row.author_id,
                username: row.username,
                first_name: row.first_name,
                last_name: row.last_name,
                bio: row.bio,
                profile_picture: row.profile_picture,
                quartier_id: row.author_quartier_id,
                role: row.role,
                is_verified: row.is_verified,
                is_geographically_verified: row.is_geographically_verified,
                date_joined: row.date_joined,
            },
            quartier,
            live: row.live,
        }
    }
}

macro_rules! live_posts {
    ($rest:literal) => {
        concat!(
            "select lives.*, posts.author_id, posts.title as post_title, posts.content,
                posts.post_type, posts.is_live_post, posts.is_pinned, posts.is_anonymous,
                posts.likes_count, posts.comments_count, posts.views_count, posts.shares_count,
                posts.created_at as post_created_at, posts.updated_at,
                users.username, users.first_name, users.last_name, users.bio,
                users.profile_picture, users.quartier_id as author_quartier_id, users.role,
                users.is_verified, users.is_geographically_verified, users.date_joined, ",
            quartier_columns!(),
            " from lives join posts on posts.id = lives.id
              join users on users.id = posts.author_id
              join quartiers on quartiers.id = posts.quartier_id ",
            quartier_joins!(),
            $rest
        )
    };
}

sql! {
    BY_ID = live_posts!("where lives.id = $1");
    PAGE_LIVE = live_posts!("where lives.status <> 'ended' order by lives.id desc limit $1 offset $2");
    PAGE_ENDED = live_posts!("where lives.status = 'ended' order by lives.id desc limit $1 offset $2");
    PAGE_ALL = live_posts!("order by lives.id desc limit $1 offset $2");
    COUNT_LIVE = "select count(*) from lives where status <> 'ended'";
    COUNT_ENDED = "select count(*) from lives where status = 'ended'";
    COUNT_ALL = "select count(*) from lives";
}

impl Store {
    /// A live with all that its public view shows of its post.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn live_post(&self, id: LiveId) -> Result<Option<LivePost>, StoreError> {
        let row: Option<LivePostRow> =
            read!(self, pool => sqlx::query_as(BY_ID).bind(id).fetch_optional(pool).await)?;
        Ok(row.map(LivePost::from))
    }

    /// One page of lives, newest start first, with the number of all that match. `page` counts from 1.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list_lives(
        &self,
        filter: LiveFilter,
        page: u32,
        page_size: u32,
    ) -> Result<Page<LivePost>, StoreError> {
        let (page_sql, count_sql) = match filter {
            LiveFilter::Live => (PAGE_LIVE, COUNT_LIVE),
            LiveFilter::Ended => (PAGE_ENDED, COUNT_ENDED),
            LiveFilter::All => (PAGE_ALL, COUNT_ALL),
        };
        // Past the end of any list the answer is an empty page, not an overflow.
        let offset = i64::from(page.saturating_sub(1)).saturating_mul(i64::from(page_size));
        let rows: Vec<LivePostRow> = read!(self, pool => sqlx::query_as(page_sql)
            .bind(i64::from(page_size))
            .bind(offset)
            .fetch_all(pool)
            .await)?;
        let total: i64 = read!(self, pool => sqlx::query_scalar(count_sql).fetch_one(pool).await)?;
        Ok(Page {
            rows: rows.into_iter().map(LivePost::from).collect(),
            total: unsigned(total),
        })
    }
}
