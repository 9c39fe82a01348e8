//! A rung's growing side: the source's parts and segments with other bytes.

use super::beat::{Beat, SourceLine};
use super::error::RenditionError;
use super::growing::{Growing, GrowingPlan};
use super::reader::Reader;
use super::resume::Survived;
use crate::av::{CodecConfig, Frame};
use crate::base::RecordingId;
use crate::hls;
use crate::store::WholeRecording;

/// Where a track of a rung comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// The source's own frames, as they are.
    Source,
    /// The child's encoder: [`Mirror::config`] and [`Mirror::frame`].
    Encoder,
}

/// What a rung is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct MirrorPlan {
    /// Its name in URLs and paths: `720p`, `audio`.
    pub rendition: String,
    /// Its picture; `None`: sound alone.
    pub picture: Option<From>,
    /// Its sound.
    pub sound: Option<From>,
    /// What the multivariant playlist says of it until it was measured: CODECS, size, rates. BANDWIDTH is never
    /// below this one.
    pub estimate: hls::Variant,
}

/// A rung that mirrors its live's source, part by part.
#[derive(Debug)]
pub struct Mirror {
    inner: Growing,
    plan: MirrorPlan,
    away: bool,
}

impl Mirror {
    /// A rung without any media yet. [`GrowingPlan::rendition`] is overruled by the mirror's.
    #[must_use]
    pub fn new(mut plan: GrowingPlan, mirror: MirrorPlan) -> Self {
        plan.rendition.clone_from(&mirror.rendition);
        Self {
            inner: Growing::new(plan),
            plan: mirror,
            away: false,
        }
    }

    /// A rung whose live has been going on without it: it lacks all of `source`. Before the first beat.
    pub fn lacks(&mut self, source: &SourceLine) {
        let _ = source;
    }

    /// A rung that an earlier process has left, brought to where `source` ([`Growing::take_line`]) stands now: it is away until
    /// its media comes again. Also for a rung of which there is nothing yet.
    ///
    /// # Errors
    /// When rows or files cannot be read.
    #[expect(clippy::unused_async, reason = "bodies follow")]
    pub async fn resume(
        plan: GrowingPlan,
        mirror: MirrorPlan,
        recording: &WholeRecording,
        source: &SourceLine,
        survived: Survived,
    ) -> Result<Self, RenditionError> {
        let _ = (recording, source, survived);
        Ok(Self::new(plan, mirror))
    }

    /// Its reading side; lives on when this side is gone.
    #[must_use]
    pub fn reader(&self) -> Reader {
        self.inner.reader()
    }

    /// Which recording its rows belong to; before the first media.
    pub fn set_recording(&mut self, recording: RecordingId) {
        self.inner.set_recording(recording);
    }

    /// What its rung is made of.
    #[must_use]
    pub fn plan(&self) -> &MirrorPlan {
        &self.plan
    }

    /// What it is made of from the source's next run on: before that run's beat.
    pub fn replan(&mut self, mirror: MirrorPlan) {
        self.plan = mirror;
    }

    /// The source's next beat. Each beat before the frames that the child makes of it.
    ///
    /// # Errors
    /// When a file or a row could not be made: the rung is away then, and tries again by itself.
    #[expect(clippy::unused_async, reason = "bodies follow")]
    pub async fn beat(&mut self, beat: &Beat) -> Result<(), RenditionError> {
        let _ = beat;
        Ok(())
    }

    /// What the frames that follow are, from the child. Configurations of tracks that are the source's own are ignored.
    ///
    /// # Errors
    /// As [`Mirror::beat`].
    #[expect(clippy::unused_async, reason = "bodies follow")]
    pub async fn config(&mut self, config: CodecConfig) -> Result<(), RenditionError> {
        let _ = config;
        Ok(())
    }

    /// A frame from the child, on the playlist's timeline.
    ///
    /// # Errors
    /// As [`Mirror::beat`].
    #[expect(clippy::unused_async, reason = "bodies follow")]
    pub async fn frame(&mut self, frame: Frame) -> Result<(), RenditionError> {
        let _ = frame;
        Ok(())
    }

    /// The child has said all that it will say of the parts told so far (it was drained, or a session's end is a while
    /// ago): they are made of what there is.
    ///
    /// # Errors
    /// As [`Mirror::beat`].
    #[expect(clippy::unused_async, reason = "bodies follow")]
    pub async fn settle(&mut self) -> Result<(), RenditionError> {
        Ok(())
    }

    /// Its media will not come: the open segment is lost, its playlist answers 404 until frames bring it back, at a
    /// segment that begins with a key frame.
    #[expect(clippy::unused_async, reason = "bodies follow")]
    pub async fn away(&mut self) {
        self.away = true;
    }

    /// Whether its playlist cannot be had now.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.away
    }

    /// Ends the rung, as [`Growing::finish`] ends its source: settles, ENDLIST at once, then the files. Answers whether anything
    /// was recorded.
    ///
    /// # Errors
    /// `Pending` when the files are not final in time: [`Mirror::finished`] then waits for them.
    pub async fn finish(&mut self) -> Result<bool, RenditionError> {
        self.inner.finish().await
    }

    /// As [`Growing::finished`].
    ///
    /// # Errors
    /// `Pending` when the server stops before.
    pub async fn finished(&mut self) -> Result<bool, RenditionError> {
        self.inner.finished().await
    }

    /// Makes everything durable and lets go of the files, for a later process to go on.
    ///
    /// # Errors
    /// When the disk refuses to sync.
    pub async fn park(&mut self) -> Result<(), RenditionError> {
        self.inner.park().await
    }
}
