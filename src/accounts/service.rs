//! The service: accounts, log-in, tokens.

use super::{AccountsError, NewAccount, PasswordCost, Tokens};
use crate::base::{Clock, IdMaker, Secret, UserId};
use crate::store::{Role, Store, User};

/// Members' accounts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Accounts;

/// Who asks, as a valid access token says and the row confirms.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The member, active at this moment.
    pub user: User,
}

impl Caller {
    /// The member's id.
    #[must_use]
    pub fn id(&self) -> UserId {
        self.user.id
    }

    /// What the member may do.
    #[must_use]
    pub fn role(&self) -> Role {
        self.user.role
    }

    /// Whether the member may do what admins may.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.user.role == Role::Admin
    }
}

/// A log-in that worked.
#[derive(Clone, Debug)]
pub struct LoggedIn {
    /// Who.
    pub user: User,
    /// With what they go on.
    pub tokens: Tokens,
}

impl Accounts {
    /// The service over `store`, with everything derived from `secret`.
    ///
    /// # Errors
    /// `ShortSecret` for fewer than 32 bytes.
    pub fn new(
        _store: Store,
        _secret: &Secret,
        _clock: Clock,
        _ids: IdMaker,
    ) -> Result<Self, AccountsError> {
        unimplemented!()
    }

    /// The same with another cost of new password hashes; [`PasswordCost::STANDARD`] otherwise.
    /// Tests take [`PasswordCost::FOR_TESTS`].
    #[must_use]
    pub fn with_password_cost(self, _cost: PasswordCost) -> Self {
        unimplemented!()
    }

    /// Makes an account.
    ///
    /// # Errors
    /// `Fields` for whatever the contract refuses, a taken name or address, an unknown quartier; `Store`.
    pub async fn create_user(&self, _new: NewAccount) -> Result<User, AccountsError> {
        unimplemented!()
    }

    /// Checks a password and hands out tokens. Takes as long for an unknown address as for a wrong password.
    ///
    /// # Errors
    /// `WrongCredentials`, also for a disabled account; `Store`.
    pub async fn login(&self, _email: &str, _password: &Secret) -> Result<LoggedIn, AccountsError> {
        unimplemented!()
    }

    /// New tokens for a refresh token, which is good no more.
    ///
    /// # Errors
    /// `TokenNotValid`, also when it was used before; `Inactive`; `Store`.
    pub async fn refresh(&self, _refresh: &Secret) -> Result<Tokens, AccountsError> {
        unimplemented!()
    }

    /// Revokes the caller's refresh token. Without one, or with one that is not the caller's or not
    /// valid, there is nothing to do; its access token ends by itself within the hour.
    ///
    /// # Errors
    /// `Store`.
    pub async fn logout(
        &self,
        _caller: UserId,
        _refresh: Option<&Secret>,
    ) -> Result<(), AccountsError> {
        unimplemented!()
    }

    /// Who sends this access token.
    ///
    /// # Errors
    /// `TokenNotValid`; `Inactive`; `Store`.
    pub async fn verify_access(&self, _access: &Secret) -> Result<Caller, AccountsError> {
        unimplemented!()
    }

    /// The member with this id, user name or e-mail address: for the command line.
    ///
    /// # Errors
    /// `Store`.
    pub async fn find_user(&self, _name: &str) -> Result<Option<User>, AccountsError> {
        unimplemented!()
    }

    /// All members, oldest first: for the command line.
    ///
    /// # Errors
    /// `Store`.
    pub async fn users(&self) -> Result<Vec<User>, AccountsError> {
        unimplemented!()
    }

    /// Replaces a password and revokes the member's refresh tokens.
    ///
    /// # Errors
    /// `Fields` for a short password; `Store(NotFound)`.
    pub async fn set_password(
        &self,
        _user: UserId,
        _password: &Secret,
    ) -> Result<(), AccountsError> {
        unimplemented!()
    }

    /// Changes what a member may do.
    ///
    /// # Errors
    /// `Store(NotFound)`.
    pub async fn set_role(&self, _user: UserId, _role: Role) -> Result<(), AccountsError> {
        unimplemented!()
    }

    /// Enables an account, or disables it and revokes its refresh tokens.
    ///
    /// # Errors
    /// `Store(NotFound)`.
    pub async fn set_active(&self, _user: UserId, _active: bool) -> Result<(), AccountsError> {
        unimplemented!()
    }

    /// Forgets refresh tokens that have expired; answers how many. Once a day is enough.
    ///
    /// # Errors
    /// `Store`.
    pub async fn purge_tokens(&self) -> Result<u64, AccountsError> {
        unimplemented!()
    }
}
