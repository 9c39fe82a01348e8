//! A range of a file as the body of an answer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::task::JoinHandle;

use super::stub::rendition::FileRange;

/// Bytes read at a time: small reads through the blocking pool cost nine times as much CPU per byte
/// (`facts/peers.md`, Delivery). One such piece per download is all the memory a slow reader holds.
const PIECE: usize = 256 * 1024;

/// Reads the next piece only when the last one is on its way: a slow reader holds one piece and no thread.
struct FileBody {
    range: FileRange,
    /// Bytes of the range handed out so far.
    sent: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

/// A body of exactly `range.length` bytes.
pub(super) fn file(range: FileRange) -> Body {
    Body::new(FileBody {
        range,
        sent: 0,
        reading: None,
    })
}

impl http_body::Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let left = self.range.length - self.sent;
        if left == 0 {
            return Poll::Ready(None);
        }
        let (range, at) = (self.range.clone(), self.sent);
        let reading = self.reading.get_or_insert_with(|| {
            let size = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
            tokio::task::spawn_blocking(move || range.read(at, size))
        });
        let read = ready!(Pin::new(reading).poll(context));
        self.reading = None;
        let piece = read.map_err(io::Error::other)??;
        if piece.is_empty() {
            // The promised length cannot be kept: hyper cuts the connection, the client sees a broken answer.
            return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
        }
        self.sent += u64::try_from(piece.len()).unwrap_or(left).min(left);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.sent == self.range.length
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.range.length - self.sent)
    }
}
