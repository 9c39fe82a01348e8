//! Many low-latency viewers in one process: what hls.js asks for, without showing anything.
//!
//! `viewers SECONDS PLAYLIST...` follows each media playlist with a viewer of its own (repeat an address for more
//! of them): a blocking delta reload for each part to come (RFC 8216bis 6.2.5), then that part. It prints one line of
//! JSON. A part's *lateness* is the time from the moment its last picture was due, by EXT-X-PROGRAM-DATE-TIME, to
//! its last byte here; so encoder, server and viewers must share a clock.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use futures_util::future::join_all;
use griot::base::{Clock, Timestamp};
use reqwest::{Client, Url};
use tokio::time::{Instant, sleep, timeout_at};

/// A server that is this much behind is not late but gone.
const PATIENCE: Duration = Duration::from_secs(15);
/// Before a viewer asks again after an error.
const REST: Duration = Duration::from_millis(200);

#[derive(Debug, Default, serde::Serialize)]
struct Counts {
    playlists: u64,
    playlist_bytes: u64,
    parts: u64,
    bytes: u64,
    errors: u64,
    #[serde(skip)]
    lateness_ms: Vec<i64>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let seconds: f64 = arguments.next().ok_or("how many seconds?")?.parse()?;
    let playlists = arguments
        .map(|text| Url::parse(&text))
        .collect::<Result<Vec<_>, _>>()?;
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    // Viewers join within the first second, not all in step.
    let step = Duration::from_secs(1) / u32::try_from(playlists.len().max(1))?;
    let viewers = playlists
        .into_iter()
        .zip(0_u32..)
        .map(|(url, number)| async move {
            sleep(step * number).await;
            let mut viewer = Viewer::new(url);
            if timeout_at(until + PATIENCE, viewer.follow(until))
                .await
                .is_err()
            {
                viewer.counts.errors += 1;
            }
            viewer.counts
        });
    let mut sum = Counts::default();
    for counts in join_all(viewers).await {
        sum.playlists += counts.playlists;
        sum.playlist_bytes += counts.playlist_bytes;
        sum.parts += counts.parts;
        sum.bytes += counts.bytes;
        sum.errors += counts.errors;
        sum.lateness_ms.extend(counts.lateness_ms);
    }
    sum.lateness_ms.sort_unstable();
    let mut line = serde_json::to_value(&sum)?;
    for (name, per_mille) in [("p50", 500), ("p95", 950), ("p999", 999), ("max", 1_000)] {
        let last = sum.lateness_ms.len().saturating_sub(1);
        let value = sum.lateness_ms.get(last * per_mille / 1_000);
        line[format!("lateness_ms_{name}")] = value.copied().into();
    }
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}

struct Viewer {
    client: Client,
    playlist: Url,
    clock: Clock,
    counts: Counts,
    /// When the last picture of each segment was due, by media sequence number.
    ends: BTreeMap<u64, Timestamp>,
    /// Media sequence number and part of the newest part it has.
    newest: Option<(u64, u64)>,
}

/// A part that a playlist names: its URI, and when its last picture was due.
type Named = (String, Option<Timestamp>);

impl Viewer {
    fn new(playlist: Url) -> Self {
        Self {
            client: Client::new(),
            playlist,
            clock: Clock::system(),
            counts: Counts::default(),
            ends: BTreeMap::new(),
            newest: None,
        }
    }

    async fn follow(&mut self, until: Instant) {
        let mut next = None;
        while Instant::now() < until {
            let mut url = self.playlist.clone();
            if let Some((msn, part)) = next {
                url.set_query(Some(&format!(
                    "_HLS_msn={msn}&_HLS_part={part}&_HLS_skip=YES"
                )));
            }
            let Some(body) = self.get(url).await else {
                self.counts.errors += 1;
                next = None;
                sleep(REST).await;
                continue;
            };
            self.counts.playlists += 1;
            self.counts.playlist_bytes += body.len() as u64;
            let text = String::from_utf8_lossy(&body);
            let (news, following) = self.read(&text);
            for (uri, due) in news {
                self.fetch(&uri, due).await;
            }
            if text.contains("#EXT-X-ENDLIST") {
                return;
            }
            next = Some(following);
        }
    }

    async fn fetch(&mut self, uri: &str, due: Option<Timestamp>) {
        let body = match self.playlist.join(uri) {
            Ok(url) => self.get(url).await,
            Err(_) => None,
        };
        let Some(body) = body else {
            self.counts.errors += 1;
            return;
        };
        self.counts.parts += 1;
        self.counts.bytes += body.len() as u64;
        if let Some(due) = due {
            self.counts
                .lateness_ms
                .push((self.clock.now().0 - due.0) / 1_000);
        }
    }

    async fn get(&self, url: Url) -> Option<bytes::Bytes> {
        let answer = self.client.get(url).send().await.ok()?;
        answer.error_for_status().ok()?.bytes().await.ok()
    }

    /// The parts it has not seen, and the numbers of the one to come. Who joins begins with the newest.
    fn read(&mut self, text: &str) -> (Vec<Named>, (u64, u64)) {
        let (mut msn, mut part, mut news) = (0, 0, Vec::new());
        let joins = self.newest.is_none();
        let mut at: Option<Timestamp> = None;
        let mut length = 0.0;
        for line in text.lines() {
            let (tag, value) = line.split_once(':').unwrap_or((line, ""));
            match tag {
                "#EXT-X-MEDIA-SEQUENCE" => msn = value.parse().unwrap_or(0),
                "#EXT-X-SKIP" => {
                    msn += number(value, "SKIPPED-SEGMENTS=");
                    at = self.ends.get(&(msn - 1)).copied();
                }
                "#EXT-X-PROGRAM-DATE-TIME" => at = Timestamp::parse(value),
                "#EXTINF" => length = value.trim_end_matches(',').parse().unwrap_or(0.0),
                "#EXT-X-PART" => {
                    at = at.map(|at| later(at, seconds(value)));
                    if joins || self.newest.is_none_or(|newest| (msn, part) > newest) {
                        news.push((uri(value), at));
                        self.newest = Some((msn, part));
                    }
                    part += 1;
                }
                _ if !line.starts_with('#') && !line.is_empty() => {
                    // Its parts, where listed, add up to its duration.
                    if part == 0 {
                        at = at.map(|at| later(at, length));
                    }
                    if let Some(at) = at {
                        self.ends.insert(msn, at);
                    }
                    (msn, part) = (msn + 1, 0);
                }
                _ => {}
            }
        }
        if joins && news.len() > 1 {
            news.drain(..news.len() - 1);
        }
        // A delta update skips no more than what is older than six target durations.
        while self.ends.len() > 100 {
            self.ends.pop_first();
        }
        (news, (msn, part))
    }
}

fn later(at: Timestamp, seconds: f64) -> Timestamp {
    at.plus(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

fn number(attributes: &str, name: &str) -> u64 {
    let text = attributes.split(name).nth(1).unwrap_or("");
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

fn seconds(attributes: &str) -> f64 {
    let text = attributes.split("DURATION=").nth(1).unwrap_or("");
    text.split(',')
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0.0)
}

fn uri(attributes: &str) -> String {
    let text = attributes.split("URI=\"").nth(1).unwrap_or("");
    text.split('"').next().unwrap_or("").to_owned()
}
