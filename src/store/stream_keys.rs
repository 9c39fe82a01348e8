//! Stream keys: found by HMAC, kept encrypted; the key itself is never in a row.

use super::db::{in_tx, read, sql, write};
use super::{Store, StoreError};
use crate::base::{Timestamp, UserId};

/// A member's stream key as rows keep it.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct StreamKey {
    /// Whose; one key for each member.
    pub user_id: UserId,
    /// HMAC-SHA256 of the key: what a publish is looked up by.
    pub key_hmac: Vec<u8>,
    /// Nonce and ciphertext: what its owner is shown.
    pub key_encrypted: Vec<u8>,
    /// When it was made or rotated.
    pub created_at: Timestamp,
}

sql! {
    PUT = "insert into stream_keys (user_id, key_hmac, key_encrypted, created_at) values ($1, $2, $3, $4)
        on conflict (user_id) do update set key_hmac = excluded.key_hmac,
            key_encrypted = excluded.key_encrypted, created_at = excluded.created_at";
    PUT_FIRST = "insert into stream_keys (user_id, key_hmac, key_encrypted, created_at)
        values ($1, $2, $3, $4) on conflict (user_id) do nothing";
    OF_USER = "select * from stream_keys where user_id = $1";
    USER_BY_HMAC = "select users.* from users join stream_keys on stream_keys.user_id = users.id
        where stream_keys.key_hmac = $1";
}

impl Store {
    /// Sets the member's key; an earlier one is no more.
    ///
    /// # Errors
    /// `NotFound` for an unknown member, `Conflict("stream_keys.key_hmac")`.
    pub async fn put_stream_key(&self, key: &StreamKey) -> Result<(), StoreError> {
        write!(self, pool => sqlx::query(PUT)
            .bind(key.user_id)
            .bind(&key.key_hmac)
            .bind(&key.key_encrypted)
            .bind(key.created_at)
            .execute(pool)
            .await?
            .rows_affected());
        Ok(())
    }

    /// Sets the member's key unless there is one; answers the one that is there then.
    ///
    /// # Errors
    /// As [`Store::put_stream_key`].
    pub async fn put_first_stream_key(&self, key: &StreamKey) -> Result<StreamKey, StoreError> {
        let row = in_tx!(self, tx => {
            sqlx::query(PUT_FIRST)
                .bind(key.user_id)
                .bind(&key.key_hmac)
                .bind(&key.key_encrypted)
                .bind(key.created_at)
                .execute(&mut *tx)
                .await?;
            sqlx::query_as(OF_USER).bind(key.user_id).fetch_one(&mut *tx).await?
        });
        Ok(row)
    }

    /// The member's key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn stream_key(&self, user: UserId) -> Result<Option<StreamKey>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(OF_USER).bind(user).fetch_optional(pool).await)?)
    }

    /// Whose key has this HMAC, active or not.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn user_by_stream_key(
        &self,
        key_hmac: &[u8],
    ) -> Result<Option<super::User>, StoreError> {
        Ok(
            read!(self, pool => sqlx::query_as(USER_BY_HMAC).bind(key_hmac)
            .fetch_optional(pool).await)?,
        )
    }
}
