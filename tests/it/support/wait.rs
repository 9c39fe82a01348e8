//! Waiting for something that cannot be awaited: what an HTTP answer says, what a log holds.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

/// How long anything may take before a test calls it lost. Never a measure of speed: two busy cores may be slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Looks again and again until `look` answers `Ok`; fails with its last `Err` after [`PATIENCE`].
pub(crate) async fn eventually<T, E, F>(what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, E>>,
    E: Debug,
{
    let deadline = Instant::now() + PATIENCE;
    let mut tick = interval(Duration::from_millis(50));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        match look().await {
            Ok(found) => return found,
            Err(last) if Instant::now() > deadline => {
                panic!("waited {PATIENCE:?} in vain until {what}; last seen: {last:?}")
            }
            Err(_) => {}
        }
    }
}
