//! Why a stream cannot be understood.

/// Nobody could decode this stream: end the publish and tell the encoder. `Display` is fit for its eyes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlvError {
    /// A codec configuration is broken.
    #[error("the {codec} configuration is broken: {what}")]
    Config {
        /// `H.264`, `HEVC`, `AV1`, `VP9`, `AAC`, `Opus`.
        codec: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// The sides of a picture, if they are in `1..=16384`.
pub(super) fn picture_size(
    codec: &'static str,
    width: Option<u32>,
    height: Option<u32>,
) -> Result<(u32, u32), FlvError> {
    match (width, height) {
        (Some(width @ 1..=16_384), Some(height @ 1..=16_384)) => Ok((width, height)),
        _ => Err(FlvError::Config {
            codec,
            what: "the picture size is out of range",
        }),
    }
}
