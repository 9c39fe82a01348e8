//! Download of a finished run as a plain MP4, below `/recordings/`.

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, LAST_MODIFIED,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::Response;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::error::Problem;
use super::headers;
use super::hls;
use super::language::Language;
use super::links;
use super::pages;
use super::range::{self, Condition, Selection};
use super::words;
use crate::live::{Download, Lives, MediaBytes, PlaybackError};

/// What RFC 5987 §3.2.1 lets stand as it is in an extended parameter.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// Answers a request below `/recordings/`.
pub(super) async fn answer(
    lives: &Lives,
    method: &Method,
    uri: &Uri,
    request: &HeaderMap,
) -> Response {
    if method == Method::OPTIONS {
        return headers::media_preflight();
    }
    let mut response = if method == Method::GET || method == Method::HEAD {
        match find(lives, uri.path()).await {
            Ok(download) => send(download, wants_to_keep(uri), request),
            Err(why) => hls::error(why, request),
        }
    } else {
        let allow = HeaderValue::from_static("GET, HEAD, OPTIONS");
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, words::METHOD_NOT_ALLOWED)
            .answer(Language::of(request), Some(allow))
    };
    headers::open_to_all(response.headers_mut());
    if method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    response
}

async fn find(lives: &Lives, path: &str) -> Result<Download, PlaybackError> {
    let (playback_id, rest) = path
        .strip_prefix("/recordings/")
        .and_then(|path| path.split_once('/'))
        .ok_or(PlaybackError::NotFound)?;
    let (rendition, run) = links::recording_of(rest).ok_or(PlaybackError::NotFound)?;
    let playback = lives.playback(playback_id).await?;
    playback.download(rendition, run).await
}

/// `?download=1`: save it, do not show it.
fn wants_to_keep(uri: &Uri) -> bool {
    pages::pairs(uri)
        .iter()
        .any(|(name, value)| name == "download" && value == "1")
}

/// The file, a range of it, or the news that the client has it.
fn send(download: Download, keep: bool, request: &HeaderMap) -> Response {
    let total = download.range.length;
    let selection = match range::condition(request, &download.etag, download.modified) {
        Condition::NotModified => None,
        Condition::Range => Some(range::select(range::range_of(request), total)),
        Condition::Whole => Some(Selection::Whole),
    };
    let mut response = match selection {
        Some(selection) => hls::selected(MediaBytes::File(download.range), selection, total),
        None => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        }
    };
    let headers = response.headers_mut();
    if let Ok(etag) = HeaderValue::try_from(download.etag) {
        headers.insert(ETAG, etag);
    }
    if let Ok(modified) = HeaderValue::try_from(range::http_date(download.modified)) {
        headers.insert(LAST_MODIFIED, modified);
    }
    headers.insert(CACHE_CONTROL, hls::IMMUTABLE);
    if selection.is_some_and(|selection| selection != Selection::Unsatisfiable) {
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static(download.content_type),
        );
        headers.insert(
            CONTENT_DISPOSITION,
            disposition(if keep { "attachment" } else { "inline" }, &download.file_name),
        );
    }
    response
}

/// `attachment; filename="…"; filename*=UTF-8''…` (RFC 6266 §4.3): the plain name for old clients, the
/// other for the rest.
fn disposition(kind: &'static str, file_name: &str) -> HeaderValue {
    let plain: String = file_name
        .chars()
        .map(|letter| match letter {
            '"' | '\\' | '%' | '/' => '_',
            ' '..='~' => letter,
            _ => '_',
        })
        .collect();
    let encoded = utf8_percent_encode(file_name, PLAIN);
    HeaderValue::try_from(format!(
        "{kind}; filename=\"{plain}\"; filename*=UTF-8''{encoded}"
    ))
    .unwrap_or(HeaderValue::from_static(kind))
}
