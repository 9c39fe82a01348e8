//! Members.

use super::db::{in_tx, one, read, sql, unsigned, write};
use super::jobs::Enqueue;
use super::{NewJob, Page, Store, StoreError};
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
    /// User name, first and last name, folded: what a search looks at.
    pub search: String,
    /// Now.
    pub at: Timestamp,
}

/// What is changed of a member's row; `None` leaves a column as it is.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    /// Unique.
    pub username: Option<String>,
    /// Unique; lower case.
    pub email: Option<String>,
    /// May be empty.
    pub first_name: Option<String>,
    /// May be empty.
    pub last_name: Option<String>,
    /// May be empty.
    pub phone_number: Option<String>,
    /// `YYYY-MM-DD`; `Some(None)` takes it away.
    pub date_of_birth: Option<Option<String>>,
    /// May be empty.
    pub bio: Option<String>,
    /// `Some(None)` takes it away.
    pub quartier_id: Option<Option<i64>>,
    /// As in [`NewUser`], of the row as it is to be.
    pub search: String,
}

sql! {
    INSERT = "insert into users (id, username, email, password_hash, first_name, last_name, phone_number,
            date_of_birth, bio, quartier_id, role, is_verified, is_geographically_verified, is_active,
            date_joined, updated_at, search)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, false, false, true, $12, $12, $13)
        returning *";
    CHANGE = "update users set username = coalesce($2, username), email = coalesce($3, email),
            first_name = coalesce($4, first_name), last_name = coalesce($5, last_name),
            phone_number = coalesce($6, phone_number), bio = coalesce($7, bio),
            date_of_birth = case when $8 then $9 else date_of_birth end,
            quartier_id = case when $10 then $11 else quartier_id end, search = $12, updated_at = $13
        where id = $1 returning *";
    SET_PICTURE = "update users set profile_picture = $3, updated_at = $4
        where id = $1 and coalesce(profile_picture, '') = $2 returning *";
    PICTURE = "select updated_at from users where profile_picture = $1";
    // Folded texts hold no sign that LIKE knows.
    SEARCH = "select * from users where is_active and (search like '%' || $1 || '%' or email = $2)
        order by id limit $3 offset $4";
    SEARCH_COUNT = "select count(*) from users
        where is_active and (search like '%' || $1 || '%' or email = $2)";
    NEIGHBOURS = "select count(*) from users where is_active and quartier_id = $1 and id <> $2";
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
            .bind(&new.search)
            .fetch_one(pool)
            .await)?;
        Ok(row)
    }

    /// Changes what `change` names, all of it or nothing; answers the row as it is now.
    ///
    /// # Errors
    /// `Conflict("users.email" | "users.username")`; `NotFound` for an unknown member or quartier.
    pub async fn change_user(
        &self,
        id: UserId,
        change: &UserChange,
        at: Timestamp,
    ) -> Result<User, StoreError> {
        Ok(write!(self, pool => sqlx::query_as(CHANGE)
            .bind(id)
            .bind(&change.username)
            .bind(&change.email)
            .bind(&change.first_name)
            .bind(&change.last_name)
            .bind(&change.phone_number)
            .bind(&change.bio)
            .bind(change.date_of_birth.is_some())
            .bind(change.date_of_birth.as_ref().and_then(Option::as_ref))
            .bind(change.quartier_id.is_some())
            .bind(change.quartier_id.flatten())
            .bind(&change.search)
            .bind(at)
            .fetch_one(pool)
            .await)?)
    }

    /// Replaces the profile picture `old` by `new`, and enqueues `then` with it: what has to be done about `old`.
    ///
    /// # Errors
    /// `NotFound` for an unknown member, or one whose picture is another by now: nothing was changed.
    pub async fn set_profile_picture(
        &self,
        id: UserId,
        old: Option<&str>,
        new: Option<&str>,
        then: Option<&NewJob>,
        at: Timestamp,
    ) -> Result<User, StoreError> {
        let row = in_tx!(self, tx => {
            let row: User = sqlx::query_as(SET_PICTURE)
                .bind(id)
                .bind(old.unwrap_or_default())
                .bind(new)
                .bind(at)
                .fetch_one(&mut *tx)
                .await?;
            if let Some(job) = then {
                (*tx).enqueue(job).await?;
            }
            row
        });
        Ok(row)
    }

    /// Since when at the latest a member has the profile picture at this path; `None` when nobody has it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn portrait_since(&self, path: &str) -> Result<Option<Timestamp>, StoreError> {
        Ok(read!(self, pool => sqlx::query_scalar(PICTURE).bind(path).fetch_optional(pool).await)?)
    }

    /// One page of enabled accounts whose folded names hold `names` or whose address is `email`, oldest first.
    /// `page` counts from 1.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn search_users(
        &self,
        names: Option<&str>,
        email: &str,
        page: u32,
        page_size: u32,
    ) -> Result<Page<User>, StoreError> {
        let skip = i64::from(page.saturating_sub(1)) * i64::from(page_size);
        let count: i64 = read!(self, pool => sqlx::query_scalar(SEARCH_COUNT)
            .bind(names)
            .bind(email)
            .fetch_one(pool)
            .await)?;
        let rows = read!(self, pool => sqlx::query_as(SEARCH)
            .bind(names)
            .bind(email)
            .bind(i64::from(page_size))
            .bind(skip)
            .fetch_all(pool)
            .await)?;
        Ok(Page {
            rows,
            total: unsigned(count),
        })
    }

    /// How many enabled accounts but this one are in the quartier.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_neighbours(&self, id: UserId, quartier: i64) -> Result<u64, StoreError> {
        let count: i64 = read!(self, pool => sqlx::query_scalar(NEIGHBOURS)
            .bind(quartier)
            .bind(id)
            .fetch_one(pool)
            .await)?;
        Ok(unsigned(count))
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
