//! Probe reports beside ffprobe's.

use griot::pipeline::{Container, PipelineError, Refusal};

use super::films::{Bench, PLAIN, ffprobe, open};

#[tokio::test]
async fn a_probe_says_what_ffprobe_says() {
    let bench = Bench::new();
    let film = bench.film("film.mp4", PLAIN);
    let report = bench.host.probe(open(&film)).await.expect("a report");
    println!("{report:#?}");
    let told = ffprobe(&film);
    let video = &told["streams"][0];
    assert_eq!(report.container, Container::Mp4);
    assert_eq!(report.video.codec, video["codec_name"].as_str().unwrap());
    assert_eq!(
        i64::from(report.video.width),
        video["width"].as_i64().unwrap()
    );
    assert_eq!(
        report.video.frames.to_string(),
        video["nb_read_packets"].as_str().unwrap()
    );
}

#[tokio::test]
async fn a_text_is_no_container() {
    let bench = Bench::new();
    let text = bench.file("x.mp4", b"#EXTM3U\n");
    let refused = bench.host.probe(open(&text)).await;
    assert_eq!(refused, Err(PipelineError::Refused(Refusal::Container)));
}
