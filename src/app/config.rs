//! Settings: defaults, then `griot.toml`, then the environment. The only place that reads the latter two.
//!
//! Every setting is one row of [`keys`], which gives its name in the file, its environment variable
//! and its default; a name that is not there is refused, so that a typing error never passes for a
//! setting. The sample file at the root of the project explains each key, and `tests/it/config.rs`
//! keeps it true.

mod keys;
mod values;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::DataDir;
use crate::base::Secret;
use crate::http::{MetricsTo, Network};
use crate::objects::{self, S3, S3Config};
use crate::{http, ingest, jobs, live, media, pipeline, recording, tls, uploads};

pub use keys::{Key, keys};
pub use values::{DatabaseUrl, ObjectsUrl};

/// Read when no `--config` is given and it exists.
const DEFAULT_FILE: &str = "griot.toml";

/// All settings, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Database, recordings, spool and generated secrets lie here.
    pub data_dir: PathBuf,
    /// Which events are logged, in the notation of `tracing_subscriber::EnvFilter`.
    pub log: String,
    /// Signs tokens and hides stream keys; generated into the data folder when `None`.
    pub secret_key: Option<Secret>,
    /// `[http]`
    pub http: Http,
    /// `[https]`
    pub https: Https,
    /// `[rtmp]`
    pub rtmp: Rtmp,
    /// `[rtmps]`
    pub rtmps: Rtmps,
    /// `[tls]`
    pub tls: Tls,
    /// `[database]`
    pub database: Database,
    /// `[objects]`
    pub objects: Objects,
    /// `[live]`
    pub live: live::Config,
    /// `[uploads]`
    pub uploads: uploads::Config,
    /// `[media]`
    pub media: media::Config,
    /// `[recording]`
    pub recording: recording::Config,
    /// `[jobs]`
    pub jobs: jobs::Config,
    /// `[pipeline]`
    pub pipeline: Pipeline,
}

/// `[http]`: the page, the API and the media that viewers fetch.
#[derive(Clone, Debug, PartialEq)]
pub struct Http {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How people reach us, without a slash at the end; from the listen address when `None`.
    pub public_url: Option<String>,
    /// Whether the API counts requests of one address.
    pub rate_limits: bool,
    /// Whose `X-Forwarded-*` headers are believed.
    pub trusted_proxies: Vec<Network>,
    /// Who may read `/metrics`.
    pub metrics: MetricsTo,
    /// Connections at a time.
    pub max_connections: usize,
    /// The same from one address.
    pub max_connections_per_address: usize,
}

/// `[https]`: the same as `[http]`, encrypted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Https {
    /// Where to listen; nowhere when `None`.
    pub listen: Option<SocketAddr>,
}

/// `[rtmp]`: where encoders publish.
#[derive(Clone, Debug, PartialEq)]
pub struct Rtmp {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What encoders type in as server, without the key; from the listen address when `None`.
    pub public_url: Option<String>,
    /// Connections at a time, those of `[rtmps]` included.
    pub max_connections: usize,
    /// The same from one address.
    pub max_connections_per_address: usize,
}

/// `[rtmps]`: the same as `[rtmp]`, encrypted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rtmps {
    /// Where to listen; nowhere when `None`.
    pub listen: Option<SocketAddr>,
    /// What encoders type in as server, without the key; from the listen address when `None`.
    pub public_url: Option<String>,
}

/// `[tls]`: what `[https]` and `[rtmps]` show their clients.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tls {
    /// The certificate and those between it and a known authority, PEM.
    pub cert: Option<PathBuf>,
    /// Its private key, PEM.
    pub key: Option<PathBuf>,
}

impl Tls {
    /// Both files, when both are named.
    #[must_use]
    pub fn files(&self) -> Option<tls::Files> {
        Some(tls::Files {
            cert: self.cert.clone()?,
            key: self.key.clone()?,
        })
    }
}

/// `[database]`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Database {
    /// Where rows are kept; in the data folder when `None`.
    pub url: Option<DatabaseUrl>,
}

/// `[objects]`
#[derive(Clone, Debug, PartialEq)]
pub struct Objects {
    /// Where finished media lie; in the data folder when `None`.
    pub url: Option<ObjectsUrl>,
    /// The server that speaks S3; Amazon's own when `None`.
    pub s3_endpoint: Option<String>,
    /// The region that signatures name.
    pub s3_region: String,
    /// Whether the bucket stands in the path; with an endpoint of one's own it does when `None`.
    pub s3_path_style: Option<bool>,
    /// Whether downloads are sent to the store's own address.
    pub s3_redirect: bool,
    /// `AWS_ACCESS_KEY_ID`, from the environment only.
    pub access_key_id: Option<Secret>,
    /// `AWS_SECRET_ACCESS_KEY`, from the environment only.
    pub secret_access_key: Option<Secret>,
}

impl Default for Objects {
    fn default() -> Self {
        Self {
            url: None,
            s3_endpoint: None,
            s3_region: "us-east-1".to_owned(),
            s3_path_style: None,
            s3_redirect: false,
            access_key_id: None,
            secret_access_key: None,
        }
    }
}

/// `[pipeline]`: children that read media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// Children at a time that look at files, read them or draw.
    pub readers: usize,
    /// Children at a time that transcode.
    pub transcodes: usize,
}

impl Default for Pipeline {
    fn default() -> Self {
        Self {
            readers: 4,
            transcodes: 1,
        }
    }
}

impl Pipeline {
    /// What starts children, with its registry in the data folder. One per process.
    #[must_use]
    pub fn host_in(&self, folder: &DataDir) -> pipeline::Host {
        pipeline::Host::new(pipeline::Config {
            max_light: self.readers,
            max_heavy: self.transcodes,
            ..pipeline::Config::in_folder(folder.join("pipeline"))
        })
    }
}

impl Database {
    /// The address of the rows, for `store`.
    #[must_use]
    pub fn url_in(&self, folder: &DataDir) -> String {
        match &self.url {
            Some(DatabaseUrl::Postgres(url)) => url.expose().to_owned(),
            Some(DatabaseUrl::Sqlite(path)) => format!("sqlite:{}", path.display()),
            None => format!("sqlite:{}", folder.join("griot.db").display()),
        }
    }
}

impl Objects {
    /// Opens the store of finished media. A bucket is not asked anything: it may be away.
    ///
    /// # Errors
    /// What cannot work; the message names the key or the variable to change.
    pub fn open_in(&self, folder: &DataDir) -> anyhow::Result<objects::Objects> {
        let path = match &self.url {
            Some(ObjectsUrl::Bucket { bucket, prefix }) => return self.bucket(bucket, prefix),
            Some(ObjectsUrl::Folder(path)) => path.clone(),
            None => folder.join("objects"),
        };
        let directory = objects::Directory::open(&path).with_context(|| {
            format!(
                "the media folder {} cannot be made; change objects.url (GRIOT_OBJECTS_URL)",
                path.display()
            )
        })?;
        Ok(directory.into())
    }

    fn bucket(&self, bucket: &str, prefix: &str) -> anyhow::Result<objects::Objects> {
        let given = |value: &Option<Secret>, variable| {
            value.clone().with_context(|| {
                format!("objects.url names a bucket: put its credentials into the environment, {variable} is missing")
            })
        };
        Ok(objects::Objects::S3(S3::new(&S3Config {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            endpoint: self.s3_endpoint.clone(),
            region: self.s3_region.clone(),
            path_style: self.s3_path_style.unwrap_or(self.s3_endpoint.is_some()),
            access_key_id: given(&self.access_key_id, "AWS_ACCESS_KEY_ID")?,
            secret_access_key: given(&self.secret_access_key, "AWS_SECRET_ACCESS_KEY")?,
        })))
    }
}

/// Settings that cannot work. `Display` names the key and says what to change.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file that `--config` names cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no TOML.
    #[error("{} is not valid TOML: {message}", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// The parser's words, with line and column.
        message: String,
    },
    /// The file has a key that griot does not know.
    #[error("{}: there is no setting `{key}`{}", path.display(), values::suggestion(nearest.as_deref()))]
    UnknownKey {
        /// Which file.
        path: PathBuf,
        /// `table.key` as written.
        key: String,
        /// A known key that looks like it.
        nearest: Option<String>,
    },
    /// The environment has a `GRIOT_…` variable that griot does not know.
    #[error("environment: there is no setting {variable}{}", values::suggestion(nearest.as_deref()))]
    UnknownVariable {
        /// Its name.
        variable: String,
        /// A known variable that looks like it.
        nearest: Option<String>,
    },
    /// A value cannot work.
    #[error("{key} (set by {place}): {problem}")]
    Value {
        /// `table.key`.
        key: &'static str,
        /// The file or the variable that sets it.
        place: String,
        /// What is wrong and what would be right.
        problem: String,
    },
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("./data"),
            log: "info".to_owned(),
            secret_key: None,
            http: Http {
                listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8000)),
                public_url: None,
                rate_limits: true,
                trusted_proxies: Vec::new(),
                metrics: MetricsTo::Local,
                max_connections: http::Config::default().max_connections,
                max_connections_per_address: http::Config::default().max_connections_per_address,
            },
            https: Https::default(),
            rtmp: Rtmp {
                listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 1935)),
                public_url: None,
                max_connections: ingest::Config::default().max_connections,
                max_connections_per_address: ingest::Config::default().max_connections_per_address,
            },
            rtmps: Rtmps::default(),
            tls: Tls::default(),
            database: Database::default(),
            objects: Objects::default(),
            live: live::Config::default(),
            uploads: uploads::Config::default(),
            media: media::Config::default(),
            recording: recording::Config::default(),
            jobs: jobs::Config::default(),
            pipeline: Pipeline::default(),
        }
    }
}

impl Config {
    /// The settings of this process: `path`, or `griot.toml` where we stand if there is one, and the
    /// process's environment.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn of_process(path: Option<&Path>) -> Result<Self, ConfigError> {
        let standing = Path::new(DEFAULT_FILE);
        let path = path.or_else(|| standing.exists().then_some(standing));
        let environment = std::env::vars_os().map(|(name, value)| {
            (
                name.to_string_lossy().into_owned(),
                value.to_string_lossy().into_owned(),
            )
        });
        Self::load(path, environment)
    }

    /// Defaults, then the file at `path`, then every `GRIOT_…` variable of `environment` and the two `AWS_…` of
    /// credentials; other variables are none of our business. An empty value means the default.
    ///
    /// # Errors
    /// The first setting that cannot work, by name.
    pub fn load(
        path: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        if let Some(path) = path {
            config.apply_file(path)?;
        }
        config.apply_environment(environment)?;
        Ok(config)
    }

    fn apply_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let root: toml::Table =
            text.parse()
                .map_err(|error: toml::de::Error| ConfigError::Syntax {
                    path: path.to_owned(),
                    message: error.to_string().trim_end().to_owned(),
                })?;
        for (name, value) in root {
            match value {
                toml::Value::Table(table) => {
                    for (key, value) in table {
                        self.apply_from_file(path, &format!("{name}.{key}"), &value)?;
                    }
                }
                value => self.apply_from_file(path, &name, &value)?,
            }
        }
        Ok(())
    }

    fn apply_from_file(
        &mut self,
        path: &Path,
        name: &str,
        value: &toml::Value,
    ) -> Result<(), ConfigError> {
        let key = keys()
            .find(|key| key.name == name)
            .ok_or_else(|| ConfigError::UnknownKey {
                path: path.to_owned(),
                key: name.to_owned(),
                nearest: values::nearest(name, keys().map(|key| key.name.to_owned())),
            })?;
        values::text_of(value)
            .and_then(|text| key.apply(self, &text))
            .map_err(|problem| ConfigError::Value {
                key: key.name,
                place: path.display().to_string(),
                problem,
            })
    }

    fn apply_environment(
        &mut self,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        for (variable, text) in environment {
            // Names that every tool of S3 knows; nothing else of theirs is read.
            match variable.as_str() {
                "AWS_ACCESS_KEY_ID" => self.objects.access_key_id = given(&text),
                "AWS_SECRET_ACCESS_KEY" => self.objects.secret_access_key = given(&text),
                _ => {}
            }
            if !variable.starts_with("GRIOT_") {
                continue;
            }
            let key = keys()
                .find(|key| key.variable() == variable)
                .ok_or_else(|| unknown_variable(&variable))?;
            key.apply(self, &text)
                .map_err(|problem| ConfigError::Value {
                    key: key.name,
                    place: variable,
                    problem,
                })?;
        }
        Ok(())
    }
}

/// A secret that is not empty.
fn given(text: &str) -> Option<Secret> {
    let text = text.trim();
    (!text.is_empty()).then(|| Secret::new(text))
}

fn unknown_variable(variable: &str) -> ConfigError {
    // Without what all have in common, or every variable would look like every other.
    let own = |variable: &str| variable.trim_start_matches("GRIOT_").to_owned();
    let nearest = values::nearest(&own(variable), keys().map(|key| own(&key.variable())));
    ConfigError::UnknownVariable {
        variable: variable.to_owned(),
        nearest: nearest.map(|nearest| format!("GRIOT_{nearest}")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn load(file: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("griot.toml");
        std::fs::write(&path, file).unwrap();
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::load(Some(&path), environment).map_err(|error| {
            error
                .to_string()
                .replace(&path.display().to_string(), "griot.toml")
        })
    }

    #[test]
    fn nothing_set_gives_the_documented_defaults() {
        let config = load("", &[("HOME", "/home/ama")]).unwrap();
        assert_eq!(config, Config::default());
        assert_eq!(config.http.listen.to_string(), "127.0.0.1:8000");
        assert_eq!(config.rtmp.listen.to_string(), "127.0.0.1:1935");
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_file_over_the_default() {
        let file = "data_dir = \"/srv/griot\"\n[http]\nlisten = \"0.0.0.0:80\"\nrate_limits = false\n\
                    [live]\nreconnect_grace = \"2m\"\n";
        let config = load(
            file,
            &[
                ("GRIOT_HTTP_LISTEN", "[::1]:0"),
                ("GRIOT_LIVE_GOODBYE_GRACE", "500ms"),
            ],
        )
        .unwrap();
        assert_eq!(config.data_dir, Path::new("/srv/griot"));
        assert_eq!(config.http.listen.to_string(), "[::1]:0");
        assert!(!config.http.rate_limits);
        assert_eq!(config.live.reconnect_grace, Duration::from_secs(120));
        assert_eq!(config.live.goodbye_grace, Duration::from_millis(500));
    }

    #[test]
    fn an_unknown_key_is_refused_and_the_right_one_proposed() {
        assert_eq!(
            load("[http]\nlissten = \"127.0.0.1:1\"\n", &[]).unwrap_err(),
            "griot.toml: there is no setting `http.lissten`; did you mean `http.listen`?"
        );
        assert_eq!(
            load("[zebra]\nquagga = 1\n", &[]).unwrap_err(),
            "griot.toml: there is no setting `zebra.quagga`"
        );
        assert_eq!(
            load("", &[("GRIOT_HTTP_LISTENN", "x")]).unwrap_err(),
            "environment: there is no setting GRIOT_HTTP_LISTENN; did you mean `GRIOT_HTTP_LISTEN`?"
        );
        assert_eq!(
            load("", &[("GRIOT_X", "x")]).unwrap_err(),
            "environment: there is no setting GRIOT_X"
        );
    }

    #[test]
    fn a_value_that_cannot_work_names_its_key_and_where_it_stands() {
        assert_eq!(
            load("[rtmp]\nlisten = \"everywhere\"\n", &[]).unwrap_err(),
            "rtmp.listen (set by griot.toml): `everywhere` is no address and port, like 127.0.0.1:8000 or [::]:8000"
        );
        assert_eq!(
            load("", &[("GRIOT_LIVE_LATENCY", "none")]).unwrap_err(),
            "live.latency (set by GRIOT_LIVE_LATENCY): `none` is neither `normal` nor `low`"
        );
    }

    #[test]
    fn a_short_secret_is_refused_without_being_shown() {
        let error = load("", &[("GRIOT_SECRET_KEY", "tooshort")]).unwrap_err();
        assert!(error.contains("at least 32 characters"), "{error}");
        assert!(!error.contains("tooshort"), "{error}");
    }

    #[test]
    fn a_bucket_needs_credentials_and_never_shows_them() {
        let folder = tempfile::tempdir().unwrap();
        let folder = DataDir::open_or_create(&folder.path().join("data")).unwrap();
        let bucket = ("GRIOT_OBJECTS_URL", "s3://media/griot");
        let id = ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
        let lacking = load("", &[bucket, id]).unwrap();
        let error = lacking.objects.open_in(&folder).unwrap_err().to_string();
        assert!(error.contains("AWS_SECRET_ACCESS_KEY"), "{error}");
        let endpoint = ("GRIOT_OBJECTS_S3_ENDPOINT", "http://127.0.0.1:9000");
        let config = load(
            "",
            &[
                bucket,
                id,
                endpoint,
                ("AWS_SECRET_ACCESS_KEY", "hunter2hunter2"),
            ],
        )
        .unwrap();
        let store = config.objects.open_in(&folder).unwrap();
        assert_eq!(store.shown(), "s3://media/griot");
        let shown = format!("{config:?}");
        assert!(
            !shown.contains("hunter2") && !shown.contains("AKID"),
            "{shown}"
        );
    }

    #[test]
    fn a_file_that_is_missing_or_no_toml_is_refused() {
        let missing = Config::load(Some(Path::new("no/such/griot.toml")), std::iter::empty());
        assert!(matches!(missing, Err(ConfigError::Unreadable { .. })));
        assert!(load("[http\n", &[]).unwrap_err().contains("not valid TOML"));
    }
}
