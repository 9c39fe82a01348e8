//! Writes the rows of finished segments behind the live's back, in order, until the database takes them.
//!
//! A slow or absent database, or a disk that is slow to sync, never slows a live: the owner task only hands
//! rows over. A row is written once its bytes are synced, so that it points at them after a power loss too.

use std::fs::File;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::sending::Feed;
use crate::base::{Tasks, blocking};
use crate::store::{Segment, Store, insist};

/// A finished segment on its way to its row.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) row: Segment,
    /// Its sample index, encoded.
    pub(super) index: Vec<u8>,
    /// What holds its bytes.
    pub(super) file: Option<Arc<File>>,
    /// Told how far the file is synced.
    pub(super) feed: Option<Feed>,
}

/// The queue of one rendition's segment rows.
#[derive(Debug)]
pub(super) struct SegmentRows {
    // About 1,024 segments are an hour and more. Full: the database was away that long; the row is
    // dropped and counted, and finishing finds the segment by scanning the file.
    to_writer: mpsc::Sender<Finished>,
    writer: JoinHandle<()>,
}

impl SegmentRows {
    pub(super) fn new(store: Store, tasks: &Tasks) -> Self {
        let (to_writer, rows) = mpsc::channel(1_024);
        Self {
            to_writer,
            writer: tasks.spawn(write(store, rows, tasks.stopping())),
        }
    }

    /// Hands a row over; never waits.
    pub(super) fn append(&self, segment: Finished) {
        if let Err(refused) = self.to_writer.try_send(segment) {
            metrics::counter!("griot_segment_rows_dropped_total").increment(1);
            tracing::error!(error = %refused, "a segment's row is lost; its bytes are in the file");
        }
    }

    /// Returns when every row handed over is committed, or known not to be.
    pub(super) async fn flush(self) {
        drop(self.to_writer);
        if let Err(error) = self.writer.await {
            tracing::error!(%error, "the writer of segment rows broke");
        }
    }
}

async fn write(store: Store, mut rows: mpsc::Receiver<Finished>, stopping: CancellationToken) {
    while let Some(finished) = rows.recv().await {
        let (segment, index) = (&finished.row, &finished.index);
        if let Some(file) = finished.file {
            match blocking(move || file.sync_data()).await {
                Ok(()) => {
                    let end = u64::try_from(segment.byte_offset + segment.bytes).unwrap_or(0);
                    finished.feed.iter().for_each(|feed| feed.synced(end));
                }
                Err(error) => {
                    // The bytes can be read, and a power loss is not certain: the row is worth more than nothing.
                    metrics::counter!("griot_sync_errors_total").increment(1);
                    tracing::error!(%error, segment.msn, "a rendition file could not be synced");
                }
            }
        }
        let written = insist(&stopping, || store.append_segment(segment, index)).await;
        if let Err(error) = written {
            metrics::counter!("griot_segment_row_errors_total").increment(1);
            tracing::error!(%error, segment.msn, "a segment has no row; its bytes are in the file");
        }
    }
}
