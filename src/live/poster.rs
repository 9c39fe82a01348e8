//! The picture that stands for a live: the ladder's newest still, else one that is drawn when somebody asks.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rustix::fs::{Mode, OFlags};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::lives::Lives;
use super::playback::Playback;
use super::standing::Poster;
use crate::base::blocking;
use crate::rendition::{MediaBytes, PlaybackError};

/// A picture is drawn of a live at most this often, whoever asks, and whether it could be drawn or not.
const EVERY: Duration = Duration::from_secs(10);
/// Pixels.
const WIDTH: u32 = 640;
/// Lives of which one is being drawn; others answer with the picture that they have.
const AT_A_TIME: usize = 2;
/// A key frame of a 1080p live is drawn in a tenth of that.
const WITHIN: Duration = Duration::from_secs(5);

/// How many pictures are being drawn for lives without a ladder. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Drawing(Arc<Semaphore>);

impl Default for Drawing {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_A_TIME)))
    }
}

/// When a live was drawn last.
#[derive(Debug, Default)]
pub(super) struct Drawn(Mutex<Option<Instant>>);

impl Drawn {
    /// Whether it may be drawn now; if so it counts as drawn.
    fn is_due(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| last.elapsed() >= EVERY);
        if due {
            *last = Some(Instant::now());
        }
        due
    }
}

impl Lives {
    /// The newest picture of a live that runs.
    ///
    /// # Errors
    /// `NotFound` while there is none: nothing was sent, or nothing can be drawn here.
    pub async fn poster(&self, playback: &Playback) -> Result<Poster, PlaybackError> {
        let running = playback.running();
        let old = running.poster();
        let place = self.drawing().0.try_acquire();
        // The ladder draws as often by itself.
        let is_fresh = |poster: &Poster| self.deps().clock.now().since(poster.at) < EVERY;
        if old.as_ref().is_some_and(is_fresh) || place.is_err() || !running.drawn.is_due() {
            return old.ok_or(PlaybackError::NotFound);
        }
        let drawn = timeout(WITHIN, self.draw(playback)).await.ok().flatten();
        if let Some(jpeg) = drawn {
            let at = self.deps().clock.now();
            running.set_poster(Poster { jpeg, at });
        }
        running.poster().ok_or(PlaybackError::NotFound)
    }

    /// Draws the first picture of the newest whole segment.
    async fn draw(&self, playback: &Playback) -> Option<Bytes> {
        let reader = playback.source();
        let (run, msn) = reader.newest_segment()?;
        let init = reader.init(run).ok()?;
        let segment = reader.segment(run, msn).ok()?;
        let spool = self.sending().places().spool.clone();
        let file = blocking(move || {
            let mut file = unnamed(&spool)?;
            file.write_all(&init)?;
            write_media(&mut file, segment)?;
            file.rewind()?;
            Ok(file)
        });
        let drawn = async {
            let file = file.await.map_err(|error| error.to_string())?;
            let pictures = self.deps().host.pictures(file, vec![0], WIDTH).await;
            pictures.map_err(|error| error.to_string())
        };
        match drawn.await {
            Ok(pictures) => pictures.into_iter().next().map(|picture| picture.jpeg),
            Err(error) => {
                tracing::warn!(live.id = %playback.live(), %error, "a picture of a live could not be drawn");
                None
            }
        }
    }
}

/// A file that no other process finds, and that is gone when it is closed.
fn unnamed(folder: &Path) -> std::io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR)?;
    Ok(File::from(file))
}

fn write_media(to: &mut File, media: MediaBytes) -> std::io::Result<()> {
    match media {
        MediaBytes::Memory(bytes) => to.write_all(&bytes),
        MediaBytes::File(range) => {
            let mut at = 0;
            while at < range.length {
                let bytes = range.read(at)?;
                if bytes.is_empty() {
                    break;
                }
                to.write_all(&bytes)?;
                at += bytes.len() as u64;
            }
            Ok(())
        }
        // A segment of a live that runs was never sent anywhere as a whole.
        MediaBytes::Object(_) => Err(std::io::Error::other("it lies in the object store")),
    }
}
