//! Members: passwords, tokens, stream keys.
//!
//! Owns the secret and everything derived from it: token signatures, the look-up and the encryption
//! of stream keys. No SQL, no HTTP, no wording: [`FieldProblem`] says what is wrong, `http` in which language.

mod error;
mod new_account;
mod password;
mod profile;
mod seal;
mod service;
mod stream_keys;
mod token;

pub use error::{AccountsError, FieldProblem, TokenClass};
pub use new_account::NewAccount;
pub use password::PasswordCost;
pub use profile::ProfileChange;
pub use service::{Accounts, Caller, LoggedIn};
pub use token::Tokens;
