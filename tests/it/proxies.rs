//! griot behind the proxies of `deploy/`, nearly as the samples stand: ports, names and certificates are the test's.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    Authority, Process, Server, clip, curl, eventually, ffmpeg_publish_for_ever, tool,
};

fn sample(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// `text` with each first replaced by its second, which must be there.
fn changed(mut text: String, changes: &[(&str, &str)]) -> String {
    for (from, to) in changes {
        assert!(text.contains(from), "the sample says {from}");
        text = text.replace(from, to);
    }
    text
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// A running proxy, and where it answers.
struct Proxy {
    url: String,
    process: Process,
    _folder: TempDir,
}

impl Proxy {
    fn nginx(server: &Server, authority: &Authority) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name).display().to_string();
        let (port, plain) = (free_port(), free_port());
        let site = changed(
            sample("nginx.conf"),
            &[
                ("listen 80;", &format!("listen 127.0.0.1:{plain};")),
                (
                    "listen 443 ssl http2;",
                    &format!("listen 127.0.0.1:{port} ssl http2;"),
                ),
                (
                    "server 127.0.0.1:8000;",
                    &format!("server {};", host(server)),
                ),
                (
                    "/etc/letsencrypt/live/live.example.org/fullchain.pem",
                    &authority.cert_file().display().to_string(),
                ),
                (
                    "/etc/letsencrypt/live/live.example.org/privkey.pem",
                    &authority.key_file().display().to_string(),
                ),
            ],
        );
        let mut whole = format!(
            "daemon off;\nmaster_process off;\npid {};\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n",
            at("pid")
        );
        for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            whole += &format!("{kind}_temp_path {};\n", at(kind));
        }
        whole += &format!("{site}}}\n");
        let path = folder.path().join("nginx.conf");
        fs::write(&path, whole).expect("a file");
        let process = Process::start(
            "nginx",
            Command::new("nginx")
                .arg("-p")
                .arg(folder.path())
                .arg("-c")
                .arg(path),
        );
        Self {
            url: format!("https://127.0.0.1:{port}"),
            process,
            _folder: folder,
        }
    }

    fn caddy(server: &Server, authority: &Authority) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let (cert, key) = (authority.cert_file(), authority.key_file());
        let site = changed(
            sample("Caddyfile"),
            &[
                (
                    "\nlive.example.org {\n",
                    &format!(
                        "\n{{\n\tadmin off\n\tauto_https off\n}}\n\nhttps://127.0.0.1:{port} {{\n\ttls {} {}\n",
                        cert.display(),
                        key.display()
                    ),
                ),
                (
                    "reverse_proxy 127.0.0.1:8000",
                    &format!("reverse_proxy {}", host(server)),
                ),
            ],
        );
        let path: PathBuf = folder.path().join("Caddyfile");
        fs::write(&path, site).expect("a file");
        let process = Process::start(
            "caddy",
            Command::new("caddy")
                .args(["run", "--adapter", "caddyfile", "--config"])
                .arg(path)
                .env("HOME", folder.path()),
        );
        Self {
            url: format!("https://127.0.0.1:{port}"),
            process,
            _folder: folder,
        }
    }

    async fn answers(&self, authority: &Authority) {
        let ca = authority.ca_file().display().to_string();
        let url = format!("{}/api/health/", self.url);
        eventually("the proxy answers", || async {
            assert!(self.process.runs(), "{}", self.process.said());
            let said = Process::run(Command::new("curl").args(["-sS", "--cacert", &ca, &url]));
            if said.contains("\"ok\"") {
                Ok(())
            } else {
                Err(format!("{said}\n{}", self.process.said()))
            }
        })
        .await;
    }
}

fn host(server: &Server) -> &str {
    server.http.split("//").nth(1).expect("an address")
}

/// A live through `make`'s proxy: addresses, blocked reloads, parts, ranges, viewers, and no metrics.
async fn carries_a_live(make: fn(&Server, &Authority) -> Proxy) {
    let server = Server::start_with(&[("GRIOT_HTTP_TRUSTED_PROXIES", "127.0.0.1")]).await;
    let authority = Authority::new();
    let proxy = make(&server, &authority);
    proxy.answers(&authority).await;
    let ca = authority.ca_file();
    let owner = server.member("aissatou").await;
    let live = owner.start_live("Derrière un mandataire").await;
    let _encoder = ffmpeg_publish_for_ever(&clip(), &live.rtmp_url);
    owner.view_when(live.id, "live").await;

    let view = || -> Value {
        let url = format!("{}/api/posts/live/{}/", proxy.url, live.id);
        serde_json::from_slice(&curl(&ca, &["--http2"], &url).body).expect("JSON")
    };
    let playlist = view()["hls_url"].as_str().expect("an address").to_owned();
    assert!(
        playlist.starts_with(&format!("{}/live/", proxy.url)),
        "the viewer's own way: {playlist}"
    );
    let media = playlist.replace("/index.m3u8", "/source/index.m3u8");
    let (folder, _) = media.rsplit_once('/').expect("a folder");

    // Each reload is held until there is something new, and passed on at once.
    let mut before = curl(&ca, &["--http2"], &format!("{media}?_HLS_msn=0")).text();
    for _ in 0..5 {
        let hint = before
            .lines()
            .find_map(|line| line.strip_prefix("#EXT-X-PRELOAD-HINT:"))
            .and_then(|line| line.split("URI=\"").nth(1)?.split('"').next())
            .expect("a live hints at its next part")
            .to_owned();
        let name = hint
            .rsplit_once('/')
            .map_or(hint.as_str(), |(_, name)| name);
        let mut numbers = name.split('.');
        let mut number = || numbers.next().expect("segment.part.m4s");
        let (msn, part) = (number(), number());
        let reload = format!("{media}?_HLS_msn={msn}&_HLS_part={part}");
        let next = curl(&ca, &["--http2"], &reload);
        assert!(next.head.starts_with("http/2 200"), "{}", next.head);
        assert_ne!(next.text(), before);
        // A cut may overtake the hint (design §4a).
        let hinted = curl(&ca, &["--http2"], &format!("{folder}/{hint}"));
        assert!(
            hinted.head.starts_with("http/2 404") || &hinted.body[4..8] == b"moof",
            "{}",
            hinted.head
        );
        before = next.text();
    }
    let part = before
        .lines()
        .find_map(|line| line.strip_prefix("#EXT-X-PART:"))
        .and_then(|line| line.split("URI=\"").nth(1)?.split('"').next())
        .expect("a part");
    let range = curl(&ca, &["--http2", "-r", "4-7"], &format!("{folder}/{part}"));
    assert!(range.head.starts_with("http/2 206"), "{}", range.head);
    assert_eq!(range.body, b"moof");

    // Two phones behind one proxy are two viewers.
    for phone in ["127.0.0.2", "127.0.0.3"] {
        let options = ["--http2", "--interface", phone, "-A", "phone"];
        curl(&ca, &options, &media);
    }
    eventually("both phones are counted", || async {
        let view = view();
        // The reloads above came from a third address.
        if view["viewers"] == 3 {
            Ok(())
        } else {
            Err(view)
        }
    })
    .await;

    let metrics = curl(&ca, &["--http2"], &format!("{}/metrics", proxy.url));
    assert!(metrics.head.starts_with("http/2 404"), "{}", metrics.head);
}

#[tokio::test]
async fn nginx_as_in_the_sample_carries_a_live() {
    carries_a_live(Proxy::nginx).await;
}

#[tokio::test]
async fn caddy_as_in_the_sample_carries_a_live() {
    carries_a_live(Proxy::caddy).await;
}

#[test]
fn the_unit_is_one_that_systemd_takes() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("griot.service");
    let unit = changed(
        sample("griot.service"),
        &[(
            "ExecStart=/usr/local/bin/griot",
            concat!("ExecStart=", env!("CARGO_BIN_EXE_griot")),
        )],
    );
    fs::write(&path, unit).expect("a file");
    let path = path.display().to_string();

    let said = Process::run(Command::new("systemd-analyze").args(["verify", &path]));

    // Warnings are about other units than ours, where there are any.
    assert!(!said.contains("griot.service"), "{said}");
    tool("systemd-analyze", &["verify", &path], None);
}
