//! The settings of lives.

use std::time::Duration;

/// How lives behave; defaults are design §9's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How long a dropped encoder may stay away before its live ends.
    pub reconnect_grace: Duration,
    /// How long an encoder that said goodbye may.
    pub goodbye_grace: Duration,
    /// Whether a publish without a started live starts one.
    pub start_on_publish: bool,
    /// How long parts are.
    pub latency: Latency,
    /// Below this much free space on the spool's disk no new live is taken in, in bytes.
    pub spool_reserve_bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            reconnect_grace: Duration::from_secs(120),
            goodbye_grace: Duration::from_secs(30),
            start_on_publish: true,
            latency: Latency::Normal,
            spool_reserve_bytes: 1 << 30,
        }
    }
}

/// How close to live players may go, and how many requests that costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latency {
    /// Parts of at most 200 ms.
    Normal,
    /// Parts of at most 100 ms: twice the requests.
    Low,
}
