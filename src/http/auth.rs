//! Log-in, tokens and stream keys (contract §1.1).

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Map, Value, json};

use super::client::Client;
use super::error::Problem;
use super::extract::{Fields, Member};
use super::language::Language;
use super::links::Links;
use super::router::App;
use super::{member, users, words};
use crate::accounts::{AccountsError, TokenClass, Tokens};
use crate::base::{ErrorKind, Secret};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/api/users/login", post(login))
        .route("/api/users/logout", post(logout))
        .route("/api/token/refresh", post(refresh))
        .route(
            "/api/users/my-profile/stream-key",
            get(stream_key).post(rotate_stream_key),
        )
}

impl From<AccountsError> for Problem {
    fn from(error: AccountsError) -> Self {
        match &error {
            AccountsError::TokenNotValid {
                class: TokenClass::Access,
                ..
            } => Self::access_token(),
            AccountsError::TokenNotValid {
                class: TokenClass::Refresh,
                ..
            } => Self::refresh_token(),
            AccountsError::Inactive => Self::user_inactive(),
            AccountsError::WrongCredentials => {
                Self::from(ErrorKind::Unauthenticated).saying(words::LOGIN_WRONG)
            }
            AccountsError::Fields(fields) => users::refused(fields),
            _ => Self::from_failure(error.kind(), &error),
        }
    }
}

async fn login(
    State(app): State<App>,
    client: Client,
    language: Language,
    links: Links,
    fields: Fields,
) -> Result<Json<Value>, Problem> {
    let invalid = |sentence| Problem::from(ErrorKind::Invalid).saying(sentence).by_hand();
    let required = |name| {
        fields
            .text(name)
            .ok()
            .flatten()
            .filter(|text| !text.trim().is_empty())
            .ok_or_else(|| invalid(words::LOGIN_FIELDS))
    };
    let (email, password) = (required("email")?, Secret::new(required("password")?));
    if !looks_like_email(email.trim()) {
        return Err(invalid(words::LOGIN_EMAIL));
    }
    app.admit_login(client, &email)?;
    let accounts = &app.services().accounts;
    let entered = accounts
        .login(email.trim(), &password)
        .await
        .map_err(|error| Problem::from(error).by_hand())?;
    Ok(Json(json!({
        "user": member::whole(&app, &links, &entered.user).await?,
        "tokens": pair(&entered.tokens),
        "message": words::LOGGED_IN.say(language),
    })))
}

/// Something on both sides of one `@`; whether it exists is the password's business.
fn looks_like_email(text: &str) -> bool {
    text.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty()
            && !host.is_empty()
            && !host.contains('@')
            && !host.starts_with('.')
            && !host.ends_with('.')
            && !text.contains(char::is_whitespace)
    })
}

async fn refresh(State(app): State<App>, fields: Fields) -> Result<Json<Value>, Problem> {
    let field = |sentence| Problem::fields(vec![("refresh".to_owned(), sentence)]);
    let token = fields
        .text("refresh")
        .map_err(field)?
        .ok_or_else(|| field(words::REQUIRED))?;
    if token.trim().is_empty() {
        return Err(field(words::NOT_BLANK));
    }
    let tokens = app
        .services()
        .accounts
        .refresh(&Secret::new(token.trim()))
        .await?;
    Ok(Json(pair(&tokens)))
}

/// Revokes the refresh token that is sent along; a body without one logs out just as well.
async fn logout(
    State(app): State<App>,
    Member(caller): Member,
    language: Language,
    fields: Fields,
) -> Result<Json<Value>, Problem> {
    let token = fields.text("refresh").ok().flatten().map(Secret::new);
    app.services()
        .accounts
        .logout(caller.id(), token.as_ref())
        .await?;
    Ok(Json(json!({"message": words::LOGGED_OUT.say(language)})))
}

async fn stream_key(
    State(app): State<App>,
    Member(caller): Member,
) -> Result<Json<Value>, Problem> {
    let key = app.services().accounts.stream_key(caller.id()).await?;
    Ok(Json(encoder_settings(&app, &key).into()))
}

async fn rotate_stream_key(
    State(app): State<App>,
    Member(caller): Member,
) -> Result<Json<Value>, Problem> {
    let accounts = &app.services().accounts;
    let key = accounts.rotate_stream_key(caller.id()).await?;
    Ok(Json(encoder_settings(&app, &key).into()))
}

/// What is typed into OBS; for the key's owner only. Of each server also an address with the key in it, as the contract
/// has it (§1.8); those over TLS are null where encoders cannot be heard so.
pub(super) fn encoder_settings(app: &App, key: &Secret) -> Map<String, Value> {
    let (plain, secure) = (
        app.config().rtmp_public_url.trim_end_matches('/'),
        app.config().rtmps_public_url.as_deref(),
    );
    let url = |server: &str| format!("{}/{}", server.trim_end_matches('/'), key.expose());
    let settings: [(&str, Value); 5] = [
        ("stream_key", key.expose().into()),
        ("rtmp_server", plain.into()),
        ("rtmp_url", url(plain).into()),
        ("rtmps_server", secure.into()),
        ("rtmps_url", secure.map(url).into()),
    ];
    settings
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

pub(super) fn pair(tokens: &Tokens) -> Value {
    json!({"refresh": tokens.refresh.expose(), "access": tokens.access.expose()})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_has_something_on_both_sides_of_one_at() {
        assert!(looks_like_email("mariam@example.org"));
        assert!(looks_like_email("root@localhost"));
        for wrong in ["", "mariam", "@x", "x@", "a@b@c", "a b@c.d", "a@.d", "a@d."] {
            assert!(!looks_like_email(wrong), "{wrong}");
        }
    }
}
