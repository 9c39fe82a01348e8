//! `griot check`: do the rows of recordings, the spool and the object store agree?
//!
//! Rows to files: the file of each run is there, as long as its row says, with its boxes where they belong.
//! Files to rows: nothing lies in the spool, among the media or half sent in the bucket that no row names.
//! The same of the files of which videos are made, and of their jobs.
//! A server may run meanwhile: what looks wrong is looked at again. With `--mend` none may.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;

use super::{mend, originals, output};
use crate::app::{Config, DataDir, Rooms};
use crate::base::{LiveId, MediaId, RecordingId, RunId};
use crate::fmp4;
use crate::objects::{Directory, ObjectKey, UploadId};
use crate::rendition::{Place, Places};
use crate::store::{JobState, RecordingState, Run, RunState, Store, WholeRecording};

#[derive(Debug, Args)]
pub(super) struct Check {
    /// Removes what no row names, and sets rows right that can be. No server may run on the data folder.
    #[arg(long)]
    mend: bool,
}

/// What kind of disagreement it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// A row names what is not there.
    Missing,
    /// It is there, and shorter or longer than its row says.
    Length,
    /// It is there, and not what its row says.
    Damaged,
    /// It is there, and no row names it.
    Orphan,
    /// A row says what cannot be any more.
    Stale,
}

/// One disagreement.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Problem {
    kind: Kind,
    /// As rows name it: `spool:…`, `object:…`; `upload:…` for what is half sent, `original:…` for what a video is made of.
    pub(super) path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<LiveId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    media: Option<MediaId>,
    /// A sentence; also said on stderr.
    pub(super) text: String,
    #[serde(skip)]
    pub(super) remedy: Option<Remedy>,
}

impl Problem {
    /// A file of which a video would be made, if there were a job.
    pub(super) fn idle_original(path: PathBuf, media: MediaId) -> Self {
        Self {
            kind: Kind::Orphan,
            path: format!("original:{media}"),
            live: None,
            media: Some(media),
            text: format!(
                "nothing more is made of the file that was sent for video {media}; the next start removes it"
            ),
            remedy: Some(Remedy::RemoveOriginal(path)),
        }
    }

    /// A job that needs a file which is gone.
    pub(super) fn lost_original(media: MediaId) -> Self {
        Self {
            kind: Kind::Missing,
            path: format!("original:{media}"),
            live: None,
            media: Some(media),
            text: format!("the file of which video {media} is to be made is not there"),
            remedy: None,
        }
    }
}

/// What sets a disagreement right without touching media that a row names.
#[derive(Clone, Debug)]
pub(super) enum Remedy {
    /// A file of the spool goes.
    RemoveSpooled(String),
    /// An object goes.
    RemoveObject(String),
    /// A file of which nothing more is made goes.
    RemoveOriginal(PathBuf),
    /// An upload is aborted.
    Abort(String, UploadId),
    /// The next start makes the recording final.
    Finish(RecordingId),
    /// The row of a run without media goes.
    Discard(RunId),
}

/// What was found. Printed as one line of JSON.
#[derive(Debug, Default, Serialize)]
struct Report {
    recordings: usize,
    runs: usize,
    /// Files of members' media.
    media_files: usize,
    /// What was made of recordings: films in the format of the web, pictures.
    recording_files: usize,
    /// Of all files that a row names.
    bytes: u64,
    /// None: all is well.
    problems: Vec<Problem>,
    /// What `--mend` has done, as sentences.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mended: Vec<String>,
}

pub(super) async fn check(config: &Config, command: Check) -> anyhow::Result<ExitCode> {
    let folder = DataDir::open_or_create(&config.data_dir)?;
    let lock = folder.try_lock()?;
    if command.mend && lock.is_none() {
        bail!(
            "a server runs on the data folder {}; stop it before --mend",
            folder.path().display()
        );
    }
    // A mere look keeps no server from starting.
    let lock = lock.filter(|_| command.mend);
    let rooms = Rooms::open(config, &mut |_| {}).await?;
    let places = rooms.places(config)?;
    let report = look_and_mend(&rooms, &places, command.mend).await;
    rooms.close().await;
    drop(lock);
    let report = report?;
    for problem in &report.problems {
        eprintln!("{}", problem.text);
    }
    output::json(&report)?;
    Ok(if report.problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn look_and_mend(rooms: &Rooms, places: &Places, mends: bool) -> anyhow::Result<Report> {
    let report = compare(rooms, places).await?;
    if !mends {
        return Ok(report);
    }
    let mut mended = Vec::new();
    for problem in &report.problems {
        mended.extend(mend::mend(&rooms.store, places, problem).await?);
    }
    let mut after = compare(rooms, places).await?;
    after.mended = mended;
    Ok(after)
}

/// All that lies anywhere, by path below its root, with its length.
struct Inventory {
    spool: BTreeMap<String, u64>,
    objects: BTreeMap<String, u64>,
}

impl Inventory {
    async fn take(places: &Places) -> anyhow::Result<Self> {
        let below = |listed: Vec<crate::objects::Listed>| {
            let paths = listed.into_iter();
            paths.map(|object| (object.path, object.bytes)).collect()
        };
        let spool = Directory::open(&places.spool)
            .and_then(|spool| spool.list(""))
            .with_context(|| format!("the spool {} cannot be read", places.spool.display()))?;
        let objects = places.objects.list_all("").await;
        let objects = objects
            .with_context(|| format!("the media in {} cannot be listed", places.objects.shown()))?;
        Ok(Self {
            spool: below(spool),
            objects: below(objects),
        })
    }

    fn length(&self, place: &Place) -> Option<u64> {
        match place {
            Place::Spool(key) => self.spool.get(key.as_str()),
            Place::Object(key) => self.objects.get(key.as_str()),
        }
        .copied()
    }
}

async fn compare(rooms: &Rooms, places: &Places) -> anyhow::Result<Report> {
    let store = &rooms.store;
    // Files before rows: a server may be running, and writes a file before its row.
    let there = Inventory::take(places).await?;
    let mut report = Report::default();
    let mut named = HashSet::new();
    for state in [
        RecordingState::Recording,
        RecordingState::Finishing,
        RecordingState::Ready,
        RecordingState::Failed,
    ] {
        for recording in store.recordings_in(state).await? {
            let whole = store.whole_recording(recording).await?;
            report.recordings += 1;
            check_recording(store, places, &there, &whole, &mut report).await?;
            named.extend(whole.runs.iter().map(|run| run.path.clone()));
        }
    }
    check_media(store, places, &there, &mut report).await?;
    check_made(store, places, &there, &mut named, &mut report).await?;
    orphans(store, places, &there, &named, &mut report).await?;
    report.problems.extend(originals::check(rooms).await?);
    Ok(report)
}

async fn check_recording(
    store: &Store,
    places: &Places,
    there: &Inventory,
    whole: &WholeRecording,
    report: &mut Report,
) -> anyhow::Result<()> {
    let state = whole.recording.state;
    let (live, media) = (whole.recording.live_id, whole.recording.media_id);
    let owner = match (live, media) {
        (Some(live), _) => format!("live {live}"),
        (None, Some(media)) => format!("video {media}"),
        (None, None) => "nobody".to_owned(),
    };
    if state == RecordingState::Ready && whole.runs.is_empty() {
        report.problems.push(Problem {
            kind: Kind::Stale,
            path: owner.replace(' ', ":"),
            live,
            media,
            text: format!("{owner}: its recording is ready and has no file"),
            // A video's is made by its job, which a start does not begin anew.
            remedy: live.map(|_| Remedy::Finish(whole.recording.id)),
        });
    }
    for run in &whole.runs {
        report.runs += 1;
        let mut verdict = check_run(places, there, run, &whole.recording);
        if verdict.is_err() {
            // A server that runs may have moved or finished it since; a crash before the row moved it, too.
            let run = store.run(run.id).await?.unwrap_or_else(|| run.clone());
            verdict = check_run(
                places,
                &Inventory::take(places).await?,
                &run,
                &whole.recording,
            );
        }
        match verdict {
            Ok(bytes) => report.bytes += bytes,
            Err(mut problem) => {
                (problem.live, problem.media) = (live, media);
                let which = match media {
                    Some(_) => format!("rendition {}", run.rendition),
                    None => format!("{} run {}", run.rendition, run.number),
                };
                problem.text = format!("{owner}, {which}: {}", problem.text);
                report.problems.push(*problem);
            }
        }
    }
    Ok(())
}

/// The length of a run's file, or what is wrong with it.
fn check_run(
    places: &Places,
    there: &Inventory,
    run: &Run,
    recording: &crate::store::Recording,
) -> Result<u64, Box<Problem>> {
    let problem = |kind, text: String, remedy| {
        Box::new(Problem {
            kind,
            path: run.path.clone(),
            live: None,
            media: None,
            text,
            remedy,
        })
    };
    let Some(mut place) = Place::from_row(&run.path) else {
        let text = format!("its row names the unknown place {}", run.path);
        return Err(problem(Kind::Stale, text, None));
    };
    let moved = Place::Object(place.key().clone());
    if run.state == RunState::Growing && there.length(&place).is_none() {
        // Moved among the objects by a crash that came before the row: the next start takes it back.
        if there.length(&moved).is_some() {
            place = moved;
        }
    }
    let failed = recording.state == RecordingState::Failed;
    let noted = u64::try_from(run.bytes).unwrap_or_default();
    let Some(length) = there.length(&place) else {
        // A run without a single segment is nobody's media.
        let empty = run.state == RunState::Growing && run.bytes <= run.head_bytes;
        if failed && !empty {
            // A recording that failed says itself that nothing can be played.
            return Ok(0);
        }
        let remedy = empty.then_some(Remedy::Discard(run.id));
        return Err(problem(
            Kind::Missing,
            "its file is not there".to_owned(),
            remedy,
        ));
    };
    match run.state {
        RunState::Growing if failed || recording.state == RecordingState::Ready => {
            let (text, remedy) = match recording.live_id {
                Some(_) => (
                    "its file was never made final; the next start can",
                    Remedy::Finish(recording.id),
                ),
                // Nobody ever played it, and no job will go on with it.
                None => ("it was never finished", Remedy::Discard(run.id)),
            };
            let (text, remedy) = (text.to_owned(), Some(remedy));
            return Err(problem(Kind::Stale, text, remedy));
        }
        RunState::Growing if length < noted => {
            let text = format!("its file has {length} bytes, its segments need {noted}");
            return Err(problem(Kind::Length, text, None));
        }
        RunState::Final if length != noted => {
            let text = format!("its file has {length} bytes, its row says {noted}");
            return Err(problem(Kind::Length, text, None));
        }
        RunState::Growing | RunState::Final => {}
    }
    if let Some(path) = places.path(&place)
        && let Err(wrong) = boxes(&path, run.state)
    {
        return Err(problem(Kind::Damaged, wrong, None));
    }
    Ok(length)
}

/// Whether head and index are where they belong; reads a few KiB. No media is opened: that takes a player.
fn boxes(path: &std::path::Path, state: RunState) -> Result<(), String> {
    let unreadable = |error: io::Error| format!("its file cannot be read: {error}");
    let mut file = File::open(path).map_err(unreadable)?;
    let head = fmp4::scan_head(&mut file).map_err(|error| error.to_string())?;
    if state == RunState::Growing {
        return Ok(());
    }
    let Some(end) = head.finalised_end else {
        return Err("its file is not final, its row says so".to_owned());
    };
    let mut header = [0; 8];
    let read = file
        .seek(SeekFrom::Start(end))
        .and_then(|_| file.read_exact(&mut header));
    let length = file.metadata().map_err(unreadable)?.len();
    let size = u64::from(u32::from_be_bytes([
        header[0], header[1], header[2], header[3],
    ]));
    match read {
        Ok(()) if header[4..] == *b"moov" && end + size == length => Ok(()),
        _ => Err("its file has no index at its end".to_owned()),
    }
}

/// Members' media: the object of each file is there, as long as its row says.
async fn check_media(
    store: &Store,
    places: &Places,
    there: &Inventory,
    report: &mut Report,
) -> anyhow::Result<()> {
    for file in store.every_media_file().await? {
        report.media_files += 1;
        let noted = u64::try_from(file.bytes).unwrap_or_default();
        let mut length = there.objects.get(&file.path).copied();
        if length != Some(noted) {
            // A server that runs may have made or deleted it since.
            let files = store.media_files(file.media_id).await?;
            if !files.contains(&file) {
                continue;
            }
            length = match ObjectKey::parse(&file.path) {
                Some(key) => places.objects.head(&key).await.ok(),
                None => None,
            };
        }
        let (kind, text) = match length {
            Some(length) if length == noted => {
                report.bytes += length;
                continue;
            }
            Some(length) => (
                Kind::Length,
                format!("it has {length} bytes, its row says {noted}"),
            ),
            None => (Kind::Missing, "it is not there".to_owned()),
        };
        report.problems.push(Problem {
            kind,
            path: format!("object:{}", file.path),
            live: None,
            media: None,
            text: format!("medium {}, {}: {text}", file.media_id, file.name),
            remedy: None,
        });
    }
    Ok(())
}

/// What was made of recordings: the object of each file is there, as long as its row says.
async fn check_made(
    store: &Store,
    places: &Places,
    there: &Inventory,
    named: &mut HashSet<String>,
    report: &mut Report,
) -> anyhow::Result<()> {
    for file in store.every_recording_file().await? {
        report.recording_files += 1;
        let path = format!("object:{}", file.path);
        named.insert(path.clone());
        let noted = u64::try_from(file.bytes).unwrap_or_default();
        let mut length = there.objects.get(&file.path).copied();
        if length != Some(noted) {
            // A server that runs may have made it anew since.
            if !store
                .recording_files(file.recording_id)
                .await?
                .contains(&file)
            {
                continue;
            }
            length = match ObjectKey::parse(&file.path) {
                Some(key) => places.objects.head(&key).await.ok(),
                None => None,
            };
        }
        let (kind, text) = match length {
            Some(length) if length == noted => {
                report.bytes += length;
                continue;
            }
            Some(length) => (
                Kind::Length,
                format!("it has {length} bytes, its row says {noted}"),
            ),
            None => (Kind::Missing, "it is not there".to_owned()),
        };
        report.problems.push(Problem {
            kind,
            path,
            live: None,
            media: None,
            text: format!("recording {}, {}: {text}", file.recording_id, file.name),
            remedy: None,
        });
    }
    Ok(())
}

/// The live below whose keys an object lies.
fn live_of(path: &str) -> Option<LiveId> {
    let (id, _) = path.strip_prefix("lives/")?.split_once('/')?;
    id.parse().ok()
}

/// Whether a job is at work on a live's recording: an object that it has made gets its row in a moment.
async fn is_being_made(store: &Store, live: LiveId, path: &str) -> anyhow::Result<bool> {
    let Some(whole) = store.recording_of(live).await? else {
        return Ok(false);
    };
    if whole.files.iter().any(|file| file.path == path) {
        return Ok(true);
    }
    let subject = format!("recording:{}", whole.recording.id);
    let jobs = store.jobs_about(&subject).await?;
    Ok(jobs.iter().any(|job| job.state == JobState::Running))
}

/// The medium below whose keys an object lies.
fn medium_of(path: &str) -> Option<MediaId> {
    let (id, _) = path.strip_prefix("media/")?.split_once('/')?;
    id.parse().ok()
}

/// What no row names.
async fn orphans(
    store: &Store,
    places: &Places,
    there: &Inventory,
    named: &HashSet<String>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let spooled = there.spool.keys().map(|path| (path, true));
    let stored = there.objects.keys().map(|path| (path, false));
    for (path, in_spool) in spooled.chain(stored) {
        let at = if in_spool { "spool" } else { "object" };
        let row = format!("{at}:{path}");
        if named.contains(&row) || is_named_now(store, path, &row, in_spool).await? {
            continue;
        }
        let key = ObjectKey::parse(path);
        let gone = match (&key, in_spool) {
            (Some(key), true) => !places.spool_path(key).exists(),
            (Some(key), false) => places.objects.head(key).await.is_err(),
            (None, _) => false,
        };
        if gone {
            continue;
        }
        report.problems.push(Problem {
            kind: Kind::Orphan,
            text: format!("no row names {row}"),
            path: row,
            live: None,
            media: None,
            remedy: Some(if in_spool {
                Remedy::RemoveSpooled(path.clone())
            } else {
                Remedy::RemoveObject(path.clone())
            }),
        });
    }
    half_sent(store, places, named, report).await
}

/// Uploads that no row names.
async fn half_sent(
    store: &Store,
    places: &Places,
    named: &HashSet<String>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let Some(bucket) = places.objects.s3() else {
        return Ok(());
    };
    let mut pending: BTreeMap<String, String> = BTreeMap::new();
    // MinIO lists uploads of one key only, others all that begin with it: so both are asked.
    let keys = named.iter().filter_map(|row| Place::from_row(row));
    let keys = keys.map(|place| place.key().to_string());
    for below in std::iter::once(String::new()).chain(keys) {
        let listed = bucket.uploads(&below).await;
        let listed = listed.context("what is half sent to the bucket cannot be listed")?;
        pending.extend(listed.into_iter().map(|upload| (upload.id.0, upload.path)));
    }
    // Rows after uploads: a server that runs writes them in this order, too, but only milliseconds apart.
    for known in store.run_uploads().await? {
        pending.remove(&known.upload_id);
    }
    for (id, path) in pending {
        report.problems.push(Problem {
            kind: Kind::Orphan,
            path: format!("upload:{path}"),
            live: None,
            media: None,
            text: format!("no row names an upload of {path}"),
            remedy: Some(Remedy::Abort(path, UploadId(id))),
        });
    }
    Ok(())
}

/// Whether a row names it by now: a server may have written it since, or be about to move the file on.
async fn is_named_now(
    store: &Store,
    path: &str,
    row: &str,
    in_spool: bool,
) -> anyhow::Result<bool> {
    if store.is_named_by_a_run(row).await? {
        return Ok(true);
    }
    if !in_spool && store.portrait_since(path).await?.is_some() {
        return Ok(true);
    }
    // What is being made has no row of its own yet, what is garbage none any more: both have their medium's.
    if let (false, Some(medium)) = (in_spool, medium_of(path))
        && store.knows_media(medium).await?
    {
        return Ok(true);
    }
    if let (false, Some(live)) = (in_spool, live_of(path))
        && is_being_made(store, live, path).await?
    {
        return Ok(true);
    }
    // A growing run's file that a crash left among the objects is taken back by the next start.
    let spooled = format!("spool:{path}");
    Ok(!in_spool && store.is_named_by_a_run(&spooled).await?)
}
