//! The settings of uploads.

use std::time::Duration;

use crate::media::Allowed;
use crate::store::{Room, UploadDoor};

/// What doors take; defaults are the contract's (§1.3, §3) and design §5's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Bytes of an image by the contract's form.
    pub max_image_bytes: u64,
    /// Bytes of a video by the contract's form.
    pub max_video_bytes: u64,
    /// The longest video by the contract's form.
    pub max_video_duration: Duration,
    /// Bytes of anything by tus.
    pub tus_max_bytes: u64,
    /// Bytes of an image by tus.
    pub tus_max_image_bytes: u64,
    /// The longest video by tus.
    pub tus_max_video_duration: Duration,
    /// Bytes of one member's media and uploads together.
    pub quota_bytes: u64,
    /// Uploads of one member that are not judged yet.
    pub open_per_member: u64,
    /// How long an upload is kept to which nothing comes, and one that is judged is remembered.
    pub expire_after: Duration,
    /// Below this much free space on the disk of the data folder nothing is taken in, in bytes.
    pub spool_reserve_bytes: u64,
}

/// Anything at all by the contract's form.
const FORM_BYTES: u64 = 100 << 20;
/// The recording of a live may be as long as a live.
const RECORDING_DURATION: Duration = Duration::from_secs(12 * 3_600);

impl Default for Config {
    fn default() -> Self {
        Self {
            max_image_bytes: 10 << 20,
            max_video_bytes: 50 << 20,
            max_video_duration: Duration::from_secs(60),
            tus_max_bytes: 2 << 30,
            tus_max_image_bytes: 50 << 20,
            tus_max_video_duration: Duration::from_secs(4 * 3_600),
            quota_bytes: 20 << 30,
            open_per_member: 20,
            expire_after: Duration::from_secs(24 * 3_600),
            spool_reserve_bytes: 2 << 30,
        }
    }
}

impl Config {
    /// What a door takes.
    #[must_use]
    pub fn allowed(&self, door: UploadDoor) -> Allowed {
        match door {
            UploadDoor::Multipart => Allowed {
                image_bytes: self.max_image_bytes,
                video_bytes: self.max_video_bytes,
                bytes: FORM_BYTES
                    .max(self.max_image_bytes)
                    .max(self.max_video_bytes),
                video_duration: self.max_video_duration,
            },
            UploadDoor::Tus => Allowed {
                image_bytes: self.tus_max_image_bytes,
                video_bytes: self.tus_max_bytes,
                bytes: self.tus_max_bytes,
                video_duration: self.tus_max_video_duration,
            },
            UploadDoor::Recording => Allowed {
                image_bytes: 0,
                video_bytes: self.tus_max_bytes,
                bytes: self.tus_max_bytes,
                video_duration: RECORDING_DURATION,
            },
        }
    }

    /// How much one member may have.
    pub(super) fn room(&self) -> Room {
        Room {
            bytes: self.quota_bytes,
            open_uploads: self.open_per_member,
        }
    }
}
