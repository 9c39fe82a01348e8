//! The growing side of a rendition: media in; file, rows, shelf and playlist out. One owner, no lock held.
//!
//! Order for every part: written to the file, put on the shelf, announced. What a viewer was told of is
//! therefore in the file, and survives a kill of this process.

use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::beat::{Beat, Followers, SourceLine};
use super::error::RenditionError;
use super::gate::Gate;
use super::losing::{Losing, Loss};
use super::media::Media;
use super::reader::{Announced, Reader};
use super::run::{NewOpenRun, OpenRun, RunNumbers, part_max_ms};
use super::seal::Sealed;
use super::sending::Sending;
use super::shelf::Shelf;
use super::siblings::Siblings;
use super::variant::Rates;
use crate::av::{CodecConfig, Frame, Part, Rhythm, Ticks, TrackKind, TrackSet};
use crate::base::{Clock, IdMaker, LiveId, RecordingId, Tasks, Timestamp};
use crate::fmp4::{Packager, PackagerConfig, Packed, PartTarget, ResumeState};
use crate::hls;
use crate::store::Store;

/// How long a rendition waits after a file or a row could not be made, instead of trying with every frame.
const REST: Duration = Duration::from_secs(1);

/// How long a run goes on without its sound, whose configuration has changed, while no key frame comes.
const KEY_PATIENCE: Ticks = Ticks(900_000);

/// What a rendition needs to grow.
#[derive(Clone, Debug)]
pub struct GrowingPlan {
    /// Of which live.
    pub live: LiveId,
    /// Its name in URLs and paths.
    pub rendition: String,
    /// The longest part, in milliseconds.
    pub part_max_ms: u32,
    /// The rows.
    pub store: Store,
    /// Where files grow, and the way to where they end up.
    pub sending: Sending,
    /// The wall clock.
    pub clock: Clock,
    /// Ids of new rows.
    pub ids: IdMaker,
    /// Where background work runs.
    pub tasks: Tasks,
}

impl GrowingPlan {
    /// How its playlist is written: short parts may be played closer to the edge (design §4a).
    pub(super) fn window(&self) -> hls::Config {
        hls::Config {
            hold_back_tenths: if self.part_max_ms <= 100 { 25 } else { 30 },
            ..hls::Config::default()
        }
    }
}

/// A run that grows, and what makes its parts.
#[derive(Debug)]
pub(super) struct Packing {
    pub(super) packager: Packager,
    pub(super) run: OpenRun,
}

/// A rendition that grows.
#[derive(Debug)]
pub struct Growing {
    pub(super) plan: GrowingPlan,
    pub(super) recording: Option<RecordingId>,
    gate: Gate,
    pub(super) run: Option<Packing>,
    pub(super) numbers: RunNumbers,
    pub(super) window: hls::Window,
    pub(super) shelf: Arc<RwLock<Shelf>>,
    announced: watch::Sender<Announced>,
    siblings: Siblings,
    pub(super) rates: Rates,
    interrupted: bool,
    pub(super) frame_rate_hint: Option<f64>,
    /// The sound's configuration changed, and the run goes on without sound to the next key frame: since which picture.
    sound_changed: Option<Option<Ticks>>,
    /// When the first frame of a new session came, until the playlist has been told.
    pub(super) session_began: Option<Timestamp>,
    awaits_first_frame: bool,
    /// Fixed by the first part of the first run: PART-TARGET may not change (RFC 8216bis 6.2.1).
    pub(super) part_target: Option<PartTarget>,
    /// Where the rendition's timeline ends.
    pub(super) end: Ticks,
    /// After a run could not be opened: until when media is dropped before the next try.
    rests_until: Option<Instant>,
    /// Closed runs, each with the task that makes its file final.
    pub(super) sealing: Vec<JoinHandle<Sealed>>,
    pub(super) finished_runs: usize,
    /// Those that the next start makes final.
    pub(super) parked_runs: usize,
    /// While the disk refuses media.
    pub(super) losing: Option<Losing>,
    pub(super) losses: Vec<Loss>,
    pub(super) followers: Followers,
    /// What an earlier process left, until it is taken or the first segment follows.
    pub(super) restored: Vec<hls::SegmentMeta>,
}

impl Growing {
    /// A rendition without any media yet.
    #[must_use]
    pub fn new(plan: GrowingPlan) -> Self {
        let window = hls::Window::new(plan.window());
        let (announced, _) = watch::channel(Announced::new(window.snapshot(), None, false));
        Self {
            plan,
            recording: None,
            gate: Gate::default(),
            run: None,
            numbers: RunNumbers::default(),
            window,
            shelf: Arc::default(),
            announced,
            siblings: Siblings::default(),
            rates: Rates::default(),
            interrupted: false,
            frame_rate_hint: None,
            sound_changed: None,
            session_began: None,
            awaits_first_frame: false,
            part_target: None,
            end: Ticks::ZERO,
            rests_until: None,
            sealing: Vec::new(),
            finished_runs: 0,
            parked_runs: 0,
            losing: None,
            losses: Vec::new(),
            followers: Followers::default(),
            restored: Vec::new(),
        }
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

    /// Tells `followers` every beat from now on, first of a run that is open already. A full channel never slows the
    /// live: its sender is dropped, which ends the ladder.
    pub fn follow(&mut self, followers: mpsc::Sender<Beat>) {
        self.followers.set(followers);
        if let Some(tracks) = self.tracks().cloned() {
            self.followers.tell(|| Beat::Run {
                tracks,
                discontinuity: false,
            });
        }
    }

    /// What the frames of the run are that is open now.
    #[must_use]
    pub fn tracks(&self) -> Option<&TrackSet> {
        self.run.as_ref().map(|packing| packing.run.tracks())
    }

    /// What an earlier process has left of this rendition. Once, after [`Growing::resume`] and before media comes: it is empty after.
    pub fn take_line(&mut self) -> SourceLine {
        SourceLine {
            segments: std::mem::take(&mut self.restored),
            target: self.part_target,
        }
    }

    /// Which recording its rows belong to; before the first media.
    pub fn set_recording(&mut self, recording: RecordingId) {
        self.recording = Some(recording);
    }

    /// Where its timeline ends, 90 kHz from the first picture.
    #[must_use]
    pub fn position(&self) -> Ticks {
        self.end
    }

    /// Which of the encoder's pictures complete parts, while that is steady.
    #[must_use]
    pub fn rhythm(&self) -> Option<Rhythm> {
        self.run.as_ref()?.packager.rhythm()
    }

    /// Whether the object store does not take what is recorded.
    #[must_use]
    pub fn objects_are_away(&self) -> bool {
        self.plan.sending.trouble().is_some()
    }

    /// Tells waiting players that nothing will come soon, or that it will again.
    pub fn set_interrupted(&mut self, interrupted: bool) {
        if self.interrupted != interrupted {
            self.interrupted = interrupted;
            self.announce();
            self.followers.tell(|| Beat::Interrupted(interrupted));
        }
    }

    /// A publish session begins; what it announces decides whether the same file goes on.
    pub fn start_session(&mut self) {
        self.gate = Gate::default();
        self.awaits_first_frame = true;
        self.sound_changed = None;
        if let Some(run) = &mut self.run {
            run.packager.start_session();
        }
    }

    /// Takes what one read of the encoder's socket brought.
    ///
    /// # Errors
    /// When a file or a row could not be made. Media that could not be kept is lost; the next call tries again.
    pub async fn push(&mut self, media: Vec<Media>) -> Result<(), RenditionError> {
        let mut packed = Vec::new();
        for item in media {
            match item {
                Media::Config(config) => self.configure(config, &mut packed).await?,
                Media::Frame(frame) => self.frame(frame, &mut packed).await?,
                Media::FrameRateHint(rate) => self.frame_rate_hint = Some(rate),
                Media::BitRateHint(rate) => self.rates.declare(rate),
                Media::Encoder(_) | Media::UnknownCodec => {}
            }
        }
        self.write_out(packed).await
    }

    async fn configure(
        &mut self,
        config: CodecConfig,
        packed: &mut Vec<Packed>,
    ) -> Result<(), RenditionError> {
        let changed = self.gate.announce(config);
        let Some(tracks) = self.tracks() else {
            return Ok(());
        };
        if !changed || self.gate.fits(tracks) {
            return Ok(());
        }
        // Pictures before the next key frame would be lost to the next run.
        if tracks.video.is_some() && self.gate.fits_picture(tracks) && !self.awaits_first_frame {
            tracing::info!("the sound changed: the next key frame begins a run");
            self.sound_changed.get_or_insert(None);
            return Ok(());
        }
        self.sound_changed = None;
        self.close_run(std::mem::take(packed)).await
    }

    /// Whether this frame is the sound that a new run is to begin with, and there is none yet. Begins that run with
    /// a key frame, or when none has come for too long.
    async fn waits_for_key(
        &mut self,
        frame: &Frame,
        packed: &mut Vec<Packed>,
    ) -> Result<bool, RenditionError> {
        let Some(since) = &mut self.sound_changed else {
            return Ok(false);
        };
        if frame.track == TrackKind::Audio {
            return Ok(true);
        }
        let since = *since.get_or_insert(frame.dts);
        if frame.key || (frame.dts - since).0.abs() > KEY_PATIENCE.0 {
            self.sound_changed = None;
            self.close_run(std::mem::take(packed)).await?;
        }
        Ok(false)
    }

    async fn frame(
        &mut self,
        frame: Frame,
        packed: &mut Vec<Packed>,
    ) -> Result<(), RenditionError> {
        if self.awaits_first_frame {
            self.awaits_first_frame = false;
            self.session_began = Some(self.plan.clock.now());
        }
        if self.losing.is_some() {
            self.recover_disk(&frame, packed).await?;
        }
        if self.waits_for_key(&frame, packed).await? {
            return Ok(());
        }
        if let Some(run) = &mut self.run {
            run.packager.push(frame, packed);
        } else if self.gate.hold(frame) {
            let (tracks, held) = self.gate.release();
            if self.rests_until.is_some_and(|until| Instant::now() < until) {
                return Ok(());
            }
            self.rests_until = Some(Instant::now() + REST);
            let run = self.create_run(tracks).await?;
            self.rests_until = None;
            self.begin_run(run);
            if let Some(run) = &mut self.run {
                for frame in held {
                    run.packager.push(frame, packed);
                }
            }
        }
        Ok(())
    }

    /// Makes the next run, of what was announced: that holds, whatever the frame rate of this run turns out to be.
    pub(super) async fn create_run(&mut self, tracks: TrackSet) -> Result<Packing, RenditionError> {
        let config = PackagerConfig {
            part_max_ms: part_max_ms(&self.plan, self.part_target),
        };
        let hint = self.frame_rate_hint;
        let packager = match self.part_target {
            None => Packager::new(config, tracks, self.end, hint)?,
            Some(announced) => {
                let state = ResumeState::after(announced, self.end, []);
                Packager::resume(config, tracks, state, hint)?
            }
        };
        let new = NewOpenRun {
            recording: self.recording,
            init: packager.init().clone(),
            timeline_start: self.end,
            started_at: self.session_began.unwrap_or_else(|| self.plan.clock.now()),
        };
        let run = OpenRun::create(&self.plan, &mut self.numbers, new).await?;
        Ok(Packing { packager, run })
    }

    /// What comes next lies in `next`; answers the run before it, if that was still open.
    pub(super) fn begin_run(&mut self, mut next: Packing) -> Option<OpenRun> {
        next.packager.start_session();
        self.window.start_run(next.run.number, true);
        self.followers.tell(|| Beat::Run {
            tracks: next.run.tracks().clone(),
            discontinuity: true,
        });
        if let Some(shelf) = next.run.shelf() {
            self.shelf().add_run(shelf);
        }
        self.run.replace(next).map(|before| before.run)
    }

    /// The encoder is gone: what is pending becomes the last part of its segment.
    ///
    /// # Errors
    /// As [`Growing::push`].
    pub async fn end_session(&mut self) -> Result<(), RenditionError> {
        let mut packed = Vec::new();
        let Some(run) = &mut self.run else {
            return Ok(());
        };
        if !run.packager.is_in_session() {
            return Ok(());
        }
        run.packager.end_session(&mut packed);
        self.window.end_session();
        tracing::info!(counters = ?run.packager.counters(), "a session was packaged");
        let written = self.write_out(packed).await;
        self.followers.tell(|| Beat::SessionEnd);
        written
    }

    /// Ends the run because the encoder's configuration changed, and makes its file final.
    async fn close_run(&mut self, packed: Vec<Packed>) -> Result<(), RenditionError> {
        self.write_out(packed).await?;
        self.end_session().await?;
        if let Some(run) = self.run.take() {
            self.end = run.packager.end();
            self.seal(run.run);
        }
        Ok(())
    }

    /// Writes what the packager handed out, then puts it on the shelf and announces it.
    pub(super) async fn write_out(&mut self, packed: Vec<Packed>) -> Result<(), RenditionError> {
        if packed.is_empty() {
            return Ok(());
        }
        let Some(Packing { packager, mut run }) = self.run.take() else {
            return Ok(());
        };
        let target = packager.part_target();
        let bytes = packed.iter().filter_map(|item| match item {
            Packed::Part(part) => Some(part.bytes.clone()),
            Packed::SegmentEnd => None,
        });
        let written = run.append(bytes.collect()).await;
        if let Err(error) = &written {
            if self.losing.is_none() {
                tracing::error!(%error, "the disk refuses parts; viewers have them from memory");
            }
            metrics::counter!("griot_parts_not_written_total").increment(1);
            self.begin_losing(&run).await;
        }
        let mut offset = written.as_ref().ok().copied();
        for item in packed {
            match item {
                Packed::Part(part) => self.add_part(&mut run, target, part, &mut offset),
                Packed::SegmentEnd => drop(self.end_segment(&mut run)),
            }
        }
        self.run = Some(Packing { packager, run });
        self.announce();
        Ok(())
    }

    fn add_part(
        &mut self,
        run: &mut OpenRun,
        target: PartTarget,
        part: Part,
        offset: &mut Option<u64>,
    ) {
        let target = *self.part_target.get_or_insert(target);
        if let PartTarget::Parts { duration } = target {
            self.window.set_part_target(Some(duration));
        }
        if let Some(began) = self.session_began.take() {
            self.window.start_session(began);
            self.followers.tell(|| Beat::Session { at: began });
        }
        self.restored = Vec::new();
        let length = part.bytes.len() as u64;
        let (msn, index) = self.window.push_part(hls::PartMeta {
            duration: part.duration,
            independent: part.independent,
            bytes: u32::try_from(length).unwrap_or(u32::MAX),
        });
        self.followers.tell(|| Beat::Part {
            part: part.clone(),
            msn,
            index,
            target,
        });
        let spot = offset.map(|at| run.spot(at, length));
        if let Some(at) = offset {
            *at += length;
        }
        self.end = self.end + part.duration;
        self.rates.part(length, part.duration);
        metrics::counter!("griot_parts_total").increment(1);
        metrics::counter!("griot_part_bytes_total").increment(length);
        run.add_part(&part, spot.is_some());
        let mut shelf = self.shelf();
        if spot.is_none() {
            shelf.hold(run.number, msn, index, part.bytes.clone());
        }
        shelf.add_part(msn, index, spot, part.bytes);
    }

    pub(super) fn end_segment(&mut self, run: &mut OpenRun) -> Option<hls::SegmentMeta> {
        let mut segment = self.window.end_segment()?;
        self.rates.segment();
        // Viewers have it as long as memory holds it; the recording lacks it from the start.
        segment.gap = run.has_lost_parts();
        let ends_session = self.window.session_ends();
        self.followers.tell(|| Beat::SegmentEnd {
            segment,
            ends_session,
        });
        let mut spot = run.end_segment(&segment);
        if segment.gap {
            spot.length = 0;
        }
        let gone = {
            let mut shelf = self.shelf();
            shelf.add_segment(segment.msn, spot);
            shelf.shed()
        };
        self.lose(gone);
        Some(segment)
    }

    pub(super) fn announce(&self) {
        let tracks = self.tracks();
        let measured = tracks.map(|tracks| self.rates.variant(&self.plan.rendition, tracks));
        let variant = measured.or_else(|| self.announced.borrow().variant());
        self.announce_variant(variant);
    }

    /// Announces with what an earlier process knew of the rendition.
    pub(super) fn announce_variant(&self, variant: Option<hls::Variant>) {
        let snapshot = self.window.snapshot();
        let announced = Announced::new(snapshot, variant, self.interrupted);
        self.announced.send_replace(announced);
    }

    pub(super) fn shelf(&self) -> RwLockWriteGuard<'_, Shelf> {
        self.shelf.write().unwrap_or_else(PoisonError::into_inner)
    }
}
