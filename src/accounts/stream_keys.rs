//! A member's stream key: made on first use, shown to its owner again, found by HMAC.

use super::{Accounts, AccountsError};
use crate::base::{Secret, UserId};
use crate::store::User;

impl Accounts {
    /// The member's stream key, `live_{user_id}_` and 32 hexadecimal digits; made on first use.
    ///
    /// # Errors
    /// `ForeignSecret` when the secret key has changed since; `Store`.
    pub async fn stream_key(&self, _user: UserId) -> Result<Secret, AccountsError> {
        unimplemented!()
    }

    /// Replaces the member's stream key; the old one is refused from now on.
    ///
    /// # Errors
    /// `Store`.
    pub async fn rotate_stream_key(&self, _user: UserId) -> Result<Secret, AccountsError> {
        unimplemented!()
    }

    /// Whose key this is; look at `is_active` before anything is published. `None`: nobody's.
    ///
    /// # Errors
    /// `Store`.
    pub async fn user_by_stream_key(&self, _key: &Secret) -> Result<Option<User>, AccountsError> {
        unimplemented!()
    }
}
