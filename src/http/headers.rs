//! What every answer carries, and who may read it from another origin (contract §1.10).

use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    CONTENT_SECURITY_POLICY, ORIGIN, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, VARY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS, X_XSS_PROTECTION,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use std::time::Duration;

/// The page's policy, which ran clean in the browser (`facts/ui.md`). `ws:` because Safari does not take
/// `'self'` for web sockets.
const POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; worker-src 'self' blob:; connect-src 'self' ws: wss:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

const ALWAYS: [(HeaderName, &str); 9] = [
    (X_FRAME_OPTIONS, "DENY"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_XSS_PROTECTION, "1; mode=block"),
    // Browsers heed it over TLS only (RFC 6797 §8.1), so it does no harm without.
    (
        STRICT_TRANSPORT_SECURITY,
        "max-age=31536000; includeSubDomains",
    ),
    (CONTENT_SECURITY_POLICY, POLICY),
    (REFERRER_POLICY, "same-origin"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(self), microphone=(self)",
    ),
    (HeaderName::from_static("server"), "griot"),
];

const RESPONSE_TIME: HeaderName = HeaderName::from_static("x-response-time");

/// Adds what every answer carries; `took` is the time since the request's head was read.
pub(super) fn always(headers: &mut HeaderMap, took: Duration) {
    headers.reserve(ALWAYS.len() + 1);
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(RESPONSE_TIME, response_time(took));
}

/// `0.006s`.
fn response_time(took: Duration) -> HeaderValue {
    if took < Duration::from_millis(1) {
        // The answer to nearly every playlist request, for which no text is made.
        return HeaderValue::from_static("0.000s");
    }
    HeaderValue::try_from(format!("{:.3}s", took.as_secs_f64()))
        .unwrap_or(HeaderValue::from_static("0.000s"))
}

/// Lets a player on any page read media: `Access-Control-Allow-Origin: *` (design §4a).
pub(super) fn open_to_all(headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(
            "Accept-Ranges, Content-Length, Content-Range, Date, ETag, Retry-After",
        ),
    );
}

/// The answer to a preflight on media.
pub(super) fn media_preflight() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    open_to_all(headers);
    headers.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, HEAD, OPTIONS"),
    );
    headers.insert(
        ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("If-None-Match, If-Range, Range"),
    );
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    response
}

/// Ports on which a page under development may run.
const DEVELOPMENT_PORTS: [&str; 4] = ["3000", "3001", "3002", "3004"];

/// The request's origin when it is one of the allow-list.
pub(super) fn allowed_origin(headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(ORIGIN)?;
    let (host, port) = origin
        .to_str()
        .ok()?
        .strip_prefix("http://")?
        .rsplit_once(':')?;
    let known = matches!(host, "localhost" | "127.0.0.1") && DEVELOPMENT_PORTS.contains(&port);
    known.then(|| origin.clone())
}

/// Lets a page of an allowed origin read an API answer.
pub(super) fn open_to(headers: &mut HeaderMap, origin: Option<HeaderValue>) {
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("true"),
        );
    }
}

/// Whether a request is a preflight (Fetch §3.2.2).
pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS && headers.contains_key("access-control-request-method")
}

/// The answer to a preflight on the API; without any permission for strangers.
pub(super) fn api_preflight(origin: Option<HeaderValue>) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    if origin.is_some() {
        headers.insert(
            ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("DELETE, GET, OPTIONS, PATCH, POST, PUT"),
        );
        headers.insert(
            ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("accept, accept-encoding, authorization, content-type, dnt, origin, user-agent, x-csrftoken, x-requested-with"),
        );
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    }
    open_to(headers, origin);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_local_origins_of_the_contract_are_allowed() {
        for (origin, allowed) in [
            ("http://localhost:3000", true),
            ("http://127.0.0.1:3004", true),
            ("http://localhost:3003", false),
            ("https://localhost:3000", false),
            ("http://localhost.evil:3000", false),
            ("http://evil@localhost:3000", false),
            ("null", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ORIGIN, HeaderValue::from_static(origin));
            assert_eq!(allowed_origin(&headers).is_some(), allowed, "{origin}");
        }
    }

    #[test]
    fn response_times_read_as_the_contract_shows() {
        assert_eq!(response_time(Duration::from_micros(6_400)), "0.006s");
        assert_eq!(response_time(Duration::from_micros(900)), "0.000s");
    }
}
