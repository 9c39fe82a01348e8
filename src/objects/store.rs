//! One face for both stores.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;

use super::{Directory, ObjectError, ObjectKey, ObjectStream, S3};

/// A small object is sent within this time.
const PUT_WITHIN: Duration = Duration::from_secs(60);

/// Where finished media lie. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Objects {
    /// A folder of this machine: spool files are renamed into it.
    Directory(Directory),
    /// A bucket: spool files are sent to it.
    S3(S3),
}

/// An object in a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Below the store's root, `/` between its pieces; an [`ObjectKey`] if we made it.
    pub path: String,
    /// Its length.
    pub bytes: u64,
}

/// Some objects of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectPage {
    /// At most a thousand of a bucket, all of a folder; by path.
    pub objects: Vec<Listed>,
    /// What [`Objects::list`] wants to go on; `None` at the end.
    pub next: Option<String>,
}

impl From<Directory> for Objects {
    fn from(directory: Directory) -> Self {
        Self::Directory(directory)
    }
}

impl Objects {
    /// The bucket, if it is one.
    #[must_use]
    pub fn s3(&self) -> Option<&S3> {
        match self {
            Self::Directory(_) => None,
            Self::S3(s3) => Some(s3),
        }
    }

    /// The folder, if it is one.
    #[must_use]
    pub fn directory(&self) -> Option<&Directory> {
        match self {
            Self::Directory(directory) => Some(directory),
            Self::S3(_) => None,
        }
    }

    /// Where an object lies on this disk; `None` for a bucket.
    #[must_use]
    pub fn path(&self, key: &ObjectKey) -> Option<std::path::PathBuf> {
        self.directory().map(|directory| directory.path(key))
    }

    /// The length of an object.
    ///
    /// # Errors
    /// `Missing` when it is not there, `Refused`, `Away`, `Other`.
    pub async fn head(&self, key: &ObjectKey) -> Result<u64, ObjectError> {
        match self {
            Self::Directory(directory) => blocking(directory, key, Directory::length).await,
            Self::S3(s3) => s3.head(key).await,
        }
    }

    /// `length` bytes of an object from `offset`, as a stream. The range lies wholly in the object.
    ///
    /// # Errors
    /// `Missing` when it is not there, `Refused`, `Away`; `Other` when it is shorter.
    pub async fn read(
        &self,
        key: &ObjectKey,
        offset: u64,
        length: u64,
    ) -> Result<ObjectStream, ObjectError> {
        match self {
            Self::Directory(directory) => {
                let file = blocking(directory, key, Directory::read).await?;
                Ok(ObjectStream::file(file, offset, length))
            }
            Self::S3(s3) => s3.read(key, offset, length).await,
        }
    }

    /// Makes a small object, in one request and durable. One that is there is replaced.
    ///
    /// # Errors
    /// `Refused`, `Away`, `Other`.
    pub async fn put(&self, key: &ObjectKey, bytes: Bytes) -> Result<(), ObjectError> {
        match self {
            Self::Directory(directory) => {
                blocking(directory, key, move |directory, key| {
                    directory.put(key, &bytes)
                })
                .await
            }
            Self::S3(s3) => s3.put(key, bytes, PUT_WITHIN).await,
        }
    }

    /// Makes an object of a finished, synced file, whatever its size; one that is there is replaced. A folder takes the
    /// file by a rename, a bucket is sent it: where it was it may be gone afterwards.
    ///
    /// # Errors
    /// `Refused`, `Away`, `Other`; nothing half sent is left then, unless this process dies.
    pub async fn put_file(&self, key: &ObjectKey, path: &Path) -> Result<(), ObjectError> {
        match self {
            Self::Directory(directory) => {
                let path = path.to_owned();
                blocking(directory, key, move |directory, key| {
                    directory.take(&path, key)
                })
                .await
            }
            Self::S3(s3) => s3.put_file(key, path).await,
        }
    }

    /// Removes an object. One that is not there is as good.
    ///
    /// # Errors
    /// `Refused`, `Away`, `Other`.
    pub async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectError> {
        match self {
            Self::Directory(directory) => blocking(directory, key, Directory::delete).await,
            Self::S3(s3) => s3.delete(key).await,
        }
    }

    /// Objects whose path begins with `below` (all for an empty one), page by page: `after` is the last
    /// page's `next`.
    ///
    /// # Errors
    /// `Refused`, `Away`, `Other`.
    pub async fn list(&self, below: &str, after: Option<&str>) -> Result<ObjectPage, ObjectError> {
        match self {
            Self::Directory(directory) => {
                let (directory, below) = (directory.clone(), below.to_owned());
                let listed = tokio::task::spawn_blocking(move || directory.list(&below));
                let objects = listed.await.map_err(broken)??;
                Ok(ObjectPage {
                    objects,
                    next: None,
                })
            }
            Self::S3(s3) => s3.list(below, after).await,
        }
    }

    /// Everything whose path begins with `below`, all pages.
    ///
    /// # Errors
    /// As [`Objects::list`].
    pub async fn list_all(&self, below: &str) -> Result<Vec<Listed>, ObjectError> {
        let mut all = Vec::new();
        let mut next = None;
        loop {
            let page = self.list(below, next.as_deref()).await?;
            all.extend(page.objects);
            next = page.next;
            if next.is_none() {
                return Ok(all);
            }
        }
    }

    /// Where it is, for people: a path or `s3://bucket/prefix`.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Directory(directory) => Path::display(directory.root()).to_string(),
            Self::S3(s3) => format!("{s3:?}"),
        }
    }
}

async fn blocking<T: Send + 'static>(
    directory: &Directory,
    key: &ObjectKey,
    work: impl FnOnce(&Directory, &ObjectKey) -> std::io::Result<T> + Send + 'static,
) -> Result<T, ObjectError> {
    let (directory, key) = (directory.clone(), key.clone());
    let done = tokio::task::spawn_blocking(move || work(&directory, &key));
    Ok(done.await.map_err(broken)??)
}

fn broken(error: tokio::task::JoinError) -> ObjectError {
    ObjectError::Other(error.to_string())
}
