//! AMF 0.

/// Why bytes are not an AMF 0 value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmfError {
    /// The bytes end inside a value.
    #[error("cut short")]
    Truncated,
    /// A type marker that has no meaning here (AMF0 2.1).
    #[error("marker {0}")]
    Marker(u8),
    /// Nested deeper than allowed.
    #[error("nested too deep")]
    Depth,
    /// More values than allowed.
    #[error("too many values")]
    Values,
    /// A command whose name or transaction is not what it must be (RTMP 7.1.1).
    #[error("not a command")]
    Command,
}
