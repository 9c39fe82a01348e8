//! Beside the workers: leases that ended, rows that are old, how long the queue is.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::attempt::Surroundings;
use super::telling;
use crate::store::{JobState, StoreError};

const PURGE_EVERY: Duration = Duration::from_secs(3_600);

/// Looks after the queue until the stop. Every process does, workers or not.
pub(super) async fn look_after(around: Surroundings) {
    let stopping = around.tasks.stopping();
    let mut beat = interval(around.config.heartbeat);
    let mut purge = interval(PURGE_EVERY);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut shown = BTreeSet::new();
    let mut away = None;
    loop {
        let looked = tokio::select! {
            biased;
            () = stopping.cancelled() => return,
            _ = purge.tick() => forget(&around).await,
            _ = beat.tick() => look(&around, away, &mut shown).await,
        };
        if let Err(error) = looked {
            away = Some(Instant::now());
            tracing::warn!(%error, "the queue of jobs could not be looked after");
        }
    }
}

async fn forget(around: &Surroundings) -> Result<(), StoreError> {
    let jobs = &around.jobs;
    let keep_us = i64::try_from(around.config.keep.as_micros()).unwrap_or(i64::MAX);
    let before = crate::base::Timestamp(jobs.0.clock.now().0.saturating_sub(keep_us));
    let purged = jobs.0.store.purge_jobs(before).await?;
    tracing::debug!(purged, "forgot jobs that ended long ago");
    Ok(())
}

async fn look(
    around: &Surroundings,
    away: Option<Instant>,
    shown: &mut BTreeSet<(String, JobState)>,
) -> Result<(), StoreError> {
    let jobs = &around.jobs;
    // Leases that ended while nobody could renew them: those who hold them come first.
    let settled = away.is_none_or(|away| away.elapsed() > around.config.lease / 2);
    if settled {
        let now = jobs.0.clock.now();
        let pause_us = i64::try_from(around.config.lease.as_micros()).unwrap_or(i64::MAX);
        for job in jobs.0.store.reap_jobs(now, pause_us).await? {
            let event = if job.cancel_requested {
                "cancelled"
            } else {
                "lost"
            };
            metrics::counter!("griot_jobs_ended_total", "kind" => job.kind.clone(), "outcome" => event)
                .increment(1);
            telling::changed(&job, JobState::Running, event);
            jobs.wake();
        }
    }
    let counts = jobs.0.store.count_jobs().await?;
    let mut now = BTreeSet::new();
    for count in counts {
        if matches!(count.state, JobState::Queued | JobState::Running) {
            show(&count.kind, count.state, count.number());
            now.insert((count.kind, count.state));
        }
    }
    for (kind, state) in shown.difference(&now) {
        show(kind, *state, 0);
    }
    shown.append(&mut now);
    Ok(())
}

fn show(kind: &str, state: JobState, count: u64) {
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    metrics::gauge!("griot_jobs", "kind" => kind.to_owned(), "state" => state.as_str())
        .set(count as f64);
}
