//! A child process that dies with its owner and keeps what it said.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::timeout;

use super::PATIENCE;

/// A running child. Killed (-9) and reaped on drop.
pub(crate) struct Process {
    name: String,
    pid: Pid,
    exit: watch::Receiver<Option<ExitStatus>>,
    said: PathBuf,
    _folder: TempDir,
}

impl Process {
    /// Starts `command`; what it writes to stderr (and to stdout, unless the caller has taken that) is kept.
    pub(crate) fn start(name: &str, command: &mut Command) -> Self {
        Self::start_with_stdout(name, command, None)
    }

    /// The same, with stdout sent to `stdout`.
    pub(crate) fn start_with_stdout(
        name: &str,
        command: &mut Command,
        stdout: Option<Stdio>,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let said = folder.path().join("said");
        let log = File::create(&said).expect("a log file");
        let both = log.try_clone().expect("a second handle on the log");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(stdout.unwrap_or_else(|| both.into()))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "{name} cannot be started ({error}): {}",
                    how_to_get(&command.get_program().to_string_lossy())
                )
            });
        let pid = Pid::from_child(&child);
        let (tell, exit) = watch::channel(None);
        thread::spawn(move || {
            let status = child.wait().expect("a child can be waited for");
            // Nobody may be left to listen.
            tell.send(Some(status)).ok();
        });
        Self {
            name: name.to_owned(),
            pid,
            exit,
            said,
            _folder: folder,
        }
    }

    /// Runs a command to its end, however it ends; returns all that it said.
    pub(crate) fn run(command: &mut Command) -> String {
        let output = command
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| {
                let program = command.get_program().to_string_lossy().into_owned();
                panic!(
                    "{program} cannot be started ({error}): {}",
                    how_to_get(&program)
                )
            });
        let said = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&said).into_owned()
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(&self) -> ExitStatus {
        let mut exit = self.exit.clone();
        let ended = timeout(PATIENCE, exit.wait_for(Option::is_some)).await;
        match ended {
            Ok(Ok(status)) => status.expect("just waited for"),
            _ => panic!("{} does not end; it said:\n{}", self.name, self.said()),
        }
    }

    /// Waits until it ends by itself and wants success of it.
    pub(crate) async fn succeeded(&self) {
        let status = self.ended().await;
        assert!(
            status.success(),
            "{} ended with {status}; it said:\n{}",
            self.name,
            self.said()
        );
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Whether it still runs.
    pub(crate) fn runs(&self) -> bool {
        self.exit.borrow().is_none()
    }

    /// Sends a signal, if it still runs.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.runs() {
            // It may have ended this instant.
            kill_process(self.pid, signal).ok();
        }
    }

    /// Kills it (-9) and waits until it is gone.
    pub(crate) async fn kill(&self) {
        self.signal(Signal::KILL);
        self.ended().await;
    }

    /// What it has said until now.
    pub(crate) fn said(&self) -> String {
        std::fs::read(&self.said)
            .map(|said| String::from_utf8_lossy(&said).into_owned())
            .unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::CONT);
        self.signal(Signal::KILL);
    }
}

/// Runs a tool to its end and returns its stdout; fails with its stderr.
pub(crate) fn tool(name: &str, arguments: &[&str], folder: Option<&Path>) -> Vec<u8> {
    let mut command = Command::new(name);
    command.args(arguments).stdin(Stdio::null());
    if let Some(folder) = folder {
        command.current_dir(folder);
    }
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{name} cannot be started ({error}): {}", how_to_get(name)));
    assert!(
        output.status.success(),
        "{name} {arguments:?} failed:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

fn how_to_get(program: &str) -> &'static str {
    match program.rsplit('/').next().unwrap_or(program) {
        "ffmpeg" | "ffprobe" => "apt-get install ffmpeg",
        "gst-launch-1.0" => {
            "apt-get install gstreamer1.0-tools gstreamer1.0-plugins-{base,good,bad} (rtmp2sink is in bad)"
        }
        "obs" => {
            "apt-get install --no-install-recommends obs-studio obs-plugins xvfb libgl1-mesa-dri"
        }
        "curl" | "openssl" | "nginx" | "caddy" => "apt-get install it; script/test does",
        "Xvfb" => "apt-get install xvfb",
        "psql" => "apt-get install postgresql",
        _ => "script/test installs what the tests need",
    }
}
