//! Writes what happens to a live behind its back, in order, until the database takes it.
//!
//! The owner task never waits for the database while media flows: it hands rows over. Where an answer must
//! be durable first, it waits for [`Rows::settle`], within a bound.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::deps::Deps;
use crate::base::{Event, Events, LiveId, SessionId, Timestamp};
use crate::store::{LiveChange, NewGap, Store, StoreError, insist};

/// One thing that happened.
#[derive(Debug)]
pub(super) enum Row {
    /// The live's own row; listeners are told once it is committed.
    Live(LiveChange),
    /// A session is over.
    SessionEnd(SessionId, String, Timestamp),
    /// An encoder said its name late.
    Encoder(SessionId, String),
    /// The recording lacks something.
    Gap(NewGap),
}

#[derive(Debug)]
enum Work {
    Row(Row),
    Settled(oneshot::Sender<()>),
}

/// The queue of one live's rows.
#[derive(Debug)]
pub(super) struct Rows {
    // 256 rows: an encoder that drops and returns makes four. Full: the database was away for an hour of
    // that; the row is dropped and counted, the next change of the live tells its state.
    to_writer: mpsc::Sender<Work>,
}

impl Rows {
    pub(super) fn new(deps: &Deps, live: LiveId) -> Self {
        let (to_writer, work) = mpsc::channel(256);
        let writer = Writer {
            live,
            store: deps.store.clone(),
            events: deps.events.clone(),
            stopping: deps.tasks.stopping(),
        };
        deps.tasks.spawn(writer.run(work));
        Self { to_writer }
    }

    /// Hands a row over; never waits.
    pub(super) fn put(&self, row: Row) {
        if let Err(refused) = self.to_writer.try_send(Work::Row(row)) {
            metrics::counter!("griot_live_rows_dropped_total").increment(1);
            tracing::error!(error = %refused, "a row of a live is lost");
        }
    }

    /// Waits until all that was handed over is committed, at most `within`; says whether it is.
    pub(super) async fn settle(&self, within: Duration) -> bool {
        let (tell, told) = oneshot::channel();
        let settled =
            async { self.to_writer.send(Work::Settled(tell)).await.is_ok() && told.await.is_ok() };
        tokio::time::timeout(within, settled).await.unwrap_or(false)
    }
}

struct Writer {
    live: LiveId,
    store: Store,
    events: Events,
    stopping: CancellationToken,
}

impl Writer {
    async fn run(self, mut work: mpsc::Receiver<Work>) {
        while let Some(work) = work.recv().await {
            match work {
                Work::Row(row) => {
                    let written = insist(&self.stopping, || self.write(&row)).await;
                    match written {
                        Ok(()) if matches!(row, Row::Live(_)) => {
                            self.events.publish(Event::LiveChanged { live: self.live });
                        }
                        Ok(()) => {}
                        Err(error) => {
                            metrics::counter!("griot_live_row_errors_total").increment(1);
                            tracing::error!(%error, ?row, "a row of a live was not written");
                        }
                    }
                }
                // Who asked may have stopped waiting.
                Work::Settled(tell) => drop(tell.send(())),
            }
        }
    }

    async fn write(&self, row: &Row) -> Result<(), StoreError> {
        let store = &self.store;
        match row {
            Row::Live(change) => store.update_live(self.live, change).await.map(drop),
            Row::SessionEnd(id, word, at) => store.close_session(*id, word, *at).await,
            Row::Encoder(id, name) => store.set_session_encoder(*id, name).await,
            Row::Gap(gap) => match store.add_gap(gap).await {
                // An earlier try was committed although its answer was lost.
                Err(StoreError::Conflict(_)) => Ok(()),
                added => added.map(drop),
            },
        }
    }
}
