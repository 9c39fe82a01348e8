//! Start, stop, list and look at lives (contract §1.8, design §9).

use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::auth::encoder_settings;
use super::doctor;
use super::error::Problem;
use super::extract::{Fields, Member, Visitor};
use super::language::Language;
use super::links::Links;
use super::live_view::{self, Detail};
use super::live_webm;
use super::pages::{self, Page};
use super::router::App;
use super::words::{self, Sentence};
use crate::accounts::Caller;
use crate::base::{ErrorKind, LiveId};
use crate::live::{Actor, LiveError, StartLive};
use crate::store::LiveFilter;

/// Characters of a title (contract §2, post).
const TITLE_CHARS: usize = 200;
/// Characters of a description or of the post's text.
const TEXT_CHARS: usize = 5_000;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/api/posts/live", get(list))
        .route("/api/posts/live/start", post(start))
        .route("/api/posts/live/{id}", get(view))
        .route("/api/posts/live/{id}/stop", put(stop))
}

impl From<LiveError> for Problem {
    fn from(error: LiveError) -> Self {
        let problem = match &error {
            LiveError::NoQuartier => Self::from(ErrorKind::Invalid).saying(words::LIVE_QUARTIER),
            LiveError::AlreadyLive(live) => Self::from(ErrorKind::Conflict)
                .saying(words::LIVE_ALREADY)
                .with("live_id", live.0),
            LiveError::NotFound => Self::from(ErrorKind::NotFound).saying(words::LIVE_UNKNOWN),
            LiveError::Forbidden => Self::from(ErrorKind::Forbidden).saying(words::LIVE_NOT_YOURS),
            _ => Self::from_failure(error.kind(), &error),
        };
        problem.by_hand()
    }
}

async fn start(
    State(app): State<App>,
    Member(caller): Member,
    language: Language,
    links: Links,
    fields: Fields,
) -> Result<Response, Problem> {
    let wish = wish(&fields)?;
    let started = app
        .services()
        .lives
        .start(caller.id(), wish)
        .await
        .map_err(|error| match error.kind() {
            ErrorKind::Internal => Problem::from(error).saying(words::LIVE_START_FAILED),
            _ => Problem::from(error),
        })?;
    let mut body = json!({
        "live_id": started.live,
        "post_id": started.live,
        "hls_url": links.hls(&started.playback_id),
        "watch_url": links.watch(started.live),
        "message": words::LIVE_STARTED.say(language),
    });
    if let Value::Object(body) = &mut body {
        body.extend(encoder_settings(&app, &started.stream_key));
    }
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// What the member says of the live; all of it optional.
fn wish(fields: &Fields) -> Result<StartLive, Problem> {
    let mut wrong = Vec::new();
    let mut read = |name: &str, most: usize, too_long: Sentence| {
        let text = fields.text(name).and_then(|text| match text {
            Some(text) if text.chars().count() > most => Err(too_long),
            text => Ok(text),
        });
        text.unwrap_or_else(|sentence| {
            wrong.push((name.to_owned(), sentence));
            None
        })
    };
    let wish = StartLive {
        title: read("title", TITLE_CHARS, words::TOO_LONG_200),
        description: read("description", TEXT_CHARS, words::TOO_LONG_5000),
        content: read("content", TEXT_CHARS, words::TOO_LONG_5000),
    };
    if wrong.is_empty() {
        Ok(wish)
    } else {
        Err(Problem::fields(wrong))
    }
}

/// `video_data` of the earlier system's page is ignored: it named a `blob:` address that nobody else can read.
async fn stop(
    State(app): State<App>,
    Path(id): Path<String>,
    Member(caller): Member,
    language: Language,
    fields: Fields,
) -> Result<Json<Value>, Problem> {
    let forced = fields
        .flag("forced")
        .map_err(|sentence| Problem::fields(vec![("forced".to_owned(), sentence)]))?
        .unwrap_or(false);
    let actor = Actor {
        user: caller.id(),
        is_admin: caller.is_admin(),
    };
    let live = live_id(&id)?;
    let stopped = app.services().lives.stop(actor, live, forced).await?;
    // What its owner's browser has sent, if it has.
    let sent = app.services().store.media_of_live(live).await?;
    Ok(Json(json!({
        "message": words::LIVE_STOPPED.say(language),
        "video_saved": stopped.video_saved,
        "video_id": sent.first().map(|media| media.id.0).or(stopped.video_id),
    })))
}

async fn list(
    State(app): State<App>,
    Visitor(caller): Visitor,
    links: Links,
    uri: Uri,
) -> Result<Json<Value>, Problem> {
    let page = Page::of(&uri)?;
    let lives = app
        .services()
        .lives
        .list(filter(&uri)?, page.number, page.size)
        .await?;
    let viewer = caller.map(|caller| caller.id());
    let shown: Vec<Value> = lives
        .rows
        .into_iter()
        .map(|live| live_view::shown(&links, live, viewer, Detail::Public))
        .collect();
    Ok(Json(page.envelope(
        links.base(),
        &uri,
        lives.total,
        &shown,
    )?))
}

/// `?status=live|ended`; neither: all. `live` includes what waits for its encoder (design §4).
fn filter(uri: &Uri) -> Result<LiveFilter, Problem> {
    let pairs = pages::pairs(uri);
    match pairs.iter().find(|(name, _)| name == "status") {
        None => Ok(LiveFilter::All),
        Some((_, status)) => match status.as_str() {
            "" => Ok(LiveFilter::All),
            "live" => Ok(LiveFilter::Live),
            "ended" => Ok(LiveFilter::Ended),
            _ => Err(Problem::fields(vec![(
                "status".to_owned(),
                words::UNKNOWN_STATUS,
            )])),
        },
    }
}

/// The public view; its owner and admins find the encoder's settings and the doctor's findings in it too.
async fn view(
    State(app): State<App>,
    Path(id): Path<String>,
    Visitor(caller): Visitor,
    language: Language,
    links: Links,
) -> Result<Json<Value>, Problem> {
    let live = app.services().lives.view(live_id(&id)?).await?;
    let webm = match &live.recording {
        Some(recording) => Some(app.services().recordings.webm(recording).await?),
        None => None,
    };
    let owner = live.post.live.owner_id;
    let viewer = caller.as_ref().map(Caller::id);
    let private = viewer == Some(owner) || caller.is_some_and(|caller| caller.is_admin());
    if !private {
        let mut body = live_view::shown(&links, live, viewer, Detail::Public);
        live_webm::add(&mut body, webm, private);
        return Ok(Json(body));
    }
    let doctor = doctor::shown(&live.findings, language);
    let mut body = live_view::shown(&links, live, viewer, Detail::Owner);
    live_webm::add(&mut body, webm, private);
    if let Value::Object(body) = &mut body {
        let key = app.services().accounts.stream_key(owner).await?;
        body.extend(encoder_settings(&app, &key));
        body.insert("doctor".to_owned(), doctor);
    }
    Ok(Json(body))
}

/// The id in the path; what is no number names nothing.
pub(super) fn live_id(text: &str) -> Result<LiveId, Problem> {
    text.parse().map_err(|_| Problem::from(LiveError::NotFound))
}
