//! What plays of a video, as viewers address it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::base::Timestamp;
use crate::rendition::{Download, PlaybackError, PlaylistText, Reader, Sending, multivariant};
use crate::store::{Media, RecordingState, Store};

/// Videos kept open, so that not every segment costs four questions to the database. Full: the oldest goes.
const KEPT: usize = 64;
/// How long: a rendition that comes, or a video that is taken down, is seen so late at most.
const KEPT_FOR: Duration = Duration::from_secs(5);
/// The rendition of sound alone.
pub(super) const AUDIO: &str = "audio";
/// Lines of the picture that players without a measure begin with, at most.
const FIRST_LINES: u32 = 480;

/// A video that can be played.
#[derive(Debug)]
pub struct Video {
    public_id: String,
    /// What people call it; may be empty.
    pub title: String,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// Pictures before sound alone, the largest first; never empty.
    renditions: Vec<Reader>,
    /// No rendition will follow.
    complete: bool,
}

impl Video {
    /// The rendition of this name.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn rendition(&self, name: &str) -> Result<&Reader, PlaybackError> {
        let mut all = self.renditions.iter();
        all.find(|reader| reader.name() == name)
            .ok_or(PlaybackError::NotFound)
    }

    /// All of its pictures. First what a phone on a weak link can play: players without a measure begin with it.
    #[must_use]
    pub fn multivariant(&self) -> PlaylistText {
        let pictures = self.renditions.iter().filter(|one| one.name() != AUDIO);
        let mut pictures: Vec<&Reader> = pictures.collect();
        let lines = |reader: &&Reader| {
            let size = reader.variant().and_then(|variant| variant.resolution);
            size.map_or(0, |(width, height)| width.min(height))
        };
        if let Some(first) = pictures.iter().position(|one| lines(one) <= FIRST_LINES) {
            let first = pictures.remove(first);
            pictures.insert(0, first);
        }
        multivariant(&pictures, self.complete)
    }

    /// Its sound alone, as a playlist of its own: players hide such a level beside pictures.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn audio(&self) -> Result<PlaylistText, PlaybackError> {
        Ok(multivariant(&[self.rendition(AUDIO)?], self.complete))
    }

    /// The best of it as one MP4.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn download(&self) -> Result<Download, PlaybackError> {
        let best = self.renditions.first().ok_or(PlaybackError::NotFound)?;
        best.download(0)
    }
}

/// Opens videos, and keeps a few open.
#[derive(Debug, Default)]
pub(super) struct Playbacks {
    // std mutex: never held across an await; only look-ups.
    kept: Mutex<VecDeque<(Instant, Arc<Video>)>>,
}

impl Playbacks {
    /// A video by what its addresses hold.
    pub(super) async fn open(
        &self,
        store: &Store,
        sending: &Sending,
        public_id: &str,
    ) -> Result<Arc<Video>, PlaybackError> {
        if let Some(video) = self.find(public_id) {
            return Ok(video);
        }
        let unavailable = |error: &dyn std::fmt::Display| {
            tracing::error!(%error, "a video cannot be read");
            PlaybackError::Unavailable
        };
        let media = store.media_by_public_id(public_id).await;
        let media = media
            .map_err(|error| unavailable(&error))?
            .ok_or(PlaybackError::NotFound)?;
        let recording = store.recording_of_media(media.id).await;
        let recording = recording
            .map_err(|error| unavailable(&error))?
            .ok_or(PlaybackError::NotFound)?;
        let renditions = Reader::of_video(store, sending, &recording).await;
        let renditions = renditions.map_err(|error| unavailable(&error))?;
        if renditions.is_empty() {
            return Err(PlaybackError::NotFound);
        }
        let complete = recording.recording.state == RecordingState::Ready;
        let video = Arc::new(Video::of(media, renditions, complete));
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back((Instant::now(), Arc::clone(&video)));
        while kept.len() > KEPT {
            kept.pop_front();
        }
        Ok(video)
    }

    /// Opens it anew the next time.
    pub(super) fn forget(&self, public_id: &str) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(_, video)| video.public_id != public_id);
    }

    fn find(&self, public_id: &str) -> Option<Arc<Video>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        kept.retain(|(since, _)| now.duration_since(*since) < KEPT_FOR);
        let mut known = kept.iter();
        let (_, video) = known.find(|(_, video)| video.public_id == public_id)?;
        Some(Arc::clone(video))
    }
}

impl Video {
    fn of(media: Media, renditions: Vec<Reader>, complete: bool) -> Self {
        Self {
            public_id: media.public_id,
            title: media.title,
            created_at: media.created_at,
            renditions,
            complete,
        }
    }
}
