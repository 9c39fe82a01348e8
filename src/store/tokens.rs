//! Refresh tokens: one row for each that is out, so that it can be used once and revoked.

use super::db::{in_tx, sql, write};
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

sql! {
    SAVE = "insert into refresh_tokens (jti, user_id, expires_at) values ($1, $2, $3)";
    TAKE = "update refresh_tokens set revoked_at = $3
        where jti = $1 and user_id = $2 and revoked_at is null and expires_at > $3";
    REVOKE = "update refresh_tokens set revoked_at = $3
        where jti = $1 and user_id = $2 and revoked_at is null";
    REVOKE_ALL = "update refresh_tokens set revoked_at = $2 where user_id = $1 and revoked_at is null";
    PURGE = "delete from refresh_tokens where expires_at <= $1";
}

impl Store {
    /// Notes a token that is handed out.
    ///
    /// # Errors
    /// `Conflict("refresh_tokens.jti")`, `NotFound` for an unknown member.
    pub async fn save_refresh_token(&self, token: &RefreshToken) -> Result<(), StoreError> {
        write!(self, pool => sqlx::query(SAVE)
            .bind(&token.jti)
            .bind(token.user_id)
            .bind(token.expires_at)
            .execute(pool)
            .await?
            .rows_affected());
        Ok(())
    }

    /// Takes `old` and notes `new` in its place, both or none. `false`: `old` is unknown, expired,
    /// revoked, already taken, or another member's; nothing was changed. Of two at once, one wins.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rotate_refresh_token(
        &self,
        old: &str,
        new: &RefreshToken,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let rotated = in_tx!(self, tx => {
            let taken = sqlx::query(TAKE)
                .bind(old)
                .bind(new.user_id)
                .bind(now)
                .execute(&mut *tx)
                .await?
                .rows_affected();
            if taken == 1 {
                sqlx::query(SAVE)
                    .bind(&new.jti)
                    .bind(new.user_id)
                    .bind(new.expires_at)
                    .execute(&mut *tx)
                    .await?;
            }
            taken == 1
        });
        Ok(rotated)
    }

    /// Revokes a token of this member; one that is unknown or revoked already is left as it is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke_refresh_token(
        &self,
        jti: &str,
        user: UserId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        write!(self, pool => sqlx::query(REVOKE).bind(jti).bind(user).bind(at)
            .execute(pool).await?.rows_affected());
        Ok(())
    }

    /// Revokes all tokens of a member: a changed password, a disabled account.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke_refresh_tokens(
        &self,
        user: UserId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        write!(self, pool => sqlx::query(REVOKE_ALL).bind(user).bind(at)
            .execute(pool).await?.rows_affected());
        Ok(())
    }

    /// Forgets tokens that have expired; answers how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn purge_refresh_tokens(&self, now: Timestamp) -> Result<u64, StoreError> {
        Ok(write!(self, pool => sqlx::query(PURGE).bind(now).execute(pool).await?.rows_affected()))
    }
}
