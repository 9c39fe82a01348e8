//! The one place where a failure becomes a status and a body.
//!
//! Two shapes coexist (contract §1.0): `{"detail"}` of the earlier system's framework, and `{"error"}` of
//! what was written by hand there (login, live, chat, share, address limiter). A handler returns a
//! [`Problem`]; `router::render` puts it into words once it knows the language.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_LANGUAGE, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::language::Language;
use super::words::{self, Sentence};
use crate::base::ErrorKind;
use crate::store::StoreError;

/// Which key the sentence stands under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Detail,
    Error,
}

/// What is wrong, before it is worded.
#[derive(Clone, Debug, PartialEq)]
enum Said {
    Sentence(Sentence),
    /// What is wrong with which fields; `non_field_errors` for the whole.
    Fields(Vec<(String, Sentence)>),
    /// `JSON parse error - …`: as the earlier system worded it, in English always.
    MalformedJson(String),
}

/// A failed request, to be worded in the caller's language.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Problem {
    status: StatusCode,
    said: Said,
    shape: Shape,
    /// Further keys of the body.
    more: Map<String, Value>,
    /// The access token was refused: the body names it (contract §1.0).
    access_token: bool,
    retry_after: Option<Duration>,
}

impl Problem {
    /// `{"detail": sentence}` with `status`.
    pub(super) fn new(status: StatusCode, sentence: Sentence) -> Self {
        Self {
            status,
            said: Said::Sentence(sentence),
            shape: Shape::Detail,
            more: Map::new(),
            access_token: false,
            retry_after: None,
        }
    }

    /// The answer's status.
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// The same under the key `error`, for endpoints whose errors were written by hand.
    pub(super) fn by_hand(mut self) -> Self {
        self.shape = Shape::Error;
        self
    }

    /// Another sentence for the same status.
    pub(super) fn saying(mut self, sentence: Sentence) -> Self {
        self.said = Said::Sentence(sentence);
        self
    }

    /// One more key beside the sentence.
    pub(super) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.more.insert(key.to_owned(), value.into());
        self
    }

    /// `Retry-After`, in whole seconds, rounded up.
    pub(super) fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// 400 `{"field": ["sentence"], …}`; `fields` is not empty.
    pub(super) fn fields(fields: Vec<(String, Sentence)>) -> Self {
        Self {
            said: Said::Fields(fields),
            ..Self::new(StatusCode::BAD_REQUEST, words::INVALID)
        }
    }

    /// 400 `{"detail": "JSON parse error - …"}`.
    pub(super) fn malformed_json(cause: &serde_json::Error) -> Self {
        Self {
            said: Said::MalformedJson(cause.to_string()),
            ..Self::new(StatusCode::BAD_REQUEST, words::INVALID)
        }
    }

    /// 401: nobody asks.
    pub(super) fn no_credentials() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, words::NO_CREDENTIALS)
    }

    /// 401: the access token is forged, of another kind, or has expired.
    pub(super) fn access_token() -> Self {
        Self {
            access_token: true,
            ..Self::new(StatusCode::UNAUTHORIZED, words::TOKEN_GIVEN_INVALID)
                .with("code", "token_not_valid")
        }
    }

    /// 401: the refresh token is forged, revoked, or has expired.
    pub(super) fn refresh_token() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, words::TOKEN_INVALID).with("code", "token_not_valid")
    }

    /// 401: the account behind the token is disabled.
    pub(super) fn user_inactive() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, words::ACCOUNT_DISABLED).with("code", "user_inactive")
    }

    /// What a service's failure becomes; ours are logged here, at the boundary, once.
    pub(super) fn from_failure(kind: ErrorKind, failure: &dyn std::fmt::Display) -> Self {
        if matches!(kind, ErrorKind::Internal | ErrorKind::Unavailable) {
            tracing::error!(error = %failure, kind = kind.as_str(), "a request failed");
        }
        Self::from(kind)
    }

    /// 404.
    pub(super) fn not_found() -> Self {
        Self::from(ErrorKind::NotFound)
    }

    /// The body in `language`.
    fn body(&self, language: Language) -> Value {
        let mut body = Map::new();
        match &self.said {
            Said::Sentence(sentence) => {
                let key = match self.shape {
                    Shape::Detail => "detail",
                    Shape::Error => "error",
                };
                body.insert(key.to_owned(), sentence.say(language).into());
            }
            Said::MalformedJson(cause) => {
                body.insert(
                    "detail".to_owned(),
                    format!("JSON parse error - {cause}").into(),
                );
            }
            Said::Fields(fields) => {
                for (field, sentence) in fields {
                    if let Value::Array(sentences) =
                        body.entry(field.as_str()).or_insert_with(|| json!([]))
                    {
                        sentences.push(sentence.say(language).into());
                    }
                }
            }
        }
        body.extend(self.more.clone());
        if self.access_token {
            body.insert(
                "messages".to_owned(),
                json!([{
                    "token_class": "AccessToken",
                    "token_type": "access",
                    "message": words::TOKEN_INVALID.say(language),
                }]),
            );
        }
        Value::Object(body)
    }

    /// The answer in `language`. `allow` is the `Allow` header of a 405 that the router found.
    pub(super) fn answer(&self, language: Language, allow: Option<HeaderValue>) -> Response {
        let mut response = Response::new(Body::from(self.body(language).to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
        if self.status == StatusCode::UNAUTHORIZED && self.shape == Shape::Detail {
            headers.insert(
                WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"api\""),
            );
        }
        if let Some(allow) = allow {
            headers.insert(ALLOW, allow);
        }
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Each kind of failure with the sentence used where nothing better is known.
impl From<ErrorKind> for Problem {
    fn from(kind: ErrorKind) -> Self {
        let (status, sentence) = match kind {
            ErrorKind::Invalid => (StatusCode::BAD_REQUEST, words::INVALID),
            ErrorKind::Unauthenticated => (StatusCode::UNAUTHORIZED, words::NO_CREDENTIALS),
            ErrorKind::Forbidden => (StatusCode::FORBIDDEN, words::FORBIDDEN),
            ErrorKind::NotFound => (StatusCode::NOT_FOUND, words::NOT_FOUND),
            ErrorKind::Conflict => (StatusCode::CONFLICT, words::CONFLICT),
            ErrorKind::Exhausted => (StatusCode::TOO_MANY_REQUESTS, words::THROTTLED),
            ErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, words::UNAVAILABLE),
            ErrorKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, words::INTERNAL),
        };
        let problem = Self::new(status, sentence);
        match kind {
            ErrorKind::Unavailable => problem.retry_after(Duration::from_secs(2)),
            _ => problem,
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::from_failure(error.kind(), &error)
    }
}

/// Carries the problem out of the handler; `router::render` replaces this response by the worded one.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(problem: &Problem, language: Language) -> Value {
        problem.body(language)
    }

    #[test]
    fn the_two_shapes_and_the_two_languages() {
        let problem = Problem::from(ErrorKind::NotFound);
        assert_eq!(
            body(&problem, Language::French),
            json!({"detail": "Introuvable."})
        );
        assert_eq!(
            body(&problem.by_hand(), Language::English),
            json!({"error": "Not found."})
        );
    }

    #[test]
    fn a_refused_access_token_answers_the_contracts_body() {
        let problem = Problem::access_token();
        assert_eq!(
            body(&problem, Language::English),
            json!({
                "detail": "Given token not valid for any token type.",
                "code": "token_not_valid",
                "messages": [{
                    "token_class": "AccessToken",
                    "token_type": "access",
                    "message": "The token is invalid or has expired.",
                }],
            })
        );
        let answer = problem.answer(Language::French, None);
        assert_eq!(answer.status(), 401);
        assert!(answer.headers().contains_key(WWW_AUTHENTICATE));
    }

    #[test]
    fn field_errors_are_lists_by_field() {
        let problem = Problem::fields(vec![
            ("title".to_owned(), words::NOT_A_TEXT),
            ("content".to_owned(), words::NOT_NULL),
            ("title".to_owned(), words::TOO_LONG_200),
        ]);
        assert_eq!(
            body(&problem, Language::English),
            json!({
                "title": ["Not a valid string.", "No more than 200 characters are allowed here."],
                "content": ["This field may not be null."],
            })
        );
    }

    #[test]
    fn retry_after_is_rounded_up() {
        let problem = Problem::from(ErrorKind::Exhausted).retry_after(Duration::from_millis(1_001));
        let answer = problem.answer(Language::French, None);
        assert_eq!(answer.headers()[RETRY_AFTER], "2");
    }
}
