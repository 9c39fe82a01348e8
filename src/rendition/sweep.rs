//! What a crash between two steps leaves in the spool and nobody needs: files without media, empty folders.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::fmp4;

/// Removes files below `spool` that are not `named` by a row and hold no media (a run's file is made before its
/// row, and its row before its first part), and folders that are empty. A file with media that no row names
/// stays: rows and spool may have been mixed up, and `griot check` tells. Answers how many files went. Blocks.
///
/// # Errors
/// When the spool cannot be read.
pub fn sweep(spool: &Path, named: &HashSet<PathBuf>) -> io::Result<usize> {
    let mut swept = 0;
    sweep_folder(spool, named, &mut swept)?;
    Ok(swept)
}

/// Removes the folders above a file that has left the spool, as far as they are empty. Blocks.
pub(super) fn leave_folders(spool: &Path, gone: &Path) {
    let above = gone.ancestors().skip(1);
    for folder in above.take_while(|folder| *folder != spool && folder.starts_with(spool)) {
        // Not empty: another run lies there.
        if fs::remove_dir(folder).is_err() {
            return;
        }
    }
}

/// Answers whether the folder is empty now.
fn sweep_folder(folder: &Path, named: &HashSet<PathBuf>, swept: &mut usize) -> io::Result<bool> {
    let mut empty = true;
    for entry in fs::read_dir(folder)? {
        match sweep_entry(&entry?.path(), named, swept) {
            Ok(gone) => empty &= gone,
            // A run that is made final in the meantime has left.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(empty)
}

/// Answers whether it is gone now.
fn sweep_entry(path: &Path, named: &HashSet<PathBuf>, swept: &mut usize) -> io::Result<bool> {
    if path.is_dir() {
        let empty = sweep_folder(path, named, swept)?;
        if empty {
            fs::remove_dir(path)?;
        }
        return Ok(empty);
    }
    if named.contains(path) {
        return Ok(false);
    }
    let useless = holds_no_media(path)?;
    if useless {
        fs::remove_file(path)?;
        *swept += 1;
    } else {
        tracing::warn!(path = %path.display(), "no row names this file; see griot check");
    }
    Ok(useless)
}

/// A run's head and nothing behind it, or not even that.
fn holds_no_media(path: &Path) -> io::Result<bool> {
    /// A head is shorter: two boxes and codec configurations.
    const HEAD_MAX: u64 = 64 << 10;
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    Ok(match fmp4::scan_head(&mut file) {
        Ok(head) => head.length == length,
        Err(_) => length < HEAD_MAX && begins_like_a_run(path)?,
    })
}

/// Whether all of a torn head is a run's: it may be empty.
fn begins_like_a_run(path: &Path) -> io::Result<bool> {
    let bytes = fs::read(path)?;
    Ok(bytes.len() < 8 || bytes[4..8] == *b"ftyp")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_no_media_and_has_no_row_goes_and_the_rest_stays() {
        let scratch = tempfile::tempdir().unwrap();
        let spool = scratch.path();
        let run = |live: &str| spool.join(live).join("source/0.mp4");
        for live in ["1", "2", "3", "4"] {
            fs::create_dir_all(run(live).parent().unwrap()).unwrap();
        }
        fs::write(run("1"), b"").unwrap();
        fs::write(run("2"), b"").unwrap();
        fs::write(run("3"), b"\0\0\0\x24ftypisom").unwrap();
        fs::write(run("4"), b"somebody's holiday").unwrap();
        let named = HashSet::from([run("2")]);
        assert_eq!(sweep(spool, &named).unwrap(), 2);
        assert!(!spool.join("1").exists() && !spool.join("3").exists());
        assert!(run("2").exists() && run("4").exists());
        assert!(spool.exists(), "the spool itself stays");
    }
}
