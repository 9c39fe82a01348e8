//! Members.

use super::db::{one, read, sql, unsigned, write};
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

sql! {
    INSERT = "insert into users (id, username, email, password_hash, first_name, last_name, phone_number,
            date_of_birth, bio, quartier_id, role, is_verified, is_geographically_verified, is_active,
            date_joined, updated_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, false, false, true, $12, $12)
        returning *";
    BY_ID = "select * from users where id = $1";
    BY_EMAIL = "select * from users where email = $1";
    BY_USERNAME = "select * from users where username = $1";
    ALL = "select * from users order by id";
    COUNT = "select count(*) from users";
    SET_PASSWORD = "update users set password_hash = $2, updated_at = $3 where id = $1";
    SET_ROLE = "update users set role = $2, updated_at = $3 where id = $1";
    SET_ACTIVE = "update users set is_active = $2, updated_at = $3 where id = $1";
    SET_QUARTIER = "update users set quartier_id = $2, updated_at = $3 where id = $1";
    SET_LAST_LOGIN = "update users set last_login = $2 where id = $1";
}

impl Store {
    /// Adds a member.
    ///
    /// # Errors
    /// `Conflict("users.email" | "users.username")`; `NotFound` for an unknown quartier.
    pub async fn create_user(&self, new: &NewUser) -> Result<User, StoreError> {
        let row = write!(self, pool => sqlx::query_as(INSERT)
            .bind(new.id)
            .bind(&new.username)
            .bind(&new.email)
            .bind(&new.password_hash)
            .bind(&new.first_name)
            .bind(&new.last_name)
            .bind(&new.phone_number)
            .bind(&new.date_of_birth)
            .bind(&new.bio)
            .bind(new.quartier_id)
            .bind(new.role)
            .bind(new.at)
            .fetch_one(pool)
            .await)?;
        Ok(row)
    }

    /// The member with this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(BY_ID).bind(id).fetch_optional(pool).await)?)
    }

    /// The member with this e-mail address, given in lower case.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn user_by_email(&self, email: &str) -> Result<Option<User>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(BY_EMAIL).bind(email).fetch_optional(pool).await)?)
    }

    /// The member with exactly this name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn user_by_username(&self, username: &str) -> Result<Option<User>, StoreError> {
        Ok(
            read!(self, pool => sqlx::query_as(BY_USERNAME).bind(username).fetch_optional(pool).await)?,
        )
    }

    /// All members, oldest first: for the command line.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn users(&self) -> Result<Vec<User>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(ALL).fetch_all(pool).await)?)
    }

    /// How many members there are.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_users(&self) -> Result<u64, StoreError> {
        let count: i64 = read!(self, pool => sqlx::query_scalar(COUNT).fetch_one(pool).await)?;
        Ok(unsigned(count))
    }

    /// Replaces the password's hash.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn set_password_hash(
        &self,
        id: UserId,
        hash: &Secret,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        one(
            write!(self, pool => sqlx::query(SET_PASSWORD).bind(id).bind(hash).bind(at)
            .execute(pool).await?.rows_affected()),
        )
    }

    /// Changes what the member may do.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn set_role(&self, id: UserId, role: Role, at: Timestamp) -> Result<(), StoreError> {
        one(
            write!(self, pool => sqlx::query(SET_ROLE).bind(id).bind(role).bind(at)
            .execute(pool).await?.rows_affected()),
        )
    }

    /// Enables or disables the account.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn set_active(
        &self,
        id: UserId,
        active: bool,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        one(
            write!(self, pool => sqlx::query(SET_ACTIVE).bind(id).bind(active).bind(at)
            .execute(pool).await?.rows_affected()),
        )
    }

    /// Moves the member to another quartier, or to none.
    ///
    /// # Errors
    /// `NotFound`, also for an unknown quartier.
    pub async fn set_quartier(
        &self,
        id: UserId,
        quartier_id: Option<i64>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        one(
            write!(self, pool => sqlx::query(SET_QUARTIER).bind(id).bind(quartier_id).bind(at)
            .execute(pool).await?.rows_affected()),
        )
    }

    /// Notes a log-in with the password.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn set_last_login(&self, id: UserId, at: Timestamp) -> Result<(), StoreError> {
        one(
            write!(self, pool => sqlx::query(SET_LAST_LOGIN).bind(id).bind(at)
            .execute(pool).await?.rows_affected()),
        )
    }
}
