//! Tag bodies: legacy headers (FLV E.4.2, E.4.3) and extended ones (E-RTMP, "Enhanced Audio", "Enhanced Video").

use bytes::{Buf, Bytes};

use super::Ignored;
use crate::av::{AudioCodec, VideoCodec};

/// What one tag says about the track that griot carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packet<C> {
    pub(super) codec: C,
    pub(super) content: Content,
    /// Nanoseconds to add to the message's timestamp, below a millisecond.
    pub(super) nanos: u32,
    /// Whether other tracks were in the same message.
    pub(super) other_tracks: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A codec configuration.
    Config(Bytes),
    Frame {
        /// The tag calls it a key frame; audio frames all are.
        key: bool,
        /// Presentation minus decoding time, ms.
        composition_ms: i32,
        data: Bytes,
    },
}

// Legacy codec ids (E.4.3.1, E.4.2.1).
const AVC: u8 = 7;
/// In no paper, but what Chinese encoders and servers have used for HEVC since 2017; laid out as AVC.
const LEGACY_HEVC: u8 = 12;
const MP3: u8 = 2;
const AAC: u8 = 10;
const MP3_8_KHZ: u8 = 14;
/// The sound format that marks an extended header.
const EX_AUDIO: u8 = 9;

const KEY_FRAME: u8 = 1;
const COMMAND_FRAME: u8 = 5;

// Packet types of both extended headers.
const SEQUENCE_START: u8 = 0;
const CODED_FRAMES: u8 = 1;
const CODED_FRAMES_X: u8 = 3;
const AUDIO_MULTITRACK: u8 = 5;
const VIDEO_MULTITRACK: u8 = 6;
const MOD_EX: u8 = 7;
const TIMESTAMP_OFFSET_NANO: u8 = 0;

const ONE_TRACK: u8 = 0;
const MANY_TRACKS_MANY_CODECS: u8 = 2;

/// Reads a video tag body.
pub(super) fn video(mut body: Bytes) -> Result<Packet<VideoCodec>, Ignored> {
    let first = byte(&mut body).map_err(|_| Ignored::Empty)?;
    let frame_type = first >> 4 & 7;
    if first & 0x80 == 0 {
        return legacy_video(first & 0x0f, frame_type, body);
    }
    let (packet_type, nanos) = mod_ex(first & 0x0f, &mut body)?;
    if frame_type == COMMAND_FRAME && packet_type != 4 {
        return Err(Ignored::Signal);
    }
    let Track {
        packet_type,
        fourcc,
        mut data,
        other_tracks,
    } = track(packet_type, VIDEO_MULTITRACK, body)?;
    let codec = match &fourcc {
        b"avc1" => VideoCodec::H264,
        b"hvc1" => VideoCodec::Hevc,
        b"av01" => VideoCodec::Av1,
        b"vp09" => VideoCodec::Vp9,
        _ => return Err(Ignored::UnknownCodec),
    };
    let has_composition_time = matches!(codec, VideoCodec::H264 | VideoCodec::Hevc);
    let content = match packet_type {
        SEQUENCE_START => Content::Config(data),
        CODED_FRAMES => Content::Frame {
            key: frame_type == KEY_FRAME,
            composition_ms: if has_composition_time {
                signed_24(&mut data)?
            } else {
                0
            },
            data,
        },
        CODED_FRAMES_X => Content::Frame {
            key: frame_type == KEY_FRAME,
            composition_ms: 0,
            data,
        },
        _ => return Err(Ignored::Signal),
    };
    Ok(Packet {
        codec,
        content,
        nanos,
        other_tracks,
    })
}

fn legacy_video(
    codec_id: u8,
    frame_type: u8,
    mut body: Bytes,
) -> Result<Packet<VideoCodec>, Ignored> {
    if frame_type == COMMAND_FRAME {
        return Err(Ignored::Signal);
    }
    let codec = match codec_id {
        AVC => VideoCodec::H264,
        LEGACY_HEVC => VideoCodec::Hevc,
        _ => return Err(Ignored::UnknownCodec),
    };
    let packet_type = byte(&mut body)?;
    let composition_ms = signed_24(&mut body)?;
    let content = match packet_type {
        0 => Content::Config(body),
        1 => Content::Frame {
            key: frame_type == KEY_FRAME,
            composition_ms,
            data: body,
        },
        _ => return Err(Ignored::Signal),
    };
    Ok(Packet {
        codec,
        content,
        nanos: 0,
        other_tracks: false,
    })
}

/// Reads an audio tag body.
pub(super) fn audio(mut body: Bytes) -> Result<Packet<AudioCodec>, Ignored> {
    let first = byte(&mut body).map_err(|_| Ignored::Empty)?;
    let legacy = |codec, content| {
        Ok(Packet {
            codec,
            content,
            nanos: 0,
            other_tracks: false,
        })
    };
    match first >> 4 {
        MP3 | MP3_8_KHZ => legacy(AudioCodec::Mp3, sound(body)),
        AAC => match byte(&mut body)? {
            0 => legacy(AudioCodec::Aac, Content::Config(body)),
            1 => legacy(AudioCodec::Aac, sound(body)),
            _ => Err(Ignored::Signal),
        },
        EX_AUDIO => {
            let (packet_type, nanos) = mod_ex(first & 0x0f, &mut body)?;
            let Track {
                packet_type,
                fourcc,
                data,
                other_tracks,
            } = track(packet_type, AUDIO_MULTITRACK, body)?;
            let codec = match &fourcc {
                b"mp4a" => AudioCodec::Aac,
                b"Opus" => AudioCodec::Opus,
                b".mp3" => AudioCodec::Mp3,
                _ => return Err(Ignored::UnknownCodec),
            };
            let content = match packet_type {
                SEQUENCE_START => Content::Config(data),
                CODED_FRAMES => sound(data),
                _ => return Err(Ignored::Signal),
            };
            Ok(Packet {
                codec,
                content,
                nanos,
                other_tracks,
            })
        }
        _ => Err(Ignored::UnknownCodec),
    }
}

fn sound(data: Bytes) -> Content {
    Content::Frame {
        key: true,
        composition_ms: 0,
        data,
    }
}

/// Takes all `ModEx` packets and gives the packet type behind them and the nanoseconds they ask for.
fn mod_ex(mut packet_type: u8, body: &mut Bytes) -> Result<(u8, u32), Ignored> {
    let mut nanos = 0;
    while packet_type == MOD_EX {
        let mut size = usize::from(byte(body)?) + 1;
        if size == 256 {
            size = usize::from(body.try_get_u16().map_err(|_| Ignored::Malformed)?) + 1;
        }
        let extension = take(body, size)?;
        let types = byte(body)?;
        packet_type = types & 0x0f;
        if types >> 4 == TIMESTAMP_OFFSET_NANO
            && let [high, middle, low, ..] = *extension
        {
            nanos = u32::from_be_bytes([0, high, middle, low]).min(999_999);
        }
    }
    Ok((packet_type, nanos))
}

struct Track {
    packet_type: u8,
    fourcc: [u8; 4],
    data: Bytes,
    other_tracks: bool,
}

/// Finds track 0, which is the default one, in an extended body; of a body that is not multitrack, all of it.
fn track(packet_type: u8, multitrack: u8, mut body: Bytes) -> Result<Track, Ignored> {
    if packet_type != multitrack {
        return Ok(Track {
            packet_type,
            fourcc: fourcc(&mut body)?,
            data: body,
            other_tracks: false,
        });
    }
    let types = byte(&mut body)?;
    let (multitrack_type, packet_type) = (types >> 4, types & 0x0f);
    let many_codecs = multitrack_type == MANY_TRACKS_MANY_CODECS;
    let mut codec = [0; 4];
    if !many_codecs {
        codec = fourcc(&mut body)?;
    }
    let mut found = None;
    let mut other_tracks = false;
    while !body.is_empty() {
        if many_codecs {
            codec = fourcc(&mut body)?;
        }
        let id = byte(&mut body)?;
        let data = if multitrack_type == ONE_TRACK {
            std::mem::take(&mut body)
        } else {
            let size = unsigned_24(&mut body)?;
            take(&mut body, usize::try_from(size).unwrap_or(usize::MAX))?
        };
        if id == 0 && found.is_none() {
            found = Some((codec, data));
        } else {
            other_tracks = true;
        }
    }
    let (fourcc, data) = found.ok_or(Ignored::OtherTrack)?;
    Ok(Track {
        packet_type,
        fourcc,
        data,
        other_tracks,
    })
}

fn byte(body: &mut Bytes) -> Result<u8, Ignored> {
    body.try_get_u8().map_err(|_| Ignored::Malformed)
}

fn take(body: &mut Bytes, length: usize) -> Result<Bytes, Ignored> {
    if body.len() < length {
        return Err(Ignored::Malformed);
    }
    Ok(body.split_to(length))
}

fn fourcc(body: &mut Bytes) -> Result<[u8; 4], Ignored> {
    let taken = take(body, 4)?;
    Ok([taken[0], taken[1], taken[2], taken[3]])
}

fn unsigned_24(body: &mut Bytes) -> Result<u32, Ignored> {
    let taken = take(body, 3)?;
    Ok(u32::from_be_bytes([0, taken[0], taken[1], taken[2]]))
}

fn signed_24(body: &mut Bytes) -> Result<i32, Ignored> {
    let taken = take(body, 3)?;
    Ok(i32::from_be_bytes([taken[0], taken[1], taken[2], 0]) >> 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(parts: &[&[u8]]) -> Bytes {
        parts.concat().into()
    }

    fn frame(key: bool, composition_ms: i32, data: &'static [u8]) -> Content {
        Content::Frame {
            key,
            composition_ms,
            data: Bytes::from_static(data),
        }
    }

    #[test]
    fn legacy_avc_has_a_signed_composition_time() {
        let packet = video(body(&[&[0x27, 1, 0xff, 0xff, 0xd8], b"nal"])).expect("it is AVC");
        assert_eq!(packet.codec, VideoCodec::H264);
        assert_eq!(packet.content, frame(false, -40, b"nal"));
        let packet = video(body(&[&[0x17, 0, 0, 0, 0], b"avcC"])).expect("it is AVC");
        assert_eq!(packet.content, Content::Config(Bytes::from_static(b"avcC")));
    }

    #[test]
    fn legacy_sound_is_told_by_its_format() {
        let content =
            |bytes: &[&[u8]]| audio(body(bytes)).map(|packet| (packet.codec, packet.content));
        assert_eq!(
            content(&[&[0xaf, 0], b"\x12\x10"]),
            Ok((
                AudioCodec::Aac,
                Content::Config(Bytes::from_static(b"\x12\x10"))
            ))
        );
        assert_eq!(
            content(&[&[0xaf, 1], b"x"]),
            Ok((AudioCodec::Aac, frame(true, 0, b"x")))
        );
        assert_eq!(
            content(&[&[0x2f], b"x"]),
            Ok((AudioCodec::Mp3, frame(true, 0, b"x")))
        );
        // Speex.
        assert_eq!(content(&[&[0xb6], b"x"]), Err(Ignored::UnknownCodec));
    }

    #[test]
    fn enhanced_frames_have_a_composition_time_where_the_codec_has_one() {
        let content =
            |bytes: &[&[u8]]| video(body(bytes)).map(|packet| (packet.codec, packet.content));
        assert_eq!(
            content(&[&[0x91], b"hvc1", &[0, 0, 80], b"nal"]),
            Ok((VideoCodec::Hevc, frame(true, 80, b"nal")))
        );
        assert_eq!(
            content(&[&[0xa3], b"avc1", b"nal"]),
            Ok((VideoCodec::H264, frame(false, 0, b"nal")))
        );
        assert_eq!(
            content(&[&[0x91], b"av01", b"obu"]),
            Ok((VideoCodec::Av1, frame(true, 0, b"obu")))
        );
        assert_eq!(
            content(&[&[0x90], b"vp09", b"vpcC"]),
            Ok((
                VideoCodec::Vp9,
                Content::Config(Bytes::from_static(b"vpcC"))
            ))
        );
    }

    #[test]
    fn signals_and_unknown_codecs_are_told_apart() {
        // Metadata, sequence end, a command frame of each kind, VP8, FLAC, a channel map.
        assert_eq!(
            video(body(&[&[0x94], b"hvc1", b"amf"])),
            Err(Ignored::Signal)
        );
        assert_eq!(video(body(&[&[0x92], b"hvc1"])), Err(Ignored::Signal));
        assert_eq!(video(body(&[&[0xd1, 0]])), Err(Ignored::Signal));
        assert_eq!(video(body(&[&[0x57, 0]])), Err(Ignored::Signal));
        assert_eq!(
            video(body(&[&[0x91], b"vp08", b"x"])),
            Err(Ignored::UnknownCodec)
        );
        assert_eq!(
            audio(body(&[&[0x91], b"fLaC", b"x"])),
            Err(Ignored::UnknownCodec)
        );
        assert_eq!(audio(body(&[&[0x94], b"Opus", b"x"])), Err(Ignored::Signal));
        assert_eq!(video(Bytes::new()), Err(Ignored::Empty));
        assert_eq!(video(body(&[&[0x17, 1, 0]])), Err(Ignored::Malformed));
    }

    #[test]
    fn mod_ex_gives_nanoseconds_and_unknown_extensions_are_skipped() {
        // Extension type 3 of 256 bytes in the long form, then nanoseconds 500,000 = 07a120, then coded frames.
        let long = [7; 256];
        let packet = audio(body(&[
            &[0x97, 0xff, 0, 0xff],
            &long,
            &[0x37, 2, 0x07, 0xa1, 0x20, 0x01],
            b"Opus",
            b"x",
        ]))
        .expect("it is Opus");
        assert_eq!(packet.nanos, 500_000);
        assert_eq!(packet.content, frame(true, 0, b"x"));
        assert_eq!(audio(body(&[&[0x97, 9, 1]])), Err(Ignored::Malformed));
    }

    #[test]
    fn of_several_tracks_the_first_is_taken() {
        let one_track = video(body(&[&[0x96, 0x01], b"avc1", &[0], &[0, 0, 0], b"nal"]));
        assert_eq!(
            one_track.map(|packet| (packet.content, packet.other_tracks)),
            Ok((frame(true, 0, b"nal"), false))
        );
        let many_tracks = audio(body(&[
            &[0x95, 0x11],
            b"mp4a",
            &[1, 0, 0, 2],
            b"no",
            &[0, 0, 0, 3],
            b"yes",
        ]));
        assert_eq!(
            many_tracks.map(|packet| (packet.content, packet.other_tracks)),
            Ok((frame(true, 0, b"yes"), true))
        );
        let many_codecs = video(body(&[
            &[0x96, 0x23],
            b"avc1",
            &[0, 0, 0, 3],
            b"yes",
            b"hvc1",
            &[1, 0, 0, 2],
            b"no",
        ]));
        assert_eq!(
            many_codecs.map(|packet| (packet.codec, packet.content, packet.other_tracks)),
            Ok((VideoCodec::H264, frame(true, 0, b"yes"), true))
        );
        assert_eq!(
            video(body(&[&[0x96, 0x03], b"hvc1", &[1], b"nal"])),
            Err(Ignored::OtherTrack)
        );
    }
}
