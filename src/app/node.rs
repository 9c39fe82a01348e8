//! The name of a data folder: rows that only it can serve carry it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

use super::DataDir;
use crate::base::random_hex;

/// Made once; whoever copies a data folder to another machine and runs both takes it out of one.
const NODE_FILE: &str = "griot.node";

/// The name of this folder, made when it has none. Processes that start on it at once get the same.
///
/// # Errors
/// The folder cannot be read or written.
pub(super) fn node(folder: &DataDir) -> io::Result<String> {
    let path = folder.join(NODE_FILE);
    let noted = |path| fs::read_to_string(path).map(|text| text.trim().to_owned());
    match noted(&path) {
        Ok(name) if !name.is_empty() => return Ok(name),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Whole before it has its name, and never in place of one that is there.
    let draft = folder.join(&format!("{NODE_FILE}.{}", std::process::id()));
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(random_hex::<6>().as_bytes())?;
    file.sync_all()?;
    match fs::hard_link(&draft, &path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    fs::remove_file(&draft)?;
    noted(&path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_keeps_its_name_and_no_two_have_the_same() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let one = DataDir::open_or_create(one.path()).unwrap();
        let other = DataDir::open_or_create(other.path()).unwrap();
        let name = node(&one).unwrap();
        assert_eq!(name.len(), 12);
        assert_eq!(node(&one).unwrap(), name);
        assert_ne!(node(&other).unwrap(), name);
        assert_eq!(
            fs::read_dir(one.path()).unwrap().count(),
            1,
            "no draft stays"
        );
    }
}
