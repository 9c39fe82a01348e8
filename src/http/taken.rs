//! A socket whose peer must take what is written within a deadline.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// Bytes that the socket has taken. Clones share the count.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Arc<AtomicU64>);

impl Progress {
    pub(super) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Writes to `inner`; an error once a write was refused for `within`, as long as nothing at all was taken. Costs
/// nothing while the peer keeps up: the timer exists only for a write that waits.
pub(super) struct Taken<S> {
    inner: S,
    within: Duration,
    progress: Progress,
    /// While a write waits.
    deadline: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl<S> Taken<S> {
    pub(super) fn new(inner: S, within: Duration) -> Self {
        Self {
            inner,
            within,
            progress: Progress::default(),
            deadline: None,
            waiting: false,
        }
    }

    pub(super) fn progress(&self) -> Progress {
        self.progress.clone()
    }

    fn judged<T>(
        &mut self,
        context: &mut Context<'_>,
        poll: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.waiting = false;
            return poll;
        }
        let within = self.within;
        let deadline = match &mut self.deadline {
            Some(deadline) => {
                if !self.waiting {
                    deadline.as_mut().reset(Instant::now() + within);
                }
                deadline
            }
            none => none.insert(Box::pin(sleep(within))),
        };
        self.waiting = true;
        deadline
            .as_mut()
            .poll(context)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    fn counted(&self, poll: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = poll {
            self.progress.add(u64::try_from(*bytes).unwrap_or(u64::MAX));
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Taken<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Taken<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.counted(&poll);
        self.judged(context, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.inner).poll_write_vectored(context, pieces);
        self.counted(&poll);
        self.judged(context, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.inner).poll_flush(context);
        self.judged(context, poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.inner).poll_shutdown(context);
        self.judged(context, poll)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const WITHIN: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_is_given_up_at_the_deadline() {
        let (ours, _theirs) = tokio::io::duplex(10);
        let mut taken = Taken::new(ours, WITHIN);
        let started = Instant::now();
        let error = taken.write_all(&[0; 11]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed(), WITHIN);
        assert_eq!(taken.progress().bytes(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_peer_that_takes_something_now_and_then_is_served() {
        let (ours, mut theirs) = tokio::io::duplex(10);
        let mut taken = Taken::new(ours, WITHIN);
        let reading = async {
            for _ in 0..10 {
                tokio::time::sleep(WITHIN * 9 / 10).await;
                theirs.read_u8().await.unwrap();
            }
        };
        let (written, ()) = tokio::join!(taken.write_all(&[0; 20]), reading);
        written.unwrap();
    }
}
