//! Why an upload does not go on.

use crate::base::ErrorKind;
use crate::media::{MediaError, Refusal};
use crate::store::StoreError;

/// What a door can tell its client.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// There is none of this id, or it is another member's.
    #[error("there is no such upload")]
    Unknown,
    /// It was given up, or what it had is lost.
    #[error("the upload is gone")]
    Gone,
    /// Nothing comes of it.
    #[error("the upload was refused: {}", .0.code())]
    Refused(Refusal),
    /// The bytes that came begin elsewhere than where ours end.
    #[error("the upload stands at {offset} bytes")]
    WrongOffset {
        /// Where it stands.
        offset: u64,
    },
    /// Bytes come by another request now.
    #[error("another request sends this upload")]
    Busy,
    /// It was given up for another request that sends the same upload.
    #[error("another request has taken over")]
    TakenOver,
    /// More bytes than the door takes, or than were declared.
    #[error("more than {limit} bytes")]
    TooLarge {
        /// How many would do.
        limit: u64,
    },
    /// A length that contradicts what was declared or is there.
    #[error("the declared length cannot be")]
    WrongLength,
    /// What came is not what its checksum says; none of it was kept.
    #[error("the checksum does not match")]
    WrongChecksum,
    /// The member has as many uploads under way as may be.
    #[error("too many uploads of one member")]
    TooMany,
    /// The member's media and uploads leave no room.
    #[error("the member's room is full")]
    OverQuota,
    /// The disk has no room to spare.
    #[error("the disk is too full for uploads")]
    DiskFull,
    /// The body broke off; what came is kept.
    #[error("the body broke off: {0}")]
    BrokenOff(String),
    /// The body came too slowly; what came is kept.
    #[error("the body came too slowly")]
    TooSlow,
    /// The server stops; what came is kept.
    #[error("the server stops")]
    Stopping,
    /// The rows.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The spool.
    #[error("the spool fails: {0}")]
    Spool(#[from] std::io::Error),
    /// The media room, other than a refusal.
    #[error(transparent)]
    Media(MediaError),
}

impl UploadError {
    /// What the caller's caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unknown | Self::Gone => ErrorKind::NotFound,
            Self::Refused(_)
            | Self::WrongLength
            | Self::WrongChecksum
            | Self::BrokenOff(_)
            | Self::TooSlow => ErrorKind::Invalid,
            Self::WrongOffset { .. } | Self::Busy | Self::TakenOver => ErrorKind::Conflict,
            Self::TooLarge { .. } | Self::TooMany | Self::OverQuota => ErrorKind::Exhausted,
            Self::DiskFull | Self::Stopping => ErrorKind::Unavailable,
            Self::Store(error) => error.kind(),
            Self::Spool(_) => ErrorKind::Internal,
            Self::Media(error) => error.kind(),
        }
    }
}

impl From<Refusal> for UploadError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<MediaError> for UploadError {
    fn from(error: MediaError) -> Self {
        match error {
            MediaError::Refused(refusal) => Self::Refused(refusal),
            error => Self::Media(error),
        }
    }
}
