//! `griot doctor`: is this machine ready, and if not, what is to be done?

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use tokio::time::Instant;

use super::output;
use crate::app::{Config, ConfigError, DataDir, DatabaseUrl, SecretKey};
use crate::base::{Clock, Timestamp, random_hex};
use crate::live::{self, LadderWish};
use crate::objects::ObjectError;
use crate::pipeline::Missing;
use crate::store::{self, Store};
use crate::tls;

const GIB: u64 = 1 << 30;
/// Below this a live is soon cut short.
const FREE_BYTES_MIN: u64 = GIB;
/// An evening of lives: 10 GiB are some four hours at 6 Mbit/s.
const FREE_BYTES_GOOD: u64 = 10 * GIB;
/// Bytes that an hour of 6 Mbit/s takes.
const HOUR_OF_LIVE_BYTES: u64 = 6_000_000 / 8 * 3_600;
/// Every viewer and every encoder is an open file.
const OPEN_FILES_GOOD: u64 = 4_096;
/// One is paid for each segment of each live.
const FSYNC_GOOD: Duration = Duration::from_millis(100);
/// 2026-01-01T00:00:00Z: griot is younger than that, so a clock before it is wrong.
const YOUNGEST_CLOCK: Timestamp = Timestamp(1_767_225_600_000_000);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Ok,
    /// It works, but not for long or not for many.
    Warn,
    /// `griot serve` will not start or not work.
    Fail,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    level: Level,
    subject: &'static str,
    /// What is so, and for warnings and failures what to do.
    text: String,
}

impl Finding {
    fn ok(subject: &'static str, text: impl Into<String>) -> Self {
        Self::new(Level::Ok, subject, text)
    }

    fn warn(subject: &'static str, text: impl Into<String>) -> Self {
        Self::new(Level::Warn, subject, text)
    }

    fn fail(subject: &'static str, text: impl Into<String>) -> Self {
        Self::new(Level::Fail, subject, text)
    }

    fn new(level: Level, subject: &'static str, text: impl Into<String>) -> Self {
        Self {
            level,
            subject,
            text: text.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Fail => "fail",
        };
        write!(f, "{level:<5} {:<12} {}", self.subject, self.text)
    }
}

/// The report when the settings themselves cannot be read.
pub(super) fn refused_settings(error: &ConfigError) -> ExitCode {
    report(&[Finding::fail("settings", error.to_string())])
}

pub(super) async fn doctor(config: &Config) -> anyhow::Result<ExitCode> {
    let mut findings = vec![Finding::ok("settings", "understood")];
    let now = Clock::system().now();
    findings.push(clock(now));
    findings.push(open_files(getrlimit(Resource::Nofile).maximum));
    let mut running = None;
    match DataDir::open_or_create(&config.data_dir) {
        Ok(folder) => {
            running = folder.note_of_server();
            findings.push(disk_writable(folder.path()));
            findings.extend(gstreamer(config, &folder).await);
            findings.push(ladder(config, &folder).await);
            findings.push(disk_free(folder.path()));
            findings.push(secret(config, &folder));
            findings.push(database(config, &folder).await);
            findings.push(objects(config, &folder).await);
        }
        Err(error) => findings.push(Finding::fail("data folder", format!("{error:#}"))),
    }
    for (subject, key, address) in [
        (
            "http port",
            "http.listen (GRIOT_HTTP_LISTEN)",
            Some(config.http.listen),
        ),
        (
            "https port",
            "https.listen (GRIOT_HTTPS_LISTEN)",
            config.https.listen,
        ),
        (
            "rtmp port",
            "rtmp.listen (GRIOT_RTMP_LISTEN)",
            Some(config.rtmp.listen),
        ),
        (
            "rtmps port",
            "rtmps.listen (GRIOT_RTMPS_LISTEN)",
            config.rtmps.listen,
        ),
    ] {
        let Some(address) = address else { continue };
        findings.push(match &running {
            Some(line) => Finding::ok(subject, format!("in use by a running server: {line}")),
            None => port(subject, key, address),
        });
    }
    if config.https.listen.or(config.rtmps.listen).is_some() {
        findings.push(certificate(config.tls.files()).await);
    }
    Ok(report(&findings))
}

fn report(findings: &[Finding]) -> ExitCode {
    for finding in findings {
        output::line(&finding.to_string());
    }
    if findings.iter().any(|finding| finding.level == Level::Fail) {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

async fn certificate(files: Option<tls::Files>) -> Finding {
    let subject = "certificate";
    let keys = "tls.cert (GRIOT_TLS_CERT) and tls.key (GRIOT_TLS_KEY)";
    let Some(files) = files else {
        return Finding::fail(subject, format!("https and rtmps need one; set {keys}"));
    };
    match tls::Certificate::load(files).await {
        Ok(_) => Finding::ok(subject, "certificate and key belong together"),
        Err(error) => Finding::fail(subject, format!("{error}; change {keys}")),
    }
}

/// What uploads of videos need; lives do without.
async fn gstreamer(config: &Config, folder: &DataDir) -> Vec<Finding> {
    let subject = "gstreamer";
    let missing = match config.pipeline.host_in(folder).missing().await {
        Ok(missing) if missing.is_empty() => {
            return vec![Finding::ok(
                subject,
                "every element is there, and children can be locked up",
            )];
        }
        Ok(missing) => missing,
        Err(error) => {
            let text = format!("videos cannot be uploaded ({error}); lives and pictures can");
            return vec![Finding::warn(subject, text)];
        }
    };
    let (needed, optional): (Vec<Missing>, Vec<Missing>) =
        missing.into_iter().partition(|missing| missing.is_needed);
    let mut findings = Vec::new();
    if !needed.is_empty() {
        let text = format!("videos cannot be uploaded; {}", Missing::sentence(&needed));
        findings.push(Finding::warn(subject, text));
    }
    if !optional.is_empty() {
        let text = format!("some codecs are missing; {}", Missing::sentence(&optional));
        findings.push(Finding::warn(subject, text));
    }
    findings
}

/// Whether lives get smaller renditions here.
async fn ladder(config: &Config, folder: &DataDir) -> Finding {
    let subject = "ladder";
    if config.live.ladder == LadderWish::Off {
        return Finding::ok(subject, "off: lives have the encoder's own rendition alone");
    }
    let missing = config.pipeline.host_in(folder).missing().await;
    let lacks = missing.map_or(true, |missing| {
        missing.iter().any(|missing| missing.is_needed)
    });
    if lacks {
        let text = "lives get no smaller renditions: GStreamer is not whole, see above";
        return Finding::warn(subject, text);
    }
    let fits = live::ladders_that_fit(&config.live);
    let of = "of 1080p lives at 30 pictures a second";
    if config.live.ladder == LadderWish::Auto && fits < 1.0 {
        let text = format!(
            "this machine has no room for all smaller renditions {of}: the largest are left out; \
             live.ladder (GRIOT_LIVE_LADDER) = \"on\" makes them all, and sheds some while it must"
        );
        return Finding::warn(subject, text);
    }
    Finding::ok(
        subject,
        format!("room for all smaller renditions {of}: {fits:.0}"),
    )
}

fn clock(now: Timestamp) -> Finding {
    if now < YOUNGEST_CLOCK {
        return Finding::fail(
            "clock",
            format!(
                "says {now}, which is past; set it (timedatectl set-ntp true): log-ins and playlists carry it"
            ),
        );
    }
    Finding::ok("clock", format!("says {now}"))
}

fn open_files(hard_limit: Option<u64>) -> Finding {
    match hard_limit {
        Some(limit) if limit < OPEN_FILES_GOOD => Finding::warn(
            "open files",
            format!(
                "at most {limit}, each viewer is one; raise it (systemd: LimitNOFILE=65536, shell: ulimit -Hn 65536)"
            ),
        ),
        Some(limit) => Finding::ok("open files", format!("at most {limit}")),
        None => Finding::ok("open files", "no limit"),
    }
}

fn disk_writable(folder: &Path) -> Finding {
    let path = folder.join(format!("doctor.{}", random_hex::<8>()));
    let started = Instant::now();
    let written = File::create(&path)
        .and_then(|mut file| file.write_all(&[0; 4_096]).and_then(|()| file.sync_all()));
    let took = started.elapsed();
    let removed = std::fs::remove_file(&path);
    let shown = folder.display();
    match written.and(removed) {
        Err(error) => Finding::fail(
            "data folder",
            format!(
                "{shown} cannot be written ({error}); change its owner, or data_dir (GRIOT_DATA_DIR)"
            ),
        ),
        Ok(()) if took > FSYNC_GOOD => Finding::warn(
            "data folder",
            format!(
                "{shown} takes {} ms to make 4 KiB durable; a faster disk carries more lives",
                took.as_millis()
            ),
        ),
        Ok(()) => Finding::ok(
            "data folder",
            format!(
                "{shown} is writable, 4 KiB durable in {:.1} ms",
                took.as_secs_f64() * 1e3
            ),
        ),
    }
}

fn disk_free(folder: &Path) -> Finding {
    match rustix::fs::statvfs(folder) {
        Ok(disk) => free_bytes(disk.f_bavail.saturating_mul(disk.f_frsize)),
        Err(error) => Finding::fail("disk", format!("its free space cannot be read: {error}")),
    }
}

fn free_bytes(bytes: u64) -> Finding {
    let text = format!(
        "{} GiB free, room for some {} hours at 6 Mbit/s",
        bytes / GIB,
        bytes / HOUR_OF_LIVE_BYTES
    );
    let remedy = "free some, or move data_dir (GRIOT_DATA_DIR)";
    match bytes {
        ..FREE_BYTES_MIN => Finding::fail("disk", format!("{text}; {remedy}")),
        FREE_BYTES_MIN..FREE_BYTES_GOOD => Finding::warn("disk", format!("{text}; {remedy}")),
        _ => Finding::ok("disk", text),
    }
}

fn secret(config: &Config, folder: &DataDir) -> Finding {
    if config.secret_key.is_some() {
        return Finding::ok("secret", "set by secret_key");
    }
    let kept = SecretKey::of(folder);
    match kept.kept() {
        Ok(None) => Finding::ok("secret", "made at the first start"),
        Ok(Some(others_read)) => match kept.read() {
            Err(error) => Finding::fail("secret", format!("{error:#}")),
            Ok(_) if others_read => Finding::warn(
                "secret",
                "secret.key can be read by other users of this machine; chmod 600 it",
            ),
            Ok(_) => Finding::ok("secret", "kept in the data folder"),
        },
        Err(error) => Finding::fail("secret", format!("secret.key cannot be looked at: {error}")),
    }
}

async fn database(config: &Config, folder: &DataDir) -> Finding {
    let file = match &config.database.url {
        None => Some(folder.join("griot.db")),
        Some(DatabaseUrl::Sqlite(path)) => Some(path.clone()),
        Some(DatabaseUrl::Postgres(_)) => None,
    };
    if file.is_some_and(|file| !file.exists()) {
        return Finding::ok("database", "made at the first start");
    }
    let mut migrations = 0_usize;
    let store_config = store::Config {
        url: config.database.url_in(folder),
    };
    let opened = Store::open_telling(&store_config, &mut |_| migrations += 1).await;
    match opened {
        Ok(store) => {
            store.close().await;
            Finding::ok("database", format!("opens ({migrations} migrations ran)"))
        }
        Err(error) => Finding::fail(
            "database",
            format!("{error}; change database.url (GRIOT_DATABASE_URL), or restore a backup"),
        ),
    }
}

/// Writes, reads and deletes a small object.
async fn objects(config: &Config, folder: &DataDir) -> Finding {
    let store = match config.objects.open_in(folder) {
        Ok(store) => store,
        Err(error) => return Finding::fail("objects", format!("{error:#}")),
    };
    let shown = store.shown();
    let (step, error) = match store.probe(&random_hex::<8>()).await {
        Ok(()) => return Finding::ok("objects", format!("{shown} can be written and read")),
        Err(failed) => failed,
    };
    let remedy = match &error {
        ObjectError::Refused(_) if store.s3().is_some() => {
            "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, objects.url (GRIOT_OBJECTS_URL) and \
             objects.s3_region (GRIOT_OBJECTS_S3_REGION); lives go on, and wait in the spool"
        }
        _ if store.s3().is_some() => {
            "check objects.s3_endpoint (GRIOT_OBJECTS_S3_ENDPOINT) and the network; lives go on, and wait in \
             the spool"
        }
        _ => "change its owner, or objects.url (GRIOT_OBJECTS_URL)",
    };
    Finding::fail("objects", format!("{shown}, to {step}: {error}; {remedy}"))
}

fn port(subject: &'static str, key: &str, address: SocketAddr) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => {
            let reach = if address.ip().is_loopback() {
                "for this machine only"
            } else {
                "for the network"
            };
            Finding::ok(subject, format!("{address} is free, {reach}"))
        }
        Err(error) => Finding::fail(
            subject,
            format!("{address} cannot be taken ({error}); end what holds it, or change {key}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_stands_before_griot_was_made_fails() {
        assert_eq!(clock(Timestamp(0)).level, Level::Fail);
        assert_eq!(clock(YOUNGEST_CLOCK).level, Level::Ok);
        assert_eq!(YOUNGEST_CLOCK.to_string(), "2026-01-01T00:00:00.000000Z");
    }

    #[test]
    fn little_disk_warns_and_hardly_any_fails() {
        assert_eq!(free_bytes(GIB - 1).level, Level::Fail);
        assert_eq!(free_bytes(GIB).level, Level::Warn);
        assert_eq!(free_bytes(100 * GIB).level, Level::Ok);
        // 6 Mbit/s are 2.7 GB an hour; 27 GB are ten of them.
        assert!(free_bytes(27_000_000_000).text.contains("10 hours"));
    }

    #[test]
    fn a_taken_port_fails_and_names_the_key() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let finding = port("http port", "http.listen", taken.local_addr().unwrap());
        assert_eq!(finding.level, Level::Fail);
        assert!(finding.text.contains("http.listen"));
    }

    #[test]
    fn a_low_limit_of_open_files_warns() {
        assert_eq!(open_files(Some(1_024)).level, Level::Warn);
        assert_eq!(open_files(Some(65_536)).level, Level::Ok);
        assert_eq!(open_files(None).level, Level::Ok);
    }

    #[test]
    fn a_folder_that_is_gone_fails() {
        let scratch = tempfile::tempdir().unwrap();
        assert_eq!(disk_writable(scratch.path()).level, Level::Ok);
        assert_eq!(
            std::fs::read_dir(scratch.path()).unwrap().count(),
            0,
            "nothing is left behind"
        );
        assert_eq!(disk_writable(&scratch.path().join("no")).level, Level::Fail);
    }
}
