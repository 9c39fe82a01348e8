//! Why a file does not become a medium.

use crate::base::ErrorKind;
use crate::objects::ObjectError;
use crate::pipeline::PipelineError;
use crate::rendition::RenditionError;
use crate::store::StoreError;

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)+) => {
        /// What is wrong with a file that was sent. Rows keep the code; the API puts it into words.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Refusal {
            $($(#[$doc])* $name,)+
        }

        impl Refusal {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The word that rows and the API have for it.
            #[must_use]
            pub fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)+
                }
            }
        }
    };
}

refusals! {
    /// There are no bytes.
    Empty = "empty";
    /// Neither an image nor a video of the kinds that are taken, whatever it is called.
    UnknownType = "unknown_type";
    /// An image with more bytes than its door takes.
    ImageTooLarge = "image_too_large";
    /// A video with more bytes than its door takes.
    VideoTooLarge = "video_too_large";
    /// More bytes than its door takes of anything.
    TooLarge = "too_large";
    /// An image of more pixels than are decoded.
    TooManyPixels = "too_many_pixels";
    /// It begins like an image or a video, and cannot be decoded.
    Unreadable = "unreadable";
    /// Something else hides in it: a page, a script, an archive.
    Hidden = "hidden";
    /// It could not be decoded in the time there is.
    TooSlow = "too_slow";
    /// A video without pictures.
    NoVideo = "no_video";
    /// A video that is longer than its door takes.
    TooLong = "too_long";
    /// Videos are not taken in by this version.
    VideoNotOffered = "video_not_offered";
    /// The live that it is to be the recording of is unknown, or too long over.
    LiveOver = "live_over";
}

impl Refusal {
    /// The refusal that a row's code stands for.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.code() == code)
    }
}

/// Why a call on media failed.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// The file itself is at fault.
    #[error("the file was refused: {}", .0.code())]
    Refused(Refusal),
    /// There is no such medium.
    #[error("there is no such medium")]
    Unknown,
    /// It is another member's.
    #[error("the medium is another member's")]
    NotYours,
    /// The rows.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The object store.
    #[error(transparent)]
    Objects(#[from] ObjectError),
    /// The spool.
    #[error("the spool fails: {0}")]
    Spool(#[from] std::io::Error),
    /// What looks at videos and makes them.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// The files of a video's renditions.
    #[error(transparent)]
    Rendition(#[from] RenditionError),
}

impl MediaError {
    /// What the caller's caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused(_) => ErrorKind::Invalid,
            Self::Unknown => ErrorKind::NotFound,
            Self::NotYours => ErrorKind::Forbidden,
            Self::Store(error) => error.kind(),
            Self::Objects(error) => error.kind(),
            Self::Spool(_) => ErrorKind::Internal,
            Self::Pipeline(error) => error.kind(),
            Self::Rendition(error) => error.kind(),
        }
    }
}

impl From<Refusal> for MediaError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_leads_back_to_its_refusal() {
        for refusal in Refusal::ALL {
            assert_eq!(Refusal::from_code(refusal.code()), Some(*refusal));
        }
        assert_eq!(Refusal::from_code("other"), None);
    }
}
