//! The kinds of failure that decide an answer: each room's error says which it is.

/// What a caller can do about an error. `http` and `ingest` each hold one match from kind to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is wrong and will stay wrong (400).
    Invalid,
    /// Nobody, or somebody unknown, asks (401).
    Unauthenticated,
    /// The caller is known and may not (403).
    Forbidden,
    /// There is no such thing (404).
    NotFound,
    /// It clashes with what is already there (409).
    Conflict,
    /// Too much, too often, or too large (429 or 413).
    Exhausted,
    /// Something that we need is away; trying again later may work (503).
    Unavailable,
    /// Our fault (500).
    Internal,
}

impl ErrorKind {
    /// The word used in logs and as the `kind` label of metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Exhausted => "exhausted",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}
