//! The way of a request: what every one passes, then which area answers it.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::http::header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, VARY};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use axum::response::Response;
use http_body::Body as _;
use tokio::time::Instant;
use tower::ServiceExt;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tracing::Instrument;

use super::client::{Client, Peer};
use super::config::Config;
use super::counts::{Area, Counts};
use super::error::Problem;
use super::language::Language;
use super::limits::{SlidingCount, SlidingWindow, client_key};
use super::links::Links;
use super::{
    Services, auth, geo, headers, health, hls, live, live_recording, live_webm, media_api,
    media_files, page, recordings, tus, uploads, users, videos, words,
};
use crate::base::{ErrorKind, UserId};

/// No API request takes longer; most take a thousandth.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// The same of one that brings a file: 2 GiB at 200 kbit/s take a day, and uploads are resumable.
const FILE_WITHIN: Duration = Duration::from_secs(24 * 3_600);
/// The largest body of an API request that carries no file.
const BODY_LIMIT: usize = 256 * 1024;
/// Smaller bodies gain nothing by gzip (contract §1.10).
const GZIP_ABOVE: u64 = 800;
/// Contract §1.10.
const REQUESTS_PER_MINUTE: usize = 100;
/// Contract §1.10, "auth".
const LOGINS_PER_MINUTE: usize = 10;
/// The same for new accounts, of one address.
const REGISTRATIONS_PER_MINUTE: usize = 10;
/// Contract §1.10, "media upload".
const FORM_UPLOADS_PER_MINUTE: usize = 20;
/// Uploads that a member may begin by tus; a client that resumes begins none.
const UPLOADS_PER_MINUTE: usize = 60;
/// Contract §1.10, of one address without a login.
const REQUESTS_OF_NOBODY_PER_HOUR: u32 = 100;
/// Contract §1.10, "user".
const REQUESTS_OF_A_MEMBER_PER_HOUR: u32 = 1_000;
const HOUR: Duration = Duration::from_secs(3_600);
const MINUTE: Duration = Duration::from_secs(60);

/// What handlers share. Cheap to clone.
#[derive(Clone)]
pub(super) struct App(Arc<Shared>);

struct Shared {
    config: Config,
    services: Services,
    /// `host:port` for addresses, when a request names no host.
    fallback_host: String,
    requests: SlidingWindow<IpAddr>,
    of_nobody: SlidingCount<IpAddr>,
    of_members: SlidingCount<UserId>,
    logins: SlidingWindow<(IpAddr, u64)>,
    registrations: SlidingWindow<IpAddr>,
    form_uploads: SlidingWindow<UserId>,
    tus_uploads: SlidingWindow<UserId>,
    /// Attempts are counted by a keyed hash: no e-mail address is kept.
    email_key: RandomState,
}

impl App {
    /// The services behind the answers.
    pub(super) fn services(&self) -> &Services {
        &self.0.services
    }

    /// The settings.
    pub(super) fn config(&self) -> &Config {
        &self.0.config
    }

    /// Addresses as the sender of these headers can follow them.
    pub(super) fn links(&self, headers: &HeaderMap, secure: bool) -> Links {
        Links::of(self.config(), headers, secure, &self.0.fallback_host)
    }

    /// Counts a member's request; 429 when there were too many within an hour.
    pub(super) fn admit_caller(
        &self,
        member: UserId,
        method: &Method,
        path: &str,
    ) -> Result<(), Problem> {
        if !self.config().rate_limits || asks_by_itself(method, path) {
            return Ok(());
        }
        let admitted = self.0.of_members.admit(member);
        admitted.map_err(|wait| Problem::from(ErrorKind::Exhausted).retry_after(wait))
    }

    /// Counts a file sent by the contract's form; 429 when this member sends too many.
    pub(super) fn admit_upload(&self, member: UserId) -> Result<(), Problem> {
        self.admit_member(&self.0.form_uploads, member)
    }

    /// The same of an upload begun by tus.
    pub(super) fn admit_tus(&self, member: UserId) -> Result<(), Problem> {
        self.admit_member(&self.0.tus_uploads, member)
    }

    fn admit_member(&self, window: &SlidingWindow<UserId>, member: UserId) -> Result<(), Problem> {
        if !self.config().rate_limits {
            return Ok(());
        }
        window
            .admit(member)
            .map_err(|wait| Problem::from(ErrorKind::Exhausted).retry_after(wait))
    }

    /// Counts an attempt to log in; 429 when there were too many for this account from this address.
    pub(super) fn admit_login(&self, client: Client, email: &str) -> Result<(), Problem> {
        if !self.config().rate_limits {
            return Ok(());
        }
        let email = self.0.email_key.hash_one(email.trim().to_lowercase());
        self.0
            .logins
            .admit((client_key(client.address), email))
            .map_err(|wait| Problem::from(ErrorKind::Exhausted).retry_after(wait))
    }
}

impl App {
    /// Counts an attempt to register; 429 when there were too many from this address.
    pub(super) fn admit_registration(&self, client: Client) -> Result<(), Problem> {
        if !self.config().rate_limits {
            return Ok(());
        }
        self.0
            .registrations
            .admit(client_key(client.address))
            .map_err(|wait| Problem::from(ErrorKind::Exhausted).retry_after(wait))
    }
}

/// The front door: takes any request and always answers. Cheap to clone.
#[derive(Clone)]
pub(super) struct Front {
    app: App,
    api: Router,
    site: Router,
    counts: Arc<Counts>,
}

impl Front {
    /// The door behind `local`, the address it listens on.
    pub(super) fn new(config: Config, services: Services, local: SocketAddr) -> Self {
        let app = App(Arc::new(Shared {
            config,
            services,
            fallback_host: local.to_string(),
            requests: SlidingWindow::new(REQUESTS_PER_MINUTE, MINUTE),
            of_nobody: SlidingCount::new(REQUESTS_OF_NOBODY_PER_HOUR, HOUR),
            of_members: SlidingCount::new(REQUESTS_OF_A_MEMBER_PER_HOUR, HOUR),
            logins: SlidingWindow::new(LOGINS_PER_MINUTE, MINUTE),
            registrations: SlidingWindow::new(REGISTRATIONS_PER_MINUTE, MINUTE),
            form_uploads: SlidingWindow::new(FORM_UPLOADS_PER_MINUTE, MINUTE),
            tus_uploads: SlidingWindow::new(UPLOADS_PER_MINUTE, MINUTE),
            email_key: RandomState::new(),
        }));
        Self {
            api: api(app.clone()),
            site: site(app.clone()),
            app,
            counts: Arc::new(Counts::new()),
        }
    }

    /// Answers one request that came from `peer`.
    pub(super) async fn answer(&self, peer: Peer, request: Request<Body>) -> Response {
        let began = Instant::now();
        let client = Client::of(self.app.config(), peer, request.headers());
        let head = request.method() == Method::HEAD;
        let path = request.uri().path();
        let (area, mut response) = if path.starts_with("/live/") {
            // Media passes no router, no limiter and no compressor: this is the hot path.
            let (method, uri, headers) = (request.method(), request.uri(), request.headers());
            let lives = &self.app.services().lives;
            let response = hls::answer(lives, method, uri, headers, client.address).await;
            (Area::Media, response)
        } else if path.starts_with("/recordings/") {
            let (method, uri, headers) = (request.method(), request.uri(), request.headers());
            let services = self.app.services();
            let redirect = self.app.config().objects_redirect;
            let response = recordings::answer(services, redirect, method, uri, headers).await;
            (Area::Recording, response)
        } else if videos::is_here(path) {
            let (method, uri, headers) = (request.method(), request.uri(), request.headers());
            let services = self.app.services();
            let redirect = self.app.config().objects_redirect;
            let response = videos::answer(services, redirect, method, uri, headers).await;
            (Area::Media, response)
        } else if path.starts_with("/media/") {
            let (method, uri, headers) = (request.method(), request.uri(), request.headers());
            let response = media_files::answer(self.app.services(), method, uri, headers).await;
            (Area::Media, response)
        } else if path == "/api" || path.starts_with("/api/") {
            (Area::Api, self.answer_api(client, request).await)
        } else {
            (Area::Page, routed(&self.site, client, request).await)
        };
        if head {
            drop_body(&mut response);
        }
        self.counts.one(area, response.status());
        headers::always(response.headers_mut(), began.elapsed());
        response
    }

    async fn answer_api(&self, client: Client, mut request: Request<Body>) -> Response {
        let origin = headers::allowed_origin(request.headers());
        let resumable = tus::is_tus(request.uri().path());
        if headers::is_preflight(request.method(), request.headers()) {
            let mut response = headers::api_preflight(origin.clone());
            if resumable && origin.is_some() {
                tus::open_preflight(response.headers_mut());
            }
            return response;
        }
        if resumable {
            tus::override_method(&mut request);
        }
        let mut response = if let Err(wait) = self.admit(client, &request) {
            Problem::new(StatusCode::TOO_MANY_REQUESTS, words::TOO_MANY_REQUESTS)
                .by_hand()
                .retry_after(wait)
                .answer(Language::of(request.headers()), None)
        } else {
            trim_slash(request.uri_mut());
            let span = tracing::debug_span!("request", http.method = %request.method(), http.path = request.uri().path());
            routed(&self.api, client, request).instrument(span).await
        };
        let headers = response.headers_mut();
        if resumable {
            tus::always(headers, origin.is_some());
        }
        // Answers depend on who asks.
        headers
            .entry(CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-store"));
        headers.append(
            VARY,
            HeaderValue::from_static("Accept-Language, Authorization"),
        );
        headers::open_to(headers, origin);
        response
    }

    fn admit(&self, client: Client, request: &Request<Body>) -> Result<(), Duration> {
        let shared = &self.app.0;
        let path = request.uri().path();
        // A monitor may ask as often as it likes.
        // A client that resumes over a bad network makes many requests, all with a login.
        let uncounted = path.starts_with("/api/health") || tus::is_tus(path);
        if !shared.config.rate_limits || uncounted {
            return Ok(());
        }
        let key = client_key(client.address);
        shared.requests.admit(key)?;
        let is_nobodys = !request.headers().contains_key(AUTHORIZATION);
        if is_nobodys && !asks_by_itself(request.method(), path) {
            shared.of_nobody.admit(key)?;
        }
        Ok(())
    }
}

/// What pages ask for by themselves, every few seconds or with each visit: an hour of it says nothing of who asks, and
/// carriers put thousands behind one address. Such requests count by the minute only.
fn asks_by_itself(method: &Method, path: &str) -> bool {
    const POLLED: &[&str] = &[
        "/api/posts/live",
        "/api/posts/media/",
        "/api/geography/",
        "/api/users/geographic-data",
    ];
    let reads = method == Method::GET || method == Method::HEAD;
    let polled = reads && POLLED.iter().any(|polled| path.starts_with(polled));
    polled
        || path.starts_with("/api/token/refresh")
        || path.starts_with("/api/health")
        || tus::is_tus(path)
}

/// The answer to HEAD: the length that GET would have, and nothing of it.
fn drop_body(response: &mut Response) {
    let bodiless = [StatusCode::NOT_MODIFIED, StatusCode::NO_CONTENT];
    if let Some(length) = response.body().size_hint().exact()
        && !bodiless.contains(&response.status())
    {
        response
            .headers_mut()
            .entry(CONTENT_LENGTH)
            .or_insert(HeaderValue::from(length));
    }
    *response.body_mut() = Body::empty();
}

/// Both forms of a path are accepted, with the slash at the end and without, and nothing is ever redirected: a
/// redirected POST loses its body (contract §1.0).
fn trim_slash(uri: &mut Uri) {
    let path = uri.path();
    let trimmed = path.trim_end_matches('/');
    if trimmed.len() == path.len() {
        return;
    }
    let text = match uri.query() {
        Some(query) => format!("{trimmed}?{query}"),
        None => trimmed.to_owned(),
    };
    let mut parts = std::mem::take(uri).into_parts();
    parts.path_and_query = PathAndQuery::try_from(text).ok();
    // Cutting slashes off a valid path leaves a valid one.
    *uri = Uri::from_parts(parts).unwrap_or_default();
}

/// Runs a router and puts its problem, if it has one, into the words of the client's language.
async fn routed(router: &Router, client: Client, mut request: Request<Body>) -> Response {
    let language = Language::of(request.headers());
    request.extensions_mut().insert(client);
    // A body of gigabytes has deadlines of its own (`uploads/append.rs`).
    let within = if brings_a_file(request.uri().path()) {
        FILE_WITHIN
    } else {
        ANSWER_WITHIN
    };
    let answer = tokio::time::timeout(within, router.clone().oneshot(request));
    let mut response = match answer.await {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_) => Problem::new(StatusCode::REQUEST_TIMEOUT, words::TOO_SLOW).answer(language, None),
    };
    let Some(problem) = response.extensions_mut().remove::<Problem>() else {
        return response;
    };
    metrics::counter!("griot_http_problems_total", "status" => problem.status().as_str().to_owned())
        .increment(1);
    problem.answer(language, response.headers_mut().remove(ALLOW))
}

/// Whether requests to this path carry files.
fn brings_a_file(path: &str) -> bool {
    tus::is_tus(path)
        || path.starts_with("/api/posts/media/upload")
        || path.ends_with("/upload-video")
}

/// Everything below `/api/`, without the slash at the end.
fn api(app: App) -> Router {
    Router::new()
        .merge(auth::routes())
        .merge(users::routes())
        .merge(live::routes())
        .merge(geo::routes())
        .merge(health::routes())
        .merge(media_api::routes())
        .merge(live_recording::routes())
        .merge(live_webm::routes())
        .merge(uploads::routes())
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(CompressionLayer::new().compress_when(
            // Events are for now, not for when a block is full.
            SizeAbove::new(GZIP_ABOVE).and(NotForContentType::SSE),
        ))
        .with_state(app)
}

/// The page, its assets and the metrics.
fn site(app: App) -> Router {
    Router::new()
        .merge(page::routes())
        .merge(health::metrics_route())
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CatchPanicLayer::custom(panicked))
        .with_state(app)
}

async fn not_found() -> Problem {
    Problem::not_found()
}

async fn method_not_allowed() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, words::METHOD_NOT_ALLOWED)
}

/// A handler's panic ends its own answer only. The panic hook has logged it.
fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    axum::response::IntoResponse::into_response(Problem::from(ErrorKind::Internal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_at_the_end_are_cut_and_nothing_else() {
        for (given, kept) in [
            ("/api/posts/live/", "/api/posts/live"),
            ("/api/posts/live//?page=2&x=/", "/api/posts/live?page=2&x=/"),
            ("/api/posts/live", "/api/posts/live"),
            ("http://host/api/x/?y", "http://host/api/x?y"),
        ] {
            let mut uri: Uri = given.parse().unwrap();
            trim_slash(&mut uri);
            assert_eq!(uri.to_string(), kept, "{given}");
        }
    }
}
