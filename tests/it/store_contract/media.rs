//! Images and videos that members see.

use griot::av::Ticks;
use griot::base::MediaId;
use griot::store::{Media, MediaChange, MediaKind, MediaState, NewMedia, NewMediaFile};

use super::*;

pub(super) fn new_media(id: i64, owner: UserId) -> NewMedia {
    NewMedia {
        id: MediaId(id),
        owner_id: owner,
        public_id: format!("public-{id}"),
        kind: MediaKind::Image,
        title: "Titre".to_owned(),
        description: "🎙 '; drop table media".to_owned(),
        original_name: "été.jpg".to_owned(),
        content_type: "image/jpeg".to_owned(),
        bytes: 1_000,
        live_id: None,
        at: AT,
    }
}

fn file(name: &str, bytes: u64) -> NewMediaFile {
    NewMediaFile {
        name: name.to_owned(),
        path: format!("media/1/{name}"),
        content_type: "image/webp".to_owned(),
        bytes,
        width: Some(300),
        height: None,
        etag: format!("e{bytes}"),
    }
}

async fn made(store: &Store, id: i64, owner: UserId) -> Media {
    store.create_media(&new_media(id, owner)).await.unwrap()
}

pub(super) async fn a_medium_is_made_shown_and_becomes_garbage(url: &str) {
    let store = furnished(url).await;
    started(&store, 1, AWA).await;
    let nobody = store.create_media(&new_media(1, UserId(9))).await;
    assert!(is_not_found(&nobody));
    let recording = NewMedia {
        live_id: Some(LiveId(1)),
        ..new_media(1, AWA)
    };
    let media = store.create_media(&recording).await.unwrap();
    assert_eq!(media.state, MediaState::Processing);
    assert_eq!(
        (media.is_appropriate, media.approval_status.as_str()),
        (true, "approved")
    );
    let twice = store
        .create_media(&NewMedia {
            public_id: "public-1".to_owned(),
            ..new_media(2, AWA)
        })
        .await;
    assert!(matches!(
        twice,
        Err(StoreError::Conflict("media.public_id"))
    ));
    assert_eq!(store.media(MediaId(1)).await.unwrap(), Some(media.clone()));
    let all = std::slice::from_ref(&media);
    assert_eq!(store.processing_media().await.unwrap(), all);
    assert_eq!(store.media_of_live(LiveId(1)).await.unwrap(), all);
    assert_eq!(
        store.served_file("public-1", "300.webp").await.unwrap(),
        None
    );

    let ready = MediaChange {
        state: Some(MediaState::Ready),
        bytes: Some(1_500),
        width: Some(640),
        height: Some(360),
        duration: Some(Ticks(90_000)),
        blurhash: Some("LEHV6n".to_owned()),
        ..MediaChange::default()
    };
    let files = [
        file("300.webp", 5),
        file("300.webp", 7),
        file("file.jpg", 9),
    ];
    let changed = store
        .change_media(MediaId(1), &ready, &files, LATER)
        .await
        .unwrap();
    assert_eq!(
        changed,
        Media {
            state: MediaState::Ready,
            bytes: 1_500,
            width: Some(640),
            height: Some(360),
            duration: Some(Ticks(90_000)),
            blurhash: Some("LEHV6n".to_owned()),
            updated_at: LATER,
            ..media
        }
    );
    assert_eq!(store.processing_media().await.unwrap(), []);
    let served = store.served_file("public-1", "300.webp").await.unwrap();
    let served = served.unwrap();
    assert_eq!(
        (
            served.file.bytes,
            served.file.width,
            served.file.etag.as_str()
        ),
        (7, Some(300), "e7")
    );
    assert_eq!(served.title, "Titre");

    let described = store.describe_media(MediaId(1), Some("Autre"), None, LATER);
    let described = described.await.unwrap();
    assert_eq!(described.title, "Autre");
    assert_eq!(described.description, "🎙 '; drop table media");

    assert!(is_not_found(&store.forget_media(MediaId(1)).await));
    store.delete_media(MediaId(1), LATER).await.unwrap();
    assert!(is_not_found(&store.delete_media(MediaId(1), LATER).await));
    assert_eq!(store.media(MediaId(1)).await.unwrap(), None);
    assert_eq!(store.media_by_public_id("public-1").await.unwrap(), None);
    assert_eq!(
        store.served_file("public-1", "300.webp").await.unwrap(),
        None
    );
    assert_eq!(store.media_of_live(LiveId(1)).await.unwrap(), []);
    let late = store.change_media(MediaId(1), &ready, &files, LATER).await;
    assert!(is_not_found(&late), "it was deleted while it was made");
    let describing = store.describe_media(MediaId(1), None, None, LATER).await;
    assert!(is_not_found(&describing));
    let garbage = store.garbage_media().await.unwrap();
    assert_eq!(garbage.len(), 1);
    assert_eq!(garbage[0].deleted_at, Some(LATER));
    assert!(store.knows_media(MediaId(1)).await.unwrap());
    store.forget_media(MediaId(1)).await.unwrap();
    assert!(!store.knows_media(MediaId(1)).await.unwrap());
    assert_eq!(store.garbage_media().await.unwrap(), []);
}

pub(super) async fn media_are_listed_by_their_owner_with_their_files(url: &str) {
    let store = furnished(url).await;
    for id in 1..=3 {
        made(&store, id, AWA).await;
    }
    made(&store, 4, BINTA).await;
    let none = MediaChange::default();
    let files = [file("a.jpg", 1), file("b.webp", 2)];
    store
        .change_media(MediaId(2), &none, &files, AT)
        .await
        .unwrap();
    store.delete_media(MediaId(3), AT).await.unwrap();
    let failed = MediaChange {
        state: Some(MediaState::Failed),
        failure: Some("unreadable".to_owned()),
        ..none
    };
    store
        .change_media(MediaId(1), &failed, &[], AT)
        .await
        .unwrap();

    let page = store.list_media(AWA, 1, 10).await.unwrap();
    assert_eq!(page.total, 2);
    let shown: Vec<_> = page
        .rows
        .iter()
        .map(|(media, files)| {
            let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
            (media.id.0, media.failure.as_deref(), names)
        })
        .collect();
    assert_eq!(
        shown,
        [
            (2, None, vec!["a.jpg", "b.webp"]),
            (1, Some("unreadable"), vec![])
        ]
    );
    let second = store.list_media(AWA, 2, 1).await.unwrap();
    assert_eq!((second.rows.len(), second.rows[0].0.id.0), (1, 1));
    assert_eq!(store.list_media(AWA, 3, 1).await.unwrap().rows, []);
    let files = store.media_files(MediaId(2)).await.unwrap();
    assert_eq!(files, page.rows[0].1);
    assert_eq!(store.every_media_file().await.unwrap(), files);
}
