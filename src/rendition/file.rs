//! The file of one run: append, sync, seal, read by ranges.
//!
//! `write` makes bytes survive a kill of this process; `sync` makes them survive a power loss. The byte
//! layout is `fmp4`'s. All methods block: call them where blocking is allowed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use rustix::io::{ReadWriteFlags, preadv2};

use super::buffer::READS;

/// A range of a rendition file. Holds the file open, so it stays readable after a rename.
#[derive(Clone, Debug)]
pub struct FileRange {
    file: Arc<File>,
    /// First byte.
    pub offset: u64,
    /// Bytes; the range lies wholly in the file.
    pub length: u64,
}

impl FileRange {
    /// `length` bytes of `file` from `offset`.
    #[must_use]
    pub fn new(file: Arc<File>, offset: u64, length: u64) -> Self {
        Self {
            file,
            offset,
            length,
        }
    }

    /// The bytes from `at`, counted from the start of the range: a piece of at most 128 KiB that ends where
    /// the range ends, empty at its end. Blocks.
    ///
    /// # Errors
    /// What the disk says; `UnexpectedEof` when the file is shorter than the range.
    pub fn read(&self, at: u64) -> io::Result<Bytes> {
        READS.fill(self.left(at), |buffer| {
            self.file.read_exact_at(buffer, self.offset + at)?;
            Ok(buffer.len())
        })
    }

    /// The same without blocking: what of the piece is in the page cache, `None` when its first byte is not
    /// or the file system cannot tell (preadv2(2), `RWF_NOWAIT`).
    pub fn read_cached(&self, at: u64) -> Option<Bytes> {
        let size = self.left(at);
        if size == 0 {
            return Some(Bytes::new());
        }
        let read = READS.fill(size, |buffer| {
            let into = &mut [IoSliceMut::new(buffer)];
            Ok(preadv2(
                &self.file,
                into,
                self.offset + at,
                ReadWriteFlags::NOWAIT,
            )?)
        });
        // An error is told by the blocking read that follows.
        read.ok().filter(|bytes| !bytes.is_empty())
    }

    /// All of it in memory: for what is known to be small. Blocks.
    ///
    /// # Errors
    /// What the disk says; `UnexpectedEof` when the file is shorter than the range.
    pub(super) fn read_whole(&self) -> io::Result<Bytes> {
        let mut whole = vec![0; self.left(0)];
        self.file.read_exact_at(&mut whole, self.offset)?;
        Ok(whole.into())
    }

    fn left(&self, at: u64) -> usize {
        usize::try_from(self.length.saturating_sub(at)).unwrap_or(usize::MAX)
    }
}

/// The growing file of one run. A clone is for whoever goes on with it alone.
#[derive(Clone, Debug)]
pub(super) struct RunFile {
    file: Arc<File>,
    path: PathBuf,
    end: u64,
}

impl RunFile {
    /// Makes the file and writes its head. A file that is already there is no run of ours: refused.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn create(path: &Path, head: &[u8]) -> io::Result<Self> {
        let create = || {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .open(path)
        };
        let file = match create() {
            // The run before this one has just left, and took the empty folder along.
            Err(error) if error.kind() == io::ErrorKind::NotFound => create()?,
            created => created?,
        };
        if let Err(error) = file.write_all_at(head, 0) {
            // A full disk: the next try shall find nothing. A file that stays is swept at the next start.
            drop(fs::remove_file(path));
            return Err(error);
        }
        Ok(Self {
            file: Arc::new(file),
            path: path.to_owned(),
            end: head.len() as u64,
        })
    }

    /// Opens a file that an earlier process left and cuts everything from `end` on. `growing` are the bytes
    /// that make a final file one that grows, and where they lie.
    ///
    /// # Errors
    /// What the disk says; `UnexpectedEof` when the file is shorter than `end`.
    pub(super) fn resume(
        path: &Path,
        end: u64,
        growing: Option<(u64, [u8; 16])>,
    ) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        if file.metadata()?.len() < end {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file.set_len(end)?;
        if let Some((at, header)) = growing {
            file.write_all_at(&header, at)?;
        }
        Ok(Self {
            file: Arc::new(file),
            path: path.to_owned(),
            end,
        })
    }

    /// Appends whole parts and says where they begin. After an error nothing counts as appended: the next
    /// append writes over what a failed one left.
    ///
    /// # Errors
    /// What the disk says (`StorageFull`, …).
    pub(super) fn append(&mut self, parts: &[Bytes]) -> io::Result<u64> {
        let start = self.end;
        let mut at = start;
        for part in parts {
            self.file.write_all_at(part, at)?;
            at += part.len() as u64;
        }
        self.end = at;
        Ok(start)
    }

    /// What was appended from `end` on counts as never appended.
    pub(super) fn forget(&mut self, end: u64) {
        self.end = self.end.min(end);
    }

    /// Where the next part will begin.
    #[must_use]
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Where the file lies.
    #[must_use]
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The open file, for readers and for syncing beside the owner.
    #[must_use]
    pub(super) fn shared(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Makes the file final: the index behind the last part, then the 16 bytes that turn everything before
    /// it into one `mdat`. Synced after each step: a crash in between leaves a file that `fmp4::scan`
    /// recognises. Returns the file's length.
    ///
    /// # Errors
    /// What the disk says; sealing again is then right.
    pub(super) fn seal(
        &mut self,
        moov: &[u8],
        mdat_header: &[u8; 16],
        header_at: u64,
    ) -> io::Result<u64> {
        self.file.write_all_at(moov, self.end)?;
        let length = self.end + moov.len() as u64;
        self.file.set_len(length)?;
        self.file.sync_data()?;
        self.file.write_all_at(mdat_header, header_at)?;
        self.file.sync_all()?;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_reads_what_was_appended_and_survives_a_rename() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let path = folder.path().join("a/b/0.mp4");
        let mut run = RunFile::create(&path, b"head").expect("a file");
        let parts = [Bytes::from_static(b"one"), Bytes::from_static(b"two!")];
        let at = run.append(&parts).expect("room");
        let range = FileRange::new(run.shared(), at + 3, 4);
        fs::rename(&path, folder.path().join("elsewhere")).expect("a rename");
        assert_eq!(range.read(0).expect("a read"), "two!");
        assert_eq!(range.read(1).expect("a read"), "wo!");
        assert!(range.read(4).expect("a read").is_empty());
    }

    #[test]
    fn what_was_just_written_is_read_without_blocking() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let head: Vec<u8> = (0..200_000_u32).map(|byte| byte.to_le_bytes()[0]).collect();
        let run = RunFile::create(&folder.path().join("0.mp4"), &head).expect("a file");
        let range = FileRange::new(run.shared(), 10, 199_000);
        let mut read = Vec::new();
        while read.len() < 199_000 {
            let at = read.len() as u64;
            // A file system that cannot tell answers None, and is read in the other way.
            let piece = range.read_cached(at);
            let piece = piece.unwrap_or_else(|| range.read(at).expect("a read"));
            assert!(!piece.is_empty());
            read.extend_from_slice(&piece);
        }
        assert!(read == head[10..199_010]);
        assert_eq!(range.read_cached(199_000), Some(Bytes::new()));
        let beyond = FileRange::new(run.shared(), 200_000, 10);
        assert_eq!(beyond.read_cached(0), None);
        assert!(beyond.read(0).is_err());
    }

    #[test]
    fn an_existing_file_is_never_written_over() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let path = folder.path().join("0.mp4");
        fs::write(&path, b"somebody's").expect("a file");
        let refused = RunFile::create(&path, b"head").expect_err("it is there");
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn sealing_adds_the_index_and_rewrites_the_header_only() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let path = folder.path().join("0.mp4");
        let head = [b'h'; 20];
        let mut run = RunFile::create(&path, &head).expect("a file");
        run.append(&[Bytes::from_static(b"part")]).expect("room");
        let length = run.seal(b"moov", &[b'M'; 16], 2).expect("sealed");
        let bytes = fs::read(&path).expect("the file");
        assert_eq!(bytes, b"hhMMMMMMMMMMMMMMMMhhpartmoov");
        assert_eq!(length, bytes.len() as u64);
    }
}
