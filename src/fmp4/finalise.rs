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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fmp4::testing::{Encoder, indexes, packager, parts, session, walk};

    /// The payload of the first box at this path.
    fn find<'a>(mut bytes: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
        for kind in path {
            let mut rest = bytes;
            bytes = loop {
                let size = u32::from_be_bytes(rest.get(..4)?.try_into().unwrap()) as usize;
                if &rest[4..8] == *kind {
                    break &rest[8..size];
                }
                rest = &rest[size..];
            };
        }
        Some(bytes)
    }

    fn numbers(bytes: &[u8]) -> Vec<i64> {
        let number = |chunk: &[u8]| i64::from(i32::from_be_bytes(chunk.try_into().unwrap()));
        bytes.chunks_exact(4).map(number).collect()
    }

    /// Run lengths to one value a sample.
    fn spread(table: &[u8]) -> Vec<i64> {
        let runs = numbers(&table[8..]);
        let one = |run: &[i64]| vec![run[1]; usize::try_from(run[0]).unwrap()];
        runs.chunks_exact(2).flat_map(one).collect()
    }

    const STBL: [&[u8; 4]; 3] = [b"mdia", b"minf", b"stbl"];

    fn trak(moov: &[u8], id: usize) -> &[u8] {
        let moov = find(moov, &[b"moov"]).unwrap();
        let first = find(moov, &[b"trak"]).unwrap();
        if id == 0 {
            return first;
        }
        let behind = first.as_ptr().addr() - moov.as_ptr().addr() + first.len();
        find(&moov[behind..], &[b"trak"]).unwrap()
    }

    #[test]
    fn the_tables_tell_what_the_parts_hold() {
        let encoder = Encoder::default().with_b_frames();
        let mut packager = packager(encoder.tracks(), Some(30.0));
        let packed = session(&mut packager, encoder.seconds(8.0));
        let mut file = packager.head().to_vec();
        for part in parts(&packed) {
            file.extend_from_slice(&part.bytes);
        }
        let finalised = finalise(&encoder.tracks(), indexes(&packed), file.len() as u64).unwrap();
        for (at, id) in [1, 2].into_iter().enumerate() {
            let samples: Vec<_> = parts(&packed)
                .iter()
                .flat_map(|part| walk(&part.bytes, 1_024))
                .filter(|(track, _)| *track == id)
                .flat_map(|(_, samples)| samples)
                .collect();
            let stbl = find(trak(&finalised.moov, at), &STBL).unwrap();
            let durations: Vec<i64> = samples.iter().map(|sample| sample.2).collect();
            assert_eq!(spread(find(stbl, &[b"stts"]).unwrap()), durations);
            let sizes = numbers(&find(stbl, &[b"stsz"]).unwrap()[12..]);
            // Chunk by chunk the bytes are where the tables say.
            let chunks = numbers(&find(stbl, &[b"co64"]).unwrap()[8..]);
            let offsets: Vec<usize> = chunks
                .chunks_exact(2)
                .map(|pair| usize::try_from(pair[1]).unwrap())
                .collect();
            let groups = numbers(&find(stbl, &[b"stsc"]).unwrap()[8..]);
            let mut next = 0;
            for (chunk, mut offset) in (1..).zip(offsets) {
                let group = groups
                    .chunks_exact(3)
                    .rfind(|group| group[0] <= chunk)
                    .unwrap();
                for _ in 0..group[1] {
                    let size = usize::try_from(sizes[next]).unwrap();
                    assert_eq!(file[offset..offset + size], samples[next].4[..]);
                    offset += size;
                    next += 1;
                }
            }
            assert_eq!(next, samples.len());
            if id == 1 {
                let offsets: Vec<i64> = samples.iter().map(|sample| sample.1 - 6_000).collect();
                assert_eq!(spread(find(stbl, &[b"ctts"]).unwrap()), offsets);
                let keys = numbers(&find(stbl, &[b"stss"]).unwrap()[8..]);
                assert_eq!(keys, [1, 61, 121, 181]);
            }
        }
        assert_eq!(finalised.video_frames, 240);
        assert_eq!(finalised.mdat_header[..8], *b"\0\0\0\x01mdat");
        assert_eq!(
            finalised.mdat_header[8..],
            (file.len() as u64 - 36).to_be_bytes()
        );
    }

    #[test]
    fn the_movie_begins_with_the_first_picture_in_any_run() {
        let encoder = Encoder::default().with_b_frames();
        for start in [0, 123_456_789] {
            let config = crate::fmp4::PackagerConfig::default();
            let mut packager =
                crate::fmp4::Packager::new(config, encoder.tracks(), Ticks(start), Some(30.0))
                    .unwrap();
            // Only what comes after the first half of a sound frame: it covers the picture.
            let packed = session(&mut packager, encoder.seconds(4.0));
            let bytes: u64 = indexes(&packed)
                .iter()
                .map(SegmentIndex::length_bytes)
                .sum();
            let end = packager.head().len() as u64 + bytes;
            let finalised = finalise(&encoder.tracks(), indexes(&packed), end).unwrap();
            // 188 frames of sound end later than 120 pictures: 4.0107 s.
            assert!(
                (finalised.duration.0 - 188 * 1_920).abs() <= 90,
                "{:?}",
                finalised.duration
            );
            let video = trak(&finalised.moov, 0);
            assert_eq!(find(video, &[b"edts"]), None);
            let duration = numbers(&find(video, &[b"tkhd"]).unwrap()[28..36]);
            assert_eq!(duration, [0, 360_000]);
        }
    }

    #[test]
    fn sound_before_the_picture_is_cut_by_an_edit_and_late_sound_waits() {
        let rate = Timescale::new(48_000).unwrap();
        let video = Extent {
            first_decode: 0,
            first_presented: 6_000,
            duration: 90_000,
        };
        let audio = |first_decode| Extent {
            first_decode,
            first_presented: first_decode,
            duration: 48_000,
        };
        assert_eq!(
            Edits::between(video, audio(3_200), rate),
            Edits {
                empty: 0,
                trim: 0,
                media: 48_000
            }
        );
        let early = Edits::between(video, audio(2_700), rate);
        assert_eq!(
            early,
            Edits {
                empty: 0,
                trim: 500,
                media: 48_000
            }
        );
        assert_eq!(
            early.shown(rate),
            47_500 * 15 / 8 + 1,
            "to the nearest tick"
        );
        let late = Edits::between(video, audio(5_600), rate);
        assert_eq!(
            late,
            Edits {
                empty: 4_500,
                trim: 0,
                media: 48_000
            }
        );
    }

    #[test]
    fn a_file_of_another_length_is_refused() {
        let encoder = Encoder::default();
        let mut packager = packager(encoder.tracks(), None);
        let packed = session(&mut packager, encoder.seconds(1.0));
        let refused = finalise(&encoder.tracks(), indexes(&packed), 5_000).unwrap_err();
        assert!(matches!(
            refused,
            FinaliseError::Length {
                data_end: 5_000,
                ..
            }
        ));
    }

    #[test]
    fn what_only_memory_held_is_a_longer_sample() {
        let encoder = Encoder {
            audio: false,
            ..Encoder::default()
        };
        let mut packager = packager(encoder.tracks(), Some(30.0));
        let packed = session(&mut packager, encoder.seconds(6.0));
        let mut indexes = indexes(&packed);
        // Two seconds never reached the disk.
        indexes.remove(1);
        let bytes: u64 = indexes.iter().map(SegmentIndex::length_bytes).sum();
        let end = packager.head().len() as u64 + bytes;
        let finalised = finalise(&encoder.tracks(), &indexes, end).unwrap();
        let stbl = find(trak(&finalised.moov, 0), &STBL).unwrap();
        let mut expected = vec![3_000; 120];
        expected[59] += 180_000;
        assert_eq!(spread(find(stbl, &[b"stts"]).unwrap()), expected);
    }
}
