//! A rung's growing side: the source's parts and segments with other bytes.
//!
//! The source's beats come first and say what is to be; parts leave in their order, once the rung's frames are there
//! ([`MirrorPackager`]). What does not come is a gap: the segment has the source's number, duration and date, and no
//! media. While a rung is away nobody reads its playlist; its gaps are noted all the same, so that it only has to go on.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::beat::{Beat, SourceLine};
use super::error::RenditionError;
use super::growing::GrowingPlan;
use super::losing::{LONG_REST, ROOM};
use super::reader::{Announced, Reader};
use super::run::{NewOpenRun, OpenRun, RunNumbers};
use super::seal::{FINISH_WITHIN, Sealed, seal_at_last};
use super::shelf::{Shelf, Spot};
use super::siblings::Siblings;
use super::spool::SpoolRoom;
use super::variant::Rates;
use crate::av::{CodecConfig, Frame, Part, Ticks, TrackSet};
use crate::base::{RecordingId, Timestamp, blocking};
use crate::fmp4::{MirrorPackager, Mirrored, Origin, PartTarget, init_of};
use crate::hls;

/// How long a rung leaves a disk alone that has refused.
const REST: Duration = Duration::from_secs(1);

/// Where a track of a rung comes from.
pub use crate::fmp4::Origin as From;

/// What a rung is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct MirrorPlan {
    /// Its name in URLs and paths: `720p`, `audio`.
    pub rendition: String,
    /// Its picture; `None`: sound alone.
    pub picture: Option<From>,
    /// Its sound.
    pub sound: Option<From>,
    /// What the multivariant playlist says of it until it was measured: CODECS, size, rates. BANDWIDTH is never
    /// below this one.
    pub estimate: hls::Variant,
}

/// What of the source's beats waits for the parts before it.
#[derive(Debug)]
enum Step {
    Run {
        tracks: TrackSet,
        discontinuity: bool,
    },
    Session {
        at: Timestamp,
    },
    Part {
        msn: u64,
        target: PartTarget,
    },
    SegmentEnd {
        segment: hls::SegmentMeta,
        ends_session: bool,
    },
}

/// A rung that mirrors its live's source, part by part.
#[derive(Debug)]
pub struct Mirror {
    pub(super) plan: GrowingPlan,
    pub(super) mirror: MirrorPlan,
    pub(super) recording: Option<RecordingId>,
    pub(super) packager: MirrorPackager,
    // As many parts as the packager holds, and what lies between them.
    steps: VecDeque<Step>,
    /// What the source's frames are at the first step, once it has said so.
    source: Option<TrackSet>,
    /// What the child has said of its own.
    encoder: TrackSet,
    pub(super) run: Option<OpenRun>,
    pub(super) numbers: RunNumbers,
    pub(super) window: hls::Window,
    /// The run that the playlist has named last.
    pub(super) named: Option<u32>,
    pub(super) shelf: Arc<RwLock<Shelf>>,
    announced: watch::Sender<Announced>,
    siblings: Siblings,
    pub(super) rates: Rates,
    interrupted: bool,
    away: bool,
    /// The open segment is lost.
    lost: bool,
    session_began: Option<Timestamp>,
    /// After the disk has refused, or no run could be opened: until when nothing is tried.
    rests_until: Option<Instant>,
    pub(super) sealing: Vec<JoinHandle<Sealed>>,
    pub(super) finished_runs: usize,
    parked_runs: usize,
}

impl Mirror {
    /// A rung without any media yet. [`GrowingPlan::rendition`] is overruled by the mirror's.
    #[must_use]
    pub fn new(mut plan: GrowingPlan, mirror: MirrorPlan) -> Self {
        plan.rendition.clone_from(&mirror.rendition);
        let window = hls::Window::new(plan.window());
        let estimate = Some(mirror.estimate.clone());
        let (announced, _) = watch::channel(Announced::new(window.snapshot(), estimate, false));
        Self {
            packager: MirrorPackager::new(mirror.picture, mirror.sound, 0),
            plan,
            mirror,
            recording: None,
            steps: VecDeque::new(),
            source: None,
            encoder: TrackSet::default(),
            run: None,
            numbers: RunNumbers::default(),
            window,
            named: None,
            shelf: Arc::default(),
            announced,
            siblings: Siblings::default(),
            rates: Rates::default(),
            interrupted: false,
            away: false,
            lost: false,
            session_began: None,
            rests_until: None,
            sealing: Vec::new(),
            finished_runs: 0,
            parked_runs: 0,
        }
    }

    /// A rung whose live has been going on without it: it lacks all of `source`. Before the first beat.
    pub fn lacks(&mut self, source: &SourceLine) {
        self.set_target(source.target);
        for segment in &source.segments {
            self.gap(segment);
        }
        self.announce();
    }

    /// Its reading side; lives on when this side is gone.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::new(
            self.plan.rendition.clone(),
            Arc::clone(&self.shelf),
            self.announced.subscribe(),
            self.siblings.clone(),
        )
    }

    /// Which recording its rows belong to; before the first media.
    pub fn set_recording(&mut self, recording: RecordingId) {
        self.recording = Some(recording);
    }

    /// What its rung is made of.
    #[must_use]
    pub fn plan(&self) -> &MirrorPlan {
        &self.mirror
    }

    /// It is made of something else from the source's next run on. Before the beat that tells of it; the name stays.
    pub fn replan(&mut self, mirror: MirrorPlan) {
        self.packager.set_origins(mirror.picture, mirror.sound);
        self.mirror = MirrorPlan {
            rendition: self.mirror.rendition.clone(),
            ..mirror
        };
        self.announce();
    }

    /// The source's next beat. Each beat before the frames that the child makes of it; but the end of a session after
    /// its last frame: what has not come then is missing.
    ///
    /// # Errors
    /// When a file or a row could not be made: the rung is away then, and tries again by itself.
    pub async fn beat(&mut self, beat: &Beat) -> Result<(), RenditionError> {
        match beat {
            Beat::Run {
                tracks,
                discontinuity,
            } => {
                self.packager.set_source(tracks);
                self.steps.push_back(Step::Run {
                    tracks: tracks.clone(),
                    discontinuity: *discontinuity,
                });
            }
            Beat::Session { at } => self.steps.push_back(Step::Session { at: *at }),
            Beat::Part {
                part,
                msn,
                index,
                target,
            } => {
                self.packager.part(part, *index == 0);
                self.steps.push_back(Step::Part {
                    msn: *msn,
                    target: *target,
                });
            }
            Beat::SegmentEnd {
                segment,
                ends_session,
            } => {
                self.packager.segment_end();
                self.steps.push_back(Step::SegmentEnd {
                    segment: *segment,
                    ends_session: *ends_session,
                });
            }
            Beat::SessionEnd => {
                self.packager.session_end();
                self.packager.settle();
            }
            Beat::Interrupted(interrupted) => {
                self.interrupted = *interrupted;
                self.announce();
            }
        }
        self.play().await
    }

    /// What the frames that follow are, from the child. Configurations of tracks that are the source's own are ignored.
    ///
    /// # Errors
    /// As [`Mirror::beat`].
    pub async fn config(&mut self, config: CodecConfig) -> Result<(), RenditionError> {
        match config {
            CodecConfig::Video(video) => self.encoder.video = Some(video),
            CodecConfig::Audio(audio) => self.encoder.audio = Some(audio),
        }
        self.note_tracks();
        self.play().await
    }

    /// A frame from the child, on the playlist's timeline.
    ///
    /// # Errors
    /// As [`Mirror::beat`].
    pub async fn frame(&mut self, frame: Frame) -> Result<(), RenditionError> {
        self.packager.frame(frame);
        self.play().await
    }

    /// The child has said all that it will say of the parts told so far: they are made of what there is.
    ///
    /// # Errors
    /// As [`Mirror::beat`].
    pub async fn settle(&mut self) -> Result<(), RenditionError> {
        self.packager.settle();
        self.play().await
    }

    /// Its media will not come: the open segment is lost, its playlist answers 404 until frames bring it back, at a
    /// segment that begins with a key frame.
    pub async fn away(&mut self) {
        self.packager.lose();
        if let Err(error) = self.play().await {
            tracing::error!(%error, rendition = self.plan.rendition, "a rung could not be left in order");
        }
        self.leave();
    }

    /// Whether its playlist cannot be had now.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.away
    }

    /// Ends the rung, as [`Growing::finish`](super::Growing::finish) ends its source: settles, ENDLIST at once, then the
    /// files. Answers whether anything was recorded.
    ///
    /// # Errors
    /// `Pending` when the files are not final in time: [`Mirror::finished`] then waits for them.
    pub async fn finish(&mut self) -> Result<bool, RenditionError> {
        if let Err(error) = self.settle().await {
            tracing::error!(%error, rendition = self.plan.rendition, "the last part of a rung could not be recorded");
        }
        self.close_run();
        self.window.end();
        // A rung that never had media is no replay.
        self.away = self.sealing.is_empty() && self.finished_runs == 0;
        self.announce();
        self.shelf().cool();
        match timeout(FINISH_WITHIN, self.finished()).await {
            Ok(finished) => finished,
            Err(_) => Err(RenditionError::Pending),
        }
    }

    /// Waits until no file is left to be made final. Answers whether anything was recorded. Cancel safe.
    ///
    /// # Errors
    /// `Pending` when the server stops before.
    pub async fn finished(&mut self) -> Result<bool, RenditionError> {
        while let Some(sealing) = self.sealing.last_mut() {
            let sealed = sealing.await;
            self.sealing.pop();
            match sealed {
                Ok(Sealed::Final) => self.finished_runs += 1,
                Ok(Sealed::Discarded | Sealed::Broken) => {}
                Ok(Sealed::Parked) => self.parked_runs += 1,
                Err(error) => tracing::error!(%error, "a task that makes a run final broke"),
            }
        }
        if self.parked_runs > 0 {
            return Err(RenditionError::Pending);
        }
        if let Some(recording) = self.recording.filter(|_| self.finished_runs > 0) {
            // The source may have been final before.
            let now = self.plan.clock.now();
            self.plan.store.set_recording_stored(recording, now).await?;
        }
        Ok(self.finished_runs > 0)
    }

    /// Makes everything durable and lets go of the files, for a later process to go on.
    ///
    /// # Errors
    /// When the disk refuses to sync.
    pub async fn park(&mut self) -> Result<(), RenditionError> {
        self.settle().await?;
        if let Some(run) = self.run.take() {
            run.park().await?;
        }
        Ok(())
    }

    /// Removes the rung, finished or not: its rows and files, and all that its readers could have.
    ///
    /// # Errors
    /// What rows, spool or object store say; to be called again.
    pub async fn discard(&mut self) -> Result<(), RenditionError> {
        self.packager.lose();
        self.away = true;
        self.announce();
        *self.shelf() = Shelf::default();
        if let Some(run) = self.run.take() {
            run.park().await?;
        }
        for sealing in std::mem::take(&mut self.sealing) {
            // Final, or broken: it goes.
            drop(sealing.await);
        }
        let Some(recording) = self.recording else {
            return Ok(());
        };
        let runs = self.plan.store.runs_of(recording).await?;
        for run in runs
            .iter()
            .filter(|run| run.rendition == self.plan.rendition)
        {
            self.plan.sending.remove(run).await?;
        }
        Ok(())
    }

    /// Does what can be done now.
    async fn play(&mut self) -> Result<(), RenditionError> {
        let mut result = Ok(());
        while let Some(step) = self.steps.front() {
            if let Step::Part { msn, target } = *step {
                let Some(mirrored) = self.packager.next_part() else {
                    break;
                };
                self.steps.pop_front();
                self.set_target(Some(target));
                let done = match mirrored {
                    Mirrored::Part(part) => self.part(msn, part).await,
                    Mirrored::Lost => {
                        metrics::counter!("griot_rung_parts_lost_total").increment(1);
                        self.leave();
                        Ok(())
                    }
                };
                result = result.and(done);
                continue;
            }
            match self.steps.pop_front() {
                Some(Step::Run {
                    tracks,
                    discontinuity,
                }) => self.source_run(tracks, discontinuity),
                Some(Step::Session { at }) => {
                    self.session_began = Some(self.window.start_session(at));
                }
                Some(Step::SegmentEnd {
                    segment,
                    ends_session,
                }) => {
                    if ends_session {
                        self.window.end_session();
                    }
                    self.segment_end(&segment);
                }
                Some(Step::Part { .. }) | None => {}
            }
        }
        result
    }

    /// What follows lies in another file of the source: in another one of the rung, too. Without a discontinuity the source
    /// goes on after a restart, and so does the rung if its frames are what they were.
    fn source_run(&mut self, tracks: TrackSet, discontinuity: bool) {
        if discontinuity {
            self.close_run();
            self.window.discontinue();
        }
        self.source = Some(tracks);
        self.note_tracks();
    }

    /// What the rung's frames are, once everything of it is known.
    fn tracks(&self) -> Option<TrackSet> {
        let tracks = TrackSet {
            video: match self.mirror.picture {
                Some(Origin::Encoder) => Some(self.encoder.video.clone()?),
                Some(Origin::Source) => self.source.as_ref()?.video.clone(),
                None => None,
            },
            audio: match self.mirror.sound {
                Some(Origin::Encoder) => Some(self.encoder.audio.clone()?),
                Some(Origin::Source) => self.source.as_ref()?.audio.clone(),
                None => None,
            },
        };
        (!tracks.is_empty()).then_some(tracks)
    }

    /// Tells the packager; a run of other tracks ends.
    fn note_tracks(&mut self) {
        let Some(tracks) = self.tracks() else {
            return;
        };
        if self.run.as_ref().is_some_and(|run| *run.tracks() != tracks) {
            if self.window.has_open_segment() {
                self.packager.break_off();
                self.leave();
            }
            self.close_run();
        }
        self.packager.set_tracks(tracks);
    }

    async fn part(&mut self, msn: u64, part: Part) -> Result<(), RenditionError> {
        self.window.begin_at(msn);
        if self.lost || msn != self.window.next_msn() {
            // The source went on without telling: nothing fits until it does.
            self.packager.break_off();
            self.leave();
            return Ok(());
        }
        if let Err(error) = self.write(msn, part).await {
            metrics::counter!("griot_rung_parts_lost_total").increment(1);
            self.rests_until = Some(Instant::now() + REST);
            self.packager.break_off();
            self.close_run();
            self.leave();
            return Err(error);
        }
        self.away = false;
        self.announce();
        Ok(())
    }

    async fn write(&mut self, msn: u64, part: Part) -> Result<(), RenditionError> {
        if self.run.is_none() {
            self.open_run(part.start).await?;
        }
        let Some(run) = &mut self.run else {
            return Err(RenditionError::Pending);
        };
        let offset = run.append(vec![part.bytes.clone()]).await?;
        let length = part.bytes.len() as u64;
        if self.named != Some(run.number) {
            self.named = Some(run.number);
            self.window.start_run(run.number, false);
        }
        let (_, index) = self.window.push_part(hls::PartMeta {
            duration: part.duration,
            independent: part.independent,
            bytes: u32::try_from(length).unwrap_or(u32::MAX),
        });
        let spot = run.spot(offset, length);
        run.add_part(&part, true);
        self.rates.part(length, part.duration);
        metrics::counter!("griot_rung_parts_total").increment(1);
        metrics::counter!("griot_rung_part_bytes_total").increment(length);
        self.shelf().add_part(msn, index, Some(spot), part.bytes);
        Ok(())
    }

    /// Makes the next run, if the disk has room.
    async fn open_run(&mut self, start: Ticks) -> Result<(), RenditionError> {
        if self.rests_until.is_some_and(|until| Instant::now() < until) {
            return Err(RenditionError::Pending);
        }
        let tracks = self.tracks().ok_or(RenditionError::Pending)?;
        let spool = self.plan.sending.places().spool.clone();
        let room = timeout(REST, blocking(move || SpoolRoom::of(&spool))).await;
        match room {
            Ok(room) => {
                let room = room?;
                if room.free < ROOM.min(room.total / 8) {
                    return Err(std::io::Error::from(std::io::ErrorKind::StorageFull).into());
                }
            }
            Err(_) => {
                self.rests_until = Some(Instant::now() + LONG_REST);
                return Err(RenditionError::Pending);
            }
        }
        let new = NewOpenRun {
            recording: self.recording,
            init: init_of(&tracks)?,
            timeline_start: start,
            started_at: self.session_began.unwrap_or_else(|| self.plan.clock.now()),
        };
        let run = OpenRun::create(&self.plan, &mut self.numbers, new).await?;
        self.rests_until = None;
        if let Some(shelf) = run.shelf() {
            self.shelf().add_run(shelf);
        }
        self.run = Some(run);
        Ok(())
    }

    /// The source's segment is complete: so is the rung's, or it is a gap.
    fn segment_end(&mut self, segment: &hls::SegmentMeta) {
        let whole = !self.lost && self.window.has_open_segment();
        self.lost = false;
        let Some(run) = self.run.as_mut().filter(|_| whole) else {
            self.gap(segment);
            self.announce();
            return;
        };
        let Some(own) = self.window.end_segment() else {
            return;
        };
        self.rates.segment();
        let spot = run.end_segment(&own);
        self.shelf().add_segment(own.msn, spot);
        self.announce();
    }

    /// A segment of the source that the rung lacks.
    fn gap(&mut self, segment: &hls::SegmentMeta) {
        self.window.begin_at(segment.msn);
        let open = self.window.lose_segment_lasting(segment.duration);
        let meta = match open {
            Some(own) => {
                self.end_lost(&own);
                own
            }
            None => {
                let number = *self.named.get_or_insert(self.numbers.made);
                let meta = hls::SegmentMeta {
                    run: number,
                    gap: true,
                    ..*segment
                };
                self.window.restore(meta);
                meta
            }
        };
        let nothing = Spot {
            run: meta.run,
            offset: 0,
            length: 0,
        };
        self.shelf().add_segment(meta.msn, nothing);
    }

    /// What the file has of a lost segment is in its index, but nobody is told of it.
    fn end_lost(&mut self, segment: &hls::SegmentMeta) {
        if let Some(run) = &mut self.run
            && run.has_parts()
        {
            run.end_segment(segment);
        }
    }

    /// Nothing is to be had until a segment begins with a key frame.
    fn leave(&mut self) {
        self.lost |= self.window.has_open_segment();
        self.away = true;
        self.announce();
    }

    /// The run's file is made final beside the live.
    pub(super) fn close_run(&mut self) {
        let Some(mut run) = self.run.take() else {
            return;
        };
        if run.has_parts() {
            // Of a segment that will not be whole.
            run.end_segment(&hls::SegmentMeta {
                msn: self.window.next_msn(),
                run: run.number,
                discontinuity: false,
                duration: Ticks::ZERO,
                gap: true,
                date_time: None,
            });
        }
        self.seal(run);
    }

    pub(super) fn seal(&mut self, run: OpenRun) {
        let (plan, shelf) = (self.plan.clone(), Arc::clone(&self.shelf));
        let sealing = self.plan.tasks.spawn(seal_at_last(plan, shelf, run));
        self.sealing.push(sealing);
    }

    pub(super) fn set_target(&mut self, target: Option<PartTarget>) {
        if let Some(PartTarget::Parts { duration }) = target {
            self.window.set_part_target(Some(duration));
        }
    }

    /// It goes on from what an earlier process has left, once its media comes.
    pub(super) fn begin_away(&mut self) {
        self.away = true;
        self.announce();
    }

    fn variant(&self) -> hls::Variant {
        let estimate = &self.mirror.estimate;
        let tracks = self.tracks();
        let measured = self
            .rates
            .variant(&self.plan.rendition, &tracks.clone().unwrap_or_default());
        let known = self.rates.is_measured();
        hls::Variant {
            uri: measured.uri,
            bandwidth: match known {
                true => measured.bandwidth.max(estimate.bandwidth),
                false => estimate.bandwidth,
            },
            average_bandwidth: measured.average_bandwidth,
            codecs: match tracks {
                Some(tracks) => tracks.codecs(),
                None => estimate.codecs.clone(),
            },
            resolution: measured.resolution.or(estimate.resolution),
            frame_rate: estimate.frame_rate,
        }
    }

    fn announce(&self) {
        let (snapshot, variant) = (self.window.snapshot(), Some(self.variant()));
        let announced = match self.away {
            true => Announced::away(snapshot, variant),
            false => Announced::new(snapshot, variant, self.interrupted),
        };
        self.announced.send_replace(announced);
    }

    pub(super) fn shelf(&self) -> RwLockWriteGuard<'_, Shelf> {
        self.shelf.write().unwrap_or_else(PoisonError::into_inner)
    }
}
