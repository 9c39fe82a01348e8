//! Composition root: configuration (defaults, file, environment), telemetry, ordered start and stop.
//!
//! `config` is the only reader of files and environment for settings; each room gets its own `Config`
//! filled from it. `start` puts the rooms together and takes them apart again in order. No room below
//! may import this one.

mod addresses;
mod boot;
mod config;
mod data_dir;
mod lifecycle;
mod node;
mod rooms;
mod secret_key;
mod start;
mod telemetry;
mod work;

pub use addresses::Addresses;
pub use config::{
    Config, ConfigError, Database, DatabaseUrl, Http, Key, Objects, ObjectsUrl, Rtmp, keys,
};
pub use data_dir::{DataDir, DataDirLock};
pub use lifecycle::{Signals, raise_open_file_limit};
pub use rooms::Rooms;
pub use secret_key::SecretKey;
pub use start::{Server, start};
pub use telemetry::{install_metrics, log_to_stderr};
pub use work::{Worker, work};
