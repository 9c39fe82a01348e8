//! Uploads at `/api/uploads/`: tus for those who send, JSON and events for those who watch.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::error::Problem;
use super::extract::Member;
use super::language::Language;
use super::links::Links;
use super::media_view;
use super::router::App;
use super::tus;
use crate::base::{MediaId, UploadId, UserId};
use crate::media::MediaError;
use crate::uploads::UploadError;

/// Bytes and jobs are looked at this often while somebody watches.
const LOOK: Duration = Duration::from_millis(500);
/// A comment this often keeps proxies from closing a stream in which nothing happens.
const ALIVE: Duration = Duration::from_secs(15);
/// A stream ends by then; whoever still watches asks again, as `EventSource` does by itself.
const WATCHED: Duration = Duration::from_secs(3_600);

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/api/uploads", post(tus::create).options(tus::options))
        .route(
            "/api/uploads/{id}",
            get(show)
                .head(tus::head)
                .patch(tus::patch)
                .delete(tus::terminate)
                .options(tus::options),
        )
        .route("/api/uploads/{id}/events", get(events))
        .route("/api/posts/media/{id}/events", get(events))
}

/// The id that a path holds.
pub(super) fn upload_id(text: &str) -> Result<UploadId, Problem> {
    text.parse().map_err(|_| Problem::not_found())
}

async fn show(
    State(app): State<App>,
    Member(caller): Member,
    links: Links,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let watch = Watch {
        app,
        owner: caller.id(),
        id: upload_id(&id)?,
        links,
        language: Language::of(&headers),
    };
    let shown = watch.look().await.map_err(tus::problem_of)?;
    Ok(Json(shown).into_response())
}

/// Who looks at what.
struct Watch {
    app: App,
    owner: UserId,
    /// An upload's id, and its medium's.
    id: UploadId,
    links: Links,
    language: Language,
}

impl Watch {
    async fn look(&self) -> Result<Value, UploadError> {
        let services = self.app.services();
        let (upload, received) = services.uploads.glance(self.owner, self.id).await?;
        let media = MediaId(self.id.0);
        let become_of = match services.medias.look(media, self.owner, false).await {
            Ok(found) => Some(found),
            Err(MediaError::Unknown) => None,
            Err(error) => return Err(error.into()),
        };
        let jobs = services.store.jobs_about(&format!("media:{media}")).await?;
        Ok(media_view::upload(
            &self.links,
            self.language,
            &upload,
            received,
            become_of.as_ref(),
            &jobs,
        ))
    }
}

/// Server-sent events (HTML §9.2): `progress` with what [`show`] answers whenever it changes; the stream ends when
/// nothing will change any more.
async fn events(
    State(app): State<App>,
    Member(caller): Member,
    links: Links,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let watch = Watch {
        app,
        owner: caller.id(),
        id: upload_id(&id)?,
        links,
        language: Language::of(&headers),
    };
    // Who may not see it learns so now.
    watch.look().await.map_err(tus::problem_of)?;
    let telling = Telling {
        changes: watch.app.services().uploads.changes(),
        watch,
        last: Value::Null,
        until: Instant::now() + WATCHED,
        ended: false,
    };
    let told = futures_util::stream::unfold(telling, |mut telling| async move {
        let text = telling.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(text)), telling))
    });
    let mut response = Response::new(Body::from_stream(told));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx would collect events otherwise.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

struct Telling {
    watch: Watch,
    changes: tokio::sync::broadcast::Receiver<UploadId>,
    last: Value,
    until: Instant,
    ended: bool,
}

impl Telling {
    /// The next event's text; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        let stopping = self.watch.app.services().stopping.clone();
        let alive = Instant::now() + ALIVE;
        loop {
            if self.ended || stopping.is_cancelled() || Instant::now() > self.until {
                return None;
            }
            match self.watch.look().await {
                Ok(now) if now != self.last => {
                    self.ended = matches!(now["state"].as_str(), Some("ready" | "failed"));
                    let text = format!("event: progress\ndata: {now}\n\n");
                    self.last = now;
                    return Some(text);
                }
                Ok(_) => {}
                // Forgotten: nothing more will come.
                Err(UploadError::Unknown) => return None,
                Err(error) => tracing::debug!(%error, "an upload cannot be watched just now"),
            }
            if Instant::now() > alive {
                return Some(":\n\n".to_owned());
            }
            tokio::select! {
                () = stopping.cancelled() => return None,
                // Changed, lagging or time to look: either way.
                _ = timeout(LOOK, self.changes.recv()) => {}
            }
        }
    }
}
