//! The listeners: bounded, plain and with TLS, drained at the end.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use metrics::Counter;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::Services;
use super::client::Peer;
use super::config::{Config, Network};
use super::connection;
use super::router::Front;
use crate::base::{Slot, Slots, Tasks};
use crate::tls::Acceptor;
/// What the kernel takes of a request before we read it (it doubles this for its own books); accepted sockets inherit it. Left to
/// itself it takes up to 6 MiB, all of which an upload must send again after a crash. Still 2.5 MB/s over 100 ms.
const RECEIVE_BYTES: usize = 256 << 10;
/// Connections that the kernel completes while we are busy; more are refused by it.
const BACKLOG: i32 = 4_096;
/// After an accept that failed, for want of descriptors mostly: trying again at once would only burn CPU.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Listeners that nobody serves yet.
#[derive(Debug)]
pub struct Bound {
    plain: Listener,
    secure: Option<(Listener, Acceptor)>,
    config: Config,
}

#[derive(Debug)]
struct Listener {
    socket: TcpListener,
    local: SocketAddr,
}

/// Opens the listener of [`Config::listen`].
///
/// # Errors
/// When the address is in use or not ours.
pub async fn bind(config: Config) -> io::Result<Bound> {
    Ok(Bound {
        plain: Listener::open(config.listen)?,
        secure: None,
        config,
    })
}

impl Listener {
    fn open(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        // A restart need not wait for the last process' connections to time out.
        socket.set_reuse_address(true)?;
        socket.set_recv_buffer_size(RECEIVE_BYTES)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let socket = TcpListener::from_std(socket.into())?;
        let local = socket.local_addr()?;
        Ok(Self { socket, local })
    }
}

impl Bound {
    /// Opens a second listener, for HTTPS.
    ///
    /// # Errors
    /// When the address is in use or not ours.
    pub async fn with_https(mut self, address: SocketAddr, acceptor: Acceptor) -> io::Result<Self> {
        self.secure = Some((Listener::open(address)?, acceptor));
        Ok(self)
    }

    /// Where it listens: the port is known now even when 0 was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.plain.local
    }

    /// The same for HTTPS, if there is any.
    #[must_use]
    pub fn https_addr(&self) -> Option<SocketAddr> {
        self.secure.as_ref().map(|(listener, _)| listener.local)
    }

    /// Serves until `tasks` is told to stop, then lets answers that are on their way finish within
    /// [`Config::drain`] and cuts what is left. Run it as a task of its own; `tasks` itself need not be waited for.
    pub async fn run(self, services: Services, tasks: Tasks) {
        let drain = self.config.drain;
        let house = House {
            slots: Slots::new(
                self.config.max_connections,
                self.config.max_connections_per_address,
                metrics::gauge!("griot_http_connections"),
            ),
            proxies: self.config.trusted_proxies.clone(),
            limits: connection::Limits {
                silent_within: self.config.silent_within,
                taken_within: self.config.taken_within,
            },
            connections: tasks.child(),
            cut: CancellationToken::new(),
            outcomes: Outcomes::new(),
            front: Front::new(self.config, services, self.plain.local),
        };
        let secure = async {
            if let Some((listener, acceptor)) = self.secure {
                house.accept_all(listener.socket, Some(acceptor)).await;
            }
        };
        tokio::join!(house.accept_all(self.plain.socket, None), secure);
        let House {
            connections, cut, ..
        } = house;
        if tokio::time::timeout(drain, connections.stop_and_wait())
            .await
            .is_err()
        {
            tracing::info!("cut the HTTP connections that did not finish in time");
            cut.cancel();
            connections.stop_and_wait().await;
        }
    }
}

/// What all connections share.
struct House {
    front: Front,
    slots: Slots,
    /// These hold a connection for each request that waits.
    proxies: Vec<Network>,
    limits: connection::Limits,
    connections: Tasks,
    cut: CancellationToken,
    outcomes: Outcomes,
}

/// How connections ended, counted. The recorder must be installed before.
#[derive(Clone)]
struct Outcomes {
    served: Counter,
    limit: Counter,
    displaced: Counter,
    accept_errors: Counter,
}

impl Outcomes {
    fn new() -> Self {
        let of = |outcome: &'static str| metrics::counter!("griot_http_connections_total", "outcome" => outcome);
        Self {
            served: of("served"),
            limit: of("limit"),
            displaced: of("displaced"),
            accept_errors: metrics::counter!("griot_accept_errors_total", "listener" => "http"),
        }
    }
}

impl House {
    /// Accepts until it is told to stop.
    async fn accept_all(&self, listener: TcpListener, acceptor: Option<Acceptor>) {
        let stopping = self.connections.stopping();
        let mut failing = false;
        loop {
            let accepted = tokio::select! {
                biased;
                () = stopping.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    self.outcomes.accept_errors.increment(1);
                    // Said once, not ten times a second.
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "HTTP connections cannot be accepted");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            failing = false;
            // Over a limit the socket is closed at once: a player tries again, a hanging one shows nothing.
            let by_proxy = self.proxies.iter().any(|net| net.contains(peer.ip()));
            let slot = if by_proxy {
                self.slots.take_for_many()
            } else {
                self.slots.take(peer.ip())
            };
            let Some(slot) = slot else {
                self.outcomes.limit.increment(1);
                continue;
            };
            self.begin(stream, peer, slot, acceptor.clone());
        }
    }

    fn begin(&self, stream: TcpStream, peer: SocketAddr, slot: Slot, acceptor: Option<Acceptor>) {
        let displaced = slot.displaced();
        let serving = connection::serve(
            connection::Connection {
                front: self.front.clone(),
                peer: Peer {
                    address: peer.ip(),
                    secure: acceptor.is_some(),
                },
                slot,
                limits: self.limits,
                tasks: self.connections.clone(),
            },
            stream,
            acceptor,
        );
        let (cut, outcomes) = (self.cut.clone(), self.outcomes.clone());
        drop(self.connections.spawn(async move {
            tokio::select! {
                () = cut.cancelled() => {}
                () = displaced.cancelled() => outcomes.displaced.increment(1),
                () = serving => outcomes.served.increment(1),
            }
        }));
    }
}

/// Sets what every HTTP socket needs; false when it is gone already.
pub(super) fn prepared(stream: &TcpStream, taken_within: Duration) -> bool {
    // Parts must leave at once. The time-out ends a peer that is gone or keeps its window shut, also after our last
    // write, when nobody polls the stream any more.
    stream.set_nodelay(true).is_ok()
        && SockRef::from(stream)
            .set_tcp_user_timeout(Some(taken_within))
            .is_ok()
}
