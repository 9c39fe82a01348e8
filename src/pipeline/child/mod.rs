//! What runs inside a child: `griot pipeline KIND`.
//!
//! The order is the point: take the task, start GStreamer, load what is on the allow list, lock the process up, say so,
//! and only then read the first byte of the file. Anything that fails before leaves the file unread.
//!
//! Panics in callbacks of GStreamer abort the process, which is what it is a process for.

mod chain;
mod codecs;
mod demux;
mod elements;
mod graph;
mod ladder;
mod link;
mod outlet;
mod pictures;
mod probe;
mod reorder;
mod sandbox;
mod scaler;
mod source;
mod streams;
mod transcode;
mod watch;
mod webm;

use std::fs::File;
use std::process::ExitCode;

use link::Link;

use super::wire::{Ending, Message, Task, VERSION, Work};

/// Runs the child of that kind to its end. The task comes on standard input, which must be the host's socket.
#[must_use]
pub fn run(kind: &str) -> ExitCode {
    match Link::of_stdin().and_then(|link| work(kind, &link)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // What the host shows; the socket may be the very thing that is broken.
            eprintln!("griot pipeline: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Why a child stops: an answer for the host, or nobody to answer to.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The file is refused.
    Refused(super::Refusal),
    /// This machine or this program is at fault.
    Failed(String),
}

impl From<gstreamer::glib::Error> for Trouble {
    fn from(error: gstreamer::glib::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<gstreamer::glib::BoolError> for Trouble {
    fn from(error: gstreamer::glib::BoolError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<gstreamer::StateChangeError> for Trouble {
    fn from(_: gstreamer::StateChangeError) -> Self {
        Self::Refused(super::Refusal::Unreadable)
    }
}

fn work(kind: &str, link: &Link) -> Result<(), String> {
    sandbox::die_with_the_host()?;
    let (task, file) = link.task()?;
    if task.version != VERSION || task.work.kind().as_str() != kind {
        return Err("the host is another version of griot".to_owned());
    }
    let prepared = elements::prepare(task.work.kind()).and_then(|missing| {
        sandbox::lock(&task.limits)?;
        Ok(missing)
    });
    let missing = match prepared {
        Ok(missing) => missing,
        Err(why) => {
            link.send(&Message::Failed(why.clone()));
            return Err(why);
        }
    };
    // Who is fed listens anyway.
    if !matches!(task.work, Work::Ladder(_)) {
        link.die_with_the_socket()?;
    }
    link.send(&Message::Ready { version: VERSION });
    let answer = match answer(&task, file, missing, link) {
        Ok(ending) => Message::End(ending),
        Err(Trouble::Refused(refusal)) => Message::Refused(refusal),
        Err(Trouble::Failed(why)) => Message::Failed(why),
    };
    link.send(&answer);
    // Threads of GStreamer may hang on a broken file; nothing of theirs is wanted any more.
    std::process::exit(0);
}

fn answer(
    task: &Task,
    file: Option<File>,
    missing: Vec<String>,
    link: &Link,
) -> Result<Ending, Trouble> {
    let file = || file.ok_or(Trouble::Failed("there is no file".to_owned()));
    match &task.work {
        Work::Check => Ok(Ending {
            truncated: false,
            missing,
        }),
        Work::Probe => probe::probe(file()?, link),
        Work::Demux => demux::demux(file()?, link),
        Work::Transcode(plan) => transcode::transcode(file()?, plan, link),
        Work::Pictures { times_ms, width } => pictures::pictures(file()?, times_ms, *width, link),
        Work::Webm(plan) => webm::webm(file()?, *plan, link),
        Work::Ladder(task) => ladder::ladder(task, link),
    }
}

/// The length of an open file by seeking: the filter knows no call that asks a file's name or state.
fn length_of(mut file: &File) -> std::io::Result<u64> {
    std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0))
}
