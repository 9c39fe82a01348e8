//! The final `moov`: the sample index of the whole file, from the indexes of its segments.

use std::borrow::Borrow;

use bytes::{BufMut, Bytes, BytesMut};

use super::boxes::{boxed, full_box};
use super::index::SegmentIndex;
use super::init::{self, INIT_OFFSET, MDAT_OFFSET, TrackTables};
use super::tables::{Extent, SampleTables};
use crate::av::{AudioConfig, Ticks, Timescale, TrackKind, TrackSet};

/// Why a file cannot be made final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FinaliseError {
    /// The parts of the index and the head are not as long as the file.
    #[error("index covers {indexed} bytes of a file of {data_end}")]
    Length {
        /// Bytes of head and parts by the index.
        indexed: u64,
        /// Bytes of head and parts by the caller.
        data_end: u64,
    },
}

/// What makes a growing file a plain MP4. Order of writes: append `moov`, sync, overwrite 16 bytes, sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finalised {
    /// To be appended at `data_end`.
    pub moov: Bytes,
    /// To be written at [`MDAT_OFFSET`](super::MDAT_OFFSET): the header of an `mdat` that ends at `data_end`.
    pub mdat_header: [u8; 16],
    /// Of the longer track, 90 kHz, from the first picture.
    pub duration: Ticks,
    /// Pictures.
    pub video_frames: u64,
    /// Sound frames.
    pub audio_frames: u64,
}

/// Collects the index segment by segment; memory is about that of the final `moov`.
#[derive(Debug)]
pub struct Finaliser {
    tracks: TrackSet,
    /// Where the next part begins in the file.
    offset: u64,
    video: SampleTables,
    audio: SampleTables,
}

impl Finaliser {
    /// For a file with these tracks.
    #[must_use]
    pub fn new(tracks: &TrackSet) -> Self {
        Self {
            offset: INIT_OFFSET + init::init_section(tracks).bytes.len() as u64,
            tracks: tracks.clone(),
            video: SampleTables::default(),
            audio: SampleTables::default(),
        }
    }

    /// The next segment of the file.
    pub fn add(&mut self, segment: &SegmentIndex) {
        for part in &segment.parts {
            for run in &part.runs {
                let tables = match run.track {
                    TrackKind::Video => &mut self.video,
                    TrackKind::Audio => &mut self.audio,
                };
                tables.add(run, self.offset + u64::from(run.data_offset));
            }
            self.offset += u64::from(part.length);
        }
    }

    /// The boxes. `data_end`: bytes of head and parts, that is the length of the file before the `moov`.
    ///
    /// # Errors
    /// When the segments do not fill the file exactly.
    pub fn finish(mut self, data_end: u64) -> Result<Finalised, FinaliseError> {
        if self.offset != data_end {
            return Err(FinaliseError::Length {
                indexed: self.offset,
                data_end,
            });
        }
        let video = self.video.finish();
        let audio = self.audio.finish();
        let rate = self
            .tracks
            .audio
            .as_ref()
            .map_or(Timescale::VIDEO, AudioConfig::timescale);
        let edits = match (video, audio) {
            (Some(video), Some(audio)) => Edits::between(video, audio, rate),
            (_, audio) => Edits {
                media: audio.map_or(0, |audio| audio.duration),
                ..Edits::default()
            },
        };
        let video_duration = video.map_or(0, |video| video.duration);
        let audio_duration = edits.empty + edits.shown(rate);
        let duration = video_duration.max(audio_duration);
        let capacity = 4_096 + self.video.written_len() + self.audio.written_len();
        let mut out = BytesMut::with_capacity(capacity);
        boxed(&mut out, *b"moov", |out| {
            init::mvhd(out, duration);
            if let Some(config) = &self.tracks.video {
                let lag = video.map_or(0, |video| video.first_presented - video.first_decode);
                let tables = TrackTables {
                    media_duration: video_duration,
                    track_duration: video_duration,
                    edits: &|_| {},
                    tables: &|out| self.video.write(out, lag, true),
                };
                init::video_trak(out, config, &tables);
            }
            if let Some(config) = &self.tracks.audio {
                let tables = TrackTables {
                    media_duration: audio.map_or(0, |audio| audio.duration),
                    track_duration: audio_duration,
                    edits: &|out| edits.write(out, rate),
                    tables: &|out| self.audio.write(out, 0, false),
                };
                init::audio_trak(out, config, &tables);
            }
        });
        Ok(Finalised {
            moov: out.freeze(),
            mdat_header: mdat_header(data_end),
            duration: Ticks(i64::try_from(duration).unwrap_or(i64::MAX)),
            video_frames: u64::from(self.video.samples()),
            audio_frames: u64::from(self.audio.samples()),
        })
    }
}

/// How the sound lies on a movie that begins with the first picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Edits {
    /// Nothing for so long, in 90 kHz: the sound begins after the first picture.
    empty: u64,
    /// So many samples are left out: the sound begins before the first picture.
    trim: u64,
    /// Length of the sound in its sample rate, with what is left out.
    media: u64,
}

impl Edits {
    fn between(video: Extent, audio: Extent, rate: Timescale) -> Self {
        let picture = Ticks(video.first_presented)
            .rescale(Timescale::VIDEO, rate)
            .0;
        let late = audio.first_decode - picture;
        // A tick or two are the rounding between the clocks.
        let (late, trim) = if late.abs() <= 2 {
            (0, 0)
        } else {
            (late.max(0), (-late).max(0))
        };
        let empty = Ticks(late).rescale(rate, Timescale::VIDEO).0;
        Self {
            empty: u64::try_from(empty).unwrap_or(0),
            trim: u64::try_from(trim).unwrap_or(0),
            media: audio.duration,
        }
    }

    /// How long sound is heard, in 90 kHz.
    fn shown(&self, rate: Timescale) -> u64 {
        let heard = i64::try_from(self.media.saturating_sub(self.trim)).unwrap_or(i64::MAX);
        let heard = Ticks(heard).rescale(rate, Timescale::VIDEO).0;
        u64::try_from(heard).unwrap_or(0)
    }

    fn write(&self, out: &mut BytesMut, rate: Timescale) {
        if self.empty == 0 && self.trim == 0 {
            return;
        }
        boxed(out, *b"edts", |out| {
            full_box(out, *b"elst", 1, 0, |out| {
                out.put_u32(if self.empty > 0 { 2 } else { 1 });
                if self.empty > 0 {
                    out.put_u64(self.empty);
                    out.put_i64(-1);
                    out.put_u32(0x0001_0000);
                }
                out.put_u64(self.shown(rate));
                out.put_u64(self.trim);
                out.put_u32(0x0001_0000);
            });
        });
    }
}

/// The header of an `mdat` with a 64-bit size from [`MDAT_OFFSET`] to `data_end`.
fn mdat_header(data_end: u64) -> [u8; 16] {
    let mut header = [0; 16];
    header[3] = 1;
    header[4..8].copy_from_slice(b"mdat");
    header[8..].copy_from_slice(&(data_end - MDAT_OFFSET).to_be_bytes());
    header
}

/// [`Finaliser`] in one call.
///
/// # Errors
/// When the segments do not fill the file exactly.
pub fn finalise<S: Borrow<SegmentIndex>>(
    tracks: &TrackSet,
    segments: impl IntoIterator<Item = S>,
    data_end: u64,
) -> Result<Finalised, FinaliseError> {
    let mut finaliser = Finaliser::new(tracks);
    for segment in segments {
        finaliser.add(segment.borrow());
    }
    finaliser.finish(data_end)
}
