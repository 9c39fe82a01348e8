//! Objects in a folder of the local disk.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Listed, ObjectKey};

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

    /// Takes a finished, synced file of this disk by renaming it; an object that is there is replaced.
    ///
    /// # Errors
    /// `NotFound` when there is no such file; when renaming fails.
    pub fn take(&self, file: &Path, key: &ObjectKey) -> io::Result<()> {
        let target = self.path(key);
        let folder = target.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder)?;
        fs::rename(file, &target)?;
        File::open(folder)?.sync_all()
    }

    /// Opens an object for reading.
    ///
    /// # Errors
    /// `NotFound` when there is no such object.
    pub fn read(&self, key: &ObjectKey) -> io::Result<File> {
        File::open(self.path(key))
    }

    /// The length of an object.
    ///
    /// # Errors
    /// `NotFound` when there is no such object.
    pub fn length(&self, key: &ObjectKey) -> io::Result<u64> {
        fs::metadata(self.path(key)).map(|found| found.len())
    }

    /// Makes a small object, durable; one that is there is replaced.
    ///
    /// # Errors
    /// What the disk says.
    pub fn put(&self, key: &ObjectKey, bytes: &[u8]) -> io::Result<()> {
        let target = self.path(key);
        let folder = target.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder)?;
        // Lists show no name that begins with a dot: what is half written is no object.
        let half = self
            .root
            .join(format!(".{}", key.as_str().replace('/', "-")));
        let mut file = File::create(&half)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&half, &target)?;
        File::open(folder)?.sync_all()
    }

    /// Removes an object; one that is not there is as good. Folders that it leaves empty go too.
    ///
    /// # Errors
    /// What the disk says.
    pub fn delete(&self, key: &ObjectKey) -> io::Result<()> {
        let path = self.path(key);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let above = path.ancestors().skip(1);
        for folder in above.take_while(|folder| *folder != self.root) {
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Every object whose path begins with `below`, by path.
    ///
    /// # Errors
    /// What the disk says.
    pub fn list(&self, below: &str) -> io::Result<Vec<Listed>> {
        let mut objects = Vec::new();
        collect(&self.root, "", &mut objects)?;
        objects.retain(|object| object.path.starts_with(below));
        objects.sort();
        Ok(objects)
    }

    /// Where an object lies on this disk.
    #[must_use]
    pub fn path(&self, key: &ObjectKey) -> PathBuf {
        self.root.join(key.as_str())
    }
}

/// Adds the files of `folder`, whose path below the root is `above`.
fn collect(folder: &Path, above: &str, objects: &mut Vec<Listed>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        let path = format!("{above}{name}");
        // It may have been deleted since.
        let Ok(found) = entry.metadata() else {
            continue;
        };
        if found.is_dir() {
            collect(&entry.path(), &format!("{path}/"), objects)?;
        } else {
            let bytes = found.len();
            objects.push(Listed { path, bytes });
        }
    }
    Ok(())
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
