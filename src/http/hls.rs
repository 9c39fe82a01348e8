//! Delivery of media: playlists, init sections, segments and parts below `/live/` (design §4, §4a).
//!
//! The hottest path of the house: no router, no JSON, no span per request. What waits (a blocked reload, a
//! hinted part, the first playlist) waits inside `rendition::Reader`, which bounds it.

use std::net::IpAddr;

use axum::body::Body;
use axum::http::header::{
    ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, USER_AGENT,
    VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::Response;

use super::address::{self, Target};
use super::headers;
use super::language::Language;
use super::media::bytes_of;
use super::poster;
use super::words::{self, Sentence};
use crate::live::Lives;
use crate::rendition::{Freshness, MediaBytes, PlaybackError, PlaylistText, Reader};

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const PLAYLIST: HeaderValue = HeaderValue::from_static("application/vnd.apple.mpegurl");

/// Answers a request below `/live/`. `client` is the viewer's address.
pub(super) async fn answer(
    lives: &Lives,
    method: &Method,
    uri: &Uri,
    request: &HeaderMap,
    client: IpAddr,
) -> Response {
    let head = method == Method::HEAD;
    let sent = deliver(lives, uri, request, client, head);
    open_to_all(method, request, sent).await
}

/// What anybody on any page may fetch: answers GET and HEAD with what `deliver` finds.
pub(super) async fn open_to_all(
    method: &Method,
    request: &HeaderMap,
    deliver: impl Future<Output = Result<Response, PlaybackError>>,
) -> Response {
    if method == Method::OPTIONS {
        return headers::media_preflight();
    }
    let mut response = if method == Method::GET || method == Method::HEAD {
        deliver.await.unwrap_or_else(|why| nothing(why, request))
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
    response
}

async fn deliver(
    lives: &Lives,
    uri: &Uri,
    request: &HeaderMap,
    client: IpAddr,
    head: bool,
) -> Result<Response, PlaybackError> {
    let (playback_id, wanted) = wanted(uri.path()).ok_or(PlaybackError::NotFound)?;
    let playback = lives.playback(playback_id).await?;
    if !matches!(wanted, Wanted::Poster | Wanted::Hls(Target::Init { .. })) {
        let agent = request
            .get(USER_AGENT)
            .map_or("", |value| value.to_str().unwrap_or(""));
        playback.saw(client, agent);
    }
    let without_parts = address::without_parts(uri.query());
    let target = match wanted {
        Wanted::SoundAlone => return playback.sound_alone(without_parts).await.map(playlist),
        Wanted::Poster => return poster::of_live(lives, &playback, playback_id, request).await,
        Wanted::Hls(target) => target,
    };
    match target.rendition() {
        Some(rendition) => {
            of_rendition(&playback.rendition(rendition)?, target, uri, request, head).await
        }
        None => playback.multivariant(without_parts).await.map(playlist),
    }
}

/// What a path below `/live/` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted<'a> {
    /// The multivariant playlist of sound alone.
    SoundAlone,
    /// The newest picture.
    Poster,
    Hls(Target<'a>),
}

fn wanted(path: &str) -> Option<(&str, Wanted<'_>)> {
    if let Some((playback_id, target)) = address::target("/live/", path) {
        return Some((playback_id, Wanted::Hls(target)));
    }
    let (playback_id, file) = path.strip_prefix("/live/")?.split_once('/')?;
    match file {
        "audio.m3u8" => Some((playback_id, Wanted::SoundAlone)),
        "poster.jpg" => Some((playback_id, Wanted::Poster)),
        _ => None,
    }
}

/// A rendition's playlist, or a piece of its media.
pub(super) async fn of_rendition(
    reader: &Reader,
    target: Target<'_>,
    uri: &Uri,
    request: &HeaderMap,
    head: bool,
) -> Result<Response, PlaybackError> {
    let media = match target {
        Target::Multivariant => return reader.multivariant().await.map(playlist),
        Target::Playlist { .. } => {
            let Some(query) = address::query(uri.query().unwrap_or(""), takes_gzip(request)) else {
                return Ok(refuse(StatusCode::BAD_REQUEST, words::INVALID, request));
            };
            return reader.playlist(query).await.map(playlist);
        }
        Target::Init { run, .. } => MediaBytes::Memory(reader.init(run)?),
        Target::Segment { run, msn, .. } => reader.segment(run, msn)?,
        Target::Part { run, msn, part, .. } => reader.part(run, msn, part).await?,
    };
    bytes_of(media, reader.name(), request, head).await
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
        // What nearly every playlist of a running live says, without making a text.
        Freshness::Seconds(6) => HeaderValue::from_static("public, max-age=6"),
        Freshness::Seconds(seconds) => {
            HeaderValue::try_from(format!("public, max-age={seconds}")).unwrap_or(NO_STORE)
        }
    }
}

pub(super) fn playlist(text: PlaylistText) -> Response {
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

/// The answer when there is nothing to play.
pub(super) fn nothing(why: PlaybackError, request: &HeaderMap) -> Response {
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
    use bytes::Bytes;

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
    fn a_live_has_a_picture_and_sound_alone_beside_its_renditions() {
        for (path, expected) in [
            (
                "/live/p/index.m3u8",
                Some(Wanted::Hls(Target::Multivariant)),
            ),
            ("/live/p/audio.m3u8", Some(Wanted::SoundAlone)),
            ("/live/p/poster.jpg", Some(Wanted::Poster)),
            ("/live/p/poster.png", None),
            ("/live/poster.jpg", None),
        ] {
            let found = wanted(path).map(|(playback_id, wanted)| {
                assert_eq!(playback_id, "p");
                wanted
            });
            assert_eq!(found, expected, "{path}");
        }
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

    #[test]
    fn nothing_to_play_is_never_kept_and_says_when_to_come_back() {
        for (why, status, retry) in [
            (PlaybackError::NotFound, 404, None),
            (PlaybackError::NotYet, 404, Some("2")),
            (PlaybackError::TooFarAhead, 400, None),
            (PlaybackError::Unavailable, 503, Some("2")),
        ] {
            let response = nothing(why, &asking(&[]));
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
            let after = response.headers().get(RETRY_AFTER);
            assert_eq!(after.map(|value| value.to_str().unwrap()), retry);
        }
    }
}
