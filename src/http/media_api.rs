//! Members' images and videos: the contract's form to send one, list, detail, change, delete (§1.3).

use std::time::Duration;

use axum::extract::multipart::Field;
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Path, Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::sync::mpsc;

use super::error::Problem;
use super::extract::{Fields, Member};
use super::language::Language;
use super::links::Links;
use super::media_view;
use super::pages::Page;
use super::router::App;
use super::tus;
use super::words::{self, Sentence};
use crate::base::{LiveId, MediaId, UploadId, UserId};
use crate::media::MediaError;
use crate::store::{Media, MediaFile, UploadDoor};
use crate::uploads::{Append, Incoming, Opening, UploadError};

/// Characters of a title (contract §2).
const TITLE: usize = 200;
/// Characters of a description, as of a live.
const DESCRIPTION: usize = 5_000;
/// Bytes of a text field: more than any that is accepted.
const TEXT_BYTES: usize = 32 << 10;
/// Fields of a form beside its file.
const FIELDS: usize = 32;
/// What a form's boundaries, names and texts may take beside its file.
const FORM_BYTES: u64 = 256 << 10;
/// How long a form waits for its verdict; then its sender is told that it is being processed.
const VERDICT_WITHIN: Duration = Duration::from_secs(60);

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route(
            "/api/posts/media/upload",
            post(upload).layer(DefaultBodyLimit::disable()),
        )
        .route("/api/posts/media", get(list))
        .route(
            "/api/posts/media/{id}",
            get(detail).patch(change).put(change).delete(delete),
        )
}

async fn list(
    State(app): State<App>,
    Member(caller): Member,
    links: Links,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let page = Page::of(&uri)?;
    let medias = &app.services().medias;
    let found = medias.list(caller.id(), page.number, page.size).await?;
    let language = Language::of(&headers);
    let shown: Vec<_> = found
        .rows
        .iter()
        .map(|(media, files)| media_view::media(&links, language, media, files))
        .collect();
    let envelope = page.envelope(links.base(), &uri, found.total, &shown)?;
    Ok(Json(envelope).into_response())
}

async fn detail(
    State(app): State<App>,
    Member(caller): Member,
    links: Links,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let medias = &app.services().medias;
    let looked = medias.look(media_id(&id)?, caller.id(), caller.is_admin());
    let (media, files) = looked.await?;
    Ok(Json(media_view::media(
        &links,
        Language::of(&headers),
        &media,
        &files,
    ))
    .into_response())
}

async fn change(
    State(app): State<App>,
    Member(caller): Member,
    links: Links,
    headers: HeaderMap,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response, Problem> {
    let mut wrong = Vec::new();
    let mut read = |name: &str, most, too_long| {
        let text = fields.text(name).and_then(|text| match text {
            Some(text) if text.chars().count() > most => Err(too_long),
            text => Ok(text),
        });
        text.unwrap_or_else(|sentence| {
            wrong.push((name.to_owned(), sentence));
            None
        })
    };
    let title = read("title", TITLE, words::TOO_LONG_200);
    let description = read("description", DESCRIPTION, words::TOO_LONG_5000);
    if !wrong.is_empty() {
        return Err(Problem::fields(wrong));
    }
    let (title, description) = (title.map(plain), description.map(plain));
    let medias = &app.services().medias;
    let described = medias.describe(
        media_id(&id)?,
        caller.id(),
        title.as_deref(),
        description.as_deref(),
    );
    let (media, files) = described.await?;
    Ok(Json(media_view::media(
        &links,
        Language::of(&headers),
        &media,
        &files,
    ))
    .into_response())
}

async fn delete(
    State(app): State<App>,
    Member(caller): Member,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let medias = &app.services().medias;
    medias.delete(media_id(&id)?, caller.id()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn media_id(text: &str) -> Result<MediaId, Problem> {
    text.parse().map_err(|_| Problem::not_found())
}

/// A text without what PostgreSQL and people cannot read.
fn plain(text: String) -> String {
    text.replace('\0', "")
}

/// What a form brings.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// The name of the part that is the file.
    pub(super) part: &'static str,
    /// Which door.
    pub(super) door: UploadDoor,
    /// The live that it is a recording of.
    pub(super) live: Option<LiveId>,
    /// What it is called unless the form says so.
    pub(super) title: String,
    /// How a failure is answered.
    pub(super) says: fn(Sentence) -> Problem,
}

/// The contract's form (§1.3).
fn of_media() -> Wanted {
    Wanted {
        part: "file",
        door: UploadDoor::Multipart,
        live: None,
        title: String::new(),
        says: file,
    }
}

/// What a form has told so far.
#[derive(Debug, Default)]
struct Form {
    title: Option<String>,
    description: Option<String>,
    upload: Option<UploadId>,
}

async fn upload(
    State(app): State<App>,
    Member(caller): Member,
    links: Links,
    request: Request,
) -> Result<Response, Problem> {
    let language = Language::of(request.headers());
    let (media, files) = receive(&app, caller.id(), request, &of_media()).await?;
    let shown = media_view::media(&links, language, &media, &files);
    Ok((StatusCode::CREATED, Json(shown)).into_response())
}

/// Takes the file of a form, and waits for its verdict.
pub(super) async fn receive(
    app: &App,
    owner: UserId,
    request: Request,
    wanted: &Wanted,
) -> Result<(Media, Vec<MediaFile>), Problem> {
    app.admit_upload(owner)?;
    let says = wanted.says;
    let most = app.services().uploads.config().allowed(wanted.door).bytes;
    if declared(request.headers()).is_some_and(|length| length > most + FORM_BYTES) {
        tus::linger(app, request.into_body());
        return Err(says(words::FILE_TOO_LARGE));
    }
    let mut parts =
        Multipart::from_request(request, &())
            .await
            .map_err(|rejection| match rejection.into_response().status() {
                StatusCode::BAD_REQUEST => says(words::REQUIRED),
                _ => Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, words::UNSUPPORTED_TYPE),
            })?;
    let mut form = Form::default();
    let read = read_form(app, owner, wanted, &mut parts, &mut form).await;
    let id = match (read, form.upload) {
        (Ok(()), Some(id)) => id,
        (Ok(()), None) => return Err(says(words::FILE_MISSING)),
        (Err(problem), id) => {
            if let Some(id) = id {
                give_up(app, owner, id).await;
            }
            return Err(problem);
        }
    };
    let uploads = &app.services().uploads;
    let judged = uploads.verdict(owner, id, VERDICT_WITHIN).await;
    let judged = judged.map_err(|error| problem_of(error, says))?;
    let medias = &app.services().medias;
    let media = judged.media_id.unwrap_or(MediaId(id.0));
    // Texts that came behind the file.
    let described = medias
        .describe(
            media,
            owner,
            form.title.as_deref(),
            form.description.as_deref(),
        )
        .await;
    match described {
        Ok(described) => Ok(described),
        // The store of finished media is away, and no row is there yet.
        Err(MediaError::Unknown) => {
            let unavailable = Problem::from(crate::base::ErrorKind::Unavailable);
            Err(unavailable.saying(words::UPLOAD_STILL_JUDGED))
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads a form to its end; the file goes where uploads lie as it comes.
async fn read_form(
    app: &App,
    owner: UserId,
    wanted: &Wanted,
    parts: &mut Multipart,
    form: &mut Form,
) -> Result<(), Problem> {
    for _ in 0..FIELDS {
        let Some(part) = parts.next_field().await.map_err(broken)? else {
            return Ok(());
        };
        match part.name() {
            Some(name) if name == wanted.part && part.file_name().is_none() => {
                return Err((wanted.says)(words::FILE_NOT_A_FILE));
            }
            // One file for each request; others are not kept.
            Some(name) if name == wanted.part && form.upload.is_none() => {
                take_file(app, owner, wanted, part, form).await?;
            }
            Some("title") => {
                form.title = Some(text(part, "title", TITLE, words::TOO_LONG_200).await?);
            }
            Some("description") => {
                let most = (DESCRIPTION, words::TOO_LONG_5000);
                form.description = Some(text(part, "description", most.0, most.1).await?);
            }
            // The next `next_field` skips its bytes.
            _ => {}
        }
    }
    Err(Problem::new(
        StatusCode::BAD_REQUEST,
        words::BODY_UNREADABLE,
    ))
}

async fn take_file(
    app: &App,
    owner: UserId,
    wanted: &Wanted,
    mut part: Field<'_>,
    form: &mut Form,
) -> Result<(), Problem> {
    let uploads = &app.services().uploads;
    let opening = Opening {
        owner,
        door: wanted.door,
        length: None,
        metadata: String::new(),
        title: form.title.as_ref().unwrap_or(&wanted.title).clone(),
        description: form.description.clone().unwrap_or_default(),
        file_name: part.file_name().unwrap_or_default().to_owned(),
        live_id: wanted.live,
    };
    let problem_of = |error| problem_of(error, wanted.says);
    let upload = uploads.create(opening).await.map_err(problem_of)?;
    form.upload = Some(upload.id);
    // Full: the part is not read on, and its sender waits.
    let (pieces, coming) = mpsc::channel(4);
    let append = Append {
        is_whole: true,
        ..Append::default()
    };
    let body: Incoming = Box::pin(futures_util::stream::unfold(
        coming,
        |mut coming| async move {
            // A sender that is gone without having said so has broken off.
            let cut = || Some(Err(std::io::ErrorKind::UnexpectedEof.into()));
            let piece = coming.recv().await.unwrap_or_else(cut);
            piece.map(|piece| (piece, coming))
        },
    ));
    let appending = uploads.append(owner, upload.id, append, body);
    let sending = async {
        loop {
            let piece = match part.chunk().await {
                Ok(piece) => piece.map(Ok),
                Err(error) => Some(Err(std::io::Error::other(error))),
            };
            let is_last = !matches!(piece, Some(Ok(_)));
            // Nobody takes it any more: the answer is known.
            if pieces.send(piece).await.is_err() || is_last {
                return;
            }
        }
    };
    let (appended, ()) = tokio::join!(appending, sending);
    appended.map(|_| ()).map_err(problem_of)
}

async fn text(
    mut part: Field<'_>,
    name: &str,
    most: usize,
    too_long: Sentence,
) -> Result<String, Problem> {
    let wrong = |sentence| Problem::fields(vec![(name.to_owned(), sentence)]);
    let mut bytes = Vec::new();
    while let Some(piece) = part.chunk().await.map_err(broken)? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > TEXT_BYTES {
            return Err(wrong(too_long));
        }
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong(words::NOT_A_TEXT))?;
    if text.chars().count() > most {
        return Err(wrong(too_long));
    }
    Ok(plain(text))
}

/// What a form had begun and cannot end.
async fn give_up(app: &App, owner: UserId, id: UploadId) {
    let services = app.services();
    match services.uploads.terminate(owner, id).await {
        Ok(()) | Err(UploadError::Unknown) => {}
        // It is whole, and something else of the form was wrong: the medium goes with its row.
        Err(UploadError::Busy) => {
            drop(services.uploads.verdict(owner, id, VERDICT_WITHIN).await);
            drop(services.medias.delete(MediaId(id.0), owner).await);
        }
        Err(error) => tracing::warn!(%error, upload.id = %id, "an upload cannot be given up"),
    }
}

/// The length of the body, as declared.
pub(super) fn declared(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// 400 `{"file": ["…"]}`.
pub(super) fn file(sentence: Sentence) -> Problem {
    Problem::fields(vec![("file".to_owned(), sentence)])
}

fn broken(_: axum::extract::multipart::MultipartError) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, words::BODY_UNREADABLE)
}

/// What the contract's form answers to a failed upload (§1.3): 400 for everything that its sender can change.
fn problem_of(error: UploadError, says: fn(Sentence) -> Problem) -> Problem {
    match error {
        UploadError::Refused(refusal) => says(media_view::refused(refusal)),
        UploadError::TooLarge { .. } => says(words::FILE_TOO_LARGE),
        UploadError::OverQuota => says(words::UPLOAD_OVER_QUOTA),
        error => tus::problem_of(error),
    }
}

impl From<MediaError> for Problem {
    fn from(error: MediaError) -> Self {
        match error {
            MediaError::Refused(refusal) => file(media_view::refused(refusal)),
            MediaError::NotYours => Self::new(StatusCode::FORBIDDEN, words::MEDIA_NOT_YOURS),
            error => Self::from_failure(error.kind(), &error),
        }
    }
}
