//! The private folder of what is half made: films on their way, and runs that had to be fetched from a bucket.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::base::{RecordingId, blocking, random_hex};
use crate::objects::{ObjectKey, Objects};
use crate::rendition::{Place, Places, SpoolRoom};

/// A folder whose files are named after their recording.
#[derive(Clone, Debug)]
pub(super) struct Workshop {
    folder: PathBuf,
    reserve_bytes: u64,
}

/// A file that is removed when it is dropped, unless it was taken from its place before.
#[derive(Debug)]
pub(super) struct Half {
    path: PathBuf,
    file: Arc<File>,
}

/// Why a run cannot be read here and now.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{needs} bytes are needed on the disk, and {free} are free beside the reserve")]
    NoRoom { needs: u64, free: u64 },
    /// Its file lies in the spool of another machine, until the bucket has it.
    #[error("{0} is not here, and not in the bucket yet")]
    Elsewhere(String),
    #[error(transparent)]
    Objects(#[from] crate::objects::ObjectError),
    #[error(transparent)]
    Disk(#[from] io::Error),
}

impl Workshop {
    pub(super) fn new(folder: PathBuf, reserve_bytes: u64) -> Self {
        Self {
            folder,
            reserve_bytes,
        }
    }

    /// A new file. Its name is random: of two attempts at once (one of which has lost its lease) neither can write, or move
    /// away, what is the other's.
    pub(super) async fn begin(&self, recording: RecordingId) -> io::Result<Half> {
        let folder = self.folder.clone();
        let name = format!("{recording}-{}", random_hex::<8>());
        blocking(move || {
            fs::create_dir_all(&folder)?;
            let path = folder.join(name);
            let file = File::create_new(&path)?;
            Ok(Half {
                path,
                file: Arc::new(file),
            })
        })
        .await
    }

    /// Whether `bytes` may be written.
    pub(super) async fn has_room(&self, bytes: u64) -> Result<(), FetchError> {
        let (folder, reserve) = (self.folder.clone(), self.reserve_bytes);
        let room = blocking(move || {
            fs::create_dir_all(&folder)?;
            SpoolRoom::of(&folder)
        });
        let room = room.await?;
        let free = room.free.saturating_sub(room.reserve(reserve));
        if bytes > free {
            return Err(FetchError::NoRoom { needs: bytes, free });
        }
        Ok(())
    }

    /// The file that a run's row names: where it lies, or fetched from the bucket. The second value removes what was fetched.
    pub(super) async fn open(
        &self,
        places: &Places,
        recording: RecordingId,
        row: &str,
        bytes: u64,
    ) -> Result<(File, Option<Half>), FetchError> {
        let elsewhere = || FetchError::Elsewhere(row.to_owned());
        let place = Place::from_row(row).ok_or_else(elsewhere)?;
        if let Some(path) = places.path(&place) {
            let opened = blocking(move || File::open(path)).await;
            return match opened {
                Ok(file) => Ok((file, None)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Err(elsewhere()),
                Err(error) => Err(error.into()),
            };
        }
        self.has_room(bytes).await?;
        let half = self.begin(recording).await?;
        half.fetch(&places.objects, place.key(), bytes).await?;
        Ok((half.file.try_clone()?, Some(half)))
    }

    /// The recordings that files here belong to.
    pub(super) async fn all(&self) -> io::Result<Vec<RecordingId>> {
        let folder = self.folder.clone();
        blocking(move || {
            let names = names(&folder)?;
            let ids = names.iter().filter_map(|name| owner(name));
            let mut ids: Vec<RecordingId> = ids.collect();
            ids.sort_unstable();
            ids.dedup();
            Ok(ids)
        })
        .await
    }

    /// Removes the files of a recording.
    pub(super) async fn clear(&self, recording: RecordingId) -> io::Result<usize> {
        let folder = self.folder.clone();
        blocking(move || {
            let mut cleared = 0;
            for name in names(&folder)? {
                if owner(&name) == Some(recording) {
                    remove(&folder.join(name))?;
                    cleared += 1;
                }
            }
            Ok(cleared)
        })
        .await
    }
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}

fn owner(name: &str) -> Option<RecordingId> {
    name.split_once('-')?.0.parse().ok()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl Half {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes behind what is there.
    pub(super) async fn append(&self, bytes: Vec<u8>) -> io::Result<()> {
        let file = Arc::clone(&self.file);
        blocking(move || (&*file).write_all(&bytes)).await
    }

    /// Writes over what is there, and makes all of it durable. Answers the length.
    pub(super) async fn complete(&self, patches: Vec<(u64, Vec<u8>)>) -> io::Result<u64> {
        let file = Arc::clone(&self.file);
        blocking(move || {
            for (at, patch) in patches {
                file.write_all_at(&patch, at)?;
            }
            file.sync_all()?;
            Ok(file.metadata()?.len())
        })
        .await
    }

    async fn fetch(
        &self,
        objects: &Objects,
        key: &ObjectKey,
        bytes: u64,
    ) -> Result<(), FetchError> {
        let mut stream = objects.read(key, 0, bytes).await?;
        while let Some(piece) = stream.next().await? {
            self.append(piece.to_vec()).await?;
        }
        Ok(())
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        // An unlink, also where an attempt was cancelled. What cannot be removed now is swept at the next start.
        remove(&self.path).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_half_made_goes_with_its_attempt_or_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let workshop = Workshop::new(folder.path().join("recordings"), 0);
        assert_eq!(workshop.all().await.unwrap(), []);
        let half = workshop.begin(RecordingId(7)).await.unwrap();
        half.append(b"half".to_vec()).await.unwrap();
        let bytes = half.complete(vec![(0, b"H".to_vec())]).await.unwrap();
        assert_eq!(
            (bytes, fs::read(half.path()).unwrap()),
            (4, b"Half".to_vec())
        );
        assert_eq!(workshop.all().await.unwrap(), [RecordingId(7)]);
        drop(half);
        assert_eq!(workshop.all().await.unwrap(), []);
        let killed = workshop.begin(RecordingId(8)).await.unwrap();
        std::mem::forget(killed);
        assert_eq!(workshop.clear(RecordingId(7)).await.unwrap(), 0);
        assert_eq!(workshop.clear(RecordingId(8)).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn nothing_is_begun_that_would_fill_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let workshop = Workshop::new(folder.path().join("recordings"), 0);
        workshop.has_room(1_000).await.unwrap();
        let too_much = workshop.has_room(u64::MAX).await;
        assert!(matches!(too_much, Err(FetchError::NoRoom { .. })));
    }
}
