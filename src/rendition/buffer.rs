//! Buffers that bytes of files are read into on their way to viewers.
//!
//! A fresh buffer for each read would be zeroed and faulted in page by page, which costs more than the copy
//! itself; so a buffer goes back to a small pool when the last reference to its bytes is gone.

use std::io;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

/// Bytes read at a time. One such buffer is all that a slow reader holds of a file; and small enough to be
/// still in the processor's cache when the socket takes it.
pub(super) const BUFFER_BYTES: usize = 128 * 1024;
/// Buffers that are kept for the next reads, 4 MiB in all; one more is given back to the allocator.
const KEPT: usize = 32;

static POOL: Mutex<Vec<Box<[u8]>>> = Mutex::new(Vec::new());

/// A buffer that returns to the pool.
#[derive(Debug)]
struct Buffer {
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
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.len() < KEPT {
            pool.push(std::mem::take(&mut self.buffer));
        }
    }
}

/// The bytes that `read` puts into a buffer of `size`, at most [`BUFFER_BYTES`]; it answers how many.
///
/// # Errors
/// Those of `read`.
pub(super) fn fill(
    size: usize,
    read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
) -> io::Result<Bytes> {
    let kept = POOL.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let mut filled = Buffer {
        buffer: kept.unwrap_or_else(|| vec![0; BUFFER_BYTES].into_boxed_slice()),
        length: 0,
    };
    let room = size.min(BUFFER_BYTES);
    filled.length = read(&mut filled.buffer[..room])?.min(room);
    Ok(Bytes::from_owner(filled))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(with: u8, size: usize) -> Bytes {
        fill(size, |buffer| {
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
    fn a_short_read_gives_what_was_read_and_an_error_gives_nothing() {
        drop(filled(7, BUFFER_BYTES));
        let short = fill(100, |buffer| {
            buffer[..3].copy_from_slice(b"abc");
            Ok(3)
        });
        assert_eq!(short.expect("no error"), "abc");
        assert!(fill(100, |_| Err(io::ErrorKind::NotFound.into())).is_err());
        assert_eq!(filled(1, usize::MAX).len(), BUFFER_BYTES);
    }
}
