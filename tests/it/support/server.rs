//! A griot of its own for each test.

use std::fs::File;
use std::io::Write;
use std::process::{Command, ExitStatus, Stdio};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::{Bucket, Member, Process, eventually};

const GRIOT: &str = env!("CARGO_BIN_EXE_griot");
/// Almamya (contract §7, first of Kaloum).
const ALMAMYA: &str = "11";

/// A running `griot serve` on free ports, with its data in a temporary folder.
pub(crate) struct Server {
    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub(crate) http: String,
    /// `rtmp://127.0.0.1:PORT/live`.
    pub(crate) rtmp: String,
    /// `https://127.0.0.1:PORT`, where it has a certificate.
    pub(crate) https: Option<String>,
    /// `rtmps://127.0.0.1:PORT/live`, where it has a certificate.
    pub(crate) rtmps: Option<String>,
    /// Knows no login; follows no redirect.
    pub(crate) client: reqwest::Client,
    process: Process,
    environment: Vec<(String, String)>,
    folder: TempDir,
}

impl Server {
    /// Starts with the defaults of the tests.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts with `settings` (`GRIOT_…` variables) besides the defaults of the tests.
    pub(crate) async fn start_with(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        let mut environment = vec![
            ("GRIOT_DATA_DIR".to_owned(), data.display().to_string()),
            ("GRIOT_HTTP_LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
            ("GRIOT_RTMP_LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
            ("GRIOT_HTTP_RATE_LIMITS".to_owned(), "off".to_owned()),
            // What follows a live takes a child of GStreamer each time; `recordings.rs` is about it.
            ("GRIOT_RECORDING_WEBM".to_owned(), "never".to_owned()),
            ("GRIOT_RECORDING_PICTURES".to_owned(), "off".to_owned()),
            // Children would take the CPU of tests that are about something else.
            ("GRIOT_LIVE_LADDER".to_owned(), "off".to_owned()),
        ];
        for (key, value) in settings {
            environment.retain(|(known, _)| known != key);
            environment.push(((*key).to_owned(), (*value).to_owned()));
        }
        let (process, ready) = serve(&folder, &environment).await;
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("an HTTP client");
        Self {
            http: ready.http,
            rtmp: ready.rtmp,
            https: ready.https,
            rtmps: ready.rtmps,
            client,
            process,
            environment,
            folder,
        }
    }

    /// Starts with its media in `bucket`, and `settings` besides.
    pub(crate) async fn start_on(bucket: &Bucket, settings: &[(&str, &str)]) -> Self {
        let of_bucket = bucket.settings();
        let mut all: Vec<(&str, &str)> = of_bucket
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        all.extend_from_slice(settings);
        Self::start_with(&all).await
    }

    /// Every file in the spool.
    pub(crate) fn spool(&self) -> Vec<String> {
        let spool = griot::objects::Directory::open(self.folder.path().join("data/spool"));
        let files = spool.and_then(|spool| spool.list("")).expect("a spool");
        files.into_iter().map(|file| file.path).collect()
    }

    /// The sum of a metric's rows whose labels hold `label`; 0 without any.
    pub(crate) async fn metric(&self, name: &str, label: &str) -> f64 {
        let asked = self.client.get(format!("{}/metrics", self.http));
        let text = asked.send().await.expect("an answer").text().await;
        let text = text.expect("text");
        let rows = text.lines().filter_map(|line| line.rsplit_once(' '));
        rows.filter(|(row, _)| {
            let (row, labels) = row.split_once('{').unwrap_or((row, ""));
            row == name && labels.contains(label)
        })
        .map(|(_, value)| value.parse::<f64>().expect("a number"))
        .sum()
    }

    /// Runs another `griot` command on the same data to its end; what it prints is text.
    pub(crate) fn command(&self, arguments: &[&str]) -> std::process::Output {
        Command::new(GRIOT)
            .args(arguments)
            .envs(self.environment.iter().cloned())
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .output()
            .expect("griot starts")
    }

    /// A new member of quartier Almamya, logged in.
    pub(crate) async fn member(&self, name: &str) -> Member {
        self.member_with(name, &["--quartier", ALMAMYA]).await
    }

    /// A new member without a quartier, logged in.
    pub(crate) async fn member_without_quartier(&self, name: &str) -> Member {
        self.member_with(name, &[]).await
    }

    async fn member_with(&self, name: &str, options: &[&str]) -> Member {
        let email = format!("{name}@example.org");
        let password = "une-phrase-de-passe";
        let mut arguments = vec!["user", "add", name, "--email", &email];
        arguments.extend_from_slice(options);
        arguments.push("--password-stdin");
        let answer = self.griot_with_stdin(&arguments, password);
        let id = answer["id"]
            .as_i64()
            .unwrap_or_else(|| panic!("`griot user add` printed {answer}"));
        Member::log_in(self, id, &email, password).await
    }

    /// Runs another `griot` command on the same data; returns the JSON that it prints.
    pub(crate) fn griot(&self, arguments: &[&str]) -> Value {
        self.griot_with_stdin(arguments, "")
    }

    fn griot_with_stdin(&self, arguments: &[&str], stdin: &str) -> Value {
        let mut child = Command::new(GRIOT)
            .args(arguments)
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("griot starts");
        let mut pipe = child.stdin.take().expect("stdin is piped");
        // A command that reads no stdin may be gone already.
        drop(pipe.write_all(format!("{stdin}\n").as_bytes()));
        drop(pipe);
        let output = child.wait_with_output().expect("griot ends");
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "griot {arguments:?} failed with {}:\n{stdout}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_str(&stdout).unwrap_or_else(|error| {
            panic!("griot {arguments:?} printed no JSON ({error}):\n{stdout}")
        })
    }

    /// Runs another `griot` command on the same data, whatever comes of it.
    pub(crate) fn try_griot(&self, arguments: &[&str]) -> Ended {
        let environment = self.environment.iter().cloned();
        run(Command::new(GRIOT).envs(environment), arguments)
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> std::path::PathBuf {
        let mut settings = self.environment.iter();
        let data = settings.find(|(key, _)| key == "GRIOT_DATA_DIR");
        data.expect("every test sets it").1.clone().into()
    }

    /// What the server has logged.
    pub(crate) fn log(&self) -> String {
        self.process.said()
    }

    /// Asks for an orderly stop (SIGTERM) and returns how it went.
    pub(crate) async fn terminate(&self) -> ExitStatus {
        self.stop_by(Signal::TERM).await
    }

    /// Sends a signal, and returns how the server ended.
    pub(crate) async fn stop_by(&self, signal: Signal) -> ExitStatus {
        self.process.signal(signal);
        self.process.ended().await
    }

    /// Sends a signal, and goes on.
    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Its process.
    pub(crate) fn pid(&self) -> i32 {
        self.process.pid()
    }

    /// Waits until it has ended without being asked to by us.
    pub(crate) async fn ended(&self) -> ExitStatus {
        self.process.ended().await
    }

    /// Kills it (-9), as a crash would.
    pub(crate) async fn kill(&self) {
        self.process.kill().await;
    }

    /// Starts it again on the same data and the same ports, after [`Self::terminate`] or [`Self::kill`].
    pub(crate) async fn start_again(&mut self) {
        let port = |url: &str| {
            url.split("//")
                .nth(1)
                .and_then(|rest| rest.split('/').next())
                .expect("an address in the URL")
                .to_owned()
        };
        for (key, value) in &mut self.environment {
            match key.as_str() {
                "GRIOT_HTTP_LISTEN" => *value = port(&self.http),
                "GRIOT_RTMP_LISTEN" => *value = port(&self.rtmp),
                _ => {}
            }
        }
        let (process, _) = serve(&self.folder, &self.environment).await;
        self.process = process;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(60).collect();
            eprintln!("--- the server's last words ---");
            for line in tail.iter().rev() {
                eprintln!("{line}");
            }
        }
    }
}

/// How a command went that ended by itself.
pub(crate) struct Ended {
    /// Its exit status.
    pub(crate) status: ExitStatus,
    /// What it printed.
    pub(crate) stdout: String,
    /// What it said.
    pub(crate) stderr: String,
}

impl Ended {
    /// The same, when it ended with 0.
    #[track_caller]
    pub(crate) fn expect_success(self) -> Self {
        let said = format!("{}{}", self.stdout, self.stderr);
        assert!(self.status.success(), "{}:\n{said}", self.status);
        self
    }
}

/// Starts a `griot worker` with a data folder of its own; returns when it works.
pub(crate) async fn worker(folder: &TempDir, settings: &[(&str, &str)]) -> Process {
    let mut command = Command::new(GRIOT);
    command
        .arg("worker")
        .env("GRIOT_DATA_DIR", folder.path().join("data"))
        .envs(settings.iter().copied())
        .current_dir(folder.path());
    let process = Process::start("griot worker", &mut command);
    eventually("griot worker is ready", || async {
        assert!(process.runs(), "{}", process.said());
        let ready = process.said().contains("griot worker ready\n");
        ready.then_some(()).ok_or(process.said())
    })
    .await;
    process
}

/// Runs a `griot` command on its own, with its data in `folder`.
pub(crate) fn griot(arguments: &[&str], folder: &TempDir, settings: &[(&str, &str)]) -> Ended {
    let mut command = Command::new(GRIOT);
    command
        .env("GRIOT_DATA_DIR", folder.path().join("data"))
        .envs(settings.iter().copied());
    run(&mut command, arguments)
}

fn run(command: &mut Command, arguments: &[&str]) -> Ended {
    let output = command
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("griot starts");
    Ended {
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Starts a server that cannot start; returns how it ended and what it said.
pub(crate) async fn serve_in_vain(settings: &[(&str, &str)]) -> (ExitStatus, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let process = Process::start(
        "griot serve",
        Command::new(GRIOT)
            .arg("serve")
            .env("GRIOT_DATA_DIR", folder.path().join("data"))
            .env("GRIOT_HTTP_LISTEN", "127.0.0.1:0")
            .env("GRIOT_RTMP_LISTEN", "127.0.0.1:0")
            .envs(settings.iter().copied())
            .current_dir(folder.path()),
    );
    (process.ended().await, process.said())
}

/// What the ready line says.
struct Ready {
    http: String,
    rtmp: String,
    https: Option<String>,
    rtmps: Option<String>,
}

/// Starts `griot serve` and waits for its line.
async fn serve(folder: &TempDir, environment: &[(String, String)]) -> (Process, Ready) {
    let line = folder.path().join("ready");
    let stdout = File::create(&line).expect("a file for stdout");
    let process = Process::start_with_stdout(
        "griot serve",
        Command::new(GRIOT)
            .arg("serve")
            .envs(environment.iter().cloned())
            .current_dir(folder.path()),
        Some(stdout.into()),
    );
    let ready = eventually("griot serve is ready", || async {
        let printed = std::fs::read_to_string(&line).unwrap_or_default();
        assert!(
            process.runs(),
            "griot serve ended before it was ready:\n{printed}{}",
            process.said()
        );
        ready_line(&printed).ok_or(printed)
    })
    .await;
    (process, ready)
}

/// `griot ready http=URL rtmp=URL`, perhaps with `https=URL rtmps=URL`, once the whole line is there.
fn ready_line(printed: &str) -> Option<Ready> {
    let (line, _) = printed.split_once('\n')?;
    let value = |name: &str| {
        line.split_whitespace()
            .find_map(|word| word.strip_prefix(name))
            .map(|url| url.trim_end_matches('/').to_owned())
    };
    assert!(
        line.starts_with("griot ready "),
        "serve printed an unknown line: {line}"
    );
    Some(Ready {
        http: value("http=")?,
        rtmp: value("rtmp=")?,
        https: value("https="),
        rtmps: value("rtmps="),
    })
}
