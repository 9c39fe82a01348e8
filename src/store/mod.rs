//! The only sqlx: two native pools behind one enum, one file per table family, rows as plain structs.
//!
//! Owns every SQL text and the two databases' differences; knows no rule of the product. A look-up
//! answers `Option`; a change of something that is not there fails with [`StoreError::NotFound`].
//! When a call returns `Ok`, what it wrote is durable (SQLite: WAL with `synchronous=FULL`).

mod column;
mod db;
mod error;
mod gaps;
mod insist;
mod jobs;
mod lives;
mod media;
mod places;
mod posts;
mod recording_files;
mod recordings;
mod runs;
#[cfg(test)]
mod scratch;
mod segments;
mod sending;
mod sessions;
#[cfg(test)]
mod statements;
mod stream_keys;
mod tokens;
mod uploads;
mod users;

pub use db::{Config, Migrating, Store};
pub use error::StoreError;
pub use gaps::{Gap, GapCause, NewGap};
pub(crate) use insist::insist;
pub use jobs::{Claim, Enqueued, Job, JobCount, JobEnd, JobFilter, JobState, NewJob};
pub use lives::{EndReason, Live, LiveChange, LiveFilter, LiveStatus, NewLive, Page};
pub use media::{
    Media, MediaChange, MediaFile, MediaKind, MediaState, NewMedia, NewMediaFile, ServedFile,
};
pub use places::{Commune, GeoSeed, Prefecture, Quartier, Region, SeedPlace};
pub use posts::{LivePost, Post, PostAuthor};
pub use recording_files::{NewRecordingFile, RecordingFile, ServedRecordingFile};
pub use recordings::{Recording, RecordingState, WholeRecording};
pub use runs::{NewRun, Run, RunChange, RunState};
#[cfg(test)]
pub(crate) use scratch::scratch_store;
pub use segments::{IndexedSegment, Segment};
pub use sending::{RunPart, RunUpload};
pub use sessions::{NewSession, PublishSession};
pub use stream_keys::StreamKey;
pub use tokens::RefreshToken;
pub use uploads::{Admission, NewUpload, Room, Upload, UploadDoor, UploadState};
pub use users::{NewUser, Role, User, UserChange};
