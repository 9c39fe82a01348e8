//! Lives, their posts and publish sessions.

use super::*;

pub(super) async fn a_live_starts_with_its_post_or_not_at_all(url: &str) {
    let store = furnished(url).await;
    let live = started(&store, 1, AWA).await;
    assert_eq!(live.status, LiveStatus::Ready);
    assert_eq!((live.created_at, live.owner_seen_at), (AT, AT));
    assert_eq!(
        (live.started_at, live.ended_at, live.end_reason),
        (None, None, None)
    );
    assert_eq!(
        (live.title.as_str(), live.description.as_str()),
        ("Titre", "Description")
    );
    assert_eq!(live.node.as_deref(), Some("node-1"));
    assert_eq!(live.peak_viewers, 0);
    assert_eq!(store.live(LiveId(1)).await.unwrap().as_ref(), Some(&live));
    let by_playback = store.live_by_playback_id("playback-1").await.unwrap();
    assert_eq!(by_playback.as_ref(), Some(&live));
    assert_eq!(store.open_live_of(AWA).await.unwrap().as_ref(), Some(&live));
    assert_eq!(store.open_live_of(BINTA).await.unwrap(), None);
    let whole = store.live_post(LiveId(1)).await.unwrap().unwrap();
    assert_eq!(whole.live, live);
    assert_eq!(whole.post.content, "Bonjour");
    assert_eq!(whole.post.post_type, "live");
    assert!(whole.post.is_live_post && !whole.post.is_pinned && !whole.post.is_anonymous);
    assert_eq!(
        (whole.post.author_id, whole.post.quartier_id),
        (AWA, ALMAMYA)
    );
    assert_eq!(whole.author.username, "awa");
    assert_eq!(whole.quartier.commune.nom, "Kaloum");

    let second = store.start_live(&new_live(2, AWA)).await.unwrap_err();
    assert!(matches!(second, StoreError::LiveOpen(LiveId(1))));
    assert_eq!(second.kind(), ErrorKind::Conflict);
    let mut same_playback = new_live(3, BINTA);
    same_playback.playback_id = "playback-1".to_owned();
    let clash = store.start_live(&same_playback).await.unwrap_err();
    assert!(matches!(clash, StoreError::Conflict("lives.playback_id")));
    assert!(store.live_post(LiveId(3)).await.unwrap().is_none());
    let mut nowhere = new_live(4, BINTA);
    nowhere.quartier_id = 78;
    assert!(is_not_found(&store.start_live(&nowhere).await));
    assert!(is_not_found(
        &store.start_live(&new_live(5, UserId(3))).await
    ));
    // The post of the live that failed is gone too: its id is free.
    started(&store, 3, BINTA).await;
    let open: Vec<LiveId> = store
        .open_lives()
        .await
        .unwrap()
        .iter()
        .map(|l| l.id)
        .collect();
    assert_eq!(open, [LiveId(1), LiveId(3)]);
}

pub(super) async fn a_live_changes_only_from_where_it_is_expected(url: &str) {
    let store = furnished(url).await;
    let ready = started(&store, 1, AWA).await;
    let id = LiveId(1);
    let go_live = LiveChange {
        only_if: Some(LiveStatus::Ready),
        status: Some(LiveStatus::Live),
        started_at: Some(LATER),
        last_media_at: Some(LATER),
        viewers: Some(7),
        ..LiveChange::default()
    };
    let live = store.update_live(id, &go_live).await.unwrap().unwrap();
    let expected = Live {
        status: LiveStatus::Live,
        started_at: Some(LATER),
        last_media_at: Some(LATER),
        peak_viewers: 7,
        ..ready
    };
    assert_eq!(live, expected);
    assert_eq!(
        store.update_live(id, &go_live).await.unwrap(),
        None,
        "not ready any more"
    );

    let interrupt = LiveChange {
        status: Some(LiveStatus::Interrupted),
        started_at: Some(Timestamp(5)),
        grace_until: Some(Some(Timestamp(9))),
        owner_seen_at: Some(LATER),
        viewers: Some(3),
        node: Some("node-2".to_owned()),
        heartbeat_at: Some(LATER),
        ..LiveChange::default()
    };
    let interrupted = store.update_live(id, &interrupt).await.unwrap().unwrap();
    let expected = Live {
        status: LiveStatus::Interrupted,
        grace_until: Some(Timestamp(9)),
        owner_seen_at: LATER,
        node: Some("node-2".to_owned()),
        heartbeat_at: Some(LATER),
        ..expected
    };
    assert_eq!(
        interrupted, expected,
        "the first start and the peak are kept"
    );

    let nothing = LiveChange::default();
    let same = store.update_live(id, &nothing).await.unwrap();
    assert_eq!(same.as_ref(), Some(&expected));
    let back = LiveChange {
        grace_until: Some(None),
        ..LiveChange::default()
    };
    let back = store.update_live(id, &back).await.unwrap().unwrap();
    assert_eq!(back.grace_until, None);

    assert!(is_not_found(&store.update_live(LiveId(2), &nothing).await));
    store.end_live(id, EndReason::Timeout, LATER).await.unwrap();
    assert_eq!(
        store.update_live(id, &nothing).await.unwrap(),
        None,
        "ended"
    );
}

pub(super) async fn a_live_ends_once(url: &str) {
    let store = furnished(url).await;
    started(&store, 1, AWA).await;
    let grace = LiveChange {
        grace_until: Some(Some(LATER)),
        ..LiveChange::default()
    };
    store.update_live(LiveId(1), &grace).await.unwrap();
    let ended = store
        .end_live(LiveId(1), EndReason::IngestClosed, LATER)
        .await;
    let ended = ended.unwrap().unwrap();
    assert_eq!(ended.status, LiveStatus::Ended);
    assert_eq!(ended.end_reason, Some(EndReason::IngestClosed));
    assert_eq!((ended.ended_at, ended.grace_until), (Some(LATER), None));
    let again = store
        .end_live(LiveId(1), EndReason::Owner, AT)
        .await
        .unwrap();
    assert_eq!(again, None);
    assert_eq!(store.live(LiveId(1)).await.unwrap(), Some(ended.clone()));
    assert_eq!(store.open_live_of(AWA).await.unwrap(), None);
    assert_eq!(store.last_live_of(AWA).await.unwrap(), Some(ended));
    assert_eq!(store.last_live_of(BINTA).await.unwrap(), None);
    let post = store.live_post(LiveId(1)).await.unwrap().unwrap().post;
    assert!(!post.is_live_post);
    assert_eq!(post.updated_at, LATER);
    let unknown = store.end_live(LiveId(2), EndReason::Owner, AT).await;
    assert!(is_not_found(&unknown));
    assert_eq!(started(&store, 2, AWA).await.status, LiveStatus::Ready);
}

pub(super) async fn lives_are_listed_by_page(url: &str) {
    let store = furnished(url).await;
    for id in 1..=5 {
        started(&store, id, AWA).await;
        store
            .end_live(LiveId(id), EndReason::Owner, LATER)
            .await
            .unwrap();
    }
    started(&store, 6, AWA).await;
    started(&store, 7, BINTA).await;
    let list = async |filter, page, size| {
        let found = store.list_lives(filter, page, size).await.unwrap();
        let ids: Vec<i64> = found.rows.iter().map(|row| row.live.id.0).collect();
        (ids, found.total)
    };
    assert_eq!(list(LiveFilter::Live, 1, 20).await, (vec![7, 6], 2));
    assert_eq!(list(LiveFilter::Ended, 1, 2).await, (vec![5, 4], 5));
    assert_eq!(list(LiveFilter::Ended, 3, 2).await, (vec![1], 5));
    assert_eq!(list(LiveFilter::Ended, 4, 2).await, (vec![], 5));
    assert_eq!(list(LiveFilter::All, 2, 3).await, (vec![4, 3, 2], 7));
    assert_eq!(list(LiveFilter::All, u32::MAX, u32::MAX).await, (vec![], 7));
}

pub(super) async fn sessions_are_opened_named_and_closed(url: &str) {
    let store = furnished(url).await;
    started(&store, 1, AWA).await;
    let new = |id, live| NewSession {
        id: SessionId(id),
        live_id: LiveId(live),
        protocol: "rtmp".to_owned(),
        encoder: None,
        at: AT,
    };
    let first = store.open_session(&new(1, 1)).await.unwrap();
    assert_eq!((first.started_at, first.ended_at), (AT, None));
    store.open_session(&new(2, 1)).await.unwrap();
    store.open_session(&new(3, 1)).await.unwrap();
    assert!(is_not_found(&store.open_session(&new(4, 9)).await));
    store
        .set_session_encoder(SessionId(1), "obs-output module")
        .await
        .unwrap();
    store
        .close_session(SessionId(1), "goodbye", LATER)
        .await
        .unwrap();
    store
        .close_session(SessionId(1), "dropped", AT)
        .await
        .unwrap();
    let unknown = SessionId(9);
    assert!(is_not_found(&store.set_session_encoder(unknown, "x").await));
    assert!(is_not_found(
        &store.close_session(unknown, "goodbye", AT).await
    ));
    assert_eq!(store.close_open_sessions("crash", LATER).await.unwrap(), 2);
    assert_eq!(store.close_open_sessions("crash", LATER).await.unwrap(), 0);

    let sessions = store.sessions_of(LiveId(1)).await.unwrap();
    let reasons: Vec<_> = sessions.iter().map(|s| s.end_reason.as_deref()).collect();
    assert_eq!(reasons, [Some("goodbye"), Some("crash"), Some("crash")]);
    assert_eq!(sessions[0].encoder.as_deref(), Some("obs-output module"));
    assert_eq!(sessions[0].ended_at, Some(LATER));
    assert_eq!(store.sessions_of(LiveId(9)).await.unwrap(), []);
}

pub(super) async fn two_starts_at_once_make_one_live(url: &str) {
    let store = furnished(url).await;
    let starts = (1..=8).map(|id| {
        let store = store.clone();
        async move { store.start_live(&new_live(id, AWA)).await }
    });
    let outcomes = futures_util::future::join_all(starts).await;
    let won: Vec<LiveId> = outcomes.iter().flatten().map(|live| live.id).collect();
    assert_eq!(won.len(), 1);
    for outcome in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        assert!(
            matches!(outcome, StoreError::LiveOpen(open) if *open == won[0]),
            "{outcome}"
        );
    }
}

/// `griot user add` beside `griot serve`: each transaction reads first and then writes, which SQLite
/// refuses (`BUSY_SNAPSHOT`, whatever the timeout) unless it began as a writer.
pub(super) async fn two_processes_write_in_turn(url: &str) {
    let stores = [(furnished(url).await, AWA), (open(url).await, BINTA)];
    let processes = stores.into_iter().map(|(store, owner)| {
        let tasks = griot::base::Tasks::default();
        tasks.spawn(async move {
            for turn in 0..50 {
                let id = turn * 2 + i64::from(owner == AWA) + 1;
                started(&store, id, owner).await;
                let ended = store.end_live(LiveId(id), EndReason::Owner, LATER).await;
                ended.unwrap().unwrap();
            }
        })
    });
    for process in futures_util::future::join_all(processes).await {
        process.unwrap();
    }
}
