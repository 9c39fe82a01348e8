//! Frames to init section and parts; sample index to the final moov; scan.
//!
//! Owns everything that is MP4 in griot: the head of a rendition file ([`Packager::head`]), its parts
//! ([`Packager::push`]), the compact index kept beside each segment ([`SegmentIndex`]), the `moov` that makes the
//! file a plain MP4 ([`Finaliser`]) and the scan that finds out what a crash has left ([`scan()`]). A frame enters
//! on the publisher's timeline and leaves inside an [`av::Part`](crate::av::Part) on the run's. Pure: no I/O
//! but the reader that a scan is given, no clock. It knows nothing of files, playlists or sessions' owners.
//!
//! The layout of the file:
//!
//! ```text
//! 0      ftyp 36
//! 36     free 16             at the end overwritten by the header of one mdat that hides all that follows
//! 52     ftyp moov(mvex)     the init section: EXT-X-MAP
//! …      moof mdat           part 1, and so on: EXT-X-PART
//! end    moov                appended at the end
//! ```

mod assembly;
mod bits;
mod boxes;
mod counters;
mod cut;
mod finalise;
mod fragment;
mod index;
mod init;
mod mirror;
mod outcome;
mod packager;
#[cfg(test)]
mod phones;
#[cfg(test)]
mod properties;
mod scan;
mod scan_boxes;
#[cfg(test)]
mod scenarios;
mod silence;
mod tables;
#[cfg(test)]
mod testing;
mod timing;
mod unpack;

pub use counters::PackagerCounters;
pub use finalise::{FinaliseError, Finalised, Finaliser, finalise};
pub use index::{IndexError, PartIndex, SegmentIndex};
pub use init::{GROWING_HEADER, INIT_OFFSET, MDAT_OFFSET, file_head, init_of};
pub use mirror::{MirrorCounters, MirrorPackager, Mirrored, Origin};
pub use outcome::{PackError, PackagerConfig, Packed, PartTarget, ResumeState};
pub use packager::Packager;
pub use scan::{FileHead, Scan, ScanError, Tail, scan, scan_head, scan_parts};
pub use unpack::frames_of;
