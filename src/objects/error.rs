//! Why an object cannot be had.

use std::io;

use crate::base::ErrorKind;

/// What a caller can decide upon. Texts name codes of the store and never hold credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// There is no such object, or no such multipart upload any more.
    #[error("there is no such object")]
    Missing,
    /// The store answers and will not let us: credentials, permissions, bucket or region are wrong.
    /// Somebody must act; until then trying again is cheap and harmless.
    #[error("the object store refuses: {0}")]
    Refused(String),
    /// Nothing answers, not in time, or the store is overloaded: trying again later is right.
    #[error("the object store is away: {0}")]
    Away(String),
    /// Anything else.
    #[error("the object store fails: {0}")]
    Other(String),
}

impl ObjectError {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Missing => ErrorKind::NotFound,
            Self::Refused(_) | Self::Away(_) => ErrorKind::Unavailable,
            Self::Other(_) => ErrorKind::Internal,
        }
    }

    /// The `kind` label of `griot_objects_errors_total`: `missing`, `refused`, `away`, `other`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Refused(_) => "refused",
            Self::Away(_) => "away",
            Self::Other(_) => "other",
        }
    }
}

impl From<io::Error> for ObjectError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::Refused(error.to_string())
            }
            _ => Self::Other(error.to_string()),
        }
    }
}
