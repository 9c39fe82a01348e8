//! The data folder: everything griot keeps lies in it, and one server at a time owns it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use rustix::fs::{FlockOperation, flock};

/// A data folder that exists.
#[derive(Clone, Debug)]
pub struct DataDir(PathBuf);

/// Held while a server runs on the folder; the kernel lets go of it when the process ends, however.
#[derive(Debug)]
pub struct DataDirLock(#[expect(dead_code, reason = "held open, so that the lock lasts")] File);

impl DataDir {
    /// The folder at `path`, made for its owner alone when it is not there yet.
    ///
    /// # Errors
    /// It cannot be made or is no folder; the message names the key to change.
    pub fn open_or_create(path: &Path) -> anyhow::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| {
                format!(
                    "the data folder {} cannot be made; change data_dir (GRIOT_DATA_DIR)",
                    path.display()
                )
            })?;
        Ok(Self(path.to_owned()))
    }

    /// Where `name` lies in it.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Makes this process the folder's only server, and shows that it can be written.
    ///
    /// # Errors
    /// It is not writable, or another server holds it; the message names the key to change.
    pub fn lock(&self) -> anyhow::Result<DataDirLock> {
        self.try_lock()
            .with_context(|| {
                format!(
                    "the data folder {} cannot be written; change its owner, or data_dir (GRIOT_DATA_DIR)",
                    self.0.display()
                )
            })?
            .with_context(|| {
                format!(
                    "another griot runs on the data folder {}; stop it, or change data_dir (GRIOT_DATA_DIR)",
                    self.0.display()
                )
            })
    }

    /// As [`DataDir::lock`]; `None` when another server holds it.
    ///
    /// # Errors
    /// The folder is not writable.
    pub fn try_lock(&self) -> io::Result<Option<DataDirLock>> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(self.join("griot.lock"))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(DataDirLock(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_at_a_time_owns_the_folder() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = DataDir::open_or_create(&scratch.path().join("new/data")).unwrap();
        let held = folder.lock().unwrap();
        let refusal = folder.lock().unwrap_err().to_string();
        assert!(refusal.contains("another griot"), "{refusal}");
        assert!(refusal.contains("GRIOT_DATA_DIR"), "{refusal}");
        drop(held);
        folder.lock().unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_made_names_the_key() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = DataDir::open_or_create(&file.join("data")).unwrap_err();
        assert!(error.to_string().contains("GRIOT_DATA_DIR"));
    }
}
