//! The room on its own: what a restart, a clock and a broken store do to uploads.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;

use super::*;
use crate::base::{Clock, IdMaker, Tasks, Timestamp, UploadId, UserId};
use crate::jobs::Jobs;
use crate::media::video::{self, Videos};
use crate::media::{self, Medias};
use crate::objects::{Directory, Objects};
use crate::pipeline::{self, Host};
use crate::rendition::{Places, Sending, Survived};
use crate::store::{MediaState, NewUser, Role, Store, Upload, UploadDoor, UploadState};

const AWA: UserId = UserId(1);
/// 2025-07-23T10:48:53Z
const NOW: Timestamp = Timestamp(1_753_267_733_000_000);

struct House {
    uploads: Uploads,
    store: Store,
    clock: Clock,
    folder: tempfile::TempDir,
}

impl House {
    async fn open() -> Self {
        let (folder, store) = crate::store::scratch_store().await;
        let awa = NewUser {
            id: AWA,
            username: "awa".to_owned(),
            email: "awa@example.org".to_owned(),
            password_hash: crate::base::Secret::new("x"),
            first_name: String::new(),
            last_name: String::new(),
            phone_number: String::new(),
            date_of_birth: None,
            bio: String::new(),
            quartier_id: None,
            role: Role::User,
            at: NOW,
            search: String::new(),
        };
        store.create_user(&awa).await.unwrap();
        Self::on(folder, store)
    }

    /// The same rows and files after a restart.
    fn on(folder: tempfile::TempDir, store: Store) -> Self {
        let clock = Clock::manual(NOW);
        let tasks = Tasks::default();
        let objects: Objects = Directory::open(folder.path().join("objects"))
            .unwrap()
            .into();
        let ids = IdMaker::new(clock.clone());
        let places = Places {
            spool: folder.path().join("spool"),
            objects: objects.clone(),
        };
        let videos = Videos::new(
            video::Config {
                originals: folder.path().join("originals"),
            },
            Host::new(pipeline::Config::in_folder(folder.path().join("pipeline"))),
            store.clone(),
            Sending::new(store.clone(), places, clock.clone(), tasks.clone()),
            Jobs::new(store.clone(), clock.clone(), ids.clone(), "here".to_owned()),
            clock.clone(),
            ids.clone(),
        );
        let medias = Medias::new(media::Deps {
            config: media::Config::default(),
            store: store.clone(),
            objects,
            videos,
            clock: clock.clone(),
            tasks: tasks.clone(),
        });
        let uploads = Uploads::new(Deps {
            config: Config {
                spool_reserve_bytes: 0,
                ..Config::default()
            },
            store: store.clone(),
            folder: folder.path().join("uploads"),
            medias,
            clock: clock.clone(),
            ids,
            tasks,
        });
        Self {
            uploads,
            store,
            clock,
            folder,
        }
    }

    async fn begun(&self, length: Option<u64>) -> Upload {
        let opening = Opening {
            owner: AWA,
            door: UploadDoor::Tus,
            length,
            metadata: String::new(),
            title: String::new(),
            description: String::new(),
            file_name: "../été.png".to_owned(),
            live_id: None,
        };
        self.uploads.create(opening).await.unwrap()
    }

    async fn sent(&self, id: UploadId, bytes: &[u8]) -> Result<Upload, UploadError> {
        let piece = Ok(Bytes::copy_from_slice(bytes));
        let body: Incoming = Box::pin(stream::iter([piece]));
        self.uploads.append(AWA, id, Append::default(), body).await
    }

    fn file(&self, id: UploadId) -> PathBuf {
        self.folder.path().join("uploads").join(id.to_string())
    }

    async fn row(&self, id: UploadId) -> Option<Upload> {
        self.store.upload(id).await.unwrap()
    }
}

/// A PNG of one grey pixel (W3C PNG 3rd edition §5).
fn pixel() -> Vec<u8> {
    let chunk = |name: &[u8; 4], body: &[u8]| {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        let checked = [&name[..], body].concat();
        let checksum = crc32fast::hash(&checked).to_be_bytes();
        [&length[..], &checked, &checksum].concat()
    };
    // zlib, one stored block of two bytes: filter 0, grey 128; Adler-32 of them.
    let data = b"\x78\x01\x01\x02\0\xfd\xff\0\x80\0\x82\0\x81";
    [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", b"\0\0\0\x01\0\0\0\x01\x08\0\0\0\0"),
        chunk(b"IDAT", data),
        chunk(b"IEND", b""),
    ]
    .concat()
}

#[tokio::test]
async fn what_is_abandoned_goes_with_its_bytes_and_what_goes_on_stays() {
    let house = House::open().await;
    let (left, going) = (house.begun(Some(9)).await, house.begun(Some(9)).await);
    house.sent(left.id, b"abc").await.unwrap();
    house.clock.advance(Duration::from_secs(23 * 3_600));
    assert_eq!(house.uploads.sweep().await.unwrap(), 0);
    house.sent(going.id, b"abc").await.unwrap();
    house.clock.advance(Duration::from_secs(2 * 3_600));
    assert_eq!(house.uploads.sweep().await.unwrap(), 1);
    assert_eq!(house.row(left.id).await, None);
    assert!(!house.file(left.id).exists());
    assert!(house.file(going.id).exists());
    let late = house.sent(left.id, b"d").await;
    assert!(matches!(late, Err(UploadError::Unknown)));
    assert_eq!(house.row(going.id).await.unwrap().received, 3);
    assert_eq!(house.row(going.id).await.unwrap().original_name, "été.png");
}

#[tokio::test]
async fn after_a_power_loss_only_what_was_told_counts() {
    let house = House::open().await;
    let upload = house.begun(Some(9)).await;
    house.sent(upload.id, b"told").await.unwrap();
    // Written and never synced, then never verified; and bytes of an upload that has no row.
    std::fs::write(house.file(upload.id), b"told+lost").unwrap();
    let stray = UploadId(77);
    std::fs::write(house.file(stray), b"stray").unwrap();
    let House { folder, store, .. } = house;
    let house = House::on(folder, store);
    house.uploads.resume(Survived::Written).await.unwrap();
    assert_eq!(std::fs::read(house.file(upload.id)).unwrap(), b"told+lost");
    assert!(!house.file(stray).exists());
    house.uploads.resume(Survived::Synced).await.unwrap();
    let looked = house.uploads.look(AWA, upload.id).await.unwrap();
    assert_eq!(looked.received, 4);
    assert_eq!(std::fs::read(house.file(upload.id)).unwrap(), b"told");
}

#[tokio::test]
async fn bytes_that_were_told_and_are_lost_are_said_to_be_gone() {
    let house = House::open().await;
    let upload = house.begun(Some(9)).await;
    house.sent(upload.id, b"told").await.unwrap();
    std::fs::write(house.file(upload.id), b"to").unwrap();
    let looked = house.uploads.look(AWA, upload.id).await;
    assert!(matches!(looked, Err(UploadError::Gone)));
}

#[tokio::test]
async fn an_image_waits_for_its_store_and_a_restart_judges_it_again() {
    let house = House::open().await;
    // A file where the folder of objects should be: nothing can be put.
    let objects = house.folder.path().join("objects");
    std::fs::remove_dir(&objects).unwrap();
    std::fs::write(&objects, b"").unwrap();
    let png = pixel();
    let upload = house.begun(Some(png.len() as u64)).await;
    let received = house.sent(upload.id, &png).await.unwrap();
    assert_eq!(received.state, UploadState::Received);
    let within = Duration::from_millis(100);
    let waits = house.uploads.verdict(AWA, upload.id, within).await.unwrap();
    assert_eq!(waits.state, UploadState::Received);
    assert!(house.file(upload.id).exists());
    let id = crate::base::MediaId(upload.id.0);

    // A crash, and the store is back.
    std::fs::remove_file(&objects).unwrap();
    house.uploads.deps().tasks.stop_and_wait().await;
    let House { folder, store, .. } = house;
    let house = House::on(folder, store);
    house.uploads.resume(Survived::Written).await.unwrap();
    let within = Duration::from_secs(60);
    let judged = house.uploads.verdict(AWA, upload.id, within).await.unwrap();
    assert_eq!(judged.media_id, Some(id));
    let media = house.store.media(id).await.unwrap().unwrap();
    assert_eq!(media.state, MediaState::Ready);
    assert_eq!((media.width, media.height), (Some(1), Some(1)));
    house.uploads.deps().tasks.stop_and_wait().await;
    assert!(!house.file(upload.id).exists());
}

#[tokio::test]
async fn a_medium_that_is_deleted_while_it_is_judged_leaves_nothing() {
    let house = House::open().await;
    let png = pixel();
    let upload = house.begun(Some(png.len() as u64)).await;
    let id = crate::base::MediaId(upload.id.0);
    house.sent(upload.id, &png).await.unwrap();
    let within = Duration::from_secs(60);
    house.uploads.verdict(AWA, upload.id, within).await.unwrap();
    let medias = &house.uploads.deps().medias;
    medias.delete(id, AWA).await.unwrap();
    // Judged once more, as after a crash before the verdict was noted.
    let arrived = media::Arrived {
        id,
        owner_id: AWA,
        path: house.folder.path().join("again"),
        bytes: png.len() as u64,
        allowed: house.uploads.config().allowed(UploadDoor::Tus),
        title: String::new(),
        description: String::new(),
        original_name: String::new(),
        live_id: None,
    };
    std::fs::write(&arrived.path, &png).unwrap();
    let again = medias.accept(&arrived).await;
    assert!(matches!(again, Err(media::MediaError::Unknown)));
    assert_eq!(medias.sweep().await.unwrap(), 1);
    let objects = Directory::open(house.folder.path().join("objects")).unwrap();
    assert_eq!(objects.list("").unwrap(), []);
}
