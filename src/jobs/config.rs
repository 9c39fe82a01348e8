//! How many at once, and how patient.

use std::time::Duration;

/// Settings of this process's workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Jobs at a time in this process; 0 does none and leaves them to others.
    pub workers: usize,
    /// After so long without a sign of life a job is another worker's. The clocks of all machines on one database
    /// must agree to within a fraction of it.
    pub lease: Duration,
    /// How often a running job's lease is renewed, lost ones are looked for and the queue is counted; several times
    /// in a lease.
    pub heartbeat: Duration,
    /// How soon what another process enqueued is seen.
    pub poll: Duration,
    /// How long after its first failure a job is tried again; doubled each time.
    pub first_pause: Duration,
    /// At most.
    pub longest_pause: Duration,
    /// How long a job that is told to end may take to do so by itself; then it is dropped where it stands.
    pub patience: Duration,
    /// How long the rows of ended jobs are kept.
    pub keep: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            workers: 2,
            lease: Duration::from_secs(30),
            heartbeat: Duration::from_secs(5),
            poll: Duration::from_secs(1),
            first_pause: Duration::from_secs(5),
            longest_pause: Duration::from_secs(600),
            patience: Duration::from_secs(3),
            keep: Duration::from_secs(7 * 24 * 3_600),
        }
    }
}

impl Config {
    /// The same with another lease, renewed six times in its time.
    #[must_use]
    pub fn with_lease(self, lease: Duration) -> Self {
        Self {
            lease,
            heartbeat: lease / 6,
            ..self
        }
    }

    /// How long after the failure of its `attempt`th attempt (from 1) a job waits.
    pub(super) fn pause_after(&self, attempt: i64) -> Duration {
        let doublings = u32::try_from(attempt - 1).unwrap_or(0).min(16);
        (self.first_pause * 2_u32.pow(doublings)).min(self.longest_pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let config = Config::default();
        let pauses: Vec<u64> = [1, 2, 3, 7, 8, 9, 1_000]
            .map(|attempt| config.pause_after(attempt).as_secs())
            .to_vec();
        assert_eq!(pauses, [5, 10, 20, 320, 600, 600, 600]);
    }
}
