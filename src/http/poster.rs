//! The newest picture of a live that runs; of one that is over, the way to its recording's.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;

use super::range::{self, Condition};
use crate::live::{Lives, Playback, Poster};
use crate::rendition::PlaybackError;

/// A new one comes every ten seconds.
const FOR_SECONDS: HeaderValue = HeaderValue::from_static("public, max-age=5");
/// Where a recording's poster lies does not change, but a takedown must work.
const FOR_A_MINUTE: HeaderValue = HeaderValue::from_static("public, max-age=60");

/// Answers `/live/{playback_id}/poster.jpg`.
pub(super) async fn of_live(
    lives: &Lives,
    playback: &Playback,
    playback_id: &str,
    request: &HeaderMap,
) -> Result<Response, PlaybackError> {
    if playback.is_over() {
        return Ok(at_the_recording(playback_id));
    }
    let poster = lives.poster(playback).await?;
    Ok(picture(poster, request))
}

fn picture(poster: Poster, request: &HeaderMap) -> Response {
    let etag = format!("\"{}\"", poster.at.0);
    let mut response = match range::condition(request, &etag, poster.at) {
        Condition::NotModified => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        }
        Condition::Range | Condition::Whole => {
            let mut response = Response::new(Body::from(poster.jpeg));
            let jpeg = HeaderValue::from_static("image/jpeg");
            response.headers_mut().insert(CONTENT_TYPE, jpeg);
            response
        }
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, FOR_SECONDS);
    if let Ok(etag) = HeaderValue::try_from(etag) {
        headers.insert(ETAG, etag);
    }
    response
}

/// Relative, so that it holds behind any proxy.
fn at_the_recording(playback_id: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    let headers = response.headers_mut();
    if let Ok(place) = HeaderValue::try_from(format!("/recordings/{playback_id}/poster.jpg")) {
        headers.insert(LOCATION, place);
    }
    headers.insert(CACHE_CONTROL, FOR_A_MINUTE);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;
    use axum::http::header::IF_NONE_MATCH;
    use bytes::Bytes;

    #[test]
    fn a_picture_is_kept_for_seconds_and_not_sent_twice() {
        let poster = Poster {
            jpeg: Bytes::from_static(b"jpeg"),
            at: Timestamp(7_000_000),
        };
        let mut request = HeaderMap::new();
        let first = picture(poster.clone(), &request);
        assert_eq!(first.status(), 200);
        assert_eq!(first.headers()[CONTENT_TYPE], "image/jpeg");
        assert_eq!(first.headers()[CACHE_CONTROL], "public, max-age=5");
        request.insert(IF_NONE_MATCH, first.headers()[ETAG].clone());
        assert_eq!(picture(poster.clone(), &request).status(), 304);
        let newer = Poster {
            at: Timestamp(17_000_000),
            ..poster
        };
        assert_eq!(picture(newer, &request).status(), 200);
    }

    #[test]
    fn after_the_end_the_recordings_picture_is_shown() {
        let moved = at_the_recording("p1");
        assert_eq!(moved.status(), 302);
        assert_eq!(moved.headers()[LOCATION], "/recordings/p1/poster.jpg");
    }
}
