//! The head of a rendition file and the boxes that its two `moov`s share: headers and sample entries.

use bytes::{BufMut, Bytes, BytesMut};

use super::boxes::{boxed, count, full_box, put_matrix};
use super::outcome::PackError;
use crate::av::{
    AudioCodec, AudioConfig, InitSection, TrackKind, TrackSet, VideoCodec, VideoConfig,
};

/// Where the init section begins in a rendition file, in bytes: behind `ftyp` and the 16 bytes of [`MDAT_OFFSET`].
pub const INIT_OFFSET: u64 = 52;

/// Where the 16 bytes lie that are `free` while the file grows and the header of one big `mdat` once it is final.
pub const MDAT_OFFSET: u64 = 36;

/// The 16 bytes at [`MDAT_OFFSET`] while the file grows: a `free` box of nothing.
pub const GROWING_HEADER: [u8; 16] = *b"\0\0\0\x10free\0\0\0\0\0\0\0\0";

/// `track_ID` of the picture.
pub(super) const VIDEO_TRACK: u32 = 1;
/// `track_ID` of the sound, whether there is a picture or not.
pub(super) const AUDIO_TRACK: u32 = 2;
/// Sample duration assumed by `trex` where no frame rate was announced: 30 fps.
pub(super) const DEFAULT_VIDEO_DURATION: u32 = 3_000;
/// Sample flags of a picture that nothing before it is needed for (`sample_depends_on` 2).
pub(super) const KEY_FLAGS: u32 = 0x0200_0000;
/// Sample flags of any other picture (`sample_depends_on` 1, `sample_is_non_sync_sample`).
pub(super) const DELTA_FLAGS: u32 = 0x0101_0000;

/// Whether a `moov` is an init section's or the final one, and what only the latter knows of a track.
pub(super) struct TrackTables<'a> {
    /// In the track's timescale.
    pub(super) media_duration: u64,
    /// In the movie's timescale, 90 kHz.
    pub(super) track_duration: u64,
    /// Writes `edts`, or nothing.
    pub(super) edits: &'a dyn Fn(&mut BytesMut),
    /// Writes what follows `stsd` in `stbl`.
    pub(super) tables: &'a dyn Fn(&mut BytesMut),
}

/// `id` of a track.
pub(super) fn track_id(kind: TrackKind) -> u32 {
    match kind {
        TrackKind::Video => VIDEO_TRACK,
        TrackKind::Audio => AUDIO_TRACK,
    }
}

/// The whole head of a rendition file: everything before the first part, `ftyp free(16)` and the init section.
#[must_use]
pub fn file_head(init: &InitSection) -> Bytes {
    head(&init.bytes)
}

fn head(init: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(52 + init.len());
    ftyp(
        &mut out,
        *b"isom",
        0x200,
        &[*b"isom", *b"iso6", *b"iso2", *b"avc1", *b"mp41"],
    );
    boxed(&mut out, *b"free", |out| out.put_u64(0));
    out.put_slice(init);
    out.freeze()
}

/// The init section of a file with these tracks. The same for equal ones, at any time.
///
/// # Errors
/// When a file cannot hold them.
pub fn init_of(tracks: &TrackSet) -> Result<InitSection, PackError> {
    check(tracks)?;
    Ok(init_section(tracks))
}

/// Whether a file can hold such tracks.
fn check(tracks: &TrackSet) -> Result<(), PackError> {
    if tracks.is_empty() {
        return Err(PackError::NoTracks);
    }
    if let Some(video) = &tracks.video
        && !((1..=16_384).contains(&video.width) && (1..=16_384).contains(&video.height))
    {
        return Err(PackError::InvalidConfig("picture size"));
    }
    if let Some(audio) = &tracks.audio {
        if !(1_000..=768_000).contains(&audio.sample_rate) {
            return Err(PackError::InvalidConfig("sample rate"));
        }
        if !(1..=8_192).contains(&audio.frame_samples) {
            return Err(PackError::InvalidConfig("samples in a frame"));
        }
    }
    Ok(())
}

/// The init section: `ftyp moov(mvex)`.
pub(super) fn init_section(tracks: &TrackSet) -> InitSection {
    let mut out = BytesMut::with_capacity(2_048);
    ftyp(&mut out, *b"iso6", 0, &[*b"iso6", *b"cmfc", *b"mp41"]);
    boxed(&mut out, *b"moov", |out| {
        mvhd(out, 0);
        let empty = TrackTables {
            media_duration: 0,
            track_duration: 0,
            edits: &|_| {},
            tables: &empty_tables,
        };
        if let Some(video) = &tracks.video {
            video_trak(out, video, &empty);
        }
        if let Some(audio) = &tracks.audio {
            audio_trak(out, audio, &empty);
        }
        boxed(out, *b"mvex", |out| {
            if tracks.video.is_some() {
                trex(out, VIDEO_TRACK, DEFAULT_VIDEO_DURATION, DELTA_FLAGS);
            }
            if let Some(audio) = &tracks.audio {
                trex(out, AUDIO_TRACK, audio.frame_samples, KEY_FLAGS);
            }
        });
    });
    InitSection {
        tracks: tracks.clone(),
        bytes: out.freeze(),
    }
}

fn ftyp(out: &mut BytesMut, major: [u8; 4], minor: u32, compatible: &[[u8; 4]]) {
    boxed(out, *b"ftyp", |out| {
        out.put_slice(&major);
        out.put_u32(minor);
        for brand in compatible {
            out.put_slice(brand);
        }
    });
}

/// `mvhd` version 1 at 90 kHz, in which both tracks' durations are exact.
pub(super) fn mvhd(out: &mut BytesMut, duration: u64) {
    full_box(out, *b"mvhd", 1, 0, |out| {
        out.put_u64(0);
        out.put_u64(0);
        out.put_u32(90_000);
        out.put_u64(duration);
        out.put_u32(0x0001_0000);
        out.put_u16(0x0100);
        out.put_bytes(0, 10);
        put_matrix(out);
        out.put_bytes(0, 24);
        out.put_u32(AUDIO_TRACK + 1);
    });
}

/// The picture's `trak`.
pub(super) fn video_trak(out: &mut BytesMut, video: &VideoConfig, tables: &TrackTables<'_>) {
    boxed(out, *b"trak", |out| {
        tkhd(
            out,
            VIDEO_TRACK,
            tables.track_duration,
            0,
            video.width,
            video.height,
        );
        (tables.edits)(out);
        boxed(out, *b"mdia", |out| {
            mdhd(out, 90_000, tables.media_duration);
            hdlr(out, *b"vide", b"VideoHandler\0");
            boxed(out, *b"minf", |out| {
                full_box(out, *b"vmhd", 0, 1, |out| out.put_u64(0));
                dinf(out);
                boxed(out, *b"stbl", |out| {
                    full_box(out, *b"stsd", 0, 0, |out| {
                        out.put_u32(1);
                        visual_entry(out, video);
                    });
                    (tables.tables)(out);
                });
            });
        });
    });
}

/// The sound's `trak`.
pub(super) fn audio_trak(out: &mut BytesMut, audio: &AudioConfig, tables: &TrackTables<'_>) {
    boxed(out, *b"trak", |out| {
        tkhd(out, AUDIO_TRACK, tables.track_duration, 0x0100, 0, 0);
        (tables.edits)(out);
        boxed(out, *b"mdia", |out| {
            mdhd(out, audio.timescale().get(), tables.media_duration);
            hdlr(out, *b"soun", b"SoundHandler\0");
            boxed(out, *b"minf", |out| {
                full_box(out, *b"smhd", 0, 0, |out| out.put_u32(0));
                dinf(out);
                boxed(out, *b"stbl", |out| {
                    full_box(out, *b"stsd", 0, 0, |out| {
                        out.put_u32(1);
                        audio_entry(out, audio);
                    });
                    (tables.tables)(out);
                });
            });
        });
    });
}

fn empty_tables(out: &mut BytesMut) {
    full_box(out, *b"stts", 0, 0, |out| out.put_u32(0));
    full_box(out, *b"stsc", 0, 0, |out| out.put_u32(0));
    full_box(out, *b"stsz", 0, 0, |out| out.put_u64(0));
    full_box(out, *b"stco", 0, 0, |out| out.put_u32(0));
}

fn trex(out: &mut BytesMut, track: u32, duration: u32, flags: u32) {
    full_box(out, *b"trex", 0, 0, |out| {
        out.put_u32(track);
        out.put_u32(1);
        out.put_u32(duration);
        out.put_u32(0);
        out.put_u32(flags);
    });
}

fn tkhd(out: &mut BytesMut, track: u32, duration: u64, volume: u16, width: u32, height: u32) {
    // Flags: enabled, in movie, in preview.
    full_box(out, *b"tkhd", 1, 7, |out| {
        out.put_u64(0);
        out.put_u64(0);
        out.put_u32(track);
        out.put_u32(0);
        out.put_u64(duration);
        out.put_u64(0);
        out.put_u16(0);
        out.put_u16(0);
        out.put_u16(volume);
        out.put_u16(0);
        put_matrix(out);
        out.put_u32(width << 16);
        out.put_u32(height << 16);
    });
}

fn mdhd(out: &mut BytesMut, timescale: u32, duration: u64) {
    full_box(out, *b"mdhd", 1, 0, |out| {
        out.put_u64(0);
        out.put_u64(0);
        out.put_u32(timescale);
        out.put_u64(duration);
        // The language "und", five bits a letter.
        out.put_u16(0x55c4);
        out.put_u16(0);
    });
}

fn hdlr(out: &mut BytesMut, kind: [u8; 4], name: &[u8]) {
    full_box(out, *b"hdlr", 0, 0, |out| {
        out.put_u32(0);
        out.put_slice(&kind);
        out.put_bytes(0, 12);
        out.put_slice(name);
    });
}

fn dinf(out: &mut BytesMut) {
    boxed(out, *b"dinf", |out| {
        full_box(out, *b"dref", 0, 0, |out| {
            out.put_u32(1);
            full_box(out, *b"url ", 0, 1, |_| {});
        });
    });
}

fn visual_entry(out: &mut BytesMut, video: &VideoConfig) {
    let (entry, record) = match video.codec {
        VideoCodec::H264 => (*b"avc1", *b"avcC"),
        VideoCodec::Hevc => (*b"hvc1", *b"hvcC"),
        VideoCodec::Av1 => (*b"av01", *b"av1C"),
        VideoCodec::Vp9 => (*b"vp09", *b"vpcC"),
    };
    boxed(out, entry, |out| {
        out.put_bytes(0, 6);
        out.put_u16(1);
        out.put_bytes(0, 16);
        out.put_u16(low_half(video.width));
        out.put_u16(low_half(video.height));
        out.put_u32(0x0048_0000);
        out.put_u32(0x0048_0000);
        out.put_u32(0);
        out.put_u16(1);
        // The compressor's name is free text of at most 31 bytes: the CODECS string, so that a scan after a
        // crash finds the configuration as it was.
        let name = video.codecs.as_bytes();
        let name = if name.len() <= 31 { name } else { &[] };
        out.put_u8(u8::try_from(name.len()).expect("at most 31"));
        out.put_slice(name);
        out.put_bytes(0, 31 - name.len());
        out.put_u16(0x18);
        out.put_u16(0xffff);
        boxed(out, record, |out| out.put_slice(&video.record));
        boxed(out, *b"pasp", |out| out.put_u64(0x0000_0001_0000_0001));
    });
}

fn audio_entry(out: &mut BytesMut, audio: &AudioConfig) {
    let entry = match audio.codec {
        AudioCodec::Aac | AudioCodec::Mp3 => *b"mp4a",
        AudioCodec::Opus => *b"Opus",
    };
    boxed(out, entry, |out| {
        out.put_bytes(0, 6);
        out.put_u16(1);
        out.put_u64(0);
        out.put_u16(u16::from(audio.channels));
        out.put_u16(16);
        out.put_u32(0);
        // 16.16 fixed point; rates that do not fit are told by the configuration alone.
        out.put_u32(u32::from(u16::try_from(audio.sample_rate).unwrap_or(0)) << 16);
        match audio.codec {
            AudioCodec::Opus => boxed(out, *b"dOps", |out| out.put_slice(&audio.record)),
            AudioCodec::Aac => esds(out, 0x40, &audio.record),
            // MPEG-1 audio from 32 kHz on, MPEG-2 below (ISO/IEC 14496-1 table 5).
            AudioCodec::Mp3 if audio.sample_rate >= 32_000 => esds(out, 0x6b, &[]),
            AudioCodec::Mp3 => esds(out, 0x69, &[]),
        }
    });
}

/// The elementary stream descriptor (ISO/IEC 14496-1 7.2.6.5, 14496-14 5.6).
fn esds(out: &mut BytesMut, object_type: u8, specific: &[u8]) {
    let specific_len = if specific.is_empty() {
        0
    } else {
        5 + specific.len()
    };
    full_box(out, *b"esds", 0, 0, |out| {
        descriptor(out, 0x03, 3 + (5 + 13 + specific_len) + (5 + 1));
        out.put_u16(0);
        out.put_u8(0);
        descriptor(out, 0x04, 13 + specific_len);
        out.put_u8(object_type);
        // Stream type 5 (audio), reserved bit set.
        out.put_u8(0x15);
        out.put_bytes(0, 11);
        if !specific.is_empty() {
            descriptor(out, 0x05, specific.len());
            out.put_slice(specific);
        }
        descriptor(out, 0x06, 1);
        out.put_u8(2);
    });
}

/// Tag and length of a descriptor; the length in its four-byte form.
fn descriptor(out: &mut BytesMut, tag: u8, length: usize) {
    let length = count(length);
    out.put_u8(tag);
    for shift in [21, 14, 7] {
        out.put_u8(u8::try_from(length >> shift & 0x7f).expect("seven bits") | 0x80);
    }
    out.put_u8(u8::try_from(length & 0x7f).expect("seven bits"));
}

fn low_half(value: u32) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}
