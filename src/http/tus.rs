//! tus 1.0.0 (tus.io/protocols/resumable-upload): core, creation, creation-with-upload, creation-defer-length,
//! checksum, termination, expiration.

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_EXPOSE_HEADERS,
    CONTENT_TYPE, LOCATION,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;

use super::error::Problem;
use super::extract::Member;
use super::links::Links;
use super::media_api::{declared, file};
use super::media_view;
use super::range;
use super::router::App;
use super::uploads::upload_id;
use super::words;
use crate::base::ErrorKind;
use crate::store::{Upload, UploadDoor, UploadState};
use crate::uploads::{Append, Checksum, Incoming, Opening, UploadError};

const VERSION: &str = "1.0.0";
const EXTENSIONS: &str =
    "creation,creation-with-upload,creation-defer-length,checksum,termination,expiration";
/// Bytes of `Upload-Metadata`: a name, a type, a title and a description.
const METADATA_BYTES: usize = 8 << 10;
/// The largest integer that clients in JavaScript read exactly.
const LENGTH_MAX: u64 = (1 << 53) - 1;

const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const TUS_VERSION: HeaderName = HeaderName::from_static("tus-version");
const TUS_MAX_SIZE: HeaderName = HeaderName::from_static("tus-max-size");
const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const LENGTH: HeaderName = HeaderName::from_static("upload-length");
const DEFER: HeaderName = HeaderName::from_static("upload-defer-length");
const METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
const CHECKSUM: HeaderName = HeaderName::from_static("upload-checksum");

/// Whether a path is one of uploads.
pub(super) fn is_tus(path: &str) -> bool {
    path.strip_prefix("/api/uploads")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `X-HTTP-Method-Override`: for clients whose network lets no PATCH and DELETE pass.
pub(super) fn override_method(request: &mut Request) {
    let wished = request.headers().get("x-http-method-override");
    let wished = wished.and_then(|value| Method::from_bytes(value.as_bytes()).ok());
    let allowed = [Method::PATCH, Method::DELETE, Method::HEAD, Method::POST];
    if let Some(method) = wished
        && request.method() == Method::POST
        && allowed.contains(&method)
    {
        *request.method_mut() = method;
    }
}

/// What every answer about uploads carries.
pub(super) fn always(headers: &mut HeaderMap, is_open: bool) {
    headers.insert(RESUMABLE, HeaderValue::from_static(VERSION));
    if is_open {
        headers.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("Location, Tus-Extension, Tus-Max-Size, Tus-Resumable, Tus-Version, Upload-Defer-Length, Upload-Expires, Upload-Length, Upload-Metadata, Upload-Offset"),
        );
    }
}

/// Lets a page of an allowed origin speak tus.
pub(super) fn open_preflight(headers: &mut HeaderMap) {
    headers.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("DELETE, GET, HEAD, OPTIONS, PATCH, POST"),
    );
    headers.insert(
        ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("accept, accept-language, authorization, content-type, tus-resumable, upload-checksum, upload-defer-length, upload-length, upload-metadata, upload-offset, x-http-method-override, x-request-id, x-requested-with"),
    );
}

/// Gives an answer a chance to be heard by a peer that is still sending.
pub(super) fn linger(app: &App, body: Body) {
    app.services().uploads.swallow(incoming(body));
}

fn incoming(body: Body) -> Incoming {
    let pieces = body.into_data_stream();
    Box::pin(pieces.map(|piece| piece.map_err(std::io::Error::other)))
}

/// What the server can do. No login is needed to ask.
pub(super) async fn options(State(app): State<App>) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(TUS_VERSION, HeaderValue::from_static(VERSION));
    headers.insert(
        HeaderName::from_static("tus-extension"),
        HeaderValue::from_static(EXTENSIONS),
    );
    headers.insert(
        HeaderName::from_static("tus-checksum-algorithm"),
        HeaderValue::from_static(Checksum::ALGORITHMS),
    );
    let most = app.services().uploads.config().tus_max_bytes;
    headers.insert(TUS_MAX_SIZE, HeaderValue::from(most));
    response
}

/// Begins an upload; a body is its first bytes (creation-with-upload).
pub(super) async fn create(
    State(app): State<App>,
    Member(caller): Member,
    links: Links,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let begun = async {
        speaks_tus(&parts.headers)?;
        app.admit_tus(caller.id())?;
        let length = announced_length(&parts.headers)?;
        let metadata = Metadata::of(&parts.headers)?;
        let brings = brings_bytes(&parts.headers)?;
        let append = appended(&parts.headers, length)?;
        if let (true, Some(bytes), Some(length)) = (brings, append.expected, length)
            && bytes > length
        {
            return Err(problem_of(UploadError::TooLarge { limit: length }));
        }
        let opening = Opening {
            owner: caller.id(),
            door: UploadDoor::Tus,
            length,
            metadata: metadata.given,
            title: metadata.title,
            description: metadata.description,
            file_name: metadata.file_name,
            live_id: None,
        };
        let created = app.services().uploads.create(opening).await;
        Ok((created.map_err(problem_of)?, brings, append))
    };
    let (mut upload, brings, append) = match begun.await {
        Ok(begun) => begun,
        Err(problem) => {
            linger(&app, body);
            return Err(problem);
        }
    };
    if brings && upload.state == UploadState::Receiving {
        let append = Append {
            offset: Some(0),
            length: None,
            ..append
        };
        let uploads = &app.services().uploads;
        match uploads
            .append(caller.id(), upload.id, append, incoming(body))
            .await
        {
            Ok(grown) => upload = grown,
            // Refused: nothing of it is left to go on with. Otherwise its client resumes.
            Err(error @ (UploadError::Refused(_) | UploadError::WrongChecksum)) => {
                return Err(problem_of(error));
            }
            Err(_) => {
                let looked = uploads.look(caller.id(), upload.id).await;
                upload = looked.map_err(problem_of)?;
            }
        }
    }
    let mut response = StatusCode::CREATED.into_response();
    let headers = response.headers_mut();
    if let Ok(location) = HeaderValue::try_from(links.upload(upload.id)) {
        headers.insert(LOCATION, location);
    }
    stands(headers, &upload);
    Ok(response)
}

/// How far an upload has come.
pub(super) async fn head(
    State(app): State<App>,
    Member(caller): Member,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    speaks_tus(&headers)?;
    let looked = app
        .services()
        .uploads
        .look(caller.id(), upload_id(&id)?)
        .await;
    let upload = looked.map_err(problem_of)?;
    if upload.state == UploadState::Refused {
        return Err(problem_of(UploadError::Gone));
    }
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    stands(headers, &upload);
    match upload.length {
        Some(length) => headers.insert(LENGTH, HeaderValue::from(length)),
        None => headers.insert(DEFER, HeaderValue::from_static("1")),
    };
    if let Ok(metadata) = HeaderValue::try_from(&upload.metadata)
        && !metadata.is_empty()
    {
        headers.insert(METADATA, metadata);
    }
    Ok(response)
}

/// Puts bytes behind those that are there.
pub(super) async fn patch(
    State(app): State<App>,
    Member(caller): Member,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let read = || {
        speaks_tus(&parts.headers)?;
        if !brings_bytes(&parts.headers)? {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                words::UPLOAD_TYPE,
            ));
        }
        let length = number(&parts.headers, &LENGTH)?;
        let offset = number(&parts.headers, &OFFSET)?.ok_or_else(bad_header)?;
        let append = Append {
            offset: Some(offset),
            ..appended(&parts.headers, length)?
        };
        Ok((upload_id(&id)?, append))
    };
    let (id, append) = match read() {
        Ok(read) => read,
        Err(problem) => {
            linger(&app, body);
            return Err(problem);
        }
    };
    let uploads = &app.services().uploads;
    let appended = uploads
        .append(caller.id(), id, append, incoming(body))
        .await;
    let upload = appended.map_err(problem_of)?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    stands(response.headers_mut(), &upload);
    Ok(response)
}

/// Gives an upload up.
pub(super) async fn terminate(
    State(app): State<App>,
    Member(caller): Member,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    speaks_tus(&headers)?;
    let uploads = &app.services().uploads;
    let terminated = uploads.terminate(caller.id(), upload_id(&id)?).await;
    terminated.map_err(problem_of)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Where it stands, and until when it is kept.
fn stands(headers: &mut HeaderMap, upload: &Upload) {
    headers.insert(OFFSET, HeaderValue::from(upload.received));
    if let Ok(expires) = HeaderValue::try_from(range::http_date(upload.expires_at)) {
        headers.insert(EXPIRES, expires);
    }
}

fn speaks_tus(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get(RESUMABLE) {
        Some(version) if version == VERSION => Ok(()),
        _ => Err(Problem::new(
            StatusCode::PRECONDITION_FAILED,
            words::UPLOAD_VERSION,
        )),
    }
}

fn bad_header() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, words::UPLOAD_HEADER)
}

/// A header that is a whole number, if it is there.
fn number(headers: &HeaderMap, name: &HeaderName) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_| bad_header())?;
    let digits = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten();
    number
        .filter(|number| *number <= LENGTH_MAX)
        .map(Some)
        .ok_or_else(bad_header)
}

/// `Upload-Length`, or `Upload-Defer-Length: 1` in its place.
fn announced_length(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let length = number(headers, &LENGTH)?;
    match (length, headers.get(DEFER)) {
        (Some(length), None) => Ok(Some(length)),
        (None, Some(defer)) if defer == "1" => Ok(None),
        _ => Err(bad_header()),
    }
}

/// Whether the body is bytes of the upload.
fn brings_bytes(headers: &HeaderMap) -> Result<bool, Problem> {
    let Some(given) = headers.get(CONTENT_TYPE) else {
        return Ok(false);
    };
    let given = given.to_str().map_err(|_| bad_header())?;
    Ok(given.trim() == "application/offset+octet-stream")
}

fn appended(headers: &HeaderMap, length: Option<u64>) -> Result<Append, Problem> {
    let checksum = match headers.get(CHECKSUM) {
        None => None,
        Some(given) => {
            let given = given.to_str().map_err(|_| bad_header())?;
            let (algorithm, digest) = given.split_once(' ').ok_or_else(bad_header)?;
            let digest = base64(digest.trim()).ok_or_else(bad_header)?;
            Some(Checksum::new(algorithm, &digest).ok_or_else(bad_header)?)
        }
    };
    Ok(Append {
        offset: None,
        length,
        checksum,
        expected: declared(headers),
        is_whole: false,
    })
}

/// What `Upload-Metadata` says that we use.
#[derive(Debug, Default, PartialEq, Eq)]
struct Metadata {
    given: String,
    file_name: String,
    title: String,
    description: String,
}

impl Metadata {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let bad = || Problem::new(StatusCode::BAD_REQUEST, words::UPLOAD_METADATA);
        let Some(given) = headers.get(METADATA) else {
            return Ok(Self::default());
        };
        let given = given.to_str().map_err(|_| bad())?;
        if given.len() > METADATA_BYTES {
            return Err(bad());
        }
        let mut metadata = Self {
            given: given.to_owned(),
            ..Self::default()
        };
        for pair in given.split(',').filter(|pair| !pair.trim().is_empty()) {
            let mut words = pair.trim().splitn(2, ' ');
            let (key, value) = (words.next().unwrap_or_default(), words.next());
            let value = base64(value.unwrap_or_default().trim()).ok_or_else(bad)?;
            let value = String::from_utf8_lossy(&value).into_owned();
            match key {
                "filename" | "name" => metadata.file_name = value,
                "title" => metadata.title = value,
                "description" => metadata.description = value,
                _ => {}
            }
        }
        Ok(metadata)
    }
}

/// Base64 of RFC 4648 §4, with its padding or without.
fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    if text.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for group in text.as_bytes().chunks(4) {
        let mut bits: u32 = 0;
        for letter in group {
            let value = match letter {
                b'A'..=b'Z' => letter - b'A',
                b'a'..=b'z' => letter - b'a' + 26,
                b'0'..=b'9' => letter - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = (bits << 6) | u32::from(value);
        }
        let missing = 4 - group.len();
        bits <<= 6 * missing;
        bytes.extend_from_slice(&bits.to_be_bytes()[1..4 - missing]);
    }
    Some(bytes)
}

/// What a tus client is told of a failed request.
pub(super) fn problem_of(error: UploadError) -> Problem {
    let (status, sentence) = match &error {
        UploadError::Unknown => return Problem::not_found(),
        UploadError::Refused(refusal) => return file(media_view::refused(*refusal)),
        UploadError::Gone => (StatusCode::GONE, words::UPLOAD_GONE),
        UploadError::WrongOffset { .. } => (StatusCode::CONFLICT, words::UPLOAD_OFFSET),
        UploadError::Busy | UploadError::TakenOver => (StatusCode::LOCKED, words::UPLOAD_BUSY),
        UploadError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, words::FILE_TOO_LARGE),
        UploadError::OverQuota => (StatusCode::PAYLOAD_TOO_LARGE, words::UPLOAD_OVER_QUOTA),
        UploadError::WrongLength => (StatusCode::BAD_REQUEST, words::UPLOAD_LENGTH),
        // The extension's own status.
        UploadError::WrongChecksum => (
            StatusCode::from_u16(460).unwrap_or(StatusCode::BAD_REQUEST),
            words::UPLOAD_CHECKSUM,
        ),
        UploadError::TooMany => (StatusCode::TOO_MANY_REQUESTS, words::UPLOAD_TOO_MANY),
        UploadError::DiskFull => (StatusCode::INSUFFICIENT_STORAGE, words::UPLOAD_DISK_FULL),
        UploadError::BrokenOff(_) => (StatusCode::BAD_REQUEST, words::BODY_UNREADABLE),
        UploadError::TooSlow => (StatusCode::REQUEST_TIMEOUT, words::TOO_SLOW),
        UploadError::Stopping => return Problem::from(ErrorKind::Unavailable),
        UploadError::Store(_) | UploadError::Spool(_) | UploadError::Media(_) => {
            return Problem::from_failure(error.kind(), &error);
        }
    };
    Problem::new(status, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: HeaderName, value: &str) -> HeaderMap {
        let value = HeaderValue::try_from(value).unwrap();
        [(name, value)].into_iter().collect()
    }

    // RFC 4648 §10.
    #[test]
    fn the_examples_of_the_rfc() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("Zg==", b"f"),
            ("Zm8=", b"fo"),
            ("Zm9v", b"foo"),
            ("Zm9vYg", b"foob"),
            ("Zm9vYmFy", b"foobar"),
        ] {
            assert_eq!(base64(text).as_deref(), Some(bytes), "{text}");
        }
        for bad in ["Z", "Zm9vY", "Zm 9", "Zm-_"] {
            assert_eq!(base64(bad), None, "{bad}");
        }
    }

    #[test]
    fn metadata_are_read_as_the_protocol_writes_them() {
        // `printf 'été.png' | base64`, `printf Titre | base64`.
        let given = "filename w6l0w6kucG5n,title VGl0cmU=,is_confidential";
        let metadata = Metadata::of(&with(METADATA, given)).unwrap();
        assert_eq!(metadata.file_name, "été.png");
        assert_eq!(metadata.title, "Titre");
        assert_eq!(metadata.given, given);
        assert!(Metadata::of(&with(METADATA, "filename ***")).is_err());
        let huge = format!("filename {}", "A".repeat(METADATA_BYTES));
        assert!(Metadata::of(&with(METADATA, &huge)).is_err());
    }

    #[test]
    fn lengths_are_whole_numbers_that_javascript_can_hold() {
        let read = |text: &str| number(&with(LENGTH, text), &LENGTH);
        assert_eq!(
            read("9007199254740991").unwrap(),
            Some(9_007_199_254_740_991)
        );
        for bad in ["9007199254740992", "-1", "+1", "1.5", "0x10", "", "1 1"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(announced_length(&HeaderMap::new()).is_err());
        assert_eq!(announced_length(&with(DEFER, "1")).unwrap(), None);
        assert!(announced_length(&with(DEFER, "0")).is_err());
        let mut both = with(DEFER, "1");
        both.insert(LENGTH, HeaderValue::from(1));
        assert!(announced_length(&both).is_err());
    }
}
