//! The matrix of files that members send: what becomes of each, and what plays of it.
//!
//! Each is made of the usual clip by ffmpeg: in every picture stands its number as bits, and each second begins with a
//! flash and a beep. What comes out is decoded by ffmpeg.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use griot::media::video::{Refused, Video};
use griot::rendition::{PlaylistQuery, Reader};
use griot::store::{Media, MediaState};
use tempfile::TempDir;

use crate::support::{
    Bucket, FOUR_HOURS_MS, House, av_offset_between_s, av_offset_s, bytes_of, clip, decode_errors,
    packets, probe, tool,
};

mod rungs;

/// Pictures a second of the clip.
const RATE: f64 = 30.0;
/// Where numbers are read, seconds.
const POSITIONS: [f64; 5] = [0.2, 1.5, 2.9, 4.4, 5.6];

/// What is expected of a row of the matrix.
struct Row {
    name: &'static str,
    /// The container, as the file's extension.
    container: &'static str,
    /// ffmpeg's, between input and output.
    encode: &'static str,
    /// Pixels of what comes out.
    size: (i64, i64),
    /// What turns the picture back to how the clip is, for ffmpeg.
    undo: &'static str,
    /// Whether there is sound.
    sound: bool,
    /// Nothing is encoded anew: the packets stay what they are.
    as_it_is: bool,
    /// By how many pictures the file itself is late: ffmpeg's AVI shows the first one twice as long.
    behind: f64,
}

const fn row(name: &'static str, container: &'static str, encode: &'static str) -> Row {
    Row {
        name,
        container,
        encode,
        size: (320, 180),
        undo: "null",
        sound: true,
        as_it_is: false,
        behind: 0.0,
    }
}

const fn copied(name: &'static str, container: &'static str, encode: &'static str) -> Row {
    Row {
        as_it_is: true,
        ..row(name, container, encode)
    }
}

/// Made by ffmpeg of the clip's first six seconds.
fn make(row: &Row, folder: &Path) -> PathBuf {
    let file = folder.join(format!("{}.{}", row.name.replace(' ', "-"), row.container));
    encode(&clip(), row.encode, &file);
    file
}

fn encode(from: &Path, arguments: &str, to: &Path) {
    let mut all = vec![
        "-v",
        "error",
        "-y",
        "-i",
        from.to_str().expect("UTF-8"),
        "-t",
        "6",
    ];
    all.extend(arguments.split_whitespace());
    all.push(to.to_str().expect("UTF-8"));
    tool("ffmpeg", &all, None);
}

/// A rendition as one file, and the same put together from what its playlist names.
struct Rendition {
    name: String,
    mp4: PathBuf,
    hls: PathBuf,
    playlist: String,
}

async fn fetch(video: &Video, name: &str, folder: &Path) -> Rendition {
    let reader = video.rendition(name).expect("a rendition");
    let download = reader.download(0).expect("a final file");
    let mp4 = folder.join(format!("{name}.mp4"));
    std::fs::write(&mp4, bytes_of(&download.media).await).expect("room");
    let (playlist, whole) = put_together(reader).await;
    let hls = folder.join(format!("{name}-hls.mp4"));
    std::fs::write(&hls, whole).expect("room");
    Rendition {
        name: name.to_owned(),
        mp4,
        hls,
        playlist,
    }
}

async fn put_together(reader: &Reader) -> (String, Vec<u8>) {
    let text = reader
        .playlist(PlaylistQuery::default())
        .await
        .expect("a playlist");
    let text = String::from_utf8(text.body.to_vec()).expect("text");
    let mut whole = reader.init(0).expect("an init section").to_vec();
    for line in text.lines().filter(|line| line.ends_with(".m4s")) {
        let msn = line.trim_start_matches("0/").trim_end_matches(".m4s");
        let segment = reader
            .segment(0, msn.parse().expect("a number"))
            .expect("a segment");
        whole.extend(bytes_of(&segment).await);
    }
    (text, whole)
}

/// The numbers in a file's pictures, with when each is shown, seconds. `turn` makes them 320×180 again.
fn numbers(file: &Path, turn: &str) -> Vec<(f64, u32)> {
    let name = file.to_str().expect("UTF-8");
    let filter = format!(
        "{turn},scale=320:180:flags=area,crop=240:16:0:2,scale=12:1:flags=area,format=gray"
    );
    let raw = tool(
        "ffmpeg",
        &[
            "-v",
            "error",
            "-nostdin",
            "-threads",
            "1",
            "-noautorotate",
            "-i",
            name,
            "-map",
            "0:v",
            "-vf",
            &filter,
            "-fps_mode",
            "passthrough",
            "-f",
            "rawvideo",
            "-",
        ],
        None,
    );
    let mut times: Vec<f64> = packets(file)
        .video
        .iter()
        .map(|packet| packet.pts_s)
        .collect();
    times.sort_by(f64::total_cmp);
    let pictures = raw.chunks_exact(12);
    assert_eq!(
        pictures.len(),
        times.len(),
        "pictures and packets of {name}"
    );
    let number = |boxes: &[u8]| {
        let bits = boxes
            .iter()
            .zip(0..)
            .map(|(grey, bit)| u32::from(*grey > 140) << bit);
        bits.sum::<u32>()
    };
    times.into_iter().zip(pictures.map(number)).collect()
}

/// The picture that is shown at a time is the one that the clip has there, or its neighbour.
fn assert_numbers(file: &Path, turn: &str, behind: f64, what: &str) {
    assert_numbers_at(&POSITIONS, file, turn, behind, what);
}

fn assert_numbers_at(positions: &[f64], file: &Path, turn: &str, behind: f64, what: &str) {
    let all = numbers(file, turn);
    let start = all.first().expect("pictures").0;
    for at in positions {
        let shown = all
            .iter()
            .rev()
            .find(|(time, _)| time - start <= at + 0.001);
        let (_, number) = shown.unwrap_or_else(|| panic!("{what}: no picture at {at} s"));
        let expected = at * RATE - behind;
        assert!(
            (f64::from(*number) - expected).abs() <= 1.6,
            "{what}: number {number} at {at} s instead of {expected}"
        );
    }
}

/// Sends a file, waits for all that is made of it, and checks every rendition.
async fn plays(house: &House, row: &Row, file: &Path) -> (Media, Arc<Video>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let id = house.send(file).await;
    let media = house.when_complete(id).await;
    let what = row.name;
    assert_eq!(media.state, MediaState::Ready, "{what}: {media:?}");
    assert_eq!(
        (media.width, media.height),
        (Some(row.size.0), Some(row.size.1)),
        "{what}"
    );
    let seconds = media.duration.expect("a duration").0 as f64 / 90_000.0;
    assert!((seconds - 6.0).abs() < 0.25, "{what} lasts {seconds} s");
    let video = house.open(&media).await;

    let source = fetch(&video, "source", folder.path()).await;
    assert_numbers(&source.mp4, row.undo, row.behind, what);
    let mut all = vec![source];
    assert_eq!(video.audio().is_ok(), row.sound, "{what}: sound alone");
    if row.sound {
        all.push(fetch(&video, "audio", folder.path()).await);
    }
    for rendition in &all {
        let what = format!("{what}, {}", rendition.name);
        assert_eq!(decode_errors(&rendition.mp4), "", "{what}");
        assert_eq!(decode_errors(&rendition.hls), "", "{what} by HLS");
        let hashes = |file| {
            let kept = packets(file);
            let all = kept.video.into_iter().chain(kept.audio);
            all.map(|packet| packet.hash).collect::<Vec<_>>()
        };
        assert_eq!(
            hashes(&rendition.mp4),
            hashes(&rendition.hls),
            "{what}: MP4 and HLS"
        );
        assert!(
            rendition.playlist.contains("#EXT-X-PLAYLIST-TYPE:VOD\n"),
            "{}",
            rendition.playlist
        );
        assert!(
            rendition.playlist.ends_with("#EXT-X-ENDLIST\n"),
            "{}",
            rendition.playlist
        );
    }
    if row.sound {
        // The rendition of sound alone is on the clock of the pictures, too.
        for sound in &all {
            let what = format!("{what}, {}", sound.name);
            let mut offsets = av_offset_between_s(&all[0].mp4, &sound.mp4);
            // A copy has a few pictures more than sound.
            offsets.truncate(6);
            assert!(offsets.len() >= 5, "{what}: {offsets:?}");
            if sound.name == "audio" {
                // A decoder of MP3 or Opus that begins with the first beep is silent for its first milliseconds.
                offsets.remove(0);
            }
            assert!(
                offsets.iter().all(|offset| offset.abs() <= 0.04),
                "{what}: {offsets:?}"
            );
        }
    }
    let probed = probe(&all[0].mp4);
    let streams = probed["streams"].as_array().expect("streams");
    assert_eq!(
        streams.len(),
        1 + usize::from(row.sound),
        "{what}: {probed}"
    );
    assert_eq!(streams[0]["codec_name"], "h264", "{what}");
    assert_eq!(streams[0]["pix_fmt"], "yuv420p", "{what}");
    if row.sound {
        assert_eq!(streams[1]["codec_name"], "aac", "{what}");
        let channels = streams[1]["channels"].as_i64().expect("channels");
        assert!(channels <= 2, "{what}: {channels} channels");
    }
    if row.as_it_is {
        let sent: Vec<String> = packets(file)
            .video
            .into_iter()
            .map(|packet| packet.hash)
            .collect();
        let kept: Vec<String> = packets(&all[0].mp4)
            .video
            .into_iter()
            .map(|packet| packet.hash)
            .collect();
        assert_eq!(kept, sent, "{what}: pictures as they were");
    }
    assert_multivariant(&video, row);
    (media, video)
}

/// The multivariant playlist says what ffprobe says.
fn assert_multivariant(video: &Video, row: &Row) {
    let text = video.multivariant();
    let text = String::from_utf8(text.body.to_vec()).expect("text");
    let (width, height) = row.size;
    assert!(
        text.contains(&format!("RESOLUTION={width}x{height}")),
        "{}: {text}",
        row.name
    );
    assert!(text.contains("CODECS=\"avc1."), "{}: {text}", row.name);
    assert_eq!(
        text.contains(",mp4a.40.2\""),
        row.sound,
        "{}: {text}",
        row.name
    );
    assert!(text.contains("FRAME-RATE="), "{}: {text}", row.name);
    assert!(
        text.ends_with("\nsource/index.m3u8\n"),
        "{}: {text}",
        row.name
    );
}

async fn all_play(house: &House, rows: &[Row]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for row in rows {
        let file = make(row, folder.path());
        plays(house, row, &file).await;
    }
    // Nothing but what is played: the files that were sent are gone.
    let left = house.everything().await;
    let strange: Vec<&String> = left
        .iter()
        .filter(|path| !path.starts_with("media/"))
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_plays_as_it_is_goes_through_as_it_is() {
    let house = House::new().await;
    let rows = [
        copied("h264 and aac", "mp4", "-c copy"),
        copied("the same in quicktime", "mov", "-c copy"),
        Row {
            sound: false,
            ..copied("no sound", "mp4", "-c copy -an")
        },
        copied("mono", "mp4", "-c:v copy -ac 1 -c:a aac"),
        copied("index first", "mp4", "-c copy -movflags +faststart"),
    ];
    all_play(&house, &rows).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_container_with_every_codec_becomes_h264() {
    let house = House::new().await;
    let rows = [
        row(
            "hevc",
            "mp4",
            "-c:v libx265 -preset ultrafast -tag:v hvc1 -x265-params log-level=error -c:a copy",
        ),
        row(
            "vp8 and opus",
            "webm",
            "-c:v libvpx -deadline realtime -cpu-used 8 -b:v 500k -c:a libopus",
        ),
        row(
            "vp9 and opus",
            "webm",
            "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 500k -c:a libopus",
        ),
        row(
            "av1 and opus",
            "webm",
            "-c:v libaom-av1 -usage realtime -cpu-used 8 -b:v 500k -c:a libopus",
        ),
        Row {
            behind: 1.0,
            ..row("mpeg-4 and mp3", "avi", "-c:v mpeg4 -q:v 4 -c:a libmp3lame")
        },
        row(
            "prores and pcm",
            "mov",
            "-c:v prores_ks -profile:v 1 -c:a pcm_s16le",
        ),
        row(
            "h264 and aac in matroska",
            "mkv",
            "-c:v libx264 -preset ultrafast -bf 2 -c:a copy",
        ),
        row(
            "hevc and flac in matroska",
            "mkv",
            "-c:v libx265 -preset ultrafast -x265-params log-level=error:bframes=3 -c:a flac",
        ),
    ];
    all_play(&house, &rows).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn turned_uneven_odd_and_interlaced_pictures_come_out_right() {
    let house = House::new().await;
    let rows = [
        Row {
            size: (180, 320),
            // ffmpeg's `rotate=90` is counted against the clock: a player turns the picture by 90° with it.
            undo: "transpose=cclock",
            ..row("rotated", "mp4", "-c copy -metadata:s:v rotate=270")
        },
        row(
            "variable rate",
            "mp4",
            "-vf select='lt(mod(n\\,7)\\,5)+eq(mod(n\\,3)\\,0)' -fps_mode vfr -c:v libx264 -preset ultrafast -g 60 -c:a copy",
        ),
        row(
            "5.1",
            "mp4",
            "-c:v copy -af pan=5.1|FL=FL|FR=FR|FC=FL|LFE=FL|BL=FL|BR=FR -c:a aac",
        ),
        Row {
            // Even, as H.264 in 4:2:0 must be.
            size: (318, 180),
            ..row(
                "odd size",
                "webm",
                "-vf scale=319:179 -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 800k -c:a libopus",
            )
        },
        row(
            "interlaced",
            "mp4",
            "-vf setfield=tff -c:v libx264 -preset ultrafast -flags +ilme+ildct -c:a copy",
        ),
        row(
            "4:4:4",
            "mp4",
            "-c:v libx264 -preset ultrafast -pix_fmt yuv444p -c:a copy",
        ),
    ];
    all_play(&house, &rows).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_telling_files_come_out_of_a_bucket_as_they_do_of_a_directory() {
    let bucket = Bucket::new().await;
    let house = House::with(Some(bucket.store())).await;
    let rows = [
        copied("h264 and aac", "mp4", "-c copy"),
        row(
            "vp9 and opus",
            "webm",
            "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 500k -c:a libopus",
        ),
        Row {
            size: (180, 320),
            undo: "transpose=cclock",
            ..row("rotated", "mp4", "-c copy -metadata:s:v rotate=270")
        },
        Row {
            behind: 1.0,
            ..row("mpeg-4 and mp3", "avi", "-c:v mpeg4 -q:v 4 -c:a libmp3lame")
        },
        Row {
            sound: false,
            ..row(
                "hevc without sound",
                "mp4",
                "-c:v libx265 -preset ultrafast -tag:v hvc1 -x265-params log-level=error -an",
            )
        },
    ];
    let folder = tempfile::tempdir().expect("a temporary folder");
    for row in &rows {
        let file = make(row, folder.path());
        plays(&house, row, &file).await;
    }
    crate::support::eventually("everything is in the bucket", || async {
        let left = house.everything().await;
        match left.iter().find(|path| !path.starts_with("media/")) {
            None => Ok(()),
            Some(path) => Err(path.clone()),
        }
    })
    .await;
    house.close().await;
}

/// A house that has made nothing, and a file in a folder that goes with it.
async fn empty_house() -> (House, TempDir) {
    (
        House::new().await,
        tempfile::tempdir().expect("a temporary folder"),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_video_is_refused_and_told_apart() {
    let (house, folder) = empty_house().await;
    let at = |name: &str| folder.path().join(name);
    let clip_bytes = std::fs::read(clip()).expect("the clip");

    std::fs::write(at("empty.mp4"), b"").expect("room");
    std::fs::write(at("text.mp4"), "#EXTM3U\nhttp://127.0.0.1/x.ts\n").expect("room");
    std::fs::write(at("noise.webm"), vec![0x5a; 50_000]).expect("room");
    for name in ["empty.mp4", "text.mp4", "noise.webm"] {
        let why = house.refusal(&at(name), FOUR_HOURS_MS).await;
        assert!(
            matches!(why, Refused::Container | Refused::Unreadable),
            "{name}: {why:?}"
        );
    }
    // The index of the clip lies at its end.
    for percent in [5, 25, 50, 75, 95] {
        let file = at("cut.mp4");
        std::fs::write(&file, &clip_bytes[..clip_bytes.len() * percent / 100]).expect("room");
        let why = house.refusal(&file, FOUR_HOURS_MS).await;
        assert_eq!(why, Refused::Unreadable, "cut at {percent} %");
    }
    encode(&clip(), "-vn -c:a copy", &at("sound.mp4"));
    assert_eq!(
        house.refusal(&at("sound.mp4"), FOUR_HOURS_MS).await,
        Refused::NoVideo
    );
    let why = house.refusal(&clip(), 5_000).await;
    assert!(
        matches!(why, Refused::TooLong { lasts_ms, most_ms: 5_000 } if lasts_ms.abs_diff(10_000) < 100),
        "{why:?}"
    );
    // The wrong extension changes nothing.
    std::fs::copy(clip(), at("clip.avi")).expect("room");
    assert!(matches!(
        house.judge(&at("clip.avi"), FOUR_HOURS_MS).await.1,
        griot::media::video::Verdict::Accepted(_)
    ));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_cut_behind_its_index_is_played_as_far_as_it_goes() {
    let (house, folder) = empty_house().await;
    let whole = folder.path().join("whole.mp4");
    encode(&clip(), "-c copy -movflags +faststart", &whole);
    let bytes = std::fs::read(&whole).expect("the file");
    for percent in [20_u32, 35, 50, 70, 90] {
        let cut = folder.path().join(format!("cut-{percent}.mp4"));
        let kept = bytes.len() * usize::try_from(percent).expect("small") / 100;
        std::fs::write(&cut, &bytes[..kept]).expect("room");
        let id = house.send(&cut).await;
        let media = house.when_judged(id).await;
        assert_eq!(media.state, MediaState::Ready, "{percent} %: {media:?}");
        let seconds = media.duration.expect("a duration").0 as f64 / 90_000.0;
        let expected = 6.0 * f64::from(percent) / 100.0;
        assert!(
            (seconds - expected).abs() < 1.5,
            "{percent} % lasts {seconds} s"
        );
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hours_of_one_picture_a_second_are_too_long_for_one_door_and_play_behind_the_other() {
    let (house, folder) = empty_house().await;
    let file = folder.path().join("slow.mp4");
    let arguments = "-v error -f lavfi -i testsrc2=s=64x36:r=1:d=7200 -c:v libx264 -preset ultrafast -g 5 -pix_fmt yuv420p";
    let mut arguments: Vec<&str> = arguments.split_whitespace().collect();
    arguments.push(file.to_str().expect("UTF-8"));
    tool("ffmpeg", &arguments, None);
    assert!(matches!(
        house.refusal(&file, 60_000).await,
        Refused::TooLong {
            lasts_ms: 7_199_000..=7_201_000,
            ..
        }
    ));
    let id = house.send(&file).await;
    let media = house.when_judged(id).await;
    assert_eq!(media.state, MediaState::Ready, "{media:?}");
    let seconds = media.duration.expect("a duration").0 / 90_000;
    assert!((7_199..=7_200).contains(&seconds), "{seconds} s");
    let video = house.open(&media).await;
    let (playlist, whole) = put_together(video.rendition("source").expect("a rendition")).await;
    let all = folder.path().join("all.mp4");
    std::fs::write(&all, whole).expect("room");
    assert_eq!(packets(&all).video.len(), 7_200);
    assert!(playlist.matches("#EXTINF").count() > 1_000);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_it_was_filmed_is_in_no_object() {
    let (house, folder) = empty_house().await;
    // Three ways to say where: QuickTime's user data, its metadata keys, 3GPP's box.
    for (name, arguments) in [
        ("udta.mov", "-c copy -metadata location=+09.5370-013.6773/"),
        (
            "keys.mov",
            "-c copy -movflags use_metadata_tags -metadata com.apple.quicktime.location.ISO6709=+09.5370-013.6773/",
        ),
        ("loci.3gp", "-c copy -metadata location=+09.5370-013.6773/"),
    ] {
        let file = folder.path().join(name);
        encode(&clip(), arguments, &file);
        let sent = std::fs::read(&file).expect("the file");
        assert!(
            has(&sent, b"+09.5370") || has(&sent, b"loci"),
            "{name} says where"
        );
        let id = house.send(&file).await;
        house.when_complete(id).await;
    }
    let objects = &house.places.objects;
    let all = objects.list_all("").await.expect("a list");
    assert!(all.len() >= 3 * 4, "{all:?}");
    for object in all {
        let path = house
            .places
            .objects
            .path(&griot::objects::ObjectKey::parse(&object.path).expect("a key"));
        let bytes = std::fs::read(path.expect("a file")).expect("an object");
        for word in [
            &b"+09.5"[..],
            b"013.6773",
            b"\xa9xyz",
            b"loci",
            b"ISO6709",
            b"udta",
        ] {
            assert!(
                !has(&bytes, word),
                "{} holds {:?}",
                object.path,
                String::from_utf8_lossy(word)
            );
        }
    }
    house.close().await;
}

fn has(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}
