//! The viewing side of a live, running or ended: playlists, init sections, segments and parts.

use bytes::Bytes;

use crate::base::{LiveId, Timestamp};
use crate::rendition::FileRange;

/// What a media playlist request asks for (RFC 8216bis 6.2.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlaylistQuery {
    /// `_HLS_msn`: hold the answer until this media sequence number is there.
    pub msn: Option<u64>,
    /// `_HLS_part`: …and this part of it.
    pub part: Option<u64>,
    /// `_HLS_skip=YES` or `v2`: a delta update will do.
    pub skip: bool,
    /// `ll=0`: without parts, for weak links.
    pub without_parts: bool,
    /// The client takes gzip.
    pub gzip: bool,
}

/// How an answer may be cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// `no-store`: what it says may be old at once.
    NoStore,
    /// A satisfied blocking request: the same for everybody, good for seconds.
    Seconds(u32),
    /// Never changes.
    Immutable,
}

/// A playlist ready to be sent.
#[derive(Clone, Debug)]
pub struct PlaylistText {
    /// The text, or its gzip when `gzip` is set.
    pub body: Bytes,
    /// Whether `body` is compressed.
    pub gzip: bool,
    /// How it may be cached.
    pub freshness: Freshness,
}

/// Bytes behind a media URL.
#[derive(Clone, Debug)]
pub enum MediaBytes {
    /// Still hot.
    Memory(Bytes),
    /// A range of the rendition's file.
    File(FileRange),
}

/// Why there is nothing to play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaybackError {
    /// No such live, rendition, run, segment or part; or it is not to be had any more.
    #[error("there is no such media")]
    NotFound,
    /// The live has no media yet: 404 with `Retry-After: 2`.
    #[error("the live has not begun")]
    NotYet,
    /// The request asks for a playlist too far ahead, or has `_HLS_part` without `_HLS_msn` (400).
    #[error("the playlist that is asked for is too far ahead")]
    TooFarAhead,
    /// The file cannot be read now.
    #[error("the media cannot be read")]
    Unavailable,
}

/// One live as viewers address it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Playback {
    /// Which live.
    pub live: LiveId,
    pub(super) source: super::view::Source,
}

/// A media file that can be downloaded: a finished run.
#[derive(Clone, Debug)]
pub struct Download {
    /// The whole file.
    pub range: FileRange,
    /// A strong entity tag, quotes included.
    pub etag: String,
    /// When it became final.
    pub modified: Timestamp,
    /// `video/mp4` or `audio/mp4`.
    pub content_type: &'static str,
    /// A file name for the viewer's disk, from the live's title and date; ends in `.mp4`.
    pub file_name: String,
}
