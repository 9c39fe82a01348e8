//! Refresh tokens: one row for each that is out, so that it can be used once and revoked.

use super::{Store, StoreError};
use crate::base::{Timestamp, UserId};

/// A refresh token that is out.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct RefreshToken {
    /// The token's own name (claim `jti`); unique.
    pub jti: String,
    /// Whose.
    pub user_id: UserId,
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

impl Store {
    /// Notes a token that is handed out.
    ///
    /// # Errors
    /// `Conflict("refresh_tokens.jti")`, `NotFound` for an unknown member.
    pub async fn save_refresh_token(&self, _token: &RefreshToken) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// Takes `old` and notes `new` in its place, both or none. `false`: `old` is unknown, expired,
    /// revoked, already taken, or another member's; nothing was changed. Of two at once, one wins.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rotate_refresh_token(
        &self,
        _old: &str,
        _new: &RefreshToken,
        _now: Timestamp,
    ) -> Result<bool, StoreError> {
        unimplemented!()
    }

    /// Revokes a token of this member; one that is unknown or revoked already is left as it is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke_refresh_token(
        &self,
        _jti: &str,
        _user: UserId,
        _at: Timestamp,
    ) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// Revokes all tokens of a member: a changed password, a disabled account.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke_refresh_tokens(
        &self,
        _user: UserId,
        _at: Timestamp,
    ) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// Forgets tokens that have expired; answers how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn purge_refresh_tokens(&self, _now: Timestamp) -> Result<u64, StoreError> {
        unimplemented!()
    }
}
