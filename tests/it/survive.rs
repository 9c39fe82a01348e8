//! kill -9, and power that goes: what viewers saw is in the recording, and the live goes on.
//!
//! `KILL_SEED=N` repeats a run that was printed; `KILL_MOMENTS=N` makes it a long one (`script/soak --kill N`).

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use sqlx::{Connection, SqliteConnection};

use crate::support::{
    Bucket, Follower, KeptPart, Live, Member, Player, Playlist, Process, Server, clip,
    decode_errors, eventually, ffmpeg_publish_for_ever, heavy_clip,
};

/// Where finished media lie while griot is killed.
#[derive(Clone, Copy, Debug)]
enum Storage {
    Directory,
    /// MinIO.
    Bucket,
}

impl Storage {
    /// What is published: into a bucket enough for uploads in several parts.
    fn clip(self) -> PathBuf {
        match self {
            Self::Directory => clip(),
            Self::Bucket => heavy_clip(),
        }
    }

    async fn server(self) -> (Server, Option<Bucket>) {
        match self {
            Self::Directory => (Server::start().await, None),
            Self::Bucket => {
                let bucket = Bucket::new().await;
                (Server::start_on(&bucket, &[]).await, Some(bucket))
            }
        }
    }
}

/// A live that is published and followed.
struct OnAir {
    server: Server,
    storage: Storage,
    bucket: Option<Bucket>,
    owner: Member,
    live: Live,
    encoder: Process,
    player: Player,
    follower: Follower,
}

impl OnAir {
    async fn begin(storage: Storage) -> Self {
        let (server, bucket) = storage.server().await;
        let owner = server.member("aissatou").await;
        let live = owner.start_live("Jusqu'au bout").await;
        let encoder = ffmpeg_publish_for_ever(&storage.clip(), &live.rtmp_url);
        let player = Player::open(&server, &live.hls_url).await;
        let follower = Follower::of(player.clone());
        Self {
            server,
            storage,
            bucket,
            owner,
            live,
            encoder,
            player,
            follower,
        }
    }

    /// After the server has gone: starts it again on its data and ports; answers its first playlist.
    async fn restart(&mut self) -> Playlist {
        self.server.start_again().await;
        self.player.now().await
    }

    async fn encoder_returns(&mut self) {
        self.encoder = ffmpeg_publish_for_ever(&self.storage.clip(), &self.live.rtmp_url);
        self.owner.view_when(self.live.id, "live").await;
    }

    /// Everything that was seen is answered as before, as far as a player may still ask for it.
    async fn still_answers(&self, seen: &Playlist, kept: &[KeptPart], now: &Playlist) {
        let without_parts = |playlist: &Playlist| {
            let mut segments = playlist.segments.clone();
            segments
                .iter_mut()
                .for_each(|segment| segment.parts.clear());
            segments
        };
        let (then, after) = (without_parts(seen), without_parts(now));
        assert!(
            after.starts_with(&then),
            "history was rewritten:\n{}\n--- is now\n{}",
            seen.text,
            now.text
        );
        // Of a replay, and of old segments, parts have no address any more; of any segment the whole has. Those that
        // earlier kills had their look at are left out: a hundred kills would ask a thousand times for each.
        let oldest = then
            .last()
            .map_or(0, |segment| segment.msn.saturating_sub(8));
        for part in kept
            .iter()
            .filter(|part| msn_of(&part.uri) >= oldest && !now.ended)
        {
            let again = self.player.try_bytes(&part.uri).await;
            assert!(
                again.as_ref() == Some(&part.bytes),
                "{} answers {:?} bytes, {} were seen",
                part.uri,
                again.map(|bytes| bytes.len()),
                part.bytes.len()
            );
        }
        for segment in then.iter().filter(|segment| segment.msn >= oldest) {
            let whole = self.player.bytes(&segment.uri).await;
            let parts = kept.iter().filter(|part| msn_of(&part.uri) == segment.msn);
            let parts = parts
                .flat_map(|part| part.bytes.iter().copied())
                .collect::<Vec<u8>>();
            // A viewer who came late has not seen the first parts.
            assert!(
                whole.ends_with(&parts),
                "{} is other than its parts",
                segment.uri
            );
        }
    }

    /// Rows, spool and objects agree, and nothing is left over; the object is what was downloaded.
    async fn assert_in_order(&self, recordings: &[Vec<u8>]) {
        if let Some(bucket) = &self.bucket {
            eventually("the recording is stored", || async {
                let view = self.owner.view(self.live.id).await;
                let stored = view["recording"]["stored_at"].is_string();
                if stored { Ok(()) } else { Err(view) }
            })
            .await;
            let store = bucket.store();
            for (number, recording) in recordings.iter().enumerate() {
                let path = format!("lives/{}/source/{number}.mp4", self.live.id);
                let key = griot::objects::ObjectKey::parse(&path).expect("a key");
                let length = store.head(&key).await.expect("the object");
                let object = store.read(&key, 0, length).await.expect("the object");
                let object = object.collect().await.expect("its bytes");
                assert!(object == recording[..], "{path} is another");
            }
        }
        eventually("rows, spool and objects agree", || async {
            let ended = self.server.try_griot(&["check"]);
            let agree = ended.status.success();
            if agree { Ok(()) } else { Err(ended.stdout) }
        })
        .await;
        eventually("the spool is empty", || async {
            let left = everything_in(&self.server.data().join("spool"));
            if left.is_empty() { Ok(()) } else { Err(left) }
        })
        .await;
    }
}

/// `run/msn.part.m4s`
fn msn_of(uri: &str) -> u64 {
    let name = uri.rsplit('/').next().expect("a name");
    let msn = name.split('.').next().expect("a number");
    msn.parse().expect("a number")
}

/// Files and folders below `folder`.
fn everything_in(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            found.extend(everything_in(&path));
        }
        found.push(path);
    }
    found
}

/// Each part is in the file byte for byte, one behind the other.
fn assert_holds(recording: &[u8], kept: &[KeptPart]) {
    let mut from = 0;
    for part in kept {
        let at = find(&recording[from..], &part.bytes);
        let at = at.unwrap_or_else(|| panic!("{} at {} s is not in the MP4", part.uri, part.at_s));
        from += at + part.bytes.len();
    }
}

/// A part begins with its `moof`, so few places have to be compared.
fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let begin = &needle[..8];
    let mut from = 0;
    while let Some(at) = haystack[from..].windows(8).position(|bytes| bytes == begin) {
        let at = from + at;
        if haystack[at..].starts_with(needle) {
            return Some(at);
        }
        from = at + 8;
    }
    None
}

fn assert_plays(recording: &[u8]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("recording.mp4");
    std::fs::write(&file, recording).expect("room");
    assert_eq!(decode_errors(&file), "");
}

fn gaps(view: &Value) -> Vec<&str> {
    let gaps = view["recording"]["gaps"].as_array().expect("gaps");
    gaps.iter()
        .map(|gap| gap["cause"].as_str().expect("a cause"))
        .collect()
}

/// splitmix64 (Steele 2014): which moments are tried.
pub(crate) struct Dice(u64);

impl Dice {
    /// From `KILL_SEED`, or another each time; says which.
    #[expect(
        clippy::disallowed_methods,
        reason = "a seed that rotates, from the clock"
    )]
    pub(crate) fn thrown(what: &str) -> Self {
        let given = std::env::var("KILL_SEED").ok();
        let seed = given.map_or_else(
            || {
                let now = SystemTime::now().duration_since(UNIX_EPOCH);
                u64::from(now.expect("after 1970").subsec_micros())
            },
            |seed| seed.parse().expect("KILL_SEED is a number"),
        );
        eprintln!("{what}: KILL_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

/// How many random moments are tried.
#[expect(clippy::disallowed_methods, reason = "the tests' own settings")]
pub(crate) fn moments() -> usize {
    let given = std::env::var("KILL_MOMENTS").ok();
    given.map_or(2, |moments| {
        moments.parse().expect("KILL_MOMENTS is a number")
    })
}

async fn killed_at_random_moments(storage: Storage) {
    let mut dice = Dice::thrown("killed at random moments");
    let mut air = OnAir::begin(storage).await;
    let mut kept_before = 0;
    for moment in 1..=moments() {
        air.follower.until_parts(kept_before + 5).await;
        let pause = Duration::from_millis(dice.below(3_000));
        tokio::time::sleep(pause).await;
        air.server.kill().await;
        let (seen, kept) = (air.follower.playlist(), air.follower.kept());
        air.encoder.ended().await;

        let now = air.restart().await;
        assert!(!now.ended, "moment {moment}:\n{}", now.text);
        air.still_answers(&seen, &kept, &now).await;
        assert_eq!(air.owner.view(air.live.id).await["status"], "interrupted");
        air.encoder_returns().await;
        kept_before = kept.len();
    }
    air.follower.until_parts(kept_before + 5).await;
    air.encoder.kill().await;
    air.owner.view_when(air.live.id, "interrupted").await;

    let (view, recording) = air.owner.stop_and_download(air.live.id).await;

    assert_eq!(gaps(&view), vec!["encoder"; moments()], "{view}");
    assert_eq!(
        view["recording"]["runs"].as_array().map(Vec::len),
        Some(1),
        "{view}"
    );
    let kept = air.follower.kept();
    assert_holds(&recording, &kept);
    assert_plays(&recording);
    air.assert_in_order(&[recording]).await;
    eprintln!(
        "{} moments, {} parts kept, all in the MP4",
        moments(),
        kept.len()
    );
}

#[tokio::test]
async fn killed_at_random_moments_into_a_directory() {
    killed_at_random_moments(Storage::Directory).await;
}

#[tokio::test]
async fn killed_at_random_moments_into_a_bucket() {
    killed_at_random_moments(Storage::Bucket).await;
}

/// A moment of finishing: griot is killed as it is about to make this call.
#[derive(Clone, Copy, Debug)]
struct Moment {
    /// System calls, as strace names them.
    call: &'static str,
    /// The so-manieth on the file.
    nth: u32,
    /// On the folder that the file moves into instead.
    on_folder: bool,
}

const fn on_file(call: &'static str, nth: u32) -> Moment {
    Moment {
        call,
        nth,
        on_folder: false,
    }
}

/// strace, attached to the server until it kills it.
async fn kill_at(server: &Server, moment: Moment, live: i64) -> Process {
    let data = server.data();
    let path = if moment.on_folder {
        data.join(format!("objects/lives/{live}/source"))
    } else {
        data.join(format!("spool/lives/{live}/source/0.mp4"))
    };
    let strace = Process::start(
        "strace",
        Command::new("strace")
            .args(["-f", "-p", &server.pid().to_string(), "-P"])
            .arg(path)
            .args(["-e", &format!("trace={}", moment.call), "-e"])
            .arg(format!(
                "inject={}:signal=KILL:when={}",
                moment.call, moment.nth
            )),
    );
    eventually("strace is attached", || async {
        let said = strace.said();
        assert!(strace.runs(), "{said}");
        said.contains(" attached").then_some(()).ok_or(said)
    })
    .await;
    strace
}

async fn killed_while_finishing(storage: Storage, moment: Moment) {
    let mut air = OnAir::begin(storage).await;
    air.follower.until_parts(12).await;
    air.encoder.kill().await;
    air.owner.view_when(air.live.id, "interrupted").await;
    let strace = kill_at(&air.server, moment, air.live.id).await;

    // The server is killed before it can answer.
    air.owner.stop_in_vain(air.live.id).await;
    let status = air.server.ended().await;
    assert_eq!(
        status.signal(),
        Some(9),
        "{moment:?}: {status}, {}",
        strace.said()
    );
    let (seen, kept) = (air.follower.playlist(), air.follower.kept());
    let now = air.restart().await;

    air.still_answers(&seen, &kept, &now).await;
    let view = air.owner.view_when(air.live.id, "ended").await;
    assert_eq!(view["end_reason"], "owner", "{view}");
    let (_, recording) = air.owner.stop_and_download(air.live.id).await;
    assert!(kept.len() >= 12);
    assert_holds(&recording, &kept);
    assert_plays(&recording);
    air.assert_in_order(&[recording]).await;
}

#[tokio::test]
async fn killed_before_the_index_is_appended() {
    killed_while_finishing(Storage::Directory, on_file("pwrite64", 1)).await;
}

#[tokio::test]
async fn killed_before_the_index_is_synced() {
    killed_while_finishing(Storage::Directory, on_file("ftruncate", 1)).await;
}

#[tokio::test]
async fn killed_before_the_sixteen_bytes_are_overwritten() {
    killed_while_finishing(Storage::Directory, on_file("pwrite64", 2)).await;
}

#[tokio::test]
async fn killed_before_the_sixteen_bytes_are_synced() {
    killed_while_finishing(Storage::Directory, on_file("fsync", 1)).await;
}

#[tokio::test]
async fn killed_before_the_final_file_is_moved() {
    killed_while_finishing(Storage::Directory, on_file("rename,renameat,renameat2", 1)).await;
}

#[tokio::test]
async fn killed_between_the_move_of_the_final_file_and_its_row() {
    let moment = Moment {
        call: "fsync",
        nth: 1,
        on_folder: true,
    };
    killed_while_finishing(Storage::Directory, moment).await;
}

/// Plays a power loss on a killed server: its system has booted anew, and of its files only what `survives` of
/// the bytes behind the last row is there.
async fn lose_power(air: &OnAir, survives: impl Fn(&[u8], usize) -> Vec<u8>) {
    let data = air.server.data();
    std::fs::write(data.join("griot.boot"), "another boot\n").expect("ours");
    let spool = data.join("spool");
    let files = everything_in(&spool);
    let file = files.iter().find(|path| path.is_file()).expect("a run");
    let bytes = std::fs::read(file).expect("ours");
    let rows = end_of_rows(&data.join("griot.db")).await;
    assert!(rows <= bytes.len(), "a row points beyond the file");
    std::fs::write(file, survives(&bytes, rows)).expect("room");
}

/// Where the last segment ends that a row covers.
async fn end_of_rows(database: &Path) -> usize {
    let mut rows = SqliteConnection::connect(&database.display().to_string())
        .await
        .expect("the file is a database");
    let end: i64 = sqlx::query_scalar("select max(byte_offset + bytes) from segments")
        .fetch_one(&mut rows)
        .await
        .expect("there are rows");
    usize::try_from(end).expect("an offset")
}

/// The power goes in mid-live; the encoder returns afterwards.
async fn power_lost(survives: impl Fn(&[u8], usize) -> Vec<u8>) {
    let mut air = OnAir::begin(Storage::Directory).await;
    // Two segments have rows, the third has begun.
    air.player
        .until("a third segment is open", |playlist| {
            playlist.segments.len() >= 2 && !playlist.open_parts.is_empty()
        })
        .await;
    let count = air.follower.kept().len();
    air.follower.until_parts(count + 2).await;
    air.server.kill().await;
    let (seen, kept) = (air.follower.playlist(), air.follower.kept());
    air.encoder.ended().await;
    lose_power(&air, survives).await;

    let now = air.restart().await;
    assert!(!now.ended && !now.segments.is_empty(), "{}", now.text);
    let rows = now.segments.len();
    assert_eq!(
        uris(&now),
        uris(&seen)[..rows],
        "what had rows is where it was"
    );
    air.encoder_returns().await;
    let after = air.player.until_seconds(now.duration_s() + 3.0).await;

    // What was announced and lost is not answered by other bytes: the new media have addresses of their own.
    assert!(
        after.segments[rows..]
            .iter()
            .all(|one| one.uri.starts_with("1/")),
        "{}",
        after.text
    );
    for part in &kept {
        if let Some(bytes) = air.player.try_bytes(&part.uri).await {
            assert!(bytes == part.bytes, "{} answers other bytes", part.uri);
        }
    }
    air.encoder.kill().await;
    air.owner.view_when(air.live.id, "interrupted").await;
    air.owner.stop(air.live.id).await.expect(200);
    let view = air.owner.view_when_recorded(air.live.id).await;
    let runs = view["recording"]["runs"].as_array().expect("runs");
    assert_eq!(runs.len(), 2, "{view}");
    let mut files = Vec::new();
    for run in runs {
        let url = run["mp4_url"].as_str().expect("each run is an MP4");
        let answer = crate::support::Answer::of(air.server.client.get(url)).await;
        files.push(answer.expect(200).body);
        assert_plays(files.last().expect("just pushed"));
    }
    let with_rows: Vec<KeptPart> = kept
        .into_iter()
        .filter(|part| msn_of(&part.uri) < now.segments[0].msn + rows as u64)
        .collect();
    assert!(!with_rows.is_empty());
    assert_holds(&files[0], &with_rows);
    air.assert_in_order(&files).await;
}

fn uris(playlist: &Playlist) -> Vec<String> {
    let segments = playlist.segments.iter();
    segments.map(|segment| segment.uri.clone()).collect()
}

#[tokio::test]
async fn a_power_loss_that_took_what_was_not_synced_begins_a_new_run() {
    power_lost(|bytes, rows| bytes[..rows].to_vec()).await;
}

#[tokio::test]
async fn a_power_loss_that_left_headers_without_their_media_begins_a_new_run() {
    // The length had reached the disk and the first block, the rest had not.
    power_lost(|bytes, rows| {
        let mut left = bytes.to_vec();
        let zeroed = (rows + 600).min(left.len());
        left[zeroed..].fill(0);
        left
    })
    .await;
}

#[tokio::test]
async fn a_disk_that_lost_what_it_had_promised_leaves_gaps_and_begins_a_new_run() {
    let mut air = OnAir::begin(Storage::Directory).await;
    air.player
        .until("three segments are whole", |playlist| {
            playlist.segments.len() >= 3
        })
        .await;
    air.server.kill().await;
    let seen = air.follower.playlist();
    air.encoder.ended().await;
    let first = air.follower.kept();
    let first = first.iter().filter(|part| msn_of(&part.uri) == 0);
    let kept_bytes = first.map(|part| part.bytes.len()).sum::<usize>();
    lose_power(&air, |bytes, _| {
        bytes[..kept_bytes.min(bytes.len()) + 2_000].to_vec()
    })
    .await;

    let now = air.restart().await;
    assert!(now.segments.len() >= 3 && !now.ended, "{}", now.text);
    assert!(
        now.segments[1..].iter().any(|segment| segment.gap),
        "{}",
        now.text
    );
    assert!(uris(&now).starts_with(&uris(&seen)), "{}", now.text);
    for segment in &now.segments {
        let there = air.player.try_bytes(&segment.uri).await.is_some();
        assert_eq!(there, !segment.gap, "{}:\n{}", segment.uri, now.text);
    }
    air.encoder_returns().await;
    let after = air.player.until_seconds(now.duration_s() + 3.0).await;
    let last = after.segments.last().expect("segments");
    assert!(last.uri.starts_with("1/") && !last.gap, "{}", after.text);
    air.encoder.kill().await;
    air.owner.stop(air.live.id).await.expect(200);
    air.owner.view_when_recorded(air.live.id).await;
    air.assert_in_order(&[]).await;
}

#[tokio::test]
async fn killed_before_the_sixteen_bytes_are_overwritten_into_a_bucket() {
    killed_while_finishing(Storage::Bucket, on_file("pwrite64", 2)).await;
}

#[tokio::test]
async fn killed_before_the_sixteen_bytes_are_synced_into_a_bucket() {
    killed_while_finishing(Storage::Bucket, on_file("fsync", 1)).await;
}
