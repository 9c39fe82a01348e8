//! The final `moov`: the sample index of the whole file, from the indexes of its segments.

use std::borrow::Borrow;

use bytes::Bytes;

use super::index::SegmentIndex;
use crate::av::{Ticks, TrackSet};

/// Why a file cannot be made final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FinaliseError {
    /// The parts of the index and the head are not as long as the file.
    #[error("index covers {indexed} bytes of a file of {data_end}")]
    Length {
        /// Bytes of head and parts by the index.
        indexed: u64,
        /// Bytes of head and parts by the caller.
        data_end: u64,
    },
}

/// What makes a growing file a plain MP4. Order of writes: append `moov`, sync, overwrite 16 bytes, sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finalised {
    /// To be appended at `data_end`.
    pub moov: Bytes,
    /// To be written at [`MDAT_OFFSET`](super::MDAT_OFFSET): the header of an `mdat` that ends at `data_end`.
    pub mdat_header: [u8; 16],
    /// Of the longer track, 90 kHz, from the first picture.
    pub duration: Ticks,
    /// Pictures.
    pub video_frames: u64,
    /// Sound frames.
    pub audio_frames: u64,
}

/// Collects the index segment by segment; memory is about that of the final `moov`.
#[derive(Debug)]
pub struct Finaliser {
    indexed: u64,
}

impl Finaliser {
    /// For a file with these tracks.
    #[must_use]
    pub fn new(tracks: &TrackSet) -> Self {
        let _ = tracks;
        Self { indexed: 0 }
    }

    /// The next segment of the file.
    pub fn add(&mut self, segment: &SegmentIndex) {
        self.indexed += segment.length_bytes();
    }

    /// The boxes. `data_end`: bytes of head and parts, that is the length of the file before the `moov`.
    ///
    /// # Errors
    /// When the segments do not fill the file exactly.
    pub fn finish(self, data_end: u64) -> Result<Finalised, FinaliseError> {
        Err(FinaliseError::Length {
            indexed: self.indexed,
            data_end,
        })
    }
}

/// [`Finaliser`] in one call.
///
/// # Errors
/// When the segments do not fill the file exactly.
pub fn finalise<S: Borrow<SegmentIndex>>(
    tracks: &TrackSet,
    segments: impl IntoIterator<Item = S>,
    data_end: u64,
) -> Result<Finalised, FinaliseError> {
    let mut finaliser = Finaliser::new(tracks);
    for segment in segments {
        finaliser.add(segment.borrow());
    }
    finaliser.finish(data_end)
}
