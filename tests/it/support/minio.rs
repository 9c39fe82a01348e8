//! An S3 server: MinIO, which `script/test` builds into the user's cache, or the one that `S3_ENDPOINT` names.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use griot::base::Secret;
use griot::objects::{Objects, S3, S3Config};
use rustix::process::Signal;
use tempfile::TempDir;

use super::{Authority, Process, eventually};

const USER: &str = "griot-tests";
const PASSWORD: &str = "a-secret-of-the-tests";

/// A bucket of its own on a server.
pub(crate) struct Bucket {
    /// `http://127.0.0.1:PORT`.
    pub(crate) endpoint: String,
    /// Its name.
    pub(crate) name: String,
    /// What every key begins with; empty, or without a slash at its end.
    pub(crate) prefix: String,
}

impl Bucket {
    /// A new one on the server that all tests of this binary share.
    #[expect(clippy::disallowed_methods, reason = "the tests' own settings")]
    pub(crate) async fn new() -> Self {
        match std::env::var("S3_ENDPOINT") {
            Ok(endpoint) => Self::elsewhere(endpoint),
            Err(_) => Self::on(shared().await),
        }
    }

    /// On a server that `script/soak-objects` has started, whose keys are ours.
    fn elsewhere(endpoint: String) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("test-{}-{made}", std::process::id());
        let status = Command::new("curl")
            .args(["--silent", "--show-error", "--fail", "-X", "PUT"])
            .args(["--aws-sigv4", "aws:amz:us-east-1:s3", "--user"])
            .arg(format!("{USER}:{PASSWORD}"))
            .arg(format!("{endpoint}/{name}"))
            .status();
        assert!(status.expect("curl").success(), "no bucket at {endpoint}");
        Self {
            endpoint,
            name,
            prefix: "griot".to_owned(),
        }
    }

    fn on(server: &Folder) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("test-{}", MADE.fetch_add(1, Ordering::Relaxed));
        // A folder on MinIO's disk is a bucket.
        std::fs::create_dir(server.path.join(&name)).expect("a bucket of this name is new");
        Self {
            endpoint: server.endpoint(),
            name,
            prefix: "griot".to_owned(),
        }
    }

    /// A client of it, below the prefix.
    pub(crate) fn store(&self) -> Objects {
        Objects::S3(S3::new(&S3Config {
            bucket: self.name.clone(),
            prefix: self.prefix.clone(),
            endpoint: Some(self.endpoint.clone()),
            region: "us-east-1".to_owned(),
            path_style: true,
            access_key_id: Secret::new(USER),
            secret_access_key: Secret::new(PASSWORD),
        }))
    }

    /// The settings of a server that keeps its media there.
    pub(crate) fn settings(&self) -> Vec<(String, String)> {
        let url = format!("s3://{}/{}", self.name, self.prefix);
        [
            ("GRIOT_OBJECTS_URL", url.as_str()),
            ("GRIOT_OBJECTS_S3_ENDPOINT", &self.endpoint),
            ("AWS_ACCESS_KEY_ID", USER),
            ("AWS_SECRET_ACCESS_KEY", PASSWORD),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }
}

/// Where a server keeps its files, and its port.
struct Folder {
    path: PathBuf,
    port: u16,
    /// With `public.crt` and `private.key`: it speaks HTTPS.
    certificates: Option<PathBuf>,
}

impl Folder {
    fn endpoint(&self) -> String {
        let scheme = match self.certificates {
            None => "http",
            Some(_) => "https",
        };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// Whether it answers `GET /minio/health/ready` with 200; over HTTPS, whether it listens.
    fn is_ready(&self) -> bool {
        if self.certificates.is_some() {
            return TcpStream::connect(("127.0.0.1", self.port)).is_ok();
        }
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            stream.write_all(
                b"GET /minio/health/ready HTTP/1.1\r\nHost: minio\r\nConnection: close\r\n\r\n",
            )?;
            let mut answer = [0; 12];
            stream.read_exact(&mut answer)?;
            Ok(String::from_utf8_lossy(&answer).into_owned())
        };
        ask().is_ok_and(|answer| answer.ends_with(" 200"))
    }
}

/// A server of its own, which can be stopped, frozen and started again on its port.
pub(crate) struct Minio {
    folder: Folder,
    process: Option<Process>,
    _scratch: TempDir,
}

impl Minio {
    pub(crate) async fn start() -> Self {
        Self::start_with(None).await
    }

    /// One that speaks HTTPS with a certificate of `authority`.
    pub(crate) async fn start_secure(authority: &Authority) -> Self {
        Self::start_with(Some(authority)).await
    }

    async fn start_with(authority: Option<&Authority>) -> Self {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let certificates = authority.map(|authority| {
            let folder = scratch.path().join("certificates");
            std::fs::create_dir(&folder).expect("a folder");
            for (from, to) in [
                (authority.cert_file(), "public.crt"),
                (authority.key_file(), "private.key"),
            ] {
                std::fs::copy(from, folder.join(to)).expect("a file");
            }
            folder
        });
        let folder = Folder {
            path: scratch.path().join("disk"),
            port: free_port(),
            certificates,
        };
        std::fs::create_dir(&folder.path).expect("a folder");
        let mut minio = Self {
            folder,
            process: None,
            _scratch: scratch,
        };
        minio.start_again().await;
        minio
    }

    /// A new bucket on it.
    pub(crate) fn bucket(&self) -> Bucket {
        Bucket::on(&self.folder)
    }

    /// Kills it: nothing listens on its port.
    pub(crate) async fn stop(&mut self) {
        let process = self.process.take().expect("it runs");
        process.kill().await;
    }

    /// Starts it on the same port and files.
    pub(crate) async fn start_again(&mut self) {
        let process = Process::start("minio", &mut command(&self.folder));
        eventually("MinIO is ready", || async {
            assert!(process.runs(), "MinIO has ended:\n{}", process.said());
            self.folder.is_ready().then_some(()).ok_or(process.said())
        })
        .await;
        self.process = Some(process);
    }

    /// A black hole: the kernel takes connections and bytes, nobody answers.
    pub(crate) fn freeze(&self) {
        self.process.as_ref().expect("it runs").signal(Signal::STOP);
    }

    /// Ends [`Self::freeze`].
    pub(crate) fn thaw(&self) {
        self.process.as_ref().expect("it runs").signal(Signal::CONT);
    }
}

/// The one server of this test binary. Statics are never dropped: a shell waits for the end of our pipe, then
/// kills the server and removes its files.
async fn shared() -> &'static Folder {
    struct Shared {
        folder: Folder,
        _ends_with_us: Child,
    }
    static SHARED: OnceLock<Shared> = OnceLock::new();
    let shared = SHARED.get_or_init(|| {
        let scratch = tempfile::tempdir().expect("a temporary folder").keep();
        let folder = Folder {
            path: scratch.join("disk"),
            port: free_port(),
            certificates: None,
        };
        std::fs::create_dir(&folder.path).expect("a folder");
        let server = command(&folder);
        let child = Command::new("sh")
            .arg("-c")
            .arg("folder=$1; shift; \"$@\" >/dev/null 2>&1 </dev/null & read -r _; kill -9 $!; wait; rm -rf \"$folder\"")
            .arg("sh")
            .arg(&scratch)
            .arg(server.get_program())
            .args(server.get_args())
            .envs(server.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        Shared {
            folder,
            _ends_with_us: child,
        }
    });
    eventually("MinIO is ready", || async {
        shared
            .folder
            .is_ready()
            .then_some(())
            .ok_or("it does not answer")
    })
    .await;
    &shared.folder
}

fn command(folder: &Folder) -> Command {
    let mut command = Command::new(binary());
    command
        .arg("server")
        .args(["--quiet", "--address"])
        .arg(format!("127.0.0.1:{}", folder.port))
        .arg(&folder.path)
        .env("MINIO_ROOT_USER", USER)
        .env("MINIO_ROOT_PASSWORD", PASSWORD)
        .env("MINIO_UPDATE", "off")
        .env("MINIO_BROWSER", "off");
    if let Some(certificates) = &folder.certificates {
        command.arg("--certs-dir").arg(certificates);
    }
    command
}

/// Where `script/lib/minio.sh` puts it.
fn binary() -> PathBuf {
    let folder = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let cache = folder("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| folder("HOME").map(|home| Path::new(&home).join(".cache")))
        .expect("a home");
    let binary = cache.join("griot/bin/minio");
    assert!(
        binary.exists(),
        "there is no {}: script/test builds it",
        binary.display()
    );
    binary
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}
