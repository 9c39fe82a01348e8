//! Bytes of media as answers: whole, or the range that is asked for, from memory, from a file or from an object.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, IF_RANGE,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::task::JoinHandle;

use super::range::{self, Selection};
use crate::objects::ObjectStream;
use crate::rendition::{FileRange, MediaBytes, PlaybackError};

/// What never changes is kept this long at most, so that a takedown works (design §4a).
pub(super) const IMMUTABLE: HeaderValue =
    HeaderValue::from_static("public, max-age=3600, immutable");

/// The bytes of a medium, or the range of them that is asked for. For `head` no bytes are fetched.
///
/// # Errors
/// `Unavailable` when they lie in an object store that is away.
pub(super) async fn bytes_of(
    media: MediaBytes,
    rendition: &str,
    request: &HeaderMap,
    head: bool,
) -> Result<Response, PlaybackError> {
    let total = media.length();
    // No entity tags here (an address never changes its bytes), so If-Range never matches.
    let range = if request.contains_key(IF_RANGE) {
        None
    } else {
        range::range_of(request)
    };
    let selection = range::select(range, total);
    let mut response = selected(media, selection, head).await?;
    let headers = response.headers_mut();
    let content_type = if rendition.starts_with("audio") {
        "audio/mp4"
    } else {
        "video/mp4"
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(
        CACHE_CONTROL,
        if selection == Selection::Unsatisfiable {
            HeaderValue::from_static("no-store")
        } else {
            IMMUTABLE
        },
    );
    Ok(response)
}

/// 200, 206 or 416 with the bytes that `selection` takes of `media`.
///
/// # Errors
/// `Unavailable` when they lie in an object store that is away.
pub(super) async fn selected(
    media: MediaBytes,
    selection: Selection,
    head: bool,
) -> Result<Response, PlaybackError> {
    let total = media.length();
    let (offset, length) = match selection {
        Selection::Whole => (0, total),
        Selection::Part { offset, length } => (offset, length),
        Selection::Unsatisfiable => (0, 0),
    };
    let body = match media {
        _ if length == 0 => Body::empty(),
        MediaBytes::Memory(bytes) => Body::from(slice(&bytes, offset, length)),
        MediaBytes::File(mut range) => {
            range.offset += offset;
            range.length = length;
            file(range)
        }
        MediaBytes::Object(_) if head => Body::empty(),
        MediaBytes::Object(mut range) => {
            range.offset += offset;
            range.length = length;
            object(range.open().await?)
        }
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.reserve(20);
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    let content_range = match selection {
        Selection::Whole => None,
        Selection::Part { offset, length } => {
            Some(format!("bytes {offset}-{}/{total}", offset + length - 1))
        }
        Selection::Unsatisfiable => Some(format!("bytes */{total}")),
    };
    if let Some(value) = content_range.and_then(|text| HeaderValue::try_from(text).ok()) {
        headers.insert(CONTENT_RANGE, value);
    }
    *response.status_mut() = match selection {
        Selection::Whole => StatusCode::OK,
        Selection::Part { .. } => StatusCode::PARTIAL_CONTENT,
        Selection::Unsatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
    };
    Ok(response)
}

fn slice(bytes: &Bytes, offset: u64, length: u64) -> Bytes {
    let start = usize::try_from(offset).unwrap_or(bytes.len());
    let end = usize::try_from(offset + length).unwrap_or(bytes.len());
    bytes.slice(start.min(bytes.len())..end.min(bytes.len()))
}

/// Reads the next piece only when the last one is on its way: a slow reader holds one piece and no thread.
/// What the page cache has is read at once; only a disk's work goes to a thread that may block.
struct FileBody {
    range: FileRange,
    /// Bytes of the range handed out so far.
    sent: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

/// A body of exactly `range.length` bytes.
fn file(range: FileRange) -> Body {
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
        let cached = match self.reading {
            None => self.range.read_cached(self.sent),
            Some(_) => None,
        };
        let piece = match cached {
            Some(piece) => piece,
            None => {
                let (range, at) = (self.range.clone(), self.sent);
                let reading = self
                    .reading
                    .get_or_insert_with(|| tokio::task::spawn_blocking(move || range.read(at)));
                let read = ready!(Pin::new(reading).poll(context));
                self.reading = None;
                read.map_err(io::Error::other)??
            }
        };
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

/// A body of what the object store sends, as it comes: one piece is in memory, and a client that goes away
/// takes the request to the store with it. A store that breaks off breaks the answer off.
fn object(stream: ObjectStream) -> Body {
    Body::new(ObjectBody {
        left: stream.left(),
        next: Box::pin(next_piece(stream)),
    })
}

type NextPiece = Pin<Box<dyn Future<Output = (ObjectStream, io::Result<Option<Bytes>>)> + Send>>;

struct ObjectBody {
    left: u64,
    next: NextPiece,
}

async fn next_piece(mut stream: ObjectStream) -> (ObjectStream, io::Result<Option<Bytes>>) {
    let piece = stream.next().await.map_err(io::Error::other);
    (stream, piece)
}

impl http_body::Body for ObjectBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let (stream, piece) = ready!(self.next.as_mut().poll(context));
        self.left = stream.left();
        self.next = Box::pin(next_piece(stream));
        if let Err(error) = &piece {
            tracing::warn!(%error, "an answer from the object store broke off");
        }
        Poll::Ready(piece.transpose().map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use std::io::Write;
    use std::sync::Arc;

    fn asking(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                let name = axum::http::HeaderName::from_static(name);
                (name, HeaderValue::from_static(value))
            })
            .collect()
    }

    async fn received(response: Response) -> Bytes {
        response.into_body().collect().await.unwrap().to_bytes()
    }

    #[tokio::test]
    async fn hot_media_and_files_answer_the_same_ranges() {
        let bytes: Vec<u8> = (0..=255).cycle().take(600_000).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"before").unwrap();
        file.write_all(&bytes).unwrap();
        file.write_all(b"behind").unwrap();
        let range = FileRange::new(Arc::new(file), 6, 600_000);
        for media in [
            MediaBytes::Memory(Bytes::from(bytes.clone())),
            MediaBytes::File(range),
        ] {
            let whole = bytes_of(media.clone(), "source", &asking(&[]), false)
                .await
                .unwrap();
            assert_eq!(whole.status(), 200);
            assert_eq!(whole.headers()[CONTENT_LENGTH], "600000");
            assert_eq!(whole.headers()[CONTENT_TYPE], "video/mp4");
            assert_eq!(whole.headers()[CACHE_CONTROL], IMMUTABLE);
            assert_eq!(received(whole).await, bytes);

            let request = asking(&[("range", "bytes=299990-599999")]);
            let part = bytes_of(media.clone(), "audio", &request, false)
                .await
                .unwrap();
            assert_eq!(part.status(), 206);
            assert_eq!(part.headers()[CONTENT_RANGE], "bytes 299990-599999/600000");
            assert_eq!(part.headers()[CONTENT_LENGTH], "300010");
            assert_eq!(part.headers()[CONTENT_TYPE], "audio/mp4");
            assert_eq!(received(part).await, bytes[299_990..]);

            let beyond = bytes_of(
                media.clone(),
                "source",
                &asking(&[("range", "bytes=600000-")]),
                false,
            )
            .await
            .unwrap();
            assert_eq!(beyond.status(), 416);
            assert_eq!(beyond.headers()[CONTENT_RANGE], "bytes */600000");
            assert_eq!(beyond.headers()[CACHE_CONTROL], "no-store");

            let mut request = asking(&[("range", "bytes=0-1")]);
            request.insert(IF_RANGE, HeaderValue::from_static("\"old\""));
            let whole = bytes_of(media, "source", &request, false).await.unwrap();
            assert_eq!(whole.status(), 200);
        }
    }

    #[tokio::test]
    async fn a_file_that_is_shorter_than_promised_breaks_the_answer() {
        let file = tempfile::tempfile().unwrap();
        let range = FileRange::new(Arc::new(file), 0, 10);
        let response = bytes_of(MediaBytes::File(range), "source", &asking(&[]), false)
            .await
            .unwrap();
        assert!(response.into_body().collect().await.is_err());
    }
}
