//! Members.

use super::{Store, StoreError};
use crate::base::{Secret, Timestamp, UserId};

/// What a member may do beyond their own things (contract §1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Everybody.
    User,
    /// A member who speaks for a quartier.
    Ambassador,
    /// May stop anybody's live and see anybody's key.
    Admin,
}

/// A member's row (contract §2, user).
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct User {
    /// Time-ordered.
    pub id: UserId,
    /// Unique; at most 150 characters.
    pub username: String,
    /// Unique; lower case; at most 254 characters.
    pub email: String,
    /// An argon2id PHC string. Never leaves `accounts`.
    pub password_hash: Secret,
    /// At most 150 characters; may be empty.
    pub first_name: String,
    /// At most 150 characters; may be empty.
    pub last_name: String,
    /// At most 17 characters; may be empty.
    pub phone_number: String,
    /// `YYYY-MM-DD`.
    pub date_of_birth: Option<String>,
    /// At most 500 characters; may be empty.
    pub bio: String,
    /// Path below `/media/`.
    pub profile_picture: Option<String>,
    /// Where the member lives; without it no live can be started.
    pub quartier_id: Option<i64>,
    /// What the member may do.
    pub role: Role,
    /// Set by an admin.
    pub is_verified: bool,
    /// Set by a check of the address.
    pub is_geographically_verified: bool,
    /// A disabled account can neither log in, nor publish, nor use its tokens.
    pub is_active: bool,
    /// When the account was made.
    pub date_joined: Timestamp,
    /// The last log-in with a password.
    pub last_login: Option<Timestamp>,
    /// The last change of the row.
    pub updated_at: Timestamp,
}

/// What a new member's row is made from; the other columns have their defaults.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Made by `IdMaker`.
    pub id: UserId,
    /// Unique.
    pub username: String,
    /// Unique; lower case.
    pub email: String,
    /// An argon2id PHC string.
    pub password_hash: Secret,
    /// May be empty.
    pub first_name: String,
    /// May be empty.
    pub last_name: String,
    /// May be empty.
    pub phone_number: String,
    /// `YYYY-MM-DD`.
    pub date_of_birth: Option<String>,
    /// May be empty.
    pub bio: String,
    /// Where the member lives.
    pub quartier_id: Option<i64>,
    /// What the member may do.
    pub role: Role,
    /// Now.
    pub at: Timestamp,
}

impl Store {
    /// Adds a member.
    ///
    /// # Errors
    /// `Conflict("users.email" | "users.username")`; `NotFound` for an unknown quartier.
    pub async fn create_user(&self, _new: &NewUser) -> Result<User, StoreError> {
        unimplemented!()
    }

    /// The member with this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn user(&self, _id: UserId) -> Result<Option<User>, StoreError> {
        unimplemented!()
    }

    /// The member with this e-mail address, given in lower case.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn user_by_email(&self, _email: &str) -> Result<Option<User>, StoreError> {
        unimplemented!()
    }

    /// The member with exactly this name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn user_by_username(&self, _username: &str) -> Result<Option<User>, StoreError> {
        unimplemented!()
    }

    /// All members, oldest first: for the command line.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn users(&self) -> Result<Vec<User>, StoreError> {
        unimplemented!()
    }

    /// How many members there are.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_users(&self) -> Result<u64, StoreError> {
        unimplemented!()
    }

    /// Replaces the password's hash.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn set_password_hash(
        &self,
        _id: UserId,
        _hash: &Secret,
        _at: Timestamp,
    ) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// Changes what the member may do.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn set_role(
        &self,
        _id: UserId,
        _role: Role,
        _at: Timestamp,
    ) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// Enables or disables the account.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn set_active(
        &self,
        _id: UserId,
        _active: bool,
        _at: Timestamp,
    ) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// Moves the member to another quartier, or to none.
    ///
    /// # Errors
    /// `NotFound`, also for an unknown quartier.
    pub async fn set_quartier(
        &self,
        _id: UserId,
        _quartier_id: Option<i64>,
        _at: Timestamp,
    ) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// Notes a log-in with the password.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn set_last_login(&self, _id: UserId, _at: Timestamp) -> Result<(), StoreError> {
        unimplemented!()
    }
}
