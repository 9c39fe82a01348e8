//! Starts children and supervises them.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::process::Command;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

use super::error::PipelineError;
use super::feed::Feed;
use super::limits::{Kind, Limits};
use super::live_plan::LadderTask;
use super::plan::{Picture, Transcode, Webm};
use super::plugins::{Missing, Plugins};
use super::process::Child;
use super::report::ProbeReport;
use super::running::{Output, Running};
use super::wire::{Message, Task, VERSION, Work};

/// The most pictures of one call.
const MAX_PICTURES: usize = 1_024;

/// What an operator may set, and what tests replace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The folder of the registry; made when it is not there.
    pub folder: PathBuf,
    /// What is started; `/proc/self/exe` but in tests.
    pub program: PathBuf,
    /// Children at a time that look at files, read them or draw: little CPU.
    pub max_light: usize,
    /// Children at a time that transcode: each takes whole cores.
    pub max_heavy: usize,
    /// Replaces the deadline of every kind that has one.
    pub deadline: Option<Duration>,
    /// Replaces the longest silence of every kind.
    pub silence: Option<Duration>,
    /// Replaces the address space of every kind, bytes.
    pub memory_bytes: Option<u64>,
    /// Replaces the seconds of CPU of every kind.
    pub cpu_s: Option<u64>,
}

impl Config {
    /// The defaults, with the registry in `folder`.
    #[must_use]
    pub fn in_folder(folder: PathBuf) -> Self {
        Self {
            folder,
            program: PathBuf::from("/proc/self/exe"),
            max_light: 4,
            max_heavy: 1,
            deadline: None,
            silence: None,
            memory_bytes: None,
            cpu_s: None,
        }
    }
}

/// Runs GStreamer in children. Clones share the number of children and what is known of the machine.
///
/// A call waits for a place first: at most [`Config::max_light`] and [`Config::max_heavy`] children run. A call that is
/// dropped kills its child. The file must be a regular one; the child gets it as a descriptor that can only be read, so
/// it may be unlinked meanwhile.
#[derive(Clone, Debug)]
pub struct Host {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    light: Arc<Semaphore>,
    heavy: Arc<Semaphore>,
    /// One of those that nobody waits for: beside the others, and with what they leave of the processors.
    idle: Arc<Semaphore>,
    /// The plugins whose registry is known to be whole.
    checked: Mutex<Option<(Plugins, Vec<Missing>)>>,
}

impl Host {
    /// A host; nothing is started and nothing is written before the first call.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let places = |max: usize| Arc::new(Semaphore::new(max.clamp(1, 1_000)));
        Self {
            inner: Arc::new(Inner {
                light: places(config.max_light),
                heavy: places(config.max_heavy),
                idle: places(1),
                checked: Mutex::new(None),
                config,
            }),
        }
    }

    /// The elements that this machine lacks, none when all is well. Makes the registry when there is none.
    ///
    /// # Errors
    /// No child can be started, or the filter cannot be installed here.
    pub async fn missing(&self) -> Result<Vec<Missing>, PipelineError> {
        self.plugins().await.map(|(_, missing)| missing)
    }

    /// Looks at a file: seconds at most for usual ones.
    ///
    /// # Errors
    /// [`PipelineError::Refused`] says what is wrong with the file.
    pub async fn probe(&self, file: File) -> Result<ProbeReport, PipelineError> {
        let mut running = self.start(Work::Probe, Some(file), 0).await?;
        let mut found = None;
        while let Some(output) = running.next().await? {
            if let Output::Report(report) = output {
                found = Some(*report);
            }
        }
        found.ok_or(PipelineError::Protocol("no report"))
    }

    /// The encoded frames of the best picture and the best sound as they are, all of rung 0, in decoding order.
    ///
    /// # Errors
    /// No child can be started; what is wrong with the file comes from [`Running::next`].
    pub async fn demux(&self, file: File) -> Result<Running, PipelineError> {
        self.start(Work::Demux, Some(file), 0).await
    }

    /// Decodes the file once and encodes every rung of the plan.
    ///
    /// # Errors
    /// The plan is out of range, or no child can be started.
    pub async fn transcode(&self, file: File, plan: Transcode) -> Result<Running, PipelineError> {
        plan.check()
            .map_err(|what| PipelineError::Failed(what.to_owned()))?;
        let duration_ms = plan.duration_ms;
        self.start(Work::Transcode(plan), Some(file), duration_ms)
            .await
    }

    /// Pictures at (the key frames before) `times_ms`, at most 1,024, upright, at most `width` pixels wide, as JPEG.
    /// A time behind the end gives no picture.
    ///
    /// # Errors
    /// The file has no picture that decodes, among others.
    pub async fn pictures(
        &self,
        file: File,
        times_ms: Vec<u64>,
        width: u32,
    ) -> Result<Vec<Picture>, PipelineError> {
        if times_ms.len() > MAX_PICTURES || !(16..=4_096).contains(&width) {
            return Err(PipelineError::Failed(
                "too many pictures, or too wide".to_owned(),
            ));
        }
        let asked = times_ms.len();
        let work = Work::Pictures { times_ms, width };
        let mut running = self.start(work, Some(file), 0).await?;
        let mut pictures = Vec::new();
        while let Some(output) = running.next().await? {
            if let Output::Picture(picture) = output {
                if pictures.len() == asked {
                    return Err(PipelineError::Protocol("more pictures than were asked for"));
                }
                pictures.push(picture);
            }
        }
        Ok(pictures)
    }

    /// Decodes the file once and encodes VP8 and Opus, as one rung: outputs are those of [`Host::transcode`], but that
    /// there is no [`Output::Track`] of the picture. Pictures keep the source's times; the first packet of Opus, which
    /// holds what a decoder throws away, has the time of the first sound that is heard.
    ///
    /// # Errors
    /// The plan is out of range, or no child can be started.
    pub async fn webm(&self, file: File, plan: Webm) -> Result<Running, PipelineError> {
        plan.check()
            .map_err(|what| PipelineError::Failed(what.to_owned()))?;
        self.start(Work::Webm(plan), Some(file), plan.duration_ms)
            .await
    }

    /// A child that is given frames while it works. It waits for no place: a live cannot.
    pub(super) async fn start_fed(
        &self,
        task: LadderTask,
        feed: Arc<Feed>,
    ) -> Result<Running, PipelineError> {
        let plugins = self.whole_plugins().await?;
        self.spawn(&plugins, Work::Ladder(task), None, 0, None)
            .map(|running| running.fed_by(feed))
    }

    async fn start(
        &self,
        work: Work,
        file: Option<File>,
        duration_ms: u64,
    ) -> Result<Running, PipelineError> {
        let places = match work {
            Work::Transcode(_) => &self.inner.heavy,
            Work::Webm(_) => &self.inner.idle,
            _ => &self.inner.light,
        };
        let place = Arc::clone(places)
            .acquire_owned()
            .await
            .map_err(|_| PipelineError::System("the host is closed".to_owned()))?;
        let plugins = self.whole_plugins().await?;
        self.spawn(&plugins, work, file, duration_ms, Some(place))
    }

    /// The plugins of this machine, when nothing is missing that everything needs.
    async fn whole_plugins(&self) -> Result<Plugins, PipelineError> {
        let (plugins, missing) = self.plugins().await?;
        let needed: Vec<Missing> = missing
            .into_iter()
            .filter(|missing| missing.is_needed)
            .collect();
        if !needed.is_empty() {
            return Err(PipelineError::Unavailable(Missing::sentence(&needed)));
        }
        Ok(plugins)
    }

    /// The plugins of this machine as they are now, checked once for each version of GStreamer.
    async fn plugins(&self) -> Result<(Plugins, Vec<Missing>), PipelineError> {
        // Held while the check runs: all who come meanwhile need its result.
        let mut checked = self.inner.checked.lock().await;
        let home = self.inner.config.folder.clone();
        let plugins = tokio::task::spawn_blocking(move || Plugins::prepare(&home))
            .await
            .map_err(|error| PipelineError::System(error.to_string()))??;
        if let Some((known, missing)) = &*checked
            && *known == plugins
            && plugins.has_registry()
        {
            return Ok((plugins, missing.clone()));
        }
        let mut running = self.spawn(&plugins, Work::Check, None, 0, None)?;
        while running.next().await?.is_some() {}
        let names = running.missing();
        let missing: Vec<Missing> = names.iter().filter_map(|name| Missing::of(name)).collect();
        *checked = Some((plugins.clone(), missing.clone()));
        Ok((plugins, missing))
    }

    fn spawn(
        &self,
        plugins: &Plugins,
        work: Work,
        file: Option<File>,
        duration_ms: u64,
        place: Option<OwnedSemaphorePermit>,
    ) -> Result<Running, PipelineError> {
        let kind = work.kind();
        let system = |error: io::Error| PipelineError::System(error.to_string());
        let file = file.map(|file| read_only(&file)).transpose();
        let file = file.map_err(system)?;
        let bytes = file.as_ref().map(File::metadata).transpose();
        let bytes = bytes.map_err(system)?.map_or(0, |metadata| metadata.len());
        let mut limits = Limits::of(kind, bytes, duration_ms);
        if kind != Kind::Check {
            let config = &self.inner.config;
            // A live has none.
            if kind != Kind::Ladder {
                limits.deadline = config.deadline.unwrap_or(limits.deadline);
            }
            limits.silence = config.silence.unwrap_or(limits.silence);
            limits.memory_bytes = config.memory_bytes.unwrap_or(limits.memory_bytes);
            limits.cpu_s = config.cpu_s.unwrap_or(limits.cpu_s);
        }
        let task = Message::Task(Task {
            version: VERSION,
            limits,
            work: work.clone(),
        });
        self.spawn_with(plugins, kind, &task.encode(), file.as_ref())
            .map_err(system)
            .map(|child| Running::new(child, work, limits, place))
    }

    fn spawn_with(
        &self,
        plugins: &Plugins,
        kind: Kind,
        task: &[u8],
        file: Option<&File>,
    ) -> io::Result<Child> {
        let (ours, theirs) = UnixStream::pair()?;
        let (said, say) = io::pipe()?;
        // A thread of the runtime starts it, which lives as long as the runtime: the child asks to be killed when it ends.
        let process = Command::new(&self.inner.config.program)
            .args(["pipeline", kind.as_str()])
            .env_clear()
            .envs(plugins.environment(kind == Kind::Check))
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            // Libraries print on it.
            .stdout(Stdio::from(OwnedFd::from(say.try_clone()?)))
            .stderr(Stdio::from(OwnedFd::from(say)))
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let child = Child::new(process, ours.try_clone()?, said.into())?;
        match send(&ours, task, file) {
            // It has ended already; its status says more than the socket.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(child),
            sent => sent.map(|()| child),
        }
    }
}

/// The same file, opened again: its own offset, and no way to write.
fn read_only(file: &File) -> io::Result<File> {
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// The task, with the file beside its first byte. Both fit into an empty socket.
fn send(socket: &UnixStream, task: &[u8], file: Option<&File>) -> io::Result<()> {
    let mut sent = 0;
    if let Some(file) = file {
        let files = [std::os::fd::AsFd::as_fd(file)];
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        if !beside.push(SendAncillaryMessage::ScmRights(&files)) {
            return Err(io::Error::other("no space for a descriptor"));
        }
        let bytes = [io::IoSlice::new(task)];
        sent = sendmsg(socket, &bytes, &mut beside, SendFlags::NOSIGNAL)?;
    }
    while sent < task.len() {
        sent += rustix::net::send(socket, &task[sent..], SendFlags::NOSIGNAL)?;
    }
    Ok(())
}
