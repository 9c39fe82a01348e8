//! The WebM of a live: how far it is, and asked for by its owner.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::error::Problem;
use super::extract::Member;
use super::links::Links;
use super::live::live_id;
use super::router::App;
use super::words;
use crate::recording::{self, AskError, WebmState, WebmView};

pub(super) fn routes() -> Router<App> {
    Router::new().route("/api/posts/live/{id}/webm", post(ask))
}

impl From<AskError> for Problem {
    fn from(error: AskError) -> Self {
        let problem = Self::from_failure(error.kind(), &error);
        let problem = match error {
            AskError::NotFound => problem.saying(words::NO_RECORDING),
            AskError::Forbidden => problem.saying(words::LIVE_NOT_YOURS),
            AskError::NotYet => problem.saying(words::RECORDING_NOT_YET),
            AskError::Never => problem.saying(words::WEBM_NEVER),
            AskError::Store(_) => problem,
        };
        problem.by_hand()
    }
}

/// 200 when it is there, 202 while it is made.
async fn ask(
    State(app): State<App>,
    Path(id): Path<String>,
    Member(caller): Member,
    links: Links,
) -> Result<Response, Problem> {
    let services = app.services();
    let live = live_id(&id)?;
    let asked = services
        .recordings
        .ask_for_webm(caller.id(), caller.is_admin(), live);
    let view = asked.await?;
    let status = match view.state {
        WebmState::Ready => StatusCode::OK,
        _ => StatusCode::ACCEPTED,
    };
    let row = services.store.live(live).await?;
    let url = row
        .filter(|_| view.state == WebmState::Ready)
        .map(|live| links.recording_file(&live.playback_id, recording::FILE));
    let body = json!({ "webm_url": url, "webm": shown(&view, true) });
    Ok((status, Json(body)).into_response())
}

/// Puts it into a live as JSON, beside `webm_url`.
pub(super) fn add(live: &mut Value, webm: Option<WebmView>, private: bool) {
    if let (Some(Value::Object(recording)), Some(webm)) = (live.get_mut("recording"), webm) {
        recording.insert("webm".to_owned(), shown(&webm, private));
    }
}

/// Whether it may be asked for is told to those who may.
fn shown(webm: &WebmView, private: bool) -> Value {
    let mut shown = json!({
        "state": webm.state.as_str(),
        "percent": webm.percent,
        "bytes": webm.bytes,
        "reason": webm.reason,
    });
    if private {
        shown["on_demand"] = json!(webm.on_demand);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ErrorKind;

    #[test]
    fn each_refusal_has_its_status() {
        for (error, kind) in [
            (AskError::NotFound, ErrorKind::NotFound),
            (AskError::Never, ErrorKind::NotFound),
            (AskError::Forbidden, ErrorKind::Forbidden),
            (AskError::NotYet, ErrorKind::Conflict),
        ] {
            assert_eq!(error.kind(), kind);
        }
    }
}
