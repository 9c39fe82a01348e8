//! The matrix of encoders: what each of them was given to send is, packet by packet, what the recording holds.
//!
//! README.md shows the rows; `the_readme_shows_the_matrix` keeps both in step. OBS encodes by itself, so what it sent
//! only it knows: its row is `encoders::obs_streams_and_its_recording_decodes_clean`. gortmplib's is a capture,
//! `src/ingest/golden.rs`.

use std::path::{Path, PathBuf};

use crate::support::{
    Answer, Kept, Live, Member, Process, Server, decode_errors, eventually, ffmpeg5_publish,
    ffmpeg9_publish, fixture, gstreamer_publish, kept, librtmp_publish, packets, probe, saved,
};

/// ffmpeg closes with our acknowledgement unread, GStreamer drops what is in its muxer: the last packets may be lost.
const MAY_BE_LOST_AT_THE_END: usize = 3;

/// What the sentence of the last column of README's table means.
const SAME: &str = "every packet";

/// One encoder with what it sends.
struct Row {
    encoder: &'static str,
    sends: &'static str,
    /// CODECS of the multivariant playlist.
    codecs: &'static str,
    /// What is published, and which of its tracks.
    clips: &'static [&'static str],
    maps: &'static [&'static str],
    publish: fn(&[PathBuf], &[&str], &str) -> Process,
    /// What the recording is expected to hold.
    keeps: &'static str,
}

const BOTH: &[&str] = &["0:v", "0:a"];

fn rtmp2sink(clips: &[PathBuf], _: &[&str], address: &str) -> Process {
    gstreamer_publish(&clips[0], address)
}

fn rtmpsink(clips: &[PathBuf], _: &[&str], address: &str) -> Process {
    librtmp_publish(&clips[0], address)
}

const ROWS: [Row; 10] = [
    Row {
        encoder: "ffmpeg 5.1",
        sends: "H.264 with B-frames + AAC",
        codecs: "avc1.64000d,mp4a.40.2",
        clips: &["clip.mp4"],
        maps: BOTH,
        publish: ffmpeg5_publish,
        keeps: SAME,
    },
    Row {
        encoder: "ffmpeg 5.1",
        sends: "H.264 alone",
        codecs: "avc1.64000d",
        clips: &["clip.mp4"],
        maps: &["0:v"],
        publish: ffmpeg5_publish,
        keeps: SAME,
    },
    Row {
        encoder: "ffmpeg 5.1",
        sends: "AAC alone",
        codecs: "mp4a.40.2",
        clips: &["clip.mp4"],
        maps: &["0:a"],
        publish: ffmpeg5_publish,
        keeps: SAME,
    },
    Row {
        encoder: "ffmpeg 9.0",
        sends: "H.264 with B-frames + AAC",
        codecs: "avc1.64000d,mp4a.40.2",
        clips: &["clip.mp4"],
        maps: BOTH,
        publish: ffmpeg9_publish,
        keeps: SAME,
    },
    Row {
        encoder: "ffmpeg 9.0",
        sends: "HEVC + AAC",
        codecs: "hvc1.1.6.L60.90,mp4a.40.2",
        clips: &["hevc.mp4"],
        maps: BOTH,
        publish: ffmpeg9_publish,
        keeps: SAME,
    },
    Row {
        encoder: "ffmpeg 9.0",
        sends: "AV1 + Opus",
        codecs: "av01.0.00M.08,opus",
        clips: &["av1.mp4"],
        maps: BOTH,
        publish: ffmpeg9_publish,
        keeps: SAME,
    },
    Row {
        encoder: "ffmpeg 9.0",
        sends: "VP9 + Opus",
        codecs: "vp09.00.11.08,opus",
        clips: &["vp9.mp4"],
        maps: BOTH,
        publish: ffmpeg9_publish,
        keeps: SAME,
    },
    Row {
        encoder: "ffmpeg 9.0",
        sends: "multitrack: H.264, HEVC, two AAC",
        codecs: "avc1.64000d,mp4a.40.2",
        clips: &["clip.mp4", "hevc.mp4"],
        maps: &["0:v", "1:v", "0:a", "1:a"],
        publish: ffmpeg9_publish,
        keeps: "every packet of the first picture and the first sound",
    },
    Row {
        encoder: "GStreamer 1.22 `rtmp2sink`",
        sends: "H.264 with B-frames + AAC",
        codecs: "avc1.64000d,mp4a.40.2",
        clips: &["clip.mp4"],
        maps: BOTH,
        publish: rtmp2sink,
        keeps: SAME,
    },
    Row {
        encoder: "GStreamer 1.22 `rtmpsink` (librtmp 2.4)",
        sends: "H.264 with B-frames + AAC",
        codecs: "avc1.64000d,mp4a.40.2",
        clips: &["clip.mp4"],
        maps: BOTH,
        publish: rtmpsink,
        keeps: SAME,
    },
];

/// What other tests show.
const ELSEWHERE: [[&str; 3]; 2] = [
    [
        "OBS Studio 29.0",
        "H.264 + AAC, encoded by itself",
        "decodes without a complaint",
    ],
    [
        "gortmplib (MediaMTX), as captured",
        "H.264 with B-frames + AAC",
        "every packet reaches the packager",
    ],
];

/// README's rows.
fn table() -> String {
    let tested = ROWS.iter().map(|row| [row.encoder, row.sends, row.keeps]);
    tested
        .chain(ELSEWHERE)
        .map(|[encoder, sends, keeps]| format!("| {encoder} | {sends} | {keeps} |\n"))
        .collect()
}

#[test]
fn the_readme_shows_the_matrix() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(readme).expect("a readme");
    let head = "| encoder | sends | the recording has |\n|---|---|---|\n";
    let wanted = format!("{head}{}\n", table());
    assert!(readme.contains(&wanted), "README.md lacks:\n{wanted}");
}

#[tokio::test]
async fn every_encoder_of_the_matrix_is_recorded_packet_by_packet() {
    // All publish at once; the last is looked at some time after its goodbye.
    let server = Server::start_with(&[("GRIOT_LIVE_GOODBYE_GRACE", "120s")]).await;
    let mut published = Vec::new();
    for (number, row) in ROWS.iter().enumerate() {
        let member = server.member(&format!("encoder{number}")).await;
        let live = member.start_live(row.sends).await;
        let clips: Vec<PathBuf> = row.clips.iter().map(|clip| fixture(clip)).collect();
        let process = (row.publish)(&clips, row.maps, &live.rtmp_url);
        published.push((row, member, live, process));
    }

    let mut faults = Vec::new();
    for (row, member, live, process) in &published {
        process.succeeded().await;
        let outcome = match judge(&server, row, member, live).await {
            Ok(kept) => format!("{kept}, {:.3} s", kept.duration_s),
            Err(fault) => {
                faults.push(format!("{}, {}: {fault}", row.encoder, row.sends));
                format!("FAILED: {fault}")
            }
        };
        println!("| {} | {} | {outcome} |", row.encoder, row.sends);
    }

    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The finished recording of `live` against what was sent.
async fn judge(server: &Server, row: &Row, member: &Member, live: &Live) -> Result<Kept, String> {
    eventually("the encoder has gone", || async {
        let view = member.view(live.id).await;
        match view["status"].as_str() {
            Some("interrupted") => Ok(()),
            _ => Err(view),
        }
    })
    .await;
    let multivariant = Answer::of(server.client.get(&live.hls_url)).await;
    let multivariant = String::from_utf8(multivariant.expect(200).body).expect("UTF-8");
    let codecs = format!("CODECS=\"{}\"", row.codecs);
    if !multivariant.contains(&codecs) {
        return Err(format!("no {codecs} in\n{multivariant}"));
    }
    let (_, recording) = member.stop_and_download(live.id).await;
    let (_folder, file) = saved(&recording);

    let mut sent = packets(&fixture(row.clips[0]));
    if !row.maps.contains(&"0:v") {
        sent.video.clear();
    }
    if !row.maps.contains(&"0:a") {
        sent.audio.clear();
    }
    let kept = kept(&sent, &packets(&file))?;
    if kept.missing_at_the_end > MAY_BE_LOST_AT_THE_END {
        return Err(format!("{kept}"));
    }
    let complaints = decode_errors(&file);
    if !complaints.is_empty() {
        return Err(complaints);
    }
    let probed = probe(&file);
    let duration_s: f64 = probed["format"]["duration"]
        .as_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| format!("no duration in {probed}"))?;
    // RTMP's clock is milliseconds, and each end of the recording has passed through it.
    if (duration_s - kept.duration_s).abs() > 0.002 {
        return Err(format!("{duration_s} s, {} were sent", kept.duration_s));
    }
    Ok(kept)
}
