//! The data folder: everything griot keeps lies in it, and one server at a time owns it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use rustix::fs::{FlockOperation, flock};

const LOCK_FILE: &str = "griot.lock";

/// A data folder that exists.
#[derive(Clone, Debug)]
pub struct DataDir(PathBuf);

/// Held while a server runs on the folder; the kernel lets go of it when the process ends, however.
#[derive(Debug)]
pub struct DataDirLock(File);

impl DataDirLock {
    /// Leaves a line for other commands, such as where the server listens.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn note(&self, line: &str) -> io::Result<()> {
        self.0.set_len(0)?;
        self.0.write_all_at(line.as_bytes(), 0)
    }
}

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

    /// What the server that runs on the folder has noted; `None` when none runs, or it has not yet.
    #[must_use]
    pub fn note_of_server(&self) -> Option<String> {
        match self.try_lock() {
            Ok(None) => std::fs::read_to_string(self.join(LOCK_FILE)).ok(),
            _ => None,
        }
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
            .open(self.join(LOCK_FILE))?;
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
    fn a_note_is_there_as_long_as_its_server() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = DataDir::open_or_create(scratch.path()).unwrap();
        assert_eq!(folder.note_of_server(), None);
        let held = folder.lock().unwrap();
        held.note("a longer line").unwrap();
        held.note("ready").unwrap();
        assert_eq!(folder.note_of_server().as_deref(), Some("ready"));
        drop(held);
        assert_eq!(folder.note_of_server(), None);
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
