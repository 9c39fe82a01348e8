//! What happens in the middle of a publish: changed configurations, clocks that jump, stall and wrap.
//!
//! Each test sends a clip as a sequence of tags, and says what the recording holds then: which packets (by hash), how
//! long, and sound against picture by the flash and the beep of each second.

use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    Answer, Live, Member, Packet, Packets, Player, Playlist, Server, Tag, TagEncoder, av_offset_s,
    clip, decode_errors, other_clip, packets, probe, tags,
};

const COPY: &[&str] = &["-map", "0:v?", "-map", "0:a?", "-c", "copy"];
/// What people do not notice: sound against picture.
const IN_STEP_S: f64 = 0.020;

/// What a publish left behind.
struct Recorded {
    view: Value,
    replay: Playlist,
    replay_url: String,
    files: Vec<PathBuf>,
    _server: Server,
    _folder: TempDir,
}

impl Recorded {
    /// Publishes `film` in one go.
    async fn of(film: &[Tag]) -> Self {
        let (server, member, live) = studio().await;
        let mut encoder = TagEncoder::publish(&server, &live).await;
        encoder.send(film).await;
        encoder.goodbye().await;
        Self::stop(server, &member, &live).await
    }

    /// The encoder has said goodbye: the owner stops.
    async fn stop(server: Server, member: &Member, live: &Live) -> Self {
        member.view_when(live.id, "interrupted").await;
        member.stop(live.id).await.expect(200);
        let view = member.view_when_recorded(live.id).await;
        let player = Player::open(&server, &live.hls_url).await;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut files = Vec::new();
        for (number, run) in view["recording"]["runs"]
            .as_array()
            .expect("runs")
            .iter()
            .enumerate()
        {
            let url = run["mp4_url"].as_str().expect("each run has its file");
            let bytes = Answer::of(server.client.get(url)).await.expect(200).body;
            let file = folder.path().join(format!("{number}.mp4"));
            std::fs::write(&file, bytes).expect("room");
            assert_eq!(decode_errors(&file), "", "run {number}");
            files.push(file);
        }
        Self {
            view,
            replay: player.now().await,
            replay_url: player.address().to_string(),
            files,
            _server: server,
            _folder: folder,
        }
    }

    fn one_file(&self) -> &PathBuf {
        assert_eq!(self.files.len(), 1, "{}", self.view);
        assert!(
            !self.replay.text.contains("#EXT-X-DISCONTINUITY"),
            "{}",
            self.replay.text
        );
        &self.files[0]
    }

    fn discontinuities(&self) -> usize {
        let segments = self.replay.segments.iter();
        segments.filter(|segment| segment.discontinuity).count()
    }
}

async fn studio() -> (Server, Member, Live) {
    let server = Server::start().await;
    let member = server.member("aissatou").await;
    let live = member.start_live("Au milieu").await;
    (server, member, live)
}

fn film() -> Vec<Tag> {
    tags(&clip(), COPY)
}

/// The film with the clock changed from `from_ms` on.
fn film_with(from_ms: i64, change: impl Fn(&Tag) -> Tag) -> Vec<Tag> {
    film()
        .iter()
        .map(|tag| match tag.ms >= from_ms {
            true => change(tag),
            false => tag.clone(),
        })
        .collect()
}

fn hashes(track: &[Packet]) -> Vec<&str> {
    track.iter().map(|packet| packet.hash.as_str()).collect()
}

/// Each picture that was sent is there, in its order, and nothing else.
fn assert_all_pictures(recorded: &Packets, sent: &Packets) {
    assert_eq!(hashes(&recorded.video), hashes(&sent.video), "pictures");
}

/// Each packet of sound is there, in its order, but the one that ends with the first picture's beginning, and `lost` ones;
/// silence may be between them.
fn assert_sound(recorded: &Packets, sent: &Packets, lost: usize) {
    let kept = hashes(&recorded.audio);
    let mut at = 0;
    let mut found = 0;
    for hash in hashes(&sent.audio) {
        if let Some(next) = kept[at..].iter().position(|kept| *kept == hash) {
            at += next + 1;
            found += 1;
        }
    }
    assert!(
        found + lost + 1 >= sent.audio.len(),
        "{found} of {} packets of sound, {lost} may be lost",
        sent.audio.len()
    );
}

fn assert_in_step(file: &std::path::Path, seconds: usize) {
    let offsets = av_offset_s(file);
    assert!(offsets.len() >= seconds, "{offsets:?}");
    assert!(
        offsets.iter().all(|offset| offset.abs() <= IN_STEP_S),
        "beep minus flash, seconds: {offsets:?}"
    );
}

fn duration_s(file: &std::path::Path) -> f64 {
    let probed = probe(file);
    let text = probed["format"]["duration"].as_str();
    text.and_then(|text| text.parse().ok()).expect("a duration")
}

/// One run, every packet, in step, as long as the film and `longer_s`.
fn assert_whole(recorded: &Recorded, lost_sound: usize, longer_s: f64) {
    let file = recorded.one_file();
    let (kept, sent) = (packets(file), packets(&clip()));
    assert_all_pictures(&kept, &sent);
    assert_sound(&kept, &sent, lost_sound);
    assert_in_step(file, 9);
    let duration_s = duration_s(file);
    assert!(
        (duration_s - 10.0 - longer_s).abs() < 0.06,
        "{duration_s} s, expected {}",
        10.0 + longer_s
    );
}

#[tokio::test]
async fn a_clock_may_start_anywhere_and_wrap_at_either_width() {
    const WIDE: i64 = 1 << 32;
    const NARROW: i64 = 1 << 31;
    // Anywhere; over 2^31 with a clock of 32 bits; over 2^32; over 2^31 with ffmpeg's clock.
    for (start_ms, width) in [
        (123_456_789, WIDE),
        (NARROW - 3_000, WIDE),
        (WIDE - 3_000, WIDE),
        (NARROW - 3_000, NARROW),
    ] {
        let film: Vec<Tag> = film()
            .into_iter()
            .map(|tag| Tag {
                ms: (tag.ms + start_ms).rem_euclid(width),
                ..tag
            })
            .collect();
        assert_whole(&Recorded::of(&film).await, 0, 0.0);
    }
}

#[tokio::test]
async fn a_clock_that_jumps_far_goes_on_where_it_was_and_loses_nothing() {
    // Within a GOP, so that no key frame comes with the jump.
    for jump_ms in [12_000, 3_600_000, -300, -3_600_000] {
        let film = film_with(4_700, |tag| tag.later(jump_ms));
        let film: Vec<Tag> = film.iter().map(|tag| tag.later(4_000_000)).collect();
        assert_whole(&Recorded::of(&film).await, 0, 0.0);
    }
}

#[tokio::test]
async fn a_clock_whose_tracks_jump_one_after_the_other_loses_nothing() {
    // Pictures jump a quarter of a second before the sound does.
    let film: Vec<Tag> = film()
        .iter()
        .map(|tag| {
            let jumps = tag.ms >= if tag.sound { 4_950 } else { 4_700 };
            tag.later(if jumps { 3_600_000 } else { 0 })
        })
        .collect();
    assert_whole(&Recorded::of(&film).await, 2, 0.0);
}

#[tokio::test]
async fn a_clock_that_jumps_a_little_leaves_a_still_picture_and_silence() {
    let film = film_with(4_700, |tag| tag.later(5_000));
    assert_whole(&Recorded::of(&film).await, 0, 5.0);
}

#[tokio::test]
async fn an_encoder_that_stalls_and_bursts_loses_nothing() {
    let (server, member, live) = studio().await;
    let film = film();
    let (before, after) = film.split_at(film.iter().position(|tag| tag.ms > 4_700).expect("10 s"));
    let mut encoder = TagEncoder::publish(&server, &live).await;
    encoder.send(before).await;
    // Three seconds without media.
    member.view_when(live.id, "interrupted").await;
    encoder.send(after).await;
    member.view_when(live.id, "live").await;
    encoder.goodbye().await;
    assert_whole(&Recorded::stop(server, &member, &live).await, 0, 0.0);
}

#[tokio::test]
async fn a_phone_whose_pictures_come_early_and_late_has_parts_all_the_same() {
    // Up to 9 ms beside their time, sound as it should be.
    let film: Vec<Tag> = film()
        .iter()
        .enumerate()
        .map(|(number, tag)| {
            let jitter = i64::try_from(number * 7_919 % 19).expect("small");
            tag.later(if tag.sound { 9 } else { jitter })
        })
        .collect();
    let (server, member, live) = studio().await;
    let mut encoder = TagEncoder::publish(&server, &live).await;
    encoder.claim(&[("framerate", 30.0)]).await;
    encoder.send(&film).await;
    let player = Player::open(&server, &live.hls_url).await;
    let playlist = player.until_seconds(9.0).await;
    assert!(
        playlist.text.contains("#EXT-X-PART-INF:PART-TARGET=0.2\n"),
        "{}",
        playlist.text
    );
    let last = playlist.segments.last().expect("segments");
    let (_, whole) = last.parts.split_last().expect("parts");
    let lengths: Vec<f64> = whole.iter().map(|part| part.duration_s).collect();
    assert!(lengths.iter().all(|length| *length == 0.2), "{lengths:?}");
    encoder.goodbye().await;
    assert_whole(&Recorded::stop(server, &member, &live).await, 0, 0.0);
}

#[tokio::test]
async fn pictures_may_be_decoded_after_they_are_presented() {
    let film: Vec<Tag> = film()
        .iter()
        .map(|tag| match tag.sound {
            true => tag.clone(),
            false => tag.decoded_later(100),
        })
        .collect();
    assert_whole(&Recorded::of(&film).await, 5, 0.0);
}

#[tokio::test]
async fn two_pictures_may_have_one_decoding_time() {
    let mut film = film();
    let mut before = None;
    for (number, tag) in film
        .iter_mut()
        .filter(|tag| !tag.sound && !tag.is_config())
        .enumerate()
    {
        let own = tag.ms;
        if let Some(before) = before
            && number % 2 == 1
        {
            *tag = tag.decoded_later(before - own);
        }
        before = Some(own);
    }
    assert_whole(&Recorded::of(&film).await, 0, 0.0);
}

#[tokio::test]
async fn another_bit_rate_with_the_same_configuration_stays_in_the_same_run() {
    let encoded = |rate: &str| {
        let options = [
            "-t",
            "4",
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            // Something to spend bits on.
            "-vf",
            "noise=alls=30",
            "-level",
            "3",
            "-threads",
            "1",
            "-g",
            "30",
            "-b:v",
            rate,
            "-c:a",
            "copy",
        ];
        tags(&clip(), &options)
    };
    let (low, high) = (encoded("60k"), encoded("600k"));
    let configs = |tags: &[Tag]| -> Vec<Vec<u8>> {
        let configs = tags.iter().filter(|tag| tag.is_config());
        configs.map(|tag| tag.body.clone()).collect()
    };
    assert_eq!(configs(&low), configs(&high), "the bit rate alone differs");
    let bytes = |tags: &[Tag]| -> usize {
        let pictures = tags.iter().filter(|tag| !tag.sound);
        pictures.map(|tag| tag.body.len()).sum()
    };
    assert!(bytes(&high) > 2 * bytes(&low));
    let mut film = low;
    film.extend(high.iter().map(|tag| tag.later(4_000)));

    let recorded = Recorded::of(&film).await;

    assert_eq!(packets(recorded.one_file()).video.len(), 240);
    assert_in_step(recorded.one_file(), 7);
    let duration_s = duration_s(recorded.one_file());
    assert!((duration_s - 8.0).abs() < 0.06, "{duration_s} s");
}

#[tokio::test]
async fn another_resolution_begins_another_run_that_players_are_led_into() {
    let mut film: Vec<Tag> = film().into_iter().filter(|tag| tag.ms < 4_000).collect();
    film.extend(tags(&other_clip(), COPY).iter().map(|tag| tag.later(4_000)));

    let recorded = Recorded::of(&film).await;

    let runs = &recorded.view["recording"]["runs"];
    assert_eq!(
        (&runs[0]["width"], &runs[1]["width"]),
        (&320.into(), &240.into())
    );
    assert_eq!(recorded.files.len(), 2, "{runs}");
    let sent = [packets(&clip()), packets(&other_clip())];
    let kept = [packets(&recorded.files[0]), packets(&recorded.files[1])];
    assert_eq!(hashes(&kept[0].video), hashes(&sent[0].video)[..120]);
    assert_all_pictures(&kept[1], &sent[1]);
    assert_sound(&kept[1], &sent[1], 1);
    assert_in_step(&recorded.files[0], 3);
    assert_in_step(&recorded.files[1], 5);
    assert_led_over(&recorded, 10.0);
}

#[tokio::test]
async fn another_sample_rate_begins_another_run() {
    let mut film: Vec<Tag> = film().into_iter().filter(|tag| tag.ms < 4_000).collect();
    let resampled = tags(&clip(), &["-c:v", "copy", "-c:a", "aac", "-ar", "44100"]);
    // The picture's configuration is the same and is not repeated.
    let resampled = resampled.iter().filter(|tag| tag.sound || !tag.is_config());
    film.extend(resampled.map(|tag| tag.later(4_000)));

    let recorded = Recorded::of(&film).await;

    assert_eq!(recorded.files.len(), 2, "{}", recorded.view);
    let rate = |file| probe(file)["streams"][1]["sample_rate"].clone();
    assert_eq!(rate(&recorded.files[0]), "48000");
    assert_eq!(rate(&recorded.files[1]), "44100");
    let sent = packets(&clip());
    let kept = [packets(&recorded.files[0]), packets(&recorded.files[1])];
    assert_eq!(hashes(&kept[0].video), hashes(&sent.video)[..120]);
    assert_all_pictures(&kept[1], &sent);
    assert_in_step(&recorded.files[1], 9);
    assert_led_over(&recorded, 14.0);
}

#[tokio::test]
async fn sound_that_is_added_later_begins_another_run_at_the_next_key_frame() {
    // The first picture comes with no word of sound; 4.7 s is within a GOP of 2 s.
    let film: Vec<Tag> = film()
        .into_iter()
        .filter(|tag| !tag.sound || tag.ms >= 4_700 || tag.is_config())
        .map(|tag| match tag.sound && tag.is_config() {
            true => tag.later(4_700),
            false => tag,
        })
        .collect();
    let mut film = film;
    film.sort_by_key(|tag| tag.ms);

    let recorded = Recorded::of(&film).await;

    assert_eq!(recorded.files.len(), 2, "{}", recorded.view);
    assert!(recorded.view["recording"]["runs"][0]["audio_codec"].is_null());
    assert_eq!(recorded.view["recording"]["runs"][1]["audio_codec"], "aac");
    let sent = packets(&clip());
    let kept = [packets(&recorded.files[0]), packets(&recorded.files[1])];
    // Not one picture is lost: the run without sound goes on to the key frame at 6 s.
    assert_eq!(hashes(&kept[0].video), hashes(&sent.video)[..180]);
    assert_eq!(hashes(&kept[1].video), hashes(&sent.video)[180..]);
    assert_in_step(&recorded.files[1], 4);
    assert_joined(&recorded, 10.0);
}

#[tokio::test]
async fn sound_that_is_lost_is_silence_until_it_returns_in_step() {
    let film: Vec<Tag> = film()
        .into_iter()
        .filter(|tag| !tag.sound || !(3_500..6_500).contains(&tag.ms))
        .collect();

    let recorded = Recorded::of(&film).await;

    let file = recorded.one_file();
    let (kept, sent) = (packets(file), packets(&clip()));
    assert_all_pictures(&kept, &sent);
    // Three seconds of 46.9 packets.
    assert_sound(&kept, &sent, 142);
    // As long as ever: silence has taken its place.
    assert!(kept.audio.len().abs_diff(sent.audio.len()) <= 2);
    let offsets = av_offset_s(file);
    let heard = offsets.iter().filter(|offset| offset.abs() <= IN_STEP_S);
    // The beeps of 4, 5 and 6 s are gone.
    assert_eq!(heard.count(), 7, "{offsets:?}");
}

#[tokio::test]
async fn sound_that_never_returns_leaves_a_film_that_goes_on_in_silence() {
    let film: Vec<Tag> = film()
        .into_iter()
        .filter(|tag| !tag.sound || tag.ms < 3_500)
        .collect();

    let recorded = Recorded::of(&film).await;

    let file = recorded.one_file();
    let (kept, sent) = (packets(file), packets(&clip()));
    assert_all_pictures(&kept, &sent);
    let end_s = kept.audio.last().expect("sound").end_s;
    assert!((end_s - 10.0).abs() < 0.1, "sound ends at {end_s} s");
}

/// The playlist joins two runs by one dated DISCONTINUITY. (hls.js reads such playlists in `hls_rules`.)
fn assert_joined(recorded: &Recorded, seconds: f64) {
    assert_eq!(recorded.discontinuities(), 1, "{}", recorded.replay.text);
    let joined = recorded
        .replay
        .segments
        .iter()
        .find(|segment| segment.discontinuity)
        .expect("just counted");
    assert!(joined.program_date_time.is_some(), "{joined:?}");
    assert!(
        (recorded.replay.duration_s() - seconds).abs() < 0.15,
        "{}",
        recorded.replay.text
    );
}

/// The same, and ffmpeg finds every picture behind the one address: it can, where the tracks stay the same.
fn assert_led_over(recorded: &Recorded, seconds: f64) {
    assert_joined(recorded, seconds);
    let probed = probe(std::path::Path::new(&recorded.replay_url));
    let pictures: usize = recorded
        .files
        .iter()
        .map(|file| packets(file).video.len())
        .sum();
    assert_eq!(
        probed["streams"][0]["nb_read_packets"],
        pictures.to_string(),
        "{probed}"
    );
}
