//! Peers that mean harm, or only speak nonsense, at the real sockets of the real server.
//!
//! Each group runs its probes side by side against one server. After each group the process lives, has not grown,
//! is quiet, and takes a fresh publish that is watched: [`Victim::is_well`].

mod crowd;
mod http;
mod http2;
mod peer;
mod rtmp;

use std::time::Duration;

use crate::support::{Authority, Player, Server, clip, eventually, ffmpeg_publish_for_ever};

/// What a server may grow by under attack, kilobytes (issue 4).
const GROWTH_MAX_KB: u64 = 32 << 10;
/// How long a server is watched for being quiet, and what it may use of a processor meanwhile, hundredths of a second:
/// 2 % of a core (issue 4).
const WATCHED: Duration = Duration::from_secs(4);
const QUIET_TICKS: u64 = 8;

/// A server under attack.
struct Victim {
    server: Server,
    authority: Authority,
    http: String,
    https: String,
    rtmp: String,
    rtmps: String,
    rss_before_kb: u64,
}

impl Victim {
    /// A server that has already carried a live: what it needs once, it has.
    async fn new(settings: &[(&str, &str)]) -> Self {
        let authority = Authority::new();
        let mut all = authority.settings();
        all.extend(
            settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let all: Vec<(&str, &str)> = all
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let server = Server::start_with(&all).await;
        let address = |url: &str| {
            let rest = url.split("//").nth(1).expect("an address");
            rest.split('/').next().expect("an address").to_owned()
        };
        let mut victim = Self {
            http: address(&server.http),
            https: address(server.https.as_deref().expect("it listens")),
            rtmp: address(&server.rtmp),
            rtmps: address(server.rtmps.as_deref().expect("it listens")),
            server,
            authority,
            rss_before_kb: 0,
        };
        victim.serves("warm").await;
        victim.rss_before_kb = victim.rss_kb();
        victim
    }

    fn status(&self, file: &str) -> String {
        let path = format!("/proc/{}/{file}", self.server.pid());
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Resident memory.
    fn rss_kb(&self) -> u64 {
        let status = self.status("status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
            .expect("VmRSS in kB")
    }

    /// Processor time until now, hundredths of a second (proc(5), fields 14 and 15).
    fn ticks(&self) -> u64 {
        let stat = self.status("stat");
        let (_, fields) = stat.rsplit_once(')').expect("the name in brackets");
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let number = |at: usize| fields[at].parse::<u64>().expect("a number");
        number(11) + number(12)
    }

    /// A new member publishes, a viewer plays, the owner stops.
    async fn serves(&self, name: &str) {
        let owner = self.server.member(name).await;
        let live = owner.start_live(name).await;
        let encoder = ffmpeg_publish_for_ever(&clip(), &live.rtmp_url);
        let player = Player::open(&self.server, &live.hls_url).await;
        player.until_seconds(1.0).await;
        assert!(encoder.runs(), "{}", encoder.said());
        owner.stop(live.id).await.expect(200);
    }

    /// Waits until it has next to nothing to do.
    async fn is_quiet(&self, after: &str) {
        eventually(&format!("the server is quiet after {after}"), || async {
            let before = self.ticks();
            // A window to measure in, not a wait for something.
            tokio::time::sleep(WATCHED).await;
            let used = self.ticks() - before;
            if used <= QUIET_TICKS {
                Ok(())
            } else {
                Err(format!("{used} ticks in {WATCHED:?}"))
            }
        })
        .await;
    }

    /// What must be true after everything that was done to it.
    async fn is_well(&self, after: &str) {
        self.is_quiet(after).await;
        self.serves("fresh").await;
        // The allocator gives back what was freed when it is next asked for as much, as by a password's hash.
        eventually(
            &format!("the memory is given back after {after}"),
            || async {
                let url = format!("{}/api/users/login/", self.server.http);
                let nobody =
                    serde_json::json!({ "email": "nobody@example.org", "password": "12345678" });
                let login = self.server.client.post(url).json(&nobody);
                login.send().await.expect("the server answers");
                let grown = self.rss_kb().saturating_sub(self.rss_before_kb);
                if grown <= GROWTH_MAX_KB {
                    eprintln!(
                        "{after}: grown by {grown} kB from {} kB",
                        self.rss_before_kb
                    );
                    Ok(())
                } else {
                    Err(format!("grown by {grown} kB"))
                }
            },
        )
        .await;
        let log = self.server.log();
        assert!(!log.contains("panicked"), "something panicked:\n{log}");
    }
}
