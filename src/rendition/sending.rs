//! What becomes of a run's file once it is final: hashed where it lies, or sent to a bucket.
//!
//! A run on its way to a bucket has a task of its own ([`Shipment`]). Nothing here ever slows a live: the live
//! only says how far its file is synced, and that it is final.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::sleep;

use super::error::RenditionError;
use super::pieces::tree_of_file;
use super::place::{Place, Places};
use super::shelf::{Shelf, Source};
use super::shipment::{Outlook, Shipment};
use super::spool::SpoolRoom;
use crate::base::{Clock, RunId, Tasks, blocking};
use crate::objects::{Directory, ObjectError, ObjectKey, S3};
use crate::store::{Run, RunChange, Store, StoreError};

/// How often an idle bucket is asked whether it is there; in trouble more often.
const LOOK_EVERY: Duration = Duration::from_secs(10);
const LOOK_EVERY_IN_TROUBLE: Duration = Duration::from_secs(5);

/// The way from the spool to the object store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sending(Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) store: Store,
    pub(super) places: Places,
    pub(super) clock: Clock,
    tasks: Tasks,
    /// One file is hashed at a time.
    hashing: Semaphore,
    // std mutex: never held across an await; only map look-ups.
    known: Mutex<Known>,
}

/// A shelf, and which of its runs it is.
type Waiter = (Weak<RwLock<Shelf>>, u32);

#[derive(Debug, Default)]
struct Known {
    /// Bytes of each run that the bucket lacks.
    waiting: HashMap<RunId, u64>,
    /// Shelves that read a run from the spool until it is stored.
    readers: HashMap<RunId, Vec<Waiter>>,
    trouble: Option<ObjectsTrouble>,
    /// Whether the last publish was refused for want of room.
    full: bool,
}

/// Why the object store does not take or give anything now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectsTrouble {
    /// `refused`, `away`, `other`: see `objects::ObjectError`.
    pub kind: &'static str,
    /// The same as a sentence; holds no credentials.
    pub text: String,
}

/// A run's end of its shipment: how far the file is synced, and that it is final. Dropped without the latter,
/// the shipment ends and a later process goes on.
#[derive(Clone, Debug)]
pub(super) struct Feed(Arc<watch::Sender<Outlook>>);

impl Feed {
    /// Everything before `end` is on the disk for good.
    pub(super) fn synced(&self, end: u64) {
        self.0
            .send_modify(|outlook| outlook.synced = outlook.synced.max(end));
    }

    /// The file is final, and its row says so.
    pub(super) fn sealed(&self) {
        self.0.send_modify(|outlook| outlook.sealed = true);
    }
}

impl Sending {
    /// Nothing runs until a run grows, is final, or [`Sending::take_up`].
    #[must_use]
    pub fn new(store: Store, places: Places, clock: Clock, tasks: Tasks) -> Self {
        Self(Arc::new(Inner {
            store,
            places,
            clock,
            tasks,
            hashing: Semaphore::new(1),
            known: Mutex::default(),
        }))
    }

    /// What its tasks share.
    pub(super) fn house(&self) -> &Inner {
        &self.0
    }

    /// A run's file is final, and its row says so: hashed where it lies, or sent to the bucket.
    pub(super) fn send_final(&self, run: RunId, key: ObjectKey, file: Arc<File>) {
        match self.grow(run, key.clone(), file) {
            Some(feed) => feed.sealed(),
            None => self.adopted(run, key),
        }
    }

    /// Removes a run that nobody is to play any more: object, spool file and what is half sent, then its row. To be
    /// called again after a failure. A shipment under way notices that the row is gone.
    ///
    /// # Errors
    /// What rows, spool or object store say.
    pub async fn remove(&self, run: &Run) -> Result<(), RenditionError> {
        let house = self.house();
        if let Some(place) = Place::from_row(&run.path) {
            let (key, objects) = (place.key(), &house.places.objects);
            let removed = async {
                if let Some(bucket) = objects.s3() {
                    for upload in bucket.uploads(key.as_str()).await? {
                        if upload.path == key.as_str() {
                            bucket.abort_upload(key.as_str(), &upload.id).await?;
                        }
                    }
                }
                objects.delete(key).await
            };
            let removed: Result<(), ObjectError> = removed.await;
            removed.map_err(|error| RenditionError::File(std::io::Error::other(error)))?;
            house.free(key).await?;
        }
        match house.store.discard_run(run.id).await {
            Ok(()) | Err(StoreError::NotFound) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Where files grow and end up.
    #[must_use]
    pub fn places(&self) -> &Places {
        &self.0.places
    }

    /// Why the object store cannot be used now; `None` when all is well, or nothing is known yet.
    #[must_use]
    pub fn trouble(&self) -> Option<ObjectsTrouble> {
        self.0.lock().trouble.clone()
    }

    /// Runs and bytes in the spool that the object store lacks.
    #[must_use]
    pub fn waiting(&self) -> (usize, u64) {
        let known = self.0.lock();
        (known.waiting.len(), known.waiting.values().sum())
    }

    /// Whether the spool's disk has room for a new live beside `reserve` bytes; see [`SpoolRoom::takes_a_live`].
    /// A disk that does not say is taken to have room.
    pub async fn has_room(&self, reserve: u64) -> bool {
        let spool = self.0.places.spool.clone();
        let room = match blocking(move || SpoolRoom::of(&spool)).await {
            Ok(room) => room,
            Err(error) => {
                tracing::error!(%error, "the spool's disk does not say how much is free");
                return true;
            }
        };
        let mut known = self.0.lock();
        let takes = room.takes_a_live(reserve, known.full);
        if known.full == takes {
            tracing::warn!(
                free_bytes = room.free,
                reserve_bytes = reserve,
                "room for new lives: {takes}"
            );
        }
        known.full = !takes;
        takes
    }

    /// Goes on with what an earlier process left: runs to be sent or hashed, spool files that are stored.
    /// Also begins to watch the bucket. Once, after lives were resumed.
    ///
    /// # Errors
    /// The rows' failure.
    pub async fn take_up(&self) -> Result<(), StoreError> {
        for run in self.0.store.unstored_runs().await? {
            if let Some(place) = Place::from_row(&run.path) {
                self.take_up_run(run, &place);
            }
        }
        if let Some(bucket) = self.0.places.objects.s3() {
            if let Err(error) = self.sweep().await {
                tracing::error!(%error, "the spool was not searched for files that are stored");
            }
            let (inner, bucket) = (Arc::clone(&self.0), bucket.clone());
            self.0.tasks.spawn(async move { inner.watch(bucket).await });
        }
        Ok(())
    }

    fn take_up_run(&self, run: Run, place: &Place) {
        if self.0.lock().waiting.contains_key(&run.id) {
            return;
        }
        let key = place.key().clone();
        if self.0.places.objects.directory().is_some() {
            self.adopted(run.id, key);
            return;
        }
        if run.stored_at.is_some() {
            // Of a directory that was used before the bucket: not ours to hash.
            return;
        }
        match File::open(self.0.places.spool_path(&key)) {
            Ok(file) => self.send_final(run.id, key, Arc::new(file)),
            Err(error) => {
                tracing::error!(%error, run = %run.id, "a run that is to be sent is not in the spool; see griot check");
            }
        }
    }

    /// A run's file grows: where it goes to a bucket, the bucket gets it piece by piece.
    pub(super) fn grow(&self, run: RunId, key: ObjectKey, file: Arc<File>) -> Option<Feed> {
        let bucket = self.0.places.objects.s3()?.clone();
        let (feed, outlook) = watch::channel(Outlook::default());
        self.0.note_waiting(run, 0);
        let shipment = Shipment::new(Arc::clone(&self.0), bucket, run, key, file, outlook);
        let stopping = self.0.tasks.stopping();
        self.0.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = stopping.cancelled() => {}
                () = shipment.run() => {}
            }
        });
        Some(Feed(Arc::new(feed)))
    }

    /// A final file lies in the directory, or is to be moved there: hashes it in the background.
    pub(super) fn adopted(&self, run: RunId, key: ObjectKey) {
        let inner = Arc::clone(&self.0);
        let Some(directory) = inner.places.objects.directory().cloned() else {
            return;
        };
        let stopping = self.0.tasks.stopping();
        self.0.tasks.spawn(async move {
            tokio::select! {
                biased;
                // The next start does it.
                () = stopping.cancelled() => {}
                hashed = inner.hash(run, key, directory) => if let Err(error) = hashed {
                    tracing::error!(%error, %run, "a run could not be hashed; the next start tries again");
                }
            }
        });
    }

    /// `shelf` reads run `number` from the spool: tells it when the run is stored.
    pub(super) fn tell_when_stored(&self, run: RunId, number: u32, shelf: &Arc<RwLock<Shelf>>) {
        if self.0.places.objects.s3().is_none() {
            return;
        }
        let mut known = self.0.lock();
        let readers = known.readers.entry(run).or_default();
        readers.retain(|(shelf, _)| shelf.strong_count() > 0);
        readers.push((Arc::downgrade(shelf), number));
    }

    /// Deletes spool files whose object is stored: the crash came between the row and the deletion.
    async fn sweep(&self) -> Result<(), RenditionError> {
        let spool = self.0.places.spool.clone();
        let grown = blocking(move || Directory::open(spool)?.list("")).await?;
        for file in grown {
            let Some(key) = ObjectKey::parse(&file.path) else {
                continue;
            };
            let stored = Place::Object(key.clone()).to_row();
            let spooled = Place::Spool(key.clone()).to_row();
            if self.0.store.is_named_by_a_run(&stored).await?
                && !self.0.store.is_named_by_a_run(&spooled).await?
            {
                self.0.free(&key).await?;
            }
        }
        Ok(())
    }
}

impl Inner {
    /// A run's object is there, and its row says so: readers go there, and the spool's copy goes.
    pub(super) async fn stored(&self, run: RunId, key: &ObjectKey) -> Result<(), RenditionError> {
        self.nothing_waits(run);
        let readers = self.lock().readers.remove(&run).unwrap_or_default();
        let source = Source::Object(self.places.objects.clone(), key.clone());
        for (shelf, number) in readers {
            if let Some(shelf) = shelf.upgrade() {
                let mut shelf = shelf.write().unwrap_or_else(PoisonError::into_inner);
                shelf.set_source(number, &source);
            }
        }
        self.free(key).await
    }

    /// Deletes a file of the spool, and the folders that it leaves empty.
    pub(super) async fn free(&self, key: &ObjectKey) -> Result<(), RenditionError> {
        let (spool, key) = (self.places.spool.clone(), key.clone());
        blocking(move || Directory::open(spool)?.delete(&key)).await?;
        Ok(())
    }

    pub(super) fn note_waiting(&self, run: RunId, bytes: u64) {
        self.lock().waiting.insert(run, bytes);
        self.tell_waiting();
    }

    pub(super) fn nothing_waits(&self, run: RunId) {
        self.lock().waiting.remove(&run);
        self.tell_waiting();
    }

    fn tell_waiting(&self) {
        let known = self.lock();
        let bytes: u64 = known.waiting.values().sum();
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        let (bytes, runs) = (bytes as f64, known.waiting.len() as f64);
        metrics::gauge!("griot_objects_waiting_bytes").set(bytes);
        metrics::gauge!("griot_objects_waiting_runs").set(runs);
    }

    /// What an attempt at the bucket has come to.
    pub(super) fn note_outcome(&self, trouble: Option<&ObjectError>) {
        let trouble = trouble.map(|error| ObjectsTrouble {
            kind: error.word(),
            text: error.to_string(),
        });
        metrics::gauge!("griot_objects_up").set(if trouble.is_none() { 1.0 } else { 0.0 });
        let mut known = self.lock();
        if known.trouble != trouble {
            match &trouble {
                Some(trouble) => {
                    tracing::error!(kind = trouble.kind, "{}", trouble.text);
                }
                None => tracing::info!("the object store is well again"),
            }
            known.trouble = trouble;
        }
    }

    /// Asks the bucket now and then, so that health and metrics speak before the first recording does.
    async fn watch(&self, bucket: S3) {
        let stopping = self.tasks.stopping();
        loop {
            let asked = tokio::select! {
                biased;
                () = stopping.cancelled() => return,
                asked = bucket.look() => asked,
            };
            self.note_outcome(asked.as_ref().err());
            let pause = match asked {
                Ok(()) => LOOK_EVERY,
                Err(_) => LOOK_EVERY_IN_TROUBLE,
            };
            tokio::select! {
                biased;
                () = stopping.cancelled() => return,
                () = sleep(pause) => {}
            }
        }
    }

    async fn hash(
        &self,
        run: RunId,
        key: ObjectKey,
        directory: Directory,
    ) -> Result<(), RenditionError> {
        // Never closed.
        let _one_at_a_time = self.hashing.acquire().await;
        let (spool, path) = (self.places.spool_path(&key), directory.path(&key));
        let object = key.clone();
        let file = blocking(move || {
            if Path::exists(&spool) {
                directory.adopt(&spool, &object)?;
            }
            File::open(path)
        })
        .await?;
        let tree = tree_of_file(file).await?;
        let row = self.store.run(run).await?;
        if row.is_some_and(|row| row.stored_at.is_some()) {
            let change = RunChange {
                tree_sha256: Some(tree),
                ..RunChange::default()
            };
            self.store.update_run(run, &change).await?;
        } else {
            let path = Place::Object(key).to_row();
            self.store
                .store_run(run, &path, &tree, self.clock.now())
                .await?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
