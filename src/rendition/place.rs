//! Where a run's bytes lie: still in this node's spool, or in the object store.

use std::path::PathBuf;

use crate::base::LiveId;
use crate::objects::{ObjectKey, Objects};

/// The place of a run's file, as its row says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Below the spool folder of the node that ingests it.
    Spool(ObjectKey),
    /// In the object store.
    Object(ObjectKey),
}

impl Place {
    /// Where run `number` of a live's rendition grows.
    pub(crate) fn growing(live: LiveId, rendition: &str, number: u32) -> Self {
        Self::Spool(ObjectKey::run(live, rendition, number))
    }

    /// The column `runs.path`: `spool:lives/7/source/0.mp4`, `object:lives/7/source/0.mp4`.
    #[must_use]
    pub fn to_row(&self) -> String {
        match self {
            Self::Spool(key) => format!("spool:{key}"),
            Self::Object(key) => format!("object:{key}"),
        }
    }

    /// Reads the column back; `None` for what this program never wrote.
    #[must_use]
    pub fn from_row(text: &str) -> Option<Self> {
        match text.split_once(':')? {
            ("spool", path) => ObjectKey::parse(path).map(Self::Spool),
            ("object", path) => ObjectKey::parse(path).map(Self::Object),
            _ => None,
        }
    }

    /// The key under which the object store has it, or will.
    #[must_use]
    pub fn key(&self) -> &ObjectKey {
        match self {
            Self::Spool(key) | Self::Object(key) => key,
        }
    }
}

/// The two places on this node.
#[derive(Clone, Debug)]
pub struct Places {
    /// Growing files.
    pub spool: PathBuf,
    /// Finished ones.
    pub objects: Objects,
}

impl Places {
    /// Where the file lies that a run's row names; `None` for a name that this program never wrote, and for
    /// one in a bucket.
    #[must_use]
    pub fn path_of_row(&self, row: &str) -> Option<PathBuf> {
        Place::from_row(row).and_then(|place| self.path(&place))
    }

    /// The path of a file on this disk; `None` for an object in a bucket.
    #[must_use]
    pub fn path(&self, place: &Place) -> Option<PathBuf> {
        match place {
            Place::Spool(key) => Some(self.spool_path(key)),
            Place::Object(key) => self.objects.path(key),
        }
    }

    /// Where an object grows before it is one.
    #[must_use]
    pub fn spool_path(&self, key: &ObjectKey) -> PathBuf {
        self.spool.join(key.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_its_row() {
        let growing = Place::growing(LiveId(7), "source", 1);
        assert_eq!(growing.to_row(), "spool:lives/7/source/1.mp4");
        assert_eq!(Place::from_row(&growing.to_row()), Some(growing));
        for bad in ["lives/7", "spool:../x", "s3:x"] {
            assert_eq!(Place::from_row(bad), None, "{bad}");
        }
    }
}
