//! A member's stream key: made on first use, shown to its owner again, found by HMAC.

use super::{Accounts, AccountsError};
use crate::base::{Secret, UserId, random_hex};
use crate::store::{StreamKey, User};

impl Accounts {
    /// The member's stream key, `live_{user_id}_` and 32 hexadecimal digits; made on first use.
    ///
    /// # Errors
    /// `ForeignSecret` when the secret key has changed since; `Store`.
    pub async fn stream_key(&self, user: UserId) -> Result<Secret, AccountsError> {
        let row = match self.store.stream_key(user).await? {
            Some(row) => row,
            None => {
                let (_, row) = self.make_stream_key(user);
                // Of two first uses at once, both see the key of the first.
                self.store.put_first_stream_key(&row).await?
            }
        };
        self.seal.open(user, &row.key_encrypted)
    }

    /// Replaces the member's stream key; the old one is refused from now on.
    ///
    /// # Errors
    /// `Store`.
    pub async fn rotate_stream_key(&self, user: UserId) -> Result<Secret, AccountsError> {
        let (key, row) = self.make_stream_key(user);
        self.store.put_stream_key(&row).await?;
        Ok(key)
    }

    /// Whose key this is; look at `is_active` before anything is published. `None`: nobody's.
    ///
    /// # Errors
    /// `Store`.
    pub async fn user_by_stream_key(&self, key: &Secret) -> Result<Option<User>, AccountsError> {
        let user = self
            .store
            .user_by_stream_key(&self.seal.look_up(key))
            .await?;
        Ok(user)
    }

    fn make_stream_key(&self, user: UserId) -> (Secret, StreamKey) {
        let key = Secret::new(format!("live_{user}_{}", random_hex::<16>()));
        let row = StreamKey {
            user_id: user,
            key_hmac: self.seal.look_up(&key).to_vec(),
            key_encrypted: self.seal.seal(user, &key),
            created_at: self.clock.now(),
        };
        (key, row)
    }
}
