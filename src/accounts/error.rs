//! Why an account's matter is refused.

use crate::base::ErrorKind;
use crate::media::MediaError;
use crate::store::StoreError;

/// What is wrong with one field of a new account (contract §1.1); `http` words it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldProblem {
    /// It is missing or blank.
    Required,
    /// It has more characters than this.
    TooLong(usize),
    /// It has fewer characters than this.
    TooShort(usize),
    /// It has characters or a form that it may not have.
    Malformed,
    /// Somebody has it already.
    Taken,
    /// There is no such quartier.
    Unknown,
}

/// Which of the two tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenClass {
    /// Sent with each request; lives an hour.
    Access,
    /// Buys new tokens, once; lives seven days.
    Refresh,
}

/// Why an account's matter is refused.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// Fields of a new account, in the contract's order, with what is wrong with each (400).
    #[error("invalid account: {0:?}")]
    Fields(Vec<(&'static str, FieldProblem)>),
    /// Unknown address, wrong password, or a disabled account: nobody is told which (401).
    #[error("wrong e-mail address or password")]
    WrongCredentials,
    /// Forged, garbled, expired, of the other class, used already, or of a member who is gone
    /// (401, code `token_not_valid`).
    #[error("token not valid")]
    TokenNotValid {
        /// Which token was expected.
        class: TokenClass,
        /// Whether its time was over and nothing else was wrong.
        expired: bool,
    },
    /// The account is disabled (401, code `user_inactive`).
    #[error("the account is disabled")]
    Inactive,
    /// The secret key is shorter than 32 bytes (`GRIOT_SECRET_KEY`).
    #[error("the secret key has fewer than 32 bytes")]
    ShortSecret,
    /// A stored stream key was sealed with another secret; rotating it helps.
    #[error("the stream key was made with another secret key")]
    ForeignSecret,
    /// A profile picture that is refused, or that cannot be stored.
    #[error(transparent)]
    Picture(#[from] MediaError),
    /// The store's own answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The password could not be hashed: out of memory, or the process is stopping.
    #[error("the password could not be hashed")]
    Hashing,
}

impl AccountsError {
    /// What the caller's caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Fields(_) => ErrorKind::Invalid,
            Self::WrongCredentials | Self::TokenNotValid { .. } | Self::Inactive => {
                ErrorKind::Unauthenticated
            }
            Self::Store(error) => error.kind(),
            Self::Picture(error) => error.kind(),
            Self::ShortSecret | Self::ForeignSecret => ErrorKind::Internal,
            Self::Hashing => ErrorKind::Unavailable,
        }
    }
}
