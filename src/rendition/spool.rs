//! Room on the disk of the spool.

use std::io;
use std::path::Path;

/// Free space, and what of the disk is there at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpoolRoom {
    /// Bytes that may still be written.
    pub free: u64,
    /// Bytes of the whole file system.
    pub total: u64,
}

impl SpoolRoom {
    /// What the file system of `folder` says. Blocks.
    ///
    /// # Errors
    /// What the disk says.
    pub fn of(folder: &Path) -> io::Result<Self> {
        let disk = rustix::fs::statvfs(folder)?;
        Ok(Self {
            free: disk.f_bavail.saturating_mul(disk.f_frsize),
            total: disk.f_blocks.saturating_mul(disk.f_frsize),
        })
    }

    /// What is to stay free where `wished` bytes are wished for: on a small disk a tenth of it is enough.
    #[must_use]
    pub fn reserve(&self, wished: u64) -> u64 {
        wished.min(self.total / 10)
    }

    /// Whether a new live may begin while `reserve` bytes are to stay free. Once `refusing`, an eighth more must
    /// be free before lives are taken in again, so that the answer does not change with every segment.
    #[must_use]
    pub fn takes_a_live(&self, reserve: u64, refusing: bool) -> bool {
        let high = reserve.saturating_add(reserve / 8);
        self.free >= if refusing { high } else { reserve }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn room(free: u64) -> SpoolRoom {
        SpoolRoom {
            free,
            total: 5 * GIB,
        }
    }

    #[test]
    fn a_live_is_taken_in_above_the_reserve_and_again_an_eighth_above_it() {
        assert!(room(GIB).takes_a_live(GIB, false));
        assert!(!room(GIB - 1).takes_a_live(GIB, false));
        assert!(!room(GIB).takes_a_live(GIB, true));
        assert!(room(GIB + GIB / 8).takes_a_live(GIB, true));
        assert!(room(0).takes_a_live(0, true), "0 never refuses");
    }

    #[test]
    fn a_tenth_of_a_small_disk_is_enough() {
        assert_eq!(room(0).reserve(GIB), GIB / 2);
        assert_eq!(room(0).reserve(GIB / 4), GIB / 4);
    }
}
