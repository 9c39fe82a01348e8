//! What readers see of a live's post: contract §1.4, as far as there is something behind it.

use serde::Serialize;

use crate::base::{LiveId, Timestamp, UserId};
use crate::store::{
    Live, LiveFilter, LivePost, Page, PostAuthor, Quartier, Role, Store, StoreError,
};

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
    /// None before uploads exist.
    pub media_files: [(); 0],
    /// `null` before uploads exist: the live's own media are at its `hls_url`.
    pub live_stream: (),
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
    /// None before comments exist.
    pub comments: [(); 0],
    /// None before likes exist.
    pub likes: [(); 0],
    /// Whether the viewer likes it.
    pub is_liked_by_user: bool,
    /// Whether the viewer has shared it.
    pub is_shared_by_user: bool,
    /// Whether `media_files` has any.
    pub has_media: bool,
    /// How many `media_files` has.
    pub media_count: u32,
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
    store: &Store,
    id: LiveId,
    viewer: Option<UserId>,
) -> Result<Option<LiveView>, StoreError> {
    let row = store.live_post(id).await?;
    Ok(row.map(|row| view(row, viewer)))
}

/// One page of lives, newest start first, as `viewer` sees them. `page` counts from 1.
///
/// # Errors
/// When the store fails.
pub async fn lives(
    store: &Store,
    filter: LiveFilter,
    page: u32,
    page_size: u32,
    viewer: Option<UserId>,
) -> Result<Page<LiveView>, StoreError> {
    let found = store.list_lives(filter, page, page_size).await?;
    Ok(Page {
        rows: found
            .rows
            .into_iter()
            .map(|row| view(row, viewer))
            .collect(),
        total: found.total,
    })
}

/// Rows that are at hand, as `viewer` sees them.
#[must_use]
pub fn view(row: LivePost, viewer: Option<UserId>) -> LiveView {
    let LivePost {
        live,
        post,
        author,
        quartier,
    } = row;
    let author_shown = !post.is_anonymous || viewer == Some(post.author_id);
    LiveView {
        post: PostView {
            id: post.id,
            author: author_shown.then(|| Author::from(author)),
            quartier,
            title: post.title,
            content: post.content,
            post_type: post.post_type,
            media_files: [],
            live_stream: (),
            is_live_post: post.is_live_post,
            is_pinned: post.is_pinned,
            is_anonymous: post.is_anonymous,
            likes_count: post.likes_count,
            comments_count: post.comments_count,
            views_count: post.views_count,
            shares_count: post.shares_count,
            created_at: post.created_at,
            updated_at: post.updated_at,
            comments: [],
            likes: [],
            is_liked_by_user: false,
            is_shared_by_user: false,
            has_media: false,
            media_count: 0,
            live_status: live.status.as_str(),
            live_started_at: live.started_at,
            live_ended_at: live.ended_at,
        },
        live,
    }
}

impl From<PostAuthor> for Author {
    fn from(author: PostAuthor) -> Self {
        Self {
            id: author.id,
            full_name: full_name(&author.first_name, &author.last_name, &author.username),
            username: author.username,
            first_name: author.first_name,
            last_name: author.last_name,
            bio: author.bio,
            profile_picture: author.profile_picture,
            quartier: author.quartier_id,
            role: author.role.as_str(),
            is_verified: author.is_verified,
            is_geographically_verified: author.is_geographically_verified,
            is_ambassador: author.role == Role::Ambassador,
            is_admin: author.role == Role::Admin,
            date_joined: author.date_joined,
        }
    }
}

fn full_name(first: &str, last: &str, username: &str) -> String {
    let name = format!("{first} {last}");
    if name.trim().is_empty() {
        return username.to_owned();
    }
    name.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Secret;
    use crate::store::{EndReason, NewLive, NewUser};

    // The moment of the contract's example, 2025-07-23T10:48:53.590758Z (`date -u -d … +%s%6N`).
    const AT: Timestamp = Timestamp(1_753_267_733_590_758);

    async fn store_with_a_live() -> (tempfile::TempDir, Store) {
        let (folder, store) = crate::store::scratch_store().await;
        let mariam = NewUser {
            id: UserId(2),
            username: "mariam_diallo".to_owned(),
            email: "mariam@example.org".to_owned(),
            password_hash: Secret::new("x"),
            first_name: "Mariam".to_owned(),
            last_name: "Diallo".to_owned(),
            phone_number: "+224620000000".to_owned(),
            date_of_birth: Some("1990-01-01".to_owned()),
            bio: String::new(),
            quartier_id: Some(11),
            role: Role::User,
            search: String::new(),
            at: AT,
        };
        store.create_user(&mariam).await.unwrap();
        let live = NewLive {
            id: LiveId(411),
            owner_id: UserId(2),
            quartier_id: 11,
            playback_id: "p".to_owned(),
            title: "T".to_owned(),
            description: String::new(),
            content: "Bonjour".to_owned(),
            node: None,
            at: AT,
        };
        store.start_live(&live).await.unwrap();
        (folder, store)
    }

    #[tokio::test]
    async fn a_live_reads_as_the_contracts_post_without_what_is_private() {
        let (_folder, store) = store_with_a_live().await;
        let view = live(&store, LiveId(411), None).await.unwrap().unwrap();
        let json = serde_json::to_value(&view.post).unwrap();
        // Contract §1.4, with §1.1's author less its private fields and what [REC] adds.
        let expected = serde_json::json!({
            "id": 411,
            "author": {
                "id": 2, "username": "mariam_diallo", "first_name": "Mariam", "last_name": "Diallo",
                "full_name": "Mariam Diallo", "bio": "", "profile_picture": null, "quartier": 11,
                "role": "user", "is_verified": false, "is_geographically_verified": false,
                "is_ambassador": false, "is_admin": false, "date_joined": "2025-07-23T10:48:53.590758Z"
            },
            "quartier": {
                "id": 11, "nom": "Almamya", "code": "ALM",
                "commune": {"id": 2, "nom": "Kaloum", "code": "KAL", "type": "commune urbaine",
                    "prefecture": {"id": 1, "nom": "Conakry", "code": "CON",
                        "region": {"id": 1, "nom": "Conakry", "code": "CON"}}},
                "population_estimee": null, "superficie_km2": null
            },
            "title": "T", "content": "Bonjour", "post_type": "live", "media_files": [],
            "live_stream": null, "is_live_post": true, "is_pinned": false, "is_anonymous": false,
            "likes_count": 0, "comments_count": 0, "views_count": 0, "shares_count": 0,
            "created_at": "2025-07-23T10:48:53.590758Z", "updated_at": "2025-07-23T10:48:53.590758Z",
            "comments": [], "likes": [], "is_liked_by_user": false, "is_shared_by_user": false,
            "has_media": false, "media_count": 0,
            "live_status": "ready", "live_started_at": null, "live_ended_at": null
        });
        assert_eq!(json, expected);
    }

    #[tokio::test]
    async fn an_ended_live_leaves_the_list_of_lives_and_enters_the_other() {
        let (_folder, store) = store_with_a_live().await;
        let count = async |filter| lives(&store, filter, 1, 20, None).await.unwrap().total;
        assert_eq!(count(LiveFilter::Live).await, 1);
        store
            .end_live(LiveId(411), EndReason::Owner, AT)
            .await
            .unwrap();
        assert_eq!(count(LiveFilter::Live).await, 0);
        assert_eq!(count(LiveFilter::Ended).await, 1);
        let view = live(&store, LiveId(411), None).await.unwrap().unwrap();
        assert!(!view.post.is_live_post);
        assert_eq!(view.post.live_ended_at, Some(AT));
    }

    #[tokio::test]
    async fn only_its_author_sees_who_wrote_an_anonymous_post() {
        let (_folder, store) = store_with_a_live().await;
        let mut row = store.live_post(LiveId(411)).await.unwrap().unwrap();
        row.post.is_anonymous = true;
        assert_eq!(view(row.clone(), None).post.author, None);
        assert_eq!(view(row.clone(), Some(UserId(3))).post.author, None);
        assert!(view(row, Some(UserId(2))).post.author.is_some());
    }

    #[test]
    fn somebody_without_names_is_called_by_the_user_name() {
        assert_eq!(full_name("", "", "awa"), "awa");
        assert_eq!(full_name("Awa", "", "awa"), "Awa");
    }
}
