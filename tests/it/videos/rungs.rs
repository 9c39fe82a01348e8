//! What else is made of a video: smaller pictures, sound alone, a poster; and times that are out of the usual.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_picture_gets_rungs_a_poster_and_a_storyboard() {
    let (house, folder) = empty_house().await;
    let file = folder.path().join("large.mp4");
    encode(
        &clip(),
        "-vf scale=1280:720:flags=neighbor -c:v libx264 -preset ultrafast -g 60 -c:a copy",
        &file,
    );
    let id = house.send(&file).await;
    let media = house.when_complete(id).await;
    let video = house.open(&media).await;
    let text = String::from_utf8(video.multivariant().body.to_vec()).expect("text");
    let listed: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    // What a weak link can play comes first.
    assert_eq!(
        listed,
        ["480p/index.m3u8", "source/index.m3u8", "360p/index.m3u8"],
        "{text}"
    );
    for (name, size) in [("480p", (854, 480)), ("360p", (640, 360))] {
        let rung = fetch(&video, name, folder.path()).await;
        let probed = probe(&rung.mp4);
        assert_eq!(
            (
                probed["streams"][0]["width"].as_i64(),
                probed["streams"][0]["height"].as_i64()
            ),
            (Some(size.0), Some(size.1))
        );
        assert_numbers(&rung.mp4, "null", 0.0, name);
        let mut offsets = av_offset_s(&rung.mp4);
        offsets.truncate(6);
        assert!(
            offsets.iter().all(|offset| offset.abs() <= 0.04),
            "{name}: {offsets:?}"
        );
    }
    let files = house.store.media_files(id).await.expect("rows");
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["poster.jpg", "storyboard.jpg", "storyboard.vtt"]);
    assert_eq!((files[0].width, files[0].height), (Some(1_280), Some(720)));
    assert_eq!((files[1].width, files[1].height), (Some(960), Some(90)));
    assert!(media.blurhash.is_some());
    let runs = house
        .store
        .recording_of_media(id)
        .await
        .expect("rows")
        .expect("a recording")
        .runs;
    let bytes: i64 = runs.iter().map(|run| run.bytes).sum::<i64>()
        + files.iter().map(|file| file.bytes).sum::<i64>();
    assert_eq!(media.bytes, bytes);

    // Deleted: nothing of it stays, however often it is asked for.
    for _ in 0..2 {
        house.videos.remove(id).await.expect("it goes");
    }
    let left = house.everything().await;
    assert_eq!(
        left.len(),
        3,
        "the pictures are for others to remove: {left:?}"
    );
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_rung_shows_each_picture_at_its_time_the_largest_too() {
    let (house, folder) = empty_house().await;
    let file = folder.path().join("larger.mp4");
    encode(
        &clip(),
        "-t 2 -vf scale=1440:810:flags=neighbor -c:v libx264 -preset ultrafast -g 60 -c:a copy",
        &file,
    );
    let id = house.send(&file).await;
    let media = house.when_complete(id).await;
    let video = house.open(&media).await;
    let text = String::from_utf8(video.multivariant().body.to_vec()).expect("text");
    let listed: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let names = ["480p", "source", "720p", "360p"];
    assert_eq!(
        listed,
        names.map(|name| format!("{name}/index.m3u8")),
        "{text}"
    );
    let source = fetch(&video, "source", folder.path()).await;
    for name in names.into_iter().chain(["audio"]) {
        let rung = fetch(&video, name, folder.path()).await;
        assert_eq!(decode_errors(&rung.mp4), "", "{name}");
        assert_eq!(decode_errors(&rung.hls), "", "{name} by HLS");
        if name != "audio" {
            let positions = [0.1, 0.5, 0.9, 1.3, 1.8];
            assert_numbers_at(&positions, &rung.mp4, "null", 0.0, name);
            assert_numbers_at(&positions, &rung.hls, "null", 0.0, name);
        }
        let mut offsets = av_offset_between_s(&source.mp4, &rung.mp4);
        offsets.truncate(2);
        assert!(
            offsets.len() == 2 && offsets.iter().all(|offset| offset.abs() <= 0.04),
            "{name}: {offsets:?}"
        );
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_that_pause_and_sound_that_comes_late_keep_their_times() {
    let (house, folder) = empty_house().await;
    // A picture at 0, 1, 2, 14 and 15 s, and no sound; as it is, and encoded anew.
    for (name, codec) in [
        ("pauses.mp4", "-c:v libx264 -preset ultrafast -g 1"),
        ("pauses.webm", "-c:v libvpx -deadline realtime -cpu-used 8"),
    ] {
        let file = folder.path().join(name);
        let options = format!(
            "-t 16 -vf select='not(mod(n\\,30))',setpts='(N+11*gte(N\\,3))/TB' -fps_mode vfr -an {codec}"
        );
        encode(&clip(), &options, &file);
        let sent = seconds_of(&file);
        assert!(sent > 14.5, "{name} lasts {sent} s");
        let id = house.send(&file).await;
        let media = house.when_judged(id).await;
        assert_eq!(media.state, MediaState::Ready, "{name}: {media:?}");
        let made = media.duration.expect("a duration").0 as f64 / 90_000.0;
        assert!((made - sent).abs() < 1.1, "{name}: {made} s of {sent} s");
    }
    // Half a minute of pictures before the first sound.
    let file = folder.path().join("late.webm");
    let arguments = "-v error -f lavfi -i testsrc2=s=64x36:r=10:d=36 -itsoffset 30 -f lavfi -i sine=f=440:r=48000:d=6 \
         -map 0:v -map 1:a -c:v libvpx -deadline realtime -cpu-used 8 -c:a libopus";
    let mut arguments: Vec<&str> = arguments.split_whitespace().collect();
    arguments.push(file.to_str().expect("UTF-8"));
    tool("ffmpeg", &arguments, None);
    let id = house.send(&file).await;
    let media = house.when_judged(id).await;
    assert_eq!(media.state, MediaState::Ready, "{media:?}");
    let video = house.open(&media).await;
    let source = fetch(&video, "source", folder.path()).await;
    // Silence before it as pictures are: then the sound, at its time.
    let measured = "aresample=async=1:first_pts=0,silencedetect=n=-40dB:d=1,ametadata=print:file=-";
    let shown = source.mp4.to_str().expect("UTF-8");
    let arguments = [
        "-v",
        "error",
        "-nostdin",
        "-i",
        shown,
        "-map",
        "0:a",
        "-af",
        measured,
        "-f",
        "null",
        "/dev/null",
    ];
    let said = String::from_utf8(tool("ffmpeg", &arguments, None)).expect("text");
    let end = said
        .lines()
        .find_map(|line| line.strip_prefix("lavfi.silence_end="));
    let end: f64 = end
        .expect("silence before the sound")
        .parse()
        .expect("seconds");
    assert!((end - 30.0).abs() < 0.1, "the sound begins at {end} s");
    house.close().await;
}

fn seconds_of(file: &Path) -> f64 {
    let last = packets(file).video.into_iter().map(|packet| packet.pts_s);
    last.fold(0.0, f64::max)
}
