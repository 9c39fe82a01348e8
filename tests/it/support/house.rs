//! The rooms that make videos, put together without HTTP: rows, objects, jobs, children of the real program.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use griot::base::{Clock, IdMaker, MediaId, Secret, Tasks, UserId};
use griot::jobs::{self, Jobs, Registry, Workers};
use griot::media::video::{Config, Video, Videos};
use griot::media::video::{Refused, Verdict};
use griot::objects::{Directory, Objects};
use griot::pipeline::{self, Host};
use griot::rendition::{MediaBytes, Places, Sending};
use griot::store::{
    self, Media, MediaKind, MediaState, NewMedia, NewUser, RecordingState, Role, Store,
};
use tempfile::TempDir;

use super::eventually;

/// The longest video that [`House::send`] lets in: what a resumable upload takes by default.
pub(crate) const FOUR_HOURS_MS: u64 = 4 * 3_600_000;

/// Rooms over a folder of their own.
pub(crate) struct House {
    /// Its rows.
    pub(crate) store: Store,
    /// Where its media lie.
    pub(crate) places: Places,
    /// The service.
    pub(crate) videos: Videos,
    workers: Option<Workers>,
    jobs: Jobs,
    ids: IdMaker,
    clock: Clock,
    folder: TempDir,
}

impl House {
    /// With its media in a directory.
    pub(crate) async fn new() -> Self {
        Self::with(None).await
    }

    /// With its media in `objects`.
    pub(crate) async fn with(objects: Option<Objects>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = format!("sqlite:{}", folder.path().join("griot.db").display());
        let store = Store::open(&store::Config { url })
            .await
            .expect("a database");
        let clock = Clock::system();
        let ids = IdMaker::new(clock.clone());
        let spool = folder.path().join("spool");
        std::fs::create_dir(&spool).expect("a folder");
        let in_folder = || {
            Objects::Directory(Directory::open(folder.path().join("objects")).expect("a folder"))
        };
        let places = Places {
            spool,
            objects: objects.unwrap_or_else(in_folder),
        };
        let tasks = Tasks::default();
        let sending = Sending::new(store.clone(), places.clone(), clock.clone(), tasks);
        let jobs = Jobs::new(store.clone(), clock.clone(), ids.clone(), "here".to_owned());
        let config = Config {
            originals: folder.path().join("originals"),
        };
        let videos = Videos::new(
            config,
            host(),
            store.clone(),
            sending,
            jobs.clone(),
            clock.clone(),
            ids.clone(),
        );
        let mut registry = Registry::default();
        videos.register(&mut registry);
        let settings = jobs::Config {
            workers: 3,
            first_pause: Duration::from_millis(200),
            ..jobs::Config::default()
        };
        let workers = Workers::start(&jobs, registry, settings);
        let member = NewUser {
            id: UserId(1),
            username: "awa".to_owned(),
            email: "awa@example.org".to_owned(),
            password_hash: Secret::new("none"),
            first_name: String::new(),
            last_name: String::new(),
            phone_number: String::new(),
            date_of_birth: None,
            bio: String::new(),
            quartier_id: None,
            role: Role::User,
            search: String::new(),
            at: clock.now(),
        };
        store.create_user(&member).await.expect("a member");
        Self {
            store,
            places,
            videos,
            workers: Some(workers),
            jobs,
            ids,
            clock,
            folder,
        }
    }

    /// What becomes of a file that was sent; nothing is done yet when it is accepted.
    pub(crate) async fn judge(&self, file: &Path, most_ms: u64) -> (MediaId, Verdict) {
        let longest = Duration::from_millis(most_ms);
        let id = MediaId(self.ids.next());
        let verdict = self.videos.judge(file, id, longest).await;
        (id, verdict.expect("the file can be judged"))
    }

    /// Why a file is refused.
    pub(crate) async fn refusal(&self, file: &Path, most_ms: u64) -> Refused {
        match self.judge(file, most_ms).await.1 {
            Verdict::Refused(why) => why,
            Verdict::Accepted(what) => panic!("{} was accepted: {what:?}", file.display()),
        }
    }

    /// Sends a file that is accepted; its jobs begin.
    pub(crate) async fn send(&self, file: &Path) -> MediaId {
        let (id, verdict) = self.judge(file, FOUR_HOURS_MS).await;
        let Verdict::Accepted(accepted) = verdict else {
            panic!("{} was refused: {verdict:?}", file.display());
        };
        let new = NewMedia {
            id,
            owner_id: UserId(1),
            public_id: format!("public-{id}"),
            kind: MediaKind::Video,
            title: "Le marché".to_owned(),
            description: String::new(),
            original_name: String::new(),
            content_type: "video/mp4".to_owned(),
            bytes: 1,
            live_id: None,
            at: self.clock.now(),
        };
        self.store.create_media(&new).await.expect("a row");
        self.videos.begin(&accepted).await.expect("a job");
        id
    }

    /// Waits until a video has left `Processing`.
    pub(crate) async fn when_judged(&self, id: MediaId) -> Media {
        eventually(&format!("video {id} is made"), || async {
            let media = self.store.media(id).await.expect("rows").expect("its row");
            match media.state {
                MediaState::Processing => Err(self.jobs.about(&format!("media:{id}")).await),
                _ => Ok(media),
            }
        })
        .await
    }

    /// Waits until nothing more is made of a video.
    pub(crate) async fn when_complete(&self, id: MediaId) -> Media {
        eventually(&format!("video {id} is complete"), || async {
            let whole = self.store.recording_of_media(id).await.expect("rows");
            match whole.map(|whole| whole.recording.state) {
                Some(RecordingState::Ready) => Ok(()),
                state => Err((state, self.jobs.about(&format!("media:{id}")).await)),
            }
        })
        .await;
        self.store.media(id).await.expect("rows").expect("its row")
    }

    /// A video as its viewers have it.
    pub(crate) async fn open(&self, media: &Media) -> std::sync::Arc<Video> {
        self.videos
            .playback(&media.public_id)
            .await
            .expect("it plays")
    }

    /// Every file below the folder of the house, but the database's, by path; and every object of a bucket.
    pub(crate) async fn everything(&self) -> Vec<String> {
        let mut all = Vec::new();
        for folder in ["spool", "originals"] {
            collect(&self.folder.path().join(folder), folder, &mut all);
        }
        let objects = self.places.objects.list_all("").await.expect("a list");
        all.extend(objects.into_iter().map(|object| object.path));
        all.sort();
        all
    }

    /// Stops the workers.
    pub(crate) async fn close(mut self) {
        if let Some(workers) = self.workers.take() {
            workers.stop_and_wait().await;
        }
    }
}

fn collect(folder: &Path, name: &str, all: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect(&entry.path(), &name, all);
        } else {
            all.push(name);
        }
    }
}

/// Children of the program under test, few at a time, with one registry for all tests of this binary.
pub(crate) fn host() -> Host {
    static HOST: OnceLock<Host> = OnceLock::new();
    HOST.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pipeline");
        Host::new(pipeline::Config {
            program: PathBuf::from(env!("CARGO_BIN_EXE_griot")),
            max_heavy: 2,
            ..pipeline::Config::in_folder(folder)
        })
    })
    .clone()
}

/// All bytes of a medium.
pub(crate) async fn bytes_of(media: &MediaBytes) -> Vec<u8> {
    match media {
        MediaBytes::Memory(bytes) => bytes.to_vec(),
        MediaBytes::File(range) => {
            let mut all = Vec::new();
            while (all.len() as u64) < range.length {
                all.extend_from_slice(&range.read(all.len() as u64).expect("a file"));
            }
            all
        }
        MediaBytes::Object(range) => {
            let stream = range.open().await.expect("an object");
            stream.collect().await.expect("all of it").to_vec()
        }
    }
}
