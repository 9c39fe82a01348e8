//! What handlers take from a request: who asks, and the fields of the body in whichever form they came.

use axum::extract::{FromRequest, FromRequestParts, Multipart, Request};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use serde_json::{Map, Value};

use super::client::Client;
use super::error::Problem;
use super::links::Links;
use super::router::App;
use super::words::{self, Sentence};
use crate::accounts::Caller;
use crate::base::Secret;

/// The member whose access token the request carries; 401 without one.
pub(super) struct Member(pub(super) Caller);

/// The member if there is a token. A token that is not valid is a 401 here too, as in the earlier system:
/// treating it as nobody would hide from a client that it must refresh.
pub(super) struct Visitor(pub(super) Option<Caller>);

impl FromRequestParts<App> for Member {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Visitor(caller) = Visitor::from_request_parts(parts, app).await?;
        caller.map(Self).ok_or_else(Problem::no_credentials)
    }
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Some(token) = bearer(&parts.headers)? else {
            return Ok(Self(None));
        };
        let caller = app.services().accounts.verify_access(&token).await?;
        app.admit_caller(caller.id(), &parts.method, parts.uri.path())?;
        // Whoever has started a live and is still at the page keeps it waiting for the encoder.
        app.services().lives.owner_seen(caller.id());
        Ok(Self(Some(caller)))
    }
}

/// The token of `Authorization: Bearer …`. Another scheme counts as no credentials, as in the earlier system.
fn bearer(headers: &HeaderMap) -> Result<Option<Secret>, Problem> {
    let Some(value) = headers.get(AUTHORIZATION) else {
        return Ok(None);
    };
    let malformed = || Problem::new(StatusCode::UNAUTHORIZED, words::BAD_AUTHORIZATION);
    let mut words = value
        .to_str()
        .map_err(|_| malformed())?
        .split_ascii_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(scheme), token, more) if scheme.eq_ignore_ascii_case("bearer") => {
            match (token, more) {
                (Some(token), None) => Ok(Some(Secret::new(token))),
                _ => Err(malformed().with("code", "bad_authorization_header")),
            }
        }
        _ => Ok(None),
    }
}

impl FromRequestParts<App> for Links {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let secure = parts
            .extensions
            .get::<Client>()
            .is_some_and(|client| client.secure);
        Ok(app.links(&parts.headers, secure))
    }
}

impl FromRequestParts<App> for Client {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        // Put there by `App::answer` for every request.
        parts
            .extensions
            .get::<Self>()
            .copied()
            .ok_or_else(|| crate::base::ErrorKind::Internal.into())
    }
}

/// The fields of a body: a JSON object, a form, or the text parts of multipart (contract §1.0). No body is no
/// fields. Unknown fields are ignored by whoever reads.
#[derive(Debug, Default)]
pub(super) struct Fields(Map<String, Value>);

impl FromRequest<App> for Fields {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let content_type = request
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("");
        let essence = content_type
            .split(';')
            .next()
            .unwrap_or("")
            .trim()
            .to_ascii_lowercase();
        if essence == "multipart/form-data" {
            return Ok(multipart(request, None).await?.0);
        }
        let body = Bytes::from_request(request, app)
            .await
            .map_err(unreadable)?;
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        match essence.as_str() {
            "application/json" => json(&body),
            "application/x-www-form-urlencoded" => form(&body),
            _ => Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                words::UNSUPPORTED_TYPE,
            )),
        }
    }
}

/// A body that is too large, or that broke off.
fn unreadable(rejection: impl axum::response::IntoResponse) -> Problem {
    match rejection.into_response().status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, words::TOO_LARGE)
        }
        _ => Problem::new(StatusCode::BAD_REQUEST, words::BODY_UNREADABLE),
    }
}

fn json(body: &[u8]) -> Result<Fields, Problem> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(Fields(fields)),
        Ok(_) => Err(Problem::fields(vec![(
            "non_field_errors".to_owned(),
            words::NOT_AN_OBJECT,
        )])),
        Err(cause) => Err(Problem::malformed_json(&cause)),
    }
}

fn form(body: &[u8]) -> Result<Fields, Problem> {
    // `curl -d '{…}'` without a content type, as the reports print it, claims to be a form (contract §1.9).
    if body.trim_ascii_start().starts_with(b"{")
        && let Ok(Value::Object(fields)) = serde_json::from_slice(body)
    {
        return Ok(Fields(fields));
    }
    let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(body)
        .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, words::BODY_UNREADABLE))?;
    Ok(Fields(
        pairs
            .into_iter()
            .map(|(name, value)| (name, Value::String(value)))
            .collect(),
    ))
}

/// The text parts, and the first file under the name `wanted`.
async fn multipart(
    request: Request,
    wanted: Option<&str>,
) -> Result<(Fields, Option<Bytes>), Problem> {
    let mut parts = Multipart::from_request(request, &())
        .await
        .map_err(unreadable)?;
    let mut fields = Map::new();
    let mut file = None;
    while let Some(part) = parts.next_field().await.map_err(unreadable)? {
        let name = part.name().unwrap_or("").to_owned();
        if part.file_name().is_some() {
            if wanted == Some(name.as_str()) && file.is_none() {
                file = Some(part.bytes().await.map_err(unreadable)?);
            }
            // The next `next_field` skips the bytes of others.
            continue;
        }
        let value = part.text().await.map_err(unreadable)?;
        fields.insert(name, Value::String(value));
    }
    Ok((Fields(fields), file))
}

/// [`Fields`], and the file of the part `profile_picture` where there is one.
#[derive(Debug)]
pub(super) struct WithPicture(pub(super) Fields, pub(super) Option<Bytes>);

impl FromRequest<App> for WithPicture {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let kind = request.headers().get(CONTENT_TYPE);
        let kind = kind.and_then(|value| value.to_str().ok()).unwrap_or("");
        if kind
            .trim_start()
            .to_ascii_lowercase()
            .starts_with("multipart/form-data")
        {
            let (fields, file) = multipart(request, Some("profile_picture")).await?;
            return Ok(Self(fields, file));
        }
        Ok(Self(Fields::from_request(request, app).await?, None))
    }
}

impl Fields {
    /// A text as it was sent; a number counts as its digits. `None` when the field is not there.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Sentence> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Null) => Err(words::NOT_NULL),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(words::NOT_A_TEXT),
        }
    }

    /// As [`Fields::text`], but `null` is a value: `Some(None)`.
    pub(super) fn optional(&self, name: &str) -> Result<Option<Option<String>>, Sentence> {
        match self.0.get(name) {
            Some(Value::Null) => Ok(Some(None)),
            _ => Ok(self.text(name)?.map(Some)),
        }
    }

    /// A yes or no as JSON or as forms write it; `null` and a missing field are no answer.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Sentence> {
        let text = match self.0.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Bool(flag)) => return Ok(Some(*flag)),
            Some(Value::String(text)) => text.to_ascii_lowercase(),
            Some(Value::Number(number)) => number.to_string(),
            Some(_) => return Err(words::NOT_A_BOOL),
        };
        match text.as_str() {
            "true" | "1" | "on" | "yes" => Ok(Some(true)),
            "false" | "0" | "off" | "no" | "" => Ok(Some(false)),
            _ => Err(words::NOT_A_BOOL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use serde_json::json;

    #[test]
    fn a_form_that_is_json_is_read_as_json() {
        let fields = form(br#" {"content": "Test message"}"#).unwrap();
        assert_eq!(
            fields.text("content").unwrap().as_deref(),
            Some("Test message")
        );
        let fields = form(b"content=Bonjour+%C3%A0+tous&forced=on").unwrap();
        assert_eq!(
            fields.text("content").unwrap().as_deref(),
            Some("Bonjour à tous")
        );
        assert_eq!(fields.flag("forced").unwrap(), Some(true));
    }

    #[test]
    fn values_of_the_wrong_kind_are_named() {
        let Value::Object(map) =
            json!({"null": null, "number": 5, "list": [], "yes": true, "word": "maybe"})
        else {
            unreachable!("an object")
        };
        let fields = Fields(map);
        assert_eq!(fields.text("null"), Err(words::NOT_NULL));
        assert_eq!(fields.text("number"), Ok(Some("5".to_owned())));
        assert_eq!(fields.text("list"), Err(words::NOT_A_TEXT));
        assert_eq!(fields.text("yes"), Err(words::NOT_A_TEXT));
        assert_eq!(fields.text("absent"), Ok(None));
        assert_eq!(fields.flag("yes"), Ok(Some(true)));
        assert_eq!(fields.flag("null"), Ok(None));
        assert_eq!(fields.flag("word"), Err(words::NOT_A_BOOL));
    }

    #[test]
    fn only_a_bearer_token_counts_as_credentials() {
        let read = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
            bearer(&headers).map(|token| token.map(|token| token.expose().to_owned()))
        };
        assert_eq!(read("Bearer abc").unwrap().as_deref(), Some("abc"));
        assert_eq!(read("bearer abc").unwrap().as_deref(), Some("abc"));
        assert_eq!(read("Basic abc").unwrap(), None);
        assert!(read("Bearer").is_err());
        assert!(read("Bearer a b").is_err());
    }
}
