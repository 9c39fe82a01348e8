//! A new account and the contract's rules for its fields (§1.1).

use crate::base::Secret;
use crate::store::Role;

/// What a new account is made from. Texts are trimmed, the e-mail address is lowered.
#[derive(Clone, Debug, Default)]
pub struct NewAccount {
    /// Required, unique, ≤ 150 characters: letters, digits, `@.+-_`.
    pub username: String,
    /// Required, unique, ≤ 254 characters.
    pub email: String,
    /// Required, ≥ 8 characters.
    pub password: Option<Secret>,
    /// ≤ 150 characters.
    pub first_name: String,
    /// ≤ 150 characters.
    pub last_name: String,
    /// `^\+?1?\d{9,15}$`, ≤ 17 characters, or empty.
    pub phone_number: String,
    /// `YYYY-MM-DD`.
    pub date_of_birth: Option<String>,
    /// ≤ 500 characters.
    pub bio: String,
    /// A quartier's id.
    pub quartier_id: Option<i64>,
    /// `None` is `Role::User`. Never taken from a client's own registration.
    pub role: Option<Role>,
}
