//! Segments: one row for each range of a run's file that a playlist names.

use super::db::{in_tx, read, sql};
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

sql! {
    GROW_RUN = "update runs set
            bytes = case when $2 > bytes then $2 else bytes end,
            duration = duration + $3
        where id = $1 and state = 'growing'";
    INSERT = "insert into segments (run_id, msn, byte_offset, bytes, duration, date_time, gap, sample_index)
        values ($1, $2, $3, $4, $5, $6, $7, $8)";
    LOSE = "update segments set gap = true, byte_offset = $3, bytes = 0, sample_index = $4
        where run_id = $1 and msn >= $2";
    SHRINK_RUN = "update runs set bytes = $2 where id = $1 and state = 'growing'";
    OF_RUN = "select run_id, msn, byte_offset, bytes, duration, date_time, gap
        from segments where run_id = $1 order by msn";
    OF_RUN_INDEXED = "select * from segments where run_id = $1 order by msn";
    LAST_OF_RUN = "select run_id, msn, byte_offset, bytes, duration, date_time, gap
        from segments where run_id = $1 order by msn desc limit 1";
}

impl Store {
    /// Adds a segment and grows its run (`bytes` to the segment's end, `duration` by its own), both or none.
    ///
    /// # Errors
    /// `NotFound` for a run that is unknown or final, `Conflict("segments.msn")` when the run has this number.
    pub async fn append_segment(
        &self,
        segment: &Segment,
        sample_index: &[u8],
    ) -> Result<(), StoreError> {
        in_tx!(self, tx => {
            let grown = sqlx::query(GROW_RUN)
                .bind(segment.run_id)
                .bind(segment.byte_offset + segment.bytes)
                .bind(segment.duration)
                .execute(&mut *tx)
                .await?
                .rows_affected();
            if grown == 0 {
                return Err(StoreError::NotFound);
            }
            sqlx::query(INSERT)
                .bind(segment.run_id)
                .bind(segment.msn)
                .bind(segment.byte_offset)
                .bind(segment.bytes)
                .bind(segment.duration)
                .bind(segment.date_time)
                .bind(segment.gap)
                .bind(sample_index)
                .execute(&mut *tx)
                .await?;
        });
        Ok(())
    }

    /// Adds all segments of a run that nobody plays yet, all or none.
    ///
    /// # Errors
    /// `NotFound` for a run that is unknown or final, `Conflict("segments.msn")` when it has one of these numbers.
    pub async fn append_segments(
        &self,
        run: RunId,
        segments: &[IndexedSegment],
    ) -> Result<(), StoreError> {
        let end = segments.last().map(|last| &last.segment);
        let end = end.map_or(0, |last| last.byte_offset + last.bytes);
        let ticks = segments.iter().map(|row| row.segment.duration.0).sum();
        in_tx!(self, tx => {
            let grown = sqlx::query(GROW_RUN)
                .bind(run)
                .bind(end)
                .bind(Ticks(ticks))
                .execute(&mut *tx)
                .await?
                .rows_affected();
            if grown == 0 {
                return Err(StoreError::NotFound);
            }
            for row in segments {
                sqlx::query(INSERT)
                    .bind(run)
                    .bind(row.segment.msn)
                    .bind(row.segment.byte_offset)
                    .bind(row.segment.bytes)
                    .bind(row.segment.duration)
                    .bind(row.segment.date_time)
                    .bind(row.segment.gap)
                    .bind(&row.sample_index)
                    .execute(&mut *tx)
                    .await?;
            }
        });
        Ok(())
    }

    /// Notes that the bytes of a run's segments from `msn` on are lost: they become gaps behind `end`, where
    /// the run's file ends now. `empty_index` is the index of a segment without parts.
    ///
    /// # Errors
    /// `NotFound` for a run that is unknown or final.
    pub async fn lose_segments(
        &self,
        run: RunId,
        msn: i64,
        end: i64,
        empty_index: &[u8],
    ) -> Result<(), StoreError> {
        in_tx!(self, tx => {
            let shrunk = sqlx::query(SHRINK_RUN)
                .bind(run)
                .bind(end)
                .execute(&mut *tx)
                .await?
                .rows_affected();
            if shrunk == 0 {
                return Err(StoreError::NotFound);
            }
            sqlx::query(LOSE)
                .bind(run)
                .bind(msn)
                .bind(end)
                .bind(empty_index)
                .execute(&mut *tx)
                .await?;
        });
        Ok(())
    }

    /// A run's segments in order, without their indexes: what a playlist needs.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn segments(&self, run: RunId) -> Result<Vec<Segment>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(OF_RUN).bind(run).fetch_all(pool).await)?)
    }

    /// A run's segments in order, with their indexes: what a final index is built from.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn indexed_segments(&self, run: RunId) -> Result<Vec<IndexedSegment>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(OF_RUN_INDEXED).bind(run).fetch_all(pool).await)?)
    }

    /// A run's last segment: after it a recovery scans the file.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn last_segment(&self, run: RunId) -> Result<Option<Segment>, StoreError> {
        Ok(read!(self, pool => sqlx::query_as(LAST_OF_RUN).bind(run).fetch_optional(pool).await)?)
    }
}
