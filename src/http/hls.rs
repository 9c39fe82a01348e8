//! Delivery of media: playlists, init sections, segments and parts below `/live/` (design §4, §4a).
//!
//! The hottest path of the house: no router, no JSON, no span per request. What waits (a blocked reload, a
//! hinted part, the first playlist) waits inside `live::Playback`, which bounds it.

use std::net::IpAddr;

use axum::body::Body;
use axum::http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH,
    CONTENT_RANGE, CONTENT_TYPE, RETRY_AFTER, USER_AGENT, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::Response;
use bytes::Bytes;

use super::body;
use super::headers;
use super::language::Language;
use super::range::{self, Selection};
use super::stub::live::Lives;
use super::stub::rendition::{Freshness, MediaBytes, PlaybackError, PlaylistQuery, PlaylistText};
use super::words::{self, Sentence};

/// What never changes is kept this long at most, so that a takedown works (design §4a).
pub(super) const IMMUTABLE: HeaderValue =
    HeaderValue::from_static("public, max-age=3600, immutable");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const PLAYLIST: HeaderValue = HeaderValue::from_static("application/vnd.apple.mpegurl");

/// What a path below `/live/{playback_id}/` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    Multivariant,
    Playlist {
        rendition: &'a str,
    },
    Init {
        rendition: &'a str,
        run: u32,
    },
    Segment {
        rendition: &'a str,
        run: u32,
        msn: u64,
    },
    Part {
        rendition: &'a str,
        run: u32,
        msn: u64,
        part: usize,
    },
}

/// Splits `/live/{playback_id}/…`; `None` for what is no address of ours.
pub(super) fn target(path: &str) -> Option<(&str, Target<'_>)> {
    let (playback_id, rest) = path.strip_prefix("/live/")?.split_once('/')?;
    if rest == "index.m3u8" {
        return Some((playback_id, Target::Multivariant));
    }
    let (rendition, rest) = rest.split_once('/')?;
    let Some((run, file)) = rest.split_once('/') else {
        return (rest == "index.m3u8").then_some((playback_id, Target::Playlist { rendition }));
    };
    let run = u32::try_from(number(run)?).ok()?;
    if file == "init.mp4" {
        return Some((playback_id, Target::Init { rendition, run }));
    }
    let name = file.strip_suffix(".m4s")?;
    let target = match name.split_once('.') {
        None => Target::Segment {
            rendition,
            run,
            msn: number(name)?,
        },
        Some((msn, part)) => Target::Part {
            rendition,
            run,
            msn: number(msn)?,
            part: usize::try_from(number(part)?).ok()?,
        },
    };
    Some((playback_id, target))
}

/// Digits and nothing else, so that every medium has one address.
pub(super) fn number(text: &str) -> Option<u64> {
    let canonical = !text.is_empty()
        && text.bytes().all(|digit| digit.is_ascii_digit())
        && (text.len() == 1 || !text.starts_with('0'));
    canonical.then(|| text.parse().ok()).flatten()
}

/// Answers a request below `/live/`. `client` is the viewer's address.
pub(super) async fn answer(
    lives: &Lives,
    method: &Method,
    uri: &Uri,
    request: &HeaderMap,
    client: IpAddr,
) -> Response {
    if method == Method::OPTIONS {
        return headers::media_preflight();
    }
    let mut response = if method == Method::GET || method == Method::HEAD {
        media(lives, uri, request, client).await
    } else {
        let mut response = refuse(
            StatusCode::METHOD_NOT_ALLOWED,
            words::METHOD_NOT_ALLOWED,
            request,
        );
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
        response
    };
    headers::open_to_all(response.headers_mut());
    if method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    response
}

async fn media(lives: &Lives, uri: &Uri, request: &HeaderMap, client: IpAddr) -> Response {
    let Some((playback_id, target)) = target(uri.path()) else {
        return error(PlaybackError::NotFound, request);
    };
    let playback = match lives.playback(playback_id).await {
        Ok(playback) => playback,
        Err(why) => return error(why, request),
    };
    if !matches!(target, Target::Init { .. }) {
        let agent = request
            .get(USER_AGENT)
            .map_or("", |value| value.to_str().unwrap_or(""));
        playback.saw(client, agent);
    }
    let answer = match target {
        Target::Multivariant => playback.source().multivariant().await.map(playlist),
        Target::Playlist { rendition } => {
            let Some(query) = query(uri.query().unwrap_or(""), takes_gzip(request)) else {
                return refuse(StatusCode::BAD_REQUEST, words::INVALID, request);
            };
            match playback.rendition(rendition) {
                Ok(reader) => reader.playlist(query).await.map(playlist),
                Err(why) => Err(why),
            }
        }
        Target::Init { rendition, run } => playback
            .rendition(rendition)
            .and_then(|reader| reader.init(run))
            .map(|bytes| bytes_of(MediaBytes::Memory(bytes), rendition, request)),
        Target::Segment {
            rendition,
            run,
            msn,
        } => playback
            .rendition(rendition)
            .and_then(|reader| reader.segment(run, msn))
            .map(|bytes| bytes_of(bytes, rendition, request)),
        Target::Part {
            rendition,
            run,
            msn,
            part,
        } => match playback.rendition(rendition) {
            Ok(reader) => reader
                .part(run, msn, part)
                .await
                .map(|bytes| bytes_of(bytes, rendition, request)),
            Err(why) => Err(why),
        },
    };
    answer.unwrap_or_else(|why| error(why, request))
}

/// Reads `_HLS_msn`, `_HLS_part`, `_HLS_skip` and `ll` (RFC 8216bis 6.2.5); other parameters are ignored.
/// `None` when a number is none, or a part is asked for without its segment: 400.
fn query(text: &str, gzip: bool) -> Option<PlaylistQuery> {
    let mut query = PlaylistQuery {
        gzip,
        ..PlaylistQuery::default()
    };
    for pair in text.split('&') {
        match pair.split_once('=') {
            Some(("_HLS_msn", value)) => query.msn = Some(number(value)?),
            Some(("_HLS_part", value)) => query.part = Some(number(value)?),
            Some(("_HLS_skip", value)) => query.skip = matches!(value, "YES" | "v2"),
            Some(("ll", "0")) => query.without_parts = true,
            _ => {}
        }
    }
    (query.part.is_none() || query.msn.is_some()).then_some(query)
}

/// Whether the client lists gzip. Never asks for brotli: Chromium's own HLS cannot read it (`facts/ui.md`).
pub(super) fn takes_gzip(request: &HeaderMap) -> bool {
    request
        .get(ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|list| {
            list.split(',').any(|coding| {
                let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
                let refused = weight
                    .trim()
                    .strip_prefix("q=")
                    .is_some_and(|q| q.bytes().all(|byte| matches!(byte, b'0' | b'.')));
                name.trim().eq_ignore_ascii_case("gzip") && !refused
            })
        })
}

/// How long an answer may be kept.
fn cache_control(freshness: Freshness) -> HeaderValue {
    match freshness {
        Freshness::NoStore => NO_STORE,
        // Whole targets of the common case without making a text.
        Freshness::Seconds(1) => HeaderValue::from_static("public, max-age=1"),
        Freshness::Seconds(6) => HeaderValue::from_static("public, max-age=6"),
        Freshness::Seconds(seconds) => {
            HeaderValue::try_from(format!("public, max-age={seconds}")).unwrap_or(NO_STORE)
        }
    }
}

fn playlist(text: PlaylistText) -> Response {
    let mut response = Response::new(Body::from(text.body));
    let headers = response.headers_mut();
    // Everything that will be added, in one allocation.
    headers.reserve(20);
    headers.insert(CONTENT_TYPE, PLAYLIST);
    headers.insert(CACHE_CONTROL, cache_control(text.freshness));
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if text.gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// The bytes of a medium, or the range of them that is asked for.
fn bytes_of(media: MediaBytes, rendition: &str, request: &HeaderMap) -> Response {
    let total = match &media {
        MediaBytes::Memory(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        MediaBytes::File(range) => range.length,
    };
    // No entity tags here (an address never changes its bytes), so If-Range never matches.
    let range = if request.contains_key(axum::http::header::IF_RANGE) {
        None
    } else {
        range::range_of(request)
    };
    let selection = range::select(range, total);
    let mut response = selected(media, selection, total);
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
            NO_STORE
        } else {
            IMMUTABLE
        },
    );
    response
}

/// 200, 206 or 416 with the bytes that `selection` takes of `media`, which has `total`.
pub(super) fn selected(media: MediaBytes, selection: Selection, total: u64) -> Response {
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
            body::file(range)
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
    response
}

fn slice(bytes: &Bytes, offset: u64, length: u64) -> Bytes {
    let start = usize::try_from(offset).unwrap_or(bytes.len());
    let end = usize::try_from(offset + length).unwrap_or(bytes.len());
    bytes.slice(start.min(bytes.len())..end.min(bytes.len()))
}

/// The answer when there is nothing to play.
pub(super) fn error(why: PlaybackError, request: &HeaderMap) -> Response {
    let (status, sentence, retry) = match why {
        PlaybackError::NotFound => (StatusCode::NOT_FOUND, words::NO_SUCH_MEDIA, false),
        PlaybackError::NotYet => (StatusCode::NOT_FOUND, words::MEDIA_NOT_YET, true),
        PlaybackError::TooFarAhead => (StatusCode::BAD_REQUEST, words::TOO_FAR_AHEAD, false),
        PlaybackError::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, words::UNAVAILABLE, true),
    };
    let mut response = refuse(status, sentence, request);
    if retry {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from_static("2"));
    }
    response
}

fn refuse(status: StatusCode, sentence: Sentence, request: &HeaderMap) -> Response {
    let mut response =
        super::error::Problem::new(status, sentence).answer(Language::of(request), None);
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::header::IF_RANGE;
    use http_body_util::BodyExt;
    use std::io::Write;
    use std::sync::Arc;

    use super::super::stub::rendition::FileRange;

    #[test]
    fn an_address_names_one_medium() {
        let source = "source";
        for (path, expected) in [
            ("/live/p/index.m3u8", Some(("p", Target::Multivariant))),
            (
                "/live/p/source/index.m3u8",
                Some(("p", Target::Playlist { rendition: source })),
            ),
            (
                "/live/p/source/0/init.mp4",
                Some((
                    "p",
                    Target::Init {
                        rendition: source,
                        run: 0,
                    },
                )),
            ),
            (
                "/live/p/source/1/42.m4s",
                Some((
                    "p",
                    Target::Segment {
                        rendition: source,
                        run: 1,
                        msn: 42,
                    },
                )),
            ),
            (
                "/live/p/source/1/42.7.m4s",
                Some((
                    "p",
                    Target::Part {
                        rendition: source,
                        run: 1,
                        msn: 42,
                        part: 7,
                    },
                )),
            ),
        ] {
            assert_eq!(target(path), expected, "{path}");
        }
        for path in [
            "/live/",
            "/live/p",
            "/live/p/",
            "/live/p/source",
            "/live/p/source/",
            "/live/p/source/0/",
            "/live/p/source/0/1.mp4",
            "/live/p/source/0/01.m4s",
            "/live/p/source/0/-1.m4s",
            "/live/p/source/0/1.2.3.m4s",
            "/live/p/source/0/1.2.m4s/",
            "/live/p/source/4294967296/init.mp4",
            "/live/p/source/x/index.m3u8",
        ] {
            assert_eq!(target(path), None, "{path}");
        }
    }

    #[test]
    fn the_directives_of_a_reload_are_read_and_nonsense_is_refused() {
        let reload = query("_HLS_msn=12&_HLS_part=3&_HLS_skip=YES&x=y", true).unwrap();
        assert_eq!(
            reload,
            PlaylistQuery {
                msn: Some(12),
                part: Some(3),
                skip: true,
                without_parts: false,
                gzip: true,
            }
        );
        assert!(query("ll=0", false).unwrap().without_parts);
        assert_eq!(query("", false), Some(PlaylistQuery::default()));
        assert_eq!(query("_HLS_msn=x", false), None);
        assert_eq!(
            query("_HLS_part=1", false),
            None,
            "a part of which segment?"
        );
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

    #[test]
    fn gzip_is_sent_only_to_those_who_take_it() {
        for (accepted, takes) in [
            ("gzip, deflate, br", true),
            ("br, GZIP;q=0.5", true),
            ("br", false),
            ("gzip;q=0", false),
            ("gzip;q=0.00", false),
            ("identity", false),
        ] {
            assert_eq!(
                takes_gzip(&asking(&[("accept-encoding", accepted)])),
                takes,
                "{accepted}"
            );
        }
        assert!(!takes_gzip(&asking(&[])));
    }

    #[test]
    fn a_playlist_says_how_long_it_may_be_kept() {
        let text = |freshness, gzip| {
            playlist(PlaylistText {
                body: Bytes::from_static(b"#EXTM3U"),
                gzip,
                freshness,
            })
        };
        let fresh = text(Freshness::NoStore, false);
        assert_eq!(fresh.headers()[CACHE_CONTROL], "no-store");
        assert_eq!(
            fresh.headers()[CONTENT_TYPE],
            "application/vnd.apple.mpegurl"
        );
        assert!(!fresh.headers().contains_key(CONTENT_ENCODING));
        let kept = text(Freshness::Seconds(60), true);
        assert_eq!(kept.headers()[CACHE_CONTROL], "public, max-age=60");
        assert_eq!(kept.headers()[CONTENT_ENCODING], "gzip");
        assert_eq!(kept.headers()[VARY], "Accept-Encoding");
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
            let whole = bytes_of(media.clone(), "source", &asking(&[]));
            assert_eq!(whole.status(), 200);
            assert_eq!(whole.headers()[CONTENT_LENGTH], "600000");
            assert_eq!(whole.headers()[CONTENT_TYPE], "video/mp4");
            assert_eq!(whole.headers()[CACHE_CONTROL], IMMUTABLE);
            assert_eq!(received(whole).await, bytes);

            let request = asking(&[("range", "bytes=299990-599999")]);
            let part = bytes_of(media.clone(), "audio", &request);
            assert_eq!(part.status(), 206);
            assert_eq!(part.headers()[CONTENT_RANGE], "bytes 299990-599999/600000");
            assert_eq!(part.headers()[CONTENT_LENGTH], "300010");
            assert_eq!(part.headers()[CONTENT_TYPE], "audio/mp4");
            assert_eq!(received(part).await, bytes[299_990..]);

            let beyond = bytes_of(
                media.clone(),
                "source",
                &asking(&[("range", "bytes=600000-")]),
            );
            assert_eq!(beyond.status(), 416);
            assert_eq!(beyond.headers()[CONTENT_RANGE], "bytes */600000");
            assert_eq!(beyond.headers()[CACHE_CONTROL], "no-store");

            let mut request = asking(&[("range", "bytes=0-1")]);
            request.insert(IF_RANGE, HeaderValue::from_static("\"old\""));
            assert_eq!(bytes_of(media, "source", &request).status(), 200);
        }
    }

    #[tokio::test]
    async fn a_file_that_is_shorter_than_promised_breaks_the_answer() {
        let file = tempfile::tempfile().unwrap();
        let range = FileRange::new(Arc::new(file), 0, 10);
        let response = bytes_of(MediaBytes::File(range), "source", &asking(&[]));
        assert!(response.into_body().collect().await.is_err());
    }

    #[test]
    fn nothing_to_play_is_never_kept_and_says_when_to_come_back() {
        for (why, status, retry) in [
            (PlaybackError::NotFound, 404, None),
            (PlaybackError::NotYet, 404, Some("2")),
            (PlaybackError::TooFarAhead, 400, None),
            (PlaybackError::Unavailable, 503, Some("2")),
        ] {
            let response = error(why, &asking(&[]));
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
            let after = response.headers().get(RETRY_AFTER);
            assert_eq!(after.map(|value| value.to_str().unwrap()), retry);
        }
    }
}
