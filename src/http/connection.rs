//! One connection, request after request, by HTTP/1.1 or HTTP/2.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::HOST;
use axum::http::{HeaderValue, Request};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::client::Peer;
use super::router::Front;
use super::server::prepared;
use super::taken::{Progress, Taken};
use crate::base::{Slot, Tasks};
use crate::tls::Acceptor;

/// The largest head of a request: browsers with all their cookies stay below 8 KiB.
const HEAD_BYTES: usize = 32 << 10;
/// The same for HTTP/2, where it is announced.
const HEAD_BYTES_H2: u32 = 32 << 10;
/// Requests at a time on one HTTP/2 connection. A player has four; RFC 9113 §6.5.2 advises no fewer than 100.
const STREAMS: u32 = 100;
/// What a peer may send unasked, for one stream and for all: bodies of requests, of which the API takes 256 KiB.
const WINDOW_BYTES: u32 = 256 << 10;
/// What one stream's answer may hold in memory before the peer takes it.
const SEND_BYTES: usize = 256 << 10;
/// Ended requests that a peer may have given up, beyond those it waited for: a player that seeks gives up a few, a
/// rapid reset (CVE-2023-44487) gives up all.
const GIVEN_UP_MAX: usize = 200;
/// A connection that is to end gets this long for what is still on its way.
const FAREWELL: Duration = Duration::from_secs(5);
/// Less than this is no progress: acknowledgements and pings are not.
const PROGRESS_BYTES: u64 = 4 << 10;
/// How often progress is looked for before a connection counts as idle.
const LOOKS: u32 = 4;

/// How long a peer may do nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// For the head of a request, and between two requests.
    pub(super) silent_within: Duration,
    /// For taking bytes that we have for it.
    pub(super) taken_within: Duration,
}

/// A connection to be served.
pub(super) struct Connection {
    pub(super) front: Front,
    pub(super) peer: Peer,
    pub(super) slot: Slot,
    pub(super) limits: Limits,
    /// Where requests of HTTP/2 run, and what tells to stop.
    pub(super) tasks: Tasks,
}

/// Serves `stream` until either side ends it; with `acceptor` by TLS.
pub(super) async fn serve(connection: Connection, stream: TcpStream, acceptor: Option<Acceptor>) {
    if !prepared(&stream, connection.limits.taken_within) {
        return;
    }
    let within = match &acceptor {
        None => connection.limits.silent_within,
        Some(acceptor) => acceptor.deadline(),
    };
    let stopping = connection.tasks.stopping();
    // Looked at, not taken: a fresh socket of tokio's calls itself readable before anything has come.
    let mut first = [0];
    let heard = tokio::select! {
        () = stopping.cancelled() => return,
        heard = timeout(within, stream.peek(&mut first)) => heard,
    };
    if !matches!(heard, Ok(Ok(1))) {
        return;
    }
    // In a box, and only now: a socket that says nothing costs next to nothing.
    match acceptor {
        None => Box::pin(http1(connection, stream)).await,
        Some(acceptor) => Box::pin(secure(connection, stream, acceptor)).await,
    }
}

async fn secure(connection: Connection, stream: TcpStream, acceptor: Acceptor) {
    let stopping = connection.tasks.stopping();
    let shaken = tokio::select! {
        () = stopping.cancelled() => return,
        shaken = acceptor.accept(stream) => shaken,
    };
    match shaken {
        Ok(stream) if Acceptor::chose_http2(&stream) => http2(connection, stream).await,
        Ok(stream) => http1(connection, stream).await,
        Err(error) => tracing::debug!(%error, "an HTTPS connection came to nothing"),
    }
}

async fn http1<S>(connection: Connection, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Connection {
        front,
        peer,
        slot,
        limits,
        tasks,
    } = connection;
    let stopping = tasks.stopping();
    let settled = AtomicBool::new(false);
    let (slot, settled) = (&slot, &settled);
    let service = service_fn(move |request: Request<Incoming>| {
        settle(slot, settled);
        let front = front.clone();
        async move { Ok::<_, Infallible>(front.answer(peer, request.map(Body::new)).await) }
    });
    let stream = Taken::new(stream, limits.taken_within);
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.silent_within)
        .max_header_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = stopping.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    told(ended);
}

async fn http2<S>(connection: Connection, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Connection {
        front,
        peer,
        slot,
        limits,
        tasks,
    } = connection;
    let stopping = tasks.stopping();
    let settled = AtomicBool::new(false);
    let (slot, settled) = (&slot, &settled);
    let stream = Taken::new(stream, limits.taken_within);
    let requests = Requests::new(stream.progress());
    let of_service = Arc::clone(&requests);
    let service = service_fn(move |mut request: Request<Incoming>| {
        settle(slot, settled);
        name_host(&mut request);
        let (front, begun) = (front.clone(), of_service.begin());
        async move {
            let response = front.answer(peer, request.map(Body::new)).await;
            begun.answered();
            Ok::<_, Infallible>(response)
        }
    });
    let serving = http2::Builder::new(InTasks(tasks))
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD_BYTES_H2)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_send_buf_size(SEND_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => return told(ended),
        () = stopping.cancelled() => None,
        () = requests.idle(limits.silent_within) => Some(FAREWELL),
        () = requests.abused.cancelled() => {
            tracing::debug!("an HTTP/2 peer gives up more requests than it waits for");
            return;
        }
    };
    serving.as_mut().graceful_shutdown();
    match ended {
        // The listener bounds its drain for all connections.
        None => told(serving.await),
        Some(within) => match timeout(within, serving).await {
            Ok(ended) => told(ended),
            Err(_) => tracing::debug!("an HTTP/2 connection was cut: nothing was asked or taken"),
        },
    }
}

/// The first whole request: from now on the connection keeps its place.
fn settle(slot: &Slot, settled: &AtomicBool) {
    if !settled.swap(true, Ordering::Relaxed) {
        slot.keep();
    }
}

/// HTTP/2 names the host beside the path and not among the headers (RFC 9113 §8.3.1); everything behind us reads `Host`.
fn name_host(request: &mut Request<Incoming>) {
    let authority = request.uri().authority();
    if let Some(host) = authority.and_then(|host| HeaderValue::from_str(host.as_str()).ok()) {
        request.headers_mut().insert(HOST, host);
    }
}

fn told(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        // Clients go away all the time; nobody must act.
        tracing::debug!(%error, "an HTTP connection ended early");
    }
}

/// Runs what hyper spawns as tasks that an orderly stop waits for.
#[derive(Clone)]
struct InTasks(Tasks);

impl<F> hyper::rt::Executor<F> for InTasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        drop(self.0.spawn(future));
    }
}

/// The requests of one HTTP/2 connection.
struct Requests {
    open: watch::Sender<usize>,
    answered: AtomicUsize,
    given_up: AtomicUsize,
    abused: CancellationToken,
    progress: Progress,
}

impl Requests {
    fn new(progress: Progress) -> Arc<Self> {
        Arc::new(Self {
            open: watch::Sender::new(0),
            answered: AtomicUsize::new(0),
            given_up: AtomicUsize::new(0),
            abused: CancellationToken::new(),
            progress,
        })
    }

    fn begin(self: &Arc<Self>) -> Begun {
        self.open.send_modify(|open| *open += 1);
        Begun {
            requests: Arc::clone(self),
            answered: false,
        }
    }

    /// Returns when for `within` nothing was asked, nothing waited for an answer, and no answer made progress.
    async fn idle(&self, within: Duration) {
        let mut open = self.open.subscribe();
        // Never an error: `self` holds the sender.
        while open.wait_for(|open| *open == 0).await.is_ok() {
            tokio::select! {
                _ = open.changed() => {}
                () = self.stalled(within) => return,
            }
        }
    }

    /// Returns when no answer has made progress for `within`.
    async fn stalled(&self, within: Duration) {
        let mut mark = self.progress.bytes();
        let mut looks = 0;
        while looks < LOOKS {
            sleep(within / LOOKS).await;
            let now = self.progress.bytes();
            if now - mark >= PROGRESS_BYTES {
                mark = now;
                looks = 0;
            } else {
                looks += 1;
            }
        }
    }
}

/// A request on its way to an answer.
struct Begun {
    requests: Arc<Requests>,
    answered: bool,
}

impl Begun {
    fn answered(mut self) {
        self.answered = true;
        self.requests.answered.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let requests = &self.requests;
        requests.open.send_modify(|open| *open -= 1);
        if !self.answered {
            let given_up = requests.given_up.fetch_add(1, Ordering::Relaxed) + 1;
            if given_up > GIVEN_UP_MAX + requests.answered.load(Ordering::Relaxed) {
                requests.abused.cancel();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(requests: &Arc<Requests>, many: usize) -> Vec<Begun> {
        (0..many).map(|_| requests.begin()).collect()
    }

    #[tokio::test]
    async fn who_gives_up_more_than_it_waits_for_is_found_out() {
        let requests = Requests::new(Progress::default());
        begun(&requests, 50).into_iter().for_each(Begun::answered);
        drop(begun(&requests, GIVEN_UP_MAX + 50));
        assert!(!requests.abused.is_cancelled());
        drop(begun(&requests, 1));
        assert!(requests.abused.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_without_questions_and_without_progress() {
        let within = Duration::from_secs(30);
        let requests = Requests::new(Progress::default());
        let waiting = requests.begin();
        let idle = tokio::time::timeout(within * 10, requests.idle(within));
        assert!(idle.await.is_err(), "a blocked reload is not idle");
        waiting.answered();
        let started = tokio::time::Instant::now();
        let download = async {
            for _ in 0..4 {
                sleep(within * 7 / 10).await;
                requests.progress.add(PROGRESS_BYTES);
            }
        };
        tokio::join!(requests.idle(within), download);
        assert_eq!(started.elapsed(), within * 4);
    }
}
