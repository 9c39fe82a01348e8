//! The listener and its connections: bounded, with deadlines, drained at the end.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::Services;
use super::config::Config;
use super::router::Front;
use crate::base::Tasks;

/// How long a connection may take for the head of a request, and how long it may stay silent between two.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// How long a client may leave our bytes unacknowledged, or its window shut, before it is gone.
const TAKEN_WITHIN: Duration = Duration::from_secs(60);
/// Connections that the kernel completes while we are busy; more are refused by it.
const BACKLOG: i32 = 4_096;

/// A listener that nobody serves yet.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    local: SocketAddr,
    config: Config,
}

/// Opens the listener.
///
/// # Errors
/// When the address is in use or not ours.
pub async fn bind(config: Config) -> io::Result<Bound> {
    let socket = Socket::new(
        Domain::for_address(config.listen),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A restart need not wait for the last process' connections to time out.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&config.listen.into())?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from_std(socket.into())?;
    let local = listener.local_addr()?;
    Ok(Bound {
        listener,
        local,
        config,
    })
}

impl Bound {
    /// Where it listens: the port is known now even when 0 was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Serves until `tasks` is told to stop, then lets answers that are on their way finish within
    /// [`Config::drain`] and cuts what is left. Run it as a task of its own; `tasks` itself need not be waited for.
    pub async fn run(self, services: Services, tasks: Tasks) {
        let stopping = tasks.stopping();
        let drain = self.config.drain;
        // Full: the loop below waits before it accepts, and the kernel's queue holds newcomers.
        let room = Arc::new(Semaphore::new(self.config.max_connections));
        let connections = tasks.child();
        let cut = CancellationToken::new();
        let front = Front::new(self.config, services, self.local);
        loop {
            let accepted = tokio::select! {
                biased;
                () = stopping.cancelled() => break,
                accepted = accept(&self.listener, &room) => accepted,
            };
            let Some((stream, peer, permit)) = accepted else {
                continue;
            };
            let (front, stopping, cut) = (front.clone(), connections.stopping(), cut.clone());
            drop(connections.spawn(async move {
                tokio::select! {
                    () = cut.cancelled() => {}
                    () = serve(front, stream, peer, stopping) => {}
                }
                drop(permit);
            }));
        }
        drop(self.listener);
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

/// The next connection, with its place among those allowed; `None` after an error, which is waited out.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    // Never closed, so always granted.
    let permit = Arc::clone(room).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, permit)),
        Err(error) => {
            // Out of descriptors or memory: accepting again at once would only burn CPU.
            tracing::warn!(%error, "could not accept an HTTP connection");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

/// One connection, request after request, until either side ends it.
async fn serve(front: Front, stream: TcpStream, peer: SocketAddr, stopping: CancellationToken) {
    // Parts must leave at once; a stream whose options cannot be set is gone already.
    if stream.set_nodelay(true).is_err()
        || SockRef::from(&stream)
            .set_tcp_user_timeout(Some(TAKEN_WITHIN))
            .is_err()
    {
        return;
    }
    let address = peer.ip();
    let service = service_fn(move |request: Request<Incoming>| {
        let front = front.clone();
        async move { Ok::<_, Infallible>(front.answer(address, request.map(Body::new)).await) }
    });
    // HTTP/1.1: HTTP/2 comes with TLS, where clients negotiate it.
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Clients go away all the time; nobody must act.
        tracing::debug!(%error, "an HTTP connection ended early");
    }
}
