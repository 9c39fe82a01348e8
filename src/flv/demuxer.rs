//! From tag bodies to outputs.

use bytes::Bytes;

use super::tag::{self, Content, Packet};
use super::timeline::Timeline;
use super::{FlvError, Ignored, Output, aac, av1, avc, hevc, mp3, nal, opus, vp9};
use crate::av::{
    AudioCodec, AudioConfig, CodecConfig, Frame, Ticks, Timescale, TrackKind, VideoCodec,
    VideoConfig,
};

const NANOS: Timescale = Timescale::new(1_000_000_000).expect("not zero");
const NANOS_PER_MS: i64 = 1_000_000;
/// What [`Frame::pts`] promises: not further before the decoding time.
const LEAST_COMPOSITION_MS: i32 = -500;

/// The demuxer of one publish session: one picture track and one sound track, in one codec each at a time.
///
/// Times leave unwrapped on the encoder's own timeline, both tracks on the same. A jump of the encoder's clock that is no
/// wrap is passed on as it is: `fmp4` decides what it means.
#[derive(Debug, Default)]
pub struct Demuxer {
    timeline: Timeline,
    video: Option<VideoSetup>,
    video_config: Option<VideoConfig>,
    audio_config: Option<AudioConfig>,
}

/// What the last video configuration said that frames need.
#[derive(Debug)]
enum VideoSetup {
    Nal {
        codec: VideoCodec,
        length_bytes: usize,
    },
    /// The record; and whether its sequence header is still awaited in a key frame.
    Av1 { record: Bytes, incomplete: bool },
    /// The record; each key frame says the size.
    Vp9 { record: Bytes },
}

impl Demuxer {
    /// A demuxer that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the body of a video tag and its message's timestamp; what it brings is appended to `outputs`.
    ///
    /// # Errors
    /// Nobody could decode the stream: end the publish.
    pub fn video(
        &mut self,
        timestamp_ms: u32,
        body: Bytes,
        outputs: &mut Vec<Output>,
    ) -> Result<(), FlvError> {
        let packet = match tag::video(body) {
            Ok(packet) => packet,
            Err(reason) => {
                outputs.push(Output::Ignored(reason));
                return Ok(());
            }
        };
        let Packet {
            codec,
            content,
            nanos,
            other_tracks,
        } = packet;
        match content {
            Content::Config(record) => self.video_config(codec, record, outputs)?,
            Content::Frame {
                key,
                composition_ms,
                data,
            } => {
                let nanos = self.nanos(timestamp_ms, nanos);
                match self.picture(codec, key, data, outputs) {
                    Ok((key, data)) => {
                        let composition =
                            Ticks(i64::from(composition_ms.max(LEAST_COMPOSITION_MS)))
                                .rescale(Timescale::MILLIS, Timescale::VIDEO);
                        let dts = nanos.rescale(NANOS, Timescale::VIDEO);
                        outputs.push(Output::Frame(Frame {
                            track: TrackKind::Video,
                            dts,
                            pts: dts + composition,
                            key,
                            data,
                        }));
                    }
                    Err(reason) => outputs.push(Output::Ignored(reason)),
                }
            }
        }
        if other_tracks {
            outputs.push(Output::Ignored(Ignored::OtherTrack));
        }
        Ok(())
    }

    /// Takes the body of an audio tag and its message's timestamp; what it brings is appended to `outputs`.
    ///
    /// # Errors
    /// Nobody could decode the stream: end the publish.
    pub fn audio(
        &mut self,
        timestamp_ms: u32,
        body: Bytes,
        outputs: &mut Vec<Output>,
    ) -> Result<(), FlvError> {
        let packet = match tag::audio(body) {
            Ok(packet) => packet,
            Err(reason) => {
                outputs.push(Output::Ignored(reason));
                return Ok(());
            }
        };
        let Packet {
            codec,
            content,
            nanos,
            other_tracks,
        } = packet;
        match content {
            Content::Config(record) => match codec {
                AudioCodec::Aac => self.set_audio(aac::parse(record)?, outputs),
                AudioCodec::Opus => self.set_audio(opus::parse(&record)?, outputs),
                // Each MP3 frame is its own configuration.
                AudioCodec::Mp3 => outputs.push(Output::Ignored(Ignored::Signal)),
            },
            Content::Frame { data, .. } => {
                let nanos = self.nanos(timestamp_ms, nanos);
                match self.sound(codec, data, outputs) {
                    Ok((timescale, data)) => {
                        let dts = nanos.rescale(NANOS, timescale);
                        outputs.push(Output::Frame(Frame {
                            track: TrackKind::Audio,
                            dts,
                            pts: dts,
                            key: true,
                            data,
                        }));
                    }
                    Err(reason) => outputs.push(Output::Ignored(reason)),
                }
            }
        }
        if other_tracks {
            outputs.push(Output::Ignored(Ignored::OtherTrack));
        }
        Ok(())
    }

    /// The unwrapped time of a frame, ns.
    fn nanos(&mut self, timestamp_ms: u32, nanos: u32) -> Ticks {
        Ticks(self.timeline.unwrap(timestamp_ms) * NANOS_PER_MS + i64::from(nanos))
    }

    pub(super) fn video_config(
        &mut self,
        codec: VideoCodec,
        record: Bytes,
        outputs: &mut Vec<Output>,
    ) -> Result<(), FlvError> {
        let (setup, config) = match codec {
            VideoCodec::H264 | VideoCodec::Hevc => {
                let parse = if codec == VideoCodec::H264 {
                    avc::parse
                } else {
                    hevc::parse
                };
                let (config, length_bytes) = parse(record)?;
                let setup = VideoSetup::Nal {
                    codec,
                    length_bytes,
                };
                (setup, Some(config))
            }
            VideoCodec::Av1 => {
                let config = av1::parse(&record)?;
                let incomplete = config.is_none();
                (VideoSetup::Av1 { record, incomplete }, config)
            }
            VideoCodec::Vp9 => {
                let record = vp9::parse(&record)?;
                (VideoSetup::Vp9 { record }, None)
            }
        };
        self.video = Some(setup);
        if let Some(config) = config {
            self.set_video(config, outputs);
        }
        Ok(())
    }

    /// Whether a decoder can start at this frame, and its sample.
    pub(super) fn picture(
        &mut self,
        codec: VideoCodec,
        key: bool,
        data: Bytes,
        outputs: &mut Vec<Output>,
    ) -> Result<(bool, Bytes), Ignored> {
        if data.is_empty() {
            return Err(Ignored::Empty);
        }
        match self.video.as_mut().ok_or(Ignored::BeforeConfig)? {
            VideoSetup::Nal {
                codec: configured,
                length_bytes,
            } if *configured == codec => nal::picture(codec, *length_bytes, data),
            VideoSetup::Av1 { record, incomplete } if codec == VideoCodec::Av1 => {
                let data = av1::without_temporal_delimiter(data).ok_or(Ignored::NoPicture)?;
                if *incomplete {
                    let header = av1::sequence_header(&data).ok_or(Ignored::BeforeConfig)?;
                    let config = av1::config(record, header).map_err(|_| Ignored::Malformed)?;
                    *incomplete = false;
                    self.set_video(config, outputs);
                }
                Ok((key, data))
            }
            VideoSetup::Vp9 { record } if codec == VideoCodec::Vp9 => {
                let config = if key {
                    vp9::config(record, &data)
                } else {
                    None
                };
                let key = config.is_some();
                if let Some(config) = config {
                    self.set_video(config, outputs);
                } else if self
                    .video_config
                    .as_ref()
                    .is_none_or(|config| config.codec != VideoCodec::Vp9)
                {
                    return Err(Ignored::BeforeConfig);
                }
                Ok((key, data))
            }
            _ => Err(Ignored::BeforeConfig),
        }
    }

    pub(super) fn sound(
        &mut self,
        codec: AudioCodec,
        data: Bytes,
        outputs: &mut Vec<Output>,
    ) -> Result<(Timescale, Bytes), Ignored> {
        if data.is_empty() {
            return Err(Ignored::Empty);
        }
        if codec == AudioCodec::Mp3 {
            self.set_audio(mp3::config(&data).ok_or(Ignored::Malformed)?, outputs);
        }
        match &self.audio_config {
            Some(config) if config.codec == codec => Ok((config.timescale(), data)),
            _ => Err(Ignored::BeforeConfig),
        }
    }

    fn set_video(&mut self, config: VideoConfig, outputs: &mut Vec<Output>) {
        if self.video_config.as_ref() != Some(&config) {
            outputs.push(Output::Config(CodecConfig::Video(config.clone())));
            self.video_config = Some(config);
        }
    }

    pub(super) fn set_audio(&mut self, config: AudioConfig, outputs: &mut Vec<Output>) {
        if self.audio_config.as_ref() != Some(&config) {
            outputs.push(Output::Config(CodecConfig::Audio(config.clone())));
            self.audio_config = Some(config);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // avcC of x264 for 720 × 576, see avc.rs.
    const AVCC: &str =
        "014d401effe10018674d401ef405a126c044000003000400000300c87c50aa8001000468de0fc8";
    // Records of ffmpeg 5.1 in MP4, and the front of the first sample, see av1.rs and vp9.rs.
    const AV1C: &str = "81000c000a0b000000043ea7bc02f80040";
    const AV1_SEQUENCE: &str = "0a0b000000043ea7bc02f80040";

    fn body(front: &[u8], fourcc: &[u8], rest: &str) -> Bytes {
        [front, fourcc, &hex::decode(rest).unwrap()].concat().into()
    }

    fn video(demuxer: &mut Demuxer, at: u32, body: Bytes) -> Vec<Output> {
        let mut outputs = Vec::new();
        demuxer
            .video(at, body, &mut outputs)
            .expect("it can be understood");
        outputs
    }

    fn audio(demuxer: &mut Demuxer, at: u32, body: Bytes) -> Vec<Output> {
        let mut outputs = Vec::new();
        demuxer
            .audio(at, body, &mut outputs)
            .expect("it can be understood");
        outputs
    }

    fn size(output: &Output) -> Option<(u32, u32)> {
        match output {
            Output::Config(CodecConfig::Video(config)) => Some((config.width, config.height)),
            _ => None,
        }
    }

    #[test]
    fn avc_and_aac_become_frames_in_ticks_on_one_timeline() {
        let mut demuxer = Demuxer::new();
        let config = video(&mut demuxer, 0, body(&[0x17, 0, 0, 0, 0], b"", AVCC));
        assert_eq!(
            config.iter().map(size).collect::<Vec<_>>(),
            [Some((720, 576))]
        );
        let config = audio(&mut demuxer, 0, body(&[0xaf, 0], b"", "1210"));
        assert!(matches!(
            config[..],
            [Output::Config(CodecConfig::Audio(_))]
        ));
        // Composition 80 ms = 7,200 ticks; 33 ms = 2,970 ticks.
        assert_eq!(
            video(
                &mut demuxer,
                33,
                body(&[0x17, 1, 0, 0, 80], b"", "0000000165")
            ),
            [Output::Frame(Frame {
                track: TrackKind::Video,
                dts: Ticks(2_970),
                pts: Ticks(10_170),
                key: true,
                data: Bytes::from_static(&[0, 0, 0, 1, 0x65]),
            })]
        );
        // 23 ms × 44.1 = 1,014.3.
        assert_eq!(
            audio(&mut demuxer, 23, body(&[0xaf, 1], b"", "2110")),
            [Output::Frame(Frame {
                track: TrackKind::Audio,
                dts: Ticks(1_014),
                pts: Ticks(1_014),
                key: true,
                data: Bytes::from_static(&[0x21, 0x10]),
            })]
        );
    }

    #[test]
    fn an_equal_configuration_is_given_once_and_a_changed_one_again() {
        let mut demuxer = Demuxer::new();
        let config = |text| body(&[0xaf, 0], b"", text);
        assert_eq!(audio(&mut demuxer, 0, config("1210")).len(), 1);
        assert_eq!(audio(&mut demuxer, 9, config("1210")).len(), 0);
        assert_eq!(audio(&mut demuxer, 9, config("1190")).len(), 1);
    }

    #[test]
    fn frames_before_their_configuration_are_ignored() {
        let mut demuxer = Demuxer::new();
        let ignored = [Output::Ignored(Ignored::BeforeConfig)];
        let idr = || body(&[0x17, 1, 0, 0, 0], b"", "0000000165");
        assert_eq!(video(&mut demuxer, 0, idr()), ignored);
        assert_eq!(
            audio(&mut demuxer, 0, body(&[0xaf, 1], b"", "2110")),
            ignored
        );
        // A configuration of another codec does not help.
        video(&mut demuxer, 0, body(&[0x90], b"av01", AV1C));
        assert_eq!(video(&mut demuxer, 0, idr()), ignored);
        // Nor does a key frame flag on something that is no VP9 key frame.
        video(&mut demuxer, 0, body(&[0x90], b"vp09", "0015820202020000"));
        assert_eq!(
            video(&mut demuxer, 0, body(&[0x91], b"vp09", "8600")),
            ignored
        );
    }

    #[test]
    fn av1_without_a_sequence_header_in_its_record_waits_for_the_key_frame() {
        let mut demuxer = Demuxer::new();
        assert_eq!(
            video(&mut demuxer, 0, body(&[0x90], b"av01", "81000c00")),
            []
        );
        assert_eq!(
            video(&mut demuxer, 0, body(&[0xa1], b"av01", "320100")),
            [Output::Ignored(Ignored::BeforeConfig)]
        );
        // Temporal delimiter, sequence header, a frame OBU of one byte.
        let key = format!("1200{AV1_SEQUENCE}320100");
        let outputs = video(&mut demuxer, 40, body(&[0x91], b"av01", &key));
        assert_eq!(size(&outputs[0]), Some((426, 240)));
        let Output::Frame(frame) = &outputs[1] else {
            panic!("no frame behind the configuration")
        };
        assert!(frame.key);
        assert_eq!(hex::encode(&frame.data), format!("{AV1_SEQUENCE}320100"));
    }

    #[test]
    fn vp9_takes_its_size_from_each_key_frame() {
        let mut demuxer = Demuxer::new();
        assert_eq!(
            video(&mut demuxer, 0, body(&[0x90], b"vp09", "0015820202020000")),
            []
        );
        // The first bytes of ffmpeg's key frame of 640 × 362, then one of 640 × 360, then an inter frame.
        let outputs = video(
            &mut demuxer,
            0,
            body(&[0x91], b"vp09", "824983420027f01696"),
        );
        assert_eq!(size(&outputs[0]), Some((640, 362)));
        let outputs = video(
            &mut demuxer,
            9,
            body(&[0x91], b"vp09", "824983420027f01670"),
        );
        assert_eq!(size(&outputs[0]), Some((640, 360)));
        let outputs = video(&mut demuxer, 40, body(&[0xa1], b"vp09", "8600"));
        assert!(matches!(&outputs[..], [Output::Frame(frame)] if !frame.key));
    }

    #[test]
    fn nanoseconds_refine_both_times() {
        let mut demuxer = Demuxer::new();
        video(&mut demuxer, 0, body(&[0x90], b"avc1", AVCC));
        // 33 ms + 333,333 ns = a thirtieth of a second: 3,000 ticks.
        let front = [0xa7, 2, 0x05, 0x16, 0x15, 0x03];
        let outputs = video(&mut demuxer, 33, body(&front, b"avc1", "0000000141"));
        assert!(
            matches!(&outputs[..], [Output::Frame(frame)] if (frame.dts, frame.pts) == (Ticks(3_000), Ticks(3_000)))
        );
    }

    #[test]
    fn a_composition_time_far_before_decoding_is_cut_at_half_a_second() {
        let mut demuxer = Demuxer::new();
        video(&mut demuxer, 0, body(&[0x17, 0, 0, 0, 0], b"", AVCC));
        let outputs = video(
            &mut demuxer,
            1_000,
            body(&[0x27, 1, 0x80, 0, 0], b"", "0000000141"),
        );
        assert!(matches!(&outputs[..], [Output::Frame(frame)] if frame.pts == Ticks(45_000)));
    }

    #[test]
    fn mp3_frames_are_their_own_configuration() {
        let mut demuxer = Demuxer::new();
        let outputs = audio(&mut demuxer, 0, body(&[0x2f], b"", "fffb904400"));
        assert!(matches!(
            outputs[..],
            [Output::Config(CodecConfig::Audio(_)), Output::Frame(_)]
        ));
        assert_eq!(
            audio(&mut demuxer, 26, body(&[0x2f], b"", "00000000")),
            [Output::Ignored(Ignored::Malformed)]
        );
    }

    #[test]
    fn a_broken_configuration_is_told_in_words_for_the_encoder() {
        let mut outputs = Vec::new();
        let error = Demuxer::new()
            .video(
                0,
                body(&[0x17, 0, 0, 0, 0], b"", "014d401efe"),
                &mut outputs,
            )
            .expect_err("it is cut short");
        assert_eq!(
            error.to_string(),
            "the H.264 configuration is broken: it is cut short"
        );
    }

    fn any_tag() -> impl Strategy<Value = Vec<u8>> {
        let front = prop_oneof![
            Just(b"\x17\x00\x00\x00\x00".to_vec()),
            Just(b"\x17\x01\x00\x00\x00".to_vec()),
            Just(b"\x90hvc1".to_vec()),
            Just(b"\x91hvc1".to_vec()),
            Just(b"\x90av01\x81\x00\x0c\x00".to_vec()),
            Just(b"\x91av01\x12\x00".to_vec()),
            Just(b"\x90vp09".to_vec()),
            Just(b"\x91vp09\x82\x49\x83\x42".to_vec()),
            Just(b"\x96\x20".to_vec()),
            Just(b"\x97".to_vec()),
            Just(b"\xaf\x00".to_vec()),
            Just(b"\xaf\x01".to_vec()),
            Just(b"\x90Opus".to_vec()),
            Just(b"\x90OpusOpusHead\x01".to_vec()),
            Just(Vec::new()),
        ];
        (front, prop::collection::vec(any::<u8>(), 0..120))
            .prop_map(|(front, rest)| [front, rest].concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn any_tags_are_frames_in_order_or_refused(
            tags in prop::collection::vec((any::<bool>(), any::<u32>(), any_tag()), 1..12),
        ) {
            let mut demuxer = Demuxer::new();
            let (mut video_known, mut audio_known) = (false, false);
            for (is_video, at, tag) in tags {
                let mut outputs = Vec::new();
                let tag = Bytes::from(tag);
                let outcome = if is_video {
                    demuxer.video(at, tag, &mut outputs)
                } else {
                    demuxer.audio(at, tag, &mut outputs)
                };
                let ends = outcome.is_err();
                for output in outputs {
                    match output {
                        Output::Config(CodecConfig::Video(config)) => {
                            prop_assert!((1..=16_384).contains(&config.width));
                            video_known = true;
                        }
                        Output::Config(CodecConfig::Audio(config)) => {
                            prop_assert!(config.sample_rate > 0);
                            audio_known = true;
                        }
                        Output::Frame(frame) => {
                            let known = match frame.track {
                                TrackKind::Video => video_known,
                                TrackKind::Audio => audio_known,
                            };
                            prop_assert!(known && !frame.data.is_empty());
                            prop_assert!(frame.pts.0 >= frame.dts.0 - 45_000);
                        }
                        Output::Ignored(_) => {}
                    }
                }
                if ends {
                    break;
                }
            }
        }
    }
}
