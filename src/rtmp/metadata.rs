//! `onMetaData`: what the encoder claims (FLV E.5).

use super::amf0::{AmfError, Reader, Value};
use super::{Limits, StreamMetadata};

/// The longest text of a peer that is kept, in characters.
const MAX_TEXT_CHARS: usize = 200;

/// Reads a data message; `None` when it is not `onMetaData`.
///
/// # Errors
/// A limit was passed. Anything else that is odd about metadata is left out: no encoder deserves to be
/// cut for it.
pub(super) fn read_data(
    payload: &[u8],
    limits: &Limits,
) -> Result<Option<StreamMetadata>, AmfError> {
    let mut reader = Reader::new(payload, limits);
    match on_meta_data(&mut reader) {
        Err(error) if error.is_limit() => Err(error),
        Err(_) => Ok(None),
        Ok(found) => Ok(found),
    }
}

fn on_meta_data(reader: &mut Reader<'_>) -> Result<Option<StreamMetadata>, AmfError> {
    let mut name = reader.next()?;
    if name.as_ref().and_then(Value::as_text) == Some("@setDataFrame") {
        name = reader.next()?;
    }
    if name.as_ref().and_then(Value::as_text) != Some("onMetaData") {
        return Ok(None);
    }
    let Some(members) = reader.next()? else {
        return Ok(None);
    };
    let number = |name| members.member(name).and_then(number);
    let positive = |name| number(name).filter(|number| number.is_finite() && *number > 0.0);
    Ok(Some(StreamMetadata {
        frame_rate: positive("framerate").or_else(|| positive("videoframerate")),
        width: positive("width").and_then(pixels),
        height: positive("height").and_then(pixels),
        video_kbps: positive("videodatarate"),
        audio_kbps: positive("audiodatarate"),
        encoder: members
            .member("encoder")
            .and_then(Value::as_text)
            .and_then(short_text),
    }))
}

/// Some encoders write numbers as texts.
fn number(value: &Value) -> Option<f64> {
    value
        .as_number()
        .or_else(|| value.as_text()?.trim().parse().ok())
}

fn pixels(number: f64) -> Option<u32> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float cast saturates, and what it saturates at is left out"
    )]
    let pixels = number as u32;
    (1..=16_384).contains(&pixels).then_some(pixels)
}

/// A text of the peer as griot shows it: trimmed, without control characters, not too long; `None` when nothing is left.
pub(super) fn short_text(text: &str) -> Option<String> {
    let short: String = text
        .trim()
        .chars()
        .filter(|character| !character.is_control())
        .take(MAX_TEXT_CHARS)
        .collect();
    (!short.is_empty()).then_some(short)
}

#[cfg(test)]
mod tests {
    use super::super::amf0::write;
    use super::*;
    use bytes::BytesMut;

    fn message(values: &[Value]) -> BytesMut {
        let mut bytes = BytesMut::new();
        for value in values {
            write(value, &mut bytes);
        }
        bytes
    }

    #[test]
    fn claims_are_read_with_and_without_set_data_frame() {
        let claims = Value::object([
            ("width", Value::Number(1280.0)),
            ("height", Value::text("720")),
            ("framerate", Value::Number(29.97)),
            ("videodatarate", Value::Number(2500.0)),
            ("audiodatarate", Value::Number(f64::NAN)),
            (
                "encoder",
                Value::text("obs-output\u{7} module (libobs version 29.0.2)\n"),
            ),
        ]);
        let expected = StreamMetadata {
            frame_rate: Some(29.97),
            width: Some(1280),
            height: Some(720),
            video_kbps: Some(2500.0),
            audio_kbps: None,
            encoder: Some("obs-output module (libobs version 29.0.2)".to_owned()),
        };
        let name = Value::text("onMetaData");
        let framed = message(&[Value::text("@setDataFrame"), name.clone(), claims.clone()]);
        let plain = message(&[name, claims]);
        for bytes in [framed, plain] {
            assert_eq!(
                read_data(&bytes, &Limits::default()),
                Ok(Some(expected.clone()))
            );
        }
    }

    #[test]
    fn silly_claims_are_left_out() {
        let claims = Value::object([
            ("width", Value::Number(-5.0)),
            ("height", Value::Number(1e300)),
            ("framerate", Value::Number(0.0)),
            ("encoder", Value::text("\r\n")),
        ]);
        assert_eq!(
            read_data(
                &message(&[Value::text("onMetaData"), claims]),
                &Limits::default()
            ),
            Ok(Some(StreamMetadata::default()))
        );
    }

    #[test]
    fn other_data_and_broken_metadata_are_nothing_but_limits_hold() {
        let limits = Limits::default();
        assert_eq!(
            read_data(&message(&[Value::text("onTextData")]), &limits),
            Ok(None)
        );
        let mut broken = message(&[Value::text("onMetaData")]);
        broken.extend_from_slice(&[0x03, 0x00]);
        assert_eq!(read_data(&broken, &limits), Ok(None));
        let mut bomb = message(&[Value::text("onMetaData")]);
        bomb.extend_from_slice(&[0x0a, 0, 0, 0, 1].repeat(100));
        assert_eq!(read_data(&bomb, &limits), Err(AmfError::Depth));
    }
}
