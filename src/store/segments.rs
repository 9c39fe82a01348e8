//! Segments: one row for each range of a run's file that a playlist names.

use super::{Store, StoreError};
use crate::av::Ticks;
use crate::base::{RunId, Timestamp};

/// A segment's row, without its index.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Segment {
    /// Of which run.
    pub run_id: RunId,
    /// Media sequence number; grows within the run.
    pub msn: i64,
    /// Where it begins in the run's file.
    pub byte_offset: i64,
    /// How long it is there; 0 for a gap that has no bytes.
    pub bytes: i64,
    /// 90 kHz.
    pub duration: Ticks,
    /// PROGRAM-DATE-TIME, where the playlist carries one.
    pub date_time: Option<Timestamp>,
    /// EXT-X-GAP: only memory held it.
    pub gap: bool,
}

/// A segment with its sample index.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct IndexedSegment {
    /// The rest of the row.
    #[sqlx(flatten)]
    pub segment: Segment,
    /// Parts and samples, opaque to the store.
    pub sample_index: Vec<u8>,
}

impl Store {
    /// Adds a segment and grows its run (`bytes` to the segment's end, `duration` by its own), both or none.
    ///
    /// # Errors
    /// `NotFound` for an unknown run, `Conflict("segments.msn")` when the run has this number.
    pub async fn append_segment(
        &self,
        _segment: &Segment,
        _sample_index: &[u8],
    ) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// A run's segments in order, without their indexes: what a playlist needs.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn segments(&self, _run: RunId) -> Result<Vec<Segment>, StoreError> {
        unimplemented!()
    }

    /// A run's segments in order, with their indexes: what a final index is built from.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn indexed_segments(&self, _run: RunId) -> Result<Vec<IndexedSegment>, StoreError> {
        unimplemented!()
    }

    /// A run's last segment: after it a recovery scans the file.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn last_segment(&self, _run: RunId) -> Result<Option<Segment>, StoreError> {
        unimplemented!()
    }
}
