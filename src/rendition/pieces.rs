//! A file in pieces of 8 MiB: what is sent to a bucket at a time, and what its hash is made of.
//!
//! The hash of a file is the SHA-256 of the list of SHA-256 of each piece: its first bytes change at the end,
//! so a hash over everything would need a second read.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::buffer::PIECES;
use super::file::FileRange;
use crate::base::blocking;

/// Bytes of every piece but the last. The same for ever: hashes depend on it, and some stores want equal parts.
pub(super) const PIECE_BYTES: u64 = 8 << 20;

/// The SHA-256 of a piece.
pub(super) type PieceHash = [u8; 32];

/// How many pieces `length` bytes are; an empty file is one.
pub(super) fn pieces_of(length: u64) -> u64 {
    length.div_ceil(PIECE_BYTES).max(1)
}

/// Where piece `number`, from 1, of `length` bytes lies: offset and bytes.
pub(super) fn place_of(number: u64, length: u64) -> (u64, u64) {
    let offset = (number - 1) * PIECE_BYTES;
    (offset, length.saturating_sub(offset).min(PIECE_BYTES))
}

/// Reads a piece and hashes it, where blocking is allowed. The piece lies in memory as long as its bytes are held: for
/// what is sent.
pub(super) async fn read_piece(
    file: &Arc<File>,
    number: u64,
    length: u64,
) -> io::Result<(Bytes, PieceHash)> {
    let (offset, bytes) = place_of(number, length);
    let file = Arc::clone(file);
    blocking(move || {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let piece = PIECES.fill(bytes, |buffer| {
            file.read_exact_at(buffer, offset)?;
            Ok(buffer.len())
        })?;
        let hash = Sha256::digest(&piece).into();
        Ok((piece, hash))
    })
    .await
}

/// Hashes a piece by small reads, where blocking is allowed.
pub(super) async fn hash_piece(
    file: &Arc<File>,
    number: u64,
    length: u64,
) -> io::Result<PieceHash> {
    let (offset, bytes) = place_of(number, length);
    let range = FileRange::new(Arc::clone(file), offset, bytes);
    blocking(move || {
        let (mut hash, mut at) = (Sha256::new(), 0);
        while at < bytes {
            let read = range.read(at)?;
            hash.update(&read);
            at += read.len() as u64;
        }
        Ok(hash.finalize().into())
    })
    .await
}

/// The hash of a file whose pieces have these, in hexadecimal.
pub(super) fn tree(pieces: &[PieceHash]) -> String {
    hex::encode(Sha256::digest(pieces.concat()))
}

/// The hash of a file on disk, read piece by piece.
pub(super) async fn tree_of_file(file: File) -> io::Result<String> {
    let file = Arc::new(file);
    let length = file.metadata()?.len();
    let mut hashes = Vec::new();
    for number in 1..=pieces_of(length) {
        hashes.push(hash_piece(&file, number, length).await?);
    }
    Ok(tree(&hashes))
}

/// Hashes a stream of bytes by pieces.
#[derive(Debug, Default)]
pub(super) struct StreamHash {
    done: Vec<PieceHash>,
    open: Sha256,
    open_bytes: u64,
}

impl StreamHash {
    /// Takes the next bytes.
    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = usize::try_from(PIECE_BYTES - self.open_bytes).unwrap_or(usize::MAX);
            let (now, rest) = bytes.split_at(bytes.len().min(room));
            self.open.update(now);
            self.open_bytes += now.len() as u64;
            bytes = rest;
            if self.open_bytes == PIECE_BYTES {
                self.close();
            }
        }
    }

    fn close(&mut self) {
        self.done
            .push(std::mem::take(&mut self.open).finalize().into());
        self.open_bytes = 0;
    }

    /// The hashes of all pieces.
    pub(super) fn finish(mut self) -> Vec<PieceHash> {
        if self.open_bytes > 0 || self.done.is_empty() {
            self.close();
        }
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn pieces_cover_a_file_without_a_hole() {
        assert_eq!(pieces_of(0), 1);
        assert_eq!(pieces_of(PIECE_BYTES), 1);
        assert_eq!(pieces_of(PIECE_BYTES + 1), 2);
        let length = 2 * PIECE_BYTES + 5;
        assert_eq!(place_of(1, length), (0, PIECE_BYTES));
        assert_eq!(place_of(3, length), (2 * PIECE_BYTES, 5));
    }

    // printf '%s%s' $(head -c 8388608 /dev/zero | sha256sum | cut -c 1-64) \
    //     $(printf griot | sha256sum | cut -c 1-64) | xxd -r -p | sha256sum
    const EXPECTED: &str = "3e1d664b731c77874a6ad77c471aac4b62a0dd34cef9eba7d2f528424060feea";

    #[tokio::test]
    async fn the_tree_is_the_hash_of_the_hashes_of_8_mib_each() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![0; 8 << 20]).unwrap();
        file.write_all(b"griot").unwrap();
        assert_eq!(tree_of_file(file).await.unwrap(), EXPECTED);

        let mut stream = StreamHash::default();
        let zeros = vec![0; 3_000_000];
        stream.update(&zeros);
        stream.update(&zeros);
        stream.update(&zeros[..(8 << 20) - 6_000_000]);
        stream.update(b"gri");
        stream.update(b"ot");
        assert_eq!(tree(&stream.finish()), EXPECTED);
    }
}
