//! Whether the system went down under the last server: then only what was synced has survived for sure.

use std::fs;
use std::io;

use super::DataDir;
use crate::live::Survived;

/// Holds the id of the boot in which a server runs on the folder; gone after an orderly stop.
const BOOT_FILE: &str = "griot.boot";
/// random(4): a new text for each boot. Elsewhere than on Linux there is none, and no boot is told from another.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What survived the end of the last server on the folder.
///
/// # Errors
/// The folder cannot be read.
pub(super) fn survived(folder: &DataDir) -> io::Result<Survived> {
    match fs::read_to_string(folder.join(BOOT_FILE)) {
        Ok(noted) if noted != boot_id() => Ok(Survived::Synced),
        Ok(_) => Ok(Survived::Written),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Survived::Written),
        Err(error) => Err(error),
    }
}

/// Notes that a server writes in this boot. Once all is taken up that the last one left, and before anything new.
///
/// # Errors
/// The folder cannot be written.
pub(super) fn server_runs(folder: &DataDir) -> io::Result<()> {
    let path = folder.join(BOOT_FILE);
    fs::write(&path, boot_id())?;
    fs::File::open(&path)?.sync_all()?;
    fs::File::open(folder.path())?.sync_all()
}

fn boot_id() -> String {
    fs::read_to_string(BOOT_ID).unwrap_or_default()
}

/// Notes that all is on disk: whatever happens to the system now, nothing is lost.
pub(super) fn server_stopped(folder: &DataDir) {
    if let Err(error) = fs::remove_file(folder.join(BOOT_FILE)) {
        tracing::warn!(%error, "the orderly stop could not be noted");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_without_an_orderly_stop_before_it_is_told_from_a_crash_of_the_server() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = DataDir::open_or_create(scratch.path()).unwrap();
        assert_eq!(survived(&folder).unwrap(), Survived::Written, "first");
        server_runs(&folder).unwrap();
        assert_eq!(survived(&folder).unwrap(), Survived::Written, "killed");
        fs::write(folder.join(BOOT_FILE), "another boot").unwrap();
        assert_eq!(survived(&folder).unwrap(), Survived::Synced);
        server_stopped(&folder);
        assert_eq!(survived(&folder).unwrap(), Survived::Written);
    }
}
