//! Buffers that bytes of files are read into on their way to viewers and buckets.
//!
//! A fresh buffer for each read would be zeroed and faulted in page by page, which costs more than the copy
//! itself; and one that is freed by another thread than it was made by may stay with the allocator for long. So a
//! buffer goes back to a small pool when the last reference to its bytes is gone.

use std::io;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::pieces::PIECE_BYTES;

/// Bytes read at a time for a viewer. One such buffer is all that a slow reader holds of a file; and small enough to be
/// still in the processor's cache when the socket takes it.
pub(super) const BUFFER_BYTES: usize = 128 * 1024;

/// For what viewers read: 4 MiB are kept for the next reads.
pub(super) static READS: Pool = Pool::new(BUFFER_BYTES, 32);
/// For pieces on their way to a bucket: no more are sent at a time.
#[expect(clippy::cast_possible_truncation, reason = "8 MiB")]
pub(super) static PIECES: Pool = Pool::new(PIECE_BYTES as usize, 2);

/// Buffers of one size.
#[derive(Debug)]
pub(super) struct Pool {
    buffers: Mutex<Vec<Box<[u8]>>>,
    bytes: usize,
    /// So many are kept; one more is given back to the allocator.
    kept: usize,
}

/// A buffer that returns to its pool.
#[derive(Debug)]
struct Buffer {
    pool: &'static Pool,
    /// Empty only while it is being dropped.
    buffer: Box<[u8]>,
    length: usize,
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let buffers = self.pool.buffers.lock();
        let mut buffers = buffers.unwrap_or_else(PoisonError::into_inner);
        if buffers.len() < self.pool.kept {
            buffers.push(std::mem::take(&mut self.buffer));
        }
    }
}

impl Pool {
    const fn new(bytes: usize, kept: usize) -> Self {
        Self {
            buffers: Mutex::new(Vec::new()),
            bytes,
            kept,
        }
    }

    /// The bytes that `read` puts into a buffer of `size`, at most the pool's; it answers how many.
    ///
    /// # Errors
    /// Those of `read`.
    pub(super) fn fill(
        &'static self,
        size: usize,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<Bytes> {
        let kept = self
            .buffers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let mut filled = Buffer {
            pool: self,
            buffer: kept.unwrap_or_else(|| vec![0; self.bytes].into_boxed_slice()),
            length: 0,
        };
        let room = size.min(self.bytes);
        filled.length = read(&mut filled.buffer[..room])?.min(room);
        Ok(Bytes::from_owner(filled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(with: u8, size: usize) -> Bytes {
        READS
            .fill(size, |buffer| {
                buffer.fill(with);
                Ok(buffer.len())
            })
            .expect("nothing to fail")
    }

    #[test]
    fn bytes_that_somebody_holds_are_not_written_over() {
        let held = filled(1, 10);
        let again = held.clone();
        drop(held);
        let other = filled(2, 20);
        assert_eq!(again, [1; 10][..]);
        assert_eq!(other, [2; 20][..]);
    }

    #[test]
    fn only_so_many_buffers_are_kept() {
        static TWO: Pool = Pool::new(16, 2);
        let held: Vec<Bytes> = (0..5)
            .map(|_| TWO.fill(3, |_| Ok(3)).expect("filled"))
            .collect();
        drop(held);
        assert_eq!(TWO.buffers.lock().expect("nobody panicked").len(), 2);
    }

    #[test]
    fn a_short_read_gives_what_was_read_and_an_error_gives_nothing() {
        drop(filled(7, BUFFER_BYTES));
        let short = READS.fill(100, |buffer| {
            buffer[..3].copy_from_slice(b"abc");
            Ok(3)
        });
        assert_eq!(short.expect("no error"), "abc");
        assert!(
            READS
                .fill(100, |_| Err(io::ErrorKind::NotFound.into()))
                .is_err()
        );
        assert_eq!(filled(1, usize::MAX).len(), BUFFER_BYTES);
    }
}
