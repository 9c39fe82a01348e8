//! For monitors: that we are up, that we are ready, and the numbers.

use std::time::Duration;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::client::Client;
use super::config::MetricsTo;
use super::error::Problem;
use super::language::Language;
use super::router::App;
use super::words;
use crate::base::{ErrorKind, LiveId};

/// A monitor asks every few seconds; a database that needs longer serves nobody.
const DATABASE_WITHIN: Duration = Duration::from_secs(2);

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/api/health", get(health))
        .route("/api/health/ready", get(ready))
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

/// Whether new viewers and members should be sent here: 503 while the server stops or its database is away. That we
/// answer at all is what `/api/health` says.
async fn ready(State(app): State<App>, language: Language) -> Result<Json<Value>, Problem> {
    let services = app.services();
    let not_ready = || Problem::from(ErrorKind::Unavailable).saying(words::NOT_READY);
    if services.stopping.is_cancelled() {
        return Err(not_ready());
    }
    // Any row: what is asked is whether the database answers.
    let asked = services.store.live(LiveId(0));
    match tokio::time::timeout(DATABASE_WITHIN, asked).await {
        Ok(Ok(_)) => Ok(Json(
            json!({"status": "ready", "message": words::READY.say(language)}),
        )),
        Ok(Err(error)) => Err(Problem::from_failure(ErrorKind::Unavailable, &error)),
        Err(_) => Err(not_ready()),
    }
}

/// Prometheus' text format. Counts only: no name, key or address of anybody is in it.
async fn metrics(State(app): State<App>, client: Client) -> Result<impl IntoResponse, Problem> {
    let allowed = match app.config().metrics {
        MetricsTo::Open => true,
        MetricsTo::Local => client.local,
        MetricsTo::Off => false,
    };
    if !allowed {
        return Err(Problem::not_found());
    }
    let headers = [
        (CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, (app.services().metrics)()))
}
