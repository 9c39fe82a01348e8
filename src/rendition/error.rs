//! Why a rendition cannot grow, finish or be read.

use std::io;

use crate::base::ErrorKind;
use crate::fmp4;
use crate::store::StoreError;

/// What the owner of a rendition can decide upon. The live goes on after any of them.
#[derive(Debug, thiserror::Error)]
pub enum RenditionError {
    /// The disk refuses or is gone.
    #[error("the rendition's file: {0}")]
    File(#[from] io::Error),
    /// The rows refuse or are away.
    #[error("the rendition's rows: {0}")]
    Store(#[from] StoreError),
    /// The encoder's configuration cannot be packaged.
    #[error("the rendition's tracks: {0}")]
    Packaging(#[from] fmp4::PackError),
    /// Its files are not final yet; that goes on in the background, or at the next start.
    #[error("the rendition is not final yet")]
    Pending,
    /// The final index cannot be built from the rows.
    #[error("the rendition's index: {0}")]
    Index(String),
}

impl RenditionError {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::File(error) if error.kind() == io::ErrorKind::StorageFull => ErrorKind::Exhausted,
            Self::File(_) => ErrorKind::Unavailable,
            Self::Store(error) => error.kind(),
            Self::Packaging(_) => ErrorKind::Invalid,
            Self::Pending => ErrorKind::Unavailable,
            Self::Index(_) => ErrorKind::Internal,
        }
    }
}
