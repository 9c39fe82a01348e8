//! AMF 0: the bytes are the payload of a command and of a data message, in chunks that are right.
#![no_main]

use bytes::BytesMut;
use griot::rtmp::{Event, Limits, ServerSession};
use libfuzzer_sys::fuzz_target;

/// `connect` and `publish`, whole messages of one chunk each.
const OPENING: &[u8] = b"\x03\0\0\0\0\0\x20\x14\0\0\0\0\
    \x02\0\x07connect\0\x3f\xf0\0\0\0\0\0\0\x03\0\x03app\x02\0\x01a\0\0\x09\
    \x03\0\0\0\0\0\x18\x14\0\0\0\0\
    \x02\0\x07publish\0\0\0\0\0\0\0\0\0\x05\x02\0\x01k";

fuzz_target!(|data: &[u8]| {
    for (message_type, accepted) in [(20u8, false), (18, true), (20, true)] {
        let mut session = ServerSession::new(Limits::default(), [0; 1528]);
        let mut input = BytesMut::from(&[3][..]);
        input.extend_from_slice(&[0; 2 * 1536]);
        if accepted {
            input.extend_from_slice(OPENING);
        }
        session.input(&mut input).expect("the opening is right");
        session.accept_publish();
        let mut opened = false;
        while let Some(event) = session.next_event() {
            opened |= matches!(event, Event::PublishRequested(_));
        }
        assert_eq!(opened, accepted);
        let data = &data[..data.len().min(0xffff)];
        let length = u16::try_from(data.len()).expect("cut above").to_be_bytes();
        // A chunk size that holds any of them, then the message in one chunk.
        input.extend_from_slice(&[2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 1, 0, 0]);
        input.extend_from_slice(&[
            5,
            0,
            0,
            0,
            0,
            length[0],
            length[1],
            message_type,
            1,
            0,
            0,
            0,
        ]);
        input.extend_from_slice(data);
        if session.input(&mut input).is_err() {
            continue;
        }
        while session.next_event().is_some() {}
        drop(session.take_output());
    }
});
