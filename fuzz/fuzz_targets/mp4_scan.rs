//! Any bytes, taken for a rendition file and for a segment's index: nothing panics, what is found lies within the file,
//! and a finished index fits what was scanned.
#![no_main]

use std::io::Cursor;

use griot::fmp4::{SegmentIndex, finalise, scan};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(index) = SegmentIndex::decode(bytes) {
        assert_eq!(SegmentIndex::decode(&index.encode()), Ok(index));
    }
    let Ok(found) = scan(&mut Cursor::new(bytes)) else {
        return;
    };
    assert!(found.head.length <= found.data_end && found.data_end <= found.file_length);
    let index = SegmentIndex { parts: found.parts };
    assert_eq!(found.head.length + index.length_bytes(), found.data_end);
    assert_eq!(SegmentIndex::decode(&index.encode()), Ok(index.clone()));
    // A head of another writer's may be longer than ours: then the length is refused.
    drop(finalise(&found.head.tracks, [&index], found.data_end));
});
