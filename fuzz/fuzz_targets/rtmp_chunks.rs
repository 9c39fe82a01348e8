//! Everything behind the handshake: chunks, control messages, commands, media. The first byte says in how large pieces
//! the rest comes; whether the publish is accepted is its lowest bit.
#![no_main]

use bytes::BytesMut;
use griot::rtmp::{Event, Limits, ServerSession};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&first, rest)) = data.split_first() else {
        return;
    };
    let mut session = ServerSession::new(Limits::default(), [0; 1528]);
    let mut input = BytesMut::from(&[3][..]);
    input.extend_from_slice(&[0; 2 * 1536]);
    for piece in rest.chunks(usize::from(first) + 1) {
        input.extend_from_slice(piece);
        loop {
            let told = session.input(&mut input);
            let mut decided = false;
            while let Some(event) = session.next_event() {
                if let Event::PublishRequested(_) = event {
                    decided = true;
                    if first & 1 == 0 {
                        session.accept_publish();
                    } else {
                        session.reject_publish("no");
                    }
                }
            }
            drop(session.take_output());
            if told.is_err() {
                return;
            }
            if !decided {
                break;
            }
        }
    }
});
