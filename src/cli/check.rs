//! `griot check`: do the rows of recordings and their files agree?
//!
//! Rows to files: the file of each run is there, as long as its row says, and a recording that is offered
//! is final. Files to rows: nothing lies in the spool or among the media that no row names. It opens no
//! media; that takes a player.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use serde::Serialize;

use super::output;
use crate::app::{Config, Rooms};
use crate::rendition::Places;
use crate::store::{RecordingState, Run, RunState, Store, WholeRecording};

/// What was found. Printed as one line of JSON.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Report {
    recordings: usize,
    runs: usize,
    /// Of all files that a row names.
    bytes: u64,
    /// Sentences; also said on stderr, one a line. None: all is well.
    problems: Vec<String>,
}

pub(super) async fn check(config: &Config) -> anyhow::Result<ExitCode> {
    let rooms = Rooms::open(config, &mut |_| {}).await?;
    let places = rooms.places(config)?;
    let report = compare(&rooms.store, &places).await;
    rooms.close().await;
    let report = report?;
    for problem in &report.problems {
        eprintln!("{problem}");
    }
    output::json(&report)?;
    Ok(if report.problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn compare(store: &Store, places: &Places) -> anyhow::Result<Report> {
    // Files before rows: a server may be running, and writes a file before its row.
    let files = files_of(places)?;
    let mut report = Report::default();
    let mut named = HashSet::new();
    for state in [
        RecordingState::Recording,
        RecordingState::Finishing,
        RecordingState::Ready,
        RecordingState::Failed,
    ] {
        for recording in store.recordings_in(state).await? {
            let Some(whole) = store.recording_of(recording.live_id).await? else {
                continue;
            };
            report.recordings += 1;
            check_recording(store, places, &whole, &mut report, &mut named).await?;
        }
    }
    for file in files {
        if !named.contains(&file) {
            report
                .problems
                .push(format!("no row names the file {}", file.display()));
        }
    }
    Ok(report)
}

async fn check_recording(
    store: &Store,
    places: &Places,
    whole: &WholeRecording,
    report: &mut Report,
    named: &mut HashSet<PathBuf>,
) -> anyhow::Result<()> {
    let live = whole.recording.live_id;
    let ready = whole.recording.state == RecordingState::Ready;
    if ready && whole.runs.is_empty() {
        report.problems.push(format!(
            "live {live}: its recording is ready and has no file"
        ));
    }
    for run in &whole.runs {
        report.runs += 1;
        named.extend(places.path_of_row(&run.path));
        let mut verdict = check_run(places, run, ready);
        if verdict.is_err() {
            // A server that runs may have moved or finished it since the row was read.
            if let Some(run) = store.run(run.id).await? {
                named.extend(places.path_of_row(&run.path));
                verdict = check_run(places, &run, ready);
            }
        }
        match verdict {
            Ok(bytes) => report.bytes += bytes,
            // A recording that failed says itself that nothing can be played.
            Err(_) if whole.recording.state == RecordingState::Failed => {}
            Err(problem) => report
                .problems
                .push(format!("live {live}, run {}: {problem}", run.number)),
        }
    }
    Ok(())
}

/// The length of a run's file, or what is wrong with it.
fn check_run(places: &Places, run: &Run, offered: bool) -> Result<u64, String> {
    let path = places
        .path_of_row(&run.path)
        .ok_or_else(|| format!("its row names the unknown place {}", run.path))?;
    let there = std::fs::metadata(&path)
        .map_err(|error| format!("its file {} cannot be read: {error}", path.display()))?
        .len();
    let noted = u64::try_from(run.bytes).unwrap_or_default();
    match run.state {
        RunState::Growing if offered => {
            Err("it still grows, and its recording is offered as ready".to_owned())
        }
        RunState::Growing if there < noted => Err(format!(
            "its file has {there} bytes, its segments need {noted}"
        )),
        RunState::Final if there != noted => {
            Err(format!("its file has {there} bytes, its row says {noted}"))
        }
        RunState::Growing | RunState::Final => Ok(there),
    }
}

fn files_of(places: &Places) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let objects = places.objects.directory().map(|directory| directory.root());
    for root in [Some(places.spool.as_path()), objects]
        .into_iter()
        .flatten()
    {
        collect_files(root, &mut files)
            .with_context(|| format!("{} cannot be read", root.display()))?;
    }
    Ok(files)
}

fn collect_files(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            collect_files(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}
