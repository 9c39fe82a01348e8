//! Download of a finished run as a plain MP4, below `/recordings/`.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, LAST_MODIFIED};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::Response;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Services;
use super::error::Problem;
use super::headers;
use super::hls;
use super::language::Language;
use super::links;
use super::pages;
use super::range::{self, Condition, Selection};
use super::stub::rendition::{Download, MediaBytes, PlaybackError};
use super::words;
use crate::store::Live;

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
    services: &Services,
    method: &Method,
    uri: &Uri,
    request: &HeaderMap,
) -> Response {
    if method == Method::OPTIONS {
        return headers::media_preflight();
    }
    let mut response = if method == Method::GET || method == Method::HEAD {
        match find(services, uri.path()).await {
            Ok((download, file_name)) => send(download, &file_name, wants_to_keep(uri), request),
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

/// The file that a path names, and the name under which to keep it.
async fn find(services: &Services, path: &str) -> Result<(Download, String), PlaybackError> {
    let (playback_id, rest) = path
        .strip_prefix("/recordings/")
        .and_then(|path| path.split_once('/'))
        .ok_or(PlaybackError::NotFound)?;
    let (rendition, run) = links::recording_of(rest).ok_or(PlaybackError::NotFound)?;
    let playback = services.lives.playback(playback_id).await?;
    let download = playback.rendition(rendition)?.download(run)?;
    let live = match services.store.live(playback.live()).await {
        Ok(live) => live.ok_or(PlaybackError::NotFound)?,
        Err(error) => {
            tracing::error!(%error, "the row of a recording's live cannot be read");
            return Err(PlaybackError::Unavailable);
        }
    };
    let name = file_name(&live, run);
    Ok((download, name))
}

/// `Title 2025-07-23.mp4`; later runs are numbered.
fn file_name(live: &Live, run: u32) -> String {
    let title: String = live
        .title
        .chars()
        .map(|letter| match letter {
            '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => '_',
            letter if letter.is_control() => '_',
            letter => letter,
        })
        .take(100)
        .collect();
    // A name that begins with a dot is hidden on some systems.
    let title = match title.trim().trim_start_matches('.') {
        "" => "live",
        title => title,
    };
    let moment = live.started_at.unwrap_or(live.created_at).to_string();
    let day = moment.get(..10).unwrap_or("");
    match run {
        0 => format!("{title} {day}.mp4"),
        run => format!("{title} {day} ({}).mp4", u64::from(run) + 1),
    }
}

/// `?download=1`: save it, do not show it.
fn wants_to_keep(uri: &Uri) -> bool {
    pages::pairs(uri)
        .iter()
        .any(|(name, value)| name == "download" && value == "1")
}

/// The file, a range of it, or the news that the client has it.
fn send(download: Download, file_name: &str, keep: bool, request: &HeaderMap) -> Response {
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
            HeaderValue::from_static(if download.has_video {
                "video/mp4"
            } else {
                "audio/mp4"
            }),
        );
        headers.insert(
            CONTENT_DISPOSITION,
            disposition(if keep { "attachment" } else { "inline" }, file_name),
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
