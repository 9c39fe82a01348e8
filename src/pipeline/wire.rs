//! The protocol between host and child: length-prefixed, versioned, bounded, the same in both directions.
//!
//! A message is the length of its body (four bytes, big-endian), one byte of kind, the body. Small things are JSON;
//! frames and pictures are binary, so that nothing is encoded twice. Neither side allocates by a length that the other
//! declares: the body grows as it arrives.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::error::Refusal;
use super::limits::{Kind, Limits};
use super::live_plan::LadderTask;
use super::plan::{Transcode, Webm};
use super::report::ProbeReport;
use crate::av::{AudioCodec, Frame, Ticks, TrackKind, VideoCodec};

/// Both sides are the same program, except while it is being replaced on the disk: then the child is refused.
pub(super) const VERSION: u16 = 2;
/// Length and kind.
pub(super) const HEAD_BYTES: usize = 5;
/// The packager takes frames of 32 MiB; a little for the fields before.
pub(super) const MAX_BODY_BYTES: usize = (32 << 20) + 64;
/// JSON is small.
const MAX_JSON_BYTES: usize = 64 << 10;
/// The input of a child is streams 0 to 1, its output 0 to 31.
const MAX_STREAMS: u8 = 32;

/// A message that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct WireError(pub(super) &'static str);

/// What the host asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Task {
    pub(super) version: u16,
    pub(super) limits: Limits,
    pub(super) work: Work,
}

/// The work itself; the file comes as a descriptor beside the message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Work {
    Check,
    Probe,
    Demux,
    Transcode(Transcode),
    Pictures { times_ms: Vec<u64>, width: u32 },
    Webm(Webm),
    Ladder(LadderTask),
}

impl Work {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Check => Kind::Check,
            Self::Probe => Kind::Probe,
            Self::Demux => Kind::Demux,
            Self::Transcode(_) => Kind::Transcode,
            Self::Pictures { .. } => Kind::Pictures,
            Self::Webm(_) => Kind::Webm,
            Self::Ladder(_) => Kind::Ladder,
        }
    }
}

/// The codec of a stream, with what its decoder must know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Track {
    pub(super) stream: u8,
    pub(super) codec: TrackCodec,
    /// `avcC`, `hvcC`, `av1C`, `vpcC`, `AudioSpecificConfig`, `OpusHead`; hexadecimal.
    pub(super) record: String,
    /// Samples a second, the stream's timescale; 90,000 for pictures.
    pub(super) timescale: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TrackCodec {
    H264,
    Hevc,
    Vp9,
    Av1,
    Aac,
    Opus,
    /// Of a WebM only: no rendition holds it, and it has no record.
    Vp8,
    Mp3,
}

impl TrackCodec {
    pub(super) fn video(self) -> Option<VideoCodec> {
        match self {
            Self::H264 => Some(VideoCodec::H264),
            Self::Hevc => Some(VideoCodec::Hevc),
            Self::Vp9 => Some(VideoCodec::Vp9),
            Self::Av1 => Some(VideoCodec::Av1),
            Self::Aac | Self::Opus | Self::Mp3 | Self::Vp8 => None,
        }
    }

    pub(super) fn audio(self) -> Option<AudioCodec> {
        match self {
            Self::Aac => Some(AudioCodec::Aac),
            Self::Opus => Some(AudioCodec::Opus),
            Self::Mp3 => Some(AudioCodec::Mp3),
            _ => None,
        }
    }
}

/// How the child's work ended well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ending {
    /// The input broke off before its end.
    pub(super) truncated: bool,
    /// Elements that this machine lacks (a check only).
    pub(super) missing: Vec<String>,
}

/// Everything that is said, in both directions.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Message {
    /// Host → child, first.
    Task(Task),
    /// Child → host: it is locked up and begins.
    Ready { version: u16 },
    /// Child → host: the file is refused.
    Refused(Refusal),
    /// Child → host: it cannot work.
    Failed(String),
    /// Child → host.
    Report(Box<ProbeReport>),
    /// Both ways: before a stream's first frame, and again when it changes.
    Track(Track),
    /// Both ways.
    Frame { stream: u8, frame: Frame },
    /// Child → host.
    Picture { index: u32, at_ms: u64, jpeg: Bytes },
    /// Both ways: a stream has ended, or is not there at all.
    Closed { stream: u8 },
    /// Child → host: how far in the source it is.
    Progress { position_ms: u64 },
    /// Child → host, last. Host → child: no more frames.
    End(Ending),
    /// Host → child: an encoder of a ladder pauses, or goes on.
    Active { picture: u8, active: bool },
    /// Child → host: what it has done with a ladder's frames.
    Position(Place),
    /// Child → host: a picture of a ladder, at its presentation time in 90 kHz.
    Still { at: Ticks, jpeg: Bytes },
}

/// How far the child of a ladder is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Frames that it has read since its beginning.
    pub(super) read: u64,
    /// The latest presentation time that has been decoded, 90 kHz; `None` before the first.
    pub(super) decoded: Option<Ticks>,
}

mod kind {
    pub(super) const TASK: u8 = 1;
    pub(super) const READY: u8 = 2;
    pub(super) const REFUSED: u8 = 3;
    pub(super) const FAILED: u8 = 4;
    pub(super) const REPORT: u8 = 5;
    pub(super) const TRACK: u8 = 6;
    pub(super) const FRAME: u8 = 7;
    pub(super) const PICTURE: u8 = 8;
    pub(super) const PROGRESS: u8 = 9;
    pub(super) const CLOSED: u8 = 10;
    pub(super) const END: u8 = 11;
    pub(super) const ACTIVE: u8 = 12;
    pub(super) const POSITION: u8 = 13;
    pub(super) const STILL: u8 = 14;
}

/// Bytes of a frame's fields before its data.
const FRAME_FIELDS: usize = 1 + 1 + 8 + 8;
const KEY_FLAG: u8 = 1;
const AUDIO_FLAG: u8 = 2;
/// How every JPEG begins (T.81 B.1.1.3).
const JPEG: &[u8] = &[0xff, 0xd8, 0xff];

/// The length of a body and its kind.
pub(super) fn parse_head(head: [u8; HEAD_BYTES]) -> Result<(usize, u8), WireError> {
    let [a, b, c, d, kind] = head;
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d]))
        .map_err(|_| WireError("a message is too long"))?;
    let limit = match kind {
        kind::FRAME | kind::PICTURE | kind::STILL => MAX_BODY_BYTES,
        kind::TASK..=kind::POSITION => MAX_JSON_BYTES,
        _ => return Err(WireError("a message of an unknown kind")),
    };
    if length > limit {
        return Err(WireError("a message is too long"));
    }
    Ok((length, kind))
}

/// A frame's message without the frame's data, which follows.
pub(super) fn frame_front(stream: u8, frame: &Frame) -> Bytes {
    let mut out = BytesMut::with_capacity(HEAD_BYTES + FRAME_FIELDS);
    let length = u32::try_from(FRAME_FIELDS + frame.data.len()).unwrap_or(u32::MAX);
    out.put_u32(length);
    out.put_u8(kind::FRAME);
    put_frame_fields(&mut out, stream, frame);
    out.freeze()
}

fn put_frame_fields(out: &mut BytesMut, stream: u8, frame: &Frame) {
    out.put_u8(stream);
    let key = if frame.key { KEY_FLAG } else { 0 };
    let audio = if frame.track == TrackKind::Audio {
        AUDIO_FLAG
    } else {
        0
    };
    out.put_u8(key | audio);
    out.put_i64(frame.dts.0);
    out.put_i64(frame.pts.0);
}

/// A clock that is beyond this is broken; sums of such times cannot overflow.
fn is_sane(time: i64) -> bool {
    time.unsigned_abs() < 1 << 52
}

impl Message {
    /// The whole message, head included.
    pub(super) fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_bytes(0, HEAD_BYTES);
        let kind = match self {
            Self::Task(task) => json(&mut out, task, kind::TASK),
            Self::Ready { version } => {
                out.put_u16(*version);
                kind::READY
            }
            Self::Refused(refusal) => json(&mut out, refusal, kind::REFUSED),
            Self::Failed(why) => {
                let why: String = why.chars().take(1_000).collect();
                json(&mut out, &why, kind::FAILED)
            }
            Self::Report(report) => json(&mut out, report, kind::REPORT),
            Self::Track(track) => json(&mut out, track, kind::TRACK),
            Self::Frame { stream, frame } => {
                out.reserve(FRAME_FIELDS + frame.data.len());
                put_frame_fields(&mut out, *stream, frame);
                out.put_slice(&frame.data);
                kind::FRAME
            }
            Self::Picture { index, at_ms, jpeg } => {
                out.put_u32(*index);
                out.put_u64(*at_ms);
                out.put_slice(jpeg);
                kind::PICTURE
            }
            Self::Closed { stream } => {
                out.put_u8(*stream);
                kind::CLOSED
            }
            Self::Progress { position_ms } => {
                out.put_u64(*position_ms);
                kind::PROGRESS
            }
            Self::End(ending) => json(&mut out, ending, kind::END),
            Self::Active { picture, active } => {
                out.put_u8(*picture);
                out.put_u8(u8::from(*active));
                kind::ACTIVE
            }
            Self::Position(place) => {
                out.put_u64(place.read);
                // One beyond what is sane says that there is none.
                out.put_i64(place.decoded.map_or(1 << 52, |ticks| ticks.0));
                kind::POSITION
            }
            Self::Still { at, jpeg } => {
                out.put_i64(at.0);
                out.put_slice(jpeg);
                kind::STILL
            }
        };
        let length = u32::try_from(out.len() - HEAD_BYTES).unwrap_or(u32::MAX);
        out[..4].copy_from_slice(&length.to_be_bytes());
        out[4] = kind;
        out.freeze()
    }

    /// A message from its kind and body.
    pub(super) fn parse(kind: u8, mut body: Bytes) -> Result<Self, WireError> {
        let short = WireError("a message is cut short");
        Ok(match kind {
            kind::TASK => Self::Task(from_json(&body)?),
            kind::READY => Self::Ready {
                version: body.try_get_u16().map_err(|_| short)?,
            },
            kind::REFUSED => Self::Refused(from_json(&body)?),
            kind::FAILED => Self::Failed(from_json(&body)?),
            kind::REPORT => Self::Report(from_json(&body)?),
            kind::TRACK => {
                let track: Track = from_json(&body)?;
                if track.stream >= MAX_STREAMS || track.timescale == 0 {
                    return Err(WireError("a track is out of range"));
                }
                Self::Track(track)
            }
            kind::FRAME => {
                if body.len() < FRAME_FIELDS {
                    return Err(short);
                }
                let stream = body.get_u8();
                let flags = body.get_u8();
                let (dts, pts) = (body.get_i64(), body.get_i64());
                if stream >= MAX_STREAMS || !is_sane(dts) || !is_sane(pts) || body.is_empty() {
                    return Err(WireError("a frame is out of range"));
                }
                Self::Frame {
                    stream,
                    frame: Frame {
                        track: if flags & AUDIO_FLAG == 0 {
                            TrackKind::Video
                        } else {
                            TrackKind::Audio
                        },
                        dts: Ticks(dts),
                        pts: Ticks(pts),
                        key: flags & KEY_FLAG != 0,
                        data: body,
                    },
                }
            }
            kind::PICTURE => {
                let index = body.try_get_u32().map_err(|_| short)?;
                let at_ms = body.try_get_u64().map_err(|_| short)?;
                if !body.starts_with(JPEG) {
                    return Err(WireError("a picture is no JPEG"));
                }
                Self::Picture {
                    index,
                    at_ms,
                    jpeg: body,
                }
            }
            kind::CLOSED => Self::Closed {
                stream: body.try_get_u8().map_err(|_| short)?,
            },
            kind::PROGRESS => Self::Progress {
                position_ms: body.try_get_u64().map_err(|_| short)?,
            },
            kind::END => Self::End(from_json(&body)?),
            kind::ACTIVE => Self::Active {
                picture: body.try_get_u8().map_err(|_| short)?,
                active: body.try_get_u8().map_err(|_| short)? != 0,
            },
            kind::POSITION => Self::Position(Place {
                read: body.try_get_u64().map_err(|_| short)?,
                decoded: Some(body.try_get_i64().map_err(|_| short)?)
                    .filter(|decoded| is_sane(*decoded))
                    .map(Ticks),
            }),
            kind::STILL => {
                let at = body.try_get_i64().map_err(|_| short)?;
                if !is_sane(at) || !body.starts_with(JPEG) {
                    return Err(WireError("a picture is no JPEG"));
                }
                Self::Still {
                    at: Ticks(at),
                    jpeg: body,
                }
            }
            _ => return Err(WireError("a message of an unknown kind")),
        })
    }
}

fn json(out: &mut BytesMut, value: &impl Serialize, kind: u8) -> u8 {
    let text = serde_json::to_vec(value).expect("plain values have a JSON form");
    out.put_slice(&text);
    kind
}

fn from_json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, WireError> {
    serde_json::from_slice(body).map_err(|_| WireError("a message does not parse"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn there_and_back(message: &Message) -> Message {
        let bytes = message.encode();
        let (head, body) = bytes.split_at(HEAD_BYTES);
        let (length, kind) = parse_head(head.try_into().unwrap()).unwrap();
        assert_eq!(length, body.len());
        Message::parse(kind, Bytes::copy_from_slice(body)).unwrap()
    }

    #[test]
    fn what_is_said_is_what_is_heard() {
        let frame = Frame {
            track: TrackKind::Audio,
            dts: Ticks(-1_024),
            pts: Ticks(-1_024),
            key: true,
            data: Bytes::from_static(b"sound"),
        };
        let messages = [
            Message::Task(Task {
                version: VERSION,
                limits: Limits::of(Kind::Probe, 1, 0),
                work: Work::Pictures {
                    times_ms: vec![0, 5_000],
                    width: 320,
                },
            }),
            Message::Ready { version: VERSION },
            Message::Refused(Refusal::Codec {
                codec: "wmv3".to_owned(),
            }),
            Message::Failed("no filter".to_owned()),
            Message::Track(Track {
                stream: 1,
                codec: TrackCodec::Aac,
                record: "1190".to_owned(),
                timescale: 48_000,
            }),
            Message::Frame { stream: 3, frame },
            Message::Picture {
                index: 2,
                at_ms: 4_000,
                jpeg: Bytes::from_static(&[0xff, 0xd8, 0xff, 0xe0]),
            },
            Message::Closed { stream: 1 },
            Message::Progress { position_ms: 7 },
            Message::End(Ending::default()),
            Message::Active {
                picture: 2,
                active: false,
            },
            Message::Position(Place {
                read: 9,
                decoded: Some(Ticks(-1)),
            }),
            Message::Position(Place::default()),
            Message::Still {
                at: Ticks(1 << 40),
                jpeg: Bytes::from_static(&[0xff, 0xd8, 0xff, 0xe0]),
            },
        ];
        for message in messages {
            assert_eq!(there_and_back(&message), message);
        }
    }

    #[test]
    fn a_frame_in_two_pieces_is_the_same_message() {
        let frame = Frame {
            track: TrackKind::Video,
            dts: Ticks(1),
            pts: Ticks(3_001),
            key: true,
            data: Bytes::from_static(b"picture"),
        };
        let pieces = [&frame_front(1, &frame)[..], b"picture"].concat();
        let whole = Message::Frame { stream: 1, frame }.encode();
        assert_eq!(pieces, whole);
    }

    #[test]
    fn a_declared_length_is_refused_before_anything_is_read() {
        let head = |length: u32, kind: u8| {
            let [a, b, c, d] = length.to_be_bytes();
            parse_head([a, b, c, d, kind])
        };
        assert!(head(32 << 20, kind::FRAME).is_ok());
        assert!(head(33 << 20, kind::FRAME).is_err());
        assert!(head((64 << 10) + 1, kind::REPORT).is_err());
        assert!(head(u32::MAX, kind::END).is_err());
        assert!(head(33 << 20, kind::STILL).is_err());
        assert!(head(0, 0).is_err() && head(0, 15).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_parser_panic(kind in 0u8..16, body in proptest::collection::vec(any::<u8>(), 0..64)) {
            Message::parse(kind, Bytes::from(body)).ok();
        }
    }
}
