//! Objects in a folder of the local disk.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::ObjectKey;

/// A folder that holds objects. All methods block: call them where blocking is allowed.
#[derive(Clone, Debug)]
pub struct Directory {
    root: PathBuf,
}

impl Directory {
    /// Opens, and makes when missing, the folder `root`.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        fs::create_dir_all(&root)?;
        Ok(Self { root })
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Takes over a finished, synced spool file by renaming it; after a power loss it is at one of the
    /// two places. An object that is already there under this key is the same file from an earlier try.
    ///
    /// # Errors
    /// When renaming fails, for example because spool and objects are on two file systems.
    pub fn adopt(&self, spool: &Path, key: &ObjectKey) -> io::Result<()> {
        let target = self.path(key);
        if !spool.exists() && target.exists() {
            return Ok(());
        }
        let folder = target.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder)?;
        fs::rename(spool, &target)?;
        File::open(folder)?.sync_all()
    }

    /// Opens an object for reading.
    ///
    /// # Errors
    /// `NotFound` when there is no such object.
    pub fn read(&self, key: &ObjectKey) -> io::Result<File> {
        File::open(self.path(key))
    }

    /// Where an object lies on this disk.
    #[must_use]
    pub fn path(&self, key: &ObjectKey) -> PathBuf {
        self.root.join(key.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::LiveId;

    #[test]
    fn adopting_twice_is_adopting_once() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let objects = Directory::open(folder.path().join("objects")).expect("a store");
        let key = ObjectKey::run(LiveId(7), "source", 0);
        let spool = folder.path().join("run.mp4");
        fs::write(&spool, b"moov").expect("a spool file");
        objects.adopt(&spool, &key).expect("the first time");
        objects.adopt(&spool, &key).expect("the second time");
        assert_eq!(fs::read(objects.path(&key)).expect("the object"), b"moov");
    }
}
