//! The settings of lives.

use std::time::Duration;

use crate::pipeline::Ladder;
use crate::store::Role;

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
    /// Whether lives get smaller renditions beside the encoder's own.
    pub ladder: LadderWish,
    /// Which ones there may be.
    pub ladder_table: Ladder,
    /// Whose lives get some.
    pub ladder_roles: Vec<Role>,
    /// Whether they are kept with the recording.
    pub keep_rungs: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            reconnect_grace: Duration::from_secs(120),
            goodbye_grace: Duration::from_secs(30),
            start_on_publish: true,
            latency: Latency::Normal,
            spool_reserve_bytes: 1 << 30,
            ladder: LadderWish::Auto,
            ladder_table: Ladder::default(),
            ladder_roles: vec![Role::User, Role::Ambassador, Role::Admin],
            keep_rungs: true,
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

/// Whether a live gets a ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LadderWish {
    /// As many rungs as the machine has room for.
    Auto,
    /// All of them, come what may.
    On,
    /// None.
    Off,
}
