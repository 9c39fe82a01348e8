//! What of a run is on its way to the object store.

use griot::store::{Run, RunPart, RunUpload};

use super::*;

const RUN: RunId = RunId(20);

async fn with_runs(store: &Store) -> RecordingId {
    started(store, 1, AWA).await;
    let made = store.create_recording(RecordingId(10), LiveId(1), AT).await;
    for number in 0..2 {
        let run = super::recordings::new_run(20 + number, number);
        store.create_run(&run).await.unwrap();
    }
    made.unwrap().id
}

fn upload(id: &str, started_at: Timestamp) -> RunUpload {
    RunUpload {
        run_id: RUN,
        upload_id: id.to_owned(),
        started_at,
    }
}

fn part(number: i64, etag: &str) -> RunPart {
    RunPart {
        run_id: RUN,
        number,
        sha256: vec![u8::try_from(number).unwrap(); 32],
        etag: etag.to_owned(),
    }
}

pub(super) async fn an_upload_and_its_parts_are_kept_until_the_run_is_stored(url: &str) {
    let store = furnished(url).await;
    with_runs(&store).await;
    assert_eq!(store.run_upload(RUN).await.unwrap(), None);
    assert_eq!(store.run_uploads().await.unwrap(), []);
    let (mut nowhere, mut no_upload) = (part(2, "\"a\""), upload("first", AT));
    (nowhere.run_id, no_upload.run_id) = (RunId(9), RunId(9));
    assert!(is_not_found(&store.add_run_part(&nowhere).await));
    assert!(is_not_found(&store.begin_run_upload(&no_upload).await));

    store.begin_run_upload(&upload("first", AT)).await.unwrap();
    store.add_run_part(&part(3, "\"c\"")).await.unwrap();
    store.add_run_part(&part(2, "\"stale\"")).await.unwrap();
    store.add_run_part(&part(2, "\"b\"")).await.unwrap();
    let known = store.run_upload(RUN).await.unwrap();
    let parts = vec![part(2, "\"b\""), part(3, "\"c\"")];
    assert_eq!(known, Some((upload("first", AT), parts)));
    store.forget_run_part(RUN, 2).await.unwrap();
    store.forget_run_part(RUN, 2).await.unwrap();
    let known = store.run_upload(RUN).await.unwrap();
    assert_eq!(known, Some((upload("first", AT), vec![part(3, "\"c\"")])));

    store
        .begin_run_upload(&upload("second", LATER))
        .await
        .unwrap();
    let known = store.run_upload(RUN).await.unwrap();
    assert_eq!(known, Some((upload("second", LATER), Vec::new())));
    assert_eq!(
        store.run_uploads().await.unwrap(),
        [upload("second", LATER)]
    );
    store.add_run_part(&part(2, "\"b\"")).await.unwrap();
    store.forget_run_upload(RUN).await.unwrap();
    store.forget_run_upload(RUN).await.unwrap();
    assert_eq!(store.run_upload(RUN).await.unwrap(), None);
}

pub(super) async fn a_recording_is_stored_with_its_last_run_once_it_is_ready(url: &str) {
    let store = furnished(url).await;
    let recording = with_runs(&store).await;
    let ids = |runs: Vec<Run>| runs.iter().map(|run| run.id.0).collect::<Vec<_>>();
    let stored_at = async || {
        let whole = store.recording_of(LiveId(1)).await.unwrap();
        whole.unwrap().recording.stored_at
    };
    assert_eq!(ids(store.unstored_runs().await.unwrap()), [0_i64; 0]);
    let early = store.store_run(RUN, "object:a", "ab", AT).await;
    assert!(is_not_found(&early), "it still grows");
    for id in [20, 21] {
        let change = RunChange::default();
        store.finish_run(RunId(id), &change, AT).await.unwrap();
    }
    assert_eq!(ids(store.unstored_runs().await.unwrap()), [20, 21]);

    store.begin_run_upload(&upload("first", AT)).await.unwrap();
    store.add_run_part(&part(1, "\"a\"")).await.unwrap();
    let run = store.store_run(RUN, "object:a", "ab", LATER).await.unwrap();
    assert_eq!(
        (run.path.as_str(), run.stored_at),
        ("object:a", Some(LATER))
    );
    assert_eq!(run.tree_sha256.as_deref(), Some("ab"));
    assert_eq!(store.run_upload(RUN).await.unwrap(), None);
    assert!(store.is_named_by_a_run("object:a").await.unwrap());
    assert!(!store.is_named_by_a_run("object:b").await.unwrap());
    assert_eq!(ids(store.unstored_runs().await.unwrap()), [21]);

    // Stored before it is ready, as when the end is sent faster than it is noted.
    store.set_recording_stored(recording, LATER).await.unwrap();
    assert_eq!(stored_at().await, None, "a run is missing");
    store
        .store_run(RunId(21), "object:b", "cd", LATER)
        .await
        .unwrap();
    assert_eq!(stored_at().await, None, "it is not ready");
    let ready = store.set_recording_state(recording, RecordingState::Ready, AT);
    ready.await.unwrap();
    store.set_recording_stored(recording, LATER).await.unwrap();
    assert_eq!(stored_at().await, Some(LATER));
    assert_eq!(ids(store.unstored_runs().await.unwrap()), [0_i64; 0]);
}

pub(super) async fn a_ready_recording_is_stored_by_its_last_run(url: &str) {
    let store = furnished(url).await;
    let recording = with_runs(&store).await;
    for id in [20, 21] {
        let change = RunChange::default();
        store.finish_run(RunId(id), &change, AT).await.unwrap();
    }
    let ready = store.set_recording_state(recording, RecordingState::Ready, AT);
    ready.await.unwrap();
    let stored_at = async || {
        let whole = store.recording_of(LiveId(1)).await.unwrap();
        whole.unwrap().recording.stored_at
    };
    store.store_run(RUN, "object:a", "ab", AT).await.unwrap();
    assert_eq!(stored_at().await, None);
    store
        .store_run(RunId(21), "object:b", "cd", LATER)
        .await
        .unwrap();
    assert_eq!(stored_at().await, Some(LATER));
}
