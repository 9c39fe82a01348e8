//! A disk that can be filled: a tmpfs of its own.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Unmounted on drop.
pub(crate) struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// A disk of so many MiB.
    pub(crate) fn of(mebibytes: u32) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={mebibytes}m"),
                "griot-test",
            ])
            .arg(folder.path())
            .output()
            .expect("mount starts");
        assert!(
            mounted.status.success(),
            "a small disk needs the right to mount: run the tests as root, or by \
             `unshare --map-root-user --mount script/test`. mount said: {}",
            String::from_utf8_lossy(&mounted.stderr)
        );
        Self { folder }
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes until not a byte has room.
    pub(crate) fn fill(&self) {
        let mut ballast = File::create(self.ballast()).expect("room for a name");
        let mut size = 1 << 20;
        while size > 0 {
            match ballast.write(&vec![0; size]) {
                Ok(written) if written == size => {}
                _ => size /= 2,
            }
        }
    }

    /// Takes away what [`Self::fill`] has written.
    pub(crate) fn make_room(&self) {
        std::fs::remove_file(self.ballast()).expect("it was filled");
    }

    fn ballast(&self) -> PathBuf {
        self.folder.path().join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A server that dies in this moment still holds files: lazily.
        let unmounted = Command::new("umount").arg("-l").arg(self.path()).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} stays mounted", self.path().display());
        }
    }
}
