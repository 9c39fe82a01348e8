//! What a session tells its driver.

use bytes::Bytes;

use crate::base::Secret;

/// What has come in, in the order of the wire.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// `connect` was answered. (The application is told with the publish: it may hold the key.)
    Connected {
        /// The encoder's name for itself (`flashVer`), at most 200 characters.
        flash_ver: Option<String>,
        /// Whether the encoder speaks Enhanced RTMP (it offered codecs or capabilities).
        enhanced: bool,
    },
    /// The encoder wants to publish. No further input is parsed until
    /// [`accept_publish`](super::ServerSession::accept_publish) or
    /// [`reject_publish`](super::ServerSession::reject_publish).
    PublishRequested(PublishRequest),
    /// A video message of the accepted publish: an FLV video tag body, never empty.
    Video {
        /// The message timestamp, ms; wraps (5.3.1.1, 6.1.1).
        timestamp_ms: u32,
        /// The tag body.
        body: Bytes,
    },
    /// An audio message of the accepted publish: an FLV audio tag body, never empty.
    Audio {
        /// The message timestamp, ms; wraps.
        timestamp_ms: u32,
        /// The tag body.
        body: Bytes,
    },
    /// `onMetaData`, with or without `@setDataFrame` before it.
    Metadata(StreamMetadata),
    /// The goodbye of an accepted publish: FCUnpublish, deleteStream or closeStream. Nothing follows.
    Unpublished,
}

/// What an encoder asks to publish, and what it says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishRequest {
    /// The first path component of the application: `live` of `rtmp://host/live/key`.
    pub app: String,
    /// `tcUrl`, as sent: may hold the key.
    pub tc_url: Option<Secret>,
    /// The stream's name, which is the key; without query. When `publish` has no name, the last path component
    /// of the application (an encoder whose user put all into the server's address). May be empty.
    pub name: Secret,
    /// What follows `?` in the name, or else in the application; without the question mark.
    pub query: Option<Secret>,
    /// The encoder's name for itself (`flashVer`), at most 200 characters.
    pub flash_ver: Option<String>,
}

/// What `onMetaData` claims. Nothing of it is trusted for decoding.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamMetadata {
    /// Frames per second, finite and greater than zero.
    pub frame_rate: Option<f64>,
    /// Picture width, pixels.
    pub width: Option<u32>,
    /// Picture height, pixels.
    pub height: Option<u32>,
    /// Video bit rate, kbit/s.
    pub video_kbps: Option<f64>,
    /// Audio bit rate, kbit/s.
    pub audio_kbps: Option<f64>,
    /// The encoder's name, at most 200 characters, without control characters.
    pub encoder: Option<String>,
}
