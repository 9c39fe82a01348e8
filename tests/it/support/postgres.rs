//! PostgreSQL for real: clusters of Debian's server in a temporary folder, on a port of their own.
//!
//! [`Postgres::shared`] is one cluster for all tests of this binary, which take a database each; a test that
//! stops its server starts one for itself. A shell watches over the server: when this process ends, however it
//! ends, the shell's stdin closes, and the server and its folder go.

use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::{eventually, tool};

/// Not a secret; but one that no log may show.
pub(crate) const PASSWORD: &str = "mot-de-passe-de-la-base";

/// `$1` the folder of programs, `$2` of the cluster, `$3` the port; ends with its stdin, and takes a cluster that is
/// marked so along.
const WATCH: &str = r#"
"$1/postgres" -D "$2/data" -p "$3" -c listen_addresses=127.0.0.1 -c unix_socket_directories="$2" \
    -c max_connections=300 -c fsync=off -c shared_buffers=16MB >>"$2/log" 2>&1 </dev/null &
server=$!
cat >/dev/null
kill -INT "$server" 2>/dev/null
wait "$server"
[ ! -e "$2/sweep" ] || rm -rf "$2"
"#;

/// A cluster, and the server on it while it runs.
pub(crate) struct Postgres {
    port: u16,
    folder: PathBuf,
    programs: PathBuf,
    account: Option<(u32, u32)>,
    running: Mutex<Option<(Child, ChildStdin)>>,
    databases: AtomicU32,
    // The last field: removed when the server is gone. The shared cluster's goes by its shell.
    scratch: Option<TempDir>,
}

static SHARED: OnceCell<Postgres> = OnceCell::const_new();

impl Postgres {
    /// The cluster that all tests of this binary share.
    pub(crate) async fn shared() -> &'static Self {
        SHARED
            .get_or_init(|| async {
                let mut cluster = Self::start().await;
                // A static is never dropped: the watching shell ends the server, and takes the folder along.
                let scratch = cluster.scratch.take().map(TempDir::keep);
                let scratch = scratch.expect("a new cluster has its folder");
                std::fs::write(scratch.join("sweep"), "").expect("room");
                cluster
            })
            .await
    }

    /// A cluster of one's own.
    pub(crate) async fn start() -> Self {
        let programs = programs();
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let account = rustix::process::getuid().is_root().then(server_account);
        if let Some((user, group)) = account {
            // PostgreSQL refuses to run as root.
            chown(scratch.path(), Some(user), Some(group)).expect("root may");
            std::fs::set_permissions(scratch.path(), PermissionsExt::from_mode(0o755))
                .expect("root may");
        }
        let cluster = Self {
            port: free_port(),
            folder: scratch.path().to_owned(),
            programs,
            account,
            running: Mutex::new(None),
            databases: AtomicU32::new(0),
            scratch: Some(scratch),
        };
        let password = cluster.folder.join("password");
        std::fs::write(&password, PASSWORD).expect("room");
        std::fs::set_permissions(&password, PermissionsExt::from_mode(0o644)).expect("ours");
        let mut initdb = cluster.as_server(&cluster.programs.join("initdb"));
        initdb
            .arg("-D")
            .arg(cluster.folder.join("data"))
            .args(["-U", "griot", "-A", "scram-sha-256", "--no-sync"])
            .args(["-E", "UTF8", "--locale", "C.UTF-8"])
            .arg(format!("--pwfile={}", password.display()));
        let made = initdb.output().expect("initdb starts");
        assert!(
            made.status.success(),
            "initdb failed:\n{}",
            String::from_utf8_lossy(&made.stderr)
        );
        cluster.start_again().await;
        cluster
    }

    /// The address of a fresh database.
    pub(crate) fn database(&self) -> String {
        let name = format!("griot_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("create database {name}"));
        self.url(&name)
    }

    /// The address of a database, there or not.
    pub(crate) fn url(&self, database: &str) -> String {
        format!(
            "postgres://griot:{PASSWORD}@127.0.0.1:{}/{database}",
            self.port
        )
    }

    /// Runs SQL; answers rows as lines, columns parted by `|`.
    pub(crate) fn sql(&self, database: &str, sql: &str) -> String {
        let url = self.url(database);
        let said = tool(
            "psql",
            &["-X", "-q", "-A", "-t", "-d", &url, "-c", sql],
            None,
        );
        String::from_utf8(said).expect("psql speaks UTF-8")
    }

    /// Ends the server, without waiting for its clients; its data stay.
    pub(crate) async fn stop(&self) {
        let running = self.running.lock().expect("no test panics here").take();
        let (mut watch, stdin) = running.expect("it runs");
        drop(stdin);
        tokio::task::spawn_blocking(move || watch.wait().expect("a child can be waited for"))
            .await
            .expect("waiting does not panic");
    }

    /// Starts it on the same data and port; returns when it answers.
    pub(crate) async fn start_again(&self) {
        let mut watch = self
            .as_server(Path::new("sh"))
            .args(["-c", WATCH, "watch"])
            .arg(&self.programs)
            .arg(&self.folder)
            .arg(self.port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh starts");
        let stdin = watch.stdin.take().expect("stdin is piped");
        *self.running.lock().expect("no test panics here") = Some((watch, stdin));
        eventually("PostgreSQL answers", || async {
            let asked = Command::new("psql")
                .args(["-X", "-q", "-d", &self.url("postgres"), "-c", "select 1"])
                .output()
                .expect("psql starts");
            if asked.status.success() {
                return Ok(());
            }
            Err(std::fs::read_to_string(self.folder.join("log")).unwrap_or_default())
        })
        .await;
    }

    /// A command under the account that may run the server.
    fn as_server(&self, program: &Path) -> Command {
        let Some((user, group)) = self.account else {
            return Command::new(program);
        };
        let mut command = Command::new("setpriv");
        command
            .arg(format!("--reuid={user}"))
            .arg(format!("--regid={group}"))
            .arg("--clear-groups")
            .arg(program)
            .current_dir(&self.folder);
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let running = self.running.get_mut().expect("no test panics here").take();
        if let Some((mut watch, stdin)) = running {
            drop(stdin);
            watch.wait().ok();
        }
    }
}

/// The newest of Debian's servers; on other systems what the PATH has.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let newest = versions
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").exists())
        .max();
    let on_path = || {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).find(|bin| bin.join("initdb").exists())
    };
    newest
        .or_else(on_path)
        .expect("PostgreSQL's server is needed: apt-get install postgresql")
}

/// User and group of an account that is not root: Debian's `postgres`, else `nobody`.
fn server_account() -> (u32, u32) {
    let accounts = std::fs::read_to_string("/etc/passwd").expect("there are accounts");
    let ids = |name: &str| {
        let line = accounts
            .lines()
            .find(|line| line.split(':').next() == Some(name))?;
        let mut ids = line.split(':').skip(2);
        Some((ids.next()?.parse().ok()?, ids.next()?.parse().ok()?))
    };
    ids("postgres")
        .or_else(|| ids("nobody"))
        .expect("an account for the database server")
}

fn free_port() -> u16 {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    taken.local_addr().expect("an address").port()
}
