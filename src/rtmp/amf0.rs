//! AMF 0: the values that commands and metadata are made of.
//!
//! The reader recurses at most [`Limits::amf_depth`] deep and makes at most [`Limits::amf_values`] values, so that
//! a hostile message can neither overflow the stack (which would end the process) nor multiply its size.
//! Texts are copied out of a message, so their sum is bounded by the message's own limit.

use bytes::{BufMut, BytesMut};

use super::Limits;

/// Why bytes are not an AMF 0 value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmfError {
    /// The bytes end inside a value.
    #[error("cut short")]
    Truncated,
    /// A type marker that has no meaning here (AMF0 2.1): `MovieClip`, `RecordSet`, AVM+, object end outside an object.
    #[error("marker {0}")]
    Marker(u8),
    /// Nested deeper than allowed.
    #[error("nested too deep")]
    Depth,
    /// More values than allowed.
    #[error("too many values")]
    Values,
    /// A command whose name or transaction is not what it must be (RTMP 7.1.1).
    #[error("not a command")]
    Command,
}

impl AmfError {
    /// Whether a limit was passed, which no honest encoder does.
    pub(super) fn is_limit(self) -> bool {
        matches!(self, Self::Depth | Self::Values)
    }
}

const NUMBER: u8 = 0x00;
const BOOLEAN: u8 = 0x01;
const STRING: u8 = 0x02;
const OBJECT: u8 = 0x03;
const NULL: u8 = 0x05;
const UNDEFINED: u8 = 0x06;
const REFERENCE: u8 = 0x07;
const ECMA_ARRAY: u8 = 0x08;
const OBJECT_END: u8 = 0x09;
const STRICT_ARRAY: u8 = 0x0a;
const DATE: u8 = 0x0b;
const LONG_STRING: u8 = 0x0c;
const UNSUPPORTED: u8 = 0x0d;
const XML_DOCUMENT: u8 = 0x0f;
const TYPED_OBJECT: u8 = 0x10;

/// One AMF 0 value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Number(f64),
    Boolean(bool),
    /// String, long string or XML document; bytes that are no UTF-8 are replaced.
    Text(String),
    /// Object, typed object (without its class name) or ECMA array, in the order of the wire.
    Object(Vec<(String, Value)>),
    Array(Vec<Value>),
    Null,
    /// Undefined, unsupported, or a reference (nobody sends one; nothing here needs its target).
    Undefined,
}

impl Value {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub(super) fn object<const N: usize>(members: [(&str, Self); N]) -> Self {
        Self::Object(
            members
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        )
    }

    /// The member of an object, by its exact name; the first one if there are several.
    pub(super) fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members
                .iter()
                .find(|(member, _)| member == name)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    pub(super) fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Reads values from the front of a message.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    depth: usize,
    values_left: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], limits: &Limits) -> Self {
        Self {
            bytes,
            depth: limits.amf_depth,
            values_left: limits.amf_values,
        }
    }

    /// The next value; `None` at the end of the message.
    pub(super) fn next(&mut self) -> Result<Option<Value>, AmfError> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        self.value(self.depth).map(Some)
    }

    /// All values that are left.
    pub(super) fn rest(&mut self) -> Result<Vec<Value>, AmfError> {
        let mut values = Vec::new();
        while let Some(value) = self.next()? {
            values.push(value);
        }
        Ok(values)
    }

    fn value(&mut self, depth_left: usize) -> Result<Value, AmfError> {
        self.values_left = self.values_left.checked_sub(1).ok_or(AmfError::Values)?;
        let marker = self.take::<1>()?[0];
        Ok(match marker {
            NUMBER => Value::Number(f64::from_be_bytes(self.take()?)),
            BOOLEAN => Value::Boolean(self.take::<1>()?[0] != 0),
            STRING => Value::Text(self.short_text()?),
            LONG_STRING | XML_DOCUMENT => {
                let length = u32::from_be_bytes(self.take()?);
                Value::Text(self.text(usize::try_from(length).unwrap_or(usize::MAX))?)
            }
            OBJECT => self.members(depth_left)?,
            TYPED_OBJECT => {
                self.short_text()?;
                self.members(depth_left)?
            }
            ECMA_ARRAY => {
                // The count is a hint only; the end marker decides (2.10).
                self.take::<4>()?;
                self.members(depth_left)?
            }
            STRICT_ARRAY => {
                let depth_left = depth_left.checked_sub(1).ok_or(AmfError::Depth)?;
                let count = u32::from_be_bytes(self.take()?);
                if usize::try_from(count).map_or(true, |count| count > self.values_left) {
                    return Err(AmfError::Values);
                }
                let mut values = Vec::new();
                for _ in 0..count {
                    values.push(self.value(depth_left)?);
                }
                Value::Array(values)
            }
            DATE => {
                // Milliseconds and a time zone that is reserved (2.13).
                let millis = f64::from_be_bytes(self.take()?);
                self.take::<2>()?;
                Value::Number(millis)
            }
            NULL => Value::Null,
            UNDEFINED | UNSUPPORTED => Value::Undefined,
            REFERENCE => {
                self.take::<2>()?;
                Value::Undefined
            }
            other => return Err(AmfError::Marker(other)),
        })
    }

    fn members(&mut self, depth_left: usize) -> Result<Value, AmfError> {
        let depth_left = depth_left.checked_sub(1).ok_or(AmfError::Depth)?;
        let mut members = Vec::new();
        loop {
            let name = self.short_text()?;
            if name.is_empty() && self.bytes.first() == Some(&OBJECT_END) {
                self.take::<1>()?;
                return Ok(Value::Object(members));
            }
            members.push((name, self.value(depth_left)?));
        }
    }

    fn short_text(&mut self) -> Result<String, AmfError> {
        let length = u16::from_be_bytes(self.take()?);
        self.text(usize::from(length))
    }

    fn text(&mut self, length: usize) -> Result<String, AmfError> {
        let (text, rest) = self
            .bytes
            .split_at_checked(length)
            .ok_or(AmfError::Truncated)?;
        self.bytes = rest;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], AmfError> {
        let (taken, rest) = self
            .bytes
            .split_first_chunk::<N>()
            .ok_or(AmfError::Truncated)?;
        self.bytes = rest;
        Ok(*taken)
    }
}

/// Appends a value. Texts longer than 65,535 bytes go out as long strings (2.14); names are never that long.
pub(super) fn write(value: &Value, out: &mut BytesMut) {
    match value {
        Value::Number(number) => {
            out.put_u8(NUMBER);
            out.put_f64(*number);
        }
        Value::Boolean(truth) => {
            out.put_u8(BOOLEAN);
            out.put_u8(u8::from(*truth));
        }
        Value::Text(text) => match u16::try_from(text.len()) {
            Ok(length) => {
                out.put_u8(STRING);
                out.put_u16(length);
                out.put_slice(text.as_bytes());
            }
            Err(_) => {
                out.put_u8(LONG_STRING);
                out.put_u32(u32::try_from(text.len()).expect("a text is shorter than 4 GiB"));
                out.put_slice(text.as_bytes());
            }
        },
        Value::Object(members) => {
            out.put_u8(OBJECT);
            for (name, value) in members {
                out.put_u16(u16::try_from(name.len()).expect("a member's name is a word"));
                out.put_slice(name.as_bytes());
                write(value, out);
            }
            out.put_slice(&[0, 0, OBJECT_END]);
        }
        Value::Array(values) => {
            out.put_u8(STRICT_ARRAY);
            out.put_u32(u32::try_from(values.len()).expect("an array of ours is short"));
            for value in values {
                write(value, out);
            }
        }
        Value::Null => out.put_u8(NULL),
        Value::Undefined => out.put_u8(UNDEFINED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> Result<Vec<Value>, AmfError> {
        Reader::new(bytes, &Limits::default()).rest()
    }

    #[test]
    fn each_type_of_the_paper_is_read() {
        // Written by hand after AMF0 2.2 to 2.18.
        let bytes = [
            &[0x00, 0x40, 0x09, 0x21, 0xfb, 0x54, 0x44, 0x2d, 0x18][..], // π as a double
            &[0x01, 0x01],
            &[0x02, 0x00, 0x02, b'h', b'i'],
            &[0x03, 0x00, 0x01, b'a', 0x05, 0x00, 0x00, 0x09],
            &[0x06],
            &[0x07, 0x00, 0x01],
            &[
                0x08, 0xff, 0xff, 0xff, 0xff, 0x00, 0x01, b'b', 0x01, 0x00, 0x00, 0x00, 0x09,
            ],
            &[0x0a, 0x00, 0x00, 0x00, 0x02, 0x05, 0x06],
            &[0x0b, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0x00, 0x00], // 1.0 ms
            &[0x0c, 0x00, 0x00, 0x00, 0x01, b'x'],
            &[0x10, 0x00, 0x01, b'C', 0x00, 0x00, 0x09],
        ]
        .concat();
        assert_eq!(
            read(&bytes),
            Ok(vec![
                Value::Number(std::f64::consts::PI),
                Value::Boolean(true),
                Value::text("hi"),
                Value::object([("a", Value::Null)]),
                Value::Undefined,
                Value::Undefined,
                Value::object([("b", Value::Boolean(false))]),
                Value::Array(vec![Value::Null, Value::Undefined]),
                Value::Number(1.0),
                Value::text("x"),
                Value::Object(Vec::new()),
            ])
        );
    }

    #[test]
    fn two_hundred_thousand_nested_objects_are_refused_without_recursing() {
        let objects = [0x03, 0x00, 0x01, b'a'].repeat(200_000);
        assert_eq!(read(&objects), Err(AmfError::Depth));
        let arrays = [0x0a, 0x00, 0x00, 0x00, 0x01].repeat(400_000);
        assert_eq!(read(&arrays), Err(AmfError::Depth));
    }

    #[test]
    fn sixteen_levels_are_read_and_seventeen_are_not() {
        let nested = |levels: usize| {
            let mut bytes = [0x0a, 0x00, 0x00, 0x00, 0x01].repeat(levels);
            bytes.push(0x05);
            bytes
        };
        assert!(read(&nested(16)).is_ok());
        assert_eq!(read(&nested(17)), Err(AmfError::Depth));
    }

    #[test]
    fn an_array_that_declares_more_than_allowed_is_refused_at_once() {
        assert_eq!(read(&[0x0a, 0xff, 0xff, 0xff, 0xff]), Err(AmfError::Values));
        assert_eq!(read(&[0x05; 1_024]).map(|values| values.len()), Ok(1_024));
        assert_eq!(read(&[0x05; 1_025]), Err(AmfError::Values));
    }

    #[test]
    fn a_value_that_is_cut_anywhere_is_truncated() {
        let whole = [0x02, 0x00, 0x04, b'l', b'i', b'v', b'e'];
        for cut in 1..whole.len() {
            assert_eq!(
                read(&whole[..cut]),
                Err(AmfError::Truncated),
                "cut at {cut}"
            );
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<f64>()
                .prop_filter("NaN is not equal to itself", |number| !number.is_nan())
                .prop_map(Value::Number),
            any::<bool>().prop_map(Value::Boolean),
            ".{0,12}".prop_map(Value::Text),
            Just(Value::Null),
            Just(Value::Undefined),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(("[a-z]{1,6}", inner.clone()), 0..6).prop_map(Value::Object),
                prop::collection::vec(inner, 0..6).prop_map(Value::Array),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in any_value()) {
            let mut bytes = BytesMut::new();
            write(&value, &mut bytes);
            prop_assert_eq!(read(&bytes), Ok(vec![value]));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            drop(read(&bytes));
        }
    }
}
