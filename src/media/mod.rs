//! Images and videos that members see: what is taken in, what is made of it, their rows.
//!
//! A file that has come in through a door of `uploads` lies in the private spool. Its type is told by its bytes
//! ([`Format`]), images are decoded under limits and made anew without anything that tells of their owner
//! (`image/`), videos become renditions by jobs (`video/`). Objects first, then their rows; what is deleted becomes
//! garbage first (`garbage`). This room knows no HTTP.

mod arrived;
mod config;
mod format;
mod garbage;
mod image;
mod leftover;
mod portrait;
mod refusal;
mod service;
pub mod video;

pub use arrived::{Allowed, Arrived};
pub use config::Config;
pub use format::Format;
pub use leftover::{forget_object, forget_objects_by};
pub use portrait::PORTRAIT_BYTES;
pub use refusal::{MediaError, Refusal};
pub use service::{Deps, Medias, Served};
