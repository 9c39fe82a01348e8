//! Settings of the sockets that publish.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Settings of the sockets that publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where encoders connect by RTMP.
    pub rtmp_listen: SocketAddr,
    /// Connections at once over all addresses. When all are taken, the oldest that does not publish yet makes room for
    /// the next; when all publish, the next is closed at once.
    pub max_connections: usize,
    /// Connections at once from one address (an IPv6 address counts by its /64). Carriers and schools put
    /// hundreds of people behind one address, but few of them publish at once.
    pub max_connections_per_address: usize,
    /// From accept to `publish`.
    pub handshake_deadline: Duration,
    /// Without a byte from a publishing encoder.
    pub idle_deadline: Duration,
    /// For a write that the peer does not take.
    pub write_deadline: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            rtmp_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 1935)),
            max_connections: 2_000,
            max_connections_per_address: 64,
            handshake_deadline: Duration::from_secs(10),
            idle_deadline: Duration::from_secs(30),
            write_deadline: Duration::from_secs(5),
        }
    }
}
