//! The service: start, publish, stop, look.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::Latency;
use super::deps::Deps;
use super::doctor::Finding;
use super::error::LiveError;
use super::owner::{Command, Owner};
use super::playback::Playback;
use super::poster::Drawing;
use super::publisher::{PublishRefusal, PublishRequest, Publisher};
use super::room::Room;
use super::running::Running;
use super::standing::LadderView;
use super::state::{STOPPED_KEY_REST, State};
use super::steps::Steps;
use crate::base::{Event, LiveId, RecordingId, Secret, UserId, random_hex};
use crate::rendition::{Growing, GrowingPlan, PlaybackError, Reader, Sending};
use crate::store::{
    EndReason, Gap, GapCause, Live, LiveFilter, LivePost, LiveStatus, NewLive, Page,
    PublishSession, User, WholeRecording,
};

/// How many ended lives keep their playlist in memory.
const REPLAYS_KEPT: usize = 64;

/// All lives of this node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Lives {
    deps: Arc<Deps>,
    pub(super) sending: Sending,
    room: Room,
    drawing: Drawing,
    // std mutex: never held across an await; only map look-ups.
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    /// By playback id: the running ones.
    running: HashMap<String, Arc<Running>>,
    /// Ended ones that somebody watched lately, oldest first.
    replays: VecDeque<Arc<Running>>,
    /// Owners whose live was stopped, and when their encoder last tried to come back.
    resting_keys: HashMap<UserId, Instant>,
}

/// What a member says of the live to be started.
#[derive(Clone, Debug, Default)]
pub struct StartLive {
    /// At most 200 characters; longer is cut.
    pub title: Option<String>,
    /// What it is about.
    pub description: Option<String>,
    /// The post's text.
    pub content: Option<String>,
}

/// What the owner learns of a live just started.
#[derive(Clone, Debug)]
pub struct StartedLive {
    /// The live, and its post.
    pub live: LiveId,
    /// What viewers' URLs hold.
    pub playback_id: String,
    /// What goes into OBS.
    pub stream_key: Secret,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Actor {
    /// The member.
    pub user: UserId,
    /// May stop anybody's live.
    pub is_admin: bool,
}

/// What a stop left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoppedLive {
    /// The recording can be played and downloaded.
    pub video_saved: bool,
    /// Its media row; `None` while there is none.
    pub video_id: Option<i64>,
}

/// A live as its public view and lists show it.
#[derive(Clone, Debug)]
pub struct LiveView {
    /// The live with its post, author and quartier.
    pub post: LivePost,
    /// Its publish sessions, oldest first.
    pub sessions: Vec<PublishSession>,
    /// What is recorded.
    pub recording: Option<WholeRecording>,
    /// Viewers within the last ten seconds.
    pub viewers: usize,
    /// What is wrong with what the encoder sends now; for the owner.
    pub findings: Vec<Finding>,
    /// The renditions beside the encoder's own, where they are in memory.
    pub ladder: LadderView,
    /// The encoder's own rendition as the multivariant playlist tells it, where it is in memory.
    pub source: Option<crate::hls::Variant>,
}

/// What an earlier process recorded of a live that goes on.
pub(super) struct Left {
    pub(super) growing: Growing,
    pub(super) recording: RecordingId,
    pub(super) steps: Steps,
}

impl Lives {
    /// The service over what the composition root provides. Nothing runs until [`Lives::resume`] or a start.
    #[must_use]
    pub fn new(deps: Deps) -> Self {
        let sending = Sending::new(
            deps.store.clone(),
            deps.places.clone(),
            deps.clock.clone(),
            deps.tasks.clone(),
        );
        Self {
            deps: Arc::new(deps),
            sending,
            room: Room::of_machine(),
            drawing: Drawing::default(),
            known: Arc::default(),
        }
    }

    /// Starts a live: post and live in one transaction, then its owner task.
    ///
    /// # Errors
    /// `NoQuartier`, `AlreadyLive`, `NotFound` for an unknown member, or the rows' failure.
    pub async fn start(&self, owner: UserId, wish: StartLive) -> Result<StartedLive, LiveError> {
        let user = self
            .deps
            .store
            .user(owner)
            .await?
            .ok_or(LiveError::NotFound)?;
        let stream_key = self
            .deps
            .accounts
            .stream_key(owner)
            .await
            .map_err(LiveError::Key)?;
        let live = self.create(&user, wish).await?;
        Ok(StartedLive {
            live: live.live,
            playback_id: live.playback_id.clone(),
            stream_key,
        })
    }

    /// Lets an encoder in, or says why not. Starts a live where none was started and settings allow it.
    ///
    /// # Errors
    /// The refusal that the encoder is told.
    pub async fn publish(&self, request: PublishRequest) -> Result<Publisher, PublishRefusal> {
        let unavailable = |error: &dyn std::fmt::Display| {
            tracing::error!(%error, "a publish cannot be decided");
            PublishRefusal::Unavailable
        };
        if self.deps.tasks.stopping().is_cancelled() {
            return Err(PublishRefusal::Unavailable);
        }
        let found = self.deps.accounts.user_by_stream_key(&request.key).await;
        let user = found
            .map_err(|error| unavailable(&error))?
            .ok_or(PublishRefusal::UnknownKey)?;
        if !user.is_active {
            return Err(PublishRefusal::Disabled);
        }
        let running = self.running_of(user.id);
        let begins = running
            .as_ref()
            .is_none_or(|running| running.status() == LiveStatus::Ready);
        if begins
            && !self
                .sending
                .has_room(self.deps.config.spool_reserve_bytes)
                .await
        {
            metrics::counter!("griot_publishes_without_room_total").increment(1);
            return Err(PublishRefusal::NoRoom);
        }
        let running = match running {
            Some(running) => running,
            None => self.start_by_publish(&user).await?,
        };
        let (reply, answer) = oneshot::channel();
        let command = Command::Publish { request, reply };
        if !running.tell(command).await {
            return Err(PublishRefusal::Stopped);
        }
        answer.await.unwrap_or(Err(PublishRefusal::Unavailable))
    }

    async fn start_by_publish(&self, user: &User) -> Result<Arc<Running>, PublishRefusal> {
        if self.is_resting(user.id) {
            return Err(PublishRefusal::Stopped);
        }
        if !self.deps.config.start_on_publish {
            return Err(PublishRefusal::NotStarted);
        }
        match self.create(user, StartLive::default()).await {
            Ok(running) => Ok(running),
            Err(LiveError::NoQuartier) => Err(PublishRefusal::NoQuartier),
            // Two connections raced; the other has just made it.
            Err(LiveError::AlreadyLive(_)) => {
                self.running_of(user.id).ok_or(PublishRefusal::Unavailable)
            }
            Err(error) => {
                tracing::error!(%error, "a publish could not start a live");
                Err(PublishRefusal::Unavailable)
            }
        }
    }

    /// Whether the owner stopped a live and the encoder has not left it alone for a minute since.
    /// Each attempt starts the minute anew.
    fn is_resting(&self, owner: UserId) -> bool {
        let mut known = self.lock();
        let Some(last_try) = known.resting_keys.get_mut(&owner) else {
            return false;
        };
        if last_try.elapsed() < STOPPED_KEY_REST {
            *last_try = Instant::now();
            return true;
        }
        known.resting_keys.remove(&owner);
        false
    }

    async fn create(&self, user: &User, wish: StartLive) -> Result<Arc<Running>, LiveError> {
        let quartier_id = user.quartier_id.ok_or(LiveError::NoQuartier)?;
        let title = wish.title.unwrap_or_default();
        let new = NewLive {
            id: LiveId(self.deps.ids.next()),
            owner_id: user.id,
            quartier_id,
            playback_id: random_hex::<16>(),
            title: title.trim().chars().take(200).collect(),
            description: wish.description.unwrap_or_default(),
            content: wish.content.unwrap_or_default(),
            node: None,
            at: self.deps.clock.now(),
        };
        let live = self.deps.store.start_live(&new).await?;
        let running = self.run(live, State::Ready, None);
        self.lock().resting_keys.remove(&user.id);
        self.deps.events.publish(Event::LiveStarted {
            live: running.live,
            owner: user.id,
        });
        Ok(running)
    }

    /// Gives a live its owner task. `left` is what an earlier process recorded of it.
    pub(super) fn run(&self, live: Live, state: State, left: Option<Left>) -> Arc<Running> {
        let (growing, recording, steps) = match left {
            Some(left) => (left.growing, Some(left.recording), Some(left.steps)),
            None => (Growing::new(self.plan(live.id)), None, None),
        };
        let (commands, heard) = mpsc::channel(32);
        let ladder = LadderView::default();
        let running = Arc::new(Running::new(&live, growing.reader(), ladder, commands));
        self.lock().add(Arc::clone(&running));
        let plan = self.plan(live.id);
        let mut owner = Owner::new(
            Arc::clone(&self.deps),
            live,
            state,
            Arc::clone(&running),
            growing,
            recording,
            (plan, self.room.clone()),
        );
        if let (Some(recording), Some(steps)) = (recording, steps) {
            owner.go_on_with(recording, steps);
        }
        let (lives, ended) = (self.clone(), Arc::clone(&running));
        let tasks = self.deps.tasks.clone();
        tasks.spawn(async move {
            owner.run(heard).await;
            lives.forget(&ended);
        });
        running
    }

    /// How a live's renditions grow here.
    pub(super) fn plan(&self, live: LiveId) -> GrowingPlan {
        GrowingPlan {
            live,
            rendition: "source".to_owned(),
            part_max_ms: match self.deps.config.latency {
                Latency::Normal => 200,
                Latency::Low => 100,
            },
            store: self.deps.store.clone(),
            sending: self.sending.clone(),
            clock: self.deps.clock.clone(),
            ids: self.deps.ids.clone(),
            tasks: self.deps.tasks.clone(),
        }
    }

    /// The way of finished media to the object store.
    #[must_use]
    pub fn sending(&self) -> &Sending {
        &self.sending
    }

    /// A live whose owner task is gone becomes a replay under the same reader: players notice nothing.
    fn forget(&self, ended: &Arc<Running>) {
        let mut known = self.lock();
        known.remove(&ended.playback_id);
        known.keep_replay(Arc::clone(ended));
    }

    /// Stops a live. A second time is as good as the first.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, or the rows' failure (nothing was stopped then).
    pub async fn stop(
        &self,
        actor: Actor,
        live: LiveId,
        forced: bool,
    ) -> Result<StoppedLive, LiveError> {
        let row = self
            .deps
            .store
            .live(live)
            .await?
            .ok_or(LiveError::NotFound)?;
        let own = row.owner_id == actor.user;
        if !own && !actor.is_admin {
            return Err(LiveError::Forbidden);
        }
        let reason = match (own, forced) {
            (true, false) => EndReason::Owner,
            (true, true) => EndReason::Forced,
            (false, _) => EndReason::Admin,
        };
        if let Some(running) = self.running_by_live(live) {
            self.lock()
                .resting_keys
                .insert(row.owner_id, Instant::now());
            let (reply, answer) = oneshot::channel();
            let command = Command::Stop { reason, reply };
            if running.tell(command).await {
                let saved = answer.await.map_err(|_| LiveError::Stopping)??;
                return Ok(StoppedLive {
                    video_saved: saved,
                    video_id: None,
                });
            }
        }
        self.deps
            .store
            .end_live(live, reason, self.deps.clock.now())
            .await?;
        let recording = self.deps.store.recording_of(live).await?;
        Ok(StoppedLive {
            video_saved: recording
                .is_some_and(|whole| whole.recording.state == crate::store::RecordingState::Ready),
            video_id: None,
        })
    }

    /// A live with all that its view shows.
    ///
    /// # Errors
    /// `NotFound`, or the rows' failure.
    pub async fn view(&self, live: LiveId) -> Result<LiveView, LiveError> {
        let post = self
            .deps
            .store
            .live_post(live)
            .await?
            .ok_or(LiveError::NotFound)?;
        self.look(post).await
    }

    /// One page of lives, newest first. `page` counts from 1.
    ///
    /// # Errors
    /// The rows' failure.
    pub async fn list(
        &self,
        filter: LiveFilter,
        page: u32,
        page_size: u32,
    ) -> Result<Page<LiveView>, LiveError> {
        let posts = self.deps.store.list_lives(filter, page, page_size).await?;
        let mut rows = Vec::with_capacity(posts.rows.len());
        for post in posts.rows {
            rows.push(self.look(post).await?);
        }
        Ok(Page {
            rows,
            total: posts.total,
        })
    }

    async fn look(&self, post: LivePost) -> Result<LiveView, LiveError> {
        let live = post.live.id;
        let running = self.find(&post.live.playback_id);
        let mut recording = self.deps.store.recording_of(live).await?;
        let losing = running.as_ref().and_then(|running| running.losing());
        if let (Some(whole), Some(loss)) = (&mut recording, losing) {
            // Its row comes when it ends; on a full disk no row can be written.
            whole.gaps.push(Gap {
                id: 0,
                recording_id: whole.recording.id,
                at: loss.at,
                started_at: loss.since,
                seconds: Some(loss.seconds),
                cause: GapCause::Disk,
            });
        }
        let running = running.as_ref();
        let viewers = running.map_or(0, |running| running.audience.count());
        let findings = running.map_or_else(Vec::new, |running| running.findings());
        let ladder = running.map(|running| running.ladder().borrow().clone());
        Ok(LiveView {
            ladder: ladder.unwrap_or_default(),
            source: running.and_then(|running| running.source().variant()),
            sessions: self.deps.store.sessions_of(live).await?,
            recording,
            post,
            viewers,
            findings,
        })
    }

    /// Any request of a member keeps a started live waiting for its encoder.
    pub fn owner_seen(&self, user: UserId) {
        if let Some(running) = self.running_of(user) {
            running.see_owner();
        }
    }

    /// A live as viewers address it, running or ended.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` when rows or file cannot be read now.
    pub async fn playback(&self, playback_id: &str) -> Result<Playback, PlaybackError> {
        if let Some(running) = self.find(playback_id) {
            return Ok(Playback::new(running));
        }
        let unavailable = |error: &dyn std::fmt::Display| {
            tracing::error!(%error, "a replay cannot be read");
            PlaybackError::Unavailable
        };
        let live = self.deps.store.live_by_playback_id(playback_id).await;
        let live = live
            .map_err(|error| unavailable(&error))?
            .ok_or(PlaybackError::NotFound)?;
        let recording = self.deps.store.recording_of(live.id).await;
        let recording = recording
            .map_err(|error| unavailable(&error))?
            .ok_or(PlaybackError::NotFound)?;
        let all = Reader::replay_all(&self.deps.store, &self.sending, &recording).await;
        let mut all = all.map_err(|error| unavailable(&error))?.into_iter();
        let source = all.next().ok_or(PlaybackError::NotFound)?;
        // Nobody hears these commands: the live has ended.
        let (commands, _) = mpsc::channel(1);
        let rungs = LadderView::of_replay(all);
        let replay = Arc::new(Running::new(&live, source, rungs, commands));
        self.lock().keep_replay(Arc::clone(&replay));
        Ok(Playback::new(replay))
    }

    fn find(&self, playback_id: &str) -> Option<Arc<Running>> {
        let known = self.lock();
        let running = known.running.get(playback_id).cloned();
        running.or_else(|| {
            let mut replays = known.replays.iter();
            replays
                .find(|replay| replay.playback_id == playback_id)
                .cloned()
        })
    }

    fn running_of(&self, owner: UserId) -> Option<Arc<Running>> {
        let known = self.lock();
        known
            .running
            .values()
            .find(|running| running.owner == owner && running.status() != LiveStatus::Ended)
            .cloned()
    }

    fn running_by_live(&self, live: LiveId) -> Option<Arc<Running>> {
        let known = self.lock();
        known
            .running
            .values()
            .find(|running| running.live == live)
            .cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn drawing(&self) -> &Drawing {
        &self.drawing
    }

    pub(super) fn deps(&self) -> &Arc<Deps> {
        &self.deps
    }
}

impl Known {
    fn add(&mut self, running: Arc<Running>) {
        self.running.insert(running.playback_id.clone(), running);
        self.tell_count();
    }

    fn remove(&mut self, playback_id: &str) {
        self.running.remove(playback_id);
        self.tell_count();
    }

    fn tell_count(&self) {
        let count = u32::try_from(self.running.len()).unwrap_or(u32::MAX);
        metrics::gauge!("griot_lives").set(f64::from(count));
    }

    fn keep_replay(&mut self, replay: Arc<Running>) {
        self.replays
            .retain(|kept| kept.playback_id != replay.playback_id);
        self.replays.push_back(replay);
        while self.replays.len() > REPLAYS_KEPT {
            self.replays.pop_front();
        }
    }
}
