//! Every address that answers name: all absolute (design §9).

use axum::http::HeaderMap;
use axum::http::header::HOST;
use axum::http::uri::Authority;

use super::config::Config;

/// Makes addresses as this request's client can follow them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Links {
    base: String,
}

impl Links {
    /// From the configured public address, else from the request: its `Host`, over `https` when the client speaks
    /// TLS (`secure`). `fallback` is where we listen, for a request without a usable `Host`.
    pub(super) fn of(config: &Config, headers: &HeaderMap, secure: bool, fallback: &str) -> Self {
        if let Some(base) = &config.public_url {
            return Self {
                base: base.trim_end_matches('/').to_owned(),
            };
        }
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let scheme = if secure { "https" } else { "http" };
        let host = text(HOST.as_str())
            // A host is host and port, nothing that could carry a path or a user into our addresses.
            .filter(|host| !host.contains('@') && host.parse::<Authority>().is_ok())
            .unwrap_or(fallback);
        Self {
            base: format!("{scheme}://{host}"),
        }
    }

    /// Scheme and host, without a slash at the end.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Where to watch: the multivariant playlist, the same during the live and ever after.
    pub(super) fn hls(&self, playback_id: &str) -> String {
        format!("{}/live/{playback_id}/index.m3u8", self.base)
    }

    /// The newest picture of a live.
    pub(super) fn live_poster(&self, playback_id: &str) -> String {
        format!("{}/live/{playback_id}/poster.jpg", self.base)
    }

    /// The MP4 of one run of one rendition. The best rendition is not named, so that the address of the
    /// thing people keep is short.
    pub(super) fn mp4(&self, playback_id: &str, rendition: &str, run: u32) -> String {
        if rendition == SOURCE {
            format!("{}/recordings/{playback_id}/{run}.mp4", self.base)
        } else {
            format!(
                "{}/recordings/{playback_id}/{rendition}/{run}.mp4",
                self.base
            )
        }
    }

    /// What was made of a live beside its runs.
    pub(super) fn recording_file(&self, playback_id: &str, name: &str) -> String {
        format!("{}/recordings/{playback_id}/{name}", self.base)
    }

    /// A picture below `/media/`.
    pub(super) fn media(&self, path: Option<&str>) -> Option<String> {
        path.map(|path| format!("{}/media/{path}", self.base))
    }

    /// What is fetched of a medium.
    pub(super) fn media_file(&self, public_id: &str, name: &str) -> String {
        format!("{}/media/{public_id}/{name}", self.base)
    }

    /// An upload, as tus clients go on with it.
    pub(super) fn upload(&self, id: crate::base::UploadId) -> String {
        format!("{}/api/uploads/{id}/", self.base)
    }

    /// The page on which people watch a live.
    pub(super) fn watch(&self, live: crate::base::LiveId) -> String {
        format!("{}/watch/{live}", self.base)
    }
}

/// The rendition that an encoder sends, as URLs name it.
pub(super) const SOURCE: &str = "source";

/// The rendition and run that a path below `/recordings/{playback_id}/` names.
pub(super) fn recording_of(rest: &str) -> Option<(&str, u32)> {
    let (rendition, file) = rest.rsplit_once('/').unwrap_or((SOURCE, rest));
    let run = super::address::number(file.strip_suffix(".mp4")?)?;
    Some((rendition, u32::try_from(run).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn links(config: &Config, pairs: &[(&'static str, &'static str)], secure: bool) -> Links {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        Links::of(config, &headers, secure, "127.0.0.1:8000")
    }

    #[test]
    fn addresses_follow_the_configured_one_or_the_request() {
        let open = Config::default();
        let host = ("host", "griot.local:8000");
        assert_eq!(
            links(&open, &[host], false).hls("p1"),
            "http://griot.local:8000/live/p1/index.m3u8"
        );
        assert_eq!(
            links(&open, &[host], true).base(),
            "https://griot.local:8000"
        );
        assert_eq!(
            links(&open, &[("host", "user@evil/path")], false).base(),
            "http://127.0.0.1:8000"
        );
        let public = Config {
            public_url: Some("https://tv.example/".to_owned()),
            ..Config::default()
        };
        assert_eq!(links(&public, &[host], false).base(), "https://tv.example");
    }

    #[test]
    fn a_recordings_address_leads_back_to_its_run() {
        let links = links(&Config::default(), &[("host", "h")], false);
        assert_eq!(links.mp4("p1", "source", 0), "http://h/recordings/p1/0.mp4");
        assert_eq!(
            links.mp4("p1", "720p", 2),
            "http://h/recordings/p1/720p/2.mp4"
        );
        assert_eq!(recording_of("0.mp4"), Some(("source", 0)));
        assert_eq!(recording_of("720p/2.mp4"), Some(("720p", 2)));
        for wrong in ["", ".mp4", "x.mp4", "1.webm", "+1.mp4", "99999999999.mp4"] {
            assert_eq!(recording_of(wrong), None, "{wrong}");
        }
    }
}
