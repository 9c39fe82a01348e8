//! Where finished bytes lie: object keys, and two stores behind them: a directory, and anything that speaks S3.
//!
//! Objects never change once they are there. A row that names an object is written after it. This room knows
//! no rows and retries little: who needs an object for sure keeps trying by itself.

mod directory;
mod error;
mod key;
mod multipart;
mod probe;
mod s3;
mod store;
mod stream;

pub use directory::Directory;
pub use error::ObjectError;
pub use key::ObjectKey;
pub use multipart::{PendingUpload, SentPart, UploadId};
pub use s3::{S3, S3Config};
pub use store::{Listed, ObjectPage, Objects};
pub use stream::ObjectStream;
