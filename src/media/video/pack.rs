//! What a child gives becomes renditions: each rung is written by a writer of its own, all beside each other.

use std::io;

use crate::av::{CodecConfig, TrackSet};
use crate::base::{ErrorKind, IdMaker, MediaId, RecordingId};
use crate::jobs::JobError;
use crate::pipeline::{Output, PipelineError, Running};
use crate::rendition::{NewRendition, RenditionError, RunWriter, Sending};

/// Why no rendition came of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum PackError {
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error(transparent)]
    Rendition(#[from] RenditionError),
    #[error("the original: {0}")]
    Original(#[from] io::Error),
    /// Not a single picture came out.
    #[error("nothing came out")]
    Empty,
}

impl PackError {
    /// Whether another try with the same file is of no use.
    pub(super) fn is_the_files_fault(&self) -> bool {
        match self {
            Self::Pipeline(error) => error.is_the_files_fault(),
            Self::Rendition(error) => matches!(error, RenditionError::Packaging(_)),
            Self::Original(_) => false,
            Self::Empty => true,
        }
    }
}

impl PackError {
    /// What it means for the job.
    pub(super) fn of_job(self) -> JobError {
        if self.is_the_files_fault() {
            return JobError::never("unreadable", self);
        }
        let reason = match &self {
            Self::Rendition(error) if error.kind() == ErrorKind::Exhausted => "no_room",
            _ => "internal",
        };
        JobError::again(reason, self)
    }
}

/// Where the renditions belong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shelf<'a> {
    pub(super) sending: &'a Sending,
    pub(super) ids: &'a IdMaker,
    pub(super) media: MediaId,
    pub(super) recording: RecordingId,
}

/// A rung on its way.
enum Rung {
    /// Its tracks as far as they are told: all of them before its first frame.
    Waiting(TrackSet),
    Writing(Box<RunWriter>),
    /// It is there from an earlier try.
    There,
}

/// Writes all that `running` gives: rung `n` under `names[n]`. `progress` is told where in the source it is, in ms.
pub(super) async fn pack(
    mut running: Running,
    names: &[String],
    frame_rate: Option<f64>,
    shelf: Shelf<'_>,
    progress: impl Fn(u64),
) -> Result<(), PackError> {
    let mut rungs: Vec<Rung> = names
        .iter()
        .map(|_| Rung::Waiting(TrackSet::default()))
        .collect();
    while let Some(output) = running.next().await? {
        match output {
            Output::Track { rung, config } => {
                if let Some(Rung::Waiting(tracks)) = rungs.get_mut(rung) {
                    match config {
                        CodecConfig::Video(video) => tracks.video = Some(video),
                        CodecConfig::Audio(audio) => tracks.audio = Some(audio),
                    }
                }
            }
            Output::Frame { rung, frame } => {
                let (Some(state), Some(name)) = (rungs.get_mut(rung), names.get(rung)) else {
                    continue;
                };
                if let Rung::Waiting(tracks) = state {
                    let tracks = std::mem::take(tracks);
                    *state = begin(name, tracks, frame_rate, shelf).await?;
                }
                if let Rung::Writing(writer) = state {
                    writer.push(frame).await?;
                }
            }
            Output::Progress { position_ms } => progress(position_ms),
            Output::Report(_)
            | Output::Picture(_)
            | Output::Still { .. }
            | Output::Position { .. } => {}
        }
    }
    for rung in rungs {
        match rung {
            Rung::Writing(writer) => {
                writer.finish().await?.ok_or(PackError::Empty)?;
            }
            Rung::Waiting(_) => return Err(PackError::Empty),
            Rung::There => {}
        }
    }
    Ok(())
}

async fn begin(
    name: &str,
    tracks: TrackSet,
    frame_rate: Option<f64>,
    shelf: Shelf<'_>,
) -> Result<Rung, PackError> {
    let new = NewRendition {
        recording: shelf.recording,
        media: shelf.media,
        rendition: name.to_owned(),
        frame_rate: frame_rate.filter(|_| tracks.video.is_some()),
        tracks,
    };
    let writer = RunWriter::begin(shelf.sending, shelf.ids, new).await?;
    Ok(writer.map_or(Rung::There, |writer| Rung::Writing(Box::new(writer))))
}
