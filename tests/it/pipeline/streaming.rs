//! Frames that come out of children.

use griot::av::TrackKind;
use griot::pipeline::Output;

use super::films::{Bench, PLAIN, ffprobe, open};

#[tokio::test]
async fn a_demux_gives_every_packet() {
    let bench = Bench::new();
    let film = bench.film("film.mp4", PLAIN);
    let mut running = bench.host.demux(open(&film)).await.expect("a child");
    let (mut pictures, mut sounds) = (0, 0);
    while let Some(output) = running.next().await.expect("frames") {
        match output {
            Output::Frame { frame, .. } if frame.track == TrackKind::Video => pictures += 1,
            Output::Frame { .. } => sounds += 1,
            other => println!("{other:?}"),
        }
    }
    println!("{:?}", running.summary());
    let told = ffprobe(&film);
    let packets = |stream: usize| {
        told["streams"][stream]["nb_read_packets"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(pictures.to_string(), packets(0));
    assert_eq!(sounds.to_string(), packets(1));
}
