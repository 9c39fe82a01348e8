//! Recordings, runs, segments and gaps.

use griot::base::MediaId;
use griot::store::IndexedSegment;

use super::*;

async fn recorded(store: &Store) -> RecordingId {
    started(store, 1, AWA).await;
    let recording = store
        .create_recording(RecordingId(10), LiveId(1), AT)
        .await
        .unwrap();
    recording.id
}

pub(super) fn new_run(id: i64, number: i64) -> NewRun {
    NewRun {
        id: RunId(id),
        recording_id: RecordingId(10),
        rendition: "source".to_owned(),
        number,
        path: format!("10/source-{number}.mp4"),
        timeline_start: Ticks(90_000),
        started_at: AT,
        video_codec: Some("h264".to_owned()),
        audio_codec: None,
        width: Some(1_920),
        height: Some(1_080),
        codecs: "avc1.64001f".to_owned(),
        tracks: vec![0, 1, 255],
        head_bytes: 1_242,
    }
}

fn segment(msn: i64, byte_offset: i64, bytes: i64) -> Segment {
    Segment {
        run_id: RunId(20),
        msn,
        byte_offset,
        bytes,
        duration: Ticks(360_000),
        date_time: (msn == 0).then_some(AT),
        gap: msn == 2,
    }
}

pub(super) async fn a_recording_is_made_once_and_moves_on(url: &str) {
    let store = furnished(url).await;
    assert_eq!(store.recording_of(LiveId(1)).await.unwrap(), None);
    let id = recorded(&store).await;
    let again = store
        .create_recording(RecordingId(11), LiveId(1), LATER)
        .await;
    let again = again.unwrap();
    assert_eq!(
        (again.id, again.created_at),
        (id, AT),
        "a reconnect finds the first"
    );
    assert_eq!(again.state, RecordingState::Recording);
    let nowhere = store.create_recording(RecordingId(12), LiveId(9), AT).await;
    assert!(is_not_found(&nowhere));

    let in_state = async |state| store.recordings_in(state).await.unwrap().len();
    store
        .set_recording_state(id, RecordingState::Finishing, AT)
        .await
        .unwrap();
    assert_eq!(in_state(RecordingState::Finishing).await, 1);
    assert_eq!(in_state(RecordingState::Recording).await, 0);
    store
        .set_recording_state(id, RecordingState::Ready, AT)
        .await
        .unwrap();
    store
        .set_recording_state(id, RecordingState::Ready, LATER)
        .await
        .unwrap();
    store.set_recording_stored(id, LATER).await.unwrap();
    let whole = store.recording_of(LiveId(1)).await.unwrap().unwrap();
    assert_eq!(whole.recording.state, RecordingState::Ready);
    assert_eq!(
        (whole.recording.ready_at, whole.recording.stored_at),
        (Some(AT), Some(LATER))
    );
    assert!(whole.runs.is_empty() && whole.gaps.is_empty());

    let unknown = RecordingId(9);
    let state = store
        .set_recording_state(unknown, RecordingState::Failed, AT)
        .await;
    assert!(is_not_found(&state));
    assert!(is_not_found(&store.set_recording_stored(unknown, AT).await));
}

pub(super) async fn runs_grow_and_become_final(url: &str) {
    let store = furnished(url).await;
    recorded(&store).await;
    let second = store.create_run(&new_run(21, 1)).await.unwrap();
    let first = store.create_run(&new_run(20, 0)).await.unwrap();
    assert_eq!(first.state, RunState::Growing);
    assert_eq!((first.bytes, first.duration), (1_242, Ticks::ZERO));
    assert_eq!(
        (first.width, first.audio_codec.as_deref()),
        (Some(1_920), None)
    );
    assert_eq!(first.tracks, [0, 1, 255]);
    assert_eq!(
        (first.timeline_start, first.head_bytes),
        (Ticks(90_000), 1_242)
    );
    assert_eq!(store.run(RunId(20)).await.unwrap().as_ref(), Some(&first));
    assert_eq!(store.run(RunId(9)).await.unwrap(), None);
    let taken = store.create_run(&new_run(22, 1)).await.unwrap_err();
    assert!(matches!(taken, StoreError::Conflict("runs.number")));
    let mut nowhere = new_run(23, 2);
    nowhere.recording_id = RecordingId(9);
    assert!(is_not_found(&store.create_run(&nowhere).await));
    assert_eq!(
        store.growing_runs().await.unwrap(),
        [first.clone(), second.clone()]
    );

    let change = RunChange {
        bytes: Some(5_000),
        duration: Some(Ticks(1)),
        head_bytes: Some(1_300),
        path: Some("elsewhere".to_owned()),
        ..RunChange::default()
    };
    let changed = store.update_run(RunId(20), &change).await.unwrap();
    assert_eq!(
        (changed.bytes, changed.duration, changed.head_bytes),
        (5_000, Ticks(1), 1_300)
    );
    assert_eq!(
        (changed.path.as_str(), changed.state),
        ("elsewhere", RunState::Growing)
    );
    let last = RunChange {
        bytes: Some(6_000),
        tree_sha256: Some("ab".repeat(32)),
        etag: Some("\"ab\"".to_owned()),
        ..RunChange::default()
    };
    let finished = store.finish_run(RunId(20), &last, LATER).await.unwrap();
    assert_eq!(
        (finished.state, finished.finished_at),
        (RunState::Final, Some(LATER))
    );
    assert_eq!((finished.bytes, finished.duration), (6_000, Ticks(1)));
    assert_eq!(finished.etag.as_deref(), Some("\"ab\""));
    assert_eq!(
        store.growing_runs().await.unwrap(),
        std::slice::from_ref(&second)
    );
    let whole = store.recording_of(LiveId(1)).await.unwrap().unwrap();
    assert_eq!(whole.runs, [finished, second]);
    assert!(is_not_found(&store.update_run(RunId(9), &change).await));
    assert!(is_not_found(&store.finish_run(RunId(9), &last, AT).await));
}

pub(super) async fn segments_are_appended_in_order_and_grow_their_run(url: &str) {
    let store = furnished(url).await;
    recorded(&store).await;
    store.create_run(&new_run(20, 0)).await.unwrap();
    assert_eq!(store.last_segment(RunId(20)).await.unwrap(), None);
    let all = [
        segment(0, 1_242, 5_000_000_000),
        segment(1, 5_000_001_242, 100),
        segment(2, 5_000_001_342, 0),
    ];
    for one in &all {
        let index = vec![u8::try_from(one.msn).unwrap(); 3];
        store.append_segment(one, &index).await.unwrap();
    }
    assert_eq!(store.segments(RunId(20)).await.unwrap(), all);
    let indexed = store.indexed_segments(RunId(20)).await.unwrap();
    assert_eq!(indexed.len(), 3);
    assert_eq!(
        (&indexed[1].segment, indexed[1].sample_index.as_slice()),
        (&all[1], &[1; 3][..])
    );
    assert_eq!(
        store.last_segment(RunId(20)).await.unwrap().as_ref(),
        Some(&all[2])
    );
    let run = store.run(RunId(20)).await.unwrap().unwrap();
    assert_eq!(
        (run.bytes, run.duration),
        (5_000_001_342, Ticks(3 * 360_000))
    );

    let again = store.append_segment(&all[2], &[]).await.unwrap_err();
    assert!(matches!(again, StoreError::Conflict("segments.msn")));
    let run = store.run(RunId(20)).await.unwrap().unwrap();
    assert_eq!(run.duration, Ticks(3 * 360_000), "both or none");
    let mut elsewhere = segment(3, 0, 1);
    elsewhere.run_id = RunId(9);
    assert!(is_not_found(&store.append_segment(&elsewhere, &[]).await));
    let nothing = RunChange::default();
    store.finish_run(RunId(20), &nothing, LATER).await.unwrap();
    assert!(is_not_found(
        &store.append_segment(&segment(3, 0, 1), &[]).await
    ));
}

pub(super) async fn lost_segments_become_gaps_and_an_empty_run_goes(url: &str) {
    let store = furnished(url).await;
    recorded(&store).await;
    store.create_run(&new_run(20, 0)).await.unwrap();
    for one in [
        segment(0, 1_242, 100),
        segment(1, 1_342, 100),
        segment(2, 1_442, 100),
    ] {
        store.append_segment(&one, &[7]).await.unwrap();
    }
    store
        .lose_segments(RunId(20), 1, 1_342, &[0])
        .await
        .unwrap();
    let rows = store.indexed_segments(RunId(20)).await.unwrap();
    let seen: Vec<_> = rows
        .iter()
        .map(|row| (row.segment.byte_offset, row.segment.bytes, row.segment.gap))
        .collect();
    assert_eq!(
        seen,
        [(1_242, 100, false), (1_342, 0, true), (1_342, 0, true)]
    );
    assert_eq!(rows[2].sample_index, [0]);
    let run = store.run(RunId(20)).await.unwrap().unwrap();
    // The timeline keeps what it lost.
    assert_eq!((run.bytes, run.duration), (1_342, Ticks(3 * 360_000)));
    let nowhere = store.lose_segments(RunId(9), 0, 0, &[]).await;
    assert!(is_not_found(&nowhere));

    let mut elsewhere = new_run(21, 1);
    elsewhere.path = "spool:lives/1/source/1.mp4".to_owned();
    store.create_run(&elsewhere).await.unwrap();
    let in_spool = store.runs_in_spool().await.unwrap();
    assert_eq!(in_spool.len(), 1);
    assert_eq!(in_spool[0].id, RunId(21));
    store.discard_run(RunId(21)).await.unwrap();
    assert_eq!(store.runs_in_spool().await.unwrap(), []);
    store.discard_run(RunId(20)).await.unwrap();
    assert_eq!(store.segments(RunId(20)).await.unwrap(), []);
    assert!(is_not_found(&store.discard_run(RunId(20)).await));
}

pub(super) async fn gaps_are_closed_once(url: &str) {
    let store = furnished(url).await;
    let recording_id = recorded(&store).await;
    let new = |id, at| NewGap {
        id,
        recording_id,
        at: Ticks(at),
        started_at: AT,
        seconds: None,
        cause: GapCause::Encoder,
    };
    let later = store.add_gap(&new(1, 900)).await.unwrap();
    assert_eq!((later.seconds, later.cause), (None, GapCause::Encoder));
    let mut closed = new(2, 90);
    closed.seconds = Some(0.25);
    closed.cause = GapCause::Disk;
    store.add_gap(&closed).await.unwrap();
    store.close_gap(1, 15.5).await.unwrap();
    store.close_gap(1, 99.0).await.unwrap();
    let gaps = store.gaps(recording_id).await.unwrap();
    let seen: Vec<_> = gaps
        .iter()
        .map(|gap| (gap.at.0, gap.seconds, gap.cause))
        .collect();
    assert_eq!(
        seen,
        [
            (90, Some(0.25), GapCause::Disk),
            (900, Some(15.5), GapCause::Encoder)
        ]
    );
    let whole = store.recording_of(LiveId(1)).await.unwrap().unwrap();
    assert_eq!(whole.gaps, gaps);
    assert!(is_not_found(&store.close_gap(9, 1.0).await));
    let mut nowhere = new(3, 0);
    nowhere.recording_id = RecordingId(9);
    assert!(is_not_found(&store.add_gap(&nowhere).await));
}

pub(super) async fn writers_wait_for_each_other(url: &str) {
    let store = furnished(url).await;
    recorded(&store).await;
    store.create_run(&new_run(20, 0)).await.unwrap();
    let appends = (0..50).map(|msn| {
        let store = store.clone();
        async move {
            let appended = segment(msn, msn * 10 + 1_242, 10);
            store.append_segment(&appended, &[7; 500]).await.unwrap();
            store
                .create_recording(RecordingId(100 + msn), LiveId(1), AT)
                .await
                .unwrap()
        }
    });
    for recording in futures_util::future::join_all(appends).await {
        assert_eq!(recording.id, RecordingId(10));
    }
    let run = store.run(RunId(20)).await.unwrap().unwrap();
    assert_eq!((run.bytes, run.duration), (1_742, Ticks(50 * 360_000)));
}

pub(super) async fn a_videos_segments_come_all_at_once(url: &str) {
    let store = furnished(url).await;
    let live = recorded(&store).await;
    let video = MediaId(1);
    store
        .create_media(&super::media::new_media(1, AWA))
        .await
        .unwrap();
    assert_eq!(store.recording_of_media(video).await.unwrap(), None);
    let make = async |id, at| {
        let made = store.create_media_recording(RecordingId(id), video, at);
        made.await.unwrap()
    };
    let recording = make(11, AT).await;
    assert_eq!((recording.live_id, recording.media_id), (None, Some(video)));
    assert_eq!(
        make(12, LATER).await,
        recording,
        "another try finds the first"
    );
    let nowhere = store.create_media_recording(RecordingId(13), MediaId(9), AT);
    assert!(is_not_found(&nowhere.await));
    let all = store
        .recordings_in(RecordingState::Recording)
        .await
        .unwrap();
    let ids: Vec<_> = all.iter().map(|recording| recording.id).collect();
    assert_eq!(ids, [live, recording.id], "of lives and of videos");

    let new = NewRun {
        recording_id: recording.id,
        ..new_run(20, 0)
    };
    store.create_run(&new).await.unwrap();
    let indexed = |msn, byte_offset| IndexedSegment {
        segment: segment(msn, byte_offset, 100),
        sample_index: vec![7],
    };
    let rows = [indexed(0, 1_242), indexed(1, 1_342)];
    store.append_segments(RunId(20), &rows).await.unwrap();
    assert_eq!(store.indexed_segments(RunId(20)).await.unwrap(), rows);
    let again = store
        .append_segments(RunId(20), &[indexed(2, 1_442), indexed(1, 1_542)])
        .await;
    assert!(matches!(again, Err(StoreError::Conflict("segments.msn"))));
    assert_eq!(
        store.segments(RunId(20)).await.unwrap().len(),
        2,
        "all or none"
    );
    let gone = store.append_segments(RunId(99), &rows).await;
    assert!(is_not_found(&gone));

    let change = RunChange {
        frame_rate: Some(29.97),
        ..RunChange::default()
    };
    store.finish_run(RunId(20), &change, LATER).await.unwrap();
    let whole = store.recording_of_media(video).await.unwrap().unwrap();
    assert_eq!(whole.runs, store.runs_of(recording.id).await.unwrap());
    let run = &whole.runs[0];
    assert_eq!((run.bytes, run.duration), (1_442, Ticks(720_000)));
    assert_eq!(run.frame_rate, Some(29.97));
    assert_eq!(store.whole_recording(recording).await.unwrap(), whole);

    // The video goes, and all that is noted of it; the live's stays.
    store.delete_media(video, LATER).await.unwrap();
    store.forget_media(video).await.unwrap();
    assert_eq!(store.recording_of_media(video).await.unwrap(), None);
    assert_eq!(store.run(RunId(20)).await.unwrap(), None);
    assert!(store.recording_of(LiveId(1)).await.unwrap().is_some());
}
