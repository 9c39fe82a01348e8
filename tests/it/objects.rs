//! One contract that every object store keeps: the directory, and a real S3 server.

use bytes::Bytes;
use griot::base::LiveId;
use griot::objects::{Directory, ObjectError, ObjectKey, Objects, SentPart, UploadId};
use tempfile::TempDir;

use crate::support::{Bucket, Minio};

fn key(live: i64) -> ObjectKey {
    ObjectKey::run(LiveId(live), "source", 0)
}

fn directory() -> (TempDir, Objects) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Directory::open(folder.path().join("objects")).expect("a folder");
    (folder, store.into())
}

/// Bytes that differ from place to place.
fn pattern(length: usize) -> Bytes {
    let word = |index: usize| (index * 2_654_435_761).to_le_bytes();
    (0..length.div_ceil(8))
        .flat_map(word)
        .take(length)
        .collect()
}

async fn whole(store: &Objects, key: &ObjectKey) -> Bytes {
    let length = store.head(key).await.expect("it is there");
    let stream = store.read(key, 0, length).await.expect("it can be read");
    stream.collect().await.expect("to its end")
}

async fn paths(store: &Objects, below: &str) -> Vec<String> {
    let listed = store.list_all(below).await.expect("a list");
    listed.into_iter().map(|object| object.path).collect()
}

async fn an_object_is_what_was_put(store: &Objects) {
    let missing = store.head(&key(1)).await;
    assert_eq!(missing, Err(ObjectError::Missing));
    let missing = store.read(&key(1), 0, 1).await;
    assert_eq!(missing.err(), Some(ObjectError::Missing));

    let content = pattern(600_000);
    store.put(&key(1), content.clone()).await.expect("put");
    assert_eq!(store.head(&key(1)).await, Ok(600_000));
    assert_eq!(whole(store, &key(1)).await, content);
    let middle = store
        .read(&key(1), 300_001, 299_999)
        .await
        .expect("a range");
    assert_eq!(middle.left(), 299_999);
    assert_eq!(
        middle.collect().await.expect("its bytes"),
        content[300_001..]
    );
    let nothing = store.read(&key(1), 0, 0).await.expect("an empty range");
    assert!(nothing.collect().await.expect("no bytes").is_empty());
    let too_much = store.read(&key(1), 599_999, 2).await;
    let too_much = match too_much {
        Ok(stream) => stream.collect().await.map(|_| ()),
        Err(error) => Err(error),
    };
    assert!(too_much.is_err(), "there is one byte less");

    store
        .put(&key(1), Bytes::from_static(b"again"))
        .await
        .expect("put");
    assert_eq!(whole(store, &key(1)).await, "again");
    store.put(&key(2), Bytes::new()).await.expect("put");
    assert_eq!(store.head(&key(2)).await, Ok(0));

    store.delete(&key(1)).await.expect("gone");
    store.delete(&key(1)).await.expect("as good as gone");
    assert_eq!(store.head(&key(1)).await, Err(ObjectError::Missing));
}

async fn lists_hold_every_object_below_a_prefix(store: &Objects, many: i64) {
    assert_eq!(paths(store, "").await, Vec::<String>::new());
    for live in 1..=many {
        store
            .put(&key(live), Bytes::from_static(b"x"))
            .await
            .expect("put");
    }
    let all = store.list_all("").await.expect("a list");
    assert_eq!(all.len() as i64, many);
    assert!(all.iter().all(|object| object.bytes == 1));
    assert!(all.windows(2).all(|pair| pair[0].path < pair[1].path));
    assert_eq!(paths(store, "lives/2/").await, ["lives/2/source/0.mp4"]);
    assert_eq!(paths(store, "lives/9999999/").await, Vec::<String>::new());
    assert_eq!(
        ObjectKey::parse(&all[0].path).expect("a key of ours"),
        key(1)
    );
}

async fn a_probe_leaves_nothing_behind(store: &Objects) {
    store.probe("0123456789abcdef").await.expect("all is well");
    assert_eq!(paths(store, "").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_directory_keeps_the_contract() {
    let (_folder, store) = directory();
    an_object_is_what_was_put(&store).await;
    let (_folder, store) = directory();
    lists_hold_every_object_below_a_prefix(&store, 12).await;
    let (_folder, store) = directory();
    a_probe_leaves_nothing_behind(&store).await;
}

#[tokio::test]
async fn a_bucket_keeps_the_contract() {
    an_object_is_what_was_put(&Bucket::new().await.store()).await;
    // More than a page of a thousand.
    lists_hold_every_object_below_a_prefix(&Bucket::new().await.store(), 1_003).await;
    let mut bucket = Bucket::new().await;
    a_probe_leaves_nothing_behind(&bucket.store()).await;
    bucket.prefix = String::new();
    a_probe_leaves_nothing_behind(&bucket.store()).await;
}

#[tokio::test]
async fn prefixes_of_one_bucket_do_not_see_each_other() {
    let mut bucket = Bucket::new().await;
    let ours = bucket.store();
    bucket.prefix = "somebody/else".to_owned();
    let theirs = bucket.store();
    ours.put(&key(1), Bytes::from_static(b"ours"))
        .await
        .expect("put");
    assert_eq!(theirs.head(&key(1)).await, Err(ObjectError::Missing));
    assert_eq!(paths(&theirs, "").await, Vec::<String>::new());
    assert_eq!(paths(&ours, "").await, ["lives/1/source/0.mp4"]);
}

const PART: std::time::Duration = std::time::Duration::from_secs(60);

#[tokio::test]
async fn parts_may_come_in_any_order_and_again_and_the_object_appears_when_complete() {
    let store = Bucket::new().await.store();
    let bucket = store.s3().expect("a bucket");
    let content = pattern((10 << 20) + 7);
    let (first, last) = content.split_at(5 << 20);
    let (middle, last) = last.split_at(5 << 20);

    let upload = bucket.create_upload(&key(1)).await.expect("an upload");
    let pending = bucket.uploads(key(1).as_str()).await.expect("a list");
    assert_eq!(pending.len(), 1);
    assert_eq!(
        (&pending[0].path[..], &pending[0].id),
        (key(1).as_str(), &upload)
    );
    let key_of_one = key(1);
    let send = async |number, bytes: &[u8]| {
        let bytes = Bytes::copy_from_slice(bytes);
        let sent = bucket.upload_part(&key_of_one, &upload, number, bytes, PART);
        sent.await.expect("a part")
    };
    let third = send(3, last).await;
    let second = send(2, middle).await;
    let stale = send(1, &vec![0; 5 << 20]).await;
    assert_eq!(store.head(&key(1)).await, Err(ObjectError::Missing));
    let first = send(1, first).await;
    assert_ne!(stale, first);
    let parts = [first, second, third];
    bucket
        .complete_upload(&key(1), &upload, &parts)
        .await
        .expect("complete");

    assert!(whole(&store, &key(1)).await == content);
    let again = bucket.complete_upload(&key(1), &upload, &parts).await;
    assert!(
        matches!(again, Ok(()) | Err(ObjectError::Missing)),
        "{again:?}"
    );
    assert_eq!(bucket.uploads(key(1).as_str()).await.expect("a list"), []);
}

#[tokio::test]
async fn an_aborted_upload_is_gone_and_says_so() {
    let store = Bucket::new().await.store();
    let bucket = store.s3().expect("a bucket");
    let upload = bucket.create_upload(&key(1)).await.expect("an upload");
    let path = key(1).as_str().to_owned();
    bucket.abort_upload(&path, &upload).await.expect("gone");
    bucket
        .abort_upload(&path, &upload)
        .await
        .expect("as good as gone");
    let unknown = UploadId("bm8tc3VjaC11cGxvYWQ".to_owned());
    for upload in [&upload, &unknown] {
        let part = bucket
            .upload_part(&key(1), upload, 2, pattern(10), PART)
            .await;
        assert_eq!(part, Err(ObjectError::Missing));
        let part = SentPart {
            number: 1,
            etag: "\"d41d8cd98f00b204e9800998ecf8427e\"".to_owned(),
        };
        let complete = bucket.complete_upload(&key(1), upload, &[part]).await;
        assert_eq!(complete, Err(ObjectError::Missing));
    }
}

#[tokio::test]
async fn an_address_of_the_store_itself_gives_ranges_a_name_and_nothing_to_forgers() {
    let store = Bucket::new().await.store();
    let bucket = store.s3().expect("a bucket");
    store
        .put(&key(1), Bytes::from_static(b"0123456789"))
        .await
        .expect("put");
    let said = "attachment; filename=\"a.mp4\"".to_owned();
    let address = bucket
        .presigned_get(&key(1), Some(said.clone()), "video/mp4", PART)
        .await
        .expect("an address");
    let client = reqwest::Client::new();

    let answer = client
        .get(&address)
        .header("range", "bytes=7-")
        .send()
        .await;
    let answer = answer.expect("an answer");
    assert_eq!(answer.status(), 206);
    assert_eq!(answer.headers()["content-disposition"], said.as_str());
    assert_eq!(answer.headers()["content-type"], "video/mp4");
    assert_eq!(answer.bytes().await.expect("bytes"), "789");
    let forged = client
        .get(address.replace("/lives/1/", "/lives/2/"))
        .send()
        .await;
    assert_eq!(forged.expect("an answer").status(), 403);
}

#[tokio::test]
async fn what_is_wrong_with_a_bucket_is_told_apart() {
    let mut bucket = Bucket::new().await;
    bucket.name = "no-such-bucket".to_owned();
    let refused = bucket.store().list("", None).await.expect_err("no bucket");
    assert_eq!(refused.word(), "refused", "{refused}");
    let store = bucket.store();
    let refused = store.s3().expect("a bucket").look().await;
    assert_eq!(refused.expect_err("no bucket").word(), "refused");
    let (step, refused) = bucket.store().probe("x").await.expect_err("no bucket");
    assert_eq!((step, refused.word()), ("write", "refused"), "{refused}");

    let mut minio = Minio::start().await;
    let store = minio.bucket().store();
    store
        .put(&key(1), Bytes::from_static(b"x"))
        .await
        .expect("put");
    assert_eq!(store.s3().expect("a bucket").look().await, Ok(()));
    minio.stop().await;
    for away in [
        store.head(&key(1)).await.expect_err("nobody is there"),
        store.list("", None).await.expect_err("nobody is there"),
        store
            .put(&key(1), Bytes::new())
            .await
            .expect_err("nobody is there"),
    ] {
        assert_eq!(away.word(), "away", "{away}");
    }
    minio.start_again().await;
    assert_eq!(store.head(&key(1)).await, Ok(1));
    minio.freeze();
    let part = UploadId("x".to_owned());
    let within = std::time::Duration::from_millis(500);
    let silent = store.s3().expect("a bucket");
    let away = silent
        .upload_part(&key(1), &part, 1, pattern(9 << 20), within)
        .await
        .expect_err("nobody answers");
    assert_eq!(away.word(), "away", "{away}");
    minio.thaw();
    assert_eq!(store.head(&key(1)).await, Ok(1));
}
