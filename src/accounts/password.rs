//! Passwords: argon2id, off the async threads, a few at a time.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use tokio::sync::Semaphore;

use super::AccountsError;
use crate::base::{Secret, random_array};

/// How dear a password hash is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordCost {
    /// Memory, KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl PasswordCost {
    /// 19 MiB and two passes: OWASP's advice for argon2id on one lane.
    pub const STANDARD: Self = Self {
        memory_kib: 19 * 1_024,
        passes: 2,
    };
    /// The least that argon2 takes: for tests only, where nobody attacks the hash.
    pub const FOR_TESTS: Self = Self {
        memory_kib: 8,
        passes: 1,
    };
}

#[derive(Clone, Debug)]
pub(super) struct Passwords {
    cost: PasswordCost,
    // One hash for each processor: each takes 19 MiB and a whole core. Full: the log-in waits its turn;
    // how many may wait is bounded by `http`'s limit of requests.
    slots: Arc<Semaphore>,
}

impl Passwords {
    pub(super) fn new(cost: PasswordCost) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            cost,
            slots: Arc::new(Semaphore::new(processors)),
        }
    }

    /// The PHC string of a new hash with a fresh salt.
    pub(super) async fn hash(&self, password: &Secret) -> Result<Secret, AccountsError> {
        let argon2 = self.argon2()?;
        let password = password.clone();
        self.in_turn(move || {
            let hash: PasswordHash = argon2
                .hash_password_with_salt(password.expose().as_bytes(), &random_array::<16>())
                .map_err(|_| AccountsError::Hashing)?;
            Ok(Secret::new(hash.to_string()))
        })
        .await
    }

    /// Whether `password` made `hash`; without a hash the same work for the answer no, so that an
    /// unknown address takes as long as a wrong password.
    pub(super) async fn matches(
        &self,
        password: &Secret,
        hash: Option<&Secret>,
    ) -> Result<bool, AccountsError> {
        let argon2 = self.argon2()?;
        let password = password.clone();
        let known = hash.is_some();
        let hash = hash.cloned().unwrap_or_else(|| self.nobodys_hash());
        self.in_turn(move || {
            let parsed = PasswordHash::new(hash.expose()).map_err(|_| AccountsError::Hashing)?;
            let equal = argon2
                .verify_password(password.expose().as_bytes(), &parsed)
                .is_ok();
            Ok(known && equal)
        })
        .await
    }

    /// A well-formed hash of this cost that no password is known for: zero salt, zero output.
    fn nobodys_hash(&self) -> Secret {
        let PasswordCost { memory_kib, passes } = self.cost;
        let (salt, output) = ("A".repeat(22), "A".repeat(43));
        Secret::new(format!(
            "$argon2id$v=19$m={memory_kib},t={passes},p=1${salt}${output}"
        ))
    }

    fn argon2(&self) -> Result<Argon2<'static>, AccountsError> {
        let params = Params::new(self.cost.memory_kib, self.cost.passes, 1, None)
            .map_err(|_| AccountsError::Hashing)?;
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, AccountsError> + Send + 'static,
    ) -> Result<T, AccountsError> {
        if self.slots.available_permits() == 0 {
            metrics::counter!("griot_channel_full_total", "channel" => "password_hash")
                .increment(1);
        }
        let slot = Arc::clone(&self.slots)
            .acquire_owned()
            .await
            .map_err(|_| AccountsError::Hashing)?;
        // The slot goes along: a caller who gives up does not free a core that is still at work.
        tokio::task::spawn_blocking(move || {
            let outcome = work();
            drop(slot);
            outcome
        })
        .await
        .map_err(|_| AccountsError::Hashing)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_is_argon2id_salted_and_matches_only_its_password() {
        let passwords = Passwords::new(PasswordCost::FOR_TESTS);
        let password = Secret::new("12345678");
        let one = passwords.hash(&password).await.unwrap();
        let two = passwords.hash(&password).await.unwrap();
        assert!(one.expose().starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
        assert_ne!(one, two);
        assert!(passwords.matches(&password, Some(&one)).await.unwrap());
        let wrong = Secret::new("12345679");
        assert!(!passwords.matches(&wrong, Some(&one)).await.unwrap());
    }

    // phc-winner-argon2, src/test.c: "password", "somesalt", version 0x13, t=2, m=2^16, p=1.
    #[tokio::test]
    async fn a_hash_of_the_reference_implementation_matches() {
        let hash = Secret::new(
            "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        );
        let passwords = Passwords::new(PasswordCost::STANDARD);
        let password = Secret::new("password");
        assert!(passwords.matches(&password, Some(&hash)).await.unwrap());
    }

    #[tokio::test]
    async fn nobodys_hash_costs_the_same_and_matches_nothing() {
        let passwords = Passwords::new(PasswordCost::STANDARD);
        let nobody = passwords.nobodys_hash();
        let parsed = PasswordHash::new(nobody.expose()).unwrap();
        let params = Params::try_from(&parsed).unwrap();
        assert_eq!(
            (params.m_cost(), params.t_cost(), params.p_cost()),
            (19_456, 2, 1)
        );
        let cheap = Passwords::new(PasswordCost::FOR_TESTS);
        assert!(!cheap.matches(&Secret::new(""), None).await.unwrap());
    }
}
