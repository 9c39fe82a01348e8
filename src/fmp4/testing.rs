//! What the tests of this room share: configurations, encoders that never were, a walker over a part's boxes.

use bytes::Bytes;

use super::{Packager, PackagerConfig, Packed, PartIndex, SegmentIndex};
use crate::av::{
    AudioCodec, AudioConfig, Frame, Part, Ticks, Timescale, TrackKind, TrackSet, VideoCodec,
    VideoConfig,
};

/// AAC-LC, 48 kHz stereo.
pub(super) fn aac() -> AudioConfig {
    AudioConfig {
        codec: AudioCodec::Aac,
        sample_rate: 48_000,
        channels: 2,
        frame_samples: 1_024,
        record: Bytes::from_static(&[0x11, 0x90]),
        codecs: "mp4a.40.2".to_owned(),
    }
}

/// H.264, 640×360.
pub(super) fn h264() -> VideoConfig {
    VideoConfig {
        codec: VideoCodec::H264,
        width: 640,
        height: 360,
        record: Bytes::from_static(&[1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 0, 1, 0, 0]),
        codecs: "avc1.64001f".to_owned(),
    }
}

/// Both of the above.
pub(super) fn both() -> TrackSet {
    TrackSet {
        video: Some(h264()),
        audio: Some(aac()),
    }
}

/// An encoder whose clock is blurred to milliseconds, as over RTMP.
#[derive(Clone, Debug)]
pub(super) struct Encoder {
    /// `ticks` of 90 kHz last so many frames.
    pub(super) rate: (i64, i64),
    /// Pictures from one key frame to the next.
    pub(super) gop: i64,
    /// Pictures between two that others refer to; presentation lags by `lag` frames.
    pub(super) b_frames: i64,
    pub(super) lag: i64,
    pub(super) video: bool,
    pub(super) audio: bool,
    /// The publisher's clock at the first picture, ms.
    pub(super) start_ms: i64,
}

impl Default for Encoder {
    fn default() -> Self {
        Self {
            rate: (3_000, 1),
            gop: 60,
            b_frames: 0,
            lag: 0,
            video: true,
            audio: true,
            start_ms: 5_000,
        }
    }
}

fn blurred(ticks: i64) -> i64 {
    (ticks + 45).div_euclid(90) * 90
}

impl Encoder {
    /// With two B-frames, of which one is referred to.
    pub(super) fn with_b_frames(mut self) -> Self {
        self.b_frames = 2;
        self.lag = 2;
        self
    }

    /// Decoding time of picture `n` in exact ticks from the first.
    pub(super) fn dts(&self, n: i64) -> i64 {
        n * self.rate.0 / self.rate.1
    }

    /// Where in presentation order the picture stands that is `n`th in decoding order.
    fn display(&self, n: i64) -> i64 {
        let (gop, at) = (n / self.gop, n % self.gop);
        if at == 0 {
            return n;
        }
        let group = self.b_frames + 1;
        let first = (at - 1) / group * group + 1;
        let last = (first + group - 1).min(self.gop - 1);
        let shown = if at == first { last } else { at - 1 };
        gop * self.gop + shown
    }

    /// Picture `n` in decoding order.
    pub(super) fn picture(&self, n: i64) -> Frame {
        let start = self.start_ms * 90;
        let size = if n % self.gop == 0 { 900 } else { 90 + n % 50 };
        Frame {
            track: TrackKind::Video,
            dts: Ticks(start + blurred(self.dts(n))),
            pts: Ticks(start + blurred(self.dts(self.display(n) + self.lag))),
            key: n % self.gop == 0,
            data: vec![u8::try_from(n % 251).unwrap(); usize::try_from(size).unwrap()].into(),
        }
    }

    /// Sound frame `n`; the first begins with the first picture's presentation.
    pub(super) fn sound(&self, n: i64) -> Frame {
        let at = self.start_ms * 90 + blurred(self.dts(self.lag) + n * 1_920);
        let samples = Ticks(at).rescale(Timescale::VIDEO, aac().timescale());
        Frame {
            track: TrackKind::Audio,
            dts: samples,
            pts: samples,
            key: true,
            data: vec![u8::try_from(n % 251).unwrap(); usize::try_from(200 + n % 9).unwrap()]
                .into(),
        }
    }

    /// So many seconds, in the order of decoding times.
    pub(super) fn seconds(&self, seconds: f64) -> Vec<Frame> {
        #[expect(clippy::cast_possible_truncation, reason = "a test of seconds")]
        let ticks = (seconds * 90_000.0) as i64;
        let mut frames = Vec::new();
        if self.video {
            frames.extend(
                (0..)
                    .take_while(|n| self.dts(*n) < ticks)
                    .map(|n| self.picture(n)),
            );
        }
        if self.audio {
            frames.extend(
                (0..)
                    .take_while(|n| n * 1_920 < ticks)
                    .map(|n| self.sound(n)),
            );
        }
        frames.sort_by_key(|frame| match frame.track {
            TrackKind::Video => frame.dts.0,
            TrackKind::Audio => frame.dts.0 * 15 / 8,
        });
        frames
    }

    /// Its tracks.
    pub(super) fn tracks(&self) -> TrackSet {
        TrackSet {
            video: self.video.then(h264),
            audio: self.audio.then(aac),
        }
    }
}

/// A packager of these tracks with the default configuration.
pub(super) fn packager(tracks: TrackSet, hint: Option<f64>) -> Packager {
    Packager::new(PackagerConfig::default(), tracks, Ticks::ZERO, hint).unwrap()
}

/// One whole session.
pub(super) fn session(
    packager: &mut Packager,
    frames: impl IntoIterator<Item = Frame>,
) -> Vec<Packed> {
    let mut out = Vec::new();
    packager.start_session();
    for frame in frames {
        packager.push(frame, &mut out);
    }
    packager.end_session(&mut out);
    out
}

/// The parts, segment by segment.
pub(super) fn segments(packed: &[Packed]) -> Vec<Vec<Part>> {
    let mut segments = vec![Vec::new()];
    for packed in packed {
        match packed {
            Packed::Part(part) => segments.last_mut().unwrap().push(part.clone()),
            Packed::SegmentEnd => {
                assert!(
                    !segments.last().unwrap().is_empty(),
                    "a segment without parts"
                );
                segments.push(Vec::new());
            }
        }
    }
    if segments.last().unwrap().is_empty() {
        segments.pop();
    }
    segments
}

/// The parts alone.
pub(super) fn parts(packed: &[Packed]) -> Vec<Part> {
    segments(packed).concat()
}

/// The index of each segment.
pub(super) fn indexes(packed: &[Packed]) -> Vec<SegmentIndex> {
    let index = |parts: &Vec<Part>| SegmentIndex {
        parts: parts.iter().map(PartIndex::from).collect(),
    };
    segments(packed).iter().map(index).collect()
}

/// One sample as the boxes have it: decoding time, offset, duration, key, bytes.
pub(super) type Walked = (i64, i64, i64, bool, Vec<u8>);

/// Reads a part's bytes by the standard alone, without anything of this room: the samples of each track by its id.
/// Fails on whatever a strict player might refuse.
pub(super) fn walk(part: &[u8], audio_default: u32) -> Vec<(u32, Vec<Walked>)> {
    let number = |at: usize, len: usize| {
        part[at..at + len]
            .iter()
            .fold(0u64, |value, byte| value << 8 | u64::from(*byte))
    };
    let u32_at = |at: usize| u32::try_from(number(at, 4)).unwrap();
    let children = |from: usize, to: usize| {
        let mut found = Vec::new();
        let mut at = from;
        while at < to {
            let size = usize::try_from(u32_at(at)).unwrap();
            assert!(size >= 8 && at + size <= to, "box at {at} does not fit");
            found.push((&part[at + 4..at + 8], at + 8, at + size));
            at += size;
        }
        found
    };
    let top = children(0, part.len());
    assert_eq!(
        top.iter().map(|found| found.0).collect::<Vec<_>>(),
        [b"moof", b"mdat"]
    );
    let moof = children(top[0].1, top[0].2);
    assert_eq!(moof[0].0, b"mfhd");
    let mut tracks = Vec::new();
    let mut expected_data = top[1].1;
    for (kind, from, to) in &moof[1..] {
        assert_eq!(*kind, b"traf");
        let traf = children(*from, *to);
        let kinds: Vec<&[u8]> = traf.iter().map(|found| found.0).collect();
        assert_eq!(kinds, [b"tfhd", b"tfdt", b"trun"]);
        let (tfhd, tfdt, trun) = (traf[0].1, traf[1].1, traf[2].1);
        let track = u32_at(tfhd + 4);
        let default_duration = match u32_at(tfhd) {
            0x02_0000 => {
                if track == 1 {
                    3_000
                } else {
                    audio_default
                }
            }
            0x02_0008 => u32_at(tfhd + 8),
            flags => panic!("tfhd flags {flags:x}"),
        };
        assert_eq!(u32_at(tfdt), 0x0100_0000, "version 1");
        let mut time = i64::try_from(number(tfdt + 4, 8)).unwrap();
        let flags = u32_at(trun);
        let count = u32_at(trun + 4);
        let mut data = usize::try_from(u32_at(trun + 8)).unwrap();
        assert_eq!(
            data, expected_data,
            "data lies behind that of the track before"
        );
        let mut at = trun + 12;
        let mut next = |wanted: bool| {
            wanted.then(|| {
                at += 4;
                u32_at(at - 4)
            })
        };
        let first_flags = next(flags & 4 != 0);
        let mut samples = Vec::new();
        for n in 0..count {
            let duration = next(flags & 0x100 != 0).unwrap_or(default_duration);
            let size = usize::try_from(next(flags & 0x200 != 0).unwrap()).unwrap();
            let own_flags = next(flags & 0x400 != 0).or(first_flags.filter(|_| n == 0));
            let default_flags = if track == 1 { 0x0101_0000 } else { 0x0200_0000 };
            let key = own_flags.unwrap_or(default_flags) & 0x1_0000 == 0;
            let offset = next(flags & 0x800 != 0).unwrap_or(0);
            assert!(offset < 1 << 31, "version 0: not negative");
            samples.push((
                time,
                i64::from(offset),
                i64::from(duration),
                key,
                part[data..data + size].to_vec(),
            ));
            time += i64::from(duration);
            data += size;
        }
        assert_eq!(at, traf[2].2, "trun is as long as its samples");
        expected_data = data;
        tracks.push((track, samples));
    }
    assert_eq!(
        expected_data,
        part.len(),
        "mdat holds the samples and nothing else"
    );
    tracks
}
