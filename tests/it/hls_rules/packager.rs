//! The packager itself, on synthetic frames with times as RTMP carries them: whole milliseconds.

use bytes::Bytes;
use griot::av::{
    AudioCodec, AudioConfig, Frame, Ticks, TrackKind, TrackSet, VideoCodec, VideoConfig,
};
use griot::base::Timestamp;
use griot::fmp4::{Packager, PackagerConfig, Packed, PartTarget, ResumeState};
use griot::hls::PartMeta;

use super::producer::{Rate, Session, Step, Story};

/// What the packager makes of `sessions`.
pub(crate) fn packaged(sessions: &[Session], part_max_ms: u32) -> Story {
    let mut target = PartTarget::Measuring;
    let mut steps = Vec::new();
    let mut wall = Timestamp(1_753_284_459_885_280);
    let mut current: Option<(Packager, TrackSet)> = None;
    let mut runs = 0;
    let mut clock_ms = 0;
    for session in sessions {
        wall = Timestamp(wall.0 + (session.silence_ms + session.clock_ms) * 1_000);
        let tracks = tracks(session);
        let (mut packager, tracks) = match current.take() {
            Some((packager, of)) if of == tracks && !session.changed => (packager, of),
            before => {
                let start = before.map_or(Ticks::ZERO, |(packager, _)| packager.end());
                steps.push(Step::Run(runs));
                runs += 1;
                (begin(part_max_ms, &tracks, start, target), tracks)
            }
        };
        steps.push(Step::Session(wall));
        packager.start_session();
        let mut packed = Vec::new();
        // Another encoder, another clock.
        clock_ms += 1_000_000;
        for frame in frames(session, clock_ms) {
            packager.push(frame, &mut packed);
        }
        packager.end_session(&mut packed);
        if !packed.is_empty() && target == PartTarget::Measuring {
            target = packager.part_target();
        }
        steps.extend(packed.iter().map(|packed| match packed {
            Packed::SegmentEnd => Step::SegmentEnd,
            Packed::Part(part) => Step::Part(PartMeta {
                duration: part.duration,
                independent: part.independent,
                bytes: u32::try_from(part.bytes.len()).expect("a small part"),
            }),
        }));
        if session.trouble == 1 {
            steps.push(Step::Gap(Ticks(360_000)));
        }
        wall = Timestamp(wall.0 + session.length_ms * 1_000);
        current = Some((packager, tracks));
    }
    Story {
        part_target: match target {
            PartTarget::Parts { duration } => Some(duration),
            PartTarget::Measuring | PartTarget::NoParts => None,
        },
        // Milliseconds blur the grid: only what a packager measured first is held to 85 %.
        grid_changed: sessions
            .iter()
            .any(|session| !session.rate.is_like(sessions[0].rate)),
        steps,
    }
}

/// A packager of a run that keeps the part target of the runs before.
fn begin(part_max_ms: u32, tracks: &TrackSet, start: Ticks, target: PartTarget) -> Packager {
    let state = ResumeState {
        part_target: target,
        ..ResumeState::after(target, start, [])
    };
    let config = PackagerConfig { part_max_ms };
    Packager::resume(config, tracks.clone(), state, None).expect("tracks that a file can hold")
}

fn tracks(session: &Session) -> TrackSet {
    let sound_only = session.rate == Rate::Every(1_920);
    let video = VideoConfig {
        codec: VideoCodec::H264,
        width: 640,
        height: 360,
        record: Bytes::from_static(&[1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 0, 1, 0, 0]),
        codecs: "avc1.64001f".to_owned(),
    };
    let audio = AudioConfig {
        codec: AudioCodec::Aac,
        sample_rate: 48_000,
        channels: 2,
        frame_samples: 1_024,
        record: Bytes::from_static(&[0x11, 0x90]),
        codecs: "mp4a.40.2".to_owned(),
    };
    TrackSet {
        video: (!sound_only).then_some(video),
        audio: (sound_only || session.audio).then_some(audio),
    }
}

/// The frames of a session in the order of their decoding times, sound before pictures of the same millisecond.
fn frames(session: &Session, clock_ms: i64) -> Vec<Frame> {
    let mut frames = Vec::new();
    if session.rate != Rate::Every(1_920) {
        pictures(session, clock_ms, &mut frames);
    }
    if session.audio || session.rate == Rate::Every(1_920) {
        let count = session.length_ms * 48 / 1_024;
        frames.extend((0..count).map(|number| {
            let ms = clock_ms + number * 1_024 / 48;
            let frame = Frame {
                track: TrackKind::Audio,
                dts: Ticks(ms * 48),
                pts: Ticks(ms * 48),
                key: true,
                data: Bytes::from_static(&[0x21, 0x10, 4]),
            };
            (ms, frame)
        }));
    }
    frames.sort_by_key(|&(ms, _)| ms);
    frames.into_iter().map(|(_, frame)| frame).collect()
}

fn pictures(session: &Session, clock_ms: i64, frames: &mut Vec<(i64, Frame)>) {
    let mut times = Vec::new();
    let (mut at, mut seed) = (0, 0_u64);
    if let Rate::Variable(begin) = session.rate {
        seed = begin;
    }
    while at < session.length_ms * 90 {
        times.push(at);
        at += match session.rate {
            Rate::Every(ticks) => ticks,
            Rate::Variable(_) => {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                900 + i64::try_from(seed >> 33).expect("31 bits") % 17_100
            }
        };
    }
    let millis = |number: usize| times.get(number).copied().unwrap_or(at) / 90;
    let mut in_gop = 0;
    let mut next_key = 0;
    for number in 0..times.len() {
        // A GOP ends with a whole group of P, B, B.
        let key =
            millis(number) >= next_key && (in_gop % 3 == 1 || !session.b_frames) || number == 0;
        if key {
            in_gop = 0;
            next_key = millis(number) + session.gop_ms;
        }
        let shown = match in_gop {
            _ if !session.b_frames => number,
            0 => number + 1,
            position if position % 3 == 1 => number + 3,
            _ => number,
        };
        in_gop += 1;
        let (dts, pts) = (clock_ms + millis(number), clock_ms + millis(shown));
        let frame = Frame {
            track: TrackKind::Video,
            dts: Ticks(dts * 90),
            pts: Ticks(pts * 90),
            key,
            data: Bytes::from_static(&[0, 0, 0, 2, 0x65, 0x88]),
        };
        frames.push((dts, frame));
    }
}
