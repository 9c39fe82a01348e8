//! What members' media are made of, below `/media/`: with ranges, entity tags and the type that their bytes have.

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, LAST_MODIFIED,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::Response;

use super::Services;
use super::error::Problem;
use super::headers;
use super::language::Language;
use super::media;
use super::pages;
use super::range::{self, Condition, Selection};
use super::recordings;
use super::words;
use crate::base::ErrorKind;
use crate::media::{MediaError, Served};
use crate::rendition::PlaybackError;

/// Answers a request below `/media/`.
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
        let sent = send(services, uri, request, method == Method::HEAD).await;
        sent.unwrap_or_else(|problem| {
            let mut response = problem.answer(Language::of(request), None);
            let no_store = HeaderValue::from_static("no-store");
            response.headers_mut().insert(CACHE_CONTROL, no_store);
            response
        })
    } else {
        let allow = HeaderValue::from_static("GET, HEAD, OPTIONS");
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, words::METHOD_NOT_ALLOWED)
            .answer(Language::of(request), Some(allow))
    };
    headers::open_to_all(response.headers_mut());
    response
}

async fn send(
    services: &Services,
    uri: &Uri,
    request: &HeaderMap,
    head: bool,
) -> Result<Response, Problem> {
    let (public_id, name) = uri
        .path()
        .strip_prefix("/media/")
        .and_then(|path| path.split_once('/'))
        .ok_or_else(no_such_media)?;
    let served = services.medias.serve(public_id, name).await;
    let served = served.map_err(|error| match error {
        MediaError::Unknown => no_such_media(),
        error => Problem::from_failure(error.kind(), &error),
    })?;
    let etag = format!("\"{}\"", served.etag);
    let condition = range::condition(request, &etag, served.modified);
    let selection = match condition {
        Condition::NotModified => None,
        Condition::Range => Some(range::select(
            range::range_of(request),
            served.bytes.length(),
        )),
        Condition::Whole => Some(Selection::Whole),
    };
    let disposition = disposition(&served, name, uri);
    let mut response = match selection {
        Some(selection) => media::selected(served.bytes, selection, head)
            .await
            .map_err(|error| match error {
                PlaybackError::NotFound => no_such_media(),
                _ => Problem::from(ErrorKind::Unavailable),
            })?,
        None => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        }
    };
    let headers = response.headers_mut();
    if let Ok(etag) = HeaderValue::try_from(etag) {
        headers.insert(ETAG, etag);
    }
    if let Ok(modified) = HeaderValue::try_from(range::http_date(served.modified)) {
        headers.insert(LAST_MODIFIED, modified);
    }
    headers.insert(CACHE_CONTROL, media::IMMUTABLE);
    if selection.is_some_and(|selection| selection != Selection::Unsatisfiable) {
        if let Ok(content_type) = HeaderValue::try_from(served.content_type) {
            headers.insert(CONTENT_TYPE, content_type);
        }
        headers.insert(CONTENT_DISPOSITION, disposition);
        // Opened by itself it is a picture or a film and can do nothing else.
        headers.insert(
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; sandbox"),
        );
    }
    Ok(response)
}

/// Pictures, films and sound are shown; anything else is saved.
fn disposition(served: &Served, name: &str, uri: &Uri) -> HeaderValue {
    let kind = served.content_type.split('/').next().unwrap_or_default();
    let shown = matches!(kind, "image" | "video" | "audio") && !served.content_type.contains("svg");
    let keep = pages::pairs(uri)
        .iter()
        .any(|(name, value)| name == "download" && value == "1");
    let extension = name.rsplit('.').next().unwrap_or_default();
    let title = recordings::plain_name(&served.title);
    let file_name = if title.is_empty() {
        name.to_owned()
    } else {
        format!("{title}.{extension}")
    };
    recordings::disposition(
        if shown && !keep {
            "inline"
        } else {
            "attachment"
        },
        &file_name,
    )
}

fn no_such_media() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, words::NO_SUCH_MEDIA)
}
