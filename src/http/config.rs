//! Settings of the HTTP room.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

/// Who may read the metrics, which tell how much is going on but nobody's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricsTo {
    /// This machine: a peer on the loopback that hands over nobody else's request.
    #[default]
    Local,
    /// Everybody.
    Open,
    /// Nobody.
    Off,
}

/// How the service is reached and what it allows. `Default` is a server for this machine alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to listen; port 0 takes any free one.
    pub listen: SocketAddr,
    /// `https://host` as viewers type it, without a slash at the end. `None`: each answer takes the
    /// `Host` of its request, and `https` only when a trusted proxy says so.
    pub public_url: Option<String>,
    /// What encoders are told as their server, e.g. `rtmp://host/live`, without a slash at the end.
    pub rtmp_public_url: String,
    /// The same over TLS, when encoders can be heard so.
    pub rtmps_public_url: Option<String>,
    /// Whether `/api/**` is limited to 100 requests a minute and address, login to 10, and what pages do not ask by
    /// themselves to 1,000 an hour and member, 100 an hour and address without a login (contract §1.10).
    /// Media never is: carriers put thousands of viewers behind one address.
    pub rate_limits: bool,
    /// Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub trusted_proxies: Vec<Network>,
    /// Whether downloads are sent on to the object store's own addresses, where it has such.
    pub objects_redirect: bool,
    /// Who may read `/metrics`.
    pub metrics: MetricsTo,
    /// Connections at a time. In a full house a newcomer that has asked for nothing yet makes room for the next;
    /// when there is none, the next is closed at once.
    pub max_connections: usize,
    /// Connections at a time from one address (an IPv6 address counts by its /64): carriers put thousands of viewers
    /// behind one. Trusted proxies have no such limit.
    pub max_connections_per_address: usize,
    /// How long a connection may take for the head of a request, and stay silent between two.
    pub silent_within: Duration,
    /// How long a client may leave bytes that we have for it untaken before it is gone.
    pub taken_within: Duration,
    /// How long an orderly stop waits for answers that are on their way.
    pub drain: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8000)),
            public_url: None,
            rtmp_public_url: "rtmp://127.0.0.1:1935/live".to_owned(),
            rtmps_public_url: None,
            rate_limits: true,
            trusted_proxies: Vec::new(),
            objects_redirect: false,
            metrics: MetricsTo::Local,
            max_connections: 16_384,
            max_connections_per_address: 4_096,
            silent_within: Duration::from_secs(30),
            taken_within: Duration::from_secs(30),
            drain: Duration::from_secs(5),
        }
    }
}

/// A network of addresses, as `10.0.0.0/8`, `::1` or `192.0.2.7`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether `address` lies in it. An IPv4 address inside IPv6 counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(one)) => {
                let mask = u32::MAX
                    .checked_shl(32 - u32::from(self.prefix))
                    .unwrap_or(0);
                net.to_bits() & mask == one.to_bits() & mask
            }
            (IpAddr::V6(net), IpAddr::V6(one)) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(self.prefix))
                    .unwrap_or(0);
                net.to_bits() & mask == one.to_bits() & mask
            }
            _ => false,
        }
    }
}

/// The text is neither an address nor `address/prefix length`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a network like 10.0.0.0/8")]
pub struct NotANetwork(String);

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let wrong = || NotANetwork(text.to_owned());
        let (address, prefix) = text.split_once('/').unzip();
        let address: IpAddr = address
            .unwrap_or(text)
            .trim()
            .parse()
            .map_err(|_| wrong())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.trim().parse().map_err(|_| wrong())?,
            None => longest,
        };
        if prefix > longest {
            return Err(wrong());
        }
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_own_addresses_only() {
        let home: Network = "10.1.0.0/16".parse().unwrap();
        assert!(home.contains("10.1.255.7".parse().unwrap()));
        assert!(home.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!home.contains("10.2.0.1".parse().unwrap()));
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("203.0.113.9".parse().unwrap()));
        assert!(!all.contains("2001:db8::1".parse().unwrap()));
        let one: Network = "::1".parse().unwrap();
        assert!(one.contains("::1".parse().unwrap()));
        assert!(!one.contains("::2".parse().unwrap()));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "10.0.0.0/33", "proxy", "10.0.0.0/", "::/129"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
