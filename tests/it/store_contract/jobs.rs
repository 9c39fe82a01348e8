//! The queue of jobs: who gets which, who may write, what comes back.

use std::collections::BTreeSet;

use griot::base::{JobId, Tasks};
use griot::store::{Claim, Enqueued, Job, JobEnd, JobFilter, JobState, NewJob};

use super::*;

pub(super) fn new_job(id: i64, kind: &str) -> NewJob {
    NewJob {
        id: JobId(id),
        kind: kind.to_owned(),
        payload: format!("{{\"number\":{id}}}"),
        subject: Some("media:7".to_owned()),
        node: None,
        dedupe_key: None,
        priority: 0,
        run_at: AT,
        max_attempts: 3,
        at: AT,
    }
}

/// `seconds` after [`AT`].
fn at(seconds: i64) -> Timestamp {
    Timestamp(AT.0 + seconds * 1_000_000)
}

async fn claimed(store: &Store, lease: &str, kinds: &[&str], now: Timestamp) -> Option<Job> {
    let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
    let claim = Claim {
        lease,
        lease_until: Timestamp(now.0 + 30_000_000),
        worker: "here 1",
        node: "here",
        kinds: &kinds,
        at: now,
    };
    store.claim_job(&claim).await.unwrap()
}

async fn claimed_id(store: &Store, lease: &str, kinds: &[&str], now: Timestamp) -> Option<i64> {
    claimed(store, lease, kinds, now).await.map(|job| job.id.0)
}

async fn added(store: &Store, new: NewJob) -> Enqueued {
    store.enqueue_job(&new).await.unwrap()
}

fn failed(run_at: Timestamp) -> JobEnd {
    JobEnd::Again {
        run_at,
        reason: Some("busy".to_owned()),
        error: "the disk is full".to_owned(),
    }
}

pub(super) async fn jobs_are_taken_by_priority_and_then_by_age(url: &str) {
    let store = open(url).await;
    for (id, priority, run_at) in [
        (1, 0, at(0)),
        (2, 50, at(0)),
        (3, 100, at(5)),
        (4, 50, at(0)),
    ] {
        let new = NewJob {
            priority,
            run_at,
            ..new_job(id, "draw")
        };
        assert_eq!(
            added(&store, new).await,
            Enqueued {
                id: JobId(id),
                new: true
            }
        );
    }
    // The third is not due yet.
    let first = claimed(&store, "a", &["draw"], at(0)).await.unwrap();
    let expected = Job {
        id: JobId(2),
        kind: "draw".to_owned(),
        payload: "{\"number\":2}".to_owned(),
        subject: Some("media:7".to_owned()),
        node: None,
        dedupe_key: None,
        priority: 50,
        state: JobState::Running,
        run_at: AT,
        attempts: 1,
        max_attempts: 3,
        lost: 0,
        cancel_requested: false,
        lease: Some("a".to_owned()),
        lease_until: Some(at(30)),
        worker: Some("here 1".to_owned()),
        stage: None,
        percent: None,
        reason: None,
        last_error: None,
        created_at: AT,
        started_at: Some(AT),
        ended_at: None,
    };
    assert_eq!(first, expected);
    assert_eq!(store.job(JobId(2)).await.unwrap(), Some(expected));
    assert_eq!(store.job(JobId(9)).await.unwrap(), None);
    let draw = &["draw"];
    assert_eq!(claimed_id(&store, "b", draw, at(5)).await, Some(3));
    assert_eq!(claimed_id(&store, "c", draw, at(5)).await, Some(4));
    assert_eq!(claimed_id(&store, "d", draw, at(5)).await, Some(1));
    assert_eq!(claimed_id(&store, "e", draw, at(5)).await, None);
}

pub(super) async fn a_worker_gets_only_what_it_can_do(url: &str) {
    let store = open(url).await;
    let elsewhere = NewJob {
        node: Some("elsewhere".to_owned()),
        ..new_job(1, "draw")
    };
    let here = NewJob {
        node: Some("here".to_owned()),
        ..new_job(2, "draw")
    };
    added(&store, elsewhere).await;
    added(&store, here).await;
    added(&store, new_job(3, "unknown kind")).await;
    assert_eq!(claimed_id(&store, "a", &[], AT).await, None);
    assert_eq!(claimed_id(&store, "a", &["paint", "it's"], AT).await, None);
    assert_eq!(
        claimed_id(&store, "a", &["paint", "draw"], AT).await,
        Some(2)
    );
    assert_eq!(claimed_id(&store, "b", &["paint", "draw"], AT).await, None);
    let left = store.job(JobId(3)).await.unwrap().unwrap();
    assert_eq!((left.state, left.attempts), (JobState::Queued, 0));
}

pub(super) async fn one_key_has_one_active_job(url: &str) {
    let store = open(url).await;
    let keyed = |id| NewJob {
        dedupe_key: Some("sweep".to_owned()),
        ..new_job(id, "sweep")
    };
    let (new, known) = (true, false);
    assert_eq!(
        added(&store, keyed(1)).await,
        Enqueued { id: JobId(1), new }
    );
    assert_eq!(
        added(&store, keyed(2)).await,
        Enqueued {
            id: JobId(1),
            new: known
        }
    );
    claimed(&store, "a", &["sweep"], AT).await.unwrap();
    assert_eq!(
        added(&store, keyed(3)).await,
        Enqueued {
            id: JobId(1),
            new: known
        }
    );
    store
        .end_job(JobId(1), "a", &JobEnd::Cancelled, AT)
        .await
        .unwrap();
    assert_eq!(
        added(&store, keyed(4)).await,
        Enqueued { id: JobId(4), new }
    );
    // The first would be a second active one.
    let refused = store.retry_job(JobId(1), AT).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict("jobs.dedupe_key"))),
        "{refused:?}"
    );
}

pub(super) async fn ids_of_two_processes_do_not_clash(url: &str) {
    let store = open(url).await;
    for expected in [5, 6, 7] {
        let id = JobId(expected);
        assert_eq!(
            added(&store, new_job(5, "draw")).await,
            Enqueued { id, new: true }
        );
    }
}

pub(super) async fn only_who_holds_the_lease_writes(url: &str) {
    let store = open(url).await;
    added(&store, new_job(1, "draw")).await;
    claimed(&store, "mine", &["draw"], AT).await.unwrap();
    let keep = async |lease: &str, percent| {
        let kept = store.keep_job(JobId(1), lease, at(60), Some("drawing"), percent);
        kept.await.unwrap()
    };
    assert_eq!(keep("mine", Some(40)).await, Some(false));
    assert_eq!(keep("yours", Some(99)).await, None);
    let row = store.job(JobId(1)).await.unwrap().unwrap();
    assert_eq!(row.lease_until, Some(at(60)));
    assert_eq!(
        (row.stage.as_deref(), row.percent),
        (Some("drawing"), Some(40))
    );
    for end in [
        JobEnd::Done,
        JobEnd::Cancelled,
        JobEnd::GivenBack,
        failed(AT),
        JobEnd::Failed {
            reason: None,
            error: String::new(),
        },
    ] {
        let refused = store.end_job(JobId(1), "yours", &end, AT).await;
        assert!(is_not_found(&refused), "{end:?}");
    }
    assert_eq!(store.job(JobId(1)).await.unwrap(), Some(row));
    store.cancel_job(JobId(1), AT).await.unwrap();
    assert_eq!(
        keep("mine", None).await,
        Some(true),
        "somebody wants it to end"
    );
}

pub(super) async fn an_attempt_ends_in_five_ways(url: &str) {
    let store = open(url).await;
    added(&store, new_job(1, "draw")).await;
    let draw = &["draw"];
    // It failed: tried again at its time, and the attempt counts.
    claimed(&store, "a", draw, AT).await.unwrap();
    let row = store
        .end_job(JobId(1), "a", &failed(at(5)), AT)
        .await
        .unwrap();
    assert_eq!(
        (row.state, row.attempts, row.run_at),
        (JobState::Queued, 1, at(5))
    );
    assert_eq!(row.reason.as_deref(), Some("busy"));
    assert_eq!(row.last_error.as_deref(), Some("the disk is full"));
    assert_eq!((row.lease, row.lease_until), (None, None));
    assert_eq!(claimed_id(&store, "b", draw, at(4)).await, None);
    // It was given back: at once, and the attempt does not count.
    claimed(&store, "b", draw, at(5)).await.unwrap();
    let row = store
        .end_job(JobId(1), "b", &JobEnd::GivenBack, at(6))
        .await
        .unwrap();
    assert_eq!(
        (row.state, row.attempts, row.run_at),
        (JobState::Queued, 1, at(6))
    );
    let second = claimed(&store, "c", draw, at(6)).await.unwrap();
    assert_eq!((second.attempts, second.started_at), (2, Some(AT)));
    let row = store
        .end_job(JobId(1), "c", &JobEnd::Done, at(7))
        .await
        .unwrap();
    assert_eq!((row.state, row.ended_at), (JobState::Done, Some(at(7))));
    assert_eq!((row.reason, row.last_error), (None, None));
    assert_eq!(claimed_id(&store, "d", draw, at(8)).await, None);

    added(&store, new_job(2, "draw")).await;
    claimed(&store, "d", draw, AT).await.unwrap();
    let end = JobEnd::Failed {
        reason: Some("unreadable".to_owned()),
        error: "no moov".to_owned(),
    };
    let row = store.end_job(JobId(2), "d", &end, at(1)).await.unwrap();
    assert_eq!((row.state, row.ended_at), (JobState::Failed, Some(at(1))));
    assert_eq!(row.reason.as_deref(), Some("unreadable"));
    assert_eq!(row.last_error.as_deref(), Some("no moov"));
}

pub(super) async fn a_lease_that_ends_is_taken_back(url: &str) {
    let store = open(url).await;
    let pause = 10_000_000;
    added(&store, new_job(1, "draw")).await;
    added(&store, new_job(2, "draw")).await;
    claimed(&store, "a", &["draw"], at(0)).await.unwrap();
    claimed(&store, "b", &["draw"], at(10)).await.unwrap();
    assert_eq!(store.reap_jobs(at(29), pause).await.unwrap(), []);
    let reaped = store.reap_jobs(at(30), pause).await.unwrap();
    let told: Vec<_> = reaped
        .iter()
        .map(|job| (job.id.0, job.attempts, job.lost))
        .collect();
    // The attempt counts; the first loss costs no time.
    assert_eq!(told, [(1, 1, 1)]);
    assert_eq!(
        (reaped[0].state, reaped[0].run_at),
        (JobState::Queued, at(30))
    );
    assert!(is_not_found(
        &store.end_job(JobId(1), "a", &JobEnd::Done, at(31)).await
    ));
    // The last of its attempts is not its last word.
    for (lease, now) in [("c", 31), ("d", 100)] {
        claimed(&store, lease, &["draw"], at(now)).await.unwrap();
        store
            .keep_job(JobId(2), "b", at(1_000), None, None)
            .await
            .unwrap();
        assert_eq!(store.reap_jobs(at(now + 30), pause).await.unwrap().len(), 1);
    }
    let row = store.job(JobId(1)).await.unwrap().unwrap();
    assert_eq!(
        (row.state, row.attempts, row.lost),
        (JobState::Queued, 3, 3)
    );
    assert_eq!(row.run_at, at(130 + 20));
    claimed(&store, "e", &["draw"], at(150)).await.unwrap();
    store
        .end_job(JobId(1), "e", &JobEnd::Done, at(151))
        .await
        .unwrap();
    // One that shall end and whose worker is gone has ended.
    store.cancel_job(JobId(2), at(200)).await.unwrap();
    let reaped = store.reap_jobs(at(1_000), pause).await.unwrap();
    assert_eq!(
        (reaped[0].id, reaped[0].state),
        (JobId(2), JobState::Cancelled)
    );
    assert_eq!(reaped[0].ended_at, Some(at(1_000)));
}

pub(super) async fn a_worker_that_is_known_to_be_gone_is_not_waited_for(url: &str) {
    let store = open(url).await;
    added(&store, new_job(1, "draw")).await;
    claimed(&store, "a", &["draw"], at(0)).await.unwrap();
    assert_eq!(store.abandon_jobs("here 2", at(1)).await.unwrap(), 0);
    assert_eq!(store.reap_jobs(at(1), 0).await.unwrap(), []);
    assert_eq!(store.abandon_jobs("here 1", at(1)).await.unwrap(), 1);
    let reaped = store.reap_jobs(at(1), 0).await.unwrap();
    assert_eq!((reaped[0].state, reaped[0].lost), (JobState::Queued, 1));
    assert_eq!(store.abandon_jobs("here 1", at(2)).await.unwrap(), 0);
}

pub(super) async fn a_job_is_cancelled_and_asked_for_again(url: &str) {
    let store = open(url).await;
    added(&store, new_job(1, "draw")).await;
    assert!(
        is_not_found(&store.retry_job(JobId(1), AT).await),
        "it is queued"
    );
    let row = store.cancel_job(JobId(1), at(1)).await.unwrap();
    assert_eq!(
        (row.state, row.ended_at),
        (JobState::Cancelled, Some(at(1)))
    );
    assert!(is_not_found(&store.cancel_job(JobId(1), at(2)).await));
    assert!(is_not_found(&store.cancel_job(JobId(9), at(2)).await));
    assert_eq!(claimed_id(&store, "a", &["draw"], at(2)).await, None);
    let row = store.retry_job(JobId(1), at(3)).await.unwrap();
    assert_eq!(
        (row.state, row.run_at, row.ended_at),
        (JobState::Queued, at(3), None)
    );
    assert!(!row.cancel_requested);

    claimed(&store, "a", &["draw"], at(3)).await.unwrap();
    let row = store.cancel_job(JobId(1), at(4)).await.unwrap();
    assert_eq!((row.state, row.ended_at), (JobState::Running, None));
    // Its worker stopped before it heard of that: it is cancelled all the same.
    store
        .end_job(JobId(1), "a", &JobEnd::GivenBack, at(5))
        .await
        .unwrap();
    assert_eq!(claimed_id(&store, "b", &["draw"], at(6)).await, None);
    let reaped = store.reap_jobs(at(7), 0).await.unwrap();
    assert_eq!(reaped[0].state, JobState::Cancelled);
    let end = JobEnd::Failed {
        reason: None,
        error: "x".to_owned(),
    };
    store.retry_job(JobId(1), at(8)).await.unwrap();
    claimed(&store, "c", &["draw"], at(8)).await.unwrap();
    store.end_job(JobId(1), "c", &end, at(9)).await.unwrap();
    let row = store.retry_job(JobId(1), at(10)).await.unwrap();
    assert_eq!((row.attempts, row.lost, row.reason), (0, 0, None));
    claimed(&store, "d", &["draw"], at(10)).await.unwrap();
    store
        .end_job(JobId(1), "d", &JobEnd::Done, at(11))
        .await
        .unwrap();
    assert!(
        is_not_found(&store.retry_job(JobId(1), at(12)).await),
        "it is done"
    );
}

pub(super) async fn many_workers_take_each_job_once(url: &str) {
    // Two processes are two stores; of each, four workers ask at once.
    let stores = [open(url).await, open(url).await];
    for id in 1..=40 {
        added(&stores[0], new_job(id, "draw")).await;
    }
    let workers = (0..8).map(|number| {
        let store = stores[number % 2].clone();
        async move {
            let mut taken = Vec::new();
            loop {
                let lease = format!("{number} {}", taken.len());
                match claimed_id(&store, &lease, &["draw"], AT).await {
                    Some(id) => taken.push(id),
                    None => return taken,
                }
            }
        }
    });
    let spawned = Tasks::default();
    let mut tasks: Vec<_> = workers.map(|work| spawned.spawn(work)).collect();
    let mut taken = Vec::new();
    for task in &mut tasks {
        taken.extend(task.await.unwrap());
    }
    assert_eq!(taken.len(), 40);
    assert_eq!(
        taken.into_iter().collect::<BTreeSet<_>>(),
        (1..=40).collect()
    );
}

pub(super) async fn jobs_are_listed_counted_and_purged(url: &str) {
    let store = open(url).await;
    for (id, kind) in [(1, "draw"), (2, "draw"), (3, "paint")] {
        added(&store, new_job(id, kind)).await;
    }
    let other = NewJob {
        subject: None,
        ..new_job(4, "paint")
    };
    added(&store, other).await;
    claimed(&store, "a", &["draw"], AT).await.unwrap();
    store
        .end_job(JobId(1), "a", &JobEnd::Done, at(10))
        .await
        .unwrap();
    claimed(&store, "b", &["draw"], AT).await.unwrap();
    let ids = |jobs: Vec<Job>| jobs.iter().map(|job| job.id.0).collect::<Vec<_>>();
    let listed = async |kind: Option<&str>, state, limit| {
        let kind = kind.map(str::to_owned);
        ids(store.jobs(&JobFilter { kind, state }, limit).await.unwrap())
    };
    assert_eq!(listed(None, None, 10).await, [4, 3, 2, 1]);
    assert_eq!(listed(None, None, 2).await, [4, 3]);
    assert_eq!(listed(Some("draw"), None, 10).await, [2, 1]);
    assert_eq!(listed(None, Some(JobState::Queued), 10).await, [4, 3]);
    assert_eq!(
        listed(Some("draw"), Some(JobState::Queued), 10).await,
        [0_i64; 0]
    );
    assert_eq!(ids(store.jobs_about("media:7").await.unwrap()), [1, 2, 3]);
    let counted: Vec<_> = store
        .count_jobs()
        .await
        .unwrap()
        .into_iter()
        .map(|count| (count.kind.clone(), count.state, count.number()))
        .collect();
    let expected = [
        ("draw", JobState::Done, 1),
        ("draw", JobState::Running, 1),
        ("paint", JobState::Queued, 2),
    ];
    assert_eq!(
        counted,
        expected.map(|(kind, state, count)| (kind.to_owned(), state, count))
    );
    assert_eq!(store.purge_jobs(at(9)).await.unwrap(), 0);
    assert_eq!(store.purge_jobs(at(10)).await.unwrap(), 1);
    assert_eq!(listed(None, None, 10).await, [4, 3, 2]);
}
