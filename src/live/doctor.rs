//! The ingest doctor: what is wrong with what an encoder sends, said so that its owner can mend it.
//!
//! [`diagnose`] is a pure function of [`Vitals`]; [`Doctor`] remembers since when a finding holds. The sentences are the
//! API's (`http/doctor.rs`), the codes are stable.

use super::vitals::Vitals;
use crate::av::VideoCodec;
use crate::base::Timestamp;

/// A live without a key frame for so long shows nothing to whoever joins, seconds.
const NO_KEY_S: f64 = 6.0;
/// Segments are cut by force beyond this, seconds (design §4a). OBS' automatic interval is 8 to 10 s.
const LONG_GOP_S: f64 = 6.4;
/// The share of claimed pictures that may lack.
const FRAMES_MISSING: f64 = 0.1;
/// How far the measured bit rate may be off the claimed one.
const BIT_RATE_OFF: f64 = 0.4;
/// How far sound may drift against the picture, milliseconds.
const DRIFT_MS: f64 = 100.0;
/// Sample rates that every device plays.
const USUAL_RATES: [u32; 2] = [44_100, 48_000];

/// What may be wrong. `as_str` is stable: the API, metrics and logs name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FindingCode {
    /// No key frame for six seconds.
    NoKeyFrame,
    /// Key frames come more than 6.4 s apart.
    LongGop,
    /// Fewer pictures come than the encoder claims.
    FramesMissing,
    /// The bit rate has been far from the encoder's claim for ten seconds.
    BitrateFarFromClaim,
    /// Sound and picture drift apart.
    ClockDrift,
    /// A codec that griot does not carry, or that common browsers do not play.
    UnsupportedCodec,
    /// One channel, or a sample rate that is neither 44.1 nor 48 kHz.
    OddAudio,
    /// The server's disk refuses what is to be recorded.
    Disk,
    /// The object store does not take what was recorded.
    ObjectsAway,
    /// The machine has no room for all the smaller renditions that viewers could have.
    RungsLack,
}

impl FindingCode {
    /// The stable name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoKeyFrame => "no_key_frame",
            Self::LongGop => "long_gop",
            Self::FramesMissing => "frames_missing",
            Self::BitrateFarFromClaim => "bitrate_far_from_claim",
            Self::ClockDrift => "clock_drift",
            Self::UnsupportedCodec => "unsupported_codec",
            Self::OddAudio => "odd_audio",
            Self::Disk => "disk",
            Self::ObjectsAway => "objects_away",
            Self::RungsLack => "rungs_lack",
        }
    }

    /// How bad it is.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::NoKeyFrame | Self::UnsupportedCodec | Self::Disk => Severity::Error,
            Self::OddAudio | Self::ObjectsAway | Self::RungsLack => Severity::Note,
            _ => Severity::Warning,
        }
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Viewers hardly notice.
    Note,
    /// The live suffers.
    Warning,
    /// Some viewers see or hear nothing, or the recording lacks something.
    Error,
}

impl Severity {
    /// As the API names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What was measured, by a name that tells its unit.
pub type Numbers = Vec<(&'static str, f64)>;

/// Something that is wrong now.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What.
    pub code: FindingCode,
    /// Since when.
    pub since: Timestamp,
    /// What was measured when it was looked at last.
    pub numbers: Numbers,
}

/// What is wrong with an encoder of these vitals, the gravest first.
pub(super) fn diagnose(vitals: &Vitals) -> Vec<(FindingCode, Numbers)> {
    let findings = [
        (FindingCode::Disk, disk(vitals)),
        (FindingCode::UnsupportedCodec, unsupported_codec(vitals)),
        (FindingCode::NoKeyFrame, no_key_frame(vitals)),
        (FindingCode::LongGop, long_gop(vitals)),
        (FindingCode::FramesMissing, frames_missing(vitals)),
        (FindingCode::BitrateFarFromClaim, bit_rate(vitals)),
        (FindingCode::ClockDrift, clock_drift(vitals)),
        (FindingCode::OddAudio, odd_audio(vitals)),
        (FindingCode::ObjectsAway, objects_away(vitals)),
        (FindingCode::RungsLack, rungs_lack(vitals)),
    ];
    let found = findings.into_iter();
    found
        .filter_map(|(code, numbers)| Some((code, numbers?)))
        .collect()
}

fn disk(vitals: &Vitals) -> Option<Numbers> {
    vitals.disk_refuses.then(Numbers::new)
}

fn objects_away(vitals: &Vitals) -> Option<Numbers> {
    vitals.objects_away.then(Numbers::new)
}

fn rungs_lack(vitals: &Vitals) -> Option<Numbers> {
    vitals.rungs_lack.then(Numbers::new)
}

fn unsupported_codec(vitals: &Vitals) -> Option<Numbers> {
    // Neither Chromium nor Firefox plays HEVC by Media Source everywhere.
    let hevc = vitals.video == Some(VideoCodec::Hevc);
    (vitals.unknown_codec || hevc).then(Numbers::new)
}

fn no_key_frame(vitals: &Vitals) -> Option<Numbers> {
    let since = vitals.since_key_s?;
    // A long GOP that is known has a finding of its own.
    let usual = vitals.gop_s.unwrap_or(0.0);
    (since > NO_KEY_S && since > usual * 1.2).then(|| vec![("seconds", since)])
}

fn long_gop(vitals: &Vitals) -> Option<Numbers> {
    let gop = vitals.gop_s?;
    (gop > LONG_GOP_S).then(|| vec![("seconds", gop), ("limit_seconds", LONG_GOP_S)])
}

fn frames_missing(vitals: &Vitals) -> Option<Numbers> {
    let (claimed, measured) = (vitals.claimed_fps?, vitals.measured_fps?);
    (measured < claimed * (1.0 - FRAMES_MISSING))
        .then(|| vec![("claimed_fps", claimed), ("measured_fps", measured)])
}

fn bit_rate(vitals: &Vitals) -> Option<Numbers> {
    let (claimed, measured) = (vitals.claimed_kbps?, vitals.measured_kbps?);
    ((measured - claimed).abs() > claimed * BIT_RATE_OFF)
        .then(|| vec![("claimed_kbps", claimed), ("measured_kbps", measured)])
}

fn clock_drift(vitals: &Vitals) -> Option<Numbers> {
    let drift = vitals.drift_ms?;
    (drift.abs() > DRIFT_MS).then(|| vec![("milliseconds", drift)])
}

fn odd_audio(vitals: &Vitals) -> Option<Numbers> {
    let (rate, channels) = vitals.sound?;
    (channels == 1 || !USUAL_RATES.contains(&rate)).then(|| {
        vec![
            ("sample_rate", f64::from(rate)),
            ("channels", f64::from(channels)),
        ]
    })
}

/// What changed between two looks.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Changes {
    pub(super) appeared: Vec<FindingCode>,
    pub(super) gone: Vec<FindingCode>,
}

/// Remembers since when each finding holds.
#[derive(Debug, Default)]
pub(super) struct Doctor {
    findings: Vec<Finding>,
}

impl Doctor {
    /// What is wrong now, the gravest first.
    pub(super) fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Looks again.
    pub(super) fn look(&mut self, vitals: &Vitals, now: Timestamp) -> Changes {
        self.replace(diagnose(vitals), now)
    }

    /// Nobody publishes: there is nothing to find.
    pub(super) fn leave(&mut self, now: Timestamp) -> Changes {
        self.replace(Vec::new(), now)
    }

    fn replace(&mut self, found: Vec<(FindingCode, Numbers)>, now: Timestamp) -> Changes {
        let before = std::mem::take(&mut self.findings);
        let mut changes = Changes::default();
        for (code, numbers) in found {
            let known = before.iter().find(|finding| finding.code == code);
            if known.is_none() {
                changes.appeared.push(code);
            }
            self.findings.push(Finding {
                code,
                since: known.map_or(now, |finding| finding.since),
                numbers,
            });
        }
        changes.gone = before
            .into_iter()
            .map(|finding| finding.code)
            .filter(|code| self.findings.iter().all(|finding| finding.code != *code))
            .collect();
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// OBS as it should be: 2 s GOP, 30 fps, 2.5 Mbit/s as claimed, 48 kHz stereo.
    fn healthy() -> Vitals {
        Vitals {
            since_key_s: Some(1.5),
            gop_s: Some(2.0),
            claimed_fps: Some(30.0),
            measured_fps: Some(29.9),
            claimed_kbps: Some(2_660.0),
            measured_kbps: Some(2_500.0),
            drift_ms: Some(12.0),
            video: Some(VideoCodec::H264),
            unknown_codec: false,
            sound: Some((48_000, 2)),
            disk_refuses: false,
            objects_away: false,
            rungs_lack: false,
        }
    }

    #[test]
    fn a_healthy_encoder_has_nothing() {
        assert_eq!(diagnose(&healthy()), []);
        assert_eq!(diagnose(&Vitals::default()), []);
    }

    #[test]
    fn each_finding_appears_and_goes() {
        type Change = fn(&mut Vitals);
        // What makes it appear, and what is still allowed.
        let cases: [(FindingCode, Change, Change); 13] = [
            (
                FindingCode::NoKeyFrame,
                |vitals| vitals.since_key_s = Some(6.1),
                |vitals| vitals.since_key_s = Some(5.9),
            ),
            (
                FindingCode::LongGop,
                |vitals| vitals.gop_s = Some(8.0),
                |vitals| vitals.gop_s = Some(6.4),
            ),
            (
                FindingCode::FramesMissing,
                |vitals| vitals.measured_fps = Some(26.0),
                |vitals| vitals.measured_fps = Some(27.5),
            ),
            (
                FindingCode::BitrateFarFromClaim,
                |vitals| vitals.measured_kbps = Some(1_500.0),
                |vitals| vitals.measured_kbps = Some(1_700.0),
            ),
            (
                FindingCode::BitrateFarFromClaim,
                |vitals| vitals.measured_kbps = Some(3_800.0),
                |vitals| vitals.measured_kbps = Some(3_700.0),
            ),
            (
                FindingCode::ClockDrift,
                |vitals| vitals.drift_ms = Some(-101.0),
                |vitals| vitals.drift_ms = Some(-99.0),
            ),
            (
                FindingCode::UnsupportedCodec,
                |vitals| vitals.unknown_codec = true,
                |vitals| vitals.unknown_codec = false,
            ),
            (
                FindingCode::UnsupportedCodec,
                |vitals| vitals.video = Some(VideoCodec::Hevc),
                |vitals| vitals.video = Some(VideoCodec::Av1),
            ),
            (
                FindingCode::OddAudio,
                |vitals| vitals.sound = Some((48_000, 1)),
                |vitals| vitals.sound = Some((44_100, 2)),
            ),
            (
                FindingCode::OddAudio,
                |vitals| vitals.sound = Some((22_050, 2)),
                |vitals| vitals.sound = None,
            ),
            (
                FindingCode::Disk,
                |vitals| vitals.disk_refuses = true,
                |vitals| vitals.disk_refuses = false,
            ),
            (
                FindingCode::ObjectsAway,
                |vitals| vitals.objects_away = true,
                |vitals| vitals.objects_away = false,
            ),
            (
                FindingCode::RungsLack,
                |vitals| vitals.rungs_lack = true,
                |vitals| vitals.rungs_lack = false,
            ),
        ];
        for (code, makes_ill, makes_well) in cases {
            let (mut ill, mut well) = (healthy(), healthy());
            makes_ill(&mut ill);
            makes_well(&mut well);
            let mut doctor = Doctor::default();
            let appeared = doctor.look(&ill, Timestamp(1_000));
            assert_eq!((appeared.appeared, appeared.gone), (vec![code], vec![]));
            let still = doctor.look(&ill, Timestamp(2_000));
            assert_eq!(still, Changes::default());
            assert_eq!(doctor.findings().len(), 1, "{code:?}");
            assert_eq!(doctor.findings()[0].since, Timestamp(1_000), "{code:?}");
            let gone = doctor.look(&well, Timestamp(3_000));
            assert_eq!((gone.appeared, gone.gone), (vec![], vec![code]));
            assert_eq!(doctor.findings(), []);
        }
    }

    #[test]
    fn a_long_gop_that_is_known_is_not_also_a_missing_key_frame() {
        let mut vitals = healthy();
        vitals.gop_s = Some(10.0);
        vitals.since_key_s = Some(9.0);
        let codes = |vitals: &Vitals| -> Vec<FindingCode> {
            let found = diagnose(vitals).into_iter();
            found.map(|(code, _)| code).collect()
        };
        assert_eq!(codes(&vitals), [FindingCode::LongGop]);
        vitals.since_key_s = Some(13.0);
        let both = [FindingCode::NoKeyFrame, FindingCode::LongGop];
        assert_eq!(codes(&vitals), both);
    }

    #[test]
    fn what_was_measured_is_told() {
        let mut vitals = healthy();
        vitals.gop_s = Some(10.0);
        let told = vec![("seconds", 10.0), ("limit_seconds", 6.4)];
        assert_eq!(diagnose(&vitals), [(FindingCode::LongGop, told)]);
    }

    #[test]
    fn an_encoder_that_leaves_takes_its_findings_along() {
        let mut vitals = healthy();
        vitals.gop_s = Some(10.0);
        let mut doctor = Doctor::default();
        doctor.look(&vitals, Timestamp(1));
        assert_eq!(doctor.leave(Timestamp(2)).gone, [FindingCode::LongGop]);
        assert_eq!(doctor.findings(), []);
    }
}
