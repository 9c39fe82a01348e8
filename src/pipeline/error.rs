//! Why a pipeline gave no result: the file's fault, or ours.

use serde::{Deserialize, Serialize};

use crate::base::ErrorKind;

/// What is wrong with a file. `Display` is plain English for logs; people are told by `http`'s words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum Refusal {
    /// No container that griot takes, by its first bytes.
    #[error("no container that can be read here")]
    Container,
    /// The container is one of ours, but broken: no track can be found in it, or nothing of the picture decodes.
    #[error("cannot be read")]
    Unreadable,
    /// It can be read and has no picture that moves.
    #[error("has no video")]
    NoVideo,
    /// The picture is in a codec that nothing here decodes.
    #[error("the codec {codec} cannot be decoded here")]
    Codec {
        /// As GStreamer or the container calls it; at most 64 characters.
        codec: String,
    },
    /// The picture is larger than any that is decoded here.
    #[error("{width} × {height} pixels are too many")]
    TooLarge {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
}

impl Refusal {
    /// The same with its text fit for a log: a child that reads hostile bytes has written it.
    pub(super) fn bounded(self) -> Self {
        match self {
            Self::Codec { codec } => Self::Codec {
                codec: codec
                    .chars()
                    .filter(char::is_ascii_graphic)
                    .take(64)
                    .collect(),
            },
            other => other,
        }
    }
}

/// Why a call of [`Host`](super::Host) failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PipelineError {
    /// The file is refused, after an orderly look.
    #[error("the file {0}")]
    Refused(Refusal),
    /// Elements of GStreamer are missing on this machine: what, and the Debian packages that bring them.
    #[error("{0}")]
    Unavailable(String),
    /// The child did not end within its time: killed.
    #[error("the child took longer than {0} s")]
    Deadline(u64),
    /// The child went on for so long without a result: killed.
    #[error("the child was silent for {0} s")]
    Stalled(u64),
    /// The child was ended by a signal that is not ours: a crash, a limit of CPU or memory, somebody's kill.
    #[error("the child was ended by signal {0}")]
    Killed(i32),
    /// The child ended without an answer.
    #[error("the child ended with code {0} and no answer")]
    Ended(i32),
    /// The child said something that no child of ours says: killed.
    #[error("the child broke the protocol: {0}")]
    Protocol(&'static str),
    /// The child says that it cannot work, and why.
    #[error("the child cannot work: {0}")]
    Failed(String),
    /// More came out than the task allows: killed.
    #[error("more came out than {0} bytes")]
    TooMuch(u64),
    /// The operating system refused a process, a socket, a file.
    #[error("a child cannot be started: {0}")]
    System(String),
}

impl PipelineError {
    /// Whether the file is the likely cause, so that trying again is of no use: it was refused, or it crashed, hung or
    /// used up its child. False: try again later, or tell the operator.
    #[must_use]
    pub fn is_the_files_fault(&self) -> bool {
        match self {
            Self::Refused(_)
            | Self::Deadline(_)
            | Self::Stalled(_)
            | Self::Killed(_)
            | Self::Protocol(_)
            | Self::TooMuch(_) => true,
            Self::Unavailable(_) | Self::Ended(_) | Self::Failed(_) | Self::System(_) => false,
        }
    }

    /// What a caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unavailable(_) | Self::System(_) => ErrorKind::Unavailable,
            _ if self.is_the_files_fault() => ErrorKind::Invalid,
            _ => ErrorKind::Internal,
        }
    }

    /// The `outcome` label of metrics.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Unavailable(_) => "unavailable",
            Self::Deadline(_) => "deadline",
            Self::Stalled(_) => "stalled",
            Self::Killed(_) => "killed",
            Self::Ended(_) => "ended",
            Self::Protocol(_) => "protocol",
            Self::Failed(_) => "failed",
            Self::TooMuch(_) => "too_much",
            Self::System(_) => "system",
        }
    }
}
