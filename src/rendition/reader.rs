//! The reading side of a rendition, growing or ended: playlists, init sections, segments, parts, the MP4.
//!
//! Readers hold no lock while they wait and never slow the writer: what is announced is an immutable value
//! behind a `watch`, the shelf is locked for look-ups only.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::file::FileRange;
use super::object_range::ObjectRange;
use super::shelf::Shelf;
use super::siblings::Siblings;
use crate::base::Timestamp;
use crate::hls;

/// A blocked reload is answered after this long, unchanged: players time out at ten seconds.
const HOLD: Duration = Duration::from_secs(8);
/// The same while the encoder is away: nothing will come soon.
const HOLD_INTERRUPTED: Duration = Duration::from_secs(3);
/// The first request of a live waits this long for its first part.
const HOLD_FIRST: Duration = Duration::from_secs(5);
/// How long a satisfied blocking request may be cached: it is the same for everybody (RFC 8216bis 6.2.5.2),
/// and asked for by players within a part's duration of each other.
const SATISFIED_SECONDS: u32 = 6;
/// How long the playlist of a replay may be cached: bounded, so that a takedown works.
const REPLAY_SECONDS: u32 = 60;

/// What a media playlist request asks for (RFC 8216bis 6.2.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlaylistQuery {
    /// `_HLS_msn`: hold the answer until this media sequence number is there.
    pub msn: Option<u64>,
    /// `_HLS_part`: …and this part of it.
    pub part: Option<u64>,
    /// `_HLS_skip=YES` or `v2`: a delta update will do.
    pub skip: bool,
    /// `ll=0`: without parts, for weak links.
    pub without_parts: bool,
    /// The client takes gzip.
    pub gzip: bool,
}

/// How an answer may be cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// `no-store`: what it says may be old at once.
    NoStore,
    /// The same for everybody, good for these seconds.
    Seconds(u32),
}

/// A playlist ready to be sent.
#[derive(Clone, Debug)]
pub struct PlaylistText {
    /// The text, or its gzip when `gzip` is set.
    pub body: Bytes,
    /// Whether `body` is compressed.
    pub gzip: bool,
    /// How it may be cached.
    pub freshness: Freshness,
}

/// Bytes behind a media URL; they never change (`Cache-Control: immutable`).
#[derive(Clone, Debug)]
pub enum MediaBytes {
    /// Still hot.
    Memory(Bytes),
    /// A range of the rendition's file.
    File(FileRange),
    /// A range of a stored run.
    Object(ObjectRange),
}

impl MediaBytes {
    /// How many bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(range) => range.length,
            Self::Object(range) => range.length,
        }
    }
}

/// A finished file that can be downloaded.
#[derive(Clone, Debug)]
pub struct Download {
    /// The whole file.
    pub media: MediaBytes,
    /// A strong entity tag, quotes included.
    pub etag: String,
    /// When it became final.
    pub modified: Timestamp,
    /// Whether there is a picture (`video/mp4`) or sound alone (`audio/mp4`).
    pub has_video: bool,
}

/// Why there is nothing to play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaybackError {
    /// No such live, rendition, run, segment or part; or it is not to be had any more.
    #[error("there is no such media")]
    NotFound,
    /// The live has no media yet: 404 with `Retry-After: 2`.
    #[error("the live has not begun")]
    NotYet,
    /// The request asks for a playlist too far ahead, or has `_HLS_part` without `_HLS_msn` (400).
    #[error("the playlist that is asked for is too far ahead")]
    TooFarAhead,
    /// Rows or file cannot be read now.
    #[error("the media cannot be read")]
    Unavailable,
}

/// What is announced of a rendition at one moment. Cheap to clone; texts are rendered once for all viewers.
#[derive(Clone, Debug)]
pub(super) struct Announced(Arc<Moment>);

#[derive(Debug)]
struct Moment {
    snapshot: hls::Snapshot,
    variant: Option<hls::Variant>,
    interrupted: bool,
    /// Its media does not come: its playlist cannot be had.
    away: bool,
    multivariant: OnceLock<Bytes>,
}

impl Announced {
    /// `variant` is `None` until there is media.
    pub(super) fn new(
        snapshot: hls::Snapshot,
        variant: Option<hls::Variant>,
        interrupted: bool,
    ) -> Self {
        Self(Arc::new(Moment {
            snapshot,
            variant,
            interrupted,
            away: false,
            multivariant: OnceLock::new(),
        }))
    }

    /// The same of a rung whose media does not come.
    pub(super) fn away(snapshot: hls::Snapshot, variant: Option<hls::Variant>) -> Self {
        Self(Arc::new(Moment {
            snapshot,
            variant,
            interrupted: false,
            away: true,
            multivariant: OnceLock::new(),
        }))
    }

    /// What other renditions' playlists say of this one; nothing while it is away, before its first media, and after its end.
    pub(super) fn report(&self, name: &str, without_parts: bool) -> Option<hls::RenditionReport> {
        let moment = &self.0;
        if moment.away || moment.snapshot.ended() {
            return None;
        }
        let uri = format!("../{name}/index.m3u8");
        moment.snapshot.report(uri, without_parts)
    }

    /// What the multivariant playlist says of it, once there is media.
    pub(super) fn variant(&self) -> Option<hls::Variant> {
        self.0.variant.clone()
    }

    fn text(&self, query: PlaylistQuery, siblings: &Siblings) -> Bytes {
        let arrives_late = self.0.snapshot.ended() && query.msn.is_none();
        let form = hls::Form {
            skip: query.skip,
            without_parts: query.without_parts || arrives_late,
            gzip: query.gzip,
        };
        let reports = siblings.reports(form.without_parts);
        self.0.snapshot.playlist(form, &reports)
    }

    pub(super) fn is_away(&self) -> bool {
        self.0.away
    }

    fn has_begun(&self) -> bool {
        self.0.variant.is_some() && self.0.snapshot.has_media()
    }
}

/// The reading side of one rendition. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reader {
    name: Cow<'static, str>,
    shelf: Arc<RwLock<Shelf>>,
    pub(super) announced: watch::Receiver<Announced>,
    pub(super) siblings: Siblings,
}

impl Reader {
    pub(super) fn new(
        name: impl Into<Cow<'static, str>>,
        shelf: Arc<RwLock<Shelf>>,
        announced: watch::Receiver<Announced>,
        siblings: Siblings,
    ) -> Self {
        Self {
            name: name.into(),
            shelf,
            announced,
            siblings,
        }
    }

    /// The rendition's name in URLs: `source`, `720p`, …
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the multivariant playlist says of it; `None` before there is media.
    #[must_use]
    pub fn variant(&self) -> Option<hls::Variant> {
        self.announced.borrow().variant()
    }

    /// The multivariant playlist; waits at most five seconds for the first part.
    ///
    /// # Errors
    /// `NotYet`.
    pub async fn multivariant(&self) -> Result<PlaylistText, PlaybackError> {
        let announced = self.begun().await?;
        let moment = &announced.0;
        let body = moment.multivariant.get_or_init(|| {
            let variants = moment.variant.as_slice();
            Bytes::from(hls::multivariant(variants, false))
        });
        Ok(PlaylistText {
            body: body.clone(),
            gzip: false,
            freshness: self.freshness(&announced, false),
        })
    }

    /// The media playlist; holds a blocking reload until it is satisfied, or for eight seconds.
    ///
    /// # Errors
    /// `NotYet` before the first part, `TooFarAhead`, `NotFound` while the rendition is away, at once.
    pub async fn playlist(&self, query: PlaylistQuery) -> Result<PlaylistText, PlaybackError> {
        if query.part.is_some() && query.msn.is_none() {
            return Err(PlaybackError::TooFarAhead);
        }
        let asked_at = Instant::now();
        let mut announced = self.begun().await?;
        let mut news = self.announced.clone();
        let satisfied = loop {
            if announced.is_away() {
                return Err(PlaybackError::NotFound);
            }
            match announced.0.snapshot.decide(query.msn, query.part) {
                hls::Decision::Ready => break query.msn.is_some(),
                hls::Decision::TooFarAhead => return Err(PlaybackError::TooFarAhead),
                hls::Decision::Wait => {}
            }
            let hold = if announced.0.interrupted {
                HOLD_INTERRUPTED
            } else {
                HOLD
            };
            match timeout_at(asked_at + hold, next(&mut news)).await {
                Ok(Some(newer)) => announced = newer,
                // Nothing more will come, or not in time: as it is.
                Ok(None) | Err(_) => break false,
            }
        };
        Ok(PlaylistText {
            body: announced.text(query, &self.siblings),
            gzip: query.gzip,
            freshness: self.freshness(&announced, satisfied),
        })
    }

    /// The init section of a run.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn init(&self, run: u32) -> Result<Bytes, PlaybackError> {
        self.shelf().init(run).ok_or(PlaybackError::NotFound)
    }

    /// A finished segment.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn segment(&self, run: u32, msn: u64) -> Result<MediaBytes, PlaybackError> {
        self.shelf()
            .segment(run, msn)
            .ok_or(PlaybackError::NotFound)
    }

    /// Run and media sequence number of the newest finished segment.
    #[must_use]
    pub fn newest_segment(&self) -> Option<(u32, u64)> {
        self.shelf().newest_segment()
    }

    /// A part. The one that PRELOAD-HINT names is waited for; it is `NotFound` when a cut overtakes it.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn part(&self, run: u32, msn: u64, part: usize) -> Result<MediaBytes, PlaybackError> {
        let deadline = Instant::now() + HOLD;
        let mut news = self.announced.clone();
        let mut announced = news.borrow_and_update().clone();
        loop {
            if let Some(bytes) = self.shelf().part(run, msn, part) {
                return Ok(bytes);
            }
            let lookup = announced.0.snapshot.contains(run, msn, Some(part as u64));
            if lookup != hls::Lookup::Hinted || announced.is_away() {
                return Err(PlaybackError::NotFound);
            }
            match timeout_at(deadline, next(&mut news)).await {
                Ok(Some(newer)) => announced = newer,
                Ok(None) | Err(_) => return Err(PlaybackError::NotFound),
            }
        }
    }

    /// The finished MP4 of a run.
    ///
    /// # Errors
    /// `NotFound` while there is none.
    pub fn download(&self, run: u32) -> Result<Download, PlaybackError> {
        self.shelf().download(run).ok_or(PlaybackError::NotFound)
    }

    /// What is announced, once there is a part.
    pub(super) async fn begun(&self) -> Result<Announced, PlaybackError> {
        let deadline = Instant::now() + HOLD_FIRST;
        let mut news = self.announced.clone();
        let mut announced = news.borrow_and_update().clone();
        while !announced.has_begun() && !announced.is_away() {
            match timeout_at(deadline, next(&mut news)).await {
                Ok(Some(newer)) => announced = newer,
                Ok(None) | Err(_) => return Err(PlaybackError::NotYet),
            }
        }
        Ok(announced)
    }

    pub(super) fn freshness(&self, announced: &Announced, satisfied: bool) -> Freshness {
        if announced.0.snapshot.ended() {
            Freshness::Seconds(REPLAY_SECONDS)
        } else if satisfied {
            Freshness::Seconds(SATISFIED_SECONDS)
        } else {
            Freshness::NoStore
        }
    }

    fn shelf(&self) -> RwLockReadGuard<'_, Shelf> {
        self.shelf.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The multivariant playlist of renditions that are over, in this order. `complete`: none will follow.
#[must_use]
pub fn multivariant(renditions: &[&Reader], complete: bool) -> PlaylistText {
    let variants: Vec<_> = renditions.iter().filter_map(|one| one.variant()).collect();
    PlaylistText {
        body: Bytes::from(hls::multivariant(&variants, false)),
        gzip: false,
        freshness: if complete {
            Freshness::Seconds(REPLAY_SECONDS)
        } else {
            Freshness::NoStore
        },
    }
}

/// The next announcement; `None` when none will come.
async fn next(news: &mut watch::Receiver<Announced>) -> Option<Announced> {
    news.changed().await.ok()?;
    Some(news.borrow_and_update().clone())
}
