//! The table of settings: name, default, and how a text becomes the value.

use std::path::PathBuf;

use super::{Config, values};

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// `table.key` in the file, or `key` above the first table.
    pub name: &'static str,
    /// The default as the file would write it; empty where it follows from other settings.
    pub default: &'static str,
    apply: fn(&mut Config, &str) -> Result<(), String>,
}

impl Key {
    /// Its environment variable: `GRIOT_` + table + key.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("GRIOT_{}", self.name.replace('.', "_").to_uppercase())
    }

    /// Reads `text` into its place; an empty text is the default.
    pub(super) fn apply(&self, config: &mut Config, text: &str) -> Result<(), String> {
        let text = text.trim();
        let text = if text.is_empty() { self.default } else { text };
        (self.apply)(config, text)
    }
}

/// Every setting, in the sample's order.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    KEYS.iter()
}

const KEYS: &[Key] = &[
    Key {
        name: "data_dir",
        default: "./data",
        apply: |config, text| {
            config.data_dir = PathBuf::from(text);
            Ok(())
        },
    },
    Key {
        name: "log",
        default: "info",
        apply: |config, text| {
            config.log = values::log_filter(text)?;
            Ok(())
        },
    },
    Key {
        name: "secret_key",
        default: "",
        apply: |config, text| {
            config.secret_key = values::optional(text, values::secret)?;
            Ok(())
        },
    },
    Key {
        name: "http.listen",
        default: "127.0.0.1:8000",
        apply: |config, text| {
            config.http.listen = values::address(text)?;
            Ok(())
        },
    },
    Key {
        name: "http.public_url",
        default: "",
        apply: |config, text| {
            config.http.public_url =
                values::optional(text, |text| values::url(text, &["http://", "https://"]))?;
            Ok(())
        },
    },
    Key {
        name: "http.rate_limits",
        default: "on",
        apply: |config, text| {
            config.http.rate_limits = values::switch(text)?;
            Ok(())
        },
    },
    Key {
        name: "http.trusted_proxies",
        default: "",
        apply: |config, text| {
            config.http.trusted_proxies = values::networks(text)?;
            Ok(())
        },
    },
    Key {
        name: "http.metrics",
        default: "local",
        apply: |config, text| {
            config.http.metrics = values::metrics_to(text)?;
            Ok(())
        },
    },
    Key {
        name: "http.max_connections",
        default: "16384",
        apply: |config, text| {
            config.http.max_connections = values::connections(text)?;
            Ok(())
        },
    },
    Key {
        name: "http.max_connections_per_address",
        default: "4096",
        apply: |config, text| {
            config.http.max_connections_per_address = values::connections(text)?;
            Ok(())
        },
    },
    Key {
        name: "https.listen",
        default: "",
        apply: |config, text| {
            config.https.listen = values::optional(text, values::address)?;
            Ok(())
        },
    },
    Key {
        name: "rtmp.listen",
        default: "127.0.0.1:1935",
        apply: |config, text| {
            config.rtmp.listen = values::address(text)?;
            Ok(())
        },
    },
    Key {
        name: "rtmp.public_url",
        default: "",
        apply: |config, text| {
            config.rtmp.public_url =
                values::optional(text, |text| values::url(text, &["rtmp://", "rtmps://"]))?;
            Ok(())
        },
    },
    Key {
        name: "rtmp.max_connections",
        default: "2000",
        apply: |config, text| {
            config.rtmp.max_connections = values::connections(text)?;
            Ok(())
        },
    },
    Key {
        name: "rtmp.max_connections_per_address",
        default: "64",
        apply: |config, text| {
            config.rtmp.max_connections_per_address = values::connections(text)?;
            Ok(())
        },
    },
    Key {
        name: "rtmps.listen",
        default: "",
        apply: |config, text| {
            config.rtmps.listen = values::optional(text, values::address)?;
            Ok(())
        },
    },
    Key {
        name: "rtmps.public_url",
        default: "",
        apply: |config, text| {
            config.rtmps.public_url =
                values::optional(text, |text| values::url(text, &["rtmps://"]))?;
            Ok(())
        },
    },
    Key {
        name: "tls.cert",
        default: "",
        apply: |config, text| {
            config.tls.cert = values::optional(text, values::path)?;
            Ok(())
        },
    },
    Key {
        name: "tls.key",
        default: "",
        apply: |config, text| {
            config.tls.key = values::optional(text, values::path)?;
            Ok(())
        },
    },
    Key {
        name: "database.url",
        default: "",
        apply: |config, text| {
            config.database.url = values::optional(text, str::parse)?;
            Ok(())
        },
    },
    Key {
        name: "objects.url",
        default: "",
        apply: |config, text| {
            config.objects.url = values::optional(text, str::parse)?;
            Ok(())
        },
    },
    Key {
        name: "objects.s3_endpoint",
        default: "",
        apply: |config, text| {
            config.objects.s3_endpoint =
                values::optional(text, |text| values::url(text, &["http://", "https://"]))?;
            Ok(())
        },
    },
    Key {
        name: "objects.s3_region",
        default: "us-east-1",
        apply: |config, text| {
            config.objects.s3_region = values::region(text)?;
            Ok(())
        },
    },
    Key {
        name: "objects.s3_path_style",
        default: "",
        apply: |config, text| {
            config.objects.s3_path_style = values::optional(text, values::switch)?;
            Ok(())
        },
    },
    Key {
        name: "objects.s3_redirect",
        default: "off",
        apply: |config, text| {
            config.objects.s3_redirect = values::switch(text)?;
            Ok(())
        },
    },
    Key {
        name: "live.reconnect_grace",
        default: "120s",
        apply: |config, text| {
            config.live.reconnect_grace = values::grace(text)?;
            Ok(())
        },
    },
    Key {
        name: "live.goodbye_grace",
        default: "30s",
        apply: |config, text| {
            config.live.goodbye_grace = values::grace(text)?;
            Ok(())
        },
    },
    Key {
        name: "live.start_on_publish",
        default: "on",
        apply: |config, text| {
            config.live.start_on_publish = values::switch(text)?;
            Ok(())
        },
    },
    Key {
        name: "live.latency",
        default: "normal",
        apply: |config, text| {
            config.live.latency = values::latency(text)?;
            Ok(())
        },
    },
    Key {
        name: "live.spool_reserve",
        default: "1GiB",
        apply: |config, text| {
            config.live.spool_reserve_bytes = values::byte_size(text)?;
            Ok(())
        },
    },
    Key {
        name: "live.ladder",
        default: "auto",
        apply: |config, text| {
            config.live.ladder = values::ladder(text)?;
            Ok(())
        },
    },
    Key {
        name: "live.ladder_file",
        default: "",
        apply: |config, text| {
            config.live.ladder_table =
                values::optional(text, values::ladder_table)?.unwrap_or_default();
            Ok(())
        },
    },
    Key {
        name: "live.ladder_roles",
        default: "user,ambassador,admin",
        apply: |config, text| {
            config.live.ladder_roles = values::roles(text)?;
            Ok(())
        },
    },
    Key {
        name: "uploads.max_image",
        default: "10MiB",
        apply: |config, text| {
            config.uploads.max_image_bytes = values::byte_size(text)?;
            Ok(())
        },
    },
    Key {
        name: "uploads.max_video",
        default: "50MiB",
        apply: |config, text| {
            config.uploads.max_video_bytes = values::byte_size(text)?;
            Ok(())
        },
    },
    Key {
        name: "uploads.max_video_duration",
        default: "60s",
        apply: |config, text| {
            config.uploads.max_video_duration = values::duration(text)?;
            Ok(())
        },
    },
    Key {
        name: "uploads.tus_max",
        default: "2GiB",
        apply: |config, text| {
            config.uploads.tus_max_bytes = values::byte_size(text)?;
            Ok(())
        },
    },
    Key {
        name: "uploads.tus_max_image",
        default: "50MiB",
        apply: |config, text| {
            config.uploads.tus_max_image_bytes = values::byte_size(text)?;
            Ok(())
        },
    },
    Key {
        name: "uploads.tus_max_video_duration",
        default: "4h",
        apply: |config, text| {
            config.uploads.tus_max_video_duration = values::duration(text)?;
            Ok(())
        },
    },
    Key {
        name: "uploads.quota",
        default: "20GiB",
        apply: |config, text| {
            config.uploads.quota_bytes = values::byte_size(text)?;
            Ok(())
        },
    },
    Key {
        name: "uploads.open_per_member",
        default: "20",
        apply: |config, text| {
            config.uploads.open_per_member = values::count(text)?;
            Ok(())
        },
    },
    Key {
        name: "uploads.expire_after",
        default: "24h",
        apply: |config, text| {
            config.uploads.expire_after = values::duration(text)?;
            Ok(())
        },
    },
    Key {
        name: "uploads.spool_reserve",
        default: "2GiB",
        apply: |config, text| {
            config.uploads.spool_reserve_bytes = values::byte_size(text)?;
            Ok(())
        },
    },
    Key {
        name: "media.max_pixels",
        default: "50000000",
        apply: |config, text| {
            config.media.max_pixels = values::count(text)?;
            Ok(())
        },
    },
    Key {
        name: "media.matroska",
        default: "off",
        apply: |config, text| {
            config.media.matroska = values::switch(text)?;
            Ok(())
        },
    },
    Key {
        name: "recording.rungs",
        default: "keep",
        apply: |config, text| {
            config.live.keep_rungs = values::rungs(text)?;
            Ok(())
        },
    },
    Key {
        name: "recording.webm",
        default: "always",
        apply: |config, text| {
            config.recording.webm = values::webm(text)?;
            Ok(())
        },
    },
    Key {
        name: "recording.webm_longest",
        default: "1h",
        apply: |config, text| {
            config.recording.webm_longest = values::duration(text)?;
            Ok(())
        },
    },
    Key {
        name: "recording.webm_short_side",
        default: "720",
        apply: |config, text| {
            config.recording.webm_short_side = values::side(text)?;
            Ok(())
        },
    },
    Key {
        name: "recording.pictures",
        default: "on",
        apply: |config, text| {
            config.recording.pictures = values::switch(text)?;
            Ok(())
        },
    },
    Key {
        name: "pipeline.readers",
        default: "4",
        apply: |config, text| {
            config.pipeline.readers = values::children(text)?;
            Ok(())
        },
    },
    Key {
        name: "pipeline.transcodes",
        default: "1",
        apply: |config, text| {
            config.pipeline.transcodes = values::children(text)?;
            Ok(())
        },
    },
    Key {
        name: "jobs.workers",
        default: "2",
        apply: |config, text| {
            config.jobs.workers = values::workers(text)?;
            Ok(())
        },
    },
    Key {
        name: "jobs.lease",
        default: "30s",
        apply: |config, text| {
            config.jobs = config.jobs.clone().with_lease(values::lease(text)?);
            Ok(())
        },
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_default_text_gives_the_default_value() {
        for key in keys() {
            let mut config = Config::default();
            key.apply(&mut config, "").unwrap();
            assert_eq!(config, Config::default(), "{}", key.name);
        }
    }

    // From the table of variables that other people's scripts are written against.
    #[test]
    fn variables_are_named_after_table_and_key() {
        let variables: Vec<String> = keys().map(Key::variable).collect();
        for expected in [
            "GRIOT_DATA_DIR",
            "GRIOT_HTTP_LISTEN",
            "GRIOT_HTTP_PUBLIC_URL",
            "GRIOT_HTTP_RATE_LIMITS",
            "GRIOT_HTTP_TRUSTED_PROXIES",
            "GRIOT_HTTP_METRICS",
            "GRIOT_HTTPS_LISTEN",
            "GRIOT_RTMP_LISTEN",
            "GRIOT_RTMP_PUBLIC_URL",
            "GRIOT_RTMPS_LISTEN",
            "GRIOT_TLS_CERT",
            "GRIOT_TLS_KEY",
            "GRIOT_DATABASE_URL",
            "GRIOT_OBJECTS_URL",
            "GRIOT_OBJECTS_S3_ENDPOINT",
            "GRIOT_OBJECTS_S3_REGION",
            "GRIOT_OBJECTS_S3_PATH_STYLE",
            "GRIOT_OBJECTS_S3_REDIRECT",
            "GRIOT_LIVE_RECONNECT_GRACE",
            "GRIOT_LIVE_GOODBYE_GRACE",
            "GRIOT_LIVE_START_ON_PUBLISH",
            "GRIOT_LIVE_LATENCY",
            "GRIOT_LIVE_SPOOL_RESERVE",
            "GRIOT_LIVE_LADDER",
            "GRIOT_LIVE_LADDER_FILE",
            "GRIOT_LIVE_LADDER_ROLES",
            "GRIOT_RECORDING_RUNGS",
            "GRIOT_RECORDING_WEBM",
            "GRIOT_JOBS_WORKERS",
            "GRIOT_PIPELINE_READERS",
            "GRIOT_PIPELINE_TRANSCODES",
            "GRIOT_JOBS_LEASE",
            "GRIOT_SECRET_KEY",
            "GRIOT_LOG",
        ] {
            assert!(variables.iter().any(|name| name == expected), "{expected}");
        }
    }
}
