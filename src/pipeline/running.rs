//! One child at work: what it says, checked, until its end.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::net::unix::WriteHalf;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until, timeout};

use super::error::PipelineError;
use super::feed::Feed;
use super::interleave::Interleave;
use super::limits::{Kind, Limits};
use super::plan::Picture;
use super::process::{Child, Lines, of_status, printable, said_by};
use super::report::ProbeReport;
use super::vp8;
use super::wire::{self, Ending, Message, Track, TrackCodec, Work};
use crate::av::{CodecConfig, Frame, Ticks, Timescale, TrackKind};
use crate::flv;

/// How long a child that is fed may take to begin: a machine that is busy loads GStreamer slowly.
const BEGIN_WITHIN: Duration = Duration::from_secs(30);
/// How long a child that has said its last may take to end.
const END_WITHIN: Duration = Duration::from_secs(5);
/// What is read at once.
const READ_BYTES: usize = 64 << 10;
/// Pictures that cannot be used, in a row, before the file counts as broken.
const MAX_MALFORMED: u32 = 100;

/// What comes out of a child.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// The codec configuration of one of a rung's tracks, before its first frame; once for each track. A source that changes
    /// it on the way ends the call.
    Track {
        /// Place in the plan; 0 for a demux.
        rung: usize,
        /// As the packager wants it.
        config: CodecConfig,
    },
    /// An encoded frame, both tracks of a rung in one order. Times are on the source's own timeline: 0 is its beginning,
    /// what a decoder must throw away lies before it.
    Frame {
        /// Place in the plan; 0 for a demux.
        rung: usize,
        /// The frame.
        frame: Frame,
    },
    /// What a probe found.
    Report(Box<ProbeReport>),
    /// A picture of a video.
    Picture(Picture),
    /// How far the child is in the source.
    Progress {
        /// Milliseconds.
        position_ms: u64,
    },
    /// A poster of a live, at its presentation time in 90 kHz.
    Still {
        /// 90 kHz.
        at: Ticks,
        /// JPEG.
        jpeg: Bytes,
    },
    /// How far the decoder of a live is.
    Position {
        /// 90 kHz.
        decoded: Ticks,
    },
}

/// How a child ended.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// The source broke off before its end: what came out is shorter than it claims.
    pub truncated: bool,
    /// Seconds of CPU that the child took.
    pub cpu_s: f64,
}

/// A child at work. Ask it for the [`next`](Self::next) output until there is none; drop it to kill the child.
///
/// While nobody asks, the child soon waits: its socket is the only buffer. Only its silence while somebody asks counts
/// against it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    kind: Kind,
    limits: Limits,
    deadline: Instant,
    received: u64,
    input: BytesMut,
    lines: Lines,
    is_ready: bool,
    streams: Vec<Stream>,
    /// How many of the streams are pictures: the first ones.
    pictures: usize,
    rungs: Vec<RungState>,
    ready: VecDeque<Output>,
    malformed: u32,
    /// What the child is given while it works: a ladder's frames.
    feed: Option<Arc<Feed>>,
    /// Set with the child's last message.
    ending: Option<Ending>,
    summary: Summary,
    /// `None` while it runs; the label of metrics.
    outcome: Option<&'static str>,
    /// Given back when the child is gone.
    _place: Option<OwnedSemaphorePermit>,
}

/// One encoded stream of the child, checked by `flv`; shared by the rungs that name it.
#[derive(Debug)]
struct Stream {
    demuxer: flv::Demuxer,
    codec: Option<TrackCodec>,
    config: Option<CodecConfig>,
    timescale: Timescale,
    rungs: Vec<usize>,
}

#[derive(Debug)]
struct RungState {
    tracks: Interleave,
}

impl Running {
    pub(super) fn new(
        child: Child,
        work: Work,
        limits: Limits,
        place: Option<OwnedSemaphorePermit>,
    ) -> Self {
        let (streams, rungs) = layout(&work);
        let pictures = match &work {
            Work::Transcode(plan) => streams.len() - plan.sounds().len(),
            Work::Ladder(task) => task.pictures.len(),
            _ => 1,
        };
        let kind = work.kind();
        metrics::gauge!("griot_pipeline_children", "kind" => kind.as_str()).increment(1.0);
        Self {
            child,
            kind,
            limits,
            deadline: Instant::now() + limits.deadline,
            received: 0,
            input: BytesMut::new(),
            lines: Lines::default(),
            is_ready: false,
            streams,
            pictures,
            rungs,
            ready: VecDeque::new(),
            malformed: 0,
            feed: None,
            ending: None,
            summary: Summary::default(),
            outcome: None,
            _place: place,
        }
    }

    /// The same, of a child that is given frames while it works. It is silent only where it owes an answer to some.
    pub(super) fn fed_by(mut self, feed: Arc<Feed>) -> Self {
        self.feed = Some(feed);
        self
    }

    /// The next output; `None` when the child has ended well. Cancel safe. After an error the child is gone, and every
    /// further call is an error.
    ///
    /// # Errors
    /// The file is refused, the child broke a limit, or broke off.
    pub async fn next(&mut self) -> Result<Option<Output>, PipelineError> {
        if let Some(output) = self.ready.pop_front() {
            return Ok(Some(output));
        }
        match self.outcome {
            Some("done") => return Ok(None),
            Some(_) => return Err(PipelineError::Failed("the child is gone".to_owned())),
            None => {}
        }
        match self.advance().await {
            Ok(output) => Ok(output),
            Err(error) => {
                self.close(error.label()).await;
                Err(error)
            }
        }
    }

    /// How it ended; meaningful after [`next`](Self::next) has said `None`.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// The process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.process.id()
    }

    pub(super) fn missing(&self) -> Vec<String> {
        let ending = self.ending.as_ref();
        ending
            .map(|ending| ending.missing.clone())
            .unwrap_or_default()
    }

    async fn advance(&mut self) -> Result<Option<Output>, PipelineError> {
        loop {
            if let Some(output) = self.ready.pop_front() {
                return Ok(Some(output));
            }
            if self.ending.is_some() {
                self.wait_for_end().await?;
                return Ok(None);
            }
            let message = self.message().await?;
            self.take(message)?;
        }
    }

    /// The next message, or why there will be none.
    async fn message(&mut self) -> Result<Message, PipelineError> {
        let silence = Instant::now() + self.limits.silence;
        loop {
            if let Some(message) = self.parse()? {
                if let Some(feed) = &self.feed {
                    feed.heard();
                }
                return Ok(message);
            }
            self.input.reserve(READ_BYTES);
            let silence = match &self.feed {
                Some(feed) if self.is_ready => feed.hangs_at(self.limits.silence),
                Some(feed) => feed.hangs_at(self.limits.silence.max(BEGIN_WITHIN)),
                None => Some(silence),
            };
            let until = silence.map_or(self.deadline, |silence| silence.min(self.deadline));
            let (mut socket, into_socket) = self.child.socket.split();
            let said = self.child.said.as_ref();
            let mut heard = [0; 4_096];
            tokio::select! {
                biased;
                // Before the socket: a child that only prints must not wait for us for ever.
                read = said_by(said, &mut heard) => {
                    let goes_on = matches!(read, Ok(1..)) && self.lines.take(&heard[..read.unwrap_or(0)], self.kind);
                    if !goes_on {
                        self.child.said = None;
                    }
                }
                read = socket.read_buf(&mut self.input) => match read {
                    Ok(0) => return Err(self.ended_early().await),
                    Ok(_) => {}
                    Err(_) => return Err(self.ended_early().await),
                },
                wrote = write_some(self.feed.as_deref(), &into_socket) => {
                    // It has closed its end; what it said before that is still to be read.
                    if wrote.is_err() {
                        self.feed = None;
                    }
                }
                () = sleep_until(until) => {
                    return Err(if until == self.deadline {
                        PipelineError::Deadline(self.limits.deadline.as_secs())
                    } else {
                        PipelineError::Stalled(self.limits.silence.as_secs())
                    });
                }
            }
        }
    }

    fn parse(&mut self) -> Result<Option<Message>, PipelineError> {
        let protocol = |error: wire::WireError| PipelineError::Protocol(error.0);
        let Some(head) = self.input.first_chunk::<{ wire::HEAD_BYTES }>() else {
            return Ok(None);
        };
        let (length, kind) = wire::parse_head(*head).map_err(protocol)?;
        let whole = wire::HEAD_BYTES + length;
        if self.input.len() < whole {
            return Ok(None);
        }
        self.received += u64::try_from(whole).unwrap_or(u64::MAX);
        if self.received > self.limits.output_bytes {
            return Err(PipelineError::TooMuch(self.limits.output_bytes));
        }
        let message = self.input.split_to(whole).freeze();
        let message = Message::parse(kind, message.slice(wire::HEAD_BYTES..)).map_err(protocol)?;
        Ok(Some(message))
    }

    /// Only what a child of this kind says is taken.
    fn take(&mut self, message: Message) -> Result<(), PipelineError> {
        let is_first = !std::mem::replace(&mut self.is_ready, true);
        let moves = matches!(
            self.kind,
            Kind::Demux | Kind::Transcode | Kind::Webm | Kind::Ladder
        );
        match message {
            Message::Ready { version } if is_first => {
                if version != wire::VERSION {
                    return Err(PipelineError::Failed(
                        "the program was replaced while it ran; restart griot".to_owned(),
                    ));
                }
            }
            Message::Failed(why) => return Err(PipelineError::Failed(printable(&why, 300))),
            _ if is_first => return Err(PipelineError::Protocol("an answer before its time")),
            Message::Refused(refusal) => {
                return Err(PipelineError::Refused(refusal.bounded()));
            }
            Message::Report(report) if self.kind == Kind::Probe => {
                let report = report
                    .bounded()
                    .ok_or(PipelineError::Protocol("a report is out of range"))?;
                self.ready.push_back(Output::Report(Box::new(report)));
            }
            Message::Track(track) if moves => self.take_track(track)?,
            Message::Frame { stream, frame } if moves => self.take_frame(stream, frame)?,
            Message::Closed { stream } if moves => self.close_stream(stream)?,
            Message::Picture { index, at_ms, jpeg } if self.kind == Kind::Pictures => {
                self.ready
                    .push_back(Output::Picture(Picture { index, at_ms, jpeg }));
            }
            Message::Still { at, jpeg } if self.kind == Kind::Ladder => {
                self.ready.push_back(Output::Still { at, jpeg });
            }
            Message::Position(place) if self.kind == Kind::Ladder => {
                let feed = self.feed.as_ref();
                if !feed.is_none_or(|feed| feed.was_read(place.read)) {
                    return Err(PipelineError::Protocol("frames that it was not given"));
                }
                let decoded = place.decoded.map(|decoded| Output::Position { decoded });
                self.ready.extend(decoded);
            }
            Message::Progress { position_ms } => {
                self.ready.push_back(Output::Progress { position_ms });
            }
            Message::End(ending) => {
                for rung in 0..self.rungs.len() {
                    let mut frames = Vec::new();
                    self.rungs[rung].tracks.finish(&mut frames);
                    self.hand_out(rung, frames);
                }
                self.ending = Some(ending);
            }
            _ => return Err(PipelineError::Protocol("an answer that was not asked for")),
        }
        Ok(())
    }

    fn take_track(&mut self, track: Track) -> Result<(), PipelineError> {
        let broken = PipelineError::Protocol("a track does not parse");
        let stream = self
            .streams
            .get_mut(usize::from(track.stream))
            .ok_or(PipelineError::Protocol("an unknown stream"))?;
        let record = Bytes::from(hex::decode(&track.record).map_err(|_| broken.clone())?);
        let timescale = Timescale::new(track.timescale).ok_or(broken.clone())?;
        if stream.codec.is_some_and(|codec| codec != track.codec) {
            return Err(PipelineError::Protocol("a track changes its codec"));
        }
        let mut outputs = Vec::new();
        if track.codec == TrackCodec::Vp8 && self.kind == Kind::Webm {
            stream.codec = Some(track.codec);
            return Ok(());
        }
        let read = match (track.codec.video(), track.codec.audio()) {
            (Some(codec), _) => stream.demuxer.video_record(codec, record, &mut outputs),
            (None, Some(codec)) => stream.demuxer.audio_record(codec, record, &mut outputs),
            (None, None) => return Err(broken),
        };
        read.map_err(|_| broken)?;
        stream.codec = Some(track.codec);
        stream.timescale = timescale;
        self.take_outputs(usize::from(track.stream), outputs)
    }

    fn take_frame(&mut self, number: u8, frame: Frame) -> Result<(), PipelineError> {
        let number = usize::from(number);
        let stream = self
            .streams
            .get_mut(number)
            .ok_or(PipelineError::Protocol("an unknown stream"))?;
        let codec = stream
            .codec
            .ok_or(PipelineError::Protocol("a frame before its track"))?;
        let mut outputs = Vec::new();
        match (codec.video(), codec.audio()) {
            (Some(codec), _) => stream.demuxer.video_sample(codec, frame, &mut outputs),
            (None, Some(codec)) => stream.demuxer.audio_sample(codec, frame, &mut outputs),
            (None, None) if vp8::is_picture(&frame) => outputs.push(flv::Output::Frame(frame)),
            (None, None) => return Err(PipelineError::Protocol("a picture is no VP8")),
        }
        self.take_outputs(number, outputs)
    }

    fn close_stream(&mut self, number: u8) -> Result<(), PipelineError> {
        let number = usize::from(number);
        let stream = self
            .streams
            .get(number)
            .ok_or(PipelineError::Protocol("an unknown stream"))?;
        let track = if number < self.pictures {
            TrackKind::Video
        } else {
            TrackKind::Audio
        };
        for rung in stream.rungs.clone() {
            let mut frames = Vec::new();
            self.rungs[rung].tracks.close(track, &mut frames);
            self.hand_out(rung, frames);
        }
        Ok(())
    }

    /// What `flv` made of a child's word, handed to each rung that has the stream.
    fn take_outputs(
        &mut self,
        number: usize,
        outputs: Vec<flv::Output>,
    ) -> Result<(), PipelineError> {
        for output in outputs {
            let stream = &mut self.streams[number];
            match output {
                flv::Output::Config(config) => {
                    if stream.config.as_ref().is_some_and(|known| *known != config) {
                        if self.kind == Kind::Ladder {
                            return Err(PipelineError::Protocol("a rung changes its codec"));
                        }
                        // A rendition file has one configuration for each track.
                        return Err(PipelineError::Refused(super::Refusal::Unreadable));
                    }
                    stream.config = Some(config.clone());
                    for rung in stream.rungs.clone() {
                        let config = config.clone();
                        self.ready.push_back(Output::Track { rung, config });
                    }
                }
                flv::Output::Frame(frame) => {
                    self.malformed = 0;
                    let timescale = stream.timescale;
                    for rung in stream.rungs.clone() {
                        let state = &mut self.rungs[rung];
                        if frame.track == TrackKind::Audio {
                            state.tracks.set_audio_rate(timescale);
                        }
                        let mut frames = Vec::new();
                        state.tracks.push(frame.clone(), &mut frames);
                        self.hand_out(rung, frames);
                    }
                }
                flv::Output::Ignored(_) => {
                    self.malformed += 1;
                    if self.malformed > MAX_MALFORMED {
                        return Err(PipelineError::Refused(super::Refusal::Unreadable));
                    }
                }
            }
        }
        Ok(())
    }

    fn hand_out(&mut self, rung: usize, frames: Vec<Frame>) {
        let frames = frames
            .into_iter()
            .map(|frame| Output::Frame { rung, frame });
        self.ready.extend(frames);
    }

    /// After the last message: the process ends by itself, soon.
    async fn wait_for_end(&mut self) -> Result<(), PipelineError> {
        let ended = timeout(END_WITHIN, self.drain()).await;
        self.summary.cpu_s = self.cpu_seconds();
        self.summary.truncated = self.ending.as_ref().is_some_and(|ending| ending.truncated);
        if ended.is_err() {
            return Err(PipelineError::Stalled(END_WITHIN.as_secs()));
        }
        self.close("done").await;
        Ok(())
    }

    /// Reads until the child has closed its end; nothing more may come.
    async fn drain(&mut self) {
        let mut nothing = [0; 16];
        while let Ok(1..) = self.child.socket.read(&mut nothing).await {}
    }

    /// The socket ended before the last message.
    async fn ended_early(&mut self) -> PipelineError {
        self.summary.cpu_s = self.cpu_seconds();
        match timeout(END_WITHIN, self.child.process.wait()).await {
            Ok(Ok(status)) => of_status(status),
            Ok(Err(error)) => PipelineError::System(error.to_string()),
            Err(_) => PipelineError::Stalled(END_WITHIN.as_secs()),
        }
    }

    /// User and system time so far; of a child that has ended as long as it is not reaped.
    pub(super) fn cpu_seconds(&self) -> f64 {
        self.child.cpu_seconds().unwrap_or(self.summary.cpu_s)
    }

    /// What of it lies in memory now; 0 when it is gone.
    pub(super) fn resident_bytes(&self) -> u64 {
        self.child.resident_bytes()
    }

    async fn close(&mut self, outcome: &'static str) {
        if outcome != "done" {
            self.summary.cpu_s = self.cpu_seconds().max(self.summary.cpu_s);
        }
        self.child.kill();
        // Killed with -9, so this ends at once; a process that hangs in the kernel is reaped by the runtime later.
        let reaped = timeout(END_WITHIN, self.child.process.wait()).await;
        if reaped.is_err() {
            tracing::warn!(kind = self.kind.as_str(), "a killed child does not end");
        }
        self.count(outcome);
    }

    fn count(&mut self, outcome: &'static str) {
        if self.outcome.is_some() {
            return;
        }
        self.outcome = Some(outcome);
        let kind = self.kind.as_str();
        metrics::gauge!("griot_pipeline_children", "kind" => kind).decrement(1.0);
        metrics::counter!("griot_pipeline_children_total", "kind" => kind, "outcome" => outcome)
            .increment(1);
        metrics::gauge!("griot_pipeline_cpu_seconds", "kind" => kind).increment(self.summary.cpu_s);
        let cpu_ms = Duration::from_secs_f64(self.summary.cpu_s.max(0.0)).as_millis();
        tracing::debug!(kind, outcome, cpu_ms, "a pipeline child has ended");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.outcome.is_none() {
            self.summary.cpu_s = self.cpu_seconds();
            self.child.kill();
            self.count("cancelled");
        }
    }
}

/// Which streams a child has, and which rungs they belong to: pictures first, then one stream for each rate of sound.
fn layout(work: &Work) -> (Vec<Stream>, Vec<RungState>) {
    let stream = |rungs: Vec<usize>| Stream {
        demuxer: flv::Demuxer::new(),
        codec: None,
        config: None,
        timescale: Timescale::VIDEO,
        rungs,
    };
    match work {
        Work::Demux => {
            let rung = RungState {
                tracks: Interleave::new(true, true),
            };
            (vec![stream(vec![0]), stream(vec![0])], vec![rung])
        }
        Work::Transcode(plan) => {
            let streams = plan.streams().into_iter().map(stream).collect();
            let rungs = plan.rungs.iter().map(|rung| RungState {
                tracks: Interleave::new(rung.video.is_some(), rung.audio.is_some()),
            });
            (streams, rungs.collect())
        }
        Work::Webm(plan) => {
            let rung = RungState {
                tracks: Interleave::new(plan.video.is_some(), plan.audio.is_some()),
            };
            (vec![stream(vec![0]), stream(vec![0])], vec![rung])
        }
        // Each stream is a rung of its own: nothing waits for another.
        Work::Ladder(task) => {
            let streams = (0..task.streams()).map(|at| stream(vec![at]));
            let rungs = (0..task.streams()).map(|at| {
                let is_picture = at < task.pictures.len();
                RungState {
                    tracks: Interleave::new(is_picture, !is_picture),
                }
            });
            (streams.collect(), rungs.collect())
        }
        Work::Check | Work::Probe | Work::Pictures { .. } => (Vec::new(), Vec::new()),
    }
}

/// Gives a child some of what it is fed with; never returns for one that is not.
async fn write_some(feed: Option<&Feed>, socket: &WriteHalf<'_>) -> io::Result<()> {
    match feed {
        Some(feed) => feed.write(socket).await,
        None => std::future::pending().await,
    }
}
