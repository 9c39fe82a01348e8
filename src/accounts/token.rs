//! Access and refresh tokens: JWT, HS256 (contract §1.1).

use crate::base::Secret;

/// The pair that a log-in or a refresh answers with.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// Lives an hour.
    pub access: Secret,
    /// Lives seven days; good once.
    pub refresh: Secret,
}
