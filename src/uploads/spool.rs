//! The private folder of bytes that are not judged yet: one file for each upload, named by its id.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::base::UploadId;

/// The folder. All methods block.
#[derive(Clone, Debug)]
pub(super) struct Spool {
    root: PathBuf,
}

impl Spool {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Makes the folder, for its owner alone.
    pub(super) fn make(&self) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.root)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn path(&self, id: UploadId) -> PathBuf {
        self.root.join(id.to_string())
    }

    /// Where the length stands to which an unverified body is cut back.
    fn mark(&self, id: UploadId) -> PathBuf {
        self.root.join(format!("{id}.mark"))
    }

    /// Opens an upload's file to write behind its end; made when it is not there.
    pub(super) fn open(&self, id: UploadId) -> io::Result<File> {
        self.make()?;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.path(id))?;
        Ok(file)
    }

    /// How many bytes there are. What a crash has left of a body that was to be verified is cut off first.
    pub(super) fn length(&self, id: UploadId) -> io::Result<u64> {
        if let Ok(mark) = fs::read_to_string(self.mark(id)) {
            self.cut(id, mark.trim().parse().unwrap_or(0))?;
            self.unmark(id)?;
        }
        match fs::metadata(self.path(id)) {
            Ok(found) => Ok(found.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Makes durable what there is; answers how much.
    pub(super) fn sync(&self, id: UploadId) -> io::Result<u64> {
        match File::open(self.path(id)) {
            Ok(file) => {
                file.sync_data()?;
                File::open(&self.root)?.sync_all()?;
                Ok(file.metadata()?.len())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Keeps the first `length` bytes, if there are more.
    pub(super) fn cut(&self, id: UploadId, length: u64) -> io::Result<()> {
        match OpenOptions::new().write(true).open(self.path(id)) {
            Ok(file) if file.metadata()?.len() > length => {
                file.set_len(length)?;
                file.sync_data()
            }
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Notes that what comes behind `length` counts only once it is verified.
    pub(super) fn mark_unverified(&self, id: UploadId, length: u64) -> io::Result<()> {
        self.make()?;
        fs::write(self.mark(id), length.to_string())
    }

    /// It is verified, or cut off.
    pub(super) fn unmark(&self, id: UploadId) -> io::Result<()> {
        gone(fs::remove_file(self.mark(id)))
    }

    /// Removes all of an upload; nothing there is as good.
    pub(super) fn remove(&self, id: UploadId) -> io::Result<()> {
        self.unmark(id)?;
        gone(fs::remove_file(self.path(id)))
    }

    /// Every upload of which something is there.
    pub(super) fn ids(&self) -> io::Result<Vec<UploadId>> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let name = entry?.file_name();
            let name = name.to_string_lossy();
            let id = name.strip_suffix(".mark").unwrap_or(&name);
            ids.extend(id.parse::<UploadId>());
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }
}

fn gone(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_verified_does_not_survive_a_crash() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::new(folder.path().join("uploads"));
        let id = UploadId(7);
        spool.open(id).unwrap();
        fs::write(spool.path(id), b"verified, not verified").unwrap();
        spool.mark_unverified(id, 8).unwrap();
        assert_eq!(spool.length(id).unwrap(), 8);
        assert_eq!(fs::read(spool.path(id)).unwrap(), b"verified");
        assert_eq!(spool.ids().unwrap(), [id]);
        spool.remove(id).unwrap();
        spool.remove(id).unwrap();
        assert_eq!(spool.ids().unwrap(), []);
        assert_eq!(spool.length(id).unwrap(), 0);
    }
}
