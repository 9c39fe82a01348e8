//! The rungs of one ladder, each a mirror of the source: what comes is routed to those that it concerns.
//!
//! A mirror that fails (a full disk) is away and tries again by itself; here that is counted, and the others go on.

use std::fmt;

use super::ladder::Site;
use super::rungs::{Feed, PlannedRung, RungPlan};
use super::standing::{ChildView, LadderView, NoLadder, Rung, RungState};
use crate::av::{CodecConfig, Frame, TrackSet};
use crate::base::LiveId;
use crate::hls::Variant;
use crate::rendition::{
    Beat, From, Mirror, MirrorPlan, RenditionError, Sending, SourceLine, drop_rungs, introduce,
};
use crate::store::Store;

/// All rungs that a live has or had, best first.
#[derive(Default)]
pub(super) struct Steps {
    steps: Vec<Step>,
    /// What the source has told so far, for rungs that begin late.
    line: SourceLine,
    lack: Option<NoLadder>,
    children_lost: u64,
    ended: bool,
}

struct Step {
    mirror: Mirror,
    picture: Option<Feed>,
    sound: Option<Feed>,
    size: Option<(u32, u32)>,
    /// Whether the present run of the source has it.
    planned: bool,
    /// Whether it has had media.
    begun: bool,
}

impl Steps {
    /// What an earlier process left: mirrors that are away, and the source's line.
    pub(super) fn resumed(mirrors: Vec<(Mirror, Option<(u32, u32)>)>, line: SourceLine) -> Self {
        let step = |(mirror, size)| Step {
            mirror,
            picture: None,
            sound: None,
            size,
            planned: false,
            begun: true,
        };
        Self {
            steps: mirrors.into_iter().map(step).collect(),
            line,
            ..Self::default()
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    pub(super) fn set_lack(&mut self, lack: Option<NoLadder>) {
        self.lack = lack;
    }

    pub(super) fn lost_a_child(&mut self) {
        self.children_lost += 1;
    }

    /// A run of the source begins that gets these rungs. Rungs of earlier runs that are not among them are away.
    pub(super) async fn replan(&mut self, site: &Site, source: &TrackSet, plan: &RungPlan) {
        for step in &mut self.steps {
            step.planned = false;
        }
        let announced = site.running.source().variant();
        for rung in &plan.rungs {
            let mirror_plan = mirror_plan(source, announced.as_ref(), plan, rung);
            let known = self
                .steps
                .iter()
                .position(|step| step.mirror.plan().rendition == rung.name);
            let at = known.unwrap_or_else(|| self.add(site, mirror_plan.clone(), rung));
            let step = &mut self.steps[at];
            if known.is_some() {
                step.mirror.replan(mirror_plan);
            }
            step.planned = true;
            step.picture = rung.picture;
            step.sound = rung.sound;
            step.size = rung.size;
        }
        for step in &mut self.steps {
            if !step.planned {
                step.mirror.away().await;
            }
        }
        self.introduce(site);
    }

    fn add(&mut self, site: &Site, plan: MirrorPlan, rung: &PlannedRung) -> usize {
        let mut mirror = Mirror::new(site.growing.clone(), plan);
        mirror.set_recording(site.recording);
        mirror.lacks(&self.line);
        // The largest first, sound alone last, whichever run brought them.
        let pixels = |size: Option<(u32, u32)>| size.map(|(width, height)| width * height);
        let smaller = |step: &Step| pixels(step.size) < pixels(rung.size);
        let at = self.steps.iter().position(smaller);
        let at = at.unwrap_or(self.steps.len());
        self.steps.insert(
            at,
            Step {
                mirror,
                picture: rung.picture,
                sound: rung.sound,
                size: rung.size,
                planned: true,
                begun: false,
            },
        );
        at
    }

    fn introduce(&self, site: &Site) {
        let source = site.running.source();
        let rungs: Vec<_> = self.steps.iter().map(|step| step.mirror.reader()).collect();
        let all: Vec<_> = std::iter::once(source).chain(&rungs).collect();
        introduce(&all);
    }

    pub(super) async fn beat(&mut self, beat: &Beat) {
        self.line.hear(beat);
        for step in &mut self.steps {
            let done = step.mirror.beat(beat).await;
            step.note(done);
        }
    }

    /// What the child made so far is all that it will make of what it was fed.
    pub(super) async fn settle(&mut self) {
        for step in &mut self.steps {
            let done = step.mirror.settle().await;
            step.note(done);
        }
    }

    pub(super) async fn picture_config(&mut self, picture: usize, config: CodecConfig) {
        for step in self.fed_pictures(picture) {
            let done = step.mirror.config(config.clone()).await;
            step.note(done);
        }
    }

    pub(super) async fn picture(&mut self, picture: usize, frame: Frame) {
        for step in self.fed_pictures(picture) {
            step.begun = true;
            let done = step.mirror.frame(frame.clone()).await;
            step.note(done);
        }
    }

    pub(super) async fn sound_config(&mut self, sound: usize, config: CodecConfig) {
        for step in self.fed_sounds(sound) {
            let done = step.mirror.config(config.clone()).await;
            step.note(done);
        }
    }

    pub(super) async fn sound(&mut self, sound: usize, frame: Frame) {
        for step in self.fed_sounds(sound) {
            step.begun |= step.picture.is_none_or(|feed| feed == Feed::Source);
            let done = step.mirror.frame(frame.clone()).await;
            step.note(done);
        }
    }

    fn fed_pictures(&mut self, picture: usize) -> impl Iterator<Item = &mut Step> {
        let fed = Some(Feed::Encoder(picture));
        let steps = self.steps.iter_mut();
        steps.filter(move |step| step.planned && step.picture == fed)
    }

    fn fed_sounds(&mut self, sound: usize) -> impl Iterator<Item = &mut Step> {
        let fed = Some(Feed::Encoder(sound));
        let steps = self.steps.iter_mut();
        steps.filter(move |step| step.planned && step.sound == fed)
    }

    /// The child is gone: nothing comes for any of them.
    pub(super) async fn away(&mut self) {
        for step in &mut self.steps {
            step.mirror.away().await;
        }
    }

    /// The picture encoder at this place has stopped.
    pub(super) async fn shed(&mut self, picture: usize) {
        for step in self.fed_pictures(picture) {
            step.mirror.away().await;
        }
    }

    /// Makes all of them final, behind the source; or throws them away.
    pub(super) async fn finish(
        &mut self,
        live: LiveId,
        keep: bool,
        store: &Store,
        sending: &Sending,
    ) {
        self.ended = true;
        for step in &mut self.steps {
            // All playlists end before any file is waited for.
            let finished = step.mirror.finish().await;
            step.note_end(finished);
        }
        if !keep {
            self.steps.clear();
            remove(live, store, sending).await;
            return;
        }
        for step in &mut self.steps {
            let finished = step.mirror.finished().await;
            step.note_end(finished);
        }
    }

    /// The server stops: what is whole is made durable.
    pub(super) async fn park(&mut self) {
        for step in &mut self.steps {
            let done = step.mirror.park().await;
            step.note(done);
        }
    }

    pub(super) fn view(&self, decided: bool, child: Option<ChildView>) -> LadderView {
        let rung = |step: &Step| Rung {
            reader: step.mirror.reader(),
            state: step.state(self.ended),
            size: step.size,
        };
        LadderView {
            decided,
            rungs: self.steps.iter().map(rung).collect(),
            lacks: self.lack,
            child,
            children_lost: self.children_lost,
        }
    }
}

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Steps({})", self.steps.len())
    }
}

impl Step {
    fn state(&self, ended: bool) -> RungState {
        if ended {
            RungState::Ended
        } else if self.planned && !self.begun {
            RungState::Planned
        } else if self.planned && !self.mirror.is_away() {
            RungState::Live
        } else {
            RungState::Shed
        }
    }

    fn note(&self, done: Result<(), RenditionError>) {
        if let Err(error) = done {
            metrics::counter!("griot_rung_errors_total", "kind" => error.kind().as_str())
                .increment(1);
            let rendition = self.mirror.plan().rendition.as_str();
            tracing::error!(rendition, %error, "a rung could not be recorded");
        }
    }

    fn note_end(&self, finished: Result<bool, RenditionError>) {
        match finished {
            // Its file is made final in a moment, or by the next start.
            Ok(_) | Err(RenditionError::Pending) => {}
            Err(error) => self.note(Err(error)),
        }
    }
}

async fn remove(live: LiveId, store: &Store, sending: &Sending) {
    let recording = match store.recording_of(live).await {
        Ok(Some(recording)) => recording,
        Ok(None) => return,
        Err(error) => {
            tracing::error!(%error, "rungs that are not kept could not be found");
            return;
        }
    };
    if let Err(error) = drop_rungs(sending, &recording).await {
        tracing::error!(%error, "rungs that are not kept could not all be removed");
    }
}

/// What a rung is made of. Its rate is told as no more than its share of the `source`'s, whose encoder may be sparing:
/// players sort renditions by it.
fn mirror_plan(
    source: &TrackSet,
    announced: Option<&Variant>,
    plan: &RungPlan,
    rung: &PlannedRung,
) -> MirrorPlan {
    let from = |feed: Feed| match feed {
        Feed::Source => From::Source,
        Feed::Encoder(_) => From::Encoder,
    };
    MirrorPlan {
        rendition: rung.name.clone(),
        picture: rung.picture.map(from),
        sound: rung.sound.map(from),
        estimate: plan.estimate(rung, source, announced),
    }
}
