//! Bytes on their way in.

use griot::base::{MediaId, UploadId};
use griot::store::{Admission, NewUpload, Room, Upload, UploadDoor, UploadState};

use super::*;

const WIDE: Room = Room {
    bytes: u64::MAX,
    open_uploads: 100,
};
const SOON: Timestamp = Timestamp(AT.0 + 60_000_000);

fn new_upload(id: i64, owner: UserId, length: Option<u64>) -> NewUpload {
    NewUpload {
        id: UploadId(id),
        owner_id: owner,
        door: UploadDoor::Tus,
        length,
        metadata: "filename w6l0w6k=".to_owned(),
        title: "Titre".to_owned(),
        description: String::new(),
        original_name: "été".to_owned(),
        live_id: None,
        node: Some("node-1".to_owned()),
        at: AT,
        expires_at: SOON,
    }
}

fn admitted(admission: Admission) -> Upload {
    match admission {
        Admission::Admitted(upload) => *upload,
        other => panic!("{other:?}"),
    }
}

async fn begun(store: &Store, id: i64, length: Option<u64>) -> Upload {
    let new = new_upload(id, AWA, length);
    admitted(store.create_upload(&new, WIDE).await.unwrap())
}

pub(super) async fn an_upload_grows_and_is_judged_once(url: &str) {
    let store = furnished(url).await;
    let upload = begun(&store, 1, None).await;
    assert_eq!((upload.state, upload.received), (UploadState::Receiving, 0));
    assert_eq!(store.upload(UploadId(1)).await.unwrap(), Some(upload));
    let (id, later) = (UploadId(1), LATER);
    assert_eq!(
        store
            .note_received(id, 70, later, SOON)
            .await
            .unwrap()
            .received,
        70
    );
    let fewer = store.note_received(id, 69, later, SOON).await;
    assert!(is_not_found(&fewer), "what was told stays");
    assert!(is_not_found(&store.declare_upload(id, 69, later).await));
    let declared = store.declare_upload(id, 100, later).await.unwrap();
    assert_eq!(declared.length, Some(100));
    assert!(is_not_found(&store.declare_upload(id, 101, later).await));
    let early = store.accept_upload(id, MediaId(1), later, SOON).await;
    assert!(is_not_found(&early), "bytes are missing");
    let complete = store.complete_upload(id, 100, later, SOON).await.unwrap();
    assert_eq!(
        (complete.state, complete.received),
        (UploadState::Received, 100)
    );
    let twice = store.complete_upload(id, 100, later, SOON).await;
    assert!(is_not_found(&twice));
    assert_eq!(store.received_uploads().await.unwrap(), [complete]);
    assert_eq!(store.receiving_uploads().await.unwrap(), []);

    let nothing = store.accept_upload(id, MediaId(9), later, SOON).await;
    assert!(is_not_found(&nothing), "there is no such medium");
    let media = super::media::new_media(1, AWA);
    store.create_media(&media).await.unwrap();
    let accepted = store.accept_upload(id, MediaId(1), later, SOON).await;
    let accepted = accepted.unwrap();
    assert_eq!(accepted.media_id, Some(MediaId(1)));
    assert_eq!(
        store.upload_of_media(MediaId(1)).await.unwrap(),
        Some(accepted)
    );
    let late = store.refuse_upload(id, "unreadable", later, SOON).await;
    assert!(is_not_found(&late), "it is accepted");

    begun(&store, 2, Some(1)).await;
    let refused = store.refuse_upload(UploadId(2), "type", later, SOON).await;
    assert_eq!(refused.unwrap().refusal.as_deref(), Some("type"));
    store.delete_upload(UploadId(2)).await.unwrap();
    assert!(is_not_found(&store.delete_upload(UploadId(2)).await));
}

pub(super) async fn a_member_has_bounded_room_for_uploads(url: &str) {
    let store = furnished(url).await;
    let room = Room {
        bytes: 2_000,
        open_uploads: 2,
    };
    let ask = async |id, owner, length| {
        let new = new_upload(id, owner, length);
        store.create_upload(&new, room).await
    };
    assert!(is_not_found(&ask(1, UserId(9), None).await));
    // A medium of 1,000 bytes is there.
    let media = super::media::new_media(1, AWA);
    store.create_media(&media).await.unwrap();
    let over = ask(1, AWA, Some(1_001)).await.unwrap();
    assert_eq!(over, Admission::OverQuota);
    admitted(ask(1, AWA, Some(900)).await.unwrap());
    let over = ask(2, AWA, Some(101)).await.unwrap();
    assert_eq!(over, Admission::OverQuota);
    admitted(ask(2, AWA, None).await.unwrap());
    assert_eq!(ask(3, AWA, None).await.unwrap(), Admission::TooMany);
    admitted(ask(3, BINTA, Some(2_000)).await.unwrap());

    let used = async |but| store.bytes_of_member(AWA, UploadId(but)).await.unwrap();
    assert_eq!(used(0).await, 1_900);
    store
        .note_received(UploadId(2), 50, AT, SOON)
        .await
        .unwrap();
    assert_eq!(used(0).await, 1_950);
    assert_eq!(used(1).await, 1_050);
    store.delete_media(MediaId(1), AT).await.unwrap();
    store
        .refuse_upload(UploadId(1), "type", AT, SOON)
        .await
        .unwrap();
    assert_eq!(used(0).await, 50, "garbage and refused uploads are free");
    admitted(ask(4, AWA, Some(1_900)).await.unwrap());
}

pub(super) async fn abandoned_uploads_are_found(url: &str) {
    let store = furnished(url).await;
    for id in 1..=3 {
        begun(&store, id, Some(5)).await;
    }
    assert_eq!(store.expired_uploads(AT).await.unwrap(), []);
    let ids = async |now| {
        let found = store.expired_uploads(now).await.unwrap();
        found.iter().map(|upload| upload.id.0).collect::<Vec<_>>()
    };
    assert_eq!(ids(SOON).await, [1, 2, 3]);
    let later = Timestamp(SOON.0 + 1);
    store
        .note_received(UploadId(2), 1, AT, later)
        .await
        .unwrap();
    store
        .complete_upload(UploadId(3), 5, AT, SOON)
        .await
        .unwrap();
    assert_eq!(ids(SOON).await, [1], "who goes on or is judged is kept");
    assert_eq!(ids(later).await, [1, 2]);
    let open = store.receiving_uploads().await.unwrap();
    assert_eq!(open.len(), 2);
}

pub(super) async fn two_uploads_at_once_share_the_room(url: &str) {
    let store = furnished(url).await;
    let room = Room {
        bytes: 1_000,
        open_uploads: 9,
    };
    let (first, second) = (new_upload(1, AWA, Some(600)), new_upload(2, AWA, Some(600)));
    let (one, other) = tokio::join!(
        store.create_upload(&first, room),
        store.create_upload(&second, room)
    );
    let both = [one.unwrap(), other.unwrap()];
    let admitted = |admission: &&Admission| matches!(admission, Admission::Admitted(_));
    assert_eq!(both.iter().filter(admitted).count(), 1);
}
