//! A child's process: its channels, its end, what it takes and what it prints.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::net::unix::pipe;

use super::error::PipelineError;
use super::limits::Kind;

/// Lines of a child that reach the log, and …
const MAX_LINES: usize = 20;
/// … their length, bytes. Whatever else it prints is read and thrown away …
const MAX_LINE_BYTES: usize = 300;
/// … up to here; then nobody reads it any more, and printing fails.
const MAX_SAID_BYTES: usize = 4 << 20;

/// A child's process and the ends of its channels.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) process: tokio::process::Child,
    pub(super) socket: tokio::net::UnixStream,
    /// What it prints; `None` once nobody wants to read it.
    pub(super) said: Option<pipe::Receiver>,
}

impl Child {
    pub(super) fn new(
        process: tokio::process::Child,
        socket: UnixStream,
        said: OwnedFd,
    ) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self {
            process,
            socket: tokio::net::UnixStream::from_std(socket)?,
            said: Some(pipe::Receiver::from_owned_fd(said)?),
        })
    }

    /// Its process group, while it has not been reaped: its number cannot be another's then.
    fn group(&self) -> Option<Pid> {
        let id = i32::try_from(self.process.id()?).ok()?;
        Pid::from_raw(id)
    }

    /// Ends it at once, and what it has started.
    pub(super) fn kill(&self) {
        if let Some(group) = self.group() {
            // It may have ended this instant.
            kill_process_group(group, Signal::KILL).ok();
        }
    }

    /// User and system time so far; `None` once it is reaped.
    pub(super) fn cpu_seconds(&self) -> Option<f64> {
        // USER_HZ, which Linux keeps at 100 for every program.
        const TICKS_PER_SECOND: f64 = 100.0;
        let stat = self.proc("stat")?;
        // Behind the name, which may hold anything, utime and stime are the 12th and 13th field (proc(5): 14 and 15).
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks = ticks.filter_map(|ticks| ticks.parse::<f64>().ok());
        Some(ticks.sum::<f64>() / TICKS_PER_SECOND)
    }

    /// What of it lies in memory now; 0 when it is gone.
    pub(super) fn resident_bytes(&self) -> u64 {
        let status = self.proc("status").unwrap_or_default();
        // `VmRSS:     1234 kB` (proc(5)).
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap_or(0) * 1_024
    }

    fn proc(&self, file: &str) -> Option<String> {
        fs::read_to_string(format!("/proc/{}/{file}", self.process.id()?)).ok()
    }
}

/// Why a child that has ended without an answer did so.
pub(super) fn of_status(status: ExitStatus) -> PipelineError {
    match (status.signal(), status.code()) {
        (Some(signal), _) => PipelineError::Killed(signal),
        (None, code) => PipelineError::Ended(code.unwrap_or(-1)),
    }
}

/// The next bytes that a child prints; pending once nobody wants to read it.
pub(super) async fn said_by(said: Option<&pipe::Receiver>, into: &mut [u8]) -> io::Result<usize> {
    let Some(said) = said else {
        return std::future::pending().await;
    };
    loop {
        said.readable().await?;
        match said.try_read(into) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => return read,
        }
    }
}

/// A hostile text, fit for a log.
pub(super) fn printable(text: &str, most: usize) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(most)
        .collect()
}

/// What a child prints, as far as anybody wants to read it.
#[derive(Debug, Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
    told: usize,
    bytes: usize,
}

impl Lines {
    /// False when it is enough.
    pub(super) fn take(&mut self, bytes: &[u8], kind: Kind) -> bool {
        self.bytes += bytes.len();
        for byte in bytes {
            if *byte != b'\n' {
                if self.partial.len() < MAX_LINE_BYTES {
                    self.partial.push(*byte);
                }
                continue;
            }
            if self.told < MAX_LINES && !self.partial.is_empty() {
                let line = printable(&String::from_utf8_lossy(&self.partial), MAX_LINE_BYTES);
                tracing::debug!(kind = kind.as_str(), line, "a pipeline child says");
            }
            self.told += 1;
            self.partial.clear();
        }
        self.bytes < MAX_SAID_BYTES
    }
}
