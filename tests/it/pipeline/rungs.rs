//! A ladder driven as a live drives it: a clip's frames in, what comes out kept and looked at.

use std::path::{Path, PathBuf};
use std::time::Duration;

use griot::av::{AudioConfig, CodecConfig, Frame, Ticks, TrackKind, TrackSet, VideoConfig};
use griot::pipeline::{
    AudioRung, LadderIn, LadderOut, LadderOutput, LivePlan, Output, PipelineError, Stills,
    VideoRung,
};

use super::films::{Bench, open};
use crate::support::tool;

/// What an encoder would have sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    pub(crate) tracks: TrackSet,
    /// In decoding order, both tracks.
    pub(crate) frames: Vec<Frame>,
}

impl Source {
    pub(crate) async fn of(bench: &Bench, film: &Path) -> Self {
        let mut running = bench.host.demux(open(film)).await.expect("a child");
        let mut source = Self::default();
        while let Some(output) = running.next().await.expect("frames") {
            match output {
                Output::Track { config, .. } => match config {
                    CodecConfig::Video(config) => source.tracks.video = Some(config),
                    CodecConfig::Audio(config) => source.tracks.audio = Some(config),
                },
                Output::Frame { frame, .. } => source.frames.push(frame),
                _ => {}
            }
        }
        source
    }

    pub(crate) fn of_track(&self, track: TrackKind) -> Vec<Frame> {
        let frames = self.frames.iter().filter(|frame| frame.track == track);
        frames.cloned().collect()
    }

    /// Presentation times of all pictures, and of the key frames, ascending.
    pub(crate) fn times(&self) -> (Vec<i64>, Vec<i64>) {
        times(&self.of_track(TrackKind::Video))
    }

    /// The same so many seconds later.
    pub(crate) fn later(mut self, seconds: i64) -> Self {
        let rate = self.rate();
        for frame in &mut self.frames {
            let scale = match frame.track {
                TrackKind::Video => 90_000,
                TrackKind::Audio => rate,
            };
            frame.dts = Ticks(frame.dts.0 + seconds * scale);
            frame.pts = Ticks(frame.pts.0 + seconds * scale);
        }
        self
    }

    pub(crate) fn rate(&self) -> i64 {
        let audio = self.tracks.audio.as_ref();
        audio.map_or(1, |audio| i64::from(audio.sample_rate))
    }

    /// In pieces as long as a part of a live.
    pub(crate) fn parts(&self) -> Vec<Vec<Frame>> {
        let rate = self.rate();
        let at = |frame: &Frame| match frame.track {
            TrackKind::Video => frame.dts.0 / 18_000,
            TrackKind::Audio => frame.dts.0 * 5 / rate,
        };
        let mut parts: Vec<Vec<Frame>> = Vec::new();
        let mut last = i64::MIN;
        for frame in &self.frames {
            if at(frame) > last || parts.is_empty() {
                parts.push(Vec::new());
                last = at(frame);
            }
            parts.last_mut().expect("a part").push(frame.clone());
        }
        parts
    }
}

pub(crate) fn times(frames: &[Frame]) -> (Vec<i64>, Vec<i64>) {
    let mut all: Vec<i64> = frames.iter().map(|frame| frame.pts.0).collect();
    all.sort_unstable();
    let keys = frames.iter().filter(|frame| frame.key);
    let mut keys: Vec<i64> = keys.map(|frame| frame.pts.0).collect();
    keys.sort_unstable();
    (all, keys)
}

/// What came out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Climbed {
    pub(crate) pictures: Vec<(Option<VideoConfig>, Vec<Frame>)>,
    pub(crate) sounds: Vec<(Option<AudioConfig>, Vec<Frame>)>,
    pub(crate) stills: Vec<(i64, Vec<u8>)>,
    pub(crate) decoded: Option<i64>,
}

impl Climbed {
    pub(crate) fn of(plan: &LivePlan) -> Self {
        Self {
            pictures: vec![(None, Vec::new()); plan.pictures.len()],
            sounds: vec![(None, Vec::new()); plan.sounds.len()],
            ..Self::default()
        }
    }

    pub(crate) fn take(&mut self, output: LadderOutput) {
        match output {
            LadderOutput::PictureConfig { picture, config } => {
                let CodecConfig::Video(config) = config else {
                    panic!("a sound among pictures")
                };
                assert_eq!(self.pictures[picture].0.replace(config), None, "once");
            }
            LadderOutput::Picture { picture, frame } => {
                assert_eq!(frame.dts, frame.pts);
                self.pictures[picture].1.push(frame);
            }
            LadderOutput::SoundConfig { sound, config } => {
                let CodecConfig::Audio(config) = config else {
                    panic!("a picture among sounds")
                };
                assert_eq!(self.sounds[sound].0.replace(config), None, "once");
            }
            LadderOutput::Sound { sound, frame } => self.sounds[sound].1.push(frame),
            LadderOutput::Still { at, jpeg } => self.stills.push((at.0, jpeg.to_vec())),
            LadderOutput::Position { decoded } => {
                assert!(self.decoded.is_none_or(|before| before <= decoded.0));
                self.decoded = Some(decoded.0);
            }
        }
    }
}

/// A ladder at work.
pub(crate) struct Climb {
    pub(crate) input: LadderIn,
    pub(crate) output: LadderOut,
    pub(crate) climbed: Climbed,
}

impl Climb {
    pub(crate) async fn start(bench: &Bench, plan: &LivePlan) -> Self {
        let (input, output) = bench.host.ladder(plan.clone()).await.expect("a child");
        Self {
            input,
            output,
            climbed: Climbed::of(plan),
        }
    }

    /// Takes one output. False: that was all.
    pub(crate) async fn step(&mut self) -> Result<bool, PipelineError> {
        match self.output.next().await? {
            Some(output) => self.climbed.take(output),
            None => return Ok(false),
        }
        Ok(true)
    }

    /// Pushes each part as soon as it is taken.
    pub(crate) async fn feed(&mut self, parts: Vec<Vec<Frame>>) -> Result<(), PipelineError> {
        for part in parts {
            while self.input.push(part.clone()).is_err() {
                self.listen().await?;
            }
        }
        Ok(())
    }

    /// Until all that was pushed has been read.
    pub(crate) async fn catch_up(&mut self) -> Result<(), PipelineError> {
        while self.input.waiting() > Duration::ZERO {
            self.listen().await?;
        }
        Ok(())
    }

    /// Takes an output if one comes soon: what the child reads is not always followed by one.
    async fn listen(&mut self) -> Result<(), PipelineError> {
        let soon = Duration::from_millis(50);
        if let Ok(goes_on) = tokio::time::timeout(soon, self.step()).await {
            assert!(goes_on?, "it ended while it was fed");
        }
        Ok(())
    }

    /// To the end.
    pub(crate) async fn finish(mut self) -> Result<Climbed, PipelineError> {
        self.input.end();
        while self.step().await? {}
        Ok(self.climbed)
    }
}

/// All of it, as fast as it goes.
pub(crate) async fn climb(
    bench: &Bench,
    plan: &LivePlan,
    source: &Source,
) -> Result<Climbed, PipelineError> {
    let mut climb = Climb::start(bench, plan).await;
    climb.feed(source.parts()).await?;
    climb.finish().await
}

/// A plan for a source, with pictures of these sizes.
pub(crate) fn plan(source: &Source, sides: &[(u32, u32)], kbps: &[u32]) -> LivePlan {
    let pictures = sides.iter().map(|(width, height)| VideoRung {
        width: *width,
        height: *height,
        max_kbps: 600,
    });
    LivePlan {
        video: source.tracks.video.clone().filter(|_| !sides.is_empty()),
        audio: source.tracks.audio.clone().filter(|_| !kbps.is_empty()),
        pictures: pictures.collect(),
        sounds: kbps.iter().map(|kbps| AudioRung { kbps: *kbps }).collect(),
        stills: None,
    }
}

pub(crate) fn with_stills(mut plan: LivePlan, source: &Source, every_s: u64) -> LivePlan {
    plan.video = source.tracks.video.clone();
    plan.stills = Some(Stills {
        every: Duration::from_secs(every_s),
        width: 128,
    });
    plan
}

/// The numbers that the boxes along the upper edge of the clips tell (fixtures/README.md), by ffmpeg's decoder.
pub(crate) fn numbers(bench: &Bench, config: &VideoConfig, frames: &[Frame]) -> Vec<u32> {
    let stream = bench.file("rung.h264", &annex_b(config, frames));
    numbers_of(&stream, config.width)
}

pub(crate) fn numbers_of(file: &Path, width: u32) -> Vec<u32> {
    // Of 320 pixels each box has 20; the middle of a box, some lines from the edge.
    let (boxes, step) = (12, width / 16);
    let filter = format!("crop={width}:2:0:{}:exact=1,format=gray", step / 4 * 2);
    let arguments = [
        "-v",
        "error",
        "-i",
        file.to_str().unwrap(),
        "-map",
        "0:v",
        "-vf",
        &filter,
        "-fps_mode",
        "passthrough",
        "-f",
        "rawvideo",
        "-",
    ];
    let gray = tool("ffmpeg", &arguments, None);
    let width = usize::try_from(width).unwrap();
    let rows = gray.chunks_exact(width * 2);
    rows.map(|rows| {
        (0..boxes).fold(0, |number, bit| {
            let middle = usize::try_from(bit * step + step / 2).unwrap();
            number | u32::from(rows[middle] > 150) << bit
        })
    })
    .collect()
}

/// As a raw stream (ISO/IEC 14496-10 annex B), with the configuration's parameter sets before it.
fn annex_b(config: &VideoConfig, frames: &[Frame]) -> Vec<u8> {
    let mut out = Vec::new();
    // avcC (14496-15 5.3.3.1): five bytes, then the SPS and the PPS, each with its length.
    let mut rest = &config.record[5..];
    for _ in 0..2 {
        let count = rest[0] & 31;
        rest = &rest[1..];
        for _ in 0..count {
            let length = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
            out.extend([0, 0, 0, 1]);
            out.extend(&rest[2..2 + length]);
            rest = &rest[2 + length..];
        }
    }
    for frame in frames {
        let mut rest = &frame.data[..];
        while let Some((length, behind)) = rest.split_first_chunk::<4>() {
            let length = usize::try_from(u32::from_be_bytes(*length)).unwrap();
            out.extend([0, 0, 0, 1]);
            out.extend(&behind[..length]);
            rest = &behind[length..];
        }
    }
    out
}

/// AAC-LC at 48 kHz in stereo as samples, left channel, where the first stands for the first frame's time.
pub(crate) fn samples(bench: &Bench, frames: &[Frame]) -> Vec<f32> {
    let mut stream = Vec::new();
    for frame in frames {
        // ADTS (ISO/IEC 14496-3 1.A.2.2): MPEG-4, no CRC; LC, 48 kHz, two channels.
        let length = u32::try_from(frame.data.len() + 7).unwrap();
        let [_, high, mid, low] = (length << 5).to_be_bytes();
        stream.extend([0xff, 0xf1, 0x4c, 0x80 | high & 3, mid, low | 0x1f, 0xfc]);
        stream.extend(&frame.data[..]);
    }
    let path = bench.file("rung.aac", &stream);
    let arguments = [
        "-v",
        "error",
        "-i",
        path.to_str().unwrap(),
        "-af",
        "pan=mono|c0=c0",
        "-f",
        "f32le",
        "-",
    ];
    floats(&tool("ffmpeg", &arguments, None))
}

/// A file's sound in the same form, 48 kHz, from time zero on.
pub(crate) fn samples_of(path: &Path) -> Vec<f32> {
    let arguments = [
        "-v",
        "error",
        "-i",
        path.to_str().unwrap(),
        "-map",
        "0:a",
        "-af",
        "aresample=48000:first_pts=0,pan=mono|c0=c0",
        "-f",
        "f32le",
        "-",
    ];
    floats(&tool("ffmpeg", &arguments, None))
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let words = bytes.chunks_exact(4);
    words
        .map(|word| f32::from_le_bytes(word.try_into().unwrap()))
        .collect()
}

/// Where the clicks of [`clicking`] lie in samples that begin at `begin`: the centre of the energy about each whole second,
/// in samples of 48 kHz after it; `None` where there is none.
pub(crate) fn clicks(
    samples: &[f32],
    begin: i64,
    seconds: std::ops::Range<i64>,
) -> Vec<Option<f64>> {
    const AROUND: i64 = 2_400;
    let at = |time: i64| -> f64 {
        let index = usize::try_from(time - begin).ok();
        index
            .and_then(|index| samples.get(index))
            .map_or(0.0, |sample| f64::from(*sample))
    };
    seconds
        .map(|second| {
            let middle = second * 48_000;
            let mut energy = 0.0;
            let mut moment = 0.0;
            for offset in -AROUND..AROUND {
                let power = at(middle + offset).powi(2);
                energy += power;
                #[expect(clippy::cast_precision_loss, reason = "small")]
                let offset = offset as f64;
                moment += power * offset;
            }
            (energy > 1.0).then(|| moment / energy)
        })
        .collect()
}

/// Six seconds with a click at each whole second, of the sound that the options describe, and a small picture.
pub(crate) fn clicking(bench: &Bench, name: &str, layout: &str, options: &[&str]) -> PathBuf {
    let path = bench.path(name);
    let click = "if(lt(mod(t+0.001,1),0.002)*gt(t,0.5),0.9*sin(2*PI*3000*t),0)";
    let sound =
        format!("aevalsrc=exprs='{click}':s=48000:d=6.5,aformat=channel_layouts=mono,pan={layout}");
    let mut arguments = vec![
        "-v",
        "error",
        "-y",
        "-f",
        "lavfi",
        "-i",
        "color=s=64x64:r=25:d=6.5",
    ];
    arguments.extend([
        "-f",
        "lavfi",
        "-i",
        &sound,
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
    ]);
    arguments.extend_from_slice(options);
    arguments.push(path.to_str().expect("UTF-8"));
    tool("ffmpeg", &arguments, None);
    path
}
