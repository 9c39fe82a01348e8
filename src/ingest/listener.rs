//! The RTMP socket: accepts under limits, one task for each connection.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::Config;
use super::connection::{self, Outcome};
use super::slots::{Slot, Slots};
use crate::base::Tasks;
use crate::live::{PublishRefusal, PublishRequest, Publisher};

/// Who decides about a publish; in the server it is `live::Lives::publish`.
pub type PublishDoor = Arc<
    dyn Fn(PublishRequest) -> BoxFuture<'static, Result<Publisher, PublishRefusal>> + Send + Sync,
>;

/// Connections that the kernel keeps while we are busy. When a server comes back, all its encoders come at once.
const BACKLOG: i32 = 1_024;
/// After an accept that failed, for want of descriptors mostly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound RTMP socket.
pub struct RtmpListener {
    config: Config,
    door: PublishDoor,
    socket: TcpListener,
    address: SocketAddr,
    slots: Slots,
}

impl fmt::Debug for RtmpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RtmpListener")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl RtmpListener {
    /// Binds `config.rtmp_listen`. Needs a tokio runtime.
    ///
    /// # Errors
    /// The address is taken or is not ours.
    pub fn bind(config: Config, door: PublishDoor) -> io::Result<Self> {
        let wanted = config.rtmp_listen;
        let socket = Socket::new(
            Domain::for_address(wanted),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        // Without it a restart waits for the last connections' TIME_WAIT.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&wanted.into())?;
        socket.listen(BACKLOG)?;
        let socket = TcpListener::from_std(socket.into())?;
        let address = socket.local_addr()?;
        let slots = Slots::new(config.max_connections, config.max_connections_per_address);
        Ok(Self {
            config,
            door,
            socket,
            address,
            slots,
        })
    }

    /// Where it listens; tells the port when 0 was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Accepts until `tasks` is told to stop; connections are tasks of the same set. Those that do not publish yet
    /// end with it; a publish ends when its live says so.
    pub async fn run(self, tasks: Tasks) {
        let stopping = tasks.stopping();
        let config = Arc::new(self.config);
        let mut connection_id = 0u64;
        loop {
            let accepted = tokio::select! {
                biased;
                () = stopping.cancelled() => return,
                accepted = self.socket.accept() => accepted,
            };
            let (socket, remote) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "an RTMP connection cannot be accepted");
                    tokio::select! {
                        () = stopping.cancelled() => return,
                        () = sleep(ACCEPT_PAUSE) => continue,
                    }
                }
            };
            let Some(slot) = self.slots.take(remote.ip()) else {
                tracing::debug!(%remote, "too many RTMP connections");
                count(Outcome::Limit);
                continue;
            };
            connection_id += 1;
            let span = tracing::info_span!("rtmp", connection.id = connection_id, %remote);
            let connection = serve(
                socket,
                remote,
                slot,
                Arc::clone(&config),
                Arc::clone(&self.door),
                stopping.clone(),
            );
            span.in_scope(|| drop(tasks.spawn(connection)));
        }
    }
}

async fn serve(
    socket: TcpStream,
    remote: SocketAddr,
    slot: Slot,
    config: Arc<Config>,
    door: PublishDoor,
    stopping: tokio_util::sync::CancellationToken,
) {
    // What we send is small and awaited.
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY is not to be had");
    }
    let origin = connection::Origin {
        protocol: "rtmp",
        address: remote.ip().to_canonical(),
    };
    let outcome = connection::serve(socket, origin, &config, &door, &stopping).await;
    count(outcome);
    drop(slot);
}

fn count(outcome: Outcome) {
    metrics::counter!("griot_rtmp_connections_total", "outcome" => outcome.as_str()).increment(1);
}
