//! What a machine can carry: the cores that ladders have taken, and those that nobody uses.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

/// The share of the machine's cores that ladders may take under `auto`: the rest is for encoders and viewers, and for the
/// error of the estimate.
const SHARE: f64 = 0.75;

/// The cores of this machine, and what ladders have taken of them. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Room {
    cores: f64,
    // std mutex: never held across an await.
    taken: Arc<Mutex<f64>>,
}

impl Room {
    /// Of the machine on which this process runs.
    pub(super) fn of_machine() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::of_cores(u32::try_from(cores).unwrap_or(u32::MAX).into())
    }

    pub(super) fn of_cores(cores: f64) -> Self {
        Self {
            cores,
            taken: Arc::default(),
        }
    }

    /// Cores that `auto` has left to give.
    pub(super) fn free(&self) -> f64 {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        (self.cores * SHARE - *taken).max(0.0)
    }

    /// Takes so many cores, whether they are there or not, until the place is dropped.
    pub(super) fn take(&self, cores: f64) -> Place {
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) += cores;
        Place {
            room: self.clone(),
            cores,
        }
    }
}

/// Cores that one ladder has taken.
#[derive(Debug)]
pub(super) struct Place {
    room: Room,
    cores: f64,
}

impl Drop for Place {
    fn drop(&mut self) {
        let taken = &self.room.taken;
        *taken.lock().unwrap_or_else(PoisonError::into_inner) -= self.cores;
    }
}

/// Watches how many cores stand idle, by the kernel's count in `/proc/stat`.
#[derive(Debug, Default)]
pub(super) struct IdleCores {
    last: Option<(Instant, u64)>,
}

impl IdleCores {
    /// The mean since the look before; `None` at the first, and where the kernel does not say.
    pub(super) async fn look(&mut self) -> Option<f64> {
        let text = tokio::fs::read_to_string("/proc/stat").await.ok()?;
        let ticks = idle_ticks(&text)?;
        let now = Instant::now();
        let (before, ticks_before) = self.last.replace((now, ticks))?;
        let seconds = (now - before).as_secs_f64();
        let idle = u32::try_from(ticks.saturating_sub(ticks_before)).unwrap_or(u32::MAX);
        // USER_HZ: what /proc shows is in hundredths on every Linux.
        (seconds > 0.0).then(|| f64::from(idle) / 100.0 / seconds)
    }
}

/// The fourth and fifth count of the line `cpu`: idle, and idle while a disk is waited for.
fn idle_ticks(stat: &str) -> Option<u64> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let mut counts = line.split_whitespace().skip(3);
    let mut count = || counts.next()?.parse::<u64>().ok();
    Some(count()? + count()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_given_back() {
        let room = Room::of_cores(4.0);
        assert_eq!(room.free(), 3.0);
        let place = room.take(2.5);
        assert_eq!(room.clone().free(), 0.5);
        let beyond = room.take(2.0);
        assert_eq!(room.free(), 0.0);
        drop((place, beyond));
        assert_eq!(room.free(), 3.0);
    }

    // proc(5): user nice system idle iowait irq softirq steal guest guest_nice.
    #[test]
    fn idle_is_the_fourth_count_and_the_fifth() {
        let stat = "cpu  10 20 30 400 5 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
        assert_eq!(idle_ticks(stat), Some(405));
        assert_eq!(idle_ticks("intr 1\n"), None);
        assert_eq!(idle_ticks("cpu  1 2\n"), None);
    }
}
