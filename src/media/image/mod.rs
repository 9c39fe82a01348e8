//! Images: what tells of their owner is taken out, then they are decoded under limits and drawn anew in smaller sizes.
//!
//! `jpeg`, `png`, `gif` and `webp` walk a file and keep, by an allow-list, what its picture needs: metadata, comments
//! and what lies behind the end are not copied. Decoders only ever see what was kept. All of it is plain work on
//! bytes, done off the asynchronous threads.

mod clean;
mod draw;
mod gif;
mod jpeg;
mod make;
mod picture;
mod png;
mod webp;

pub(super) use make::{Limits, MadeImage, make, megapixels};
