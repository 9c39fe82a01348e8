//! What real encoders sent (fixtures/rtmp), through the session and the demuxer: frames must be those of their source.

use std::path::Path;

use bytes::BytesMut;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use crate::av::{CodecConfig, Frame, Ticks, TrackKind};
use crate::flv::{Demuxer, Ignored, Output};
use crate::rtmp::{Event, Limits, PublishRequest, ServerSession};

/// All that came out of a capture.
#[derive(Default)]
struct Heard {
    request: Option<PublishRequest>,
    codecs: Vec<String>,
    size: Option<(u32, u32)>,
    frames: Vec<Frame>,
    other_tracks: usize,
    unpublished: bool,
}

impl Heard {
    fn track(&self, track: TrackKind) -> impl Iterator<Item = &Frame> {
        self.frames.iter().filter(move |frame| frame.track == track)
    }

    /// Number of frames, and the SHA-256 of their bytes in a row, as ffmpeg's streamhash has it.
    fn hash(&self, track: TrackKind) -> (usize, String) {
        let mut sha = Sha256::new();
        for frame in self.track(track) {
            sha.update(&frame.data);
        }
        (self.track(track).count(), hex::encode(sha.finalize()))
    }
}

fn capture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/rtmp")
        .join(name);
    std::fs::read(path).expect("the fixture is committed")
}

/// Feeds a capture in pieces; stops where the session or the demuxer has had enough.
fn hear(capture: &[u8], piece_bytes: usize) -> Heard {
    let mut session = ServerSession::new(Limits::default(), [0; 1528]);
    let mut demuxer = Demuxer::new();
    let mut input = BytesMut::from(&[3][..]);
    input.extend_from_slice(&[0; 2 * 1536]);
    let mut heard = Heard::default();
    for piece in capture.chunks(piece_bytes) {
        input.extend_from_slice(piece);
        loop {
            let told = session.input(&mut input);
            let mut decided = false;
            let mut outputs = Vec::new();
            while let Some(event) = session.next_event() {
                let demuxed = match event {
                    Event::PublishRequested(request) => {
                        heard.request = Some(request);
                        decided = true;
                        session.accept_publish();
                        Ok(())
                    }
                    Event::Video { timestamp_ms, body } => {
                        demuxer.video(timestamp_ms, body, &mut outputs)
                    }
                    Event::Audio { timestamp_ms, body } => {
                        demuxer.audio(timestamp_ms, body, &mut outputs)
                    }
                    Event::Unpublished => {
                        heard.unpublished = true;
                        Ok(())
                    }
                    Event::Connected { .. } | Event::Metadata(_) => Ok(()),
                };
                if demuxed.is_err() {
                    return heard;
                }
            }
            for output in outputs {
                match output {
                    Output::Config(CodecConfig::Video(config)) => {
                        heard.size = Some((config.width, config.height));
                        heard.codecs.push(config.codecs);
                    }
                    Output::Config(CodecConfig::Audio(config)) => heard.codecs.push(config.codecs),
                    Output::Frame(frame) => heard.frames.push(frame),
                    Output::Ignored(Ignored::OtherTrack) => heard.other_tracks += 1,
                    Output::Ignored(_) => {}
                }
            }
            if told.is_err() {
                return heard;
            }
            if !decided {
                break;
            }
        }
    }
    heard
}

const H264: (usize, &str) = (
    12,
    "df79ddf8d255898bb98444254150c0973dc730ff63ac300902aff81ca0e4d28b",
);
const H264_SOUND: (usize, &str) = (
    53,
    "717412c867aad40cab7f4fa5ed83d925a237123387321e898fa9222f840a0cef",
);
const OPUS: (usize, &str) = (
    51,
    "291b2774127433b0e79e74608536f6f0646d245459d89a09e8f9f749ede650a3",
);
/// [`H264_SOUND`] without its last packet.
const GST_SOUND: (usize, &str) = (
    52,
    "13584204ee303011ac6c264090405148a0f1831de3c1f894f8168644cb5ba249",
);

#[test]
fn gortmplib_which_waits_for_few_answers_and_says_no_goodbye_is_understood() {
    let heard = hear(&capture("gortmplib.rtmp"), 1_000);
    assert_eq!(heard.codecs, ["avc1.f4000a", "mp4a.40.2"]);
    assert_eq!(heard.size, Some((96, 64)));
    let video = "02c0736927e98a0c89afb6ae0d92fd373610699f944534ef71eeac9a1dd25689";
    assert_eq!(heard.hash(TrackKind::Video), (12, video.to_owned()));
    assert_eq!(
        heard.hash(TrackKind::Audio),
        (H264_SOUND.0, H264_SOUND.1.to_owned())
    );
    assert!(!heard.unpublished);
    let request = heard.request.expect("it asks to publish");
    assert_eq!(request.app, "live");
    assert_eq!(request.name.expose(), "live_1_key");
}

#[test]
fn every_encoder_is_understood_to_the_last_byte() {
    let cases = [
        (
            "ffmpeg5-avc-aac.rtmp",
            ["avc1.64000a", "mp4a.40.2"],
            H264,
            3,
            H264_SOUND,
        ),
        (
            "ffmpeg5-wrap31.rtmp",
            ["avc1.64000a", "mp4a.40.2"],
            H264,
            3,
            H264_SOUND,
        ),
        (
            "ffmpeg9-multitrack.rtmp",
            ["avc1.64000a", "mp4a.40.2"],
            H264,
            3,
            H264_SOUND,
        ),
        (
            "gst-rtmp2sink.rtmp",
            ["avc1.64000a", "mp4a.40.2"],
            H264,
            3,
            GST_SOUND,
        ),
        (
            "gst-rtmpsink.rtmp",
            ["avc1.64000a", "mp4a.40.2"],
            H264,
            3,
            GST_SOUND,
        ),
        (
            "ffmpeg9-hevc-aac.rtmp",
            ["hvc1.1.6.L30.90", "mp4a.40.2"],
            (
                10,
                "6f74042608bfab40e1962139bed289cec4521f812eaa35744753b214cbb31c09",
            ),
            2,
            (
                48,
                "2c59835dd3ed15ef51d1a1989912b020f478f5e29e5835270694f1fa96f9be8d",
            ),
        ),
        (
            "ffmpeg9-av1-opus.rtmp",
            ["av01.0.00M.08", "opus"],
            (
                10,
                "e89f7019792deae48092aba344aa3d1f32a3b43543025e012c686c3e17955077",
            ),
            2,
            OPUS,
        ),
        (
            "ffmpeg9-vp9-opus.rtmp",
            ["opus", "vp09.00.10.08"],
            (
                10,
                "60893346623763985ee8bbc42090771e887e6f3f057ba1122118545b4b7b7cde",
            ),
            2,
            OPUS,
        ),
    ];
    for (name, codecs, video, keys, audio) in cases {
        let heard = hear(&capture(name), 1_000);
        assert_eq!(heard.codecs, codecs, "{name}");
        assert_eq!(heard.size, Some((96, 64)), "{name}");
        let expected = (video.0, video.1.to_owned());
        assert_eq!(heard.hash(TrackKind::Video), expected, "{name}");
        let expected = (audio.0, audio.1.to_owned());
        assert_eq!(heard.hash(TrackKind::Audio), expected, "{name}");
        let key_frames = heard.track(TrackKind::Video).filter(|frame| frame.key);
        assert_eq!(key_frames.count(), keys, "{name}");
        assert!(heard.unpublished, "{name}");
        let request = heard.request.expect("it asks to publish");
        assert_eq!(request.app, "live");
        assert_eq!(request.name.expose(), "live_1_key");
    }
}

#[test]
fn the_query_of_a_key_is_kept_apart() {
    let heard = hear(&capture("ffmpeg5-avc-aac.rtmp"), 4_096);
    let request = heard.request.expect("it asks to publish");
    assert_eq!(request.query.expect("it has one").expose(), "token=abc&x=1");
}

#[test]
fn times_go_on_over_ffmpegs_wrap() {
    let heard = hear(&capture("ffmpeg5-wrap31.rtmp"), 4_096);
    let times: Vec<Ticks> = heard
        .track(TrackKind::Video)
        .map(|frame| frame.dts)
        .collect();
    // Ten frames a second on both sides of 2^31 ms, which is 193,273,528,320 ticks.
    assert!(
        times
            .windows(2)
            .all(|pair| pair[1] - pair[0] == Ticks(9_000))
    );
    assert!(times[0] < Ticks(193_273_528_320) && times[11] > Ticks(193_273_528_320));
    let sound: Vec<Ticks> = heard
        .track(TrackKind::Audio)
        .map(|frame| frame.dts)
        .collect();
    // 1,024 samples each, blurred to whole milliseconds: 44.1 ticks.
    assert!(
        sound
            .windows(2)
            .all(|pair| ((pair[1] - pair[0]).0 - 1_024).abs() <= 45)
    );
}

#[test]
fn tracks_beside_the_first_are_counted() {
    let heard = hear(&capture("ffmpeg9-multitrack.rtmp"), 4_096);
    // 10 pictures and 48 stretches of sound of the second tracks, and at least their two configurations.
    assert!(heard.other_tracks >= 60, "{}", heard.other_tracks);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    /// What cargo-fuzz does at length, in short: real sessions with some bytes changed.
    #[test]
    fn a_capture_with_changed_bytes_harms_nobody(
        which in 0usize..4,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        piece_bytes in 1usize..5_000,
    ) {
        let names = ["ffmpeg5-avc-aac.rtmp", "ffmpeg9-multitrack.rtmp", "gst-rtmpsink.rtmp", "gortmplib.rtmp"];
        let mut bytes = capture(names[which]);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let heard = hear(&bytes, piece_bytes);
        prop_assert!(heard.frames.iter().all(|frame| !frame.data.is_empty()));
    }
}
