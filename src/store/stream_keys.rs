//! Stream keys: found by HMAC, kept encrypted; the key itself is never in a row.

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

impl Store {
    /// Sets the member's key; an earlier one is no more.
    ///
    /// # Errors
    /// `NotFound` for an unknown member, `Conflict("stream_keys.key_hmac")`.
    pub async fn put_stream_key(&self, _key: &StreamKey) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// Sets the member's key unless there is one; answers the one that is there then.
    ///
    /// # Errors
    /// As [`Store::put_stream_key`].
    pub async fn put_first_stream_key(&self, _key: &StreamKey) -> Result<StreamKey, StoreError> {
        unimplemented!()
    }

    /// The member's key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn stream_key(&self, _user: UserId) -> Result<Option<StreamKey>, StoreError> {
        unimplemented!()
    }

    /// Whose key has this HMAC, active or not.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn user_by_stream_key(
        &self,
        _key_hmac: &[u8],
    ) -> Result<Option<super::User>, StoreError> {
        unimplemented!()
    }
}
