//! The doctor's findings as JSON, for a live's owner and admins: `doctor: [{code, severity, since, numbers, message,
//! advice}]`, the gravest first.
//!
//! `code` is stable (see [`FindingCode`]), `severity` is `error`, `warning` or `note`, `since` a moment; `numbers` are what was
//! measured, named with their unit. `message` says what is wrong and `advice` what to change in OBS, in the language
//! of the request.

use serde_json::{Map, Value, json};

use super::language::Language;
use super::words::{self, Sentence};
use crate::live::{Finding, FindingCode};

/// All findings of a live.
pub(super) fn shown(findings: &[Finding], language: Language) -> Value {
    let each = findings.iter().map(|finding| one(finding, language));
    Value::Array(each.collect())
}

fn one(finding: &Finding, language: Language) -> Value {
    let (message, advice) = sentences(finding.code);
    let numbers: Map<String, Value> = finding
        .numbers
        .iter()
        .map(|(name, number)| ((*name).to_owned(), json!(tenths(*number))))
        .collect();
    json!({
        "code": finding.code.as_str(),
        "severity": finding.code.severity().as_str(),
        "since": finding.since,
        "numbers": numbers,
        "message": filled(message, finding, language),
        "advice": advice.say(language),
    })
}

/// What is wrong, and what to do.
fn sentences(code: FindingCode) -> (Sentence, Sentence) {
    match code {
        FindingCode::NoKeyFrame => (words::NO_KEY_FRAME, words::ADVICE_KEY_FRAMES),
        FindingCode::LongGop => (words::LONG_GOP, words::ADVICE_KEY_FRAMES),
        FindingCode::FramesMissing => (words::FRAMES_MISSING, words::ADVICE_FRAMES),
        FindingCode::BitrateFarFromClaim => (words::BITRATE_FAR, words::ADVICE_BITRATE),
        FindingCode::ClockDrift => (words::CLOCK_DRIFT, words::ADVICE_DRIFT),
        FindingCode::UnsupportedCodec => (words::UNSUPPORTED_CODEC, words::ADVICE_CODEC),
        FindingCode::OddAudio => (words::ODD_AUDIO, words::ADVICE_AUDIO),
        FindingCode::Disk => (words::DISK_REFUSES, words::ADVICE_DISK),
        FindingCode::ObjectsAway => (words::OBJECTS_AWAY, words::ADVICE_OBJECTS),
        FindingCode::RungsLack => (words::RUNGS_LACK, words::ADVICE_RUNGS),
    }
}

fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

/// The sentence with its `{numbers}`, as the language writes them: whole from a hundred on, else with a tenth.
fn filled(sentence: Sentence, finding: &Finding, language: Language) -> String {
    let mut text = sentence.say(language).to_owned();
    for (name, number) in &finding.numbers {
        let number = tenths(*number);
        let written = if number.abs() >= 100.0 || number.fract() == 0.0 {
            format!("{number:.0}")
        } else {
            format!("{number:.1}")
        };
        let written = match language {
            Language::French => written.replace('.', ","),
            Language::English => written,
        };
        text = text.replace(&format!("{{{name}}}"), &written);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;

    fn finding(code: FindingCode, numbers: &[(&'static str, f64)]) -> Finding {
        Finding {
            code,
            since: Timestamp(1_753_284_459_000_000),
            numbers: numbers.to_vec(),
        }
    }

    #[test]
    fn a_finding_is_told_in_both_languages_with_its_numbers() {
        let found = [finding(
            FindingCode::LongGop,
            &[("seconds", 10.04), ("limit_seconds", 6.4)],
        )];
        let french = &shown(&found, Language::French)[0];
        assert_eq!(french["code"], "long_gop");
        assert_eq!(french["severity"], "warning");
        assert_eq!(french["since"], json!(found[0].since));
        assert_eq!(
            french["numbers"],
            json!({"seconds": 10.0, "limit_seconds": 6.4})
        );
        let text = french["message"].as_str().unwrap();
        assert!(text.contains("10 s") && text.contains("6,4 s"), "{text}");
        let english = &shown(&found, Language::English)[0];
        let text = english["message"].as_str().unwrap();
        assert!(text.contains("10 s") && text.contains("6.4 s"), "{text}");
        assert_ne!(french["advice"], english["advice"]);
    }

    #[test]
    fn no_sentence_keeps_a_number_open() {
        let all: [(FindingCode, &[(&'static str, f64)]); 9] = [
            (FindingCode::NoKeyFrame, &[("seconds", 7.0)]),
            (
                FindingCode::LongGop,
                &[("seconds", 8.0), ("limit_seconds", 6.4)],
            ),
            (
                FindingCode::FramesMissing,
                &[("claimed_fps", 30.0), ("measured_fps", 20.0)],
            ),
            (
                FindingCode::BitrateFarFromClaim,
                &[("claimed_kbps", 2_500.0), ("measured_kbps", 900.0)],
            ),
            (FindingCode::ClockDrift, &[("milliseconds", 120.0)]),
            (FindingCode::UnsupportedCodec, &[]),
            (
                FindingCode::OddAudio,
                &[("sample_rate", 22_050.0), ("channels", 1.0)],
            ),
            (FindingCode::Disk, &[]),
            (FindingCode::ObjectsAway, &[]),
        ];
        for (code, numbers) in all {
            for language in [Language::French, Language::English] {
                let text = filled(sentences(code).0, &finding(code, numbers), language);
                assert!(!text.contains(['{', '}']), "{text}");
            }
        }
    }
}
