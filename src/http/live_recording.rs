//! A live's recording as its owner's browser sends it (contract §1.8, §4.3): during the live, and for a day after it.

use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::json;

use super::error::Problem;
use super::extract::Member;
use super::language::Language;
use super::links::Links;
use super::media_api::{self, Wanted};
use super::router::App;
use super::tus;
use super::words::{self, Sentence};
use crate::base::{LiveId, UserId};
use crate::live::LiveError;
use crate::store::{Live, UploadDoor};

/// A slow network may still be sending long after the end.
const AFTER_THE_END: Duration = Duration::from_secs(24 * 3_600);

pub(super) fn routes() -> Router<App> {
    Router::new().route(
        "/api/posts/live/{id}/upload-video",
        post(upload).layer(DefaultBodyLimit::disable()),
    )
}

async fn upload(
    State(app): State<App>,
    Member(caller): Member,
    Path(id): Path<String>,
    links: Links,
    request: Request,
) -> Result<Response, Problem> {
    let live = match own_live(&app, &id, caller.id()).await {
        Ok(live) => live,
        Err(problem) => {
            // Who sends a file reads no answer before it is sent.
            tus::linger(&app, request.into_body());
            return Err(problem);
        }
    };
    let language = Language::of(request.headers());
    let wanted = Wanted {
        part: "video",
        door: UploadDoor::Recording,
        live: Some(live.id),
        title: live.title,
        says: refuse,
    };
    let (media, _) = media_api::receive(&app, caller.id(), request, &wanted).await?;
    let body = json!({
        "message": words::RECORDING_RECEIVED.say(language),
        "media_id": media.id,
        // Where it will be once it is made.
        "file_url": links.media_file(&media.public_id, "file.mp4"),
    });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// The live, if this member may still send its recording.
async fn own_live(app: &App, id: &str, caller: UserId) -> Result<Live, Problem> {
    let id: LiveId = id.parse().map_err(|_| LiveError::NotFound)?;
    let live = app.services().store.live(id).await?;
    let live = live.ok_or(LiveError::NotFound)?;
    if live.owner_id != caller {
        return Err(LiveError::Forbidden.into());
    }
    if is_long_over(&live) {
        let over = Problem::new(StatusCode::NOT_FOUND, words::FILE_LIVE_OVER);
        return Err(over.by_hand());
    }
    Ok(live)
}

fn is_long_over(live: &Live) -> bool {
    let now = crate::base::Clock::system().now();
    let ended = live.ended_at;
    ended.is_some_and(|ended| now.since(ended) > AFTER_THE_END)
}

/// 400 `{"error": "…"}`.
fn refuse(sentence: Sentence) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, sentence).by_hand()
}
