//! Regions, prefectures, communes and quartiers of Guinea.
//!
//! Owns the loader's file and how a quartier is named and found; the rows are in `store`.

mod address;
mod find;
mod fold;
mod seed;

pub use address::{FullAddress, full_address, location_info};
pub use find::{GeoError, resolve_quartier};
pub use fold::fold;
pub use seed::{guinea, seed};
