//! The ladder of a live: encoded frames in, rungs out, as long as the live.
//!
//! One thread reads what the host says and puts frames before the decoders, which take them one by one: so a child that is
//! slow reads slowly, and the host knows. Pictures, each stretch of sound and posters are pipelines of their own, because
//! nothing of one waits for another.

mod caps;
mod flow;
mod intake;
mod keys;
mod line;
mod picture;
mod place;
mod rung;
mod sound;
mod still;

use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use super::super::live_plan::LadderTask;
use super::super::wire::Ending;
use super::Trouble;
use super::link::Link;
use intake::Intake;
use place::Places;

/// How often the host hears how far the child is.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// What happens behind the back of the one who waits.
#[derive(Debug)]
enum Event {
    /// All is out.
    Ended,
    Failed(Trouble),
}

/// Ends with the live.
pub(super) fn ladder(task: &LadderTask, link: &Link) -> Result<Ending, Trouble> {
    // A few: the first that arrives ends everything, so one that finds no room may be lost.
    let (tell, told) = sync_channel(4);
    let places = Places::default();
    let mut intake = Intake::new(task, link, &places, &tell)?;
    let failed = tell.clone();
    link.listen(move |message| match intake.take(message) {
        Ok(false) => {}
        Ok(true) => report(&failed, Event::Ended),
        Err(trouble) => report(&failed, Event::Failed(trouble)),
    })
    .map_err(Trouble::Failed)?;
    loop {
        let event = told.recv_timeout(TELL_EVERY);
        places.tell(link);
        match event {
            Ok(Event::Ended) => return Ok(Ending::default()),
            Ok(Event::Failed(trouble)) => return Err(trouble),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Trouble::Failed("nobody listens".to_owned()));
            }
        }
    }
}

fn report(tell: &SyncSender<Event>, event: Event) {
    // Full: something is told already.
    tell.try_send(event).ok();
}
