//! Tag bodies in a row: one byte (odd: video), four of timestamp, two of length, the body.
#![no_main]

use bytes::Bytes;
use griot::av::{CodecConfig, TrackKind};
use griot::flv::{Demuxer, Output};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut demuxer = Demuxer::new();
    let mut outputs = Vec::new();
    let mut known = [false; 2];
    let mut rest = data;
    while let Some((&[kind, t3, t2, t1, t0, l1, l0], after)) = rest.split_first_chunk::<7>() {
        let length = usize::from(u16::from_be_bytes([l1, l0])).min(after.len());
        let (body, after) = after.split_at(length);
        rest = after;
        let at = u32::from_be_bytes([t3, t2, t1, t0]);
        let body = Bytes::copy_from_slice(body);
        let told = if kind & 1 == 1 {
            demuxer.video(at, body, &mut outputs)
        } else {
            demuxer.audio(at, body, &mut outputs)
        };
        for output in outputs.drain(..) {
            match output {
                Output::Config(CodecConfig::Video(config)) => {
                    assert!((1..=16_384).contains(&config.width));
                    assert!((1..=16_384).contains(&config.height));
                    known[0] = true;
                }
                Output::Config(CodecConfig::Audio(config)) => {
                    assert!(config.sample_rate > 0 && (1..=8).contains(&config.channels));
                    known[1] = true;
                }
                Output::Frame(frame) => {
                    assert!(known[usize::from(frame.track == TrackKind::Audio)]);
                    assert!(!frame.data.is_empty());
                    assert!(frame.pts.0 >= frame.dts.0 - 45_000);
                }
                Output::Ignored(_) => {}
            }
        }
        if told.is_err() {
            return;
        }
    }
});
