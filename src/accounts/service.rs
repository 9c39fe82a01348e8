//! The service: accounts, log-in, tokens.

use std::sync::Arc;

use super::new_account::{Checked, of_password};
use super::password::Passwords;
use super::profile::{of_row, search_text};
use super::seal::Seal;
use super::token::{Issued, TokenKeys};
use super::{AccountsError, NewAccount, PasswordCost, TokenClass, Tokens};
use crate::base::{Clock, IdMaker, Secret, UserId};
use crate::store::{NewUser, RefreshToken, Role, Store, User};

/// Members' accounts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Accounts {
    pub(super) store: Store,
    pub(super) seal: Arc<Seal>,
    pub(super) clock: Clock,
    tokens: Arc<TokenKeys>,
    passwords: Passwords,
    ids: IdMaker,
}

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
        store: Store,
        secret: &Secret,
        clock: Clock,
        ids: IdMaker,
    ) -> Result<Self, AccountsError> {
        Ok(Self {
            seal: Arc::new(Seal::new(secret)?),
            tokens: Arc::new(TokenKeys::new(secret, clock.clone())?),
            passwords: Passwords::new(PasswordCost::STANDARD),
            store,
            clock,
            ids,
        })
    }

    /// The same with another cost of new password hashes; [`PasswordCost::STANDARD`] otherwise.
    /// Tests take [`PasswordCost::FOR_TESTS`].
    #[must_use]
    pub fn with_password_cost(self, cost: PasswordCost) -> Self {
        Self {
            passwords: Passwords::new(cost),
            ..self
        }
    }

    /// Makes an account.
    ///
    /// # Errors
    /// `Fields` for whatever the contract refuses, a taken name or address, an unknown quartier; `Store`.
    pub async fn create_user(&self, new: NewAccount) -> Result<User, AccountsError> {
        let Checked { account, password } = new.check().map_err(AccountsError::Fields)?;
        let search = search_text(&account.username, &account.first_name, &account.last_name);
        let row = NewUser {
            id: UserId(self.ids.next()),
            password_hash: self.passwords.hash(&password).await?,
            username: account.username,
            email: account.email,
            first_name: account.first_name,
            last_name: account.last_name,
            phone_number: account.phone_number,
            date_of_birth: account.date_of_birth,
            bio: account.bio,
            quartier_id: account.quartier_id,
            role: account.role.unwrap_or(Role::User),
            search,
            at: self.clock.now(),
        };
        self.store.create_user(&row).await.map_err(of_row)
    }

    /// Makes an account for whoever asks, and logs them in.
    ///
    /// # Errors
    /// As [`Accounts::create_user`].
    pub async fn register(&self, new: NewAccount) -> Result<LoggedIn, AccountsError> {
        let user = self.create_user(NewAccount { role: None, ..new }).await?;
        let issued = self.tokens.issue(user.id)?;
        self.store
            .save_refresh_token(&refresh_row(&issued, user.id))
            .await?;
        Ok(LoggedIn {
            user,
            tokens: issued.tokens,
        })
    }

    /// Checks a password and hands out tokens. Takes as long for an unknown address as for a wrong password.
    ///
    /// # Errors
    /// `WrongCredentials`, also for a disabled account; `Store`.
    pub async fn login(&self, email: &str, password: &Secret) -> Result<LoggedIn, AccountsError> {
        let found = self
            .store
            .user_by_email(&email.trim().to_lowercase())
            .await?;
        let hash = found.as_ref().map(|user| &user.password_hash);
        let matches = self.passwords.matches(password, hash).await?;
        let Some(mut user) = found.filter(|user| matches && user.is_active) else {
            return Err(AccountsError::WrongCredentials);
        };
        let issued = self.tokens.issue(user.id)?;
        self.store
            .save_refresh_token(&refresh_row(&issued, user.id))
            .await?;
        let now = self.clock.now();
        self.store.set_last_login(user.id, now).await?;
        user.last_login = Some(now);
        Ok(LoggedIn {
            user,
            tokens: issued.tokens,
        })
    }

    /// New tokens for a refresh token, which is good no more.
    ///
    /// # Errors
    /// `TokenNotValid`, also when it was used before; `Inactive`; `Store`.
    pub async fn refresh(&self, refresh: &Secret) -> Result<Tokens, AccountsError> {
        let old = self.tokens.read(TokenClass::Refresh, refresh)?;
        let user = self.active_user(TokenClass::Refresh, old.user_id).await?;
        let issued = self.tokens.issue(user.id)?;
        let rotated = self
            .store
            .rotate_refresh_token(&old.jti, &refresh_row(&issued, user.id), self.clock.now())
            .await?;
        if !rotated {
            return Err(AccountsError::TokenNotValid {
                class: TokenClass::Refresh,
                expired: false,
            });
        }
        Ok(issued.tokens)
    }

    /// Revokes the caller's refresh token. Without one, or with one that is not the caller's or not
    /// valid, there is nothing to do; its access token ends by itself within the hour.
    ///
    /// # Errors
    /// `Store`.
    pub async fn logout(
        &self,
        caller: UserId,
        refresh: Option<&Secret>,
    ) -> Result<(), AccountsError> {
        let Some(refresh) = refresh else {
            return Ok(());
        };
        if let Ok(claims) = self.tokens.read(TokenClass::Refresh, refresh) {
            let now = self.clock.now();
            self.store
                .revoke_refresh_token(&claims.jti, caller, now)
                .await?;
        }
        Ok(())
    }

    /// Who sends this access token.
    ///
    /// # Errors
    /// `TokenNotValid`; `Inactive`; `Store`.
    pub async fn verify_access(&self, access: &Secret) -> Result<Caller, AccountsError> {
        let claims = self.tokens.read(TokenClass::Access, access)?;
        let user = self.active_user(TokenClass::Access, claims.user_id).await?;
        Ok(Caller { user })
    }

    /// The member with this id, user name or e-mail address: for the command line.
    ///
    /// # Errors
    /// `Store`.
    pub async fn find_user(&self, name: &str) -> Result<Option<User>, AccountsError> {
        let name = name.trim();
        if let Ok(id) = name.parse()
            && let Some(user) = self.store.user(id).await?
        {
            return Ok(Some(user));
        }
        if let Some(user) = self.store.user_by_email(&name.to_lowercase()).await? {
            return Ok(Some(user));
        }
        Ok(self.store.user_by_username(name).await?)
    }

    /// All members, oldest first: for the command line.
    ///
    /// # Errors
    /// `Store`.
    pub async fn users(&self) -> Result<Vec<User>, AccountsError> {
        Ok(self.store.users().await?)
    }

    /// Replaces a password and revokes the member's refresh tokens.
    ///
    /// # Errors
    /// `Fields` for a short password; `Store(NotFound)`.
    pub async fn set_password(&self, user: UserId, password: &Secret) -> Result<(), AccountsError> {
        if let Some(problem) = of_password(Some(password)) {
            return Err(AccountsError::Fields(vec![("password", problem)]));
        }
        let hash = self.passwords.hash(password).await?;
        let now = self.clock.now();
        self.store.set_password_hash(user, &hash, now).await?;
        self.store.revoke_refresh_tokens(user, now).await?;
        Ok(())
    }

    /// Changes what a member may do.
    ///
    /// # Errors
    /// `Store(NotFound)`.
    pub async fn set_role(&self, user: UserId, role: Role) -> Result<(), AccountsError> {
        Ok(self.store.set_role(user, role, self.clock.now()).await?)
    }

    /// Enables an account, or disables it and revokes its refresh tokens.
    ///
    /// # Errors
    /// `Store(NotFound)`.
    pub async fn set_active(&self, user: UserId, active: bool) -> Result<(), AccountsError> {
        let now = self.clock.now();
        self.store.set_active(user, active, now).await?;
        if !active {
            self.store.revoke_refresh_tokens(user, now).await?;
        }
        Ok(())
    }

    /// Forgets refresh tokens that have expired; answers how many. Once a day is enough.
    ///
    /// # Errors
    /// `Store`.
    pub async fn purge_tokens(&self) -> Result<u64, AccountsError> {
        Ok(self.store.purge_refresh_tokens(self.clock.now()).await?)
    }

    /// The member that a token of ours names, if the account is still there and enabled.
    async fn active_user(&self, class: TokenClass, id: UserId) -> Result<User, AccountsError> {
        let user = self
            .store
            .user(id)
            .await?
            .ok_or(AccountsError::TokenNotValid {
                class,
                expired: false,
            })?;
        if !user.is_active {
            return Err(AccountsError::Inactive);
        }
        Ok(user)
    }
}

fn refresh_row(issued: &Issued, user: UserId) -> RefreshToken {
    RefreshToken {
        jti: issued.refresh_jti.clone(),
        user_id: user,
        expires_at: issued.refresh_expires_at,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::FieldProblem;
    use super::*;
    use crate::base::{ErrorKind, Timestamp};

    const PASSWORD: &str = "correct horse";

    struct House {
        accounts: Accounts,
        clock: Clock,
        _folder: tempfile::TempDir,
    }

    async fn house() -> House {
        let (folder, store) = crate::store::scratch_store().await;
        let clock = Clock::manual(Timestamp(1_753_267_733_000_000));
        let secret = Secret::new("0123456789abcdef0123456789abcdef");
        let ids = IdMaker::new(clock.clone());
        let accounts = Accounts::new(store, &secret, clock.clone(), ids)
            .unwrap()
            .with_password_cost(PasswordCost::FOR_TESTS);
        House {
            accounts,
            clock,
            _folder: folder,
        }
    }

    fn account(username: &str) -> NewAccount {
        NewAccount {
            username: username.to_owned(),
            email: format!("{username}@example.org"),
            password: Some(Secret::new(PASSWORD)),
            quartier_id: Some(11),
            ..NewAccount::default()
        }
    }

    async fn log_in(accounts: &Accounts) -> LoggedIn {
        let password = Secret::new(PASSWORD);
        accounts.login("awa@example.org", &password).await.unwrap()
    }

    #[tokio::test]
    async fn a_member_logs_in_with_any_case_of_the_address_and_is_known_by_the_access_token() {
        let house = house().await;
        let accounts = &house.accounts;
        let awa = accounts.create_user(account("awa")).await.unwrap();
        let password = Secret::new(PASSWORD);
        let logged_in = accounts.login(" AWA@example.org", &password).await.unwrap();
        assert_eq!(logged_in.user.id, awa.id);
        assert!(logged_in.user.last_login.is_some());
        let caller = accounts
            .verify_access(&logged_in.tokens.access)
            .await
            .unwrap();
        assert_eq!(caller.id(), awa.id);
        assert!(!caller.is_admin());
    }

    #[tokio::test]
    async fn wrong_password_unknown_address_and_disabled_account_are_one_answer() {
        let house = house().await;
        let accounts = &house.accounts;
        let awa = accounts.create_user(account("awa")).await.unwrap();
        let wrong = accounts
            .login("awa@example.org", &Secret::new("wrong horse"))
            .await;
        let unknown = accounts
            .login("nobody@example.org", &Secret::new(PASSWORD))
            .await;
        accounts.set_active(awa.id, false).await.unwrap();
        let disabled = accounts
            .login("awa@example.org", &Secret::new(PASSWORD))
            .await;
        for outcome in [wrong, unknown, disabled] {
            assert!(matches!(outcome, Err(AccountsError::WrongCredentials)));
        }
    }

    #[tokio::test]
    async fn a_refresh_token_is_good_once() {
        let house = house().await;
        let accounts = &house.accounts;
        accounts.create_user(account("awa")).await.unwrap();
        let first = log_in(accounts).await.tokens;
        let second = accounts.refresh(&first.refresh).await.unwrap();
        let again = accounts.refresh(&first.refresh).await.unwrap_err();
        assert!(matches!(
            again,
            AccountsError::TokenNotValid {
                class: TokenClass::Refresh,
                expired: false
            }
        ));
        assert_eq!(again.kind(), ErrorKind::Unauthenticated);
        assert!(accounts.refresh(&second.refresh).await.is_ok());
        assert!(accounts.verify_access(&second.access).await.is_ok());
    }

    #[tokio::test]
    async fn a_refresh_token_ends_after_seven_days_and_its_row_is_purged() {
        let house = house().await;
        let (accounts, clock) = (&house.accounts, &house.clock);
        accounts.create_user(account("awa")).await.unwrap();
        let tokens = log_in(accounts).await.tokens;
        clock.advance(Duration::from_hours(7 * 24));
        assert!(matches!(
            accounts.refresh(&tokens.refresh).await,
            Err(AccountsError::TokenNotValid { expired: true, .. })
        ));
        assert_eq!(accounts.purge_tokens().await.unwrap(), 1);
    }

    #[tokio::test]
    async fn logging_out_revokes_the_callers_own_refresh_token_only() {
        let house = house().await;
        let accounts = &house.accounts;
        let awa = accounts.create_user(account("awa")).await.unwrap();
        let binta = accounts.create_user(account("binta")).await.unwrap();
        let tokens = log_in(accounts).await.tokens;
        let garbage = Secret::new("garbage");
        accounts.logout(awa.id, None).await.unwrap();
        accounts.logout(awa.id, Some(&garbage)).await.unwrap();
        accounts
            .logout(binta.id, Some(&tokens.refresh))
            .await
            .unwrap();
        let tokens = accounts.refresh(&tokens.refresh).await.unwrap();
        accounts
            .logout(awa.id, Some(&tokens.refresh))
            .await
            .unwrap();
        assert!(accounts.refresh(&tokens.refresh).await.is_err());
    }

    #[tokio::test]
    async fn a_disabled_account_is_told_so_and_a_new_password_ends_old_refresh_tokens() {
        let house = house().await;
        let accounts = &house.accounts;
        let awa = accounts.create_user(account("awa")).await.unwrap();
        let tokens = log_in(accounts).await.tokens;
        accounts.set_active(awa.id, false).await.unwrap();
        for outcome in [
            accounts.verify_access(&tokens.access).await.err(),
            accounts.refresh(&tokens.refresh).await.err(),
        ] {
            assert!(matches!(outcome, Some(AccountsError::Inactive)));
        }
        accounts.set_active(awa.id, true).await.unwrap();
        assert!(accounts.verify_access(&tokens.access).await.is_ok());
        assert!(accounts.refresh(&tokens.refresh).await.is_err());

        let tokens = log_in(accounts).await.tokens;
        let short = accounts.set_password(awa.id, &Secret::new("short")).await;
        assert!(matches!(short, Err(AccountsError::Fields(_))));
        accounts
            .set_password(awa.id, &Secret::new("another horse"))
            .await
            .unwrap();
        assert!(accounts.refresh(&tokens.refresh).await.is_err());
        let old = accounts
            .login("awa@example.org", &Secret::new(PASSWORD))
            .await;
        assert!(matches!(old, Err(AccountsError::WrongCredentials)));
    }

    #[tokio::test]
    async fn taken_names_and_unknown_quartiers_are_problems_of_their_fields() {
        let house = house().await;
        let accounts = &house.accounts;
        accounts.create_user(account("awa")).await.unwrap();
        let mut same_name = account("awa");
        same_name.email = "binta@example.org".to_owned();
        let mut same_email = account("binta");
        same_email.email = "AWA@example.org".to_owned();
        let mut nowhere = account("binta");
        nowhere.quartier_id = Some(78);
        for (new, field, problem) in [
            (same_name, "username", FieldProblem::Taken),
            (same_email, "email", FieldProblem::Taken),
            (nowhere, "quartier", FieldProblem::Unknown),
        ] {
            let error = accounts.create_user(new).await.unwrap_err();
            let AccountsError::Fields(problems) = error else {
                panic!("{error}");
            };
            assert_eq!(problems, [(field, problem)]);
        }
    }

    #[tokio::test]
    async fn a_stream_key_is_made_once_shown_again_and_replaced_on_demand() {
        let house = house().await;
        let accounts = &house.accounts;
        let awa = accounts.create_user(account("awa")).await.unwrap();
        let key = accounts.stream_key(awa.id).await.unwrap();
        let hex = key
            .expose()
            .strip_prefix(&format!("live_{}_", awa.id))
            .unwrap();
        assert_eq!(hex.len(), 32);
        assert!(hex.bytes().all(|b| b.is_ascii_hexdigit()));
        assert_eq!(accounts.stream_key(awa.id).await.unwrap(), key);
        let found = accounts.user_by_stream_key(&key).await.unwrap();
        assert_eq!(found.map(|user| user.id), Some(awa.id));

        let rotated = accounts.rotate_stream_key(awa.id).await.unwrap();
        assert_ne!(rotated, key);
        assert_eq!(accounts.stream_key(awa.id).await.unwrap(), rotated);
        assert!(accounts.user_by_stream_key(&key).await.unwrap().is_none());
        let found = accounts.user_by_stream_key(&rotated).await.unwrap();
        assert_eq!(found.map(|user| user.id), Some(awa.id));
    }

    #[tokio::test]
    async fn the_command_line_finds_members_by_id_address_and_name() {
        let house = house().await;
        let accounts = &house.accounts;
        let awa = accounts.create_user(account("awa")).await.unwrap();
        for name in [awa.id.to_string().as_str(), "Awa@example.org", "awa"] {
            let found = accounts.find_user(name).await.unwrap();
            assert_eq!(found.map(|user| user.id), Some(awa.id), "{name}");
        }
        assert!(accounts.find_user("nobody").await.unwrap().is_none());
        accounts.set_role(awa.id, Role::Admin).await.unwrap();
        assert_eq!(accounts.users().await.unwrap()[0].role, Role::Admin);
    }
}
