//! The scan: what a crash has left of a rendition file. Reads headers only, trusts nothing.

use std::io::{Read, Seek, SeekFrom};

use super::index::PartIndex;
use super::init::{INIT_OFFSET, MDAT_OFFSET};
use super::scan_boxes::{BoxHeader, Tracks, parse_init, parse_moof};
use crate::av::{Ticks, Timescale, TrackKind, TrackSet};

/// The longest `moov` an init section may have.
const MAX_INIT: u64 = 1 << 20;

/// The longest `moof`: a part of ours holds some hundred samples of 16 bytes at most, long ones of a run of silence more.
const MAX_MOOF: u64 = 4 << 20;

/// Why a file cannot be scanned.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// Reading failed.
    #[error("rendition file cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// It does not begin like a rendition file, or its head is torn: nothing can be saved.
    #[error("not a rendition file: {0}")]
    Head(&'static str),
}

/// The head of a rendition file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileHead {
    /// The tracks of its init section. `codecs` of a picture is as it was packaged if it had at most 31 characters, else empty.
    pub tracks: TrackSet,
    /// Bytes before the first part.
    pub length: u64,
    /// Where the parts end if the 16 bytes already say so: the file is final, once the `moov` is whole.
    pub finalised_end: Option<u64>,
}

/// What follows the last whole part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// Nothing.
    Clean,
    /// A part that is not whole, or bytes that are no part: to be cut off at [`Scan::data_end`].
    Torn,
    /// A whole final `moov` up to the end of the file. Without [`FileHead::finalised_end`] the crash came before the
    /// 16 bytes were written: cut it off at [`Scan::data_end`] and finish again.
    Moov,
}

/// What a scan has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// The head.
    pub head: FileHead,
    /// Whole parts, in order.
    pub parts: Vec<PartIndex>,
    /// Where the last whole part ends, in bytes.
    pub data_end: u64,
    /// Bytes of the file.
    pub file_length: u64,
    /// What lies between.
    pub tail: Tail,
}

/// Scans a whole file: its head, then every part. Costs two small reads per part, whatever the file's length, and
/// never allocates by a declared length.
///
/// # Errors
/// When reading fails, or when the head is not that of a rendition file.
pub fn scan(reader: &mut (impl Read + Seek)) -> Result<Scan, ScanError> {
    let head = scan_head(reader)?;
    scan_parts(reader, head, None)
}

/// Reads the head alone.
///
/// # Errors
/// When reading fails, or when the head is not that of a rendition file.
pub fn scan_head(reader: &mut (impl Read + Seek)) -> Result<FileHead, ScanError> {
    let file_length = reader.seek(SeekFrom::End(0))?;
    let mut file = Window {
        reader,
        file_length,
    };
    let first = file.header(0)?.ok_or(ScanError::Head("it is too short"))?;
    if first.kind != *b"ftyp" || first.size != MDAT_OFFSET {
        return Err(ScanError::Head("no ftyp of ours"));
    }
    let finalised_end = match file.header(MDAT_OFFSET)? {
        Some(header) if header.kind == *b"free" && header.size == 16 => None,
        Some(header) if header.kind == *b"mdat" && header.length == 16 => {
            Some(MDAT_OFFSET.saturating_add(header.size))
        }
        _ => return Err(ScanError::Head("neither free nor mdat behind ftyp")),
    };
    let ftyp = file.whole(INIT_OFFSET, *b"ftyp", MAX_INIT)?;
    let moov_at = INIT_OFFSET + ftyp;
    let moov = file.whole(moov_at, *b"moov", MAX_INIT)?;
    let bytes = file.read(moov_at, moov)?;
    let tracks = parse_init(&bytes).ok_or(ScanError::Head("init section is damaged"))?;
    Ok(FileHead {
        tracks,
        length: moov_at + moov,
        finalised_end,
    })
}

/// Scans the parts from offset `from` on (a part's first byte: the end of what the index already knows), or from the
/// first. Starts and durations of parts are taken from their pictures, or from their sound where they have none.
///
/// # Errors
/// When reading fails.
pub fn scan_parts(
    reader: &mut (impl Read + Seek),
    head: FileHead,
    from: Option<u64>,
) -> Result<Scan, ScanError> {
    let file_length = reader.seek(SeekFrom::End(0))?;
    let mut file = Window {
        reader,
        file_length,
    };
    let tracks = Tracks::of(&head.tracks);
    let parts_end = head
        .finalised_end
        .map_or(file_length, |end| end.min(file_length));
    let mut data_end = from.unwrap_or(head.length);
    let mut parts = Vec::new();
    let mut line = None;
    while let Some(mut part) = file.part(data_end, parts_end, &tracks)? {
        data_end += u64::from(part.length);
        place(&mut part, line, &tracks);
        line = Some(part.start.0.saturating_add(part.duration.0));
        parts.push(part);
    }
    let tail = match file.header(data_end)? {
        _ if data_end == file_length => Tail::Clean,
        Some(header)
            if header.kind == *b"moov"
                && data_end.checked_add(header.size) == Some(file_length) =>
        {
            Tail::Moov
        }
        _ => Tail::Torn,
    };
    Ok(Scan {
        head,
        parts,
        data_end,
        file_length,
        tail,
    })
}

/// Start, duration and independence, which no box tells.
fn place(part: &mut PartIndex, line: Option<i64>, tracks: &Tracks) {
    let span = |kind: TrackKind| {
        let run = part.runs.iter().find(|run| run.track == kind)?;
        let sum: i64 = run
            .samples
            .iter()
            .map(|sample| i64::from(sample.duration))
            .sum();
        let scale = match kind {
            TrackKind::Video => Timescale::VIDEO,
            TrackKind::Audio => tracks.audio_scale,
        };
        let start = run.base_decode_time;
        let end = Ticks(start.0.saturating_add(sum));
        let to_video = |ticks: Ticks| ticks.rescale(scale, Timescale::VIDEO).0;
        Some((to_video(start), to_video(end)))
    };
    let Some((begin, end)) = span(TrackKind::Video).or_else(|| span(TrackKind::Audio)) else {
        return;
    };
    let start = line.unwrap_or(begin);
    let has_pictures = part.runs.iter().any(|run| run.track == TrackKind::Video);
    // Sound alone is ahead of decoding times by the reorder lag, which is not known here: its length tells.
    let end = if has_pictures {
        end
    } else {
        start.saturating_add(end.saturating_sub(begin))
    };
    part.start = Ticks(start);
    part.duration = Ticks(end.saturating_sub(start).max(1));
    part.independent = match has_pictures {
        true => part
            .runs
            .iter()
            .filter(|run| run.track == TrackKind::Video)
            .any(|run| run.samples.iter().any(|sample| sample.key)),
        false => !tracks.has_video,
    };
}

/// The file, read at offsets.
struct Window<'a, R> {
    reader: &'a mut R,
    file_length: u64,
}

impl<R: Read + Seek> Window<'_, R> {
    /// The box header at `offset`; `None` if the file ends before it does, or if it is none.
    fn header(&mut self, offset: u64) -> Result<Option<BoxHeader>, ScanError> {
        let bytes = self.read(offset, 16)?;
        Ok(BoxHeader::parse(&bytes))
    }

    /// The size of the box at `offset`, which is whole, of this kind and at most `most` long.
    fn whole(&mut self, offset: u64, kind: [u8; 4], most: u64) -> Result<u64, ScanError> {
        match self.header(offset)? {
            Some(header)
                if header.kind == kind
                    && header.size <= most
                    && offset + header.size <= self.file_length =>
            {
                Ok(header.size)
            }
            _ => Err(ScanError::Head("init section is torn")),
        }
    }

    /// Up to `length` bytes from `offset` on; fewer at the end of the file.
    fn read(&mut self, offset: u64, length: u64) -> Result<Vec<u8>, ScanError> {
        let there = self.file_length.saturating_sub(offset).min(length);
        let mut bytes = Vec::new();
        if there > 0 {
            self.reader.seek(SeekFrom::Start(offset))?;
            self.reader.by_ref().take(there).read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    }

    /// The part at `offset`, if it is whole before `end`.
    fn part(
        &mut self,
        offset: u64,
        end: u64,
        tracks: &Tracks,
    ) -> Result<Option<PartIndex>, ScanError> {
        // One read holds the whole moof of nearly every part, and the header of its mdat.
        let mut bytes = self.read(offset, 4_096)?;
        let Some(moof) = BoxHeader::parse(&bytes).filter(|header| header.kind == *b"moof") else {
            return Ok(None);
        };
        if moof.size > MAX_MOOF {
            return Ok(None);
        }
        if (bytes.len() as u64) < moof.size + 16 {
            bytes = self.read(offset, moof.size + 16)?;
        }
        let Some((moof_bytes, behind)) = usize::try_from(moof.size)
            .ok()
            .and_then(|size| bytes.split_at_checked(size))
        else {
            return Ok(None);
        };
        let Some(mdat) = BoxHeader::parse(behind).filter(|header| header.kind == *b"mdat") else {
            return Ok(None);
        };
        let length = moof.size.saturating_add(mdat.size);
        let is_whole = offset
            .checked_add(length)
            .is_some_and(|part_end| part_end <= end);
        let Some(length) = u32::try_from(length).ok().filter(|_| is_whole) else {
            return Ok(None);
        };
        let runs = parse_moof(&moof_bytes[moof.header()..], tracks, length);
        Ok(runs.map(|runs| PartIndex {
            length,
            start: Ticks::ZERO,
            duration: Ticks::ZERO,
            independent: false,
            runs,
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;
    use crate::fmp4::testing::{Encoder, indexes, packager, parts, session};
    use crate::fmp4::{SegmentIndex, finalise};

    /// A file of two seconds, and the index of its parts.
    fn file() -> (TrackSet, Vec<u8>, SegmentIndex) {
        let encoder = Encoder::default().with_b_frames();
        let mut packager = packager(encoder.tracks(), Some(30.0));
        let packed = session(&mut packager, encoder.seconds(2.0));
        let mut bytes = packager.head().to_vec();
        for part in parts(&packed) {
            bytes.extend_from_slice(&part.bytes);
        }
        (
            encoder.tracks(),
            bytes,
            SegmentIndex {
                parts: indexes(&packed)
                    .into_iter()
                    .flat_map(|index| index.parts)
                    .collect(),
            },
        )
    }

    fn pictured(parts: &[PartIndex]) -> usize {
        parts
            .iter()
            .filter(|part| part.runs[0].track == TrackKind::Video)
            .count()
    }

    #[test]
    fn a_whole_file_is_found_as_it_was_written() {
        let (tracks, bytes, index) = file();
        let scan = scan(&mut Cursor::new(&bytes)).unwrap();
        assert_eq!(scan.head.tracks, tracks);
        assert_eq!((scan.tail, scan.head.finalised_end), (Tail::Clean, None));
        // Parts of sound alone have no duration of their own in the file; the others do.
        let whole = pictured(&index.parts);
        assert_eq!(scan.parts[..whole], index.parts[..whole]);
        assert_eq!(scan.parts.len(), index.parts.len());
    }

    #[test]
    fn a_file_torn_anywhere_gives_its_whole_parts() {
        let (_, bytes, index) = file();
        let head = scan_head(&mut Cursor::new(&bytes)).unwrap();
        for length in usize::try_from(head.length).unwrap()..bytes.len() {
            let scan = scan(&mut Cursor::new(&bytes[..length])).unwrap();
            let mut end = head.length;
            let whole = index.parts.iter().take_while(|part| {
                end += u64::from(part.length);
                end <= length as u64
            });
            assert_eq!(scan.parts.len(), whole.count(), "torn at {length}");
            let is_clean = scan.data_end == length as u64;
            assert_eq!(scan.tail, if is_clean { Tail::Clean } else { Tail::Torn });
        }
        for length in 0..usize::try_from(head.length).unwrap() {
            assert!(scan(&mut Cursor::new(&bytes[..length])).is_err());
        }
    }

    #[test]
    fn each_step_of_finishing_is_recognised() {
        let (tracks, mut bytes, index) = file();
        let data_end = bytes.len() as u64;
        let finalised = finalise(&tracks, [&index], data_end).unwrap();
        bytes.extend_from_slice(&finalised.moov);
        let found = scan(&mut Cursor::new(&bytes)).unwrap();
        assert_eq!(
            (found.tail, found.head.finalised_end, found.data_end),
            (Tail::Moov, None, data_end)
        );
        let torn = scan(&mut Cursor::new(&bytes[..bytes.len() - 1])).unwrap();
        assert_eq!((torn.tail, torn.data_end), (Tail::Torn, data_end));
        bytes[36..52].copy_from_slice(&finalised.mdat_header);
        let found = scan(&mut Cursor::new(&bytes)).unwrap();
        assert_eq!(
            (found.tail, found.head.finalised_end),
            (Tail::Moov, Some(data_end))
        );
        assert_eq!(found.parts.len(), index.parts.len());
    }

    #[test]
    fn a_scan_goes_on_behind_what_is_known() {
        let (_, bytes, index) = file();
        let mut reader = Cursor::new(&bytes);
        let head = scan_head(&mut reader).unwrap();
        let known: u64 = index.parts[..4]
            .iter()
            .map(|part| u64::from(part.length))
            .sum();
        let from = head.length + known;
        let scan = scan_parts(&mut reader, head, Some(from)).unwrap();
        let whole = pictured(&index.parts);
        assert_eq!(scan.parts[..whole - 4], index.parts[4..whole]);
        assert_eq!(scan.data_end, bytes.len() as u64);
    }

    #[test]
    fn every_configuration_comes_back() {
        use crate::av::{AudioCodec, AudioConfig, VideoCodec, VideoConfig};
        let audio =
            |codec, codecs: &str, record: &'static [u8], sample_rate, frame_samples| AudioConfig {
                codec,
                sample_rate,
                channels: 2,
                frame_samples,
                record: bytes::Bytes::from_static(record),
                codecs: codecs.to_owned(),
            };
        let video = |codec, codecs: &str| VideoConfig {
            codec,
            width: 1_920,
            height: 1_080,
            record: bytes::Bytes::from_static(&[1, 2, 3]),
            codecs: codecs.to_owned(),
        };
        let sets = [
            (
                video(VideoCodec::Hevc, "hvc1.1.6.L93.B0"),
                audio(AudioCodec::Opus, "opus", &[0; 11], 48_000, 960),
            ),
            (
                video(VideoCodec::Av1, "av01.0.04M.08"),
                audio(AudioCodec::Mp3, "mp4a.40.34", &[], 44_100, 1_152),
            ),
            (
                video(VideoCodec::Vp9, "vp09.00.31.08"),
                audio(AudioCodec::Mp3, "mp4a.40.34", &[], 22_050, 576),
            ),
            // HE-AAC by explicit signalling, and object type 42 by its escape.
            (
                video(VideoCodec::H264, "avc1.64001f"),
                audio(
                    AudioCodec::Aac,
                    "mp4a.40.5",
                    &[0x2b, 0x92, 8, 0],
                    44_100,
                    2_048,
                ),
            ),
            (
                video(VideoCodec::H264, "avc1.64001f"),
                audio(AudioCodec::Aac, "mp4a.40.42", &[0xf9, 0x46], 96_000, 1_024),
            ),
        ];
        for (video, audio) in sets {
            let tracks = TrackSet {
                video: Some(video),
                audio: Some(audio),
            };
            let head = packager(tracks.clone(), None).head();
            assert_eq!(scan(&mut Cursor::new(&head)).unwrap().head.tracks, tracks);
        }
    }

    proptest! {
        #[test]
        fn damage_never_panics(at in any::<prop::sample::Index>(), bytes in prop::collection::vec(any::<u8>(), 1..9)) {
            let (_, mut file, _) = file();
            let at = at.index(file.len() - bytes.len());
            file[at..at + bytes.len()].copy_from_slice(&bytes);
            if let Ok(found) = scan(&mut Cursor::new(&file)) {
                prop_assert!(found.data_end <= file.len() as u64 && found.parts.len() <= 12);
            }
        }
    }
}
