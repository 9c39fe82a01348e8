//! Writes the rows of finished segments behind the live's back, in order, until the database takes them.
//!
//! A slow or absent database never slows a live: the owner task only hands rows over.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::base::{ErrorKind, Tasks};
use crate::store::{Segment, Store};

/// How long a refused row waits before the next try, doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A row on its way: the segment and its sample index.
type Work = (Segment, Vec<u8>);

/// The queue of one rendition's segment rows.
#[derive(Debug)]
pub(super) struct SegmentRows {
    // About 1,024 segments are an hour and more. Full: the database was away that long; the row is
    // dropped and counted, and finishing finds the segment by scanning the file.
    to_writer: mpsc::Sender<Work>,
    writer: JoinHandle<()>,
}

impl SegmentRows {
    pub(super) fn new(store: Store, tasks: &Tasks) -> Self {
        let (to_writer, rows) = mpsc::channel(1_024);
        Self {
            to_writer,
            writer: tasks.spawn(write(store, rows)),
        }
    }

    /// Hands a row over; never waits.
    pub(super) fn append(&self, segment: Segment, index: Vec<u8>) {
        if let Err(refused) = self.to_writer.try_send((segment, index)) {
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

async fn write(store: Store, mut rows: mpsc::Receiver<Work>) {
    while let Some((segment, index)) = rows.recv().await {
        let mut pause = FIRST_PAUSE;
        while let Err(error) = store.append_segment(&segment, &index).await {
            metrics::counter!("griot_segment_row_errors_total").increment(1);
            if error.kind() != ErrorKind::Unavailable {
                tracing::error!(%error, segment.msn, "the database refuses a segment's row");
                break;
            }
            tracing::warn!(%error, segment.msn, "the database is away; the row waits");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
