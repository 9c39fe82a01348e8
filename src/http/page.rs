//! The page and its assets, as `web` embeds them; and the root as the earlier system answered it.

use axum::body::Body;
use axum::extract::Path;
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use super::error::Problem;
use super::hls::takes_gzip;
use super::language::Language;
use super::router::App;
use super::words;
use crate::web::{self, Asset};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(root))
        .route("/watch/{id}", get(page))
        .route("/post/{id}", get(page))
        .route("/studio", get(page))
        .route("/library", get(page))
        .route("/login", get(page))
        // People and messengers add the slash.
        .route("/watch/{id}/", get(page))
        .route("/post/{id}/", get(page))
        .route("/studio/", get(page))
        .route("/library/", get(page))
        .route("/login/", get(page))
        .route("/assets/{*path}", get(asset))
}

/// The page for browsers; for programs the description of contract §1.10.
async fn root(language: Language, headers: HeaderMap) -> Response {
    let html = headers.get_all(ACCEPT).iter().any(|accept| {
        accept
            .to_str()
            .is_ok_and(|accept| accept.contains("text/html"))
    });
    let mut response = if html {
        send(web::index(), &headers)
    } else {
        Json(json!({
            "message": words::WELCOME.say(language),
            "version": env!("CARGO_PKG_VERSION"),
            "status": "ok",
            "endpoints": {
                "login": "/api/users/login/",
                "refresh": "/api/token/refresh/",
                "profile": "/api/users/my-profile/",
                "stream_key": "/api/users/my-profile/stream-key/",
                "media": "/api/posts/media/",
                "uploads": "/api/uploads/",
                "lives": "/api/posts/live/",
                "live_start": "/api/posts/live/start/",
                "geography": "/api/geography/regions/",
                "health": "/api/health/",
                "metrics": "/metrics",
            },
        }))
        .into_response()
    };
    response
        .headers_mut()
        .append(VARY, HeaderValue::from_static("Accept, Accept-Language"));
    response
}

async fn page(headers: HeaderMap) -> Response {
    send(web::index(), &headers)
}

/// A missing asset is a 404, never the page: a script that is HTML would break more than it hides.
async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let asset = web::asset(&path).ok_or_else(Problem::not_found)?;
    Ok(send(asset, &headers))
}

fn send(asset: Asset, request: &HeaderMap) -> Response {
    let known = request
        .get(IF_NONE_MATCH)
        .and_then(|tags| tags.to_str().ok())
        .is_some_and(|tags| {
            let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
            tags.split(',')
                .any(|tag| tag.trim() == "*" || bare(tag) == bare(&asset.etag))
        });
    let varies = asset.gzip.is_some();
    let gzip = asset.gzip.filter(|_| takes_gzip(request));
    let encoded = gzip.is_some();
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Response::new(Body::from(gzip.unwrap_or(asset.body)))
    };
    let headers = response.headers_mut();
    if !known {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
        if encoded {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
    }
    if let Ok(etag) = HeaderValue::try_from(asset.etag) {
        headers.insert(ETAG, etag);
    }
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static(if asset.immutable {
            "public, max-age=31536000, immutable"
        } else {
            "no-cache"
        }),
    );
    if varies {
        headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    response
}
