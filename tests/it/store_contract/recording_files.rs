//! What is made of recordings.

use griot::base::JobId;
use griot::store::{NewJob, NewRecordingFile, RecordingFile};

use super::*;

fn webm(bytes: u64, etag: &str) -> NewRecordingFile {
    NewRecordingFile {
        name: "recording.webm".to_owned(),
        path: "lives/1/recording.webm".to_owned(),
        content_type: "video/webm".to_owned(),
        bytes,
        duration: Some(Ticks(900_000)),
        width: Some(1_280),
        height: Some(720),
        etag: etag.to_owned(),
    }
}

fn poster() -> NewRecordingFile {
    NewRecordingFile {
        name: "poster.jpg".to_owned(),
        path: "lives/1/poster.jpg".to_owned(),
        content_type: "image/jpeg".to_owned(),
        duration: None,
        ..webm(7, "c")
    }
}

async fn ready(store: &Store) -> RecordingId {
    started(store, 1, AWA).await;
    let recording = store.create_recording(RecordingId(10), LiveId(1), AT).await;
    let id = recording.unwrap().id;
    let state = RecordingState::Ready;
    store.set_recording_state(id, state, AT).await.unwrap();
    id
}

pub(super) async fn what_is_made_of_a_recording_is_replaced_by_name(url: &str) {
    let store = furnished(url).await;
    let id = ready(&store).await;
    assert_eq!(store.recording_files(id).await.unwrap(), []);
    let put = |files: Vec<NewRecordingFile>, at| {
        let store = &store;
        async move { store.put_recording_files(id, &files, at).await.unwrap() }
    };
    put(vec![webm(5, "a"), poster()], AT).await;
    put(vec![webm(6, "b")], LATER).await;
    let files = store.recording_files(id).await.unwrap();
    let expected = RecordingFile {
        recording_id: id,
        name: "recording.webm".to_owned(),
        path: "lives/1/recording.webm".to_owned(),
        content_type: "video/webm".to_owned(),
        bytes: 6,
        duration: Some(Ticks(900_000)),
        width: Some(1_280),
        height: Some(720),
        etag: "b".to_owned(),
        created_at: LATER,
    };
    assert_eq!((files.len(), &files[1]), (2, &expected));
    assert_eq!(store.every_recording_file().await.unwrap(), files);
    let whole = store.recording_of(LiveId(1)).await.unwrap().unwrap();
    assert_eq!(whole.files, files);

    let served = store.served_recording_file("playback-1", "recording.webm");
    let served = served.await.unwrap().unwrap();
    assert_eq!(
        (served.file, served.title.as_str(), served.began_at),
        (expected, "Titre", AT)
    );
    for (playback_id, name) in [("playback-2", "recording.webm"), ("playback-1", "x.webm")] {
        let served = store.served_recording_file(playback_id, name).await;
        assert_eq!(served.unwrap(), None);
    }
    let unknown = store
        .put_recording_files(RecordingId(9), &[poster()], AT)
        .await;
    assert!(is_not_found(&unknown));
}

pub(super) async fn what_follows_a_recording_is_queued_once(url: &str) {
    let store = furnished(url).await;
    let id = ready(&store).await;
    let job = NewJob {
        id: JobId(5),
        kind: "recording-webm".to_owned(),
        payload: "{}".to_owned(),
        subject: Some("recording:10".to_owned()),
        node: None,
        dedupe_key: Some("recording-webm:10".to_owned()),
        priority: 10,
        run_at: AT,
        max_attempts: 1,
        at: AT,
    };
    let waiting = store.recordings_to_follow_up(10).await.unwrap();
    assert_eq!(waiting.iter().map(|r| r.id).collect::<Vec<_>>(), [id]);
    assert_eq!(store.recordings_to_follow_up(0).await.unwrap(), []);
    let jobs = [job];
    store.follow_up_recording(id, &jobs, LATER).await.unwrap();
    assert_eq!(store.recordings_to_follow_up(10).await.unwrap(), []);
    let again = store.follow_up_recording(id, &jobs, LATER).await;
    assert!(is_not_found(&again));
    let unknown = store.follow_up_recording(RecordingId(9), &jobs, AT).await;
    assert!(is_not_found(&unknown));
    assert_eq!(store.jobs_about("recording:10").await.unwrap().len(), 1);
    let whole = store.recording_of(LiveId(1)).await.unwrap().unwrap();
    assert_eq!(whole.recording.followed_up_at, Some(LATER));
}
