//! For monitors: that we are up, and the numbers.

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::language::Language;
use super::router::App;
use super::words;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/api/health", get(health))
}

pub(super) fn metrics_route() -> Router<App> {
    Router::new().route("/metrics", get(metrics))
}

/// Contract §1.10.
async fn health(language: Language) -> Json<Value> {
    Json(json!({"status": "ok", "message": words::HEALTHY.say(language)}))
}

/// Prometheus' text format. Counts only: no name, key or address of anybody is in it.
async fn metrics(State(app): State<App>) -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, (app.services().metrics)())
}
