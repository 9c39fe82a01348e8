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

/// Contract §1.10. With a bucket also how that is: griot itself is well without it.
async fn health(State(app): State<App>, language: Language) -> Json<Value> {
    let mut answer = json!({"status": "ok", "message": words::HEALTHY.say(language)});
    let sending = app.services().lives.sending();
    if sending.places().objects.s3().is_some() {
        let (runs, bytes) = sending.waiting();
        let state = sending.trouble().map_or("ok", |trouble| trouble.kind);
        answer["objects"] = json!({"state": state, "waiting_runs": runs, "waiting_bytes": bytes});
    }
    Json(answer)
}

/// Prometheus' text format. Counts only: no name, key or address of anybody is in it.
async fn metrics(State(app): State<App>) -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, (app.services().metrics)())
}
