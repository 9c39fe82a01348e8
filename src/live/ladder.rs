//! The task of one live's ladder: what the source's rendition tells goes to the mirrors and to a child, what the child
//! makes goes to the mirrors.
//!
//! It owns the rungs, and nobody waits for it: the source's rendition drops a follower that lags. A child that dies, hangs
//! or is behind takes its rungs away until the next one brings them back; the source is not touched. Beats are not read
//! while a child starts, so that the first segments are no gaps, nor while one is drained, so that a session's end
//! finds everything made.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use super::deps::Deps;
use super::making::{Making, fitting};
use super::room::{IdleCores, Room};
use super::rungs::RungPlan;
use super::running::Running;
use super::shedding::Order;
use super::standing::{NoLadder, Poster};
use super::steps::Steps;
use super::transcoder::Heard;
use crate::av::{Part, Ticks, Timescale, TrackKind, TrackSet};
use crate::base::RecordingId;
use crate::fmp4;
use crate::pipeline::{Ladder as Table, LadderOutput, PipelineError};
use crate::rendition::{Beat, GrowingPlan};

/// Beats that wait for this task: 128 are some 20 s of a live, which a child's start and a slow disk never take.
/// Full: the source's rendition lets this follower go and counts it; the rungs are away until the live ends.
const BEATS: usize = 128;
/// How often the child is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// A new child works off what waited for it; until then being behind says nothing.
const WARM_UP: Duration = Duration::from_secs(5);
/// How long a server that stops waits for what the child still has.
const PARK_WITHIN: Duration = Duration::from_secs(1);

/// How a ladder ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Close {
    /// The live has ended, its source is final: so become the rungs.
    Finish,
    /// The server stops: what is whole is made durable.
    Park,
}

/// What a ladder needs.
pub(super) struct Site {
    pub(super) deps: Arc<Deps>,
    pub(super) running: Arc<Running>,
    /// How the source's rendition grows.
    pub(super) growing: GrowingPlan,
    pub(super) recording: RecordingId,
    pub(super) room: Room,
    /// Whether a child may be started at all; else only what an earlier process made is kept in step.
    pub(super) wanted: bool,
}

/// The owner's hold on it.
#[derive(Debug)]
pub(super) struct LadderHandle {
    close: watch::Sender<Option<Close>>,
    ended: tokio::task::JoinHandle<()>,
}

impl LadderHandle {
    /// Tells it to end; it does so in its own time.
    pub(super) fn close(&self, how: Close) {
        self.close.send_replace(Some(how));
    }

    /// Waits until it has ended.
    pub(super) async fn ended(self) {
        if let Err(error) = self.ended.await {
            tracing::error!(%error, "the task of a ladder broke");
        }
    }
}

/// Starts the task. `steps` are what an earlier process left. The source's rendition is to follow the sender.
pub(super) fn start(site: Site, steps: Steps) -> (LadderHandle, mpsc::Sender<Beat>) {
    let (sender, beats) = mpsc::channel(BEATS);
    let (close, closing) = watch::channel(None);
    let tasks = site.deps.tasks.clone();
    let ladder = Ladder {
        unplanned: false,
        run: None,
        site,
        beats,
        closing,
        steps,
        before_first_part: Vec::new(),
        held: None,
        decided: false,
        making: None,
        idle: IdleCores::default(),
        let_go: false,
    };
    let ended = tasks.spawn(ladder.run());
    (LadderHandle { close, ended }, sender)
}

struct Ladder {
    site: Site,
    beats: mpsc::Receiver<Beat>,
    closing: watch::Receiver<Option<Close>>,
    steps: Steps,
    /// The source's tracks.
    run: Option<TrackSet>,
    /// A run has begun whose rungs are planned by the first part that comes here.
    unplanned: bool,
    /// What was told of the run before that part.
    before_first_part: Vec<Beat>,
    /// Waits until a child takes frames, or has given what it had.
    held: Option<Beat>,
    /// Whether the rungs of a first run are planned, so that a list of them is whole.
    decided: bool,
    /// The encoders of this run, and the child that has them.
    making: Option<Making>,
    idle: IdleCores,
    /// The source's rendition tells this task nothing more.
    let_go: bool,
}

impl Ladder {
    async fn run(mut self) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut park_at = None;
        loop {
            let closing = *self.closing.borrow_and_update();
            if closing == Some(Close::Park) {
                park_at.get_or_insert_with(|| Instant::now() + PARK_WITHIN);
            }
            let busy = self.held.is_some() || self.making.as_ref().is_some_and(Making::is_busy);
            let told_all = self.beats.is_closed() || self.beats.is_empty();
            let late = park_at.is_some_and(|at| Instant::now() >= at);
            if closing.is_some() && (late || (!busy && told_all)) {
                break;
            }
            tokio::select! {
                changed = self.closing.changed() => if changed.is_err() {
                    // The owner broke.
                    park_at.get_or_insert_with(Instant::now);
                    if late { break; }
                },
                beat = self.beats.recv(), if !busy && !self.let_go => match beat {
                    Some(beat) => self.hear_beat(beat).await,
                    None if closing.is_some() => {}
                    None => self.let_go().await,
                },
                heard = next(&mut self.making) => self.hear_child(heard).await,
                _ = looks.tick() => self.look().await,
            }
        }
        let how = *self.closing.borrow();
        self.close(how.unwrap_or(Close::Park)).await;
    }

    async fn hear_beat(&mut self, beat: Beat) {
        match &beat {
            Beat::Run { tracks, .. } => {
                if self.drains_first(&beat) {
                    return;
                }
                self.run = Some(tracks.clone());
                self.unplanned = true;
                self.before_first_part = vec![beat];
            }
            Beat::Session { .. } if self.unplanned => {
                self.before_first_part.push(beat);
            }
            Beat::Part { part, .. } => {
                if std::mem::take(&mut self.unplanned) {
                    self.plan(part).await;
                    for beat in std::mem::take(&mut self.before_first_part) {
                        self.steps.beat(&beat).await;
                    }
                }
                if let Some(making) = &mut self.making
                    && making.starts_child()
                {
                    self.held = Some(beat);
                    return;
                }
                let frames = fmp4::frames_of(part);
                let end = part_end(part);
                self.steps.beat(&beat).await;
                if let Some(making) = &mut self.making {
                    making.feed(frames, end);
                }
            }
            Beat::SessionEnd => {
                if self.drains_first(&beat) {
                    return;
                }
                self.steps.beat(&beat).await;
            }
            Beat::SegmentEnd { .. } | Beat::Interrupted(_) | Beat::Session { .. } => {
                self.steps.beat(&beat).await;
            }
        }
        self.show();
    }

    /// Whether the child still has something of what came before this beat: it is held until that is out.
    fn drains_first(&mut self, beat: &Beat) -> bool {
        let drains = self.making.as_mut().is_some_and(Making::drain);
        if drains {
            self.held = Some(beat.clone());
        }
        drains
    }

    async fn go_on(&mut self) {
        if let Some(beat) = self.held.take() {
            Box::pin(self.hear_beat(beat)).await;
        }
    }

    /// Plans the rungs of the run that begins with `part`.
    async fn plan(&mut self, part: &Part) {
        self.making = None;
        self.decided = true;
        let planned = self.decide(part).await;
        let (plan, lacks) = match planned {
            Ok(planned) => planned,
            Err(lacks) => (RungPlan::default(), Some(lacks)),
        };
        if let Some(lacks) = lacks {
            self.tell_lack(lacks);
        }
        self.steps.set_lack(lacks);
        if let Some(tracks) = &self.run {
            self.steps.replan(&self.site, tracks, &plan).await;
        }
        if let (Some(tracks), false) = (&self.run, plan.rungs.is_empty()) {
            let making = Making::new(&self.site, tracks, plan, frame_rate(part));
            self.making = Some(making);
        }
        self.show();
    }

    /// What is made of this run; and why not more.
    async fn decide(&mut self, part: &Part) -> Result<(RungPlan, Option<NoLadder>), NoLadder> {
        if !self.site.wanted {
            return Err(NoLadder::NotWanted);
        }
        let tracks = self.run.as_ref().ok_or(NoLadder::NothingBelow)?;
        let host = &self.site.deps.host;
        let missing = host.missing().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "children cannot be started");
            Vec::new()
        });
        if missing.iter().any(|missing| missing.is_needed) {
            return Err(NoLadder::NoGstreamer);
        }
        fitting(&self.site, tracks, frame_rate(part))
    }

    /// Once for each run, so that whoever wonders finds it.
    fn tell_lack(&self, lacks: NoLadder) {
        metrics::counter!("griot_ladders_not_made_total", "reason" => lacks.as_str()).increment(1);
        match lacks {
            NoLadder::NotWanted | NoLadder::NothingBelow => {
                tracing::info!(reason = lacks.as_str(), "this live gets no ladder");
            }
            NoLadder::NoGstreamer => tracing::warn!(
                "this live gets no ladder: elements of GStreamer are missing, `griot doctor` says which"
            ),
            NoLadder::NoRoom => tracing::warn!(
                "this live gets fewer rungs than there could be: the machine has no room for more; \
                 live.ladder (GRIOT_LIVE_LADDER) = \"on\" makes them all"
            ),
        }
    }

    async fn hear_child(&mut self, heard: Heard) {
        match heard {
            Heard::Started => {
                if let Some(making) = &mut self.making {
                    making.started();
                }
                self.go_on().await;
            }
            Heard::Drained => {
                self.steps.settle().await;
                self.go_on().await;
            }
            Heard::Died(error) => {
                self.lose_child(&error).await;
                self.go_on().await;
            }
            Heard::Output(output) => self.put(output).await,
        }
    }

    async fn lose_child(&mut self, error: &PipelineError) {
        metrics::counter!("griot_ladder_children_lost_total").increment(1);
        tracing::warn!(%error, "the child of a ladder ended before its time; another follows");
        self.steps.lost_a_child();
        self.steps.away().await;
        if let Some(making) = &mut self.making {
            making.lost();
        }
        self.show();
    }

    async fn put(&mut self, output: LadderOutput) {
        let Some(making) = &mut self.making else {
            return;
        };
        making.note(&output);
        match output {
            LadderOutput::PictureConfig { picture, config } => {
                self.steps.picture_config(picture, config).await;
            }
            LadderOutput::Picture { picture, frame } => {
                if making.is_active(picture) {
                    self.steps.picture(picture, frame).await;
                }
            }
            LadderOutput::SoundConfig { sound, config } => {
                self.steps.sound_config(sound, config).await;
            }
            LadderOutput::Sound { sound, frame } => self.steps.sound(sound, frame).await,
            LadderOutput::Still { jpeg, .. } => {
                let at = self.site.deps.clock.now();
                self.site.running.set_poster(Poster { jpeg, at });
            }
            LadderOutput::Position { .. } => {}
        }
    }

    async fn look(&mut self) {
        let idle = self.idle.look().await;
        let Some(making) = &mut self.making else {
            return;
        };
        let order = making.look(idle, WARM_UP);
        match order {
            Some(Order::Shed(picture)) => self.steps.shed(picture).await,
            Some(Order::EndChild) => {
                tracing::warn!("even without a picture the ladder is behind: it rests");
                self.steps.away().await;
            }
            Some(Order::TakeBack(_)) | None => {}
        }
        self.show();
    }

    /// This task was too slow for its source, which tells it nothing more: the rungs are away until the live has ended.
    async fn let_go(&mut self) {
        tracing::error!(
            "a ladder lagged behind its source; its rungs are away until the live ends"
        );
        self.let_go = true;
        self.making = None;
        self.held = None;
        self.steps.away().await;
        self.show();
    }

    async fn close(mut self, how: Close) {
        self.making = None;
        match how {
            Close::Finish => {
                let keep = self.site.deps.config.keep_rungs;
                let (plan, store) = (&self.site.growing, &self.site.deps.store);
                self.steps
                    .finish(plan.live, keep, store, &plan.sending)
                    .await;
                if self.let_go && keep {
                    self.replay_instead().await;
                    return;
                }
            }
            Close::Park => {
                let within = Instant::now() + PARK_WITHIN;
                if timeout_at(within, self.steps.park()).await.is_err() {
                    tracing::error!(
                        "rungs could not be parked in time; the next start recovers them"
                    );
                }
            }
        }
        self.show();
    }

    /// The mirrors know nothing of what came after they were let go: viewers get what rows and files say.
    async fn replay_instead(&mut self) {
        let (deps, running) = (&self.site.deps, &self.site.running);
        match running
            .replay(&deps.store, &self.site.growing.sending)
            .await
        {
            Ok(view) => running.set_ladder(view),
            Err(error) => tracing::error!(%error, "the replay of a live's rungs cannot be read"),
        }
    }

    /// What viewers and the API see.
    fn show(&self) {
        let child = self.making.as_ref().and_then(Making::view);
        self.site
            .running
            .set_ladder(self.steps.view(self.decided, child));
    }
}

/// Where a part ends, 90 kHz.
fn part_end(part: &Part) -> Ticks {
    part.start + part.duration
}

/// As measured in the first part of a run.
fn frame_rate(part: &Part) -> (u32, u32) {
    let pictures = part.runs.iter().find(|run| run.track == TrackKind::Video);
    let pictures = pictures.map_or(0, |run| run.samples.len());
    let seconds = part.duration.seconds(Timescale::VIDEO);
    let pictures = u32::try_from(pictures).unwrap_or(u32::MAX);
    Table::frame_rate(f64::from(pictures) / seconds.max(f64::EPSILON))
}

async fn next(making: &mut Option<Making>) -> Heard {
    match making {
        Some(making) => making.next().await,
        None => std::future::pending().await,
    }
}
