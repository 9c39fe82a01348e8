//! Opening, migrating and closing; one enum of two native pools.

use super::StoreError;

/// Where the rows are.
#[derive(Clone, Debug)]
pub struct Config {
    /// `sqlite:PATH` (created when it is not there) or `postgres://…`.
    pub url: String,
}

/// One step of the migrations, before it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrating {
    /// Its number.
    pub version: i64,
    /// Its name.
    pub name: String,
    /// Which step of this start it is, from 1.
    pub step: usize,
    /// How many steps this start takes.
    pub steps: usize,
}

/// The rows. Cheap to clone; clones share the pools.
#[derive(Clone, Debug)]
pub struct Store;

impl Store {
    /// Opens the database and brings its schema to this program's version.
    ///
    /// # Errors
    /// `Config` for an address that is not understood, `Unavailable` when nothing answers there, `Migration`.
    pub async fn open(config: &Config) -> Result<Self, StoreError> {
        Self::open_telling(config, &mut |_| {}).await
    }

    /// [`Store::open`], telling `progress` of each migration before it runs.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_telling(
        _config: &Config,
        _progress: &mut (dyn FnMut(Migrating) + Send),
    ) -> Result<Self, StoreError> {
        unimplemented!()
    }

    /// Waits for what runs and closes the pools; later calls fail with `Unavailable`.
    pub async fn close(&self) {
        unimplemented!()
    }
}
