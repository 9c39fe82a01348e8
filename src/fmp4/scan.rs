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
