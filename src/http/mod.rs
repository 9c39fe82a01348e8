//! The only axum: router, extraction, errors, one file per area.
//!
//! A request passes `server` (listeners), `connection` (HTTP/1.1, HTTP/2), `router` (what every request passes), then the file of its area;
//! media below `/live/` leave before the router. Services are called with plain arguments, what they answer
//! is put into the contract's shapes here and nowhere else: statuses and bodies of failures in `error`,
//! sentences in `words`, addresses in `links`.

mod address;
mod auth;
mod client;
mod config;
mod connection;
mod counts;
mod doctor;
mod error;
mod extract;
mod geo;
mod headers;
mod health;
mod hls;
mod language;
mod limits;
mod links;
mod live;
mod live_recording;
mod live_view;
mod live_webm;
mod media;
mod media_api;
mod media_files;
mod media_view;
mod member;
mod page;
mod pages;
mod poster;
mod range;
mod recordings;
mod renditions;
mod router;
mod server;
mod taken;
#[cfg(test)]
mod tests;
mod tus;
mod uploads;
mod users;
mod videos;
mod words;

use std::fmt;
use std::sync::Arc;

pub use config::{Config, MetricsTo, Network, NotANetwork};
pub use server::{Bound, bind};

/// The rooms that answers come from.
#[derive(Clone)]
pub struct Services {
    /// Lives, running and ended.
    pub lives: crate::live::Lives,
    /// Members, tokens, stream keys.
    pub accounts: crate::accounts::Accounts,
    /// Videos of members.
    pub videos: crate::media::video::Videos,
    /// What lives leave behind.
    pub recordings: crate::recording::Recordings,
    /// Rows that need no service: places, and a live's title for the name of its download.
    pub store: crate::store::Store,
    /// Work that outlives a request.
    pub jobs: crate::jobs::Jobs,
    /// Members' images and videos.
    pub medias: crate::media::Medias,
    /// What members send.
    pub uploads: crate::uploads::Uploads,
    /// Cancelled when the server begins to stop: it still answers, but is not ready any more.
    pub stopping: tokio_util::sync::CancellationToken,
    /// Renders all metrics in Prometheus' text format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").finish_non_exhaustive()
    }
}
