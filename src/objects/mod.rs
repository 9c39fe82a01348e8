//! Where finished bytes lie: object keys and the directory store. (S3 joins behind the same key.)
//!
//! Objects never change once they are there. A row that names an object is written after it.

mod directory;
mod key;

pub use directory::Directory;
pub use key::ObjectKey;
