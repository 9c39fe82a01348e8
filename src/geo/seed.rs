//! The loader's file, and putting it into the store.

use crate::store::{GeoSeed, Store, StoreError};

/// The places of the loader's file (contract §7), parents before children, ids from 1 in its order.
#[must_use]
pub fn guinea() -> GeoSeed {
    unimplemented!()
}

/// Puts the loader's places into the store; at each start, any number of times.
///
/// # Errors
/// As [`Store::seed_places`].
pub async fn seed(store: &Store) -> Result<(), StoreError> {
    store.seed_places(&guinea()).await
}
