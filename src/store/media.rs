//! Media: images and videos that members see, and what of each can be fetched.

use super::db::{in_tx, one, read, sql, unsigned, write};
use super::{Page, Store, StoreError};
use crate::av::Ticks;
use crate::base::{LiveId, MediaId, Timestamp, UserId};

/// What a medium is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// One picture, or an animation of pictures.
    Image,
    /// Anything with a picture track and time.
    Video,
}

/// Where a medium stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaState {
    /// Accepted; what people fetch is being made.
    Processing,
    /// It can be seen.
    Ready,
    /// It could not be made; `failure` says why.
    Failed,
}

/// A medium's row.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct Media {
    /// Time-ordered.
    pub id: MediaId,
    /// Whose.
    pub owner_id: UserId,
    /// Random; what addresses below `/media/` hold.
    pub public_id: String,
    /// What it is.
    pub kind: MediaKind,
    /// Where it stands.
    pub state: MediaState,
    /// Set with `Failed`: a code that the API puts into words.
    pub failure: Option<String>,
    /// At most 200 characters; may be empty.
    pub title: String,
    /// May be empty.
    pub description: String,
    /// As the client named the file, made harmless.
    pub original_name: String,
    /// By content.
    pub content_type: String,
    /// Of all its objects together.
    pub bytes: i64,
    /// Pixels, as shown.
    pub width: Option<i64>,
    /// Pixels, as shown.
    pub height: Option<i64>,
    /// 90 kHz.
    pub duration: Option<Ticks>,
    /// A picture of a few pixels as text, for while the real one loads.
    pub blurhash: Option<String>,
    /// The live that it is a recording of.
    pub live_id: Option<LiveId>,
    /// Set by moderation.
    pub is_appropriate: bool,
    /// `pending`, `approved`, `rejected`, `inappropriate`.
    pub approval_status: String,
    /// 0 to 1; `None` while nothing judges.
    pub moderation_score: Option<f64>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// Its last change.
    pub updated_at: Timestamp,
    /// Since when it is garbage.
    pub deleted_at: Option<Timestamp>,
}

/// What a new medium is made from.
#[derive(Clone, Debug)]
pub struct NewMedia {
    /// Made by `IdMaker`.
    pub id: MediaId,
    /// Whose.
    pub owner_id: UserId,
    /// Random.
    pub public_id: String,
    /// What it is.
    pub kind: MediaKind,
    /// At most 200 characters.
    pub title: String,
    /// Free text.
    pub description: String,
    /// Made harmless.
    pub original_name: String,
    /// By content.
    pub content_type: String,
    /// Of what was sent; counted against the owner's quota until more is known.
    pub bytes: u64,
    /// The live that it is a recording of.
    pub live_id: Option<LiveId>,
    /// When it was accepted.
    pub at: Timestamp,
}

/// What is learnt of a medium; `None` leaves a column as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MediaChange {
    /// Where it stands now.
    pub state: Option<MediaState>,
    /// Goes with `Failed`, and only with it.
    pub failure: Option<String>,
    /// By content.
    pub content_type: Option<String>,
    /// Of all its objects together.
    pub bytes: Option<i64>,
    /// Pixels.
    pub width: Option<i64>,
    /// Pixels.
    pub height: Option<i64>,
    /// 90 kHz.
    pub duration: Option<Ticks>,
    /// See [`Media::blurhash`].
    pub blurhash: Option<String>,
}

/// Something of a medium that can be fetched.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct MediaFile {
    /// Of which medium.
    pub media_id: MediaId,
    /// The last piece of its address: `file.jpg`, `300.webp`, `poster.jpg`.
    pub name: String,
    /// Its object key.
    pub path: String,
    /// With which it is served.
    pub content_type: String,
    /// Its length.
    pub bytes: i64,
    /// Pixels, if it is a picture or has one.
    pub width: Option<i64>,
    /// Pixels.
    pub height: Option<i64>,
    /// Strong, without quotes.
    pub etag: String,
    /// When its object was there.
    pub created_at: Timestamp,
}

/// What a new [`MediaFile`] is made from; its object is there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMediaFile {
    /// The last piece of its address; letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// Its object key.
    pub path: String,
    /// With which it is served.
    pub content_type: String,
    /// Its length.
    pub bytes: u64,
    /// Pixels.
    pub width: Option<u32>,
    /// Pixels.
    pub height: Option<u32>,
    /// Strong, without quotes.
    pub etag: String,
}

/// A file with what its answer needs of the medium.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct ServedFile {
    /// The file.
    #[sqlx(flatten)]
    pub file: MediaFile,
    /// What people call the medium: for the name of a download.
    pub title: String,
}

sql! {
    INSERT = "insert into media (id, owner_id, public_id, kind, state, title, description, original_name,
            content_type, bytes, live_id, is_appropriate, approval_status, created_at, updated_at)
        values ($1, $2, $3, $4, 'processing', $5, $6, $7, $8, $9, $10, $11, 'approved', $12, $12)
        returning *";
    BY_ID = "select * from media where id = $1 and deleted_at is null";
    BY_PUBLIC_ID = "select * from media where public_id = $1 and deleted_at is null";
    PAGE_OF = "select * from media where owner_id = $1 and deleted_at is null
        order by id desc limit $2 offset $3";
    COUNT_OF = "select count(*) from media where owner_id = $1 and deleted_at is null";
    FILES_OF_PAGE = "select media_files.* from media_files join
        (select id from media where owner_id = $1 and deleted_at is null
            order by id desc limit $2 offset $3) as shown on shown.id = media_files.media_id
        order by media_files.media_id desc, media_files.name";
    FILES = "select * from media_files where media_id = $1 order by name";
    SERVED = "select media_files.*, media.title from media_files join media on media.id = media_files.media_id
        where media.public_id = $1 and media_files.name = $2 and media.deleted_at is null";
    DESCRIBE = "update media set title = coalesce($2, title), description = coalesce($3, description),
            updated_at = $4
        where id = $1 and deleted_at is null returning *";
    CHANGE = "update media set state = coalesce($2, state), failure = $3,
            content_type = coalesce($4, content_type), bytes = coalesce($5, bytes),
            width = coalesce($6, width), height = coalesce($7, height),
            duration = coalesce($8, duration), blurhash = coalesce($9, blurhash), updated_at = $10
        where id = $1 and deleted_at is null returning *";
    PUT_FILE = "insert into media_files
            (media_id, name, path, content_type, bytes, width, height, etag, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        on conflict (media_id, name) do update set path = excluded.path,
            content_type = excluded.content_type, bytes = excluded.bytes, width = excluded.width,
            height = excluded.height, etag = excluded.etag, created_at = excluded.created_at";
    DELETE = "update media set deleted_at = $2, updated_at = $2 where id = $1 and deleted_at is null";
    UNLIST = "delete from media_files where media_id = $1";
    GARBAGE = "select * from media where deleted_at is not null order by id limit 100";
    FORGET = "delete from media where id = $1 and deleted_at is not null";
    PROCESSING = "select * from media where state = 'processing' and deleted_at is null order by id";
    EVERY_FILE = "select * from media_files order by media_id, name";
    KNOWN = "select count(*) from media where id = $1";
    OF_LIVE = "select * from media where live_id = $1 and deleted_at is null order by id desc";
}

impl Store {
    /// Adds a medium, `Processing`. Nothing of it can be fetched yet.
    ///
    /// # Errors
    /// `Conflict("media.public_id")`, `NotFound` for an unknown member or live.
    pub async fn create_media(&self, new: &NewMedia) -> Result<Media, StoreError> {
        Ok(write!(self, pool => sqlx::query_as(INSERT)
            .bind(new.id)
            .bind(new.owner_id)
            .bind(&new.public_id)
            .bind(new.kind)
            .bind(&new.title)
            .bind(&new.description)
            .bind(&new.original_name)
            .bind(&new.content_type)
            .bind(i64::try_from(new.bytes).unwrap_or(i64::MAX))
            .bind(new.live_id)
            .bind(true)
            .bind(new.at)
            .fetch_one(pool)
            .await)?)
    }

    /// A medium that is not deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn media(&self, id: MediaId) -> Result<Option<Media>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(BY_ID).bind(id).fetch_optional(pool).await)?)
    }

    /// The same by what its addresses hold.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn media_by_public_id(&self, public_id: &str) -> Result<Option<Media>, StoreError> {
        Ok(
            read!(self, pool => sqlx::query_as(BY_PUBLIC_ID).bind(public_id)
            .fetch_optional(pool).await)?,
        )
    }

    /// One page of a member's media, newest first, each with its files by name, and the number of all. `page`
    /// counts from 1.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list_media(
        &self,
        owner: UserId,
        page: u32,
        page_size: u32,
    ) -> Result<Page<(Media, Vec<MediaFile>)>, StoreError> {
        let offset = i64::from(page.saturating_sub(1)).saturating_mul(i64::from(page_size));
        let rows: Vec<Media> = read!(self, pool => sqlx::query_as(PAGE_OF)
            .bind(owner)
            .bind(i64::from(page_size))
            .bind(offset)
            .fetch_all(pool)
            .await)?;
        let files: Vec<MediaFile> = read!(self, pool => sqlx::query_as(FILES_OF_PAGE)
            .bind(owner)
            .bind(i64::from(page_size))
            .bind(offset)
            .fetch_all(pool)
            .await)?;
        let total: i64 =
            read!(self, pool => sqlx::query_scalar(COUNT_OF).bind(owner).fetch_one(pool).await)?;
        let with_files = |media: Media| {
            let own = files.iter().filter(|file| file.media_id == media.id);
            let own = own.cloned().collect();
            (media, own)
        };
        Ok(Page {
            rows: rows.into_iter().map(with_files).collect(),
            total: unsigned(total),
        })
    }

    /// What of a medium can be fetched, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn media_files(&self, id: MediaId) -> Result<Vec<MediaFile>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(FILES).bind(id).fetch_all(pool).await)?)
    }

    /// The file behind `/media/{public_id}/{name}`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn served_file(
        &self,
        public_id: &str,
        name: &str,
    ) -> Result<Option<ServedFile>, StoreError> {
        Ok(
            read!(self, pool => sqlx::query_as(SERVED).bind(public_id).bind(name)
            .fetch_optional(pool).await)?,
        )
    }

    /// Changes what people call it; `None` leaves it as it is.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn describe_media(
        &self,
        id: MediaId,
        title: Option<&str>,
        description: Option<&str>,
        at: Timestamp,
    ) -> Result<Media, StoreError> {
        Ok(write!(self, pool => sqlx::query_as(DESCRIBE)
            .bind(id)
            .bind(title)
            .bind(description)
            .bind(at)
            .fetch_one(pool)
            .await)?)
    }

    /// Notes files whose objects are there, each in place of an earlier one of its name, and what was learnt,
    /// all or nothing.
    ///
    /// # Errors
    /// `NotFound` when the medium is unknown or was deleted meanwhile: then the objects are the caller's to remove.
    pub async fn change_media(
        &self,
        id: MediaId,
        change: &MediaChange,
        files: &[NewMediaFile],
        at: Timestamp,
    ) -> Result<Media, StoreError> {
        let row = in_tx!(self, tx => {
            let row: Media = sqlx::query_as(CHANGE)
                .bind(id)
                .bind(change.state)
                .bind(&change.failure)
                .bind(&change.content_type)
                .bind(change.bytes)
                .bind(change.width)
                .bind(change.height)
                .bind(change.duration)
                .bind(&change.blurhash)
                .bind(at)
                .fetch_one(&mut *tx)
                .await?;
            for file in files {
                sqlx::query(PUT_FILE)
                    .bind(id)
                    .bind(&file.name)
                    .bind(&file.path)
                    .bind(&file.content_type)
                    .bind(i64::try_from(file.bytes).unwrap_or(i64::MAX))
                    .bind(file.width.map(i64::from))
                    .bind(file.height.map(i64::from))
                    .bind(&file.etag)
                    .bind(at)
                    .execute(&mut *tx)
                    .await?;
            }
            row
        });
        Ok(row)
    }

    /// Makes a medium garbage: from now on nothing of it can be fetched. Its objects go later, then its row.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_media(&self, id: MediaId, at: Timestamp) -> Result<(), StoreError> {
        in_tx!(self, tx => {
            one(sqlx::query(DELETE).bind(id).bind(at).execute(&mut *tx).await?.rows_affected())?;
            sqlx::query(UNLIST).bind(id).execute(&mut *tx).await?;
        });
        Ok(())
    }

    /// Media whose objects are to go, oldest first, a hundred at most.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn garbage_media(&self) -> Result<Vec<Media>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(GARBAGE).fetch_all(pool).await)?)
    }

    /// Forgets a medium whose objects are gone.
    ///
    /// # Errors
    /// `NotFound` when it is unknown or no garbage.
    pub async fn forget_media(&self, id: MediaId) -> Result<(), StoreError> {
        one(write!(self, pool => sqlx::query(FORGET).bind(id)
            .execute(pool).await?.rows_affected()))
    }

    /// Media that are being made, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn processing_media(&self) -> Result<Vec<Media>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(PROCESSING).fetch_all(pool).await)?)
    }

    /// Every file of every medium: what `griot check` compares with what is there.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn every_media_file(&self) -> Result<Vec<MediaFile>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(EVERY_FILE).fetch_all(pool).await)?)
    }

    /// Whether there is a row of this medium, garbage or not: then what lies below its keys has an owner.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn knows_media(&self, id: MediaId) -> Result<bool, StoreError> {
        let count: i64 =
            read!(self, pool => sqlx::query_scalar(KNOWN).bind(id).fetch_one(pool).await)?;
        Ok(count > 0)
    }

    /// Recordings of a live that its owner sent, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn media_of_live(&self, live: LiveId) -> Result<Vec<Media>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(OF_LIVE).bind(live).fetch_all(pool).await)?)
    }
}
