//! The child of one ladder: started, fed from a key frame on, drained, and replaced when it ends before its time.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::av::{Frame, TrackKind};
use crate::pipeline::{Behind, Host, LadderIn, LadderOut, LadderOutput, LivePlan, PipelineError};

/// The rest after the first child that ended before its time; each one after it doubles the rest, …
const REST: Duration = Duration::from_millis(500);
/// … up to this.
const REST_MOST: Duration = Duration::from_secs(30);
/// A child that ran so long did not end because of what it is fed: the rest begins anew.
const RAN_WELL: Duration = Duration::from_secs(30);

type Starting = Pin<Box<dyn Future<Output = Result<(LadderIn, LadderOut), PipelineError>> + Send>>;

/// Starts children of one plan, one at a time.
pub(super) struct Transcoder {
    host: Host,
    plan: LivePlan,
    state: State,
    failures: u32,
    /// A decoder begins with a key frame: nothing else is fed before one.
    awaits_key: bool,
    /// What earlier children took of the CPU.
    spent_cpu_s: f64,
}

enum State {
    /// Nobody wants a child.
    Idle,
    Resting(Instant),
    Starting(Starting),
    Running {
        to: LadderIn,
        from: LadderOut,
        since: Instant,
    },
    Draining(LadderOut),
}

/// What became of it.
#[derive(Debug)]
pub(super) enum Heard {
    /// A new child takes frames.
    Started,
    Output(LadderOutput),
    /// It ended before its time, or did not start; another follows after a rest.
    Died(PipelineError),
    /// All that it was fed has come out.
    Drained,
}

impl Transcoder {
    pub(super) fn new(host: Host, plan: LivePlan) -> Self {
        Self {
            host,
            plan,
            state: State::Idle,
            failures: 0,
            awaits_key: true,
            spent_cpu_s: 0.0,
        }
    }

    /// Starts a child, if there is none.
    pub(super) fn start(&mut self) {
        if matches!(self.state, State::Idle) {
            self.spawn();
        }
    }

    fn spawn(&mut self) {
        let (host, plan) = (self.host.clone(), self.plan.clone());
        self.awaits_key = true;
        self.state = State::Starting(Box::pin(async move { host.ladder(plan).await }));
    }

    /// Whether media must wait: it is being started, or still gives what it was fed.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self.state, State::Starting(_) | State::Draining(_))
    }

    /// What is to be known next. Pending while nobody wants a child. Cancel safe.
    pub(super) async fn next(&mut self) -> Heard {
        loop {
            match &mut self.state {
                State::Idle => std::future::pending().await,
                State::Resting(until) => {
                    sleep_until(*until).await;
                    self.spawn();
                }
                State::Starting(starting) => match starting.await {
                    Ok((to, from)) => {
                        let since = Instant::now();
                        self.state = State::Running { to, from, since };
                        return Heard::Started;
                    }
                    Err(error) => return self.died(error, Duration::ZERO),
                },
                State::Running { from, since, .. } => {
                    let ran = since.elapsed();
                    match from.next().await {
                        Ok(Some(output)) => return Heard::Output(output),
                        Ok(None) => {
                            let early = PipelineError::Failed("it ended by itself".to_owned());
                            return self.died(early, ran);
                        }
                        Err(error) => return self.died(error, ran),
                    }
                }
                State::Draining(from) => match from.next().await {
                    Ok(Some(output)) => return Heard::Output(output),
                    // What is missing is missing: the mirrors make gaps of it.
                    Ok(None) | Err(_) => {
                        self.leave();
                        return Heard::Drained;
                    }
                },
            }
        }
    }

    fn died(&mut self, error: PipelineError, ran: Duration) -> Heard {
        self.leave();
        if ran >= RAN_WELL {
            self.failures = 0;
        }
        let rest = (REST * 2_u32.saturating_pow(self.failures.min(16))).min(REST_MOST);
        self.failures += 1;
        self.state = State::Resting(Instant::now() + rest);
        Heard::Died(error)
    }

    /// Ends the child at once; another follows after the longest rest.
    pub(super) fn give_up(&mut self) {
        self.leave();
        self.state = State::Resting(Instant::now() + REST_MOST);
    }

    fn leave(&mut self) {
        if let State::Running { from, .. } | State::Draining(from) = &self.state {
            self.spent_cpu_s += from.cpu_s();
        }
        self.state = State::Idle;
    }

    /// Feeds what is decoded next.
    ///
    /// # Errors
    /// The child has not read what it was fed before; nothing is fed until the next key frame.
    pub(super) fn feed(&mut self, mut frames: Vec<Frame>) -> Result<(), Behind> {
        let State::Running { to, .. } = &self.state else {
            return Ok(());
        };
        if self.awaits_key {
            if self.plan.video.is_some() {
                let is_key = |frame: &Frame| frame.track == TrackKind::Video && frame.key;
                let Some(first) = frames.iter().position(is_key) else {
                    return Ok(());
                };
                frames.drain(..first);
            }
            self.awaits_key = false;
        }
        let fed = to.push(frames);
        self.awaits_key = fed.is_err();
        fed
    }

    /// No more frames: what it was fed comes out, then [`Heard::Drained`]. Answers whether there is a child to drain.
    pub(super) fn drain(&mut self) -> bool {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Running { to, from, .. } => {
                to.end();
                self.state = State::Draining(from);
                true
            }
            State::Draining(from) => {
                self.state = State::Draining(from);
                true
            }
            // It comes when it is wanted again.
            State::Idle | State::Resting(_) | State::Starting(_) => false,
        }
    }

    pub(super) fn set_active(&self, picture: usize, active: bool) {
        if let State::Running { to, .. } = &self.state {
            to.set_active(picture, active);
        }
    }

    /// Media that it has not read yet.
    pub(super) fn waiting(&self) -> Duration {
        match &self.state {
            State::Running { to, .. } => to.waiting(),
            _ => Duration::ZERO,
        }
    }

    /// Seconds of CPU of all children so far, and the bytes that the one that runs holds; `None` without one.
    pub(super) fn usage(&self) -> Option<(f64, u64)> {
        match &self.state {
            State::Running { from, .. } | State::Draining(from) => {
                Some((self.spent_cpu_s + from.cpu_s(), from.memory_bytes()))
            }
            _ => None,
        }
    }
}

impl fmt::Debug for Transcoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Idle => "idle",
            State::Resting(_) => "resting",
            State::Starting(_) => "starting",
            State::Running { .. } => "running",
            State::Draining(_) => "draining",
        };
        write!(f, "Transcoder({state})")
    }
}
