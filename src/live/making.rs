//! What one run of a live is made into: its encoders, the child that has them, how far it is, and what is shed of it.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::config::{Config, LadderWish};
use super::ladder::Site;
use super::room::{Place, Room};
use super::rungs::RungPlan;
use super::shedding::{Measure, Order, Shedding, next};
use super::standing::{ChildView, NoLadder};
use super::transcoder::{Heard, Transcoder};
use crate::av::{Frame, Ticks, Timescale, TrackKind, TrackSet, VideoCodec, VideoConfig};
use crate::pipeline::{LadderOutput, LivePlan, Stills, cost_cores, encode_cores};

/// From one poster to the next.
const STILLS_EVERY: Duration = Duration::from_secs(10);
/// Pixels: what a card of the page's list shows on a dense screen.
const STILLS_WIDTH: u32 = 640;
/// Over which the real-time factor is measured.
const FACTOR_OVER: Duration = Duration::from_secs(2);

/// What child a plan needs.
fn live_plan(tracks: &TrackSet, plan: &RungPlan) -> LivePlan {
    let stills = tracks.video.as_ref().map(|video| Stills {
        every: STILLS_EVERY,
        width: STILLS_WIDTH.min(video.width.max(16)),
    });
    LivePlan {
        video: tracks.video.clone(),
        audio: tracks.audio.clone().filter(|_| !plan.sounds.is_empty()),
        pictures: plan.pictures.clone(),
        sounds: plan.sounds.clone(),
        stills,
    }
}

/// As many rungs as there is room for, and what kept others away.
pub(super) fn fitting(
    site: &Site,
    tracks: &TrackSet,
    frame_rate: (u32, u32),
) -> Result<(RungPlan, Option<NoLadder>), NoLadder> {
    let config = &site.deps.config;
    let with = |most| RungPlan::of(&config.ladder_table, tracks, frame_rate, most);
    let all = with(LivePlan::MAX_PICTURES);
    if all.rungs.is_empty() {
        return Err(NoLadder::NothingBelow);
    }
    if config.ladder == LadderWish::On {
        return Ok((all, None));
    }
    let free = site.room.free();
    let rate = per_second(frame_rate);
    for most in (0..=all.pictures.len()).rev() {
        let plan = with(most);
        if !plan.rungs.is_empty() && cost_cores(&live_plan(tracks, &plan), rate) <= free {
            let lacks = (plan.rungs.len() < all.rungs.len()).then_some(NoLadder::NoRoom);
            return Ok((plan, lacks));
        }
    }
    Err(NoLadder::NoRoom)
}

/// How many ladders of usual 1080p lives `auto` makes whole on this machine.
#[must_use]
pub fn ladders_that_fit(config: &Config) -> f64 {
    let video = VideoConfig {
        codec: VideoCodec::H264,
        width: 1_920,
        height: 1_080,
        record: Bytes::new(),
        codecs: String::new(),
    };
    let tracks = TrackSet {
        video: Some(video),
        audio: None,
    };
    let plan = RungPlan::of(
        &config.ladder_table,
        &tracks,
        (30, 1),
        LivePlan::MAX_PICTURES,
    );
    let cost = cost_cores(&live_plan(&tracks, &plan), 30.0);
    (Room::of_machine().free() / cost.max(f64::EPSILON)).floor()
}

fn per_second((frames, seconds): (u32, u32)) -> f64 {
    f64::from(frames) / f64::from(seconds.max(1))
}

/// The encoders of one run.
#[derive(Debug)]
pub(super) struct Making {
    plan: RungPlan,
    transcoder: Transcoder,
    shedding: Shedding,
    _place: Place,
    began: Instant,
    /// Since when the present child takes frames.
    child_since: Option<Instant>,
    refused: bool,
    counted_cpu: Duration,
    progress: Progress,
}

/// Media times, 90 kHz.
#[derive(Debug, Default)]
struct Progress {
    /// Up to where the child was fed.
    fed: Option<Ticks>,
    /// What came last out of each encoder.
    pictures: Vec<Option<Ticks>>,
    sounds: Vec<Option<Ticks>>,
    decoded: Option<Ticks>,
    /// Where the present child began.
    from: Option<Ticks>,
    /// When the factor was measured last, and where the decoder was.
    measured: Option<(Instant, Ticks)>,
    factor: Option<f64>,
}

impl Making {
    pub(super) fn new(
        site: &Site,
        tracks: &TrackSet,
        plan: RungPlan,
        frame_rate: (u32, u32),
    ) -> Self {
        let child = live_plan(tracks, &plan);
        let rate = per_second(frame_rate);
        let whole = cost_cores(&child, rate);
        let costs: Vec<f64> = child
            .pictures
            .iter()
            .map(|picture| encode_cores(picture, rate))
            .collect();
        tracing::info!(
            rungs = ?plan.rungs.iter().map(|rung| rung.name.as_str()).collect::<Vec<_>>(),
            cores = whole,
            "a ladder is planned"
        );
        metrics::gauge!("griot_ladders").increment(1.0);
        Self {
            shedding: Shedding::new(&costs),
            _place: site.room.take(whole),
            transcoder: Transcoder::new(site.deps.host.clone(), child),
            began: Instant::now(),
            child_since: None,
            refused: false,
            counted_cpu: Duration::ZERO,
            progress: Progress::default(),
            plan,
        }
    }

    /// Whether media must wait for the child.
    pub(super) fn is_busy(&self) -> bool {
        self.transcoder.is_busy()
    }

    /// Starts a child where there is none; whether media must wait for it.
    pub(super) fn starts_child(&mut self) -> bool {
        self.transcoder.start();
        self.is_busy()
    }

    /// Cancel safe.
    pub(super) async fn next(&mut self) -> Heard {
        self.transcoder.next().await
    }

    pub(super) fn drain(&mut self) -> bool {
        self.transcoder.drain()
    }

    /// A child takes frames: it goes on without what was shed.
    pub(super) fn started(&mut self) {
        self.child_since = Some(Instant::now());
        self.progress = Progress {
            pictures: vec![None; self.plan.pictures.len()],
            sounds: vec![None; self.plan.sounds.len()],
            ..Progress::default()
        };
        for picture in 0..self.plan.pictures.len() {
            if !self.shedding.is_active(picture) {
                self.transcoder.set_active(picture, false);
            }
        }
    }

    /// The child is gone before its time.
    pub(super) fn lost(&mut self) {
        self.child_since = None;
        let shed = self.shedding.shed();
        self.shedding = self.shedding.again(self.began.elapsed());
        let back = shed.saturating_sub(self.shedding.shed());
        let back = u32::try_from(back).unwrap_or(u32::MAX);
        metrics::gauge!("griot_ladder_rungs_shed").decrement(f64::from(back));
    }

    /// Feeds a part that ends at `end`, 90 kHz.
    pub(super) fn feed(&mut self, mut frames: Vec<Frame>, end: Ticks) {
        if self.child_since.is_none() {
            return;
        }
        let hears = !self.plan.sounds.is_empty();
        frames.retain(|frame| frame.track == TrackKind::Video || hears);
        match self.transcoder.feed(frames) {
            Ok(()) => {
                self.progress.from.get_or_insert(end);
                self.progress.fed = Some(end);
            }
            Err(behind) => {
                if !self.refused {
                    tracing::warn!(error = %behind, "a ladder lost a part of its source");
                }
                self.refused = true;
                metrics::counter!("griot_ladder_parts_refused_total").increment(1);
            }
        }
    }

    pub(super) fn is_active(&self, picture: usize) -> bool {
        self.shedding.is_active(picture)
    }

    /// Notes how far the child is.
    pub(super) fn note(&mut self, output: &LadderOutput) {
        let progress = &mut self.progress;
        match output {
            LadderOutput::Picture { picture, frame } => {
                if let Some(newest) = progress.pictures.get_mut(*picture) {
                    *newest = Some(frame.pts);
                }
            }
            LadderOutput::Sound { sound, frame } => {
                if let Some(newest) = progress.sounds.get_mut(*sound) {
                    *newest = Some(frame.pts.rescale(sound_scale(), Timescale::VIDEO));
                }
            }
            LadderOutput::Position { decoded } => progress.decode(*decoded),
            _ => {}
        }
    }

    /// Media between what the child was fed and what has come out of its slowest encoder.
    fn lag(&self) -> Duration {
        let progress = &self.progress;
        let (Some(fed), Some(from)) = (progress.fed, progress.from) else {
            return Duration::ZERO;
        };
        let pictures = progress.pictures.iter().enumerate();
        let active = pictures.filter(|(at, _)| self.shedding.is_active(*at));
        let newest = active.map(|(_, newest)| newest);
        let outs = newest
            .chain(&progress.sounds)
            .map(|out| out.unwrap_or(from));
        let slowest = outs.min().unwrap_or(fed);
        seconds(fed - slowest)
    }

    /// Looks at the child; what the policy orders is done to it.
    pub(super) fn look(&mut self, idle_cores: Option<f64>, warm_up: Duration) -> Option<Order> {
        let since = self.child_since?;
        let refused = std::mem::take(&mut self.refused);
        let lag = self.lag().max(self.transcoder.waiting());
        metrics::histogram!("griot_ladder_lag_seconds").record(lag.as_secs_f64());
        self.count_cpu();
        if since.elapsed() < warm_up && !refused {
            return None;
        }
        let measure = Measure {
            now: self.began.elapsed(),
            lag,
            refused,
            idle_cores,
        };
        let (shedding, order) = next(self.shedding.clone(), &measure);
        self.shedding = shedding;
        match order? {
            Order::Shed(picture) => {
                self.transcoder.set_active(picture, false);
                metrics::gauge!("griot_ladder_rungs_shed").increment(1.0);
                self.tell("shed", picture, lag);
            }
            Order::TakeBack(picture) => {
                self.transcoder.set_active(picture, true);
                metrics::gauge!("griot_ladder_rungs_shed").decrement(1.0);
                // It has everything yet to make.
                self.progress.pictures[picture] = self.progress.fed;
                self.tell("taken_back", picture, lag);
            }
            Order::EndChild => {
                metrics::counter!("griot_ladder_rungs_changed_total", "to" => "rest").increment(1);
                self.transcoder.give_up();
                self.child_since = None;
            }
        }
        order
    }

    fn count_cpu(&mut self) {
        let Some((cpu_s, _)) = self.transcoder.usage() else {
            return;
        };
        let now = Duration::try_from_secs_f64(cpu_s).unwrap_or_default();
        let more = now.saturating_sub(self.counted_cpu);
        self.counted_cpu = now.max(self.counted_cpu);
        let more_ms = u64::try_from(more.as_millis()).unwrap_or(0);
        metrics::counter!("griot_ladder_cpu_milliseconds_total").increment(more_ms);
    }

    fn tell(&self, to: &'static str, picture: usize, lag: Duration) {
        metrics::counter!("griot_ladder_rungs_changed_total", "to" => to).increment(1);
        let rung = self.plan.name_of(picture);
        let lag_s = lag.as_secs_f64();
        tracing::info!(rendition = rung, lag_s, to, "a rung of the ladder changed");
    }

    /// How the child fares; `None` while there is none.
    pub(super) fn view(&self) -> Option<ChildView> {
        let (cpu_s, memory_bytes) = self.transcoder.usage()?;
        Some(ChildView {
            lag_s: self.lag().as_secs_f64(),
            real_time_factor: self.progress.factor.unwrap_or(1.0),
            cpu_s,
            memory_bytes,
        })
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        let shed = u32::try_from(self.shedding.shed()).unwrap_or(u32::MAX);
        metrics::gauge!("griot_ladder_rungs_shed").decrement(f64::from(shed));
        metrics::gauge!("griot_ladders").decrement(1.0);
    }
}

impl Progress {
    fn decode(&mut self, decoded: Ticks) {
        self.decoded = Some(decoded);
        let now = Instant::now();
        let Some((at, from)) = self.measured else {
            self.measured = Some((now, decoded));
            return;
        };
        let wall = now - at;
        if wall >= FACTOR_OVER {
            self.factor = Some(seconds(decoded - from).as_secs_f64() / wall.as_secs_f64());
            self.measured = Some((now, decoded));
        }
    }
}

/// That of every sound encoder of a child.
fn sound_scale() -> Timescale {
    Timescale::new(48_000).unwrap_or(Timescale::VIDEO)
}

/// Ticks of 90 kHz; nothing below zero.
fn seconds(ticks: Ticks) -> Duration {
    Duration::from_secs_f64(ticks.seconds(Timescale::VIDEO).max(0.0))
}
