//! The owner task of one running live: the only place where its state changes.
//!
//! It hears commands, its publisher and the clock, asks [`super::state::next`] what follows, and does it:
//! what viewers see at once, rows in order behind its back ([`super::rows`]), so that an absent database holds up
//! no media. Only a start, a publish and the end wait for their rows. It ends with the live, or parks it when the server stops.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tracing::Instrument;

use super::config::LadderWish;
use super::deps::Deps;
use super::doctor::{Changes, Doctor};
use super::error::LiveError;
use super::ladder::{self, Close, LadderHandle, Site};
use super::publisher::{
    Closing, FromPublisher, PublishRefusal, PublishRequest, Publisher, SessionEnd,
};
use super::room::Room;
use super::rows::{Row, Rows};
use super::running::Running;
use super::state::{Happening, Interruption, READY_TIMEOUT, SILENCE, State, next};
use super::steps::Steps;
use super::vitals::Measuring;
use crate::av::{Rhythm, Ticks};
use crate::base::{Event, RecordingId, SessionId, Timestamp};
use crate::rendition::{Growing, GrowingPlan, Media, RenditionError};
use crate::store::{
    EndReason, GapCause, Live, LiveChange, LiveStatus, NewGap, NewSession, RecordingState,
    StoreError, insist,
};

/// How long an answer waits for rows to be committed; while the database is away it goes without.
const SETTLE: Duration = Duration::from_secs(2);

/// What the service asks of an owner task.
#[derive(Debug)]
pub(super) enum Command {
    /// An encoder wants to publish into this live.
    Publish {
        request: PublishRequest,
        reply: oneshot::Sender<Result<Publisher, PublishRefusal>>,
    },
    /// Somebody who may, ends it. Answers whether a recording is ready.
    Stop {
        reason: EndReason,
        reply: oneshot::Sender<Result<bool, LiveError>>,
    },
}

/// One connection of an encoder, as its live sees it.
struct Session {
    id: SessionId,
    from: mpsc::Receiver<FromPublisher>,
    closing: watch::Sender<Option<Closing>>,
    rhythm: watch::Sender<Option<Rhythm>>,
    encoder_known: bool,
    began: Instant,
    measuring: Measuring,
}

/// A hole that opened when the encoder went silent or away.
struct OpenGap {
    at: Ticks,
    since: Timestamp,
}

pub(super) struct Owner {
    deps: Arc<Deps>,
    live: Live,
    state: State,
    running: Arc<Running>,
    growing: Growing,
    ladder: Option<LadderHandle>,
    /// What an earlier process left of it, until its task has it.
    steps: Steps,
    /// How renditions grow.
    plan: GrowingPlan,
    room: Room,
    recording: Option<RecordingId>,
    session: Option<Session>,
    /// When media came last; while there is none: when the state began.
    last_media: Instant,
    last_media_at: Timestamp,
    gap: Option<OpenGap>,
    doctor: Doctor,
    rows: Rows,
}

impl Owner {
    /// The owner of a live that stands at `state`. `growing` already holds what an earlier process recorded.
    pub(super) fn new(
        deps: Arc<Deps>,
        live: Live,
        state: State,
        running: Arc<Running>,
        growing: Growing,
        recording: Option<RecordingId>,
        (plan, room): (GrowingPlan, Room),
    ) -> Self {
        let last_media_at = live.last_media_at.unwrap_or_else(|| deps.clock.now());
        let gap = matches!(state, State::Interrupted(_)).then(|| OpenGap {
            at: growing.position(),
            since: last_media_at,
        });
        Self {
            rows: Rows::new(&deps, live.id),
            deps,
            live,
            state,
            running,
            growing,
            ladder: None,
            steps: Steps::default(),
            plan,
            room,
            recording,
            session: None,
            last_media: Instant::now(),
            last_media_at,
            gap,
            doctor: Doctor::default(),
        }
    }

    /// Runs until the live has ended or the server stops.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let span = tracing::info_span!(parent: None, "live", live.id = %self.live.id);
        async {
            tracing::info!(state = self.state.status().as_str(), "a live has an owner");
            let stopping = self.deps.tasks.stopping();
            while !matches!(self.state, State::Ended(_)) {
                let deadline = self.deadline();
                tokio::select! {
                    biased;
                    () = stopping.cancelled() => {
                        self.park().await;
                        return;
                    }
                    Some(command) = commands.recv() => self.obey(command).await,
                    heard = hear(&mut self.session) => self.listen(heard).await,
                    () = tokio::time::sleep_until(deadline) => self.time_passed().await,
                }
            }
            // What was still asked while the live ended.
            commands.close();
            while let Some(command) = commands.recv().await {
                self.answer_after_the_end(command);
            }
            self.finish_late().await;
            if let Some(ladder) = self.ladder.take() {
                ladder.ended().await;
            }
        }
        .instrument(span)
        .await;
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Publish { request, reply } => {
                let answer = self.publish(request).await;
                if let Err(Ok(publisher)) = reply.send(answer) {
                    // The connection went away while we decided; its session ends as any drop does.
                    drop(publisher);
                }
            }
            Command::Stop { reason, reply } => {
                let answer = self.end(reason).await;
                // The caller may have gone; the live is stopped all the same.
                drop(reply.send(answer));
            }
        }
    }

    fn answer_after_the_end(&self, command: Command) {
        match command {
            Command::Publish { reply, .. } => drop(reply.send(Err(PublishRefusal::Stopped))),
            Command::Stop { reply, .. } => drop(reply.send(Ok(self.recording.is_some()))),
        }
    }

    async fn publish(&mut self, request: PublishRequest) -> Result<Publisher, PublishRefusal> {
        if self.session.is_some() {
            if self.last_media.elapsed() < SILENCE {
                return Err(PublishRefusal::Busy);
            }
            self.close_session(Closing::TakenOver, "taken_over").await;
        }
        let unavailable = |error: StoreError| {
            tracing::error!(%error, "a publish cannot be noted");
            PublishRefusal::Unavailable
        };
        let now = self.deps.clock.now();
        let recording = match self.recording {
            Some(recording) => recording,
            None => {
                let id = RecordingId(self.deps.ids.next());
                let made = self
                    .deps
                    .store
                    .create_recording(id, self.live.id, now)
                    .await;
                made.map_err(unavailable)?.id
            }
        };
        self.recording = Some(recording);
        self.growing.set_recording(recording);
        let session = SessionId(self.deps.ids.next());
        let row = NewSession {
            id: session,
            live_id: self.live.id,
            protocol: request.protocol.to_owned(),
            encoder: request.encoder.clone(),
            at: now,
        };
        self.deps
            .store
            .open_session(&row)
            .await
            .map_err(unavailable)?;
        self.begin_ladder(recording).await;
        self.advance(Happening::Publish);
        self.rows.settle(SETTLE).await;

        // 16 reads of the socket: full means that this task is behind; see `Publisher::to_owner`.
        let (to_owner, from) = mpsc::channel(16);
        let (closing, closing_seen) = watch::channel(None);
        let (rhythm, rhythm_seen) = watch::channel(None);
        self.session = Some(Session {
            id: session,
            from,
            closing,
            rhythm,
            encoder_known: request.encoder.is_some(),
            began: Instant::now(),
            measuring: Measuring::default(),
        });
        self.last_media = Instant::now();
        self.growing.start_session();
        tracing::info!(publish.session_id = %session, protocol = request.protocol,
            encoder = request.encoder.as_deref().unwrap_or("unknown"), "an encoder publishes");
        Ok(Publisher {
            live: self.live.id,
            session,
            to_owner,
            closing: closing_seen,
            rhythm: rhythm_seen,
        })
    }

    /// Gives the live a ladder, if it is to have one and has none.
    async fn begin_ladder(&mut self, recording: RecordingId) {
        if self.ladder.is_some() || self.deps.config.ladder == LadderWish::Off {
            return;
        }
        let owner = self.deps.store.user(self.live.owner_id).await;
        let owner = owner.unwrap_or_else(|error| {
            tracing::warn!(%error, "whose live this is cannot be read; it gets no ladder");
            None
        });
        let roles = &self.deps.config.ladder_roles;
        if owner.is_some_and(|owner| roles.contains(&owner.role)) {
            self.follow(recording, true);
        }
    }

    /// Takes up the rungs that an earlier process left, whatever the settings are now: they end with the live.
    pub(super) fn go_on_with(&mut self, recording: RecordingId, steps: Steps) {
        let wanted = self.deps.config.ladder != LadderWish::Off;
        let has_rungs = !steps.is_empty();
        self.steps = steps;
        if has_rungs {
            self.follow(recording, wanted);
        }
    }

    /// Starts the ladder's task.
    fn follow(&mut self, recording: RecordingId, wanted: bool) {
        let site = Site {
            deps: Arc::clone(&self.deps),
            running: Arc::clone(&self.running),
            growing: self.plan.clone(),
            recording,
            room: self.room.clone(),
            wanted,
        };
        let (ladder, beats) = ladder::start(site, std::mem::take(&mut self.steps));
        self.growing.follow(beats);
        self.ladder = Some(ladder);
    }

    async fn listen(&mut self, heard: Option<FromPublisher>) {
        match heard {
            Some(FromPublisher::Media(media)) => self.take(media).await,
            Some(FromPublisher::End(SessionEnd::Goodbye)) => {
                self.session_ended(SessionEnd::Goodbye, Happening::Goodbye)
                    .await;
            }
            Some(FromPublisher::End(how)) => {
                self.session_ended(how, Happening::Dropped).await;
            }
            None => {
                self.session_ended(SessionEnd::Dropped, Happening::Dropped)
                    .await;
            }
        }
    }

    async fn take(&mut self, media: Vec<Media>) {
        if let Some(encoder) = media.iter().find_map(Media::encoder) {
            self.note_encoder(encoder);
        }
        if media.iter().any(Media::is_frame) {
            let now = self.deps.clock.now();
            self.last_media = Instant::now();
            self.last_media_at = now;
            if matches!(self.state, State::Interrupted(_)) {
                self.advance(Happening::Media);
            }
            self.close_gap(now);
        }
        if let Some(session) = &mut self.session {
            media.iter().for_each(|item| session.measuring.hear(item));
        }
        if let Err(error) = self.growing.push(media).await {
            if let (RenditionError::File(_), Some(session)) = (&error, &mut self.session) {
                session.measuring.disk_refused(session.began.elapsed());
            }
            metrics::counter!("griot_rendition_errors_total", "kind" => error.kind().as_str())
                .increment(1);
            tracing::error!(%error, "media could not be recorded");
        }
        self.tell_rhythm();
        self.note_losses();
        self.consult();
    }

    /// Tells the connection which pictures are waited for.
    fn tell_rhythm(&self) {
        if let Some(session) = &self.session {
            let rhythm = self.growing.rhythm();
            session.rhythm.send_if_modified(|known| {
                *known = rhythm;
                // It looks when it reads: nobody waits for this.
                false
            });
        }
    }

    /// Tells of the holes that the disk has made.
    fn note_losses(&mut self) {
        let losses = self.growing.take_losses();
        self.running.set_losing(self.growing.losing());
        let Some(recording) = self.recording else {
            return;
        };
        for loss in losses {
            self.rows.put(Row::Gap(NewGap {
                id: self.deps.ids.next(),
                recording_id: recording,
                at: loss.at,
                started_at: loss.since,
                seconds: Some(loss.seconds),
                cause: GapCause::Disk,
            }));
        }
    }

    /// The doctor looks at the session, at most once a second.
    fn consult(&mut self) {
        let Some(session) = &mut self.session else {
            return;
        };
        let at = session.began.elapsed();
        let away = self.growing.objects_are_away();
        let lack = self.running.lacks_rungs();
        if let Some(vitals) = session.measuring.look(at, away, lack) {
            let changes = self.doctor.look(vitals, self.deps.clock.now());
            self.tell_findings(&changes);
        }
    }

    /// The encoder is away, and its findings with it.
    fn dismiss_doctor(&mut self) {
        let changes = self.doctor.leave(self.deps.clock.now());
        self.tell_findings(&changes);
    }

    fn tell_findings(&self, changes: &Changes) {
        for code in &changes.appeared {
            let (code, severity) = (code.as_str(), code.severity().as_str());
            metrics::gauge!("griot_doctor_findings", "code" => code).increment(1.0);
            tracing::info!(live.id = %self.live.id, code, severity, "the doctor found something");
        }
        for code in &changes.gone {
            metrics::gauge!("griot_doctor_findings", "code" => code.as_str()).decrement(1.0);
            tracing::info!(live.id = %self.live.id, code = code.as_str(), "a finding is gone");
        }
        self.running.set_findings(self.doctor.findings());
    }

    fn note_encoder(&mut self, encoder: &str) {
        if let Some(session) = &mut self.session
            && !session.encoder_known
        {
            session.encoder_known = true;
            self.rows.put(Row::Encoder(session.id, encoder.to_owned()));
        }
    }

    async fn session_ended(&mut self, how: SessionEnd, happening: Happening) {
        if let Some(session) = self.session.take() {
            self.note_session_end(session.id, how.as_str());
        }
        self.dismiss_doctor();
        self.end_timeline().await;
        self.advance(happening);
    }

    /// Ends the session from our side and tells its connection why.
    async fn close_session(&mut self, why: Closing, word: &str) {
        let Some(mut session) = self.session.take() else {
            return;
        };
        session.closing.send_replace(Some(why));
        // What the connection already handed over belongs to the live.
        session.from.close();
        while let Some(FromPublisher::Media(media)) = session.from.recv().await {
            self.take(media).await;
        }
        self.note_session_end(session.id, word);
        self.dismiss_doctor();
        self.end_timeline().await;
    }

    fn note_session_end(&self, session: SessionId, word: &str) {
        tracing::info!(publish.session_id = %session, end = word, "a publish session ended");
        let now = self.deps.clock.now();
        self.rows
            .put(Row::SessionEnd(session, word.to_owned(), now));
    }

    async fn end_timeline(&mut self) {
        if let Err(error) = self.growing.end_session().await {
            tracing::error!(%error, "the last part of a session could not be recorded");
        }
    }

    /// Lets something happen: state, viewers, then row and event.
    fn advance(&mut self, happening: Happening) {
        let before = self.state;
        self.state = next(before, happening);
        if self.state == before {
            return;
        }
        self.tell_change(before, happening.as_str());
        let now = self.deps.clock.now();
        let grace = self.grace();
        let change = LiveChange {
            status: Some(self.state.status()),
            started_at: (happening == Happening::Publish).then_some(now),
            grace_until: Some(grace.map(|grace| self.last_media_at.plus(grace))),
            last_media_at: Some(self.last_media_at),
            ..LiveChange::default()
        };
        if matches!(self.state, State::Interrupted(_)) && self.gap.is_none() {
            self.gap = Some(OpenGap {
                at: self.growing.position(),
                since: self.last_media_at,
            });
        }
        self.running.set_status(self.state.status());
        self.growing
            .set_interrupted(self.state.status() == LiveStatus::Interrupted);
        self.rows.put(Row::Live(change));
    }

    /// One line in the log for each change, readable by machines: nothing else says `event`.
    fn tell_change(&self, before: State, event: &'static str) {
        let (from, to) = (before.status().as_str(), self.state.status().as_str());
        metrics::counter!("griot_live_changes_total", "to" => to, "event" => event).increment(1);
        tracing::info!(live.id = %self.live.id, from, to, event, "the live's state changed");
    }

    fn grace(&self) -> Option<Duration> {
        match self.state {
            State::Interrupted(Interruption::Goodbye) => Some(self.deps.config.goodbye_grace),
            State::Interrupted(_) => Some(self.deps.config.reconnect_grace),
            State::Ready | State::Live | State::Ended(_) => None,
        }
    }

    fn close_gap(&mut self, now: Timestamp) {
        let (Some(gap), Some(recording)) = (self.gap.take(), self.recording) else {
            return;
        };
        let row = NewGap {
            id: self.deps.ids.next(),
            recording_id: recording,
            at: gap.at,
            started_at: gap.since,
            seconds: Some(now.since(gap.since).as_secs_f64()),
            cause: GapCause::Encoder,
        };
        self.rows.put(Row::Gap(row));
    }

    /// When something is due if nothing is heard.
    fn deadline(&self) -> Instant {
        match self.state {
            State::Ready => self.running.owner_seen() + READY_TIMEOUT,
            State::Live => self.last_media + SILENCE,
            State::Interrupted(_) => self.last_media + self.grace().unwrap_or_default(),
            State::Ended(_) => Instant::now(),
        }
    }

    async fn time_passed(&mut self) {
        match self.state {
            State::Live => self.advance(Happening::Silence),
            State::Ready | State::Interrupted(_) => {
                let State::Ended(reason) = next(self.state, Happening::GraceOver) else {
                    return;
                };
                if let Err(error) = self.end(reason).await {
                    tracing::error!(%error, "a live that is over could not be ended; trying again");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
            State::Ended(_) => {}
        }
    }

    /// Ends the live for good: row, encoder, playlist, recording. Answers whether a recording is ready.
    /// Fails, with nothing changed, while the row cannot be written.
    async fn end(&mut self, reason: EndReason) -> Result<bool, LiveError> {
        // In their order; when the database is away, what follows fails too.
        self.rows.settle(SETTLE).await;
        let now = self.deps.clock.now();
        let viewers = LiveChange {
            viewers: Some(i64::try_from(self.running.audience.peak()).unwrap_or(i64::MAX)),
            last_media_at: Some(self.last_media_at),
            ..LiveChange::default()
        };
        self.deps.store.update_live(self.live.id, &viewers).await?;
        self.deps.store.end_live(self.live.id, reason, now).await?;
        let before = self.state;
        self.state = next(before, Happening::Stop(reason));
        self.tell_change(before, reason.as_str());
        self.running.set_status(LiveStatus::Ended);
        self.close_session(Closing::Stopped, "stopped").await;
        let saved = self.finish_recording().await;
        self.rows.settle(SETTLE).await;
        tracing::info!(
            reason = reason.as_str(),
            recording.ready = saved,
            "the live ended"
        );
        self.deps
            .events
            .publish(Event::LiveChanged { live: self.live.id });
        if saved {
            self.deps
                .events
                .publish(Event::RecordingReady { live: self.live.id });
        }
        Ok(saved)
    }

    async fn finish_recording(&mut self) -> bool {
        let Some(recording) = self.recording else {
            self.growing.abandon();
            return false;
        };
        let finished = self.growing.finish().await;
        // Behind the source, and behind the answer of the stop.
        if let Some(ladder) = &self.ladder {
            ladder.close(Close::Finish);
        }
        self.note_losses();
        note_finished(&self.deps, recording, &finished).await
    }

    /// After the end: a recording that could not be made final at once (a full disk, an absent database) may
    /// become final yet.
    async fn finish_late(&mut self) {
        let Some(recording) = self.recording else {
            return;
        };
        if self.growing.is_finished() {
            return;
        }
        let finished = self.growing.finished().await;
        if note_finished(&self.deps, recording, &finished).await {
            tracing::info!("the recording is final at last");
            let live = self.live.id;
            self.deps.events.publish(Event::RecordingReady { live });
        }
    }

    /// The server stops: the encoder is asked to come back, what is there is made durable, the live stays open.
    async fn park(&mut self) {
        self.close_session(Closing::Shutdown, "shutdown").await;
        if let Err(error) = self.growing.park().await {
            tracing::error!(%error, "the rendition could not be parked");
        }
        if let Some(ladder) = &self.ladder {
            ladder.close(Close::Park);
        }
        self.note_losses();
        let change = LiveChange {
            last_media_at: Some(self.last_media_at),
            ..LiveChange::default()
        };
        self.rows.put(Row::Live(change));
        self.rows.settle(SETTLE).await;
        if let Some(ladder) = self.ladder.take() {
            ladder.ended().await;
        }
        tracing::info!("the live is parked");
    }
}

/// Notes how a recording was finished; says whether it is ready and that is noted.
pub(super) async fn note_finished(
    deps: &Deps,
    recording: RecordingId,
    finished: &Result<bool, RenditionError>,
) -> bool {
    let (state, saved) = match finished {
        Ok(true) => (RecordingState::Ready, true),
        Ok(false) => (RecordingState::Failed, false),
        Err(error) => {
            tracing::error!(%error, "the recording could not be finished yet");
            (RecordingState::Finishing, false)
        }
    };
    let now = deps.clock.now();
    let stopping = deps.tasks.stopping();
    let noted = insist(&stopping, || async {
        deps.store
            .set_recording_state(recording, state, now)
            .await?;
        if saved {
            // A directory store has the bytes as soon as the file was renamed into it.
            deps.store.set_recording_stored(recording, now).await?;
        }
        Ok(())
    });
    match noted.await {
        Ok(()) => saved,
        Err(error) => {
            tracing::error!(%error, "the recording's state was not noted; the next start does");
            false
        }
    }
}

/// The next message of the publisher; pending while there is none. Cancel safe.
async fn hear(session: &mut Option<Session>) -> Option<FromPublisher> {
    match session {
        Some(session) => session.from.recv().await,
        None => std::future::pending().await,
    }
}
