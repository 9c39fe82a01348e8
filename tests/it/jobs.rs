//! The queue of jobs with real processes: shared, killed, stopped, cut off from their database.
//!
//! The work is deleting objects of a bucket. A frozen server of the bucket holds it up for as long as a test needs.

use std::collections::BTreeSet;
use std::time::Duration;

use griot::base::{Clock, IdMaker, JobId};
use griot::jobs::Jobs;
use griot::media::forget_object;
use griot::objects::ObjectKey;
use griot::store::{Config, Job, JobFilter, JobState, Store};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::support::{Bucket, Minio, Postgres, Process, Server, eventually, griot, worker};

/// A database, a bucket with objects in it, and a job to delete each of them.
struct Work {
    minio: Minio,
    bucket: Bucket,
    database: String,
    store: Store,
    jobs: Vec<JobId>,
}

impl Work {
    /// The bucket is frozen: what begins does not end before [`Minio::thaw`].
    async fn of(count: usize, database: String) -> Self {
        let minio = Minio::start().await;
        let bucket = minio.bucket();
        let store = Store::open(&Config {
            url: database.clone(),
        })
        .await
        .expect("a database");
        let clock = Clock::system();
        let queue = Jobs::new(
            store.clone(),
            clock.clone(),
            IdMaker::new(clock),
            "test".to_owned(),
        );
        let objects = bucket.store();
        let mut jobs = Vec::new();
        for number in 0..count {
            let key = ObjectKey::parse(&format!("media/1/{number}.jpg")).expect("a key");
            objects
                .put(&key, "bytes".into())
                .await
                .expect("the bucket takes it");
        }
        minio.freeze();
        for number in 0..count {
            let job = forget_object(&queue, &format!("media/1/{number}.jpg"));
            jobs.push(queue.enqueue(&job).await.expect("the database takes it").id);
        }
        Self {
            minio,
            bucket,
            database,
            store,
            jobs,
        }
    }

    async fn worker(&self, folder: &TempDir, settings: &[(&str, &str)]) -> Process {
        let bucket = self.bucket.settings();
        let mut all = vec![("GRIOT_DATABASE_URL", self.database.as_str())];
        all.extend(
            bucket
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
        all.extend_from_slice(settings);
        worker(folder, &all).await
    }

    /// All rows, newest first.
    async fn rows(&self) -> Vec<Job> {
        self.store
            .jobs(&JobFilter::default(), 100)
            .await
            .expect("the database answers")
    }

    async fn until_running(&self, count: usize) -> Vec<Job> {
        eventually("jobs run", || async {
            let mut rows = self.rows().await;
            rows.retain(|job| job.state == JobState::Running);
            if rows.len() == count {
                Ok(rows)
            } else {
                Err(rows)
            }
        })
        .await
    }

    async fn until_done(&self) -> Vec<Job> {
        let rows = eventually("all jobs are done", || async {
            let rows = self.rows().await;
            let done = rows.iter().all(|job| job.state == JobState::Done);
            if done { Ok(rows) } else { Err(rows) }
        })
        .await;
        let left = self
            .bucket
            .store()
            .list_all("media/")
            .await
            .expect("the bucket answers");
        assert!(left.is_empty(), "{left:?}");
        rows
    }
}

/// The jobs that a worker's log says it has done.
fn told_done(worker: &Process) -> Vec<JobId> {
    let said = worker.said();
    let lines = said
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .filter(|line| line["from"] == "running" && line["to"] == "done")
        .map(|line| {
            line["job.id"]
                .as_str()
                .expect("an id")
                .parse()
                .expect("a number")
        })
        .collect()
}

#[tokio::test]
async fn two_workers_share_twenty_jobs_and_a_kill_of_one_costs_none() {
    let work = Work::of(20, Postgres::shared().await.database()).await;
    let settings = [("GRIOT_JOBS_LEASE", "3s"), ("GRIOT_JOBS_WORKERS", "3")];
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a temporary folder"));
    let killed = work.worker(&folders[0], &settings).await;
    let other = work.worker(&folders[1], &settings).await;
    let running = work.until_running(6).await;
    let its_own = format!(" {}", killed.pid());
    let of_killed = |job: &&Job| {
        job.worker
            .as_deref()
            .is_some_and(|name| name.ends_with(&its_own))
    };
    let held: BTreeSet<JobId> = running.iter().filter(of_killed).map(|job| job.id).collect();
    assert_eq!(held.len(), 3, "{running:?}");

    killed.kill().await;
    work.minio.thaw();
    let rows = work.until_done().await;

    let lost: BTreeSet<JobId> = rows
        .iter()
        .filter(|job| job.lost > 0)
        .map(|job| job.id)
        .collect();
    assert_eq!(lost, held);
    assert!(rows.iter().all(|job| job.lost <= 1), "{rows:?}");
    let mut done = told_done(&killed);
    done.extend(told_done(&other));
    done.sort();
    assert_eq!(done, work.jobs, "each is done once");
    other.signal(Signal::TERM);
    assert!(other.ended().await.success());
}

#[tokio::test]
async fn jobs_that_run_while_postgresql_is_away_for_twenty_seconds_are_done_once() {
    let cluster = Postgres::start().await;
    let work = Work::of(6, cluster.database()).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let worker = work.worker(&folder, &[("GRIOT_JOBS_WORKERS", "2")]).await;
    work.until_running(2).await;

    cluster.stop().await;
    let away = Instant::now();
    // Two jobs end while nobody can note it, the others wait.
    work.minio.thaw();
    tokio::time::sleep_until(away + Duration::from_secs(20)).await;
    assert!(worker.runs(), "{}", worker.said());
    cluster.start_again().await;

    let rows = work.until_done().await;
    assert!(rows.iter().all(|job| job.lost == 0), "{rows:?}");
    let mut done = told_done(&worker);
    done.sort();
    assert_eq!(done, work.jobs, "each is done once");
}

#[tokio::test]
async fn a_worker_that_is_told_to_stop_gives_its_job_back_and_another_does_it() {
    let work = Work::of(1, Postgres::shared().await.database()).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let first = work.worker(&folder, &[]).await;
    work.until_running(1).await;

    first.signal(Signal::TERM);
    assert!(first.ended().await.success(), "{}", first.said());

    let row = &work.rows().await[0];
    // Not counted, not lost, and not to be waited for.
    assert_eq!(
        (row.state, row.attempts, row.lost),
        (JobState::Queued, 0, 0)
    );
    assert_eq!(row.lease, None);
    work.minio.thaw();
    let _second = work.worker(&folder, &[]).await;
    let rows = work.until_done().await;
    assert_eq!((rows[0].attempts, rows[0].lost), (1, 0));
}

#[tokio::test]
async fn the_server_works_too_unless_it_is_told_not_to_and_counts_the_queue() {
    let work = Work::of(2, Postgres::shared().await.database()).await;
    work.minio.thaw();
    let idle = [
        ("GRIOT_DATABASE_URL", work.database.as_str()),
        ("GRIOT_JOBS_WORKERS", "0"),
    ];
    let server = Server::start_on(&work.bucket, &idle).await;
    eventually("the queue is counted", || async {
        let queued = server.metric("griot_jobs", "state=\"queued\"").await;
        if queued == 2.0 { Ok(()) } else { Err(queued) }
    })
    .await;
    assert!(work.rows().await.iter().all(|job| job.attempts == 0));
    assert!(server.terminate().await.success());

    let busy = [("GRIOT_DATABASE_URL", work.database.as_str())];
    let server = Server::start_on(&work.bucket, &busy).await;
    work.until_done().await;
    eventually("what is done is counted", || async {
        let done = server
            .metric("griot_jobs_ended_total", "outcome=\"done\"")
            .await;
        if done == 2.0 { Ok(()) } else { Err(done) }
    })
    .await;
}

#[tokio::test]
async fn an_operator_lists_cancels_and_retries_jobs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    griot(&["migrate"], &folder, &[]).expect_success();
    let url = format!("sqlite:{}", folder.path().join("data/griot.db").display());
    let store = Store::open(&Config { url }).await.expect("a database");
    let clock = Clock::system();
    let queue = Jobs::new(store, clock.clone(), IdMaker::new(clock), "test".to_owned());
    let job = forget_object(&queue, "media/1/0.jpg").about("media:1");
    let id = queue
        .enqueue(&job)
        .await
        .expect("the database takes it")
        .id
        .to_string();

    let printed = griot(&["jobs", "list", "--state", "queued"], &folder, &[]).expect_success();
    let listed: Value = serde_json::from_str(&printed.stdout).expect("one line of JSON");
    let expected = serde_json::json!({
        "id": job.id, "kind": "object.forget", "state": "queued", "subject": "media:1",
        "payload": {"path": "media/1/0.jpg"}, "priority": 0, "attempts": 0, "max_attempts": 150, "lost": 0,
        "stage": null, "percent": null, "reason": null, "error": null, "cancel_requested": false,
        "node": null, "worker": null, "run_at": job.run_at, "lease_until": null,
        "created_at": job.at, "started_at": null, "ended_at": null,
    });
    assert_eq!(listed, expected);
    for (state, lines) in [("queued", 0), ("cancelled", 1)] {
        if lines == 0 {
            griot(&["jobs", "cancel", &id], &folder, &[]).expect_success();
        }
        let printed = griot(&["jobs", "list", "--state", state], &folder, &[]).expect_success();
        assert_eq!(printed.stdout.lines().count(), lines, "{state}");
    }
    let refused = griot(&["jobs", "cancel", &id], &folder, &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        refused.stderr.contains("neither queued nor running"),
        "{}",
        refused.stderr
    );
    let retried = griot(&["jobs", "retry", &id], &folder, &[]).expect_success();
    let retried: Value = serde_json::from_str(&retried.stdout).expect("one line of JSON");
    assert_eq!(
        (&retried["state"], &retried["ended_at"]),
        (&"queued".into(), &Value::Null)
    );
}
