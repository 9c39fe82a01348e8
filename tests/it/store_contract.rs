//! One contract that the store keeps on every database: each public call, once or more.

use std::path::Path;

use griot::av::Ticks;
use griot::base::{ErrorKind, LiveId, RecordingId, RunId, Secret, SessionId, Timestamp, UserId};
use griot::store::{
    Config, EndReason, GapCause, Live, LiveChange, LiveFilter, LiveStatus, NewGap, NewLive, NewRun,
    NewSession, NewUser, RecordingState, RefreshToken, Role, RunChange, RunState, Segment, Store,
    StoreError, StreamKey,
};

/// Runs the whole contract on one database: one line for each database that we support.
macro_rules! on {
    ($database:ident, $fresh:expr) => {
        mod $database {
            use super::*;

            on!(@tests $fresh;
                opening_tells_each_migration_once
                users_are_found_by_id_address_and_name
                users_change
                a_stream_key_belongs_to_one_member_and_replaces_the_last
                a_refresh_token_is_taken_once
                places_are_seeded_again_without_a_trace
                a_live_starts_with_its_post_or_not_at_all
                a_live_changes_only_from_where_it_is_expected
                a_live_ends_once
                lives_are_listed_by_page
                sessions_are_opened_named_and_closed
                a_recording_is_made_once_and_moves_on
                runs_grow_and_become_final
                segments_are_appended_in_order_and_grow_their_run
                gaps_are_closed_once
                two_starts_at_once_make_one_live
                writers_wait_for_each_other
                a_closed_store_is_unavailable
            );
        }
    };
    (@tests $fresh:expr; $($test:ident)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            let (_alive, url) = $fresh.await;
            super::$test(&url).await;
        }
    )+};
}

on!(sqlite, sqlite_file());

async fn sqlite_file() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("griot.db").display());
    (folder, url)
}

#[test]
fn every_public_call_is_in_this_contract() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let contract = include_str!("store_contract.rs");
    let mut calls = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let source = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for after in source.split("pub async fn ").skip(1) {
            let name = after.split(['(', '<']).next().unwrap();
            assert!(
                contract.contains(&format!(".{name}(")) || contract.contains(&format!("::{name}(")),
                "store::{name} is in no contract"
            );
            calls += 1;
        }
    }
    assert!(
        calls > 40,
        "only {calls} calls were found: has the source moved?"
    );
}

const AT: Timestamp = Timestamp(1_753_267_733_590_758);
const LATER: Timestamp = Timestamp(1_753_267_733_590_759);
const AWA: UserId = UserId(9_007_199_254_740_991); // 2^53 - 1, the largest id
const BINTA: UserId = UserId(2);
const ALMAMYA: i64 = 11;

async fn open(url: &str) -> Store {
    let config = Config {
        url: url.to_owned(),
    };
    Store::open(&config).await.unwrap()
}

/// A store with the places and two members.
async fn furnished(url: &str) -> Store {
    let store = open(url).await;
    store.seed_places(&griot::geo::guinea()).await.unwrap();
    for new in [new_user(BINTA, "binta"), new_user(AWA, "awa")] {
        store.create_user(&new).await.unwrap();
    }
    store
}

fn new_user(id: UserId, username: &str) -> NewUser {
    NewUser {
        id,
        username: username.to_owned(),
        email: format!("{username}@example.org"),
        password_hash: Secret::new("$argon2id$…"),
        first_name: "Hélène".to_owned(),
        last_name: "O'Brien; drop table users".to_owned(),
        phone_number: "+224620000000".to_owned(),
        date_of_birth: Some("1990-01-31".to_owned()),
        bio: "🎙".to_owned(),
        quartier_id: Some(ALMAMYA),
        role: Role::Ambassador,
        at: AT,
    }
}

fn new_live(id: i64, owner: UserId) -> NewLive {
    NewLive {
        id: LiveId(id),
        owner_id: owner,
        quartier_id: ALMAMYA,
        playback_id: format!("playback-{id}"),
        title: "Titre".to_owned(),
        description: "Description".to_owned(),
        content: "Bonjour".to_owned(),
        node: Some("node-1".to_owned()),
        at: AT,
    }
}

async fn started(store: &Store, id: i64, owner: UserId) -> Live {
    store.start_live(&new_live(id, owner)).await.unwrap()
}

async fn recorded(store: &Store) -> RecordingId {
    started(store, 1, AWA).await;
    let recording = store
        .create_recording(RecordingId(10), LiveId(1), AT)
        .await
        .unwrap();
    recording.id
}

fn new_run(id: i64, number: i64) -> NewRun {
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

fn is_not_found<T: std::fmt::Debug>(outcome: &Result<T, StoreError>) -> bool {
    matches!(outcome, Err(StoreError::NotFound))
}

async fn opening_tells_each_migration_once(url: &str) {
    let config = Config {
        url: url.to_owned(),
    };
    let mut told = Vec::new();
    let store = Store::open_telling(&config, &mut |step| told.push(step))
        .await
        .unwrap();
    assert_eq!(told[0].version, 1);
    assert_eq!((told[0].step, told[0].steps), (1, told.len()));
    assert_eq!(store.count_users().await.unwrap(), 0);
    store.close().await;

    let mut again = Vec::new();
    let store = Store::open_telling(&config, &mut |step| again.push(step))
        .await
        .unwrap();
    assert_eq!(again, []);
    store.close().await;
}

async fn users_are_found_by_id_address_and_name(url: &str) {
    let store = furnished(url).await;
    let awa = store.user(AWA).await.unwrap().unwrap();
    assert_eq!(awa.id, AWA);
    assert_eq!(awa.username, "awa");
    assert_eq!(awa.password_hash.expose(), "$argon2id$…");
    assert_eq!(awa.first_name, "Hélène");
    assert_eq!(awa.last_name, "O'Brien; drop table users");
    assert_eq!(awa.date_of_birth.as_deref(), Some("1990-01-31"));
    assert_eq!(awa.bio, "🎙");
    assert_eq!(awa.quartier_id, Some(ALMAMYA));
    assert_eq!(awa.role, Role::Ambassador);
    assert!(awa.is_active && !awa.is_verified && !awa.is_geographically_verified);
    assert_eq!((awa.date_joined, awa.last_login), (AT, None));
    assert_eq!(awa.profile_picture, None);

    let by_email = store.user_by_email("awa@example.org").await.unwrap();
    assert_eq!(by_email.as_ref(), Some(&awa));
    let by_name = store.user_by_username("awa").await.unwrap();
    assert_eq!(by_name.as_ref(), Some(&awa));
    assert_eq!(store.user(UserId(3)).await.unwrap(), None);
    assert_eq!(store.user_by_email("awa").await.unwrap(), None);
    assert_eq!(store.user_by_username("aw_").await.unwrap(), None);
    let ids: Vec<UserId> = store.users().await.unwrap().iter().map(|u| u.id).collect();
    assert_eq!(ids, [BINTA, AWA]);
    assert_eq!(store.count_users().await.unwrap(), 2);

    let mut taken = new_user(UserId(3), "awa");
    let conflict = store.create_user(&taken).await.unwrap_err();
    assert_eq!(conflict.kind(), ErrorKind::Conflict);
    taken.email = "other@example.org".to_owned();
    let conflict = store.create_user(&taken).await.unwrap_err();
    assert!(matches!(conflict, StoreError::Conflict("users.username")));
    taken.username = "other".to_owned();
    taken.email = "awa@example.org".to_owned();
    let conflict = store.create_user(&taken).await.unwrap_err();
    assert!(matches!(conflict, StoreError::Conflict("users.email")));
    taken.email = "other@example.org".to_owned();
    taken.quartier_id = Some(78);
    assert!(is_not_found(&store.create_user(&taken).await));
    assert_eq!(store.count_users().await.unwrap(), 2);
}

async fn users_change(url: &str) {
    let store = furnished(url).await;
    let hash = Secret::new("new");
    store.set_password_hash(AWA, &hash, LATER).await.unwrap();
    store.set_role(AWA, Role::Admin, LATER).await.unwrap();
    store.set_active(AWA, false, LATER).await.unwrap();
    store.set_quartier(AWA, None, LATER).await.unwrap();
    store.set_last_login(AWA, LATER).await.unwrap();
    let awa = store.user(AWA).await.unwrap().unwrap();
    assert_eq!(awa.password_hash, hash);
    assert_eq!(awa.role, Role::Admin);
    assert!(!awa.is_active);
    assert_eq!(awa.quartier_id, None);
    assert_eq!((awa.last_login, awa.updated_at), (Some(LATER), LATER));
    let binta = store.user(BINTA).await.unwrap().unwrap();
    assert_eq!((binta.role, binta.updated_at), (Role::Ambassador, AT));

    let nobody = UserId(3);
    assert!(is_not_found(
        &store.set_password_hash(nobody, &hash, AT).await
    ));
    assert!(is_not_found(&store.set_role(nobody, Role::User, AT).await));
    assert!(is_not_found(&store.set_active(nobody, true, AT).await));
    assert!(is_not_found(&store.set_quartier(nobody, None, AT).await));
    assert!(is_not_found(&store.set_quartier(AWA, Some(78), AT).await));
    assert!(is_not_found(&store.set_last_login(nobody, AT).await));
}

async fn a_stream_key_belongs_to_one_member_and_replaces_the_last(url: &str) {
    let store = furnished(url).await;
    let key = |user_id, hmac: u8| StreamKey {
        user_id,
        key_hmac: vec![hmac; 32],
        key_encrypted: vec![0, hmac],
        created_at: AT,
    };
    assert_eq!(store.stream_key(AWA).await.unwrap(), None);
    let first = store.put_first_stream_key(&key(AWA, 1)).await.unwrap();
    assert_eq!(first, key(AWA, 1));
    let kept = store.put_first_stream_key(&key(AWA, 2)).await.unwrap();
    assert_eq!(kept, key(AWA, 1));
    assert_eq!(store.user_by_stream_key(&[2; 32]).await.unwrap(), None);

    store.put_stream_key(&key(AWA, 3)).await.unwrap();
    assert_eq!(store.stream_key(AWA).await.unwrap(), Some(key(AWA, 3)));
    assert_eq!(store.user_by_stream_key(&[1; 32]).await.unwrap(), None);
    let owner = store.user_by_stream_key(&[3; 32]).await.unwrap();
    assert_eq!(owner.map(|user| user.username), Some("awa".to_owned()));

    let taken = store.put_stream_key(&key(BINTA, 3)).await.unwrap_err();
    assert!(matches!(
        taken,
        StoreError::Conflict("stream_keys.key_hmac")
    ));
    assert!(is_not_found(
        &store.put_stream_key(&key(UserId(3), 4)).await
    ));
}

async fn a_refresh_token_is_taken_once(url: &str) {
    let store = furnished(url).await;
    let token = |jti: &str, user_id, expires_at| RefreshToken {
        jti: jti.to_owned(),
        user_id,
        expires_at: Timestamp(expires_at),
    };
    let now = Timestamp(100);
    for saved in [
        token("a", AWA, 200),
        token("late", AWA, 100),
        token("b", AWA, 200),
    ] {
        store.save_refresh_token(&saved).await.unwrap();
    }
    let taken = store.save_refresh_token(&token("a", AWA, 1)).await;
    assert!(matches!(
        taken,
        Err(StoreError::Conflict("refresh_tokens.jti"))
    ));
    let nobodys = store.save_refresh_token(&token("x", UserId(3), 1)).await;
    assert!(is_not_found(&nobodys));

    let rotate = async |old: &str, new: &RefreshToken| {
        store.rotate_refresh_token(old, new, now).await.unwrap()
    };
    assert!(!rotate("a", &token("a1", BINTA, 300)).await, "another's");
    assert!(!rotate("late", &token("a1", AWA, 300)).await, "expired");
    assert!(!rotate("unknown", &token("a1", AWA, 300)).await);
    assert!(rotate("a", &token("a1", AWA, 300)).await);
    assert!(!rotate("a", &token("a2", AWA, 300)).await, "taken already");
    // The new token's name is taken: nothing happens to the old one.
    let clash = store
        .rotate_refresh_token("a1", &token("b", AWA, 300), now)
        .await;
    assert!(matches!(clash, Err(StoreError::Conflict(_))));
    assert!(rotate("a1", &token("a3", AWA, 300)).await);

    store.revoke_refresh_token("b", BINTA, now).await.unwrap();
    assert!(
        rotate("b", &token("b1", AWA, 300)).await,
        "not Binta's to revoke"
    );
    store.revoke_refresh_token("b1", AWA, now).await.unwrap();
    assert!(!rotate("b1", &token("b2", AWA, 300)).await);
    store.revoke_refresh_tokens(AWA, now).await.unwrap();
    assert!(!rotate("a3", &token("a4", AWA, 300)).await);
    // late 100, a 200, b 200; a1, a3 and b1 live until 300.
    assert_eq!(store.purge_refresh_tokens(Timestamp(200)).await.unwrap(), 3);
    assert_eq!(store.purge_refresh_tokens(Timestamp(200)).await.unwrap(), 0);
}

async fn places_are_seeded_again_without_a_trace(url: &str) {
    let store = open(url).await;
    let mut seed = griot::geo::guinea();
    store.seed_places(&seed).await.unwrap();
    let before = store.quartiers().await.unwrap();
    store.seed_places(&seed).await.unwrap();
    assert_eq!(store.quartiers().await.unwrap(), before);
    assert_eq!(before.len(), 77);
    assert_eq!(store.regions().await.unwrap().len(), 7);
    assert_eq!(store.prefectures().await.unwrap().len(), 7);
    let communes = store.communes().await.unwrap();
    assert_eq!(communes.len(), 11);
    assert_eq!(communes[1].kind, "commune urbaine");
    assert_eq!(communes[1].prefecture.region.nom, "Conakry");

    let almamya = store.quartier(11).await.unwrap().unwrap();
    assert_eq!(almamya, before[10]);
    assert_eq!(
        (almamya.nom.as_str(), almamya.commune.nom.as_str()),
        ("Almamya", "Kaloum")
    );
    assert_eq!(store.quartier(78).await.unwrap(), None);
    let named = store.quartiers_by_folded_name("bambeto").await.unwrap();
    assert_eq!(named.iter().map(|q| q.id).collect::<Vec<_>>(), [12, 24]);

    seed.quartiers[10].population_estimee = Some(12_000);
    seed.quartiers[10].superficie_km2 = Some(1.25);
    store.seed_places(&seed).await.unwrap();
    let almamya = store.quartier(11).await.unwrap().unwrap();
    assert_eq!(almamya.population_estimee, Some(12_000));
    assert_eq!(almamya.superficie_km2, Some(1.25));

    seed.regions[0].nom = "Kaloum".to_owned();
    seed.quartiers[10].parent = 12;
    assert!(is_not_found(&store.seed_places(&seed).await));
    assert_eq!(
        store.regions().await.unwrap()[0].nom,
        "Conakry",
        "all or none"
    );
}

async fn a_live_starts_with_its_post_or_not_at_all(url: &str) {
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

async fn a_live_changes_only_from_where_it_is_expected(url: &str) {
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

async fn a_live_ends_once(url: &str) {
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

async fn lives_are_listed_by_page(url: &str) {
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

async fn sessions_are_opened_named_and_closed(url: &str) {
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

async fn a_recording_is_made_once_and_moves_on(url: &str) {
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

async fn runs_grow_and_become_final(url: &str) {
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
    assert_eq!(store.growing_runs().await.unwrap(), [second.clone()]);
    let whole = store.recording_of(LiveId(1)).await.unwrap().unwrap();
    assert_eq!(whole.runs, [finished, second]);
    assert!(is_not_found(&store.update_run(RunId(9), &change).await));
    assert!(is_not_found(&store.finish_run(RunId(9), &last, AT).await));
}

async fn segments_are_appended_in_order_and_grow_their_run(url: &str) {
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

async fn gaps_are_closed_once(url: &str) {
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

async fn two_starts_at_once_make_one_live(url: &str) {
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

/// A read followed by a write in one transaction, from many tasks: `BUSY_SNAPSHOT` with a deferred one.
async fn writers_wait_for_each_other(url: &str) {
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

async fn a_closed_store_is_unavailable(url: &str) {
    let store = furnished(url).await;
    store.close().await;
    let error = store.user(AWA).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn an_address_that_is_not_understood_is_told_apart_from_one_that_does_not_answer() {
    let open = async |url: &str| {
        Store::open(&Config {
            url: url.to_owned(),
        })
        .await
        .unwrap_err()
    };
    assert!(matches!(
        open("mysql://localhost/griot").await,
        StoreError::Config(_)
    ));
    assert!(matches!(
        open("sqlite::memory:").await,
        StoreError::Config(_)
    ));
    let nowhere = open("sqlite:no/such/folder/griot.db").await;
    assert_eq!(nowhere.kind(), ErrorKind::Unavailable);
}
