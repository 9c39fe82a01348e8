//! How a job fails: for good, or for now.

use std::borrow::Cow;

/// Why an attempt failed. Any error becomes one that is tried again, with `?`.
#[derive(Debug)]
pub struct JobError {
    pub(super) again: bool,
    pub(super) reason: Option<Cow<'static, str>>,
    pub(super) error: anyhow::Error,
}

impl JobError {
    /// Trying again cannot help. `reason` is a word that members may see, as in `unreadable`.
    pub fn never(reason: impl Into<Cow<'static, str>>, error: impl Into<anyhow::Error>) -> Self {
        Self {
            again: false,
            reason: Some(reason.into()),
            error: error.into(),
        }
    }

    /// Trying again may help, until the kind's attempts are used up.
    pub fn again(reason: impl Into<Cow<'static, str>>, error: impl Into<anyhow::Error>) -> Self {
        Self {
            again: true,
            reason: Some(reason.into()),
            error: error.into(),
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for JobError {
    fn from(error: E) -> Self {
        Self {
            again: true,
            reason: None,
            error: error.into(),
        }
    }
}
