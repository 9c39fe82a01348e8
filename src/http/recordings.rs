//! Download of a finished run as a plain MP4, and of what was made of it (a WebM, pictures), below `/recordings/`.

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, LAST_MODIFIED, LOCATION,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::Response;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Services;
use super::hls;
use super::links;
use super::media;
use super::pages;
use super::range::{self, Condition, Selection};
use crate::base::Timestamp;
use crate::recording;
use crate::rendition::{Download, MediaBytes, PlaybackError};

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
/// With `redirect`, what an object store has is downloaded from there.
pub(super) async fn answer(
    services: &Services,
    redirect: bool,
    method: &Method,
    uri: &Uri,
    request: &HeaderMap,
) -> Response {
    let wish = Wish::of(method, uri, redirect);
    let sent = async {
        if let Some((playback_id, name)) = made_of(uri.path()) {
            let served = services.recordings.serve(playback_id, name).await?;
            let extension = name.rsplit('.').next().unwrap_or_default();
            let file_name = named(&served.title, served.began_at, 0, extension);
            return send_as(
                served.download,
                &served.content_type,
                &file_name,
                wish,
                request,
            )
            .await;
        }
        let (download, file_name) = find(services, uri.path()).await?;
        send(download, &file_name, wish, request).await
    };
    hls::open_to_all(method, request, sent).await
}

/// What was made of a recording beside its runs, if a path names that.
fn made_of(path: &str) -> Option<(&str, &str)> {
    let (playback_id, name) = path.strip_prefix("/recordings/")?.split_once('/')?;
    let names = [
        recording::FILE,
        recording::POSTER,
        recording::SHEET,
        recording::STORYBOARD,
    ];
    names.contains(&name).then_some((playback_id, name))
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
    let name = file_name(&live.title, live.started_at.unwrap_or(live.created_at), run);
    Ok((download, name))
}

/// `Title 2025-07-23.mp4`; later runs are numbered.
pub(super) fn file_name(title: &str, moment: Timestamp, run: u32) -> String {
    named(title, moment, run, "mp4")
}

fn named(title: &str, moment: Timestamp, run: u32, extension: &str) -> String {
    let title = plain_name(title);
    let title = match title.as_str() {
        "" => "live",
        title => title,
    };
    let moment = moment.to_string();
    let day = moment.get(..10).unwrap_or("");
    match run {
        0 => format!("{title} {day}.{extension}"),
        run => format!("{title} {day} ({}).{extension}", u64::from(run) + 1),
    }
}

/// A title as the name of a file; may be empty.
pub(super) fn plain_name(title: &str) -> String {
    let name: String = title
        .chars()
        .map(|letter| match letter {
            '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => '_',
            letter if letter.is_control() => '_',
            letter => letter,
        })
        .take(100)
        .collect();
    // A name that begins with a dot is hidden on some systems.
    name.trim().trim_start_matches('.').to_owned()
}

/// `?download=1`: save it, do not show it.
fn wants_to_keep(uri: &Uri) -> bool {
    pages::pairs(uri)
        .iter()
        .any(|(name, value)| name == "download" && value == "1")
}

/// How a download is wanted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wish {
    /// Saved, not shown.
    keep: bool,
    /// From the object store itself, where that has an address.
    redirect: bool,
    /// Its head alone.
    head: bool,
}

impl Wish {
    /// With `redirect`, what an object store has is downloaded from there.
    pub(super) fn of(method: &Method, uri: &Uri, redirect: bool) -> Self {
        Self {
            keep: wants_to_keep(uri),
            redirect,
            head: method == Method::HEAD,
        }
    }
}

/// The file, a range of it, where it is to be had, or the news that the client has it.
///
/// # Errors
/// `Unavailable` when it lies in an object store that is away.
pub(super) async fn send(
    download: Download,
    file_name: &str,
    wish: Wish,
    request: &HeaderMap,
) -> Result<Response, PlaybackError> {
    let content_type = if download.has_video {
        "video/mp4"
    } else {
        "audio/mp4"
    };
    send_as(download, content_type, file_name, wish, request).await
}

/// The same of any type.
async fn send_as(
    download: Download,
    content_type: &str,
    file_name: &str,
    wish: Wish,
    request: &HeaderMap,
) -> Result<Response, PlaybackError> {
    let disposition = disposition(if wish.keep { "attachment" } else { "inline" }, file_name);
    let condition = range::condition(request, &download.etag, download.modified);
    if wish.redirect
        && !wish.head
        && condition != Condition::NotModified
        && let MediaBytes::Object(object) = &download.media
    {
        let said = disposition.to_str().unwrap_or("inline").to_owned();
        if let Some(address) = object.address(said, content_type).await {
            return Ok(moved(&address));
        }
    }
    let selection = match condition {
        Condition::NotModified => None,
        Condition::Range => Some(range::select(
            range::range_of(request),
            download.media.length(),
        )),
        Condition::Whole => Some(Selection::Whole),
    };
    let mut response = match selection {
        Some(selection) => media::selected(download.media, selection, wish.head).await?,
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
    headers.insert(CACHE_CONTROL, media::IMMUTABLE);
    if selection.is_some_and(|selection| selection != Selection::Unsatisfiable) {
        if let Ok(content_type) = HeaderValue::try_from(content_type) {
            headers.insert(CONTENT_TYPE, content_type);
        }
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
    Ok(response)
}

/// 302 to an address that is signed for this client now: not to be kept.
fn moved(address: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    let headers = response.headers_mut();
    if let Ok(address) = HeaderValue::try_from(address) {
        headers.insert(LOCATION, address);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// `attachment; filename="…"; filename*=UTF-8''…` (RFC 6266 §4.3): the plain name for old clients, the
/// other for the rest.
pub(super) fn disposition(kind: &'static str, file_name: &str) -> HeaderValue {
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

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE};
    use http_body_util::BodyExt;
    use std::io::Write;
    use std::sync::Arc;

    use crate::rendition::FileRange;

    fn download() -> Download {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        Download {
            media: MediaBytes::File(FileRange::new(Arc::new(file), 0, 10)),
            etag: "\"v1\"".to_owned(),
            // `date -u -d 'Sun, 06 Nov 1994 08:49:37 GMT' +%s`
            modified: Timestamp(784_111_777_000_000),
            has_video: true,
        }
    }

    fn asking(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                let name = axum::http::HeaderName::from_static(name);
                (name, HeaderValue::from_static(value))
            })
            .collect()
    }

    async fn sent(request: &HeaderMap) -> Response {
        let wish = Wish {
            keep: true,
            ..Wish::default()
        };
        send(download(), "a.mp4", wish, request).await.unwrap()
    }

    #[tokio::test]
    async fn a_download_is_resumable() {
        let first = sent(&asking(&[])).await;
        assert_eq!(first.status(), 200);
        assert_eq!(first.headers()[ACCEPT_RANGES], "bytes");
        assert_eq!(first.headers()[CONTENT_LENGTH], "10");
        assert_eq!(first.headers()[ETAG], "\"v1\"");
        assert_eq!(
            first.headers()[LAST_MODIFIED],
            "Sun, 06 Nov 1994 08:49:37 GMT"
        );
        assert_eq!(first.headers()[CONTENT_TYPE], "video/mp4");

        let request = asking(&[("range", "bytes=7-"), ("if-range", "\"v1\"")]);
        let rest = sent(&request).await;
        assert_eq!(rest.status(), 206);
        assert_eq!(rest.headers()[CONTENT_RANGE], "bytes 7-9/10");
        let body = rest.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "789");

        let request = asking(&[("range", "bytes=7-"), ("if-range", "\"v0\"")]);
        let other = sent(&request).await;
        assert_eq!(other.status(), 200, "the file is another one now");
    }

    #[tokio::test]
    async fn what_the_client_has_is_not_sent_again() {
        let request = asking(&[("if-none-match", "\"v1\""), ("range", "bytes=0-1")]);
        let response = sent(&request).await;
        assert_eq!(response.status(), 304);
        assert_eq!(response.headers()[ETAG], "\"v1\"");
        assert!(!response.headers().contains_key(CONTENT_LENGTH));
        let response = sent(&asking(&[("range", "bytes=10-")])).await;
        assert_eq!(response.status(), 416);
        assert_eq!(response.headers()[CONTENT_RANGE], "bytes */10");
    }

    // The form of RFC 6266 §5, its fourth example.
    #[test]
    fn a_name_with_accents_reaches_new_and_old_clients() {
        assert_eq!(
            disposition("attachment", "Été \"1\" 100%.mp4"),
            "attachment; filename=\"_t_ _1_ 100_.mp4\"; filename*=UTF-8''%C3%89t%C3%A9%20%221%22%20100%25.mp4"
        );
        assert_eq!(
            disposition("inline", "a.mp4"),
            "inline; filename=\"a.mp4\"; filename*=UTF-8''a.mp4"
        );
    }

    #[test]
    fn only_download_1_asks_to_keep_the_file() {
        assert!(wants_to_keep(&Uri::from_static("/r/p/0.mp4?download=1")));
        assert!(!wants_to_keep(&Uri::from_static("/r/p/0.mp4?download=0")));
        assert!(!wants_to_keep(&Uri::from_static("/r/p/0.mp4")));
    }
}
