//! Why a stream cannot be understood.

/// The stream cannot be decoded by anybody: end the publish and tell the encoder. `Display` is fit for its eyes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlvError {
    /// A tag ends inside its own header.
    #[error("a tag ends inside its header")]
    Truncated,
    /// A codec configuration is broken.
    #[error("the {codec} configuration is broken: {what}")]
    Config {
        /// `H.264`, `HEVC`, `AV1`, `VP9`, `AAC`, `Opus`, `MP3`.
        codec: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
}
