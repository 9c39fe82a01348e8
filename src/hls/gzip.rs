//! One gzip member put together from pieces that were compressed apart.
//!
//! Each piece is a raw deflate stream of its own that ends at a byte boundary and is not final (RFC 1951 3.2.4: an
//! empty stored block), so pieces can be joined by copying; the last one is final. The checksum of the whole is
//! combined from those of the pieces. Thus the finished prefix of a long playlist is compressed once.

use crc32fast::Hasher;
use flate2::{Compress, Compression, FlushCompress, Status};

/// RFC 1952 2.3: deflate, no name, no time, no flags, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// Text that is compressed once and joined often.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    deflated: Vec<u8>,
    checksum: Hasher,
}

impl Piece {
    pub(super) fn new(text: &[u8]) -> Self {
        // Made once per 64 segments and sent to everybody: worth the best level.
        let deflated = deflate(text, Compression::best(), FlushCompress::Full);
        Self {
            deflated,
            checksum: checksum(text),
        }
    }
}

/// A gzip member being written.
#[derive(Debug)]
pub(super) struct Member {
    bytes: Vec<u8>,
    checksum: Hasher,
    length: usize,
}

impl Member {
    pub(super) fn new() -> Self {
        Self {
            bytes: HEADER.to_vec(),
            checksum: Hasher::new(),
            length: 0,
        }
    }

    /// Appends text that is compressed now.
    pub(super) fn text(&mut self, text: &[u8]) {
        let deflated = deflate(text, Compression::fast(), FlushCompress::Full);
        self.add(&deflated, &checksum(text), text.len());
    }

    /// Appends a piece; `length` is that of its text.
    pub(super) fn piece(&mut self, piece: &Piece, length: usize) {
        self.add(&piece.deflated, &piece.checksum, length);
    }

    /// Appends the last text and ends the member.
    pub(super) fn finish(mut self, text: &[u8]) -> Vec<u8> {
        let deflated = deflate(text, Compression::fast(), FlushCompress::Finish);
        self.add(&deflated, &checksum(text), text.len());
        // RFC 1952 2.3.1: CRC32, then the length modulo 2^32, both little-endian.
        self.bytes
            .extend_from_slice(&self.checksum.finalize().to_le_bytes());
        let length = u32::try_from(self.length & 0xffff_ffff).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes
    }

    fn add(&mut self, deflated: &[u8], checksum: &Hasher, length: usize) {
        self.bytes.extend_from_slice(deflated);
        self.checksum.combine(checksum);
        self.length += length;
    }
}

fn checksum(text: &[u8]) -> Hasher {
    let mut hasher = Hasher::new();
    hasher.update(text);
    hasher
}

fn deflate(text: &[u8], level: Compression, flush: FlushCompress) -> Vec<u8> {
    let mut deflater = Compress::new(level, false);
    let mut out = Vec::with_capacity(text.len() / 2 + 64);
    let mut read = 0;
    loop {
        let status = deflater
            .compress_vec(&text[read..], &mut out, flush)
            .expect("deflate of a valid stream state cannot fail");
        read = usize::try_from(deflater.total_in()).unwrap_or(text.len());
        // A call that leaves room in the buffer has nothing more to say.
        if status == Status::StreamEnd || (read == text.len() && out.len() < out.capacity()) {
            return out;
        }
        out.reserve(out.capacity());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_and_texts_joined_are_one_valid_member(
            texts in prop::collection::vec(("[a-c0-9\n]{0,3000}", any::<bool>()), 0..8),
            last in "[a-z]{0,2000}",
        ) {
            let mut member = Member::new();
            let mut whole = String::new();
            for (text, precompressed) in &texts {
                whole.push_str(text);
                if *precompressed {
                    member.piece(&Piece::new(text.as_bytes()), text.len());
                } else {
                    member.text(text.as_bytes());
                }
            }
            whole.push_str(&last);
            let bytes = member.finish(last.as_bytes());
            // `GzDecoder` reads one member, checks CRC and length, and leaves what follows.
            let mut decoder = GzDecoder::new(bytes.as_slice());
            let mut text = String::new();
            decoder.read_to_string(&mut text).unwrap();
            prop_assert_eq!(text, whole);
            prop_assert_eq!(decoder.into_inner().len(), 0);
        }
    }
}
