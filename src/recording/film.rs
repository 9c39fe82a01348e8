//! Runs, one behind the other, into one WebM.

use std::io;

use bytes::Bytes;

use super::plan::Plan;
use super::workshop::Half;
use crate::av::{AudioCodec, AudioConfig, CodecConfig, Frame, Ticks, Timescale, TrackKind};
use crate::pipeline::{Output, PipelineError, Running};
use crate::webm::{PictureCodec, PictureTrack, SoundTrack, TrackError, Tracks, Writer};

/// What goes to the disk at once.
const PIECE: usize = 256 << 10;
const OPUS: Timescale = Timescale::new(48_000).expect("not zero");
/// The `dOps` of the sound that we encode: stereo, and the 312 samples that libopus is fed ahead.
const OUR_OPUS: [u8; 11] = [0, 2, 1, 0x38, 0, 0, 0xbb, 0x80, 0, 0, 0];

/// Why no film came of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum FilmError {
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error(transparent)]
    Track(#[from] TrackError),
    #[error("the film's file: {0}")]
    Disk(#[from] io::Error),
    #[error("a run broke off before its end")]
    Truncated,
    #[error("nothing came out")]
    Empty,
}

/// A film on its way.
#[derive(Debug)]
pub(super) struct Film {
    plan: Plan,
    half: Half,
    writer: Option<Writer>,
    tracks: Tracks,
    out: Vec<u8>,
    end: Ticks,
}

/// One that is there.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) half: Half,
    pub(super) bytes: u64,
    pub(super) duration: Ticks,
    /// Pixels of the picture, if there is one.
    pub(super) size: Option<(u32, u32)>,
}

impl Film {
    pub(super) fn begin(plan: Plan, half: Half) -> Self {
        Self {
            plan,
            half,
            writer: None,
            tracks: Tracks::default(),
            out: Vec::new(),
            end: Ticks::ZERO,
        }
    }

    /// Takes all that a child gives of one run, which begins at `start` and lasts `duration` (90 kHz). `progress` is told
    /// where in the run it is, ms.
    pub(super) async fn run(
        &mut self,
        mut running: Running,
        start: Ticks,
        duration: Ticks,
        progress: impl Fn(u64),
    ) -> Result<(), FilmError> {
        let mut is_first_sound = true;
        while let Some(output) = running.next().await? {
            match output {
                Output::Track { config, .. } => self.track(&config)?,
                Output::Frame { mut frame, .. } => {
                    if frame.track == TrackKind::Audio && std::mem::take(&mut is_first_sound) {
                        frame = self.ahead(frame);
                    }
                    self.frame(placed(frame, start)).await?;
                }
                Output::Progress { position_ms } => progress(position_ms),
                _ => {}
            }
        }
        if running.summary().truncated {
            return Err(FilmError::Truncated);
        }
        self.end = start + duration;
        Ok(())
    }

    /// A track of the first run: later ones have the same, or are encoded into it.
    fn track(&mut self, config: &CodecConfig) -> Result<(), FilmError> {
        if self.writer.is_some() {
            return Ok(());
        }
        match config {
            CodecConfig::Video(config) => self.tracks.pictures = Some(PictureTrack::of(config)?),
            CodecConfig::Audio(config) => self.tracks.sound = Some(SoundTrack::of(config)?),
        }
        Ok(())
    }

    /// The first packet of an encoder of ours, whose time is that of the first sound that is heard: what is not heard lies
    /// before it.
    fn ahead(&self, mut frame: Frame) -> Frame {
        if let (Plan::Encode { .. }, Some(sound)) = (self.plan, &self.tracks.sound) {
            frame.pts = frame.pts - Ticks(sound.pre_skip.into());
        }
        frame
    }

    async fn frame(&mut self, frame: Frame) -> Result<(), FilmError> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => {
                self.expect_tracks()?;
                let writer = Writer::new(self.tracks.clone(), &mut self.out);
                self.writer.insert(writer)
            }
        };
        writer.push(&frame, &mut self.out);
        if self.out.len() >= PIECE {
            self.half.append(std::mem::take(&mut self.out)).await?;
        }
        Ok(())
    }

    /// What a later run may bring must stand in the file's head.
    fn expect_tracks(&mut self) -> Result<(), FilmError> {
        let Plan::Encode { video, audio } = self.plan else {
            return Ok(());
        };
        self.tracks.pictures = video.map(|video| PictureTrack {
            codec: PictureCodec::Vp8,
            width: video.width,
            height: video.height,
        });
        if audio.is_some() && self.tracks.sound.is_none() {
            self.tracks.sound = Some(SoundTrack::of(&AudioConfig {
                codec: AudioCodec::Opus,
                sample_rate: 48_000,
                channels: 2,
                frame_samples: 960,
                record: Bytes::from_static(&OUR_OPUS),
                codecs: "opus".to_owned(),
            })?);
        }
        Ok(())
    }

    /// Ends the file, and makes it durable.
    pub(super) async fn finish(mut self) -> Result<Made, FilmError> {
        let writer = self.writer.take().ok_or(FilmError::Empty)?;
        let finished = writer.finish(self.end);
        self.out.extend(finished.tail);
        self.half.append(self.out).await?;
        let bytes = self.half.complete(finished.patches).await?;
        let pictures = self.tracks.pictures;
        Ok(Made {
            half: self.half,
            bytes,
            duration: self.end,
            size: pictures.map(|pictures| (pictures.width, pictures.height)),
        })
    }
}

/// The frame on the film's timeline.
fn placed(mut frame: Frame, start: Ticks) -> Frame {
    let start = match frame.track {
        TrackKind::Video => start,
        TrackKind::Audio => start.rescale(Timescale::VIDEO, OPUS),
    };
    frame.pts = frame.pts + start;
    frame.dts = frame.dts + start;
    frame
}
