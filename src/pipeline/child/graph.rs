//! The graphs of `pipelines/`, as bins.

use gstreamer as gst;
use gstreamer_app as gst_app;

use gst::prelude::*;

use super::Trouble;

/// A graph's text, built in.
macro_rules! graph {
    ($name:literal) => {
        Graph {
            name: $name,
            text: include_str!(concat!("../../../pipelines/", $name, ".launch")),
        }
    };
}

/// One file of `pipelines/`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Graph {
    name: &'static str,
    text: &'static str,
}

pub(super) const PICTURE: Graph = graph!("upload/picture");
pub(super) const PICTURE_PLAIN: Graph = graph!("upload/picture-plain");
pub(super) const SIZE: Graph = graph!("upload/size");
pub(super) const RUNG: Graph = graph!("upload/rung");
pub(super) const RUNG_OPENH264: Graph = graph!("upload/rung-openh264");
pub(super) const SOUND: Graph = graph!("upload/sound");
pub(super) const SOUND_VOAAC: Graph = graph!("upload/sound-voaac");
pub(super) const STILL: Graph = graph!("upload/still");
pub(super) const WEBM_PICTURE: Graph = graph!("recording/picture");
pub(super) const WEBM_SOUND: Graph = graph!("recording/sound");
pub(super) const LIVE_PICTURE: Graph = graph!("live/picture");
pub(super) const LIVE_RUNG: Graph = graph!("live/rung");
pub(super) const LIVE_RUNG_OPENH264: Graph = graph!("live/rung-openh264");
pub(super) const LIVE_SOUND: Graph = graph!("live/sound");
pub(super) const LIVE_SOUND_VOAAC: Graph = graph!("live/sound-voaac");
pub(super) const LIVE_STILL: Graph = graph!("live/still");

impl Graph {
    /// The graph as a bin with a pad `sink`, and `src` where it does not end in an appsink.
    pub(super) fn load(&self) -> Result<gst::Bin, Trouble> {
        let lines = self.text.lines();
        let code: Vec<&str> = lines
            .filter(|line| !line.trim_start().starts_with('#'))
            .collect();
        let mut context = gst::ParseContext::new();
        let flags = gst::ParseFlags::FATAL_ERRORS;
        let made = gst::parse::bin_from_description_full(
            &code.join("\n"),
            true,
            Some(&mut context),
            flags,
        );
        let failed = |why: String| Trouble::Failed(format!("{}: {why}", self.name));
        let made = made.map_err(|error| {
            let missing = context.missing_elements().join(", ");
            failed(format!("{error} {missing}"))
        })?;
        made.downcast::<gst::Bin>()
            .map_err(|_| failed("it is no bin".to_owned()))
    }
}

/// The element of that name in a graph.
pub(super) fn named(bin: &gst::Bin, name: &str) -> Result<gst::Element, Trouble> {
    bin.by_name(name)
        .ok_or_else(|| Trouble::Failed(format!("a graph has no element {name}")))
}

/// The graph's end.
pub(super) fn outlet(bin: &gst::Bin) -> Result<gst_app::AppSink, Trouble> {
    named(bin, "out")?
        .downcast()
        .map_err(|_| Trouble::Failed("`out` is no appsink".to_owned()))
}

/// Whether this machine has the element.
pub(super) fn has(element: &str) -> bool {
    gst::ElementFactory::find(element).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second of test picture or sound through the graph; the buffers that came out.
    fn run(graph: Graph, source: &str) -> usize {
        gst::init().unwrap();
        super::super::scaler::register().unwrap();
        let bin = graph.load().unwrap_or_else(|error| panic!("{error:?}"));
        let pipeline = gst::Pipeline::new();
        let source = gst::parse::bin_from_description(source, true).unwrap();
        pipeline.add_many([&source, &bin]).unwrap();
        source.link(&bin).unwrap();
        let sink = match outlet(&bin) {
            Ok(sink) => sink,
            Err(_) => {
                let sink = gst_app::AppSink::builder().build();
                pipeline.add(&sink).unwrap();
                bin.link(&sink).unwrap();
                sink
            }
        };
        sink.set_sync(false);
        pipeline.set_state(gst::State::Playing).unwrap();
        let mut buffers = 0;
        while let Some(sample) = sink.try_pull_sample(gst::ClockTime::from_seconds(60)) {
            assert!(sample.buffer().is_some_and(|buffer| buffer.size() > 0));
            buffers += 1;
        }
        assert!(sink.is_eos(), "{} hangs", graph.name);
        pipeline.set_state(gst::State::Null).unwrap();
        buffers
    }

    const PICTURES: &str = "videotestsrc num-buffers=25 ! capsfilter caps=video/x-raw,width=320,height=180,framerate=25/1";
    const SOUNDS: &str = "audiotestsrc num-buffers=47 samplesperbuffer=1024 ! capsfilter caps=audio/x-raw,rate=48000,channels=1";

    #[test]
    fn each_graph_of_pictures_runs_and_loses_none() {
        let of_uploads = [PICTURE, PICTURE_PLAIN, SIZE, RUNG, RUNG_OPENH264, STILL];
        let of_lives = [LIVE_PICTURE, LIVE_RUNG, LIVE_RUNG_OPENH264, LIVE_STILL];
        let all = of_uploads.into_iter().chain(of_lives);
        for graph in all.chain([WEBM_PICTURE]) {
            assert_eq!(run(graph, PICTURES), 25, "{}", graph.name);
        }
    }

    #[test]
    fn each_graph_of_sound_runs_and_loses_none() {
        for graph in [SOUND, SOUND_VOAAC, LIVE_SOUND, LIVE_SOUND_VOAAC] {
            let frames = run(graph, SOUNDS);
            // What an encoder holds back at its ends.
            assert!((46..=50).contains(&frames), "{}: {frames}", graph.name);
        }
        // 48,128 samples in packets of 960, and 312 that come first.
        assert_eq!(run(WEBM_SOUND, SOUNDS), 51);
    }

    #[test]
    fn every_file_of_the_folder_is_built_in_and_every_element_has_a_name() {
        let of_uploads = [
            PICTURE,
            PICTURE_PLAIN,
            SIZE,
            RUNG,
            RUNG_OPENH264,
            SOUND,
            SOUND_VOAAC,
            STILL,
        ];
        let of_lives = [
            LIVE_PICTURE,
            LIVE_RUNG,
            LIVE_RUNG_OPENH264,
            LIVE_SOUND,
            LIVE_SOUND_VOAAC,
            LIVE_STILL,
        ];
        let graphs: Vec<Graph> = of_uploads.into_iter().chain(of_lives).collect();
        let graphs = [graphs, vec![WEBM_PICTURE, WEBM_SOUND]].concat();
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/pipelines");
        let on_disk = ["upload", "live", "recording"].map(|kind| {
            let folder = std::path::Path::new(folder).join(kind);
            std::fs::read_dir(folder).unwrap().count()
        });
        assert_eq!(on_disk.iter().sum::<usize>(), graphs.len());
        for graph in graphs {
            let code = graph.text.lines().filter(|line| !line.starts_with('#'));
            let code = code.collect::<Vec<_>>().join(" ");
            for element in code.split(" ! ").map(str::trim) {
                let element = element.trim_start_matches("! ");
                assert!(element.contains(" name="), "{}: {element}", graph.name);
            }
        }
    }
}
