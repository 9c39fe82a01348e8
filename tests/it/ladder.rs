//! The ladder of a live, end to end: what every rung's playlist and pictures are, and what becomes of it when children die.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use reqwest::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    Answer, Live, Member, Player, Playlist, Server, decode_errors, eventually, ffmpeg_publish,
    ffmpeg_publish_for_ever, ffmpeg9_publish, fixture, griot, kept, packets, probe, saved,
    serve_in_vain, tool,
};

const FPS: u32 = 30;
const CLIP_S: u32 = 20;
/// Cells of the bar code: sixteen bits, and below them the same inverted.
const BITS: usize = 16;
const ROWS: usize = 9;

/// How often children are harmed in one live: twice, or as often as `LADDER_ROUNDS` says.
fn rounds() -> usize {
    #[expect(clippy::disallowed_methods, reason = "a soak says how often")]
    let asked = std::env::var("LADDER_ROUNDS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(2)
}

/// 20 s, 640×360, 30 fps, two B-frames, a key frame each two seconds, AAC; every picture says its number.
fn bars() -> PathBuf {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let (raw, half, clip) = (
            folder.join("ladder-bars.gray"),
            folder.join("ladder-bars.half.mp4"),
            folder.join("ladder-bars.mp4"),
        );
        if !clip.exists() {
            let pictures = (0..CLIP_S * FPS).flat_map(cells).collect::<Vec<u8>>();
            fs::write(&raw, pictures).expect("raw pictures");
            let arguments = "-v error -y -f rawvideo -pixel_format gray -video_size 16x9 -framerate 30 -i RAW \
                -f lavfi -i aevalsrc=0.4*sin(2*PI*1000*t)*lt(mod(t\\,1)\\,0.1)|0.4*sin(2*PI*1000*t)*lt(mod(t\\,1)\\,0.1):s=48000:d=20 \
                -vf scale=640:360:flags=neighbor,format=yuv420p -c:v libx264 -preset veryfast -profile:v main -b:v 600k \
                -bf 2 -b_strategy 0 -g 60 -keyint_min 60 -sc_threshold 0 -threads 1 -c:a aac -b:a 96k HALF";
            let path = |path: &Path| path.to_str().expect("a path in UTF-8").to_owned();
            let arguments: Vec<String> = arguments
                .split_whitespace()
                .map(|word| match word {
                    "RAW" => path(&raw),
                    "HALF" => path(&half),
                    word => word.to_owned(),
                })
                .collect();
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            tool("ffmpeg", &arguments, None);
            fs::rename(&half, &clip).expect("the clip is named");
        }
        clip
    });
    made.clone()
}

/// One picture of 16 × 9 grey cells that says `number`.
fn cells(number: u32) -> Vec<u8> {
    let mut picture = vec![96_u8; BITS * ROWS];
    for bit in 0..BITS {
        let one = (number >> (BITS - 1 - bit)) & 1 == 1;
        picture[bit] = if one { 235 } else { 16 };
        picture[BITS + bit] = if one { 16 } else { 235 };
    }
    picture[4 * BITS + number as usize % BITS] = 200;
    picture
}

/// What each picture of a file says, in the order of presentation; `None` where it is not whole.
fn numbers(file: &Path) -> Vec<Option<u32>> {
    let file = file.to_str().expect("a path in UTF-8");
    let arguments = [
        "-v",
        "error",
        "-i",
        file,
        "-map",
        "0:v",
        "-fps_mode",
        "passthrough",
        "-vf",
        "scale=16:9:flags=area,format=gray",
        "-f",
        "rawvideo",
        "-",
    ];
    let raw = tool("ffmpeg", &arguments, None);
    let read = |picture: &[u8]| {
        let mut number = 0;
        for bit in 0..BITS {
            let (one, other) = (picture[bit] > 128, picture[BITS + bit] > 128);
            if one == other {
                return None;
            }
            number = number * 2 + u32::from(one);
        }
        Some(number)
    };
    raw.chunks_exact(BITS * ROWS).map(read).collect()
}

/// A table with 270p, 180p and sound alone.
fn table(folder: &TempDir) -> String {
    let file = folder.path().join("ladder.toml");
    let rung = |name: &str, side: u32, video: u32, audio: u32| {
        format!(
            "[[rung]]\nname = \"{name}\"\nshort_side = {side}\nvideo_kbps = {video}\naudio_kbps = {audio}\n"
        )
    };
    let text = rung("270p", 270, 400, 64) + &rung("180p", 180, 200, 48) + &rung("audio", 0, 0, 48);
    fs::write(&file, text).expect("a table");
    file.to_str().expect("a path in UTF-8").to_owned()
}

/// A server that makes ladders of [`table`], whatever the machine has room for.
async fn laddered(folder: &TempDir, settings: &[(&str, &str)]) -> Server {
    let table = table(folder);
    let mut all = vec![
        ("GRIOT_LIVE_LADDER", "on"),
        ("GRIOT_LIVE_LADDER_FILE", table.as_str()),
        ("GRIOT_LIVE_GOODBYE_GRACE", "1s"),
    ];
    all.extend_from_slice(settings);
    Server::start_with(&all).await
}

const RUNGS: [(&str, Option<(u64, u64)>); 3] = [
    ("270p", Some((480, 270))),
    ("180p", Some((320, 180))),
    ("audio", None),
];

fn rendition<'a>(view: &'a Value, name: &str) -> &'a Value {
    let all = view["renditions"].as_array().expect("renditions");
    let found = all.iter().find(|one| one["name"] == name);
    found.unwrap_or_else(|| panic!("no rendition {name} in {view}"))
}

/// Waits until a rendition is in this state.
async fn rung_is(member: &Member, live: &Live, name: &str, state: &str) -> Value {
    eventually(&format!("{name} is {state}"), || async {
        let view = member.view(live.id).await;
        let all = view["renditions"].as_array().cloned().unwrap_or_default();
        let stands = all
            .iter()
            .any(|one| one["name"] == name && one["state"] == state);
        if stands { Ok(view) } else { Err(view) }
    })
    .await
}

fn address(live: &Live, name: &str) -> String {
    live.hls_url
        .replace("index.m3u8", &format!("{name}/index.m3u8"))
}

async fn playlist(server: &Server, url: &str) -> Playlist {
    let answer = Answer::of(server.client.get(url)).await.expect(200);
    Playlist::parse(&String::from_utf8(answer.body).expect("a playlist is UTF-8"))
}

/// What must be the same on all renditions of the segments that both list.
fn times(playlist: &Playlist) -> Vec<(u64, String, Option<String>, bool)> {
    let segments = playlist.segments.iter();
    segments
        .map(|segment| {
            let duration = format!("{:.5}", segment.duration_s);
            let date = segment.program_date_time.clone();
            (segment.msn, duration, date, segment.discontinuity)
        })
        .collect()
}

/// Downloads a rendition's MP4 once it is final.
async fn mp4(server: &Server, member: &Member, live: &Live, name: &str) -> (TempDir, PathBuf) {
    let url = eventually(&format!("the MP4 of {name} is final"), || async {
        let view = member.view(live.id).await;
        let url = rendition(&view, name)["mp4_url"]
            .as_str()
            .map(str::to_owned);
        url.ok_or(view)
    })
    .await;
    let answer = Answer::of(server.client.get(url)).await.expect(200);
    saved(&answer.body)
}

/// Process ids of the server's children that make ladders.
fn children(server: &Server) -> Vec<Pid> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let read = |file: &str| fs::read_to_string(entry.path().join(file)).unwrap_or_default();
        let parent = format!("PPid:\t{}\n", server.pid());
        let is_ours = read("status").contains(&parent);
        if is_ours && read("cmdline").contains("ladder") {
            found.extend(Pid::from_raw(pid));
        }
    }
    found
}

#[tokio::test]
async fn every_rung_repeats_its_sources_playlist_and_its_pictures() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = laddered(&folder, &[]).await;
    let owner = server.member("aissatou").await;
    let live = owner.start_live("En échelle").await;
    let _encoder = ffmpeg_publish(&bars(), &live.rtmp_url);

    // All that is planned is listed from the start.
    let source = Player::open(&server, &live.hls_url).await;
    let master = Answer::of(server.client.get(&live.hls_url))
        .await
        .expect(200);
    let master = String::from_utf8(master.body).expect("text");
    for name in ["source", "270p", "180p"] {
        assert!(
            master.contains(&format!("\n{name}/index.m3u8\n")),
            "{master}"
        );
    }
    let weak = Answer::of(server.client.get(format!("{}?ll=0", live.hls_url))).await;
    let weak = String::from_utf8(weak.expect(200).body).expect("text");
    assert!(weak.contains("\n270p/index.m3u8?ll=0\n"), "{weak}");

    source.until_seconds(9.0).await;
    for (name, _) in RUNGS {
        rung_is(&owner, &live, name, "live").await;
        let of_source = playlist(&server, &address(&live, "source")).await;
        let of_rung = playlist(&server, &address(&live, name)).await;
        let (expected, found) = (times(&of_source), times(&of_rung));
        let both = expected.len().min(found.len());
        assert!(both >= 2, "{name}:\n{}", of_rung.text);
        assert_eq!(found[..both], expected[..both], "{name}");
        let parts = |playlist: &Playlist| -> Vec<Vec<String>> {
            let segments = playlist.segments[..both].iter();
            segments
                .map(|segment| {
                    let parts = segment.parts.iter();
                    parts
                        .map(|part| format!("{:.5}", part.duration_s))
                        .collect()
                })
                .collect()
        };
        assert_eq!(parts(&of_rung), parts(&of_source), "{name}");
        assert!(
            of_rung.segments.iter().all(|segment| !segment.gap),
            "{name}:\n{}",
            of_rung.text
        );
    }
    let alone = live.hls_url.replace("index.m3u8", "audio.m3u8");
    let alone = Answer::of(server.client.get(alone)).await.expect(200);
    let alone = String::from_utf8(alone.body).expect("text");
    assert!(
        alone.contains("\naudio/index.m3u8\n") && !alone.contains("RESOLUTION"),
        "{alone}"
    );
    let poster = live.hls_url.replace("index.m3u8", "poster.jpg");
    let poster = eventually("there is a poster", || async {
        let answer = Answer::of(server.client.get(&poster)).await;
        if answer.status == StatusCode::OK {
            Ok(answer)
        } else {
            Err(answer.status)
        }
    })
    .await;
    assert_eq!(poster.header("content-type"), "image/jpeg");

    owner.view_when(live.id, "ended").await;
    owner.view_when_recorded(live.id).await;
    let (_kept, file) = mp4(&server, &owner, &live, "source").await;
    let sent: Vec<Option<u32>> = numbers(&file);
    let of_source = playlist(&server, &address(&live, "source")).await;
    for (name, size) in RUNGS {
        let (_kept, file) = mp4(&server, &owner, &live, name).await;
        assert_eq!(decode_errors(&file), "", "{name}");
        let of_rung = playlist(&server, &address(&live, name)).await;
        assert!(of_rung.ended, "{}", of_rung.text);
        assert_eq!(times(&of_rung), times(&of_source), "{name}");
        assert!(
            of_rung.segments.iter().all(|segment| !segment.gap),
            "{name}:\n{}",
            of_rung.text
        );
        let view = owner.view(live.id).await;
        let shown = rendition(&view, name);
        assert_eq!(shown["state"], "ended");
        assert_eq!(
            shown["width"].as_u64().zip(shown["height"].as_u64()),
            size,
            "{shown}"
        );
        if size.is_some() {
            assert_eq!(numbers(&file), sent, "{name}");
        } else {
            assert_eq!(probe(&file)["streams"].as_array().map(Vec::len), Some(1));
        }
    }
}

#[tokio::test]
async fn a_child_that_is_killed_or_hangs_takes_its_rungs_and_never_the_live() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = laddered(&folder, &[]).await;
    let owner = server.member("aissatou").await;
    let live = owner.start_live("Sans filet").await;
    let encoder = ffmpeg_publish_for_ever(&bars(), &live.rtmp_url);
    rung_is(&owner, &live, "270p", "live").await;
    for round in 0..rounds() {
        for signal in [Signal::KILL, Signal::STOP] {
            let before = eventually("there is a child", || async {
                let found = children(&server);
                if found.len() == 1 {
                    Ok(found[0])
                } else {
                    Err(found)
                }
            })
            .await;
            kill_process(before, signal).expect("the child is there");
            rung_is(&owner, &live, "270p", "shed").await;
            let gone = Answer::of(server.client.get(address(&live, "270p"))).await;
            assert_eq!(gone.status, StatusCode::NOT_FOUND, "round {round}");
            rung_is(&owner, &live, "270p", "live").await;
            let back = children(&server);
            assert!(!back.contains(&before), "{back:?}");
        }
    }
    let following = Player::open(&server, &live.hls_url).await;
    let now = following.now().await.duration_s();
    following.until_seconds(now + 6.0).await;
    drop(encoder);
    let (_, recording) = owner.stop_and_download(live.id).await;
    let (_kept, file) = saved(&recording);

    // The source: every picture, in order, round and round the clip.
    let told = numbers(&file);
    let all: Vec<u32> = told
        .iter()
        .map(|number| number.expect("a whole picture"))
        .collect();
    let expected: Vec<u32> = (0..CLIP_S * FPS).cycle().take(all.len()).collect();
    // The encoder was killed between a picture and those that are shown before it.
    let whole = all.len() - 3;
    assert_eq!(all[..whole], expected[..whole]);
    let sent = packets(&bars());
    let recorded = packets(&file);
    for (at, packet) in recorded.video.iter().enumerate() {
        assert_eq!(
            packet.hash,
            sent.video[at % sent.video.len()].hash,
            "packet {at}"
        );
    }
    // The rung: the same numbers and times, with gaps.
    let (_kept, _) = mp4(&server, &owner, &live, "270p").await;
    let of_source = playlist(&server, &address(&live, "source")).await;
    let of_rung = playlist(&server, &address(&live, "270p")).await;
    assert!(of_source.segments.iter().all(|segment| !segment.gap));
    assert_eq!(times(&of_rung), times(&of_source), "{}", of_rung.text);
    let gaps = of_rung
        .segments
        .iter()
        .filter(|segment| segment.gap)
        .count();
    assert!(
        gaps >= 1 && gaps < of_rung.segments.len(),
        "{}",
        of_rung.text
    );
    assert!(server.metric("griot_ladder_children_lost_total", "").await >= 2.0);
}

#[tokio::test]
async fn a_live_gets_a_ladder_as_settings_and_roles_say() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = laddered(&folder, &[("GRIOT_LIVE_LADDER_ROLES", "ambassador,admin")]).await;
    let owner = server.member("aissatou").await;
    let live = owner.start_live("Pour les autres").await;
    let _encoder = ffmpeg_publish_for_ever(&bars(), &live.rtmp_url);
    Player::open(&server, &live.hls_url)
        .await
        .until_seconds(3.0)
        .await;
    let view = owner.view(live.id).await;
    assert_eq!(
        view["renditions"].as_array().map(Vec::len),
        Some(1),
        "{view}"
    );
    assert_eq!(view["renditions"][0]["name"], "source");
    assert_eq!(children(&server), []);
    // Without a ladder a picture is drawn when somebody asks.
    let poster = live.hls_url.replace("index.m3u8", "poster.jpg");
    eventually("a poster is drawn", || async {
        let answer = Answer::of(server.client.get(&poster)).await;
        if answer.status == StatusCode::OK {
            Ok(())
        } else {
            Err(answer.status)
        }
    })
    .await;
}

#[tokio::test]
async fn a_table_that_cannot_work_is_a_start_that_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bad.toml");
    fs::write(&file, "[[rung]]\nname = \"270p\"\n").expect("a file");
    let path = file.to_str().expect("a path in UTF-8");
    for (value, told) in [
        (path, "short_side"),
        ("/nowhere/ladder.toml", "No such file"),
    ] {
        let (status, said) = serve_in_vain(&[("GRIOT_LIVE_LADDER_FILE", value)]).await;
        assert!(!status.success());
        assert!(
            said.contains("live.ladder_file") && said.contains(told),
            "{said}"
        );
    }
    let told = griot(
        &["doctor"],
        &folder,
        &[
            ("GRIOT_HTTP_LISTEN", "127.0.0.1:0"),
            ("GRIOT_RTMP_LISTEN", "127.0.0.1:0"),
        ],
    );
    assert!(told.stdout.contains("ladder"), "{}", told.stdout);
}

/// What the encoder sends, and the rung that common players can play.
const LACKING: [(&str, &str); 3] = [
    ("hevc.mp4", "h264"),
    ("av1.mp4", "h264"),
    ("vp9.mp4", "h264"),
];

#[tokio::test]
async fn codecs_that_players_lack_get_a_rung_that_they_have() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = laddered(&folder, &[]).await;
    for (at, (name, rung)) in LACKING.into_iter().enumerate() {
        let owner = server.member(&format!("membre{at}")).await;
        let live = owner.start_live(name).await;
        let encoder = ffmpeg9_publish(&[fixture(name)], &["0:v", "0:a"], &live.rtmp_url);
        rung_is(&owner, &live, rung, "live").await;
        owner.view_when(live.id, "ended").await;
        drop(encoder);
        let (_kept, file) = mp4(&server, &owner, &live, rung).await;
        assert_eq!(decode_errors(&file), "", "{name}");
        let probed = probe(&file);
        let codecs: Vec<&str> = probed["streams"]
            .as_array()
            .expect("streams")
            .iter()
            .filter_map(|stream| stream["codec_name"].as_str())
            .collect();
        assert_eq!(codecs, ["h264", "aac"], "{name}");
    }
}

/// MP3, one channel: an encoder of the nineties.
#[tokio::test]
async fn sound_that_players_lack_becomes_aac_beside_the_sources_picture() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = laddered(&folder, &[]).await;
    let owner = server.member("aissatou").await;
    let live = owner.start_live("En mono").await;
    let clip = bars();
    let mut publish = Command::new("ffmpeg");
    publish
        .args(["-v", "error", "-nostdin", "-re", "-i"])
        .arg(&clip)
        .args([
            "-c:v",
            "copy",
            "-c:a",
            "libmp3lame",
            "-ac",
            "1",
            "-ar",
            "44100",
            "-f",
            "flv",
        ])
        .arg(&live.rtmp_url)
        .stdin(Stdio::null());
    let _encoder = crate::support::Process::start("ffmpeg", &mut publish);
    rung_is(&owner, &live, "aac", "live").await;
    owner.view_when(live.id, "ended").await;
    let (_kept, file) = mp4(&server, &owner, &live, "aac").await;
    assert_eq!(decode_errors(&file), "");
    let sound = &probe(&file)["streams"][1];
    assert_eq!(sound["codec_name"], "aac");
    assert_eq!(
        (sound["sample_rate"].as_str(), sound["channels"].as_u64()),
        (Some("48000"), Some(2))
    );
    // The picture is the encoder's own, packet by packet.
    let sent = packets(&clip);
    let found = packets(&file);
    let hashes = |packets: &[crate::support::Packet]| -> Vec<String> {
        packets.iter().map(|packet| packet.hash.clone()).collect()
    };
    assert_eq!(
        hashes(&found.video),
        hashes(&sent.video)[..found.video.len()]
    );
    assert!(
        found.video.len() + 3 >= sent.video.len(),
        "{}",
        found.video.len()
    );
}

#[tokio::test]
async fn a_restart_of_the_server_keeps_every_rung() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = laddered(&folder, &[]).await;
    let owner = server.member("aissatou").await;
    let live = owner.start_live("Malgré tout").await;
    let encoder = ffmpeg_publish_for_ever(&bars(), &live.rtmp_url);
    rung_is(&owner, &live, "180p", "live").await;
    Player::open(&server, &live.hls_url)
        .await
        .until_seconds(9.0)
        .await;
    server.kill().await;
    drop(encoder);
    server.start_again().await;
    let encoder = ffmpeg_publish_for_ever(&bars(), &live.rtmp_url);
    rung_is(&owner, &live, "180p", "live").await;
    let player = Player::open(&server, &live.hls_url).await;
    let now = player.now().await.duration_s();
    player.until_seconds(now + 8.0).await;
    drop(encoder);
    owner.stop(live.id).await.expect(200);
    for (name, _) in RUNGS {
        let (_kept, file) = mp4(&server, &owner, &live, name).await;
        assert_eq!(decode_errors(&file), "", "{name}");
        let of_source = playlist(&server, &address(&live, "source")).await;
        let of_rung = playlist(&server, &address(&live, name)).await;
        assert_eq!(
            times(&of_rung),
            times(&of_source),
            "{name}:\n{}",
            of_rung.text
        );
        let whole = of_rung
            .segments
            .iter()
            .filter(|segment| !segment.gap)
            .count();
        assert!(
            whole * 2 > of_rung.segments.len(),
            "{name}:\n{}",
            of_rung.text
        );
    }
}

#[tokio::test]
async fn rungs_that_are_not_kept_are_gone_after_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = laddered(&folder, &[("GRIOT_RECORDING_RUNGS", "drop")]).await;
    let owner = server.member("aissatou").await;
    let live = owner.start_live("Pour l’instant").await;
    let encoder = ffmpeg_publish(&bars(), &live.rtmp_url);
    rung_is(&owner, &live, "270p", "live").await;
    encoder.ended().await;
    owner.view_when(live.id, "ended").await;
    let view = eventually("only the source is left", || async {
        let view = owner.view(live.id).await;
        let all = view["renditions"].as_array().map_or(0, Vec::len);
        if all == 1 { Ok(view) } else { Err(view) }
    })
    .await;
    assert_eq!(rendition(&view, "source")["state"], "ended");
    let gone = Answer::of(server.client.get(address(&live, "270p"))).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    let (_, file) = owner.stop_and_download(live.id).await;
    let (_kept, file) = saved(&file);
    kept(&packets(&bars()), &packets(&file)).expect("the source is whole");
}
