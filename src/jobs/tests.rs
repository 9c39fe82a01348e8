//! Workers on a real database, with a wall clock that tests hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::sync::Notify;

use super::*;
use crate::base::{Clock, IdMaker, JobId, Timestamp};
use crate::store::{Job, JobState, Store, scratch_store};

const DRAW: Kind = Kind {
    name: "draw",
    priority: priority::UPLOAD,
    concurrency: 2,
    max_attempts: 3,
};
const NOON: Timestamp = Timestamp(1_753_284_459_885_280);
/// Longer than any of these tests should take.
const PATIENCE: Duration = Duration::from_secs(30);

struct House {
    jobs: Jobs,
    clock: Clock,
    store: Store,
    _folder: tempfile::TempDir,
}

async fn house() -> House {
    let (folder, store) = scratch_store().await;
    let clock = Clock::manual(NOON);
    House {
        jobs: another(&store, &clock),
        clock,
        store,
        _folder: folder,
    }
}

/// The queue as another process has it.
fn another(store: &Store, clock: &Clock) -> Jobs {
    let ids = IdMaker::new(clock.clone());
    Jobs::new(store.clone(), clock.clone(), ids, "here".to_owned())
}

fn quick() -> Config {
    Config {
        workers: 4,
        heartbeat: Duration::from_millis(20),
        poll: Duration::from_millis(20),
        patience: Duration::from_millis(200),
        ..Config::default()
    }
}

impl House {
    async fn draw(&self) -> JobId {
        let new = self.jobs.new_job(DRAW, &json!({"width": 300}));
        self.jobs.enqueue(&new).await.unwrap().id
    }

    async fn row(&self, id: JobId) -> Job {
        self.store.job(id).await.unwrap().unwrap()
    }

    /// Waits until the row is as wanted.
    async fn until(&self, id: JobId, wanted: impl Fn(&Job) -> bool) -> Job {
        let looked = async {
            loop {
                let row = self.row(id).await;
                if wanted(&row) {
                    return row;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, looked).await {
            Ok(row) => row,
            Err(_) => panic!("{:?}", self.row(id).await),
        }
    }

    async fn until_state(&self, id: JobId, state: JobState) -> Job {
        self.until(id, |row| row.state == state).await
    }
}

#[tokio::test]
async fn a_job_is_done_with_its_payload_and_shows_its_progress_meanwhile() {
    #[derive(serde::Deserialize)]
    struct Payload {
        width: u32,
    }
    let house = house().await;
    let seen = Arc::new(Notify::new());
    let mut registry = Registry::default();
    let go_on = Arc::clone(&seen);
    registry.on(DRAW, move |context| {
        let go_on = Arc::clone(&go_on);
        async move {
            assert_eq!(context.payload::<Payload>()?.width, 300);
            context.progress("drawing", 40);
            go_on.notified().await;
            Ok(())
        }
    });
    let workers = Workers::start(&house.jobs, registry, quick());
    let id = house.draw().await;
    let row = house.until(id, |row| row.percent == Some(40)).await;
    assert_eq!(
        (row.state, row.stage.as_deref()),
        (JobState::Running, Some("drawing"))
    );
    seen.notify_one();
    let row = house.until_state(id, JobState::Done).await;
    assert_eq!((row.attempts, row.ended_at), (1, Some(NOON)));
    workers.stop_and_wait().await;
}

#[tokio::test]
async fn a_failed_job_is_tried_again_at_its_time_and_given_up_after_its_last_attempt() {
    let house = house().await;
    let told = Arc::new(AtomicUsize::new(0));
    let mut registry = Registry::default();
    registry.on(DRAW, |_| async {
        Err(anyhow::anyhow!("the disk is full").into())
    });
    let tell = Arc::clone(&told);
    registry.on_giving_up(DRAW, move |job| {
        let tell = Arc::clone(&tell);
        async move {
            assert_eq!(job.last_error.as_deref(), Some("the disk is full"));
            tell.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    });
    let workers = Workers::start(&house.jobs, registry, quick());
    let id = house.draw().await;
    // 5 s, then 10 s: the clock stands still in between.
    let first = house
        .until(id, |row| row.attempts == 1 && row.state == JobState::Queued)
        .await;
    assert_eq!(first.run_at, NOON.plus(Duration::from_secs(5)));
    house.clock.advance(Duration::from_millis(4_999));
    house.jobs.wake();
    tokio::time::sleep(quick().poll * 5).await;
    assert_eq!(house.row(id).await.attempts, 1, "it is not its time yet");
    house.clock.advance(Duration::from_millis(1));
    let second = house
        .until(id, |row| row.attempts == 2 && row.state == JobState::Queued)
        .await;
    assert_eq!(second.run_at, NOON.plus(Duration::from_secs(15)));
    assert_eq!(told.load(Ordering::SeqCst), 0);
    house.clock.advance(Duration::from_secs(10));
    let row = house.until_state(id, JobState::Failed).await;
    assert_eq!(
        (row.attempts, row.ended_at),
        (3, Some(NOON.plus(Duration::from_secs(15))))
    );
    assert_eq!(told.load(Ordering::SeqCst), 1);
    workers.stop_and_wait().await;
}

#[tokio::test]
async fn what_cannot_get_better_is_given_up_at_once_and_a_panic_is_a_failure() {
    let house = house().await;
    let mut registry = Registry::default();
    registry.on(DRAW, |context| async move {
        if context.id().0 % 2 == 0 {
            return Err(JobError::never("unreadable", anyhow::anyhow!("no moov")));
        }
        panic!("a bug");
    });
    let workers = Workers::start(&house.jobs, registry, quick());
    let mut ids = [house.draw().await, house.draw().await];
    ids.sort_by_key(|id| id.0 % 2);
    let row = house.until_state(ids[0], JobState::Failed).await;
    assert_eq!(row.reason.as_deref(), Some("unreadable"));
    assert_eq!(
        (row.attempts, row.last_error.as_deref()),
        (1, Some("no moov"))
    );
    let row = house.until(ids[1], |row| row.last_error.is_some()).await;
    assert_eq!(
        (row.state, row.last_error.as_deref()),
        (JobState::Queued, Some("it panicked"))
    );
    workers.stop_and_wait().await;
}

#[tokio::test]
async fn a_kind_has_its_places_and_the_process_has_its_own() {
    let house = house().await;
    let (now, most, go_on) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
        Arc::new(tokio::sync::Semaphore::new(0)),
    );
    let mut registry = Registry::default();
    let counted = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&go_on));
    registry.on(DRAW, move |_| {
        let (now, most, go_on) = counted.clone();
        async move {
            let running = now.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(running, Ordering::SeqCst);
            go_on.acquire().await?.forget();
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        }
    });
    let workers = Workers::start(&house.jobs, registry, quick());
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(house.draw().await);
    }
    house.until_state(ids[1], JobState::Running).await;
    tokio::time::sleep(quick().poll * 3).await;
    assert_eq!(house.row(ids[2]).await.state, JobState::Queued);
    go_on.add_permits(6);
    for id in ids {
        house.until_state(id, JobState::Done).await;
    }
    assert_eq!(most.load(Ordering::SeqCst), DRAW.concurrency);
    workers.stop_and_wait().await;
}

#[tokio::test]
async fn a_stop_gives_back_what_runs_and_another_worker_begins_it_at_once() {
    let house = house().await;
    let mut registry = Registry::default();
    registry.on(DRAW, |context| async move {
        context.cancelled().cancelled().await;
        Err(anyhow::anyhow!("told to end").into())
    });
    // Does not listen, and is dropped where it stands.
    let deaf = Kind {
        name: "deaf",
        ..DRAW
    };
    registry.on(deaf, |_| std::future::pending());
    let workers = Workers::start(&house.jobs, registry, quick());
    let listens = house.draw().await;
    let deaf = house.jobs.new_job(deaf, &json!(null));
    let deaf = house.jobs.enqueue(&deaf).await.unwrap().id;
    for id in [listens, deaf] {
        house.until_state(id, JobState::Running).await;
    }
    workers.stop_and_wait().await;
    for id in [listens, deaf] {
        let row = house.row(id).await;
        assert_eq!(
            (row.state, row.attempts, row.lost),
            (JobState::Queued, 0, 0)
        );
        assert_eq!((row.run_at, row.last_error), (NOON, None));
    }
    let mut registry = Registry::default();
    registry.on(DRAW, |_| async { Ok(()) });
    let workers = Workers::start(&another(&house.store, &house.clock), registry, quick());
    house.until_state(listens, JobState::Done).await;
    assert_eq!(
        house.row(deaf).await.state,
        JobState::Queued,
        "nobody here knows that kind"
    );
    workers.stop_and_wait().await;
}

#[tokio::test]
async fn a_running_job_is_cancelled_here_and_from_another_process() {
    let house = house().await;
    let mut registry = Registry::default();
    registry.on(DRAW, |context| async move {
        context.cancelled().cancelled().await;
        Err(anyhow::anyhow!("told to end").into())
    });
    let workers = Workers::start(&house.jobs, registry, quick());
    let (here, elsewhere) = (house.draw().await, house.draw().await);
    for id in [here, elsewhere] {
        house.until_state(id, JobState::Running).await;
    }
    house.jobs.cancel(here).await.unwrap();
    another(&house.store, &house.clock)
        .cancel(elsewhere)
        .await
        .unwrap();
    for id in [here, elsewhere] {
        let row = house.until_state(id, JobState::Cancelled).await;
        assert_eq!(row.last_error, None);
    }
    workers.stop_and_wait().await;
}

#[tokio::test]
async fn a_worker_that_is_gone_loses_its_job_to_another_and_cannot_end_it() {
    let house = house().await;
    let go_on = Arc::new(Notify::new());
    // Renews its lease once an hour: for the others it is gone.
    let silent = Config {
        heartbeat: Duration::from_secs(3_600),
        ..quick()
    };
    let mut registry = Registry::default();
    let held = Arc::clone(&go_on);
    registry.on(DRAW, move |_| {
        let held = Arc::clone(&held);
        async move {
            held.notified().await;
            Ok(())
        }
    });
    let gone = Workers::start(&another(&house.store, &house.clock), registry, silent);
    let id = house.draw().await;
    house.until_state(id, JobState::Running).await;

    let mut registry = Registry::default();
    registry.on(DRAW, |context| async move {
        assert_eq!((context.job().attempts, context.job().lost), (2, 1));
        context.progress("again", 50);
        context.cancelled().cancelled().await;
        Ok(())
    });
    let workers = Workers::start(&house.jobs, registry, quick());
    house.clock.advance(Duration::from_secs(31));
    let row = house.until(id, |row| row.percent == Some(50)).await;
    go_on.notify_one();
    gone.stop_and_wait().await;
    let still = house.row(id).await;
    assert_eq!((still.state, still.lease), (JobState::Running, row.lease));
    workers.stop_and_wait().await;
    assert_eq!(house.row(id).await.state, JobState::Done);
}

#[tokio::test]
async fn a_job_that_kills_every_worker_is_given_up_and_said_so() {
    let house = house().await;
    let id = house.draw().await;
    let kinds = [DRAW.name.to_owned()];
    for lost in 0..10 {
        let now = house.clock.now();
        let claim = crate::store::Claim {
            lease: &lost.to_string(),
            lease_until: now.plus(Duration::from_secs(1)),
            worker: "gone",
            node: "there",
            kinds: &kinds,
            at: now,
        };
        house.store.claim_job(&claim).await.unwrap().unwrap();
        house.clock.advance(Duration::from_secs(1));
        house.store.reap_jobs(house.clock.now(), 0).await.unwrap();
    }
    let told = Arc::new(Notify::new());
    let mut registry = Registry::default();
    registry.on(DRAW, |_| async { panic!("it may not run again") });
    let tell = Arc::clone(&told);
    registry.on_giving_up(DRAW, move |_| {
        tell.notify_one();
        async { Ok(()) }
    });
    let workers = Workers::start(&house.jobs, registry, quick());
    let row = house.until_state(id, JobState::Failed).await;
    assert_eq!(row.last_error.as_deref(), Some("its worker died 10 times"));
    told.notified().await;
    workers.stop_and_wait().await;
}

#[tokio::test]
async fn two_workers_share_twenty_jobs_and_each_is_done_once() {
    let house = house().await;
    let done = Arc::new(std::sync::Mutex::new(Vec::new()));
    let workers: Vec<Workers> = (0..2)
        .map(|_| {
            let mut registry = Registry::default();
            let done = Arc::clone(&done);
            registry.on(DRAW, move |context| {
                let done = Arc::clone(&done);
                async move {
                    tokio::task::yield_now().await;
                    done.lock().unwrap().push(context.id());
                    Ok(())
                }
            });
            Workers::start(&another(&house.store, &house.clock), registry, quick())
        })
        .collect();
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(house.draw().await);
    }
    for id in &ids {
        house.until_state(*id, JobState::Done).await;
    }
    for workers in workers {
        workers.stop_and_wait().await;
    }
    let mut done = done.lock().unwrap().clone();
    done.sort();
    assert_eq!(done, ids);
}
