//! The renditions of one live together: the multivariant playlist, the replay of all of them, what becomes of rungs.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use tokio::sync::watch;

use super::error::RenditionError;
use super::mirror_resume::{Have, mirrored, runs_of};
use super::reader::{Announced, PlaybackError, PlaylistText, Reader};
use super::replay::{SOURCE, put_on_or_lose, shelve, source_runs, variant};
use super::sending::Sending;
use super::shelf::Shelf;
use super::siblings::Siblings;
use crate::hls::{self, SegmentMeta};
use crate::store::{Run, Store, WholeRecording};

/// The multivariant playlist of a live: its source first, then the rungs in this order, from best to least. Rungs
/// without a picture are left out where the source has one: they have an address of their own. Waits at most five seconds
/// for the source's first part.
///
/// Rungs are listed from the moment that they are planned, with what their encoders are told to make: hls.js and Safari read
/// this playlist once, and a rung that came later would never be played. What is said of CODECS before an encoder has
/// spoken is High profile at the least level for size and rate, which is what x264 makes.
///
/// # Errors
/// `NotYet`.
pub async fn live_multivariant(
    source: &Reader,
    rungs: &[&Reader],
) -> Result<PlaylistText, PlaybackError> {
    let announced = source.begun().await?;
    let mut variants: Vec<hls::Variant> = announced.variant().into_iter().collect();
    let has_picture = |variant: &hls::Variant| variant.resolution.is_some();
    let sound_alone = !variants.iter().any(has_picture);
    let rungs = rungs.iter().filter_map(|rung| rung.variant());
    variants.extend(rungs.filter(|rung| has_picture(rung) || sound_alone));
    Ok(PlaylistText {
        body: Bytes::from(hls::multivariant(&variants, false)),
        gzip: false,
        freshness: source.freshness(&announced, false),
    })
}

impl Reader {
    /// The replay of a live's recording in all its renditions: the source first, then rungs with pictures from the largest to
    /// the smallest, then sound alone. What the source has and a rung lacks is a gap; a rung that has nothing is left out.
    ///
    /// # Errors
    /// When rows or files cannot be read.
    pub async fn replay_all(
        store: &Store,
        sending: &Sending,
        recording: &WholeRecording,
    ) -> Result<Vec<Self>, RenditionError> {
        let mut all = vec![Self::replay(store, sending, recording).await?];
        let rungs = rungs_of(recording);
        if rungs.is_empty() {
            return Ok(all);
        }
        let line = source_line(store, recording).await?;
        for rung in rungs {
            let runs = runs_of(recording, &rung);
            all.extend(Self::of_rung(rung, &runs, &line, store, sending).await?);
        }
        all[1..].sort_by_key(|rung| {
            let variant = rung.variant();
            let size = variant.as_ref().and_then(|variant| variant.resolution);
            let bits = variant.and_then(|variant| variant.average_bandwidth);
            Reverse((size.map(|(w, h)| u64::from(w) * u64::from(h)), bits))
        });
        Ok(all)
    }

    async fn of_rung(
        name: String,
        runs: &[Run],
        line: &[SegmentMeta],
        store: &Store,
        sending: &Sending,
    ) -> Result<Option<Self>, RenditionError> {
        let shelf = Arc::new(RwLock::new(Shelf::default()));
        let mut have = BTreeMap::new();
        for run in runs {
            let mut segments = store.segments(run.id).await?;
            put_on_or_lose(&shelf, run, sending, store, &mut segments).await?;
            let whole = segments.into_iter().filter(|segment| !segment.gap);
            have.extend(whole.map(|segment| Have::of(run, segment)));
        }
        let Some(first) = have.values().next() else {
            return Ok(None);
        };
        let mut named = first.run;
        let mut rows = Vec::with_capacity(line.len());
        {
            let mut shelf = shelf.write().unwrap_or_else(PoisonError::into_inner);
            for segment in line {
                let (meta, spot) = mirrored(segment, have.get(&segment.msn), named);
                named = meta.run;
                shelf.add_segment(meta.msn, spot);
                rows.push(meta);
            }
        }
        let mut window = hls::Window::from_segments(hls::Config::default(), rows);
        window.end();
        let variant = variant(&name, runs);
        let (announced, seen) = watch::channel(Announced::new(window.snapshot(), variant, false));
        drop(announced);
        Ok(Some(Self::new(name, shelf, seen, Siblings::default())))
    }
}

/// The names of a recording's rungs: all of its renditions but the source.
fn rungs_of(recording: &WholeRecording) -> BTreeSet<String> {
    let names = recording.runs.iter().map(|run| &run.rendition);
    names.filter(|name| *name != SOURCE).cloned().collect()
}

/// The source's segments by their rows.
async fn source_line(
    store: &Store,
    recording: &WholeRecording,
) -> Result<Vec<SegmentMeta>, RenditionError> {
    let (mut line, mut shelf) = (Vec::new(), Shelf::default());
    for run in source_runs(recording) {
        let segments = store.segments(run.id).await?;
        line.extend(segments.iter().map(|row| shelve(&mut shelf, &run, row)));
    }
    Ok(line)
}

/// Removes the rungs of a recording, rows and files, and leaves its source. To be called again after a failure; rungs that
/// grow or wait to be sent notice that their rows are gone.
///
/// # Errors
/// What rows, spool or object store say.
pub async fn drop_rungs(
    sending: &Sending,
    recording: &WholeRecording,
) -> Result<(), RenditionError> {
    for run in recording.runs.iter().filter(|run| run.rendition != SOURCE) {
        sending.remove(run).await?;
    }
    Ok(())
}
