//! The file that was sent, for as long as something is made of it. It is never served and is no object: it may say
//! where it was filmed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::base::{MediaId, blocking};

/// The folder of such files, one for each video that is being made.
#[derive(Clone, Debug)]
pub(super) struct Originals {
    folder: PathBuf,
}

impl Originals {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn path(&self, media: MediaId) -> PathBuf {
        self.folder.join(media.to_string())
    }

    /// Takes the file beside where it lies: whoever gave it may remove it once the video's row is written.
    pub(super) async fn take(&self, file: &Path, media: MediaId) -> io::Result<()> {
        let (from, to) = (file.to_owned(), self.path(media));
        blocking(move || {
            to.parent().map_or(Ok(()), fs::create_dir_all)?;
            match fs::hard_link(&from, &to) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                // Another disk.
                Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                    fs::copy(&from, &to).map(|_| ())
                }
                linked => linked,
            }
        })
        .await
    }

    /// Opens it for a child.
    pub(super) async fn open(&self, media: MediaId) -> io::Result<File> {
        let path = self.path(media);
        blocking(move || File::open(path)).await
    }

    /// Nothing more is made of it.
    pub(super) async fn drop(&self, media: MediaId) -> io::Result<()> {
        let path = self.path(media);
        blocking(move || match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
        .await
    }

    /// Which videos have one.
    pub(super) async fn all(&self) -> io::Result<Vec<MediaId>> {
        let folder = self.folder.clone();
        blocking(move || {
            let entries = match fs::read_dir(folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                entries => entries?,
            };
            let mut all = Vec::new();
            for entry in entries {
                all.extend(entry?.file_name().to_string_lossy().parse::<MediaId>().ok());
            }
            Ok(all)
        })
        .await
    }
}
