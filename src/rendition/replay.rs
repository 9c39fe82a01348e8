//! The reading side of a rendition that an earlier process recorded: from its rows.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::fs::File;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use tokio::sync::watch;

use super::error::RenditionError;
use super::place::{Place, Places};
use super::reader::{Announced, Reader};
use super::seal::download;
use super::sending::Sending;
use super::shelf::{RunShelf, Shelf, Source, Spot};
use super::siblings::Siblings;
use crate::base::blocking;
use crate::hls::{self, SegmentMeta};
use crate::store::{Run, RunState, Segment, Store, WholeRecording};

/// The rendition that is the encoder's own.
pub(super) const SOURCE: &str = "source";

impl Reader {
    /// The replay of a live's recording: its source rendition.
    ///
    /// # Errors
    /// When rows or files cannot be read.
    pub async fn replay(
        store: &Store,
        sending: &Sending,
        recording: &WholeRecording,
    ) -> Result<Self, RenditionError> {
        let runs = source_runs(recording);
        Self::of_runs(SOURCE, &runs, false, store, sending).await
    }

    /// The renditions of a video that can be played, pictures before sound alone, the largest first.
    ///
    /// # Errors
    /// When rows or files cannot be read.
    pub async fn of_video(
        store: &Store,
        sending: &Sending,
        recording: &WholeRecording,
    ) -> Result<Vec<Self>, RenditionError> {
        let runs = recording.runs.iter();
        let mut runs: Vec<&Run> = runs.filter(|run| run.state == RunState::Final).collect();
        runs.sort_by_key(|run| Reverse((run.width.zip(run.height).map(|(w, h)| w * h), run.bytes)));
        let mut readers = Vec::with_capacity(runs.len());
        for run in runs {
            let name = run.rendition.clone();
            let reader = Self::of_runs(name, std::slice::from_ref(run), true, store, sending);
            readers.push(reader.await?);
        }
        Ok(readers)
    }

    async fn of_runs(
        name: impl Into<Cow<'static, str>>,
        runs: &[Run],
        on_demand: bool,
        store: &Store,
        sending: &Sending,
    ) -> Result<Self, RenditionError> {
        let name = name.into();
        let shelf = Arc::new(RwLock::new(Shelf::default()));
        let mut rows = Vec::new();
        let mut peak = 0;
        for run in runs {
            let mut segments = store.segments(run.id).await?;
            put_on_or_lose(&shelf, run, sending, store, &mut segments).await?;
            let mut shelf = shelf.write().unwrap_or_else(PoisonError::into_inner);
            peak = segments.iter().map(bits_per_second).fold(peak, u64::max);
            rows.extend(
                segments
                    .iter()
                    .map(|segment| shelve(&mut shelf, run, segment)),
            );
        }
        let config = if on_demand {
            hls::Config::on_demand(rows.iter().map(|row| row.duration))
        } else {
            hls::Config::default()
        };
        let mut window = hls::Window::from_segments(config, rows);
        window.end();
        let mut variant = variant(&name, runs);
        if let Some(variant) = variant.as_mut().filter(|_| on_demand) {
            // Nothing more will come: the peak is known.
            variant.bandwidth = peak.max(variant.average_bandwidth.unwrap_or(0));
        }
        let (announced, seen) = watch::channel(Announced::new(window.snapshot(), variant, false));
        drop(announced);
        Ok(Self::new(name, shelf, seen, Siblings::default()))
    }
}

fn bits_per_second(segment: &Segment) -> u64 {
    let bits = segment.bytes.saturating_mul(8).saturating_mul(90_000) / segment.duration.0.max(1);
    u64::try_from(bits).unwrap_or(0)
}

/// The runs of the source rendition, by number.
pub(super) fn source_runs(recording: &WholeRecording) -> Vec<Run> {
    let runs = recording.runs.iter();
    runs.filter(|run| run.rendition == SOURCE)
        .cloned()
        .collect()
}

/// Puts a run on a shelf; when its file is gone, its segments are gaps and the other runs play. Answers where its
/// bytes are read.
pub(super) async fn put_on_or_lose(
    shelf: &Arc<RwLock<Shelf>>,
    run: &Run,
    sending: &Sending,
    store: &Store,
    segments: &mut [Segment],
) -> Result<Option<Source>, RenditionError> {
    match put_on(shelf, run, sending, store).await {
        Ok(source) => Ok(Some(source)),
        Err(RenditionError::File(error)) if error.kind() == io::ErrorKind::NotFound => {
            tracing::error!(
                run = run.number,
                place = run.path,
                "the file of a run is gone"
            );
            segments.iter_mut().for_each(|segment| segment.gap = true);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Puts a run on a shelf: its file or, once it is stored in a bucket, its object.
async fn put_on(
    shelf: &Arc<RwLock<Shelf>>,
    run: &Run,
    sending: &Sending,
    store: &Store,
) -> Result<Source, RenditionError> {
    let source = source_of(sending.places(), run).await?;
    let number = u32::try_from(run.number).unwrap_or(u32::MAX);
    let in_spool = run.stored_at.is_none();
    {
        let mut shelf = shelf.write().unwrap_or_else(PoisonError::into_inner);
        shelf.add_run(RunShelf {
            number,
            init: Bytes::from(run.tracks.clone()),
            download: (run.state == RunState::Final)
                .then(|| download(run, &source))
                .flatten(),
            source: source.clone(),
        });
    }
    if in_spool && sending.places().objects.s3().is_some() {
        sending.tell_when_stored(run.id, number, shelf);
        // It may have been stored before it could be told.
        let now = store.run(run.id).await?;
        if let Some(now) = now.filter(|now| now.stored_at.is_some()) {
            let source = source_of(sending.places(), &now).await?;
            let mut shelf = shelf.write().unwrap_or_else(PoisonError::into_inner);
            shelf.set_source(number, &source);
        }
    }
    Ok(source)
}

/// Where a run's bytes are read.
async fn source_of(places: &Places, run: &Run) -> Result<Source, RenditionError> {
    let place = Place::from_row(&run.path)
        .ok_or_else(|| RenditionError::Index(format!("run {} lies nowhere", run.id)))?;
    let object = Source::Object(places.objects.clone(), place.key().clone());
    let Some(path) = places.path(&place) else {
        return Ok(object);
    };
    let other = places.objects.path(place.key());
    let in_bucket = other.is_none() && run.state == RunState::Final;
    let opened = blocking(move || match (File::open(path), other) {
        // The crash came between the rename into the object store and the row.
        (Err(error), Some(other)) if error.kind() == io::ErrorKind::NotFound => File::open(other),
        (opened, _) => opened,
    });
    match opened.await {
        Ok(file) => Ok(Source::File(Arc::new(file))),
        // Stored since its row was read.
        Err(error) if in_bucket && error.kind() == io::ErrorKind::NotFound => Ok(object),
        Err(error) => Err(error.into()),
    }
}

/// Puts a segment on the shelf and says what the playlist must know of it.
pub(super) fn shelve(shelf: &mut Shelf, run: &Run, segment: &Segment) -> SegmentMeta {
    let number = u32::try_from(run.number).unwrap_or(u32::MAX);
    let msn = u64::try_from(segment.msn).unwrap_or(0);
    let spot = Spot {
        run: number,
        offset: u64::try_from(segment.byte_offset).unwrap_or(0),
        length: if segment.gap {
            0
        } else {
            u64::try_from(segment.bytes).unwrap_or(0)
        },
    };
    let first_of_run = !shelf.ends_with(number);
    shelf.add_segment(msn, spot);
    SegmentMeta {
        msn,
        run: number,
        // Runs change with the codec configuration; the first of all follows nothing.
        discontinuity: first_of_run && number > 0,
        duration: segment.duration,
        gap: segment.gap,
        date_time: segment.date_time,
    }
}

/// What the multivariant playlist says of a recording: its longest run's codecs and size, the mean bit rate.
pub(super) fn variant(rendition: &str, runs: &[Run]) -> Option<hls::Variant> {
    let longest = runs.iter().max_by_key(|run| run.duration)?;
    let ticks: i64 = runs.iter().map(|run| run.duration.0).sum();
    let bytes: i64 = runs.iter().map(|run| run.bytes).sum();
    let average = u64::try_from(bytes.saturating_mul(8).saturating_mul(90_000) / ticks.max(1));
    let average = average.unwrap_or(0);
    let size = longest.width.zip(longest.height);
    let size = size.and_then(|(width, height)| {
        Some((u32::try_from(width).ok()?, u32::try_from(height).ok()?))
    });
    Some(hls::Variant {
        uri: format!("{rendition}/index.m3u8"),
        bandwidth: average + average / 5,
        average_bandwidth: Some(average),
        codecs: longest.codecs.clone(),
        resolution: size,
        frame_rate: longest.frame_rate,
    })
}
