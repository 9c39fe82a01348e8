//! Uploads: bytes on their way in, until they are judged.

use super::db::{in_tx, one, read, sql, unsigned, write};
use super::{Store, StoreError};
use crate::base::{LiveId, MediaId, Timestamp, UploadId, UserId};

/// Which way bytes come in; each has its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UploadDoor {
    /// The contract's form (§1.3).
    Multipart,
    /// tus 1.0: resumable.
    Tus,
    /// The contract's recording of a live (§1.8).
    Recording,
}

/// Where an upload stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UploadState {
    /// Bytes are missing.
    Receiving,
    /// All are there and durable; they are being judged.
    Received,
    /// A medium has come of it.
    Accepted,
    /// Nothing comes of it; `refusal` says why.
    Refused,
}

/// An upload's row.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Upload {
    /// Time-ordered.
    pub id: UploadId,
    /// Whose.
    pub owner_id: UserId,
    /// Which way it comes in.
    pub door: UploadDoor,
    /// Where it stands.
    pub state: UploadState,
    /// How many bytes there will be; `None` while it is not declared.
    pub length: Option<i64>,
    /// Bytes that are durable; the spool may hold more.
    pub received: i64,
    /// `Upload-Metadata` as it was sent.
    pub metadata: String,
    /// At most 200 characters.
    pub title: String,
    /// Free text.
    pub description: String,
    /// Made harmless.
    pub original_name: String,
    /// The live that it is a recording of.
    pub live_id: Option<LiveId>,
    /// What has come of it.
    pub media_id: Option<MediaId>,
    /// Set with `Refused`: a code that the API puts into words.
    pub refusal: Option<String>,
    /// Whose spool holds the bytes.
    pub node: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
    /// Its last change.
    pub updated_at: Timestamp,
    /// When it is forgotten, unless more comes.
    pub expires_at: Timestamp,
}

/// What a new upload is made from.
#[derive(Clone, Debug)]
pub struct NewUpload {
    /// Made by `IdMaker`.
    pub id: UploadId,
    /// Whose.
    pub owner_id: UserId,
    /// Which way it comes in.
    pub door: UploadDoor,
    /// `None`: said later.
    pub length: Option<u64>,
    /// `Upload-Metadata` as it was sent.
    pub metadata: String,
    /// At most 200 characters.
    pub title: String,
    /// Free text.
    pub description: String,
    /// Made harmless.
    pub original_name: String,
    /// The live that it is a recording of.
    pub live_id: Option<LiveId>,
    /// Whose spool holds the bytes.
    pub node: Option<String>,
    /// When it begins.
    pub at: Timestamp,
    /// When it is forgotten, unless more comes.
    pub expires_at: Timestamp,
}

/// How much one member may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes of media and of uploads together.
    pub bytes: u64,
    /// Uploads that are not judged yet.
    pub open_uploads: u64,
}

/// What became of a new upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is there.
    Admitted(Box<Upload>),
    /// The member has as many uploads under way as may be.
    TooMany,
    /// The member's media and uploads leave no room for it.
    OverQuota,
}

sql! {
    // First, or two transactions of one member that count at once would both find room.
    LOCK_OWNER = "update users set updated_at = updated_at where id = $1";
    OPEN_OF = "select count(*) from uploads
        where owner_id = $1 and state in ('receiving', 'received')";
    // A medium counts from its first row; an upload by what it declares, or has.
    BYTES_OF_MEDIA = "select cast(coalesce(sum(bytes), 0) as bigint) from media
        where owner_id = $1 and deleted_at is null";
    BYTES_OF_UPLOADS = "select cast(coalesce(sum(coalesce(length, received)), 0) as bigint) from uploads
        where owner_id = $1 and id <> $2 and state in ('receiving', 'received')";
    INSERT = "insert into uploads (id, owner_id, door, state, length, received, metadata, title, description,
            original_name, live_id, node, created_at, updated_at, expires_at)
        values ($1, $2, $3, 'receiving', $4, 0, $5, $6, $7, $8, $9, $10, $11, $11, $12) returning *";
    BY_ID = "select * from uploads where id = $1";
    OF_MEDIA = "select * from uploads where media_id = $1 order by id desc limit 1";
    DECLARE = "update uploads set length = $2, updated_at = $3
        where id = $1 and state = 'receiving' and length is null and received <= $2 returning *";
    PROGRESS = "update uploads set received = $2, updated_at = $3, expires_at = $4
        where id = $1 and state = 'receiving' and received <= $2 returning *";
    COMPLETE = "update uploads set state = 'received', received = $2, length = $2, updated_at = $3, expires_at = $4
        where id = $1 and state = 'receiving' returning *";
    ACCEPT = "update uploads set state = 'accepted', media_id = $2, updated_at = $3, expires_at = $4
        where id = $1 and state = 'received' returning *";
    REFUSE = "update uploads set state = 'refused', refusal = $2, updated_at = $3, expires_at = $4
        where id = $1 and state in ('receiving', 'received') returning *";
    DELETE = "delete from uploads where id = $1";
    EXPIRED = "select * from uploads where expires_at <= $1 and state <> 'received' order by id limit 100";
    RECEIVED = "select * from uploads where state = 'received' order by id";
    RECEIVING = "select * from uploads where state = 'receiving' order by id";
}

impl Store {
    /// Adds an upload, `Receiving`, if its owner has room for what it declares.
    ///
    /// # Errors
    /// `NotFound` for an unknown member or live.
    pub async fn create_upload(
        &self,
        new: &NewUpload,
        room: Room,
    ) -> Result<Admission, StoreError> {
        let admission = in_tx!(self, tx => {
            let known = sqlx::query(LOCK_OWNER).bind(new.owner_id).execute(&mut *tx).await?;
            one(known.rows_affected())?;
            let open: i64 =
                sqlx::query_scalar(OPEN_OF).bind(new.owner_id).fetch_one(&mut *tx).await?;
            let media: i64 =
                sqlx::query_scalar(BYTES_OF_MEDIA).bind(new.owner_id).fetch_one(&mut *tx).await?;
            let others: i64 = sqlx::query_scalar(BYTES_OF_UPLOADS)
                .bind(new.owner_id)
                .bind(new.id)
                .fetch_one(&mut *tx)
                .await?;
            let used = unsigned(media).saturating_add(unsigned(others));
            if unsigned(open) >= room.open_uploads {
                Admission::TooMany
            } else if used.saturating_add(new.length.unwrap_or(1)) > room.bytes {
                Admission::OverQuota
            } else {
                let upload = sqlx::query_as(INSERT)
                    .bind(new.id)
                    .bind(new.owner_id)
                    .bind(new.door)
                    .bind(new.length.map(|length| i64::try_from(length).unwrap_or(i64::MAX)))
                    .bind(&new.metadata)
                    .bind(&new.title)
                    .bind(&new.description)
                    .bind(&new.original_name)
                    .bind(new.live_id)
                    .bind(&new.node)
                    .bind(new.at)
                    .bind(new.expires_at)
                    .fetch_one(&mut *tx)
                    .await?;
                Admission::Admitted(Box::new(upload))
            }
        });
        Ok(admission)
    }

    /// An upload.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn upload(&self, id: UploadId) -> Result<Option<Upload>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(BY_ID).bind(id).fetch_optional(pool).await)?)
    }

    /// The upload that a medium came of, while it is remembered.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn upload_of_media(&self, media: MediaId) -> Result<Option<Upload>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(OF_MEDIA).bind(media).fetch_optional(pool).await)?)
    }

    /// Bytes that a member's media and uploads take, those of `but` left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn bytes_of_member(&self, owner: UserId, but: UploadId) -> Result<u64, StoreError> {
        let media: i64 = read!(self, pool => sqlx::query_scalar(BYTES_OF_MEDIA).bind(owner)
            .fetch_one(pool).await)?;
        let uploads: i64 = read!(self, pool => sqlx::query_scalar(BYTES_OF_UPLOADS).bind(owner)
            .bind(but).fetch_one(pool).await)?;
        Ok(unsigned(media).saturating_add(unsigned(uploads)))
    }

    /// Notes a length that was left open.
    ///
    /// # Errors
    /// `NotFound` when it is unknown, declared already, judged, or has more.
    pub async fn declare_upload(
        &self,
        id: UploadId,
        length: u64,
        at: Timestamp,
    ) -> Result<Upload, StoreError> {
        Ok(write!(self, pool => sqlx::query_as(DECLARE)
            .bind(id)
            .bind(i64::try_from(length).unwrap_or(i64::MAX))
            .bind(at)
            .fetch_one(pool)
            .await)?)
    }

    /// Notes bytes that are durable; never fewer than before.
    ///
    /// # Errors
    /// `NotFound` when it is unknown, judged, or has more.
    pub async fn note_received(
        &self,
        id: UploadId,
        received: u64,
        at: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Upload, StoreError> {
        Ok(write!(self, pool => sqlx::query_as(PROGRESS)
            .bind(id)
            .bind(i64::try_from(received).unwrap_or(i64::MAX))
            .bind(at)
            .bind(expires_at)
            .fetch_one(pool)
            .await)?)
    }

    /// All bytes are there and durable: it waits for its verdict.
    ///
    /// # Errors
    /// `NotFound` when it is unknown or no bytes are missing.
    pub async fn complete_upload(
        &self,
        id: UploadId,
        length: u64,
        at: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Upload, StoreError> {
        Ok(write!(self, pool => sqlx::query_as(COMPLETE)
            .bind(id)
            .bind(i64::try_from(length).unwrap_or(i64::MAX))
            .bind(at)
            .bind(expires_at)
            .fetch_one(pool)
            .await)?)
    }

    /// A medium has come of it.
    ///
    /// # Errors
    /// `NotFound` when it is unknown or does not wait for a verdict.
    pub async fn accept_upload(
        &self,
        id: UploadId,
        media: MediaId,
        at: Timestamp,
        forget_at: Timestamp,
    ) -> Result<Upload, StoreError> {
        Ok(write!(self, pool => sqlx::query_as(ACCEPT)
            .bind(id)
            .bind(media)
            .bind(at)
            .bind(forget_at)
            .fetch_one(pool)
            .await)?)
    }

    /// Nothing comes of it.
    ///
    /// # Errors
    /// `NotFound` when it is unknown or judged already.
    pub async fn refuse_upload(
        &self,
        id: UploadId,
        refusal: &str,
        at: Timestamp,
        forget_at: Timestamp,
    ) -> Result<Upload, StoreError> {
        Ok(write!(self, pool => sqlx::query_as(REFUSE)
            .bind(id)
            .bind(refusal)
            .bind(at)
            .bind(forget_at)
            .fetch_one(pool)
            .await)?)
    }

    /// Forgets an upload.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_upload(&self, id: UploadId) -> Result<(), StoreError> {
        one(write!(self, pool => sqlx::query(DELETE).bind(id)
            .execute(pool).await?.rows_affected()))
    }

    /// Uploads whose time is over, oldest first, a hundred at most; none that is being judged.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn expired_uploads(&self, now: Timestamp) -> Result<Vec<Upload>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(EXPIRED).bind(now).fetch_all(pool).await)?)
    }

    /// Uploads that wait for their verdict, oldest first: what a start of the server goes on with.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn received_uploads(&self) -> Result<Vec<Upload>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(RECEIVED).fetch_all(pool).await)?)
    }

    /// Uploads of which bytes are missing, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn receiving_uploads(&self) -> Result<Vec<Upload>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(RECEIVING).fetch_all(pool).await)?)
    }
}
