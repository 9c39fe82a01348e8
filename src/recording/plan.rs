//! What the WebM of a recording will be: the same frames where WebM carries them, else VP8 and Opus.

use crate::av::Ticks;
use crate::pipeline::{AudioRung, VideoRung};
use crate::store::{Run, RunState, WholeRecording};

/// The rendition that an encoder sent.
const SOURCE: &str = "source";
/// The most that a picture of 1280 × 720 takes, kbit/s: about a third of what encoders send, at the size of a download that
/// people keep.
const KBPS_AT_720P: f64 = 1_800.0;
const PIXELS_AT_720P: f64 = 1_280.0 * 720.0;
const LEAST_KBPS: u32 = 200;
const SOUND_KBPS: u32 = 96;

/// How a WebM is made. One for the whole recording, whatever it is recorded in: people keep a live, not the runs that an
/// encoder's change of settings made of it. (The MP4s are the runs themselves; that they are several is the price of
/// their costing nothing.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Frames as they are: all runs are of the same VP9 or AV1, with Opus or without sound.
    Remux,
    /// Encoded anew; every run in the size of the longest, with borders where its shape is another.
    Encode {
        video: Option<VideoRung>,
        audio: Option<AudioRung>,
    },
}

/// The runs that the encoder's media lie in, in order.
pub(super) fn source_runs(whole: &WholeRecording) -> Vec<&Run> {
    let runs = whole.runs.iter();
    runs.filter(|run| run.rendition == SOURCE && run.state == RunState::Final)
        .collect()
}

impl Plan {
    /// For these runs; `None` when there is nothing in them.
    pub(super) fn of(runs: &[&Run], short_side: u32) -> Option<Self> {
        let first = runs.first()?;
        let is_carried = |run: &&Run| {
            let video = run.video_codec.as_deref();
            let audio = run.audio_codec.as_deref();
            matches!(video, None | Some("vp9" | "av1"))
                && matches!(audio, None | Some("opus"))
                && run.tracks == first.tracks
        };
        if runs.iter().all(is_carried) {
            return Some(Self::Remux);
        }
        let pictures = runs.iter().filter(|run| run.video_codec.is_some());
        let longest = pictures.max_by_key(|run| run.duration);
        let video = longest.and_then(|run| rung(run.width?, run.height?, short_side));
        let has_sound = runs.iter().any(|run| run.audio_codec.is_some());
        let audio = has_sound.then_some(AudioRung { kbps: SOUND_KBPS });
        (video.is_some() || audio.is_some()).then_some(Self::Encode { video, audio })
    }
}

/// The picture of a source of that size, no larger than it.
fn rung(width: i64, height: i64, short_side: u32) -> Option<VideoRung> {
    let side = |pixels: i64| u32::try_from(pixels).ok().filter(|pixels| *pixels > 0);
    let (width, height) = (side(width)?, side(height)?);
    let short = width.min(height);
    let scale = f64::from(short_side.min(short)) / f64::from(short);
    // Even, as 4:2:0 wants it.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "sides of a picture"
    )]
    let even =
        |pixels: u32| ((f64::from(pixels) * scale / 2.0).round() as u32 * 2).clamp(16, 4_096);
    let (width, height) = (even(width), even(height));
    let pixels = f64::from(width) * f64::from(height);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a bit rate"
    )]
    // Smaller pictures need more for each pixel.
    let kbps = (KBPS_AT_720P * (pixels / PIXELS_AT_720P).powf(0.75)) as u32;
    Some(VideoRung {
        width,
        height,
        max_kbps: kbps.max(LEAST_KBPS),
    })
}

/// Where each run begins in the file, 90 kHz: as on the recording's timeline, and never before the one in front has ended.
pub(super) fn starts(runs: &[&Run]) -> Vec<Ticks> {
    let mut starts = Vec::with_capacity(runs.len());
    let Some(first) = runs.first() else {
        return starts;
    };
    let mut end = Ticks::ZERO;
    for run in runs {
        let start = (run.timeline_start - first.timeline_start).max(end);
        end = start + run.duration;
        starts.push(start);
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{RecordingId, RunId, Timestamp};

    fn run(video: Option<&str>, audio: Option<&str>, size: (i64, i64), seconds: i64) -> Run {
        Run {
            id: RunId(1),
            recording_id: RecordingId(1),
            rendition: "source".to_owned(),
            number: 0,
            path: String::new(),
            timeline_start: Ticks(0),
            started_at: Timestamp(0),
            video_codec: video.map(str::to_owned),
            audio_codec: audio.map(str::to_owned),
            width: video.map(|_| size.0),
            height: video.map(|_| size.1),
            codecs: String::new(),
            tracks: format!("{video:?}{audio:?}{size:?}").into_bytes(),
            head_bytes: 0,
            bytes: 0,
            duration: Ticks(seconds * 90_000),
            state: RunState::Final,
            tree_sha256: None,
            etag: None,
            finished_at: None,
            stored_at: None,
            frame_rate: None,
        }
    }

    fn size_of(plan: Option<Plan>) -> Option<(u32, u32)> {
        match plan? {
            Plan::Encode { video, .. } => video.map(|video| (video.width, video.height)),
            Plan::Remux => None,
        }
    }

    #[test]
    fn frames_that_webm_carries_go_through_as_they_are() {
        let hd = (1_920, 1_080);
        for (video, audio) in [
            (Some("vp9"), Some("opus")),
            (Some("av1"), Some("opus")),
            (Some("vp9"), None),
            (None, Some("opus")),
        ] {
            let run = run(video, audio, hd, 10);
            assert_eq!(Plan::of(&[&run, &run], 720), Some(Plan::Remux));
        }
        let one = run(Some("vp9"), None, hd, 10);
        let other = run(Some("vp9"), None, (640, 360), 10);
        assert!(matches!(
            Plan::of(&[&one, &other], 720),
            Some(Plan::Encode { .. })
        ));
        let aac = run(Some("av1"), Some("aac"), hd, 10);
        assert!(matches!(Plan::of(&[&aac], 720), Some(Plan::Encode { .. })));
    }

    #[test]
    fn a_picture_is_no_larger_than_allowed_and_keeps_its_shape() {
        for (size, expected) in [
            ((1_920, 1_080), (1_280, 720)),
            ((1_080, 1_920), (720, 1_280)),
            ((640, 360), (640, 360)),
            ((853, 481), (854, 482)),
            ((3_440, 1_440), (1_720, 720)),
        ] {
            let run = run(Some("h264"), Some("aac"), size, 10);
            assert_eq!(size_of(Plan::of(&[&run], 720)), Some(expected));
        }
        let short = run(Some("h264"), None, (1_080, 1_920), 5);
        let long = run(Some("h264"), None, (1_280, 720), 50);
        assert_eq!(size_of(Plan::of(&[&short, &long], 720)), Some((1_280, 720)));
    }

    #[test]
    fn runs_begin_where_the_timeline_has_them_and_never_overlap() {
        let at = |start: i64, seconds: i64| Run {
            timeline_start: Ticks(start * 90_000),
            ..run(Some("h264"), None, (640, 360), seconds)
        };
        let runs = [at(5, 10), at(15, 10), at(24, 1)];
        let starts = starts(&runs.iter().collect::<Vec<_>>());
        assert_eq!(starts, [Ticks(0), Ticks(900_000), Ticks(1_800_000)]);
    }
}
