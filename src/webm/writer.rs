//! Head, clusters, index.

use super::ebml::{element, float, put_id, put_length_of, text, unsigned, wide};
use super::tracks::{PICTURES, SOUND, Tracks};
use crate::av::{Frame, Ticks, Timescale, TrackKind};

/// Ids of the list of contents.
const INFO: u32 = 0x1549_a966;
const TRACKS: u32 = 0x1654_ae6b;
const CUES: u32 = 0x1c53_bb6b;
const CLUSTER: u32 = 0x1f43_b675;
const SEEK_HEAD: u32 = 0x114d_9b74;
const SEGMENT: u32 = 0x1853_8067;
/// A cluster that no key picture ends is ended after this long, ms: a block's time is 16 bits, and a player that seeks in
/// sound alone reads a cluster from its beginning.
const LONGEST_CLUSTER_MS: i64 = 5_000;
/// The same in bytes: what is gathered in memory.
const LARGEST_CLUSTER: usize = 4 << 20;
/// Key pictures closer than this share a cluster and an entry of the index, ms.
const LEAST_CLUSTER_MS: i64 = 500;
const OPUS: Timescale = Timescale::new(48_000).expect("not zero");

/// What is left to write when the last frame has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// To be appended.
    pub tail: Vec<u8>,
    /// To be written over what is there, by place.
    pub patches: Vec<(u64, Vec<u8>)>,
}

/// Writes one file.
#[derive(Clone, Debug)]
pub struct Writer {
    tracks: Tracks,
    /// Bytes that have been handed out: the length of the file so far.
    written: u64,
    /// Where the segment's first byte lies: positions inside it count from here.
    segment_at: u64,
    /// Where the duration lies, if there is a head.
    duration_at: u64,
    info_at: u64,
    tracks_at: u64,
    open: Option<Cluster>,
    cues: Vec<Cue>,
    /// The latest block, ms.
    last_ms: i64,
}

/// A cluster that is being gathered.
#[derive(Clone, Debug)]
struct Cluster {
    at_ms: i64,
    blocks: Vec<u8>,
    /// Time of its entry in the index, and where in `blocks` that is.
    cue: Option<(i64, usize)>,
}

/// An entry of the index: 24 bytes for each few seconds.
#[derive(Clone, Copy, Debug)]
struct Cue {
    at_ms: i64,
    cluster: u64,
    inside: u64,
}

impl Writer {
    /// Begins a file of these tracks; its first bytes are appended to `out`.
    #[must_use]
    pub fn new(tracks: Tracks, out: &mut Vec<u8>) -> Self {
        let began = out.len();
        let mut head = Vec::new();
        for (id, value) in [(0x4286, 1), (0x42f7, 1), (0x42f2, 4), (0x42f3, 8)] {
            unsigned(&mut head, id, value);
        }
        text(&mut head, 0x4282, "webm");
        unsigned(&mut head, 0x4287, 4);
        unsigned(&mut head, 0x4285, 2);
        element(out, 0x1a45_dfa3, &head);
        put_id(out, SEGMENT);
        // Unknown so far (RFC 8794 6.2): a file that was left half written can still be read.
        put_length_of(out, (1 << 56) - 1, 8);
        let segment_at = out.len() - began;
        let mut nothing = Vec::new();
        put_id(&mut nothing, 0xec);
        let room = seek_head([0; 3]).len();
        put_length_of(&mut nothing, (room - 2) as u64, 1);
        nothing.resize(room, 0);
        out.extend_from_slice(&nothing);
        let info_at = out.len() - began;
        let mut info = Vec::new();
        unsigned(&mut info, 0x2a_d7b1, 1_000_000);
        text(&mut info, 0x4d80, "griot");
        text(&mut info, 0x5741, "griot");
        float(&mut info, 0x4489, 0.0);
        element(out, INFO, &info);
        let tracks_at = out.len() - began;
        out.extend_from_slice(&tracks.encode());
        Self {
            tracks,
            written: (out.len() - began) as u64,
            segment_at: segment_at as u64,
            duration_at: (tracks_at - 8) as u64,
            info_at: info_at as u64,
            tracks_at: tracks_at as u64,
            open: None,
            cues: Vec::new(),
            last_ms: 0,
        }
    }

    /// Takes a frame in the order of decoding: pictures in 90 kHz, sound in 48 kHz, presentation times from the file's
    /// beginning. A cluster that is whole is appended to `out`. A frame of a track that the file lacks is left out.
    pub fn push(&mut self, frame: &Frame, out: &mut Vec<u8>) {
        let Some(at_ms) = self.time_of(frame) else {
            return;
        };
        let is_picture = frame.track == TrackKind::Video;
        let starts = if self.tracks.pictures.is_some() {
            is_picture && frame.key
        } else {
            true
        };
        if let Some(open) = &self.open {
            let long = at_ms - open.at_ms;
            let is_due = starts && is_picture && long >= LEAST_CLUSTER_MS;
            // Behind a picture that is far ahead sound may lie before the cluster, by what an encoder held back.
            let is_full = !(-LONGEST_CLUSTER_MS..LONGEST_CLUSTER_MS).contains(&long)
                || open.blocks.len() >= LARGEST_CLUSTER;
            if is_due || is_full {
                self.close(out);
            }
        }
        let open = self.open.get_or_insert_with(|| Cluster {
            at_ms,
            blocks: Vec::new(),
            cue: None,
        });
        if starts && open.cue.is_none() {
            open.cue = Some((at_ms, open.blocks.len()));
        }
        let number = if is_picture { PICTURES } else { SOUND };
        let inside = i16::try_from(at_ms - open.at_ms).unwrap_or(0);
        let mut front = vec![0x80 | number];
        front.extend(inside.to_be_bytes());
        front.push(if frame.key { 0x80 } else { 0 });
        put_id(&mut open.blocks, 0xa3);
        let length = (front.len() + frame.data.len()) as u64;
        put_length_of(&mut open.blocks, length, 4);
        open.blocks.extend_from_slice(&front);
        open.blocks.extend_from_slice(&frame.data);
        self.last_ms = self.last_ms.max(at_ms);
    }

    /// The time of a frame's block, ms: of sound with what the decoder throws away at the beginning added, which players
    /// take off again (RFC 9559 5.1.4.1.19, `CodecDelay`).
    fn time_of(&self, frame: &Frame) -> Option<i64> {
        let ms = match frame.track {
            TrackKind::Video => {
                self.tracks.pictures.as_ref()?;
                frame.pts.rescale(Timescale::VIDEO, Timescale::MILLIS)
            }
            TrackKind::Audio => {
                let delay = Ticks(self.tracks.sound.as_ref()?.pre_skip.into());
                (frame.pts + delay).rescale(OPUS, Timescale::MILLIS)
            }
        };
        Some(ms.0.max(0))
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        let Some(open) = self.open.take() else { return };
        let mut body = Vec::with_capacity(open.blocks.len() + 16);
        unsigned(&mut body, 0xe7, open.at_ms.unsigned_abs());
        let first = body.len();
        body.extend_from_slice(&open.blocks);
        if let Some((at_ms, inside)) = open.cue {
            self.cues.push(Cue {
                at_ms,
                cluster: self.written - self.segment_at,
                inside: (first + inside) as u64,
            });
        }
        let before = out.len();
        element(out, CLUSTER, &body);
        self.written += (out.len() - before) as u64;
    }

    /// Ends the file, which plays for `duration` (90 kHz), or up to its last block where that is later.
    #[must_use]
    pub fn finish(mut self, duration: Ticks) -> Finished {
        let mut tail = Vec::new();
        self.close(&mut tail);
        let cues_at = self.written;
        let track = match self.tracks.pictures {
            Some(_) => PICTURES,
            None => SOUND,
        };
        let mut points = Vec::new();
        for cue in &self.cues {
            let mut place = Vec::new();
            unsigned(&mut place, 0xf7, track.into());
            unsigned(&mut place, 0xf1, cue.cluster);
            unsigned(&mut place, 0xf0, cue.inside);
            let mut point = Vec::new();
            unsigned(&mut point, 0xb3, cue.at_ms.unsigned_abs());
            element(&mut point, 0xb7, &place);
            element(&mut points, 0xbb, &point);
        }
        let before = tail.len();
        element(&mut tail, CUES, &points);
        let length = self.written + (tail.len() - before) as u64;
        let inside = |at: u64| at - self.segment_at;
        let contents = seek_head([self.info_at, self.tracks_at, cues_at].map(inside));
        let mut segment = Vec::new();
        put_length_of(&mut segment, inside(length), 8);
        let ms = duration.seconds(Timescale::VIDEO) * 1_000.0;
        let last = Ticks(self.last_ms).seconds(Timescale::MILLIS) * 1_000.0;
        Finished {
            tail,
            patches: vec![
                (self.segment_at - 8, segment),
                (self.segment_at, contents),
                (self.duration_at, ms.max(last).to_be_bytes().to_vec()),
            ],
        }
    }
}

/// The list of contents: where in the segment `Info`, `Tracks` and `Cues` lie. Always as long.
fn seek_head(at: [u64; 3]) -> Vec<u8> {
    let mut seeks = Vec::new();
    for (id, at) in [INFO, TRACKS, CUES].into_iter().zip(at) {
        let mut seek = Vec::new();
        element(&mut seek, 0x53ab, &id.to_be_bytes());
        wide(&mut seek, 0x53ac, at);
        element(&mut seeks, 0x4dbb, &seek);
    }
    let mut out = Vec::new();
    element(&mut out, SEEK_HEAD, &seeks);
    out
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::tracks::{PictureCodec, PictureTrack, SoundTrack};
    use super::*;
    use crate::av::{AudioCodec, AudioConfig};

    fn tracks(pictures: bool, sound: bool) -> Tracks {
        let opus = AudioConfig {
            codec: AudioCodec::Opus,
            sample_rate: 48_000,
            channels: 2,
            frame_samples: 960,
            record: Bytes::from_static(&[0, 2, 1, 0x38, 0, 0, 0xbb, 0x80, 0, 0, 0]),
            codecs: "opus".to_owned(),
        };
        Tracks {
            pictures: pictures.then_some(PictureTrack {
                codec: PictureCodec::Vp8,
                width: 640,
                height: 360,
            }),
            sound: sound.then(|| SoundTrack::of(&opus).unwrap()),
        }
    }

    fn picture(at: i64, key: bool) -> Frame {
        Frame {
            track: TrackKind::Video,
            dts: Ticks(at),
            pts: Ticks(at),
            key,
            data: Bytes::from_static(b"picture"),
        }
    }

    fn sound(at: i64) -> Frame {
        Frame {
            track: TrackKind::Audio,
            dts: Ticks(at),
            pts: Ticks(at),
            key: true,
            data: Bytes::from_static(b"sound"),
        }
    }

    /// Id, place of the body, body: of the elements that follow each other.
    fn elements(bytes: &[u8]) -> Vec<(u32, usize, &[u8])> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let wide = bytes[at].leading_zeros() as usize + 1;
            let id = bytes[at..at + wide]
                .iter()
                .fold(0, |id, byte| id << 8 | u32::from(*byte));
            at += wide;
            let wide = bytes[at].leading_zeros() as usize + 1;
            let marked = bytes[at..at + wide]
                .iter()
                .fold(0_u64, |length, byte| length << 8 | u64::from(*byte));
            let length = usize::try_from(marked & !(1 << (7 * wide))).unwrap();
            at += wide;
            found.push((id, at, &bytes[at..at + length]));
            at += length;
        }
        found
    }

    fn number(bytes: &[u8]) -> u64 {
        bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte))
    }

    fn file(tracks: Tracks, frames: &[Frame], duration: Ticks) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(tracks, &mut bytes);
        for frame in frames {
            writer.push(frame, &mut bytes);
        }
        let finished = writer.finish(duration);
        bytes.extend(finished.tail);
        for (at, patch) in finished.patches {
            let at = usize::try_from(at).unwrap();
            bytes[at..at + patch.len()].copy_from_slice(&patch);
        }
        bytes
    }

    #[test]
    fn the_list_of_contents_and_every_entry_of_the_index_point_at_what_they_name() {
        let mut frames: Vec<Frame> = (0..300).map(|n| picture(n * 3_000, n % 60 == 0)).collect();
        frames.extend((0..500).map(|n| sound(n * 960)));
        frames.sort_by_key(|frame| match frame.track {
            TrackKind::Video => frame.dts.0 * 8,
            TrackKind::Audio => frame.dts.0 * 15,
        });
        let bytes = file(tracks(true, true), &frames, Ticks(900_000));
        let top = elements(&bytes);
        assert_eq!(
            top.iter().map(|(id, ..)| *id).collect::<Vec<_>>(),
            [0x1a45_dfa3, SEGMENT]
        );
        let segment = top[1].2;
        let inside = elements(segment);
        let ids: Vec<u32> = inside.iter().map(|(id, ..)| *id).collect();
        let clusters = [CLUSTER; 5];
        assert_eq!(
            ids,
            [&[SEEK_HEAD, INFO, TRACKS][..], &clusters[..], &[CUES]].concat()
        );
        for (_, _, seek) in elements(inside[0].2) {
            let seek = elements(seek);
            let at = usize::try_from(number(seek[1].2)).unwrap();
            assert!(segment[at..].starts_with(seek[0].2));
        }
        let points = elements(inside.last().unwrap().2);
        assert_eq!(points.len(), 5);
        for (n, (_, _, point)) in points.into_iter().enumerate() {
            let point = elements(point);
            assert_eq!(number(point[0].2), 2_000 * n as u64);
            let place = elements(point[1].2);
            let at = usize::try_from(number(place[1].2)).unwrap();
            let (id, _, cluster) = elements(&segment[at..])[0];
            assert_eq!(id, CLUSTER);
            let block = usize::try_from(number(place[2].2)).unwrap();
            let (id, _, block) = elements(&cluster[block..])[0];
            // Track 1, a key picture.
            assert_eq!((id, block[0], block[3]), (0xa3, 0x81, 0x80));
        }
        let duration = elements(inside[1].2).last().unwrap().2;
        assert_eq!(f64::from_be_bytes(duration.try_into().unwrap()), 10_000.0);
        let blocks = inside.iter().filter(|(id, ..)| *id == CLUSTER);
        let blocks: usize = blocks.map(|(_, _, body)| elements(body).len() - 1).sum();
        assert_eq!(blocks, frames.len());
    }

    #[test]
    fn sound_alone_has_an_index_too_and_its_first_block_is_at_zero() {
        let frames: Vec<Frame> = (0..1_000).map(|n| sound(n * 960 - 312)).collect();
        let bytes = file(tracks(false, true), &frames, Ticks(1_799_415));
        let segment = elements(&bytes)[1].2;
        let inside = elements(segment);
        let clusters: Vec<_> = inside.iter().filter(|(id, ..)| *id == CLUSTER).collect();
        assert_eq!(clusters.len(), 4, "20 s, 5 s each");
        assert_eq!(number(elements(clusters[1].2)[0].2), 5_000);
        assert_eq!(elements(inside.last().unwrap().2).len(), 4);
    }

    #[test]
    fn a_source_that_has_no_more_key_pictures_is_cut_all_the_same() {
        let frames: Vec<Frame> = (0..900).map(|n| picture(n * 3_000, n == 0)).collect();
        let bytes = file(tracks(true, false), &frames, Ticks(0));
        let inside = elements(elements(&bytes)[1].2);
        let clusters = inside.iter().filter(|(id, ..)| *id == CLUSTER).count();
        assert_eq!(clusters, 6);
        let points = elements(inside.last().unwrap().2);
        assert_eq!(
            points.len(),
            1,
            "an entry of the index is where a decoder can begin"
        );
        let duration = elements(inside[1].2).last().unwrap().2;
        // The last picture's time, 899 / 30 s.
        assert_eq!(f64::from_be_bytes(duration.try_into().unwrap()), 29_967.0);
    }

    #[test]
    fn a_frame_of_no_track_is_left_out() {
        let bytes = file(tracks(true, false), &[picture(0, true), sound(0)], Ticks(0));
        let inside = elements(elements(&bytes)[1].2);
        let (_, _, cluster) = inside.iter().find(|(id, ..)| *id == CLUSTER).unwrap();
        assert_eq!(elements(cluster).len(), 2);
    }
}
