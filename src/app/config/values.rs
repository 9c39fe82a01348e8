//! How the text of a setting becomes its value. An `Err` is a sentence for whoever wrote the text.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::base::Secret;
use crate::http::{MetricsTo, Network, NotANetwork};
use crate::live::{LadderWish, Latency};
use crate::objects::ObjectKey;
use crate::pipeline::Ladder;
use crate::recording::Webm;
use crate::store::Role;

/// Below this a key can be guessed: 32 characters are 128 bits when they are hexadecimal.
const SECRET_CHARACTERS_MIN: usize = 32;
/// Longer, and a forgotten live would look alive for hours.
const GRACE_MAX: Duration = Duration::from_secs(3_600);
const WORKERS_MAX: usize = 256;
const LEASE_MIN: Duration = Duration::from_secs(1);

/// Where rows are kept.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// `sqlite:PATH`: one file beside us.
    Sqlite(PathBuf),
    /// `postgres://…`, credentials included.
    Postgres(Secret),
}

/// Never shows the credentials.
impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(_) => f.write_str("postgres://***"),
        }
    }
}

impl FromStr for DatabaseUrl {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            return Ok(Self::Sqlite(file_path(path)?));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(Secret::new(text)));
        }
        // Not repeated: what was meant for a database may hold a password.
        Err("it must begin with sqlite: or postgres://, like sqlite:./data/griot.db".to_owned())
    }
}

/// Where finished media lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectsUrl {
    /// `file:PATH`: a folder.
    Folder(PathBuf),
    /// `s3://BUCKET/PREFIX`: what lies below a prefix of a bucket.
    Bucket {
        /// Its name.
        bucket: String,
        /// Without a slash at either end; may be empty.
        prefix: String,
    },
}

impl FromStr for ObjectsUrl {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("file:") {
            return file_path(path).map(Self::Folder);
        }
        if let Some(rest) = text.strip_prefix("s3://") {
            return bucket(rest);
        }
        Err(format!(
            "`{text}` must begin with file: or s3://, like file:./data/objects or s3://bucket/griot"
        ))
    }
}

/// `BUCKET` or `BUCKET/PREFIX`. A bucket's name is 3 to 63 small letters, digits, dots and hyphens ("Amazon S3
/// User Guide", Bucket naming rules); of a prefix the same signs as griot's own keys are taken.
fn bucket(text: &str) -> Result<ObjectsUrl, String> {
    let (bucket, prefix) = text.split_once('/').unwrap_or((text, ""));
    let small =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
    if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(small) {
        return Err(format!(
            "`{bucket}` is no name of a bucket; write s3://bucket or s3://bucket/prefix"
        ));
    }
    let prefix = prefix.trim_end_matches('/');
    if !prefix.is_empty() && ObjectKey::parse(prefix).is_none() {
        return Err(format!(
            "`{prefix}` cannot begin keys; use letters, digits, dots, hyphens and single slashes"
        ));
    }
    Ok(ObjectsUrl::Bucket {
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
    })
}

/// A value of the file as the environment would write it.
pub(super) fn text_of(value: &toml::Value) -> Result<String, String> {
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Boolean(true) => Ok("on".to_owned()),
        toml::Value::Boolean(false) => Ok("off".to_owned()),
        toml::Value::Array(items) => {
            let texts: Result<Vec<String>, String> = items.iter().map(text_of).collect();
            Ok(texts?.join(","))
        }
        other => Err(format!(
            "write the value in quotes, not as a bare {}",
            other.type_str()
        )),
    }
}

pub(super) fn optional<T>(
    text: &str,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    read(text).map(Some)
}

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is no address and port, like 127.0.0.1:8000 or [::]:8000"))
}

/// A URL with one of `schemes`, a host and perhaps a path; the slash at the end is cut.
pub(super) fn url(text: &str, schemes: &[&str]) -> Result<String, String> {
    let rest = schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
    let host = rest.map(|rest| rest.split('/').next().unwrap_or_default());
    let strange = |c: char| c.is_whitespace() || c.is_control() || "?#@\"<>\\".contains(c);
    match host {
        Some(host) if !host.is_empty() && !host.starts_with(':') && !text.contains(strange) => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err(format!(
            "`{text}` is no address that begins with {} and names a host",
            schemes.join(" or ")
        )),
    }
}

pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" | "true" => Ok(true),
        "off" | "false" => Ok(false),
        _ => Err(format!("`{text}` is neither `on` nor `off`")),
    }
}

/// Addresses and blocks, separated by commas.
pub(super) fn networks(text: &str) -> Result<Vec<Network>, String> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(|item| item.parse().map_err(|error: NotANetwork| error.to_string()))
        .collect()
}

/// Who may read the metrics.
pub(super) fn metrics_to(text: &str) -> Result<MetricsTo, String> {
    match text {
        "local" => Ok(MetricsTo::Local),
        "open" => Ok(MetricsTo::Open),
        "off" => Ok(MetricsTo::Off),
        _ => Err(format!("`{text}` is neither `local`, `open` nor `off`")),
    }
}

/// At least one connection.
pub(super) fn connections(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(connections) if connections > 0 => Ok(connections),
        _ => Err(format!("`{text}` is no number of connections, like 1000")),
    }
}

/// Jobs at a time; 0 is none.
/// Children at a time: a processor each, at least one.
pub(super) fn children(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(children @ 1..=64) => Ok(children),
        _ => Err(format!("`{text}` is no number of children from 1 to 64")),
    }
}

pub(super) fn workers(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(workers) if workers <= WORKERS_MAX => Ok(workers),
        _ => Err(format!(
            "`{text}` is no number of jobs from 0 to {WORKERS_MAX}"
        )),
    }
}

/// How long a worker may say nothing; it speaks six times in that time.
pub(super) fn lease(text: &str) -> Result<Duration, String> {
    let lease = duration(text)?;
    if !(LEASE_MIN..=GRACE_MAX).contains(&lease) {
        return Err(format!("`{text}` is not between 1s and 1h"));
    }
    Ok(lease)
}

/// A path; whether something is there is seen when it is read.
pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    Ok(PathBuf::from(text))
}

/// How long the parts of a live are.
pub(super) fn latency(text: &str) -> Result<Latency, String> {
    match text {
        "normal" => Ok(Latency::Normal),
        "low" => Ok(Latency::Low),
        _ => Err(format!("`{text}` is neither `normal` nor `low`")),
    }
}

pub(super) fn webm(text: &str) -> Result<Webm, String> {
    match text {
        "always" => Ok(Webm::Always),
        "on-demand" => Ok(Webm::OnDemand),
        "never" => Ok(Webm::Never),
        _ => Err(format!(
            "`{text}` is none of `always`, `on-demand` and `never`"
        )),
    }
}

/// Pixels of a side of a picture.
pub(super) fn side(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(side @ 16..=4_096) => Ok(side),
        _ => Err(format!("`{text}` is no number of pixels from 16 to 4096")),
    }
}

/// Whether lives get a ladder.
pub(super) fn ladder(text: &str) -> Result<LadderWish, String> {
    match text {
        "auto" => Ok(LadderWish::Auto),
        "on" | "true" => Ok(LadderWish::On),
        "off" | "false" => Ok(LadderWish::Off),
        _ => Err(format!("`{text}` is neither `auto`, `on` nor `off`")),
    }
}

/// The table of rungs in a file: read now, so that a bad one fails the start and no live.
pub(super) fn ladder_table(text: &str) -> Result<Ladder, String> {
    let table = std::fs::read_to_string(text).map_err(|error| format!("`{text}`: {error}"))?;
    Ladder::parse(&table).map_err(|wrong| format!("`{text}`: {wrong}"))
}

/// Roles of members, separated by commas.
pub(super) fn roles(text: &str) -> Result<Vec<Role>, String> {
    let role = |text: &str| match text {
        "user" => Ok(Role::User),
        "ambassador" => Ok(Role::Ambassador),
        "admin" => Ok(Role::Admin),
        _ => Err(format!(
            "`{text}` is neither `user`, `ambassador` nor `admin`"
        )),
    };
    text.split(',').map(str::trim).map(role).collect()
}

/// What becomes of a live's rungs when it has ended.
pub(super) fn rungs(text: &str) -> Result<bool, String> {
    match text {
        "keep" => Ok(true),
        "drop" => Ok(false),
        _ => Err(format!("`{text}` is neither `keep` nor `drop`")),
    }
}

pub(super) fn secret(text: &str) -> Result<Secret, String> {
    if text.chars().count() < SECRET_CHARACTERS_MIN {
        return Err(format!(
            "it needs at least {SECRET_CHARACTERS_MIN} characters; leave it out and griot makes one"
        ));
    }
    Ok(Secret::new(text))
}

pub(super) fn log_filter(text: &str) -> Result<String, String> {
    tracing_subscriber::EnvFilter::builder()
        .parse(text)
        .map(|_| text.to_owned())
        .map_err(|error| format!("`{text}` is no log filter like `info,griot=debug`: {error}"))
}

pub(super) fn grace(text: &str) -> Result<Duration, String> {
    let grace = duration(text)?;
    if grace > GRACE_MAX {
        return Err(format!("`{text}` is more than one hour"));
    }
    Ok(grace)
}

/// A whole number of things, at least one.
pub(super) fn count(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err(format!("`{text}` is no number of at least 1")),
    }
}

/// A number of bytes: `0`, `512MiB`, `1GiB`.
pub(super) fn byte_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no size, like 512MiB or 1GiB");
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let shift = match unit {
        "" if number == 0 => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return Err(wrong()),
    };
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

/// A region's name, as signatures carry it.
pub(super) fn region(text: &str) -> Result<String, String> {
    let sound = !text.is_empty()
        && text.len() <= 64
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if sound {
        return Ok(text.to_owned());
    }
    Err(format!("`{text}` is no region, like us-east-1"))
}

/// `500ms`, `120s`, `2m`, `1h`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration, like 500ms, 120s, 2m or 1h");
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(milliseconds)
        .map(Duration::from_millis)
        .ok_or_else(wrong)
}

fn file_path(text: &str) -> Result<PathBuf, String> {
    // `sqlite:///srv/x` and `file:///srv/x` are the same file as `sqlite:/srv/x`.
    let path = text.strip_prefix("//").unwrap_or(text);
    if path.is_empty() || path.contains('?') {
        return Err(
            "a path must follow, like sqlite:./data/griot.db or file:./data/objects".to_owned(),
        );
    }
    Ok(PathBuf::from(path))
}

/// The candidate that `text` was probably meant to be: at most a third of it differs.
pub(super) fn nearest(text: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    candidates
        .map(|candidate| (edits(text, &candidate), candidate))
        .min_by_key(|(edits, _)| *edits)
        .filter(|(edits, candidate)| edits * 3 <= candidate.len())
        .map(|(_, candidate)| candidate)
}

pub(super) fn suggestion(nearest: Option<&str>) -> String {
    nearest
        .map(|nearest| format!("; did you mean `{nearest}`?"))
        .unwrap_or_default()
}

/// Levenshtein's distance in bytes.
fn edits(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.bytes().enumerate() {
            let substituted = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit_and_at_most_an_hour() {
        assert_eq!(grace("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(grace("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(grace("1h"), Ok(Duration::from_secs(3_600)));
        for wrong in [
            "120",
            "s",
            "-1s",
            "1.5s",
            "2 m",
            "99999999999999999999s",
            "61m",
        ] {
            assert!(grace(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_public_url_has_scheme_and_host_and_no_slash_at_the_end() {
        let http = |text| url(text, &["http://", "https://"]);
        assert_eq!(
            http("https://live.example.org/").as_deref(),
            Ok("https://live.example.org")
        );
        for wrong in [
            "live.example.org",
            "https://",
            "http://:8000",
            "rtmp://h",
            "http://a b",
            "http://u:p@h",
        ] {
            assert!(http(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn networks_are_separated_by_commas() {
        let two = ["10.0.0.1".parse().unwrap(), "10.1.0.0/16".parse().unwrap()];
        assert_eq!(networks(" 10.0.0.1, 10.1.0.0/16,"), Ok(two.to_vec()));
        assert!(networks("10.0.0.1 10.0.0.2").is_err());
    }

    #[test]
    fn a_database_url_never_shows_its_password() {
        let url: DatabaseUrl = "postgres://griot:hunter2@db/griot".parse().unwrap();
        assert_eq!(format!("{url:?}"), "postgres://***");
        let error = "mysql://griot:hunter2@db"
            .parse::<DatabaseUrl>()
            .unwrap_err();
        assert!(!error.contains("hunter2"));
    }

    #[test]
    fn files_may_be_written_with_or_without_slashes() {
        let sqlite = |path: &str| Ok(DatabaseUrl::Sqlite(PathBuf::from(path)));
        assert_eq!("sqlite:///srv/griot.db".parse(), sqlite("/srv/griot.db"));
        assert_eq!("sqlite:griot.db".parse(), sqlite("griot.db"));
        assert!("file:".parse::<ObjectsUrl>().is_err());
    }

    #[test]
    fn a_bucket_may_have_a_prefix() {
        let bucket = |prefix: &str| {
            Ok(ObjectsUrl::Bucket {
                bucket: "media.example-1".to_owned(),
                prefix: prefix.to_owned(),
            })
        };
        assert_eq!("s3://media.example-1".parse(), bucket(""));
        assert_eq!("s3://media.example-1/".parse(), bucket(""));
        assert_eq!("s3://media.example-1/a/b/".parse(), bucket("a/b"));
        for wrong in [
            "s3://",
            "s3://Media",
            "s3://me",
            "s3://media//x",
            "s3://media/../x",
            "s3://media/a b",
            "minio://media",
        ] {
            assert!(wrong.parse::<ObjectsUrl>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_need_a_unit() {
        assert_eq!(byte_size("0"), Ok(0));
        assert_eq!(byte_size("512MiB"), Ok(536_870_912));
        assert_eq!(byte_size("1GiB"), Ok(1_073_741_824));
        for wrong in ["1", "GiB", "1GB", "1 GiB", "-1GiB", "99999999999TiB"] {
            assert!(byte_size(wrong).is_err(), "{wrong}");
        }
    }

    // kitten → sitting is the textbook's distance of 3.
    #[test]
    fn edits_are_counted_as_levenshtein_did() {
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("same", "same"), 0);
    }
}
