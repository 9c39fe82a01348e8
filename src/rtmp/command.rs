//! Commands (7.1.1, 7.2) and what is answered to them.

use bytes::{Bytes, BytesMut};

use super::Limits;
use super::amf0::{AmfError, Reader, Value, write};
use super::message::{COMMAND_AMF3, Message};
use crate::base::Secret;

/// A command of the peer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Command {
    pub(super) name: String,
    /// 0 asks for no answer.
    pub(super) transaction: f64,
    /// What follows: the command object first (null for most), then the arguments.
    pub(super) values: Vec<Value>,
}

impl Command {
    pub(super) fn read(message: &Message, limits: &Limits) -> Result<Self, AmfError> {
        let payload = &message.payload;
        // AMF3 commands are AMF0 behind one byte, unless a value switches over, which no encoder does (7.1.1).
        let bytes = match payload.split_first() {
            Some((_, rest)) if message.message_type == COMMAND_AMF3 => rest,
            _ => payload,
        };
        let mut reader = Reader::new(bytes, limits);
        let name = match reader.next()? {
            Some(Value::Text(name)) => name,
            _ => return Err(AmfError::Command),
        };
        let transaction = match reader.next()? {
            Some(Value::Number(transaction)) => transaction,
            // Some encoders leave it out where no answer is asked for.
            None | Some(Value::Null | Value::Undefined) => 0.0,
            Some(_) => return Err(AmfError::Command),
        };
        Ok(Self {
            name,
            transaction,
            values: reader.rest()?,
        })
    }

    /// The first value: `connect`'s claims; null for most.
    pub(super) fn object(&self) -> &Value {
        self.values.first().unwrap_or(&Value::Null)
    }

    /// The argument behind the command object, counted from 0.
    pub(super) fn argument(&self, at: usize) -> &Value {
        self.values.get(at + 1).unwrap_or(&Value::Null)
    }

    /// The payload of a command message.
    pub(super) fn payload(name: &str, transaction: f64, values: &[Value]) -> Bytes {
        let mut bytes = BytesMut::new();
        write(&Value::text(name), &mut bytes);
        write(&Value::Number(transaction), &mut bytes);
        for value in values {
            write(value, &mut bytes);
        }
        bytes.freeze()
    }
}

/// An information object (7.2.2).
pub(super) fn status(level: &str, code: &str, description: &str) -> Value {
    Value::object([
        ("level", Value::text(level)),
        ("code", Value::text(code)),
        ("description", Value::text(description)),
    ])
}

/// What `connect` tells about the encoder, all of it optional (7.2.1.1; E-RTMP, "Enhancing NetConnection connect command").
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConnectClaims {
    /// The application and the address: either may hold the key.
    pub(super) app: Secret,
    pub(super) tc_url: Option<Secret>,
    pub(super) flash_ver: Option<String>,
    /// Whether any member of Enhanced RTMP is there.
    pub(super) enhanced: bool,
    /// Whether it can follow a reconnect request.
    pub(super) can_reconnect: bool,
    /// `objectEncoding`, given back as it came: AMF0 goes on in either case.
    pub(super) object_encoding: u8,
}

/// Bits of `capsEx`.
const RECONNECT: u8 = 1;
const MOD_EX: u8 = 4;
const TIMESTAMP_NANO_OFFSET: u8 = 8;
/// Flag of the codec maps: what comes in goes out to others.
const CAN_FORWARD: f64 = 4.0;

const VIDEO_CODECS: [&str; 4] = ["avc1", "hvc1", "av01", "vp09"];
const AUDIO_CODECS: [&str; 3] = ["mp4a", "Opus", ".mp3"];

impl ConnectClaims {
    pub(super) fn of(claims: &Value) -> Self {
        let text = |name| claims.member(name).and_then(Value::as_text);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a float cast saturates; only low bits mean anything"
        )]
        let small = |name| {
            claims
                .member(name)
                .and_then(Value::as_number)
                .unwrap_or(0.0) as u8
        };
        Self {
            app: Secret::new(text("app").unwrap_or_default()),
            tc_url: text("tcUrl").map(Secret::new),
            flash_ver: text("flashVer").and_then(super::metadata::short_text),
            enhanced: [
                "fourCcList",
                "videoFourCcInfoMap",
                "audioFourCcInfoMap",
                "capsEx",
            ]
            .iter()
            .any(|name| claims.member(name).is_some()),
            can_reconnect: small("capsEx") & RECONNECT != 0,
            object_encoding: small("objectEncoding"),
        }
    }

    /// The two objects of `_result`: properties, information.
    pub(super) fn answer(&self) -> [Value; 2] {
        let mut properties = vec![
            ("fmsVer".to_owned(), Value::text("FMS/3,5,7,7009")),
            ("capabilities".to_owned(), Value::Number(31.0)),
            ("mode".to_owned(), Value::Number(1.0)),
        ];
        if self.enhanced {
            let map = |codecs: &[&str]| {
                Value::Object(
                    codecs
                        .iter()
                        .map(|codec| ((*codec).to_owned(), Value::Number(CAN_FORWARD)))
                        .collect(),
                )
            };
            let list = VIDEO_CODECS.iter().chain(&AUDIO_CODECS);
            properties.extend([
                (
                    "fourCcList".to_owned(),
                    Value::Array(list.map(|codec| Value::text(codec)).collect()),
                ),
                ("videoFourCcInfoMap".to_owned(), map(&VIDEO_CODECS)),
                ("audioFourCcInfoMap".to_owned(), map(&AUDIO_CODECS)),
                (
                    // No multitrack: further tracks would be thrown away.
                    "capsEx".to_owned(),
                    Value::Number(f64::from(RECONNECT | MOD_EX | TIMESTAMP_NANO_OFFSET)),
                ),
            ]);
        }
        let mut information = status(
            "status",
            "NetConnection.Connect.Success",
            "Connection succeeded.",
        );
        if let Value::Object(members) = &mut information {
            members.push((
                "objectEncoding".to_owned(),
                Value::Number(f64::from(self.object_encoding)),
            ));
        }
        [Value::Object(properties), information]
    }
}

/// The parts of `app` and the name of `publish`: `live/key?token=x` in all the ways that encoders cut it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StreamPath {
    pub(super) app: String,
    pub(super) name: String,
    pub(super) query: Option<String>,
}

impl StreamPath {
    pub(super) fn of(app: &str, name: &str) -> Self {
        let cut = |text: &str| match text.split_once('?') {
            Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
            None => (text.to_owned(), None),
        };
        let (app, app_query) = cut(app);
        let (name, name_query) = cut(name);
        let mut components: Vec<&str> = app.split('/').chain(name.split('/')).collect();
        components.retain(|component| !component.is_empty());
        let name = components.pop().unwrap_or_default().to_owned();
        Self {
            app: components.first().copied().unwrap_or_default().to_owned(),
            name,
            query: name_query.or(app_query),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(app: &str, name: &str) -> (String, String, Option<String>) {
        let StreamPath { app, name, query } = StreamPath::of(app, name);
        (app, name, query)
    }

    #[test]
    fn the_key_is_found_wherever_the_user_typed_it() {
        let plain = ("live".to_owned(), "key".to_owned(), None);
        assert_eq!(path("live", "key"), plain);
        assert_eq!(path("live/", "/key"), plain);
        assert_eq!(path("live/key", ""), plain);
        assert_eq!(path("", "live/key"), plain);
        assert_eq!(path("live/instance", "key"), plain);
        assert_eq!(path("key", ""), (String::new(), "key".to_owned(), None));
        assert_eq!(path("", ""), (String::new(), String::new(), None));
    }

    #[test]
    fn a_query_is_cut_off_and_that_of_the_name_wins() {
        let with = |query: &str| ("live".to_owned(), "key".to_owned(), Some(query.to_owned()));
        assert_eq!(path("live", "key?token=a/b&x=1"), with("token=a/b&x=1"));
        assert_eq!(path("live?v=1", "key"), with("v=1"));
        assert_eq!(path("live?v=1", "key?t=2"), with("t=2"));
    }

    #[test]
    fn an_amf3_command_is_amf0_behind_one_byte() {
        let amf0 = Command::payload("createStream", 4.0, &[Value::Null]);
        let message = |message_type, payload: Vec<u8>| Message {
            message_type,
            stream_id: 0,
            timestamp_ms: 0,
            payload: payload.into(),
        };
        let plain = Command::read(&message(20, amf0.to_vec()), &Limits::default());
        let wrapped = Command::read(
            &message(COMMAND_AMF3, [&[0], &amf0[..]].concat()),
            &Limits::default(),
        );
        assert_eq!(plain, wrapped);
        assert_eq!(plain.expect("it is a command").name, "createStream");
    }

    #[test]
    fn enhanced_members_are_answered_only_to_those_who_offer_some() {
        let plain = ConnectClaims::of(&Value::object([("app", Value::text("live"))]));
        assert_eq!(plain.answer()[0].member("capsEx"), None);
        let offered = ConnectClaims::of(&Value::object([
            ("app", Value::text("live")),
            ("fourCcList", Value::Array(vec![Value::text("hvc1")])),
            ("capsEx", Value::Number(3.0)),
        ]));
        assert!(offered.can_reconnect);
        let properties = &offered.answer()[0];
        // Reconnect 1 + ModEx 4 + TimestampNanoOffset 8.
        assert_eq!(properties.member("capsEx"), Some(&Value::Number(13.0)));
        let codecs = properties
            .member("videoFourCcInfoMap")
            .expect("it is there");
        assert_eq!(codecs.member("hvc1"), Some(&Value::Number(4.0)));
    }
}
