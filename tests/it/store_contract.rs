//! One contract that the store keeps on every database: each public call, once or more.

#![expect(
    clippy::unwrap_used,
    reason = "the stories are tests; clippy knows only the functions that call them"
)]

use std::path::Path;

use griot::av::Ticks;
use griot::base::{ErrorKind, LiveId, RecordingId, RunId, Secret, SessionId, Timestamp, UserId};
use griot::store::{
    Config, EndReason, GapCause, Live, LiveChange, LiveFilter, LiveStatus, NewGap, NewLive, NewRun,
    NewSession, NewUser, RecordingState, RefreshToken, Role, RunChange, RunState, Segment, Store,
    StoreError, StreamKey, UserChange,
};

use crate::support::Postgres;

/// The whole contract on one database that `$fresh` makes for each test: one line for each database.
macro_rules! on {
    ($database:ident, $fresh:expr) => {
        mod $database {
            use super::*;

            stories!($fresh;
                opening: opening_tells_each_migration_once a_closed_store_is_unavailable;
                members: users_are_found_by_id_address_and_name users_change
                    a_profile_changes_in_part_and_members_are_found
                    a_picture_is_replaced_with_a_job_or_not_at_all
                    a_stream_key_belongs_to_one_member_and_replaces_the_last
                    a_refresh_token_is_taken_once;
                places: places_are_seeded_again_without_a_trace;
                jobs: jobs_are_taken_by_priority_and_then_by_age
                    a_worker_gets_only_what_it_can_do one_key_has_one_active_job
                    only_who_holds_the_lease_writes an_attempt_ends_in_five_ways
                    a_lease_that_ends_is_taken_back a_worker_that_is_known_to_be_gone_is_not_waited_for
                    a_job_is_cancelled_and_asked_for_again
                    ids_of_two_processes_do_not_clash many_workers_take_each_job_once
                    jobs_are_listed_counted_and_purged;
                lives: a_live_starts_with_its_post_or_not_at_all
                    a_live_changes_only_from_where_it_is_expected a_live_ends_once
                    lives_are_listed_by_page sessions_are_opened_named_and_closed
                    two_starts_at_once_make_one_live two_processes_write_in_turn;
                recordings: a_recording_is_made_once_and_moves_on runs_grow_and_become_final
                    segments_are_appended_in_order_and_grow_their_run gaps_are_closed_once
                    lost_segments_become_gaps_and_an_empty_run_goes
                    a_videos_segments_come_all_at_once
                    writers_wait_for_each_other;
                recording_files: what_is_made_of_a_recording_is_replaced_by_name
                    what_follows_a_recording_is_queued_once;
                sending: an_upload_and_its_parts_are_kept_until_the_run_is_stored
                    a_recording_is_stored_with_its_last_run_once_it_is_ready
                    a_ready_recording_is_stored_by_its_last_run;
                media: a_medium_is_made_shown_and_becomes_garbage
                    media_are_listed_by_their_owner_with_their_files;
                uploads: an_upload_grows_and_is_judged_once
                    a_member_has_bounded_room_for_uploads abandoned_uploads_are_found
                    two_uploads_at_once_share_the_room;
            );
        }
    };
}

macro_rules! stories {
    ($fresh:expr; $($file:ident: $($story:ident)+;)+) => {$($(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $story() {
            let (_alive, url) = $fresh.await;
            super::$file::$story(&url).await;
        }
    )+)+};
}

mod jobs;
mod lives;
mod media;
mod members;
mod opening;
mod places;
mod recording_files;
mod recordings;
mod sending;
mod uploads;

on!(sqlite, sqlite_file());
on!(postgres, postgres_database());

const CONTRACT: &[&str] = &[
    include_str!("store_contract/jobs.rs"),
    include_str!("store_contract/lives.rs"),
    include_str!("store_contract/media.rs"),
    include_str!("store_contract/members.rs"),
    include_str!("store_contract/opening.rs"),
    include_str!("store_contract/places.rs"),
    include_str!("store_contract/recording_files.rs"),
    include_str!("store_contract/recordings.rs"),
    include_str!("store_contract/sending.rs"),
    include_str!("store_contract/uploads.rs"),
];

async fn sqlite_file() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("griot.db").display());
    (folder, url)
}

async fn postgres_database() -> (&'static Postgres, String) {
    let cluster = Postgres::shared().await;
    (cluster, cluster.database())
}

#[test]
fn every_public_call_is_in_this_contract() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    // `.open(` and the like are looked for in the stories and in what furnishes them.
    let contract = CONTRACT.concat() + include_str!("store_contract.rs");
    let mut calls = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let source = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for after in source.split("pub async fn ").skip(1) {
            let name = after.split(['(', '<']).next().unwrap();
            assert!(
                contract.contains(&format!(".{name}(")) || contract.contains(&format!("::{name}(")),
                "store::{name} is not in the contract"
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
        search: String::new(),
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

fn is_not_found<T: std::fmt::Debug>(outcome: &Result<T, StoreError>) -> bool {
    matches!(outcome, Err(StoreError::NotFound))
}
