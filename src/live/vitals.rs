//! What is measured of one publish session, for the doctor: rates over the last ten seconds, key frames, drift.

use std::collections::VecDeque;
use std::time::Duration;

use crate::av::{CodecConfig, Frame, Ticks, Timescale, TrackKind, VideoCodec};
use crate::rendition::Media;

/// Rates are measured over this.
const WINDOW: Duration = Duration::from_secs(10);
/// Looks are at least so far apart.
const LOOK: Duration = Duration::from_secs(1);
/// Once the disk has refused something, how long that is told.
const DISK_MEMORY: Duration = Duration::from_secs(30);
/// Tracks further apart than this are no drift but a jump, milliseconds.
const JUMP_MS: i64 = 5_000;

/// What the doctor looks at. `None`: not known yet, or not there.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Vitals {
    /// Seconds of pictures since the last key frame, or since the first picture.
    pub(super) since_key_s: Option<f64>,
    /// Seconds between the last two key frames.
    pub(super) gop_s: Option<f64>,
    pub(super) claimed_fps: Option<f64>,
    pub(super) measured_fps: Option<f64>,
    pub(super) claimed_kbps: Option<f64>,
    pub(super) measured_kbps: Option<f64>,
    /// How far the sound's clock has moved ahead of the picture's since the session's beginning.
    pub(super) drift_ms: Option<f64>,
    pub(super) video: Option<VideoCodec>,
    /// A track was left out because nobody here knows its codec.
    pub(super) unknown_codec: bool,
    /// Sample rate and channels.
    pub(super) sound: Option<(u32, u8)>,
    pub(super) disk_refuses: bool,
    pub(super) objects_away: bool,
    /// Viewers lack rungs that they could have, for want of CPU or of GStreamer.
    pub(super) rungs_lack: bool,
}

/// Sums at one look.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    at: Duration,
    bytes: u64,
    pictures: u64,
    /// Of the newest picture.
    picture_ms: i64,
    apart_ms: i64,
    aparts: u64,
}

/// Measures. Times `at` are since the session's beginning, by a clock that never goes back.
#[derive(Debug, Default)]
pub(super) struct Measuring {
    vitals: Vitals,
    sums: Sums,
    /// One for each look of the last ten seconds, oldest first: at most eleven.
    looks: VecDeque<Sums>,
    newest_picture: Option<Ticks>,
    last_key: Option<Ticks>,
    sound_scale: Option<Timescale>,
    /// How far apart the tracks were at first, milliseconds.
    apart_at_first: Option<f64>,
    disk_refused: Option<Duration>,
}

impl Measuring {
    /// Takes note of what the encoder sends.
    pub(super) fn hear(&mut self, media: &Media) {
        match media {
            Media::Config(CodecConfig::Video(config)) => self.vitals.video = Some(config.codec),
            Media::Config(CodecConfig::Audio(config)) => {
                self.vitals.sound = Some((config.sample_rate, config.channels));
                self.sound_scale = Some(config.timescale());
            }
            Media::Frame(frame) => self.frame(frame),
            Media::FrameRateHint(rate) => self.vitals.claimed_fps = Some(*rate),
            #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
            Media::BitRateHint(rate) => self.vitals.claimed_kbps = Some(*rate as f64 / 1_000.0),
            Media::UnknownCodec => self.vitals.unknown_codec = true,
            Media::Encoder(_) => {}
        }
    }

    /// The disk refused a part.
    pub(super) fn disk_refused(&mut self, at: Duration) {
        self.disk_refused = Some(at);
    }

    fn frame(&mut self, frame: &Frame) {
        self.sums.bytes += frame.data.len() as u64;
        match frame.track {
            TrackKind::Video => self.picture(frame),
            TrackKind::Audio => {
                if let (Some(scale), Some(picture)) = (self.sound_scale, self.newest_picture) {
                    let sound = frame.dts.rescale(scale, Timescale::MILLIS);
                    let apart = (sound - millis(picture)).0;
                    if apart.abs() < JUMP_MS {
                        self.sums.apart_ms += apart;
                        self.sums.aparts += 1;
                    }
                }
            }
        }
    }

    fn picture(&mut self, frame: &Frame) {
        self.sums.pictures += 1;
        self.sums.picture_ms = millis(frame.dts).0;
        self.newest_picture = Some(frame.dts);
        let since = self.last_key.map(|last| frame.dts - last);
        // A clock that went back tells nothing of the GOP.
        let since = since.filter(|since| since.0 >= 0);
        if frame.key {
            if let Some(since) = since {
                self.vitals.gop_s = Some(since.seconds(Timescale::VIDEO));
            }
            self.last_key = Some(frame.dts);
        } else if since.is_none() {
            self.last_key = Some(frame.dts);
        }
    }

    /// The vitals, if it is time for another look.
    pub(super) fn look(
        &mut self,
        at: Duration,
        objects_away: bool,
        rungs_lack: bool,
    ) -> Option<&Vitals> {
        if self.looks.back().is_some_and(|last| at < last.at + LOOK) {
            return None;
        }
        self.sums.at = at;
        self.looks.push_back(self.sums);
        while self.looks.len() > 2 && self.looks[1].at + WINDOW <= at {
            self.looks.pop_front();
        }
        self.vitals.objects_away = objects_away;
        self.vitals.rungs_lack = rungs_lack;
        self.vitals.disk_refuses = self
            .disk_refused
            .is_some_and(|refused| at < refused + DISK_MEMORY);
        self.vitals.since_key_s = match (self.last_key, self.newest_picture) {
            (Some(key), Some(newest)) => Some((newest - key).seconds(Timescale::VIDEO)),
            _ => None,
        };
        self.rates();
        Some(&self.vitals)
    }

    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    fn rates(&mut self) {
        let Some(from) = self.looks.front().copied() else {
            return;
        };
        let to = self.sums;
        let elapsed = to.at.saturating_sub(from.at);
        if elapsed < WINDOW {
            return;
        }
        let bits = (to.bytes - from.bytes) as f64 * 8.0;
        self.vitals.measured_kbps = Some(bits / elapsed.as_secs_f64() / 1_000.0);
        // By the pictures' own clock, so that a network that stalls and bursts is no missing picture.
        let seconds = (to.picture_ms - from.picture_ms) as f64 / 1_000.0;
        let is_steady = (0.5..2.0).contains(&(seconds / elapsed.as_secs_f64()));
        self.vitals.measured_fps =
            is_steady.then(|| (to.pictures - from.pictures) as f64 / seconds);
        let aparts = to.aparts - from.aparts;
        if aparts > 0 {
            let apart = (to.apart_ms - from.apart_ms) as f64 / aparts as f64;
            let first = *self.apart_at_first.get_or_insert(apart);
            self.vitals.drift_ms = Some(apart - first);
        }
    }
}

fn millis(ticks: Ticks) -> Ticks {
    ticks.rescale(Timescale::VIDEO, Timescale::MILLIS)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::av::{AudioCodec, AudioConfig};

    fn sound_config() -> Media {
        Media::Config(CodecConfig::Audio(AudioConfig {
            codec: AudioCodec::Aac,
            sample_rate: 48_000,
            channels: 2,
            frame_samples: 1_024,
            record: Bytes::from_static(&[0x11, 0x90]),
            codecs: "mp4a.40.2".to_owned(),
        }))
    }

    fn frame(track: TrackKind, ticks: i64, key: bool, bytes: usize) -> Media {
        Media::Frame(Frame {
            track,
            dts: Ticks(ticks),
            pts: Ticks(ticks),
            key,
            data: vec![0; bytes].into(),
        })
    }

    /// `seconds` of an encoder with 25 pictures of 1,000 bytes a second, a key frame each `gop`, and sound of 200 bytes each
    /// 20 ms whose clock is `drift` per mille fast. Looked at each second.
    fn publish(seconds: i64, gop: i64, drift: i64) -> Vitals {
        let mut measuring = Measuring::default();
        measuring.hear(&sound_config());
        let mut seen = Vitals::default();
        for ms in (0..seconds * 1_000).step_by(20) {
            if ms % 40 == 0 {
                let key = ms / 40 % gop == 0;
                measuring.hear(&frame(TrackKind::Video, ms * 90, key, 1_000));
            }
            let sound = ms * 48 + ms * 48 * drift / 1_000;
            measuring.hear(&frame(TrackKind::Audio, sound, true, 200));
            let at = Duration::from_millis(u64::try_from(ms).unwrap());
            if let Some(vitals) = measuring.look(at, false, false) {
                seen = vitals.clone();
            }
        }
        seen
    }

    #[test]
    fn rates_are_those_of_the_last_ten_seconds() {
        let vitals = publish(30, 50, 0);
        // 25 × 1,000 and 50 × 200 bytes a second are 280 kbit/s.
        assert!((vitals.measured_kbps.unwrap() - 280.0).abs() < 1.0);
        assert!((vitals.measured_fps.unwrap() - 25.0).abs() < 0.1);
        assert_eq!(vitals.gop_s, Some(2.0));
        assert!(vitals.drift_ms.unwrap().abs() < 1.0);
    }

    #[test]
    fn nothing_is_said_of_rates_before_ten_seconds() {
        let vitals = publish(9, 50, 0);
        let rates = (vitals.measured_kbps, vitals.measured_fps, vitals.drift_ms);
        assert_eq!(rates, (None, None, None));
    }

    #[test]
    fn a_sound_clock_that_is_fast_drifts() {
        // Five per mille of the time between the middles of the first and the last ten seconds.
        let drift = publish(41, 50, 5).drift_ms.unwrap();
        assert!((drift - 150.0).abs() < 6.0, "{drift}");
    }

    #[test]
    fn seconds_without_a_key_frame_are_counted() {
        let vitals = publish(9, 1_000, 0);
        assert_eq!(vitals.gop_s, None);
        assert!((vitals.since_key_s.unwrap() - 8.0).abs() < 0.1);
    }

    #[test]
    fn what_is_kept_does_not_grow() {
        let mut measuring = Measuring::default();
        for second in 0..10_000 {
            measuring.look(Duration::from_secs(second), false, false);
        }
        assert!(measuring.looks.len() <= 11);
    }

    #[test]
    fn a_refusal_of_the_disk_is_told_for_half_a_minute() {
        let mut measuring = Measuring::default();
        measuring.disk_refused(Duration::from_secs(5));
        let told = |measuring: &mut Measuring, at| {
            let vitals = measuring.look(Duration::from_secs(at), false, false);
            vitals.unwrap().disk_refuses
        };
        assert!(told(&mut measuring, 6));
        assert!(told(&mut measuring, 34));
        assert!(!told(&mut measuring, 36));
    }
}
