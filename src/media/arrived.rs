//! A whole file in the private spool, before it is judged.

use std::path::PathBuf;
use std::time::Duration;

use crate::base::{LiveId, MediaId, UserId};

/// A file that waits for its verdict. Nothing of it has been seen by anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// The medium's id if it becomes one: judged twice, it becomes the same.
    pub id: MediaId,
    /// Who sent it.
    pub owner_id: UserId,
    /// Where it lies. Whoever judges may take it away from there once its row says where it is now.
    pub path: PathBuf,
    /// Its length, at least 1.
    pub bytes: u64,
    /// What its door takes.
    pub allowed: Allowed,
    /// At most 200 characters; may be empty.
    pub title: String,
    /// May be empty.
    pub description: String,
    /// As its sender named it, made harmless; says nothing about its type.
    pub original_name: String,
    /// The live that it is a recording of.
    pub live_id: Option<LiveId>,
}

/// What a door takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Bytes of an image; 0 takes none.
    pub image_bytes: u64,
    /// Bytes of a video.
    pub video_bytes: u64,
    /// Bytes of anything.
    pub bytes: u64,
    /// The longest video.
    pub video_duration: Duration,
}
