//! A disk that refuses media: viewers go on from memory, the recording has a hole, a new run ends it.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::error::RenditionError;
use super::growing::Growing;
use super::run::OpenRun;
use super::spool::SpoolRoom;
use crate::av::{Frame, Ticks, Timescale, TrackKind};
use crate::base::{Timestamp, blocking};
use crate::fmp4::Packed;

/// How long a rendition leaves a disk alone that has refused.
const REST: Duration = Duration::from_secs(1);
/// The same once a new run could not begin.
pub(super) const LONG_REST: Duration = Duration::from_secs(10);
/// Room that ends a hole, so that it does not begin again at once; on a small disk an eighth of it is enough.
pub(super) const ROOM: u64 = 64 << 20;

/// A hole that the disk has made in a recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loss {
    /// Where it begins on the recording's timeline.
    pub at: Ticks,
    /// When it began.
    pub since: Timestamp,
    /// Media that is in no file, seconds.
    pub seconds: f64,
}

/// While the disk refuses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Losing {
    at: Ticks,
    since: Timestamp,
    rests_until: Instant,
}

impl Growing {
    /// The hole that is open now, as long as it is.
    #[must_use]
    pub fn losing(&self) -> Option<Loss> {
        let losing = self.losing?;
        Some(Loss {
            at: losing.at,
            since: losing.since,
            seconds: seconds(self.end - losing.at),
        })
    }

    /// The holes that have ended since the last call.
    pub fn take_losses(&mut self) -> Vec<Loss> {
        std::mem::take(&mut self.losses)
    }

    /// The disk has refused parts of `run`. What of the open segment is in the file joins them in memory.
    pub(super) async fn begin_losing(&mut self, run: &OpenRun) {
        if self.losing.is_some() {
            return;
        }
        metrics::gauge!("griot_lives_not_recorded").increment(1.0);
        self.losing = Some(Losing {
            at: self.end,
            since: self.plan.clock.now(),
            rests_until: Instant::now() + REST,
        });
        let msn = self.window.next_msn();
        match run.open_parts().await {
            Ok(parts) => {
                let mut shelf = self.shelf();
                for (index, part) in parts.into_iter().enumerate() {
                    shelf.hold(run.number, msn, index, part);
                }
            }
            Err(error) => tracing::error!(%error, "the open segment cannot be read back"),
        }
    }

    /// The hole is over: a new run has begun, or nothing more will come.
    pub(super) fn end_losing(&mut self) {
        if let Some(loss) = self.losing() {
            tracing::info!(seconds = loss.seconds, "the recording has a hole");
            metrics::gauge!("griot_lives_not_recorded").decrement(1.0);
            self.losing = None;
            self.losses.push(loss);
        }
    }

    /// What only memory held is no more: the playlist says so.
    pub(super) fn lose(&mut self, msns: Vec<u64>) {
        for msn in msns {
            self.window.lose_finished(msn);
        }
    }

    /// Before a frame that a run may begin with: goes on in a new run if the disk has room again. If that does not
    /// work, viewers go on from memory as before.
    pub(super) async fn recover_disk(
        &mut self,
        frame: &Frame,
        packed: &mut Vec<Packed>,
    ) -> Result<(), RenditionError> {
        let (Some(losing), Some(packing)) = (&mut self.losing, &self.run) else {
            return Ok(());
        };
        let tracks = packing.run.tracks();
        let begins = frame.key && (frame.track == TrackKind::Video || tracks.video.is_none());
        if !begins || Instant::now() < losing.rests_until {
            return Ok(());
        }
        losing.rests_until = Instant::now() + REST;
        let tracks = tracks.clone();
        let spool = self.plan.sending.places().spool.clone();
        let room = timeout(REST, blocking(move || SpoolRoom::of(&spool))).await;
        let Ok(Ok(room)) = room else {
            // It hangs: once in a while is often enough, since media waits.
            losing.rests_until = Instant::now() + LONG_REST;
            return Ok(());
        };
        if room.free < ROOM.min(room.total / 8) {
            return Ok(());
        }
        self.write_out(std::mem::take(packed)).await?;
        self.end_session().await?;
        match self.create_run(tracks).await {
            Ok(run) => {
                let dry = self.begin_run(run);
                self.end_losing();
                if let Some(dry) = dry {
                    self.seal(dry);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the disk has room again, but no new run can begin");
                if let Some(losing) = &mut self.losing {
                    losing.rests_until = Instant::now() + LONG_REST;
                }
                if let Some(run) = &mut self.run {
                    run.packager.start_session();
                }
            }
        }
        Ok(())
    }
}

fn seconds(ticks: Ticks) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "2^53 ticks are three thousand years"
    )]
    let ticks = ticks.0.max(0) as f64;
    ticks / f64::from(Timescale::VIDEO.get())
}
