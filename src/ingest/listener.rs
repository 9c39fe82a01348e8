//! The RTMP sockets, plain and over TLS: accept under limits, one task for each connection.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::Config;
use super::connection::{self, Outcome};
use super::sparing::{Rest, Sparing};
use crate::base::{Slot, Slots, Tasks};
use crate::live::{PublishRefusal, PublishRequest, Publisher};
use crate::tls::Acceptor;

/// Who decides about a publish; in the server it is `live::Lives::publish`.
pub type PublishDoor = Arc<
    dyn Fn(PublishRequest) -> BoxFuture<'static, Result<Publisher, PublishRefusal>> + Send + Sync,
>;

/// Connections that the kernel keeps while we are busy. When a server comes back, all its encoders come at once.
const BACKLOG: i32 = 1_024;
/// After an accept that failed, for want of descriptors mostly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound RTMP socket, and perhaps one more for RTMPS.
pub struct RtmpListener {
    config: Config,
    door: PublishDoor,
    plain: Bound,
    secure: Option<(Bound, Acceptor)>,
    slots: Slots,
}

struct Bound {
    socket: TcpListener,
    address: SocketAddr,
}

impl fmt::Debug for RtmpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RtmpListener")
            .field("address", &self.plain.address)
            .finish_non_exhaustive()
    }
}

impl Bound {
    fn open(wanted: SocketAddr) -> io::Result<Self> {
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
        Ok(Self { socket, address })
    }
}

impl RtmpListener {
    /// Binds `config.rtmp_listen`. Needs a tokio runtime.
    ///
    /// # Errors
    /// The address is taken or is not ours.
    pub fn bind(config: Config, door: PublishDoor) -> io::Result<Self> {
        let plain = Bound::open(config.rtmp_listen)?;
        let slots = Slots::new(
            config.max_connections,
            config.max_connections_per_address,
            metrics::gauge!("griot_rtmp_connections"),
        );
        Ok(Self {
            config,
            door,
            plain,
            secure: None,
            slots,
        })
    }

    /// Binds a second address, for RTMP over TLS. Both share the limits.
    ///
    /// # Errors
    /// The address is taken or is not ours.
    pub fn with_rtmps(mut self, address: SocketAddr, acceptor: Acceptor) -> io::Result<Self> {
        self.secure = Some((Bound::open(address)?, acceptor));
        Ok(self)
    }

    /// Where it listens; tells the port when 0 was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.plain.address
    }

    /// The same for RTMPS, if there is any.
    #[must_use]
    pub fn rtmps_addr(&self) -> Option<SocketAddr> {
        self.secure.as_ref().map(|(bound, _)| bound.address)
    }

    /// Accepts until `tasks` is told to stop; connections are tasks of the same set. Those that do not publish yet
    /// end with it; a publish ends when its live says so.
    pub async fn run(self, tasks: Tasks) {
        let house = House {
            config: Arc::new(self.config),
            door: self.door,
            slots: self.slots,
            tasks,
            connections: AtomicU64::new(0),
        };
        let secure = async {
            if let Some((bound, acceptor)) = self.secure {
                house.accept_all(bound.socket, Some(acceptor)).await;
            }
        };
        tokio::join!(house.accept_all(self.plain.socket, None), secure);
    }
}

/// What the connections of both sockets share.
struct House {
    config: Arc<Config>,
    door: PublishDoor,
    slots: Slots,
    tasks: Tasks,
    /// How many there have been.
    connections: AtomicU64,
}

impl House {
    async fn accept_all(&self, socket: TcpListener, acceptor: Option<Acceptor>) {
        let stopping = self.tasks.stopping();
        let mut failing = false;
        loop {
            let accepted = tokio::select! {
                biased;
                () = stopping.cancelled() => return,
                accepted = socket.accept() => accepted,
            };
            let (socket, remote) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    metrics::counter!("griot_accept_errors_total", "listener" => "rtmp")
                        .increment(1);
                    // Said once, not ten times a second.
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "RTMP connections cannot be accepted");
                    }
                    tokio::select! {
                        () = stopping.cancelled() => return,
                        () = sleep(ACCEPT_PAUSE) => continue,
                    }
                }
            };
            failing = false;
            let Some(slot) = self.slots.take(remote.ip()) else {
                tracing::debug!(%remote, "too many RTMP connections");
                count(Outcome::Limit);
                continue;
            };
            let id = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
            let protocol = if acceptor.is_some() { "rtmps" } else { "rtmp" };
            let span = tracing::info_span!("rtmp", connection.id = id, protocol, %remote);
            let connection = Connection {
                origin: connection::Origin {
                    protocol,
                    address: remote.ip().to_canonical(),
                },
                slot,
                config: Arc::clone(&self.config),
                door: Arc::clone(&self.door),
                stopping: stopping.clone(),
            };
            let serving = connection.serve(socket, acceptor.clone());
            span.in_scope(|| drop(self.tasks.spawn(serving)));
        }
    }
}

struct Connection {
    origin: connection::Origin,
    slot: Slot,
    config: Arc<Config>,
    door: PublishDoor,
    stopping: CancellationToken,
}

impl Connection {
    async fn serve(self, socket: TcpStream, acceptor: Option<Acceptor>) {
        // What we send is small and awaited.
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY is not to be had");
        }
        count(self.outcome(socket, acceptor).await);
    }

    async fn outcome(&self, socket: TcpStream, acceptor: Option<Acceptor>) -> Outcome {
        let until = Instant::now() + self.config.handshake_deadline;
        let displaced = self.slot.displaced();
        // Looked at, not taken: a fresh socket of tokio's calls itself readable before anything has come.
        let mut first = [0];
        let heard = tokio::select! {
            biased;
            () = self.stopping.cancelled() => return Outcome::Stopping,
            () = displaced.cancelled() => return Outcome::Displaced,
            heard = timeout_at(until, socket.peek(&mut first)) => heard,
        };
        // In a box, and only now: a socket that says nothing costs next to nothing.
        match (heard, acceptor) {
            (Err(_), _) => Outcome::Deadline,
            (Ok(Err(_)), _) => Outcome::Unused,
            (Ok(Ok(_)), None) => {
                let socket = Sparing::new(socket);
                let rest = socket.rest();
                Box::pin(self.rtmp(socket, rest, until)).await
            }
            (Ok(Ok(_)), Some(acceptor)) => {
                Box::pin(self.rtmps(Sparing::new(socket), &acceptor, until)).await
            }
        }
    }

    async fn rtmps(&self, socket: Sparing, acceptor: &Acceptor, until: Instant) -> Outcome {
        let displaced = self.slot.displaced();
        let rest = socket.rest();
        let shaken = tokio::select! {
            biased;
            () = self.stopping.cancelled() => return Outcome::Stopping,
            () = displaced.cancelled() => return Outcome::Displaced,
            shaken = acceptor.accept(socket) => shaken,
        };
        match shaken {
            Ok(socket) => self.rtmp(socket, rest, until).await,
            Err(error) => {
                tracing::debug!(%error, "an RTMPS connection came to nothing");
                Outcome::Handshake
            }
        }
    }

    async fn rtmp<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        socket: S,
        rest: Rest,
        until: Instant,
    ) -> Outcome {
        let place = connection::Place {
            origin: self.origin,
            slot: &self.slot,
            publish_until: until,
        };
        connection::serve(
            socket,
            rest,
            place,
            &self.config,
            &self.door,
            &self.stopping,
        )
        .await
    }
}

fn count(outcome: Outcome) {
    metrics::counter!("griot_rtmp_connections_total", "outcome" => outcome.as_str()).increment(1);
}
