//! The page, embedded; no logic.
//!
//! The source lies in `web/` and is served as it is: plain ES modules and one style sheet, no build step. All assets
//! share one address prefix that holds the hash of all of them, so that their relative imports carry it along and each
//! can be cached for ever. The page itself names that prefix and must be asked for anew each time.

mod asset;

pub use asset::{Asset, asset, index};
