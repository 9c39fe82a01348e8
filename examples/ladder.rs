//! What a live's ladder costs, beside ffmpeg making the same one from the same film in the same run.
//!
//! `ladder GRIOT FOLDER [SECONDS]` prints a table and exits with 1 when a ladder takes more than 1.1 times ffmpeg's CPU.
//! `script/bench-ladder` builds and starts it. Frames go through [`Host::ladder`] as a live sends them: in parts of 200 ms.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use griot::av::{CodecConfig, Frame, Ticks, TrackKind, TrackSet};
use griot::pipeline::{
    AudioRung, Config, Host, LadderIn, LadderOut, LadderOutput, LivePlan, Output, Stills, VideoRung,
};
use tokio::time::{Instant, sleep_until};

type Failure = Box<dyn std::error::Error>;

/// Above so many times ffmpeg's CPU-seconds the bench fails.
const MOST: f64 = 1.1;
/// Width, height, kbit/s, as `pipelines/ladder.toml` has them.
const RUNGS: [(u32, u32, u32); 3] = [(1_280, 720, 2_500), (854, 480, 1_200), (640, 360, 700)];
/// As long as a part of a live, 90 kHz.
const PART: i64 = 18_000;
/// Seconds of real time for each measure that needs it.
const REAL_S: i64 = 10;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |what| arguments.next().ok_or(what);
    let (griot, folder) = (
        PathBuf::from(next("which griot?")?),
        PathBuf::from(next("which folder?")?),
    );
    let seconds: i64 = next("").map_or(Ok(20), |text| text.parse())?;
    std::fs::create_dir_all(&folder)?;
    let film = film(&folder, seconds)?;
    let mut config = Config::in_folder(folder.join("pipeline"));
    config.program = griot.canonicalize()?;
    let host = Host::new(config);
    let source = Source::of(&host, &film).await?;
    let mut out = std::io::stdout();
    let megabits = f64_of(source.bytes()) * 8.0 / 1e6;
    writeln!(
        out,
        "{seconds} s of 1080p30, {:.1} Mbit/s → 720p, 480p, 360p, AAC 64 kbit/s; load {}",
        megabits / f64_of(seconds),
        load()
    )?;

    // In turn, so that what else the machine does hits both.
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        ours.push(Measure::flat_out(&host, &source).await?);
        theirs.push(Ffmpeg::run(&film, &folder)?);
    }
    for (ours, theirs) in ours.iter().zip(&theirs) {
        writeln!(
            out,
            "flat out: griot {:.2} CPU-s (child {:.2}, host {:.2}), {:.1} MiB, {:.1} s | ffmpeg {:.2} CPU-s, {:.1} MiB, {:.1} s",
            ours.child_s + ours.host_s,
            ours.child_s,
            ours.host_s,
            ours.peak_mib,
            ours.wall_s,
            theirs.cpu_s,
            theirs.peak_mib,
            theirs.wall_s
        )?;
        writeln!(
            out,
            "  bytes of the rungs: griot {:?}, ffmpeg {:?}",
            ours.bytes, theirs.bytes
        )?;
    }
    let sum = |of: &mut dyn Iterator<Item = f64>| of.sum::<f64>();
    let ratio = sum(&mut ours.iter().map(|run| run.child_s + run.host_s))
        / sum(&mut theirs.iter().map(|run| run.cpu_s));
    writeln!(out, "ratio {ratio:.3} (at most {MOST}; 0.95 is the aim)")?;

    let real = Measure::real_time(&host, &source, 1).await?;
    for run in &real {
        writeln!(
            out,
            "real time: {:.2} cores (child {:.2}, host {:.3}), {:.1} MiB",
            (run.child_s + run.host_s) / f64_of(REAL_S),
            run.child_s / f64_of(REAL_S),
            run.host_s / f64_of(REAL_S),
            run.peak_mib
        )?;
        for (at, (width, height, _)) in RUNGS.iter().enumerate() {
            let (half, most) = run.latency_ms(at);
            writeln!(
                out,
                "  {width}×{height}: from the push to the frame p50 {half:.0} ms, p95 {most:.0} ms"
            )?;
        }
    }
    let socket = Measure::socket(&host, &source).await?;
    let sent = f64_of(source.bytes()) * 8.0 / 1e6 * f64_of(SOCKET_ROUNDS);
    writeln!(
        out,
        "protocol alone: {:.0} frames/s, {:.2} ms of CPU for each Mbit (child and host; {:.0} Mbit)",
        f64_of(i64::try_from(source.frames.len())? * SOCKET_ROUNDS) / socket.wall_s,
        (socket.child_s + socket.host_s) * 1_000.0 / sent,
        sent
    )?;
    for count in 1..=4 {
        let runs = Measure::real_time(&host, &source, count).await?;
        let lag = runs.iter().map(|run| run.lag_s).fold(0.0, f64::max);
        let cores: f64 =
            runs.iter().map(|run| run.child_s + run.host_s).sum::<f64>() / f64_of(REAL_S);
        let factor = f64_of(REAL_S) / (f64_of(REAL_S) + lag);
        writeln!(
            out,
            "{count} at once: {cores:.2} cores, real-time factor {factor:.2}, {lag:.1} s behind at the end"
        )?;
        if lag > 0.5 {
            break;
        }
    }
    if ratio > MOST {
        return Err(format!("{ratio:.2} times ffmpeg's CPU").into());
    }
    Ok(())
}

/// 1080p30 with moderate noise at 6 Mbit/s as OBS sends it: two B-frames, a key frame each two seconds.
fn film(folder: &Path, seconds: i64) -> Result<PathBuf, Failure> {
    let path = folder.join(format!("ladder-{seconds}.mp4"));
    if path.exists() {
        return Ok(path);
    }
    let half = folder.join("half.mp4");
    let picture = format!("testsrc2=s=1920x1080:r=30:d={seconds},noise=alls=6:allf=t");
    let sound = format!("sine=f=440:r=48000:d={seconds}");
    let mut command = Command::new("ffmpeg");
    command.args([
        "-v", "error", "-y", "-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &sound,
    ]);
    command.args("-c:v libx264 -preset veryfast -b:v 6M -maxrate 6M -bufsize 6M -g 60 -bf 2 -pix_fmt yuv420p".split(' '));
    command
        .args("-c:a aac -b:a 128k -ac 2".split(' '))
        .arg(&half);
    if !command.status()?.success() {
        return Err("ffmpeg makes no film".into());
    }
    std::fs::rename(half, &path)?;
    Ok(path)
}

#[derive(Clone, Debug, Default)]
struct Source {
    tracks: TrackSet,
    frames: Vec<Frame>,
}

impl Source {
    async fn of(host: &Host, film: &Path) -> Result<Self, Failure> {
        let mut running = host.demux(File::open(film)?).await?;
        let mut source = Self::default();
        while let Some(output) = running.next().await? {
            match output {
                Output::Track {
                    config: CodecConfig::Video(video),
                    ..
                } => source.tracks.video = Some(video),
                Output::Track {
                    config: CodecConfig::Audio(audio),
                    ..
                } => source.tracks.audio = Some(audio),
                Output::Frame { frame, .. } => source.frames.push(frame),
                _ => {}
            }
        }
        Ok(source)
    }

    fn bytes(&self) -> i64 {
        self.frames
            .iter()
            .map(|frame| i64::try_from(frame.data.len()).unwrap_or(0))
            .sum()
    }

    /// The decoding time in 90 kHz.
    fn at(&self, frame: &Frame) -> i64 {
        let rate = self
            .tracks
            .audio
            .as_ref()
            .map_or(1, |audio| i64::from(audio.sample_rate));
        match frame.track {
            TrackKind::Video => frame.dts.0,
            TrackKind::Audio => frame.dts.0 * 90_000 / rate,
        }
    }

    /// Parts, each with the time at which its last frame has come.
    fn parts(&self, until: i64) -> Vec<(i64, Vec<Frame>)> {
        let mut parts: Vec<(i64, Vec<Frame>)> = Vec::new();
        for frame in &self.frames {
            let end = (self.at(frame).div_euclid(PART) + 1) * PART;
            if end > until {
                continue;
            }
            match parts.last_mut() {
                Some((last, part)) if *last >= end => part.push(frame.clone()),
                _ => parts.push((end, vec![frame.clone()])),
            }
        }
        parts
    }

    fn plan(&self) -> LivePlan {
        LivePlan {
            video: self.tracks.video.clone(),
            audio: self.tracks.audio.clone(),
            pictures: RUNGS
                .iter()
                .map(|(width, height, max_kbps)| VideoRung {
                    width: *width,
                    height: *height,
                    max_kbps: *max_kbps,
                })
                .collect(),
            sounds: vec![AudioRung { kbps: 64 }],
            stills: Some(Stills {
                every: Duration::from_secs(10),
                width: 640,
            }),
        }
    }
}

/// What one ladder took.
#[derive(Debug, Default)]
struct Measure {
    child_s: f64,
    host_s: f64,
    wall_s: f64,
    peak_mib: f64,
    /// Of each rung of pictures.
    bytes: Vec<usize>,
    /// Milliseconds, for each rung.
    latencies: Vec<Vec<f64>>,
    /// Seconds that the last picture came out later than it was due.
    lag_s: f64,
}

/// How often the film goes through for the protocol alone.
const SOCKET_ROUNDS: i64 = 5;

impl Measure {
    fn latency_ms(&self, rung: usize) -> (f64, f64) {
        let mut all = self.latencies[rung].clone();
        all.sort_by(f64::total_cmp);
        let at = |percent: usize| {
            all.get(all.len() * percent / 100)
                .copied()
                .unwrap_or(f64::NAN)
        };
        (at(50), at(95))
    }

    fn note(&mut self, output: LadderOutput, pushed: &HashMap<i64, Instant>) {
        if let LadderOutput::Picture { picture, frame } = output {
            self.bytes[picture] += frame.data.len();
            if let Some(pushed) = pushed.get(&frame.pts.0) {
                self.latencies[picture].push(pushed.elapsed().as_secs_f64() * 1_000.0);
            }
        }
    }

    fn new() -> Self {
        Self {
            bytes: vec![0; RUNGS.len()],
            latencies: vec![Vec::new(); RUNGS.len()],
            ..Self::default()
        }
    }

    /// As fast as it goes.
    async fn flat_out(host: &Host, source: &Source) -> Result<Self, Failure> {
        Self::push_all(host, source.plan(), source.parts(i64::MAX)).await
    }

    /// Every frame over the socket, and nothing decoded: without a key frame no decoder begins.
    async fn socket(host: &Host, source: &Source) -> Result<Self, Failure> {
        let plan = LivePlan {
            audio: None,
            sounds: Vec::new(),
            ..source.plan()
        };
        let mut parts = Vec::new();
        for round in 0..SOCKET_ROUNDS {
            for (end, mut part) in source.parts(i64::MAX) {
                for frame in &mut part {
                    let later = round * 3_600 * 90_000;
                    (frame.dts, frame.pts, frame.key) = (
                        Ticks(frame.dts.0 + later),
                        Ticks(frame.pts.0 + later),
                        false,
                    );
                }
                parts.push((end, part));
            }
        }
        // What a start takes is no protocol.
        let start = Self::push_all(host, plan.clone(), parts[..1].to_vec()).await?;
        let mut all = Self::push_all(host, plan, parts).await?;
        all.child_s -= start.child_s;
        all.host_s -= start.host_s;
        all.wall_s -= start.wall_s;
        Ok(all)
    }

    async fn push_all(
        host: &Host,
        plan: LivePlan,
        parts: Vec<(i64, Vec<Frame>)>,
    ) -> Result<Self, Failure> {
        let mut measure = Self::new();
        let (started, host_before) = (Instant::now(), own_cpu_s());
        let (input, mut output) = host.ladder(plan).await?;
        let nobody = HashMap::new();
        let mut outputs = 0_u32;
        for (_, part) in parts {
            while input.push(part.clone()).is_err() {
                let Some(made) = output.next().await? else {
                    break;
                };
                measure.note(made, &nobody);
                outputs += 1;
                if outputs.is_multiple_of(64) {
                    measure.look(&output);
                }
            }
        }
        input.end();
        measure.look(&output);
        while let Some(made) = output.next().await? {
            measure.note(made, &nobody);
        }
        measure.child_s = output.cpu_s();
        measure.host_s = own_cpu_s() - host_before;
        measure.wall_s = started.elapsed().as_secs_f64();
        Ok(measure)
    }

    fn look(&mut self, output: &LadderOut) {
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let mib = output.memory_bytes() as f64 / f64::from(1 << 20);
        self.peak_mib = self.peak_mib.max(mib);
        self.child_s = output.cpu_s();
    }

    /// So many ladders at once, each fed as a live would.
    async fn real_time(host: &Host, source: &Source, count: usize) -> Result<Vec<Self>, Failure> {
        let mut ladders = Vec::new();
        for _ in 0..count {
            ladders.push(host.ladder(source.plan()).await?);
        }
        let host_before = own_cpu_s();
        let started = Instant::now();
        let runs = ladders
            .into_iter()
            .map(|ladder| Self::one_in_real_time(ladder, source, started));
        let mut done = futures_util::future::try_join_all(runs).await?;
        for measure in &mut done {
            measure.host_s = (own_cpu_s() - host_before) / f64_of(i64::try_from(count)?);
        }
        Ok(done)
    }

    async fn one_in_real_time(
        (input, mut output): (LadderIn, LadderOut),
        source: &Source,
        started: Instant,
    ) -> Result<Self, Failure> {
        let mut measure = Self::new();
        let mut pushed = HashMap::new();
        let begin = source.frames.first().map_or(0, |frame| source.at(frame));
        let due = |ticks: i64| {
            started + Duration::from_secs_f64(f64_of((ticks - begin).max(0)) / 90_000.0)
        };
        let parts = source.parts(begin + REAL_S * 90_000);
        let last = parts.last().map_or(0, |(end, _)| *end);
        let mut lost = 0;
        for (end, part) in parts {
            let at = due(end);
            loop {
                tokio::select! {
                    made = output.next() => match made? {
                        Some(made) => measure.note(made, &pushed),
                        None => break,
                    },
                    () = sleep_until(at) => break,
                }
            }
            let now = Instant::now();
            pushed.extend(
                part.iter()
                    .filter(|frame| frame.track == TrackKind::Video)
                    .map(|frame| (frame.pts.0, now)),
            );
            lost += i32::from(input.push(part).is_err());
            measure.look(&output);
        }
        input.end();
        while let Some(made) = output.next().await? {
            measure.note(made, &pushed);
        }
        measure.child_s = measure.child_s.max(output.cpu_s());
        measure.lag_s = due(last).elapsed().as_secs_f64() + f64::from(lost) * 0.2;
        Ok(measure)
    }
}

#[derive(Debug)]
struct Ffmpeg {
    cpu_s: f64,
    wall_s: f64,
    peak_mib: f64,
    bytes: Vec<u64>,
}

impl Ffmpeg {
    /// The same ladder: the same preset, rate control, key frames, and nothing held back.
    fn run(film: &Path, folder: &Path) -> Result<Self, Failure> {
        let scales = RUNGS.iter().enumerate().map(|(at, (width, height, _))| {
            format!("[s{at}]scale={width}:{height}:flags=bilinear[v{at}]")
        });
        let filter = format!(
            "[0:v]split=3[s0][s1][s2];{}",
            scales.collect::<Vec<_>>().join(";")
        );
        let mut command = Command::new("ffmpeg");
        command.args(["-benchmark", "-y", "-i"]).arg(film);
        command.args(["-filter_complex", &filter]);
        let path = |at: usize| folder.join(format!("ffmpeg-{at}.h264"));
        for (at, (_, _, kbps)) in RUNGS.iter().enumerate() {
            let (map, most) = (format!("[v{at}]"), format!("{kbps}k"));
            command.args([
                "-map", &map, "-c:v", "libx264", "-preset", "veryfast", "-crf", "23",
            ]);
            command.args([
                "-maxrate",
                &most,
                "-bufsize",
                &most,
                "-bf",
                "0",
                "-g",
                "60",
                "-sc_threshold",
                "0",
            ]);
            command.args([
                "-x264-params",
                "rc-lookahead=0:sync-lookahead=0:mbtree=0:sliced-threads=1:threads=1:keyint-min=60",
            ]);
            command.args(["-f", "h264"]).arg(path(at));
        }
        command
            .args("-map 0:a -c:a aac -b:a 64k -f adts".split(' '))
            .arg(folder.join("ffmpeg.aac"));
        let done = command.output()?;
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        // `bench: utime=1.23s stime=0.04s rtime=0.70s`, `bench: maxrss=123456kB`.
        let figure = |name: &str| -> Result<f64, Failure> {
            let (_, rest) = said
                .rsplit_once(&format!("{name}="))
                .ok_or_else(|| said.clone())?;
            let digits: String = rest
                .chars()
                .take_while(|c| c.is_ascii_digit() || *c == '.')
                .collect();
            Ok(digits.parse()?)
        };
        let bytes =
            (0..RUNGS.len()).map(|at| std::fs::metadata(path(at)).map_or(0, |file| file.len()));
        Ok(Self {
            cpu_s: figure("utime")? + figure("stime")?,
            wall_s: figure("rtime")?,
            peak_mib: figure("maxrss")? / 1_024.0,
            bytes: bytes.collect(),
        })
    }
}

/// User and system time of this process.
fn own_cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().unwrap_or("?").to_owned()
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn f64_of(count: i64) -> f64 {
    count as f64
}
