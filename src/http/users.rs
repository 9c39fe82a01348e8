//! Registration, the member's own profile, and what members see of each other (contract §1.1).

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use serde_json::{Value, json};

use super::auth::pair;
use super::client::Client;
use super::error::Problem;
use super::extract::{Fields, Member, WithPicture};
use super::language::Language;
use super::links::Links;
use super::media_view;
use super::member;
use super::pages::{self, Page};
use super::router::App;
use super::words::{self, Sentence};
use crate::accounts::{AccountsError, FieldProblem, NewAccount, ProfileChange};
use crate::base::{Secret, UserId};
use crate::media::{MediaError, PORTRAIT_BYTES, Refusal};
use crate::store::User;

/// A profile picture, more than which is refused by its name, and the fields beside it.
const PROFILE_BYTES: usize = 2 * PORTRAIT_BYTES;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/api/users/register", post(register))
        .route(
            "/api/users/my-profile",
            get(my_profile)
                .put(change_profile)
                .patch(change_profile)
                .layer(DefaultBodyLimit::max(PROFILE_BYTES)),
        )
        .route("/api/users/profile/{id}", get(profile))
        .route("/api/users/search", get(search))
        .route("/api/users/dashboard", get(dashboard))
}

async fn register(
    State(app): State<App>,
    client: Client,
    language: Language,
    links: Links,
    fields: Fields,
) -> Result<Response, Problem> {
    app.admit_registration(client)?;
    let mut read = Reading::new(&fields);
    let password = read.required("password", false);
    let account = NewAccount {
        username: read.required("username", true),
        email: read.required("email", true),
        password: Some(Secret::new(password.clone())),
        first_name: read.text("first_name").unwrap_or_default(),
        last_name: read.text("last_name").unwrap_or_default(),
        phone_number: read.text("phone_number").unwrap_or_default(),
        date_of_birth: read.optional("date_of_birth").flatten(),
        bio: read.text("bio").unwrap_or_default(),
        quartier_id: read.id("quartier").flatten(),
        // What a client says of its role is not read.
        role: None,
    };
    let confirmed = read.required("password_confirm", false);
    read.done()?;
    if confirmed != password {
        let field = "non_field_errors".to_owned();
        return Err(Problem::fields(vec![(field, words::PASSWORDS_DIFFER)]));
    }
    let entered = app.services().accounts.register(account).await?;
    let answer = json!({
        "user": member::whole(&app, &links, &entered.user).await?,
        "tokens": pair(&entered.tokens),
        "message": words::REGISTERED.say(language),
    });
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

async fn my_profile(
    State(app): State<App>,
    Member(caller): Member,
    links: Links,
) -> Result<Json<Value>, Problem> {
    Ok(Json(member::whole(&app, &links, &caller.user).await?))
}

/// What is sent is changed and nothing else, with PUT too. Role and marks of verification are not read.
async fn change_profile(
    State(app): State<App>,
    Member(caller): Member,
    language: Language,
    links: Links,
    WithPicture(fields, picture): WithPicture,
) -> Result<Json<Value>, Problem> {
    let mut read = Reading::new(&fields);
    let picture = read.picture(picture, &links, &caller.user);
    let change = ProfileChange {
        username: read.text("username"),
        email: read.text("email"),
        first_name: read.text("first_name"),
        last_name: read.text("last_name"),
        phone_number: read.text("phone_number"),
        date_of_birth: read.optional("date_of_birth"),
        bio: read.text("bio"),
        quartier_id: read.id("quartier"),
    };
    read.done()?;
    if matches!(picture, Some(Some(_))) {
        app.admit_upload(caller.id())?;
    }
    let services = app.services();
    let rooms = (&services.medias, &services.jobs);
    let changed = services
        .accounts
        .change_profile(rooms, &caller.user, change, picture);
    let user = changed.await.map_err(of_picture)?;
    Ok(Json(json!({
        "user": member::whole(&app, &links, &user).await?,
        "message": words::PROFILE_CHANGED.say(language),
    })))
}

async fn profile(
    State(app): State<App>,
    Member(caller): Member,
    links: Links,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    // What is no number names nobody.
    let id = id.parse().map(UserId).map_err(|_| Problem::not_found())?;
    let user = app.services().accounts.member(id).await?;
    let user = user.ok_or_else(Problem::not_found)?;
    let shown = if user.id == caller.id() {
        member::whole(&app, &links, &user).await?
    } else {
        member::public(&app, &links, &user).await?
    };
    Ok(Json(shown))
}

async fn search(
    State(app): State<App>,
    Member(_): Member,
    links: Links,
    uri: Uri,
) -> Result<Json<Value>, Problem> {
    let page = Page::of(&uri)?;
    let asked = pages::pairs(&uri).into_iter();
    let text = asked.rev().find(|(name, _)| name == "q");
    let text = text.map(|(_, text)| text).unwrap_or_default();
    let accounts = &app.services().accounts;
    let found = accounts.search(&text, page.number, page.size).await?;
    let entries: Vec<_> = found
        .rows
        .iter()
        .map(|user| member::found(&links, user))
        .collect();
    Ok(Json(page.envelope(
        links.base(),
        &uri,
        found.total,
        &entries,
    )?))
}

async fn dashboard(
    State(app): State<App>,
    Member(caller): Member,
    links: Links,
) -> Result<Json<Value>, Problem> {
    let neighbours = app.services().accounts.neighbours(&caller.user).await?;
    Ok(Json(json!({
        "user": member::whole(&app, &links, &caller.user).await?,
        // The last three are constant in the contract.
        "stats": {"neighbors": neighbours, "posts": 0, "events": 0, "messages": 0},
    })))
}

/// Fields of a body, and what is wrong with those that have another form.
struct Reading<'a> {
    fields: &'a Fields,
    problems: Vec<(String, Sentence)>,
}

impl<'a> Reading<'a> {
    fn new(fields: &'a Fields) -> Self {
        Self {
            fields,
            problems: Vec::new(),
        }
    }

    fn note<T>(&mut self, name: &str, read: Result<Option<T>, Sentence>) -> Option<T> {
        read.unwrap_or_else(|sentence| {
            self.problems.push((name.to_owned(), sentence));
            None
        })
    }

    fn text(&mut self, name: &str) -> Option<String> {
        self.note(name, self.fields.text(name))
    }

    /// A text that has to be there; `trimmed`: and not of spaces alone.
    fn required(&mut self, name: &str, trimmed: bool) -> String {
        let read = match self.fields.text(name) {
            Ok(None) => Err(words::REQUIRED),
            Ok(Some(text)) if text.is_empty() || trimmed && text.trim().is_empty() => {
                Err(words::NOT_BLANK)
            }
            read => read,
        };
        self.note(name, read).unwrap_or_default()
    }

    /// A text that `null` and an empty one take away.
    fn optional(&mut self, name: &str) -> Option<Option<String>> {
        self.note(name, self.fields.optional(name))
    }

    /// An id that `null` and an empty text take away.
    fn id(&mut self, name: &str) -> Option<Option<i64>> {
        let text = self.optional(name)?;
        let read = match text.as_deref().map(str::trim) {
            None | Some("") => Ok(Some(None)),
            Some(text) => text
                .parse()
                .map(|id| Some(Some(id)))
                .map_err(|_| words::NOT_AN_ID),
        };
        self.note(name, read)
    }

    /// What the picture becomes: `Some(None)` is none. Its own address, sent back, changes nothing.
    fn picture(
        &mut self,
        file: Option<Bytes>,
        links: &Links,
        user: &User,
    ) -> Option<Option<Bytes>> {
        const NAME: &str = "profile_picture";
        if let Some(file) = file {
            return Some(Some(file));
        }
        let text = self.optional(NAME)?;
        match text.as_deref().map(str::trim) {
            None | Some("") => Some(None),
            Some(text) if links.media(user.profile_picture.as_deref()).as_deref() == Some(text) => {
                None
            }
            Some(_) => self.note(NAME, Err(words::NOT_A_FILE)),
        }
    }

    fn done(self) -> Result<(), Problem> {
        if self.problems.is_empty() {
            return Ok(());
        }
        Err(Problem::fields(self.problems))
    }
}

/// A picture that is refused is told of its field.
fn of_picture(error: AccountsError) -> Problem {
    match error {
        AccountsError::Picture(MediaError::Refused(refusal)) => {
            let sentence = match refusal {
                Refusal::ImageTooLarge => words::PICTURE_TOO_LARGE,
                Refusal::UnknownType => words::PICTURE_UNKNOWN_TYPE,
                refusal => media_view::refused(refusal),
            };
            Problem::fields(vec![("profile_picture".to_owned(), sentence)])
        }
        error => error.into(),
    }
}

/// `{"field": ["…"]}` of what `accounts` refuses.
pub(super) fn refused(fields: &[(&'static str, FieldProblem)]) -> Problem {
    let worded = fields
        .iter()
        .map(|(field, problem)| ((*field).to_owned(), sentence(field, *problem)));
    Problem::fields(worded.collect())
}

fn sentence(field: &str, problem: FieldProblem) -> Sentence {
    match (problem, field) {
        (FieldProblem::Required, _) => words::NOT_BLANK,
        (FieldProblem::TooLong(17), _) => words::TOO_LONG_17,
        (FieldProblem::TooLong(150), _) => words::TOO_LONG_150,
        (FieldProblem::TooLong(254), _) => words::TOO_LONG_254,
        (FieldProblem::TooLong(500), _) => words::TOO_LONG_500,
        (FieldProblem::TooLong(_), _) => words::TOO_LONG,
        (FieldProblem::TooShort(_), _) => words::PASSWORD_SHORT,
        (FieldProblem::Taken, "email") => words::EMAIL_TAKEN,
        (FieldProblem::Taken, _) => words::USERNAME_TAKEN,
        (FieldProblem::Unknown, _) => words::NO_SUCH_QUARTIER,
        (FieldProblem::Malformed, "username") => words::USERNAME_FORM,
        (FieldProblem::Malformed, "email") => words::EMAIL_FORM,
        (FieldProblem::Malformed, "phone_number") => words::PHONE_FORM,
        (FieldProblem::Malformed, "date_of_birth") => words::DATE_FORM,
        (FieldProblem::Malformed, _) => words::TEXT_FORM,
    }
}
