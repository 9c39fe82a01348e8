//! Reading boxes that may be torn or hostile: everything is checked, nothing is allocated for what is only declared.

use bytes::Bytes;

use super::init::{AUDIO_TRACK, VIDEO_TRACK, track_id};
use crate::av::{
    AudioCodec, AudioConfig, Sample, Ticks, Timescale, TrackKind, TrackRun, TrackSet, VideoCodec,
    VideoConfig,
};

/// Type and size of a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BoxHeader {
    /// Its type.
    pub(super) kind: [u8; 4],
    /// All of it, header included.
    pub(super) size: u64,
    /// The header: 8 bytes, or 16 with a 64-bit size.
    pub(super) length: u64,
}

impl BoxHeader {
    /// The header that `bytes` begins with; `None` if it is cut short or its size is impossible.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Cursor(bytes);
        let short = u64::from(cursor.u32()?);
        let kind = cursor.array()?;
        let (size, length) = match short {
            1 => (cursor.u64()?, 16),
            size => (size, 8),
        };
        (size >= length).then_some(Self { kind, size, length })
    }

    /// The header's length, to slice by.
    pub(super) fn header(&self) -> usize {
        if self.length == 16 { 16 } else { 8 }
    }
}

/// What the parser of fragments must know of the init section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tracks {
    pub(super) has_video: bool,
    has_audio: bool,
    audio_default: u32,
    pub(super) audio_scale: Timescale,
}

impl Tracks {
    /// Of the tracks of an init section of ours.
    pub(super) fn of(tracks: &TrackSet) -> Self {
        let audio = tracks.audio.as_ref();
        Self {
            has_video: tracks.video.is_some(),
            has_audio: audio.is_some(),
            audio_default: audio.map_or(0, |audio| audio.frame_samples),
            audio_scale: audio.map_or(Timescale::VIDEO, AudioConfig::timescale),
        }
    }
}

/// Reads big-endian numbers from a slice.
#[derive(Clone, Copy)]
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// The next box inside, and its payload; `None` at the end or at damage.
    fn child(&mut self) -> Option<([u8; 4], Cursor<'a>)> {
        let header = BoxHeader::parse(self.0)?;
        let bytes = self.take(usize::try_from(header.size).ok()?)?;
        Some((header.kind, Cursor(bytes.get(header.header()..)?)))
    }

    /// The first box of this kind inside.
    fn find(mut self, kind: [u8; 4]) -> Option<Cursor<'a>> {
        while let Some((found, body)) = self.child() {
            if found == kind {
                return Some(body);
            }
        }
        None
    }

    /// Follows boxes down.
    fn path(self, kinds: &[[u8; 4]]) -> Option<Cursor<'a>> {
        kinds
            .iter()
            .try_fold(self, |cursor, kind| cursor.find(*kind))
    }
}

/// The runs of a `moof`'s payload; `None` if it is damaged or not one of ours. `part_length`: bytes of moof and mdat.
pub(super) fn parse_moof(
    payload: &[u8],
    tracks: &Tracks,
    part_length: u32,
) -> Option<Vec<TrackRun>> {
    let mut cursor = Cursor(payload);
    let mut runs: Vec<TrackRun> = Vec::new();
    while !cursor.0.is_empty() {
        let (kind, body) = cursor.child()?;
        if kind == *b"traf" {
            let run = parse_traf(body, tracks)?;
            let bytes: u64 = run
                .samples
                .iter()
                .map(|sample| u64::from(sample.size))
                .sum();
            let fits = u64::from(run.data_offset) + bytes <= u64::from(part_length);
            let is_known = runs.iter().all(|other| other.track < run.track);
            if !fits || !is_known {
                return None;
            }
            runs.push(run);
        }
    }
    (!runs.is_empty()).then_some(runs)
}

fn parse_traf(traf: Cursor<'_>, tracks: &Tracks) -> Option<TrackRun> {
    let mut tfhd = traf.find(*b"tfhd")?;
    let flags = tfhd.u32()?;
    let id = tfhd.u32()?;
    let track = match id {
        VIDEO_TRACK if tracks.has_video => TrackKind::Video,
        AUDIO_TRACK if tracks.has_audio => TrackKind::Audio,
        _ => return None,
    };
    let default_duration = match flags & !0x02_0000 {
        0 if track == TrackKind::Video => super::init::DEFAULT_VIDEO_DURATION,
        0 => tracks.audio_default,
        0x08 => tfhd.u32()?,
        _ => return None,
    };
    let mut tfdt = traf.find(*b"tfdt")?;
    let base = match tfdt.u32()? {
        0x0100_0000 => i64::try_from(tfdt.u64()?).ok()?,
        _ => return None,
    };
    // Six years of 90 kHz: beyond any live, and far below where sums overflow.
    (base < 1 << 44).then_some(())?;
    debug_assert_eq!(track_id(track), id);
    parse_trun(traf.find(*b"trun")?, track, base, default_duration)
}

fn parse_trun(
    mut trun: Cursor<'_>,
    track: TrackKind,
    base: i64,
    default_duration: u32,
) -> Option<TrackRun> {
    let flags = trun.u32()?;
    // Version 0, data offset and sizes always, the rest as we write it.
    if flags & !0xf04 != 0x001 || flags & 0x200 == 0 {
        return None;
    }
    let count = usize::try_from(trun.u32()?).ok()?;
    let data_offset = trun.u32()?;
    let first_flags = match flags & 0x004 {
        0 => None,
        _ => Some(trun.u32()?),
    };
    let sample_len = 4 * usize::try_from((flags & 0xf00).count_ones()).ok()?;
    if count == 0 || trun.0.len() != count.checked_mul(sample_len)? {
        return None;
    }
    let mut samples = Vec::with_capacity(count);
    for at in 0..count {
        let duration = match flags & 0x100 {
            0 => default_duration,
            _ => trun.u32()?,
        };
        let size = trun.u32()?;
        let sample_flags = match flags & 0x400 {
            0 => first_flags.filter(|_| at == 0),
            _ => Some(trun.u32()?),
        };
        let composition_offset = match flags & 0x800 {
            0 => 0,
            _ => trun.u32()?,
        };
        // sample_is_non_sync_sample; pictures are by default, sound never is.
        let is_key = sample_flags.is_some_and(|flags| flags & 0x1_0000 == 0);
        samples.push(Sample {
            size,
            duration,
            composition_offset,
            key: is_key || track == TrackKind::Audio,
        });
    }
    Some(TrackRun {
        track,
        base_decode_time: Ticks(base),
        data_offset,
        samples,
    })
}

/// The tracks of an init section's `moov`, header included; `None` if it is damaged or not one of ours.
pub(super) fn parse_init(bytes: &[u8]) -> Option<TrackSet> {
    let moov = Cursor(bytes).find(*b"moov")?;
    let mut tracks = TrackSet::default();
    let mut rest = moov;
    while let Some((kind, trak)) = rest.child() {
        if kind == *b"trak" {
            match parse_trak(trak, moov)? {
                Trak::Video(video) => tracks.video = Some(video),
                Trak::Audio(audio) => tracks.audio = Some(audio),
            }
        }
    }
    (!tracks.is_empty()).then_some(tracks)
}

enum Trak {
    Video(VideoConfig),
    Audio(AudioConfig),
}

fn parse_trak(trak: Cursor<'_>, moov: Cursor<'_>) -> Option<Trak> {
    let mut tkhd = trak.find(*b"tkhd")?;
    tkhd.take(4 + 16)?;
    let id = tkhd.u32()?;
    let mut mdhd = trak.path(&[*b"mdia", *b"mdhd"])?;
    mdhd.take(4 + 16)?;
    let timescale = mdhd.u32()?;
    let mut stsd = trak.path(&[*b"mdia", *b"minf", *b"stbl", *b"stsd"])?;
    stsd.take(8)?;
    let (kind, entry) = stsd.child()?;
    match id {
        VIDEO_TRACK => parse_visual(kind, entry).map(Trak::Video),
        AUDIO_TRACK => {
            let samples = default_duration(moov, AUDIO_TRACK)?;
            parse_audio(kind, entry, timescale, samples).map(Trak::Audio)
        }
        _ => None,
    }
}

fn default_duration(moov: Cursor<'_>, track: u32) -> Option<u32> {
    let mut mvex = moov.find(*b"mvex")?;
    while let Some((kind, mut trex)) = mvex.child() {
        if kind == *b"trex" {
            trex.take(4)?;
            let id = trex.u32()?;
            trex.take(4)?;
            let duration = trex.u32()?;
            if id == track {
                return Some(duration);
            }
        }
    }
    None
}

fn parse_visual(kind: [u8; 4], mut entry: Cursor<'_>) -> Option<VideoConfig> {
    let (codec, record) = match &kind {
        b"avc1" => (VideoCodec::H264, *b"avcC"),
        b"hvc1" => (VideoCodec::Hevc, *b"hvcC"),
        b"av01" => (VideoCodec::Av1, *b"av1C"),
        b"vp09" => (VideoCodec::Vp9, *b"vpcC"),
        _ => return None,
    };
    entry.take(8 + 16)?;
    let width = u32::from(entry.u16()?);
    let height = u32::from(entry.u16()?);
    entry.take(14)?;
    let name_len = usize::from(entry.u8()?);
    let name = entry.take(31)?.get(..name_len)?;
    entry.take(4)?;
    Some(VideoConfig {
        codec,
        width,
        height,
        record: Bytes::copy_from_slice(entry.find(record)?.0),
        codecs: std::str::from_utf8(name).ok()?.to_owned(),
    })
}

fn parse_audio(
    kind: [u8; 4],
    mut entry: Cursor<'_>,
    sample_rate: u32,
    frame_samples: u32,
) -> Option<AudioConfig> {
    entry.take(8 + 8)?;
    let channels = u8::try_from(entry.u16()?).ok()?;
    entry.take(10)?;
    let (codec, record, codecs) = match &kind {
        b"Opus" => (AudioCodec::Opus, entry.find(*b"dOps")?.0, "opus".to_owned()),
        b"mp4a" => parse_esds(entry.find(*b"esds")?)?,
        _ => return None,
    };
    let is_sane = (1_000..=768_000).contains(&sample_rate) && (1..=8_192).contains(&frame_samples);
    is_sane.then(|| AudioConfig {
        codec,
        sample_rate,
        channels,
        frame_samples,
        record: Bytes::copy_from_slice(record),
        codecs,
    })
}

/// The descriptors as `init.rs` writes them.
fn parse_esds(mut esds: Cursor<'_>) -> Option<(AudioCodec, &[u8], String)> {
    esds.take(4 + 5 + 3 + 5)?;
    let object_type = esds.u8()?;
    esds.take(12)?;
    if object_type != 0x40 {
        return Some((AudioCodec::Mp3, &[], "mp4a.40.34".to_owned()));
    }
    (esds.u8()? == 0x05).then_some(())?;
    let mut length = 0;
    for _ in 0..4 {
        length = length << 7 | usize::from(esds.u8()? & 0x7f);
    }
    let record = esds.take(length)?;
    let first = u16::from_be_bytes([*record.first()?, record.get(1).copied().unwrap_or(0)]);
    // Five bits, or 31 and six more (ISO/IEC 14496-3 1.6.2.1).
    let object = match first >> 11 {
        31 => 32 + (first >> 5 & 0x3f),
        object => object,
    };
    Some((AudioCodec::Aac, record, format!("mp4a.40.{object}")))
}
