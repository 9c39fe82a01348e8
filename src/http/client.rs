//! Who is at the other end, when proxies stand between.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;

use super::config::Config;

/// The other end of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Client {
    /// The client's own address, as far as it can be believed.
    pub(super) address: IpAddr,
    /// Whether a trusted proxy handed the request over.
    pub(super) by_proxy: bool,
}

impl Client {
    /// The peer itself, unless it is a trusted proxy: then the rightmost address of `X-Forwarded-For` that is
    /// not. What stands left of it was written by the client and says nothing (contract §6, T18).
    pub(super) fn of(config: &Config, peer: IpAddr, headers: &HeaderMap) -> Self {
        let trusted = |address: IpAddr| {
            config
                .trusted_proxies
                .iter()
                .any(|network| network.contains(address))
        };
        let mut client = Self {
            address: peer.to_canonical(),
            by_proxy: trusted(peer),
        };
        if !client.by_proxy {
            return client;
        }
        let hops = headers
            .get_all("x-forwarded-for")
            .into_iter()
            .rev()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.rsplit(','));
        for hop in hops {
            let Some(address) = parse(hop.trim()) else {
                break;
            };
            client.address = address;
            if !trusted(address) {
                break;
            }
        }
        client
    }
}

/// An address with or without a port, as proxies write it.
fn parse(hop: &str) -> Option<IpAddr> {
    hop.parse()
        .or_else(|_| hop.parse::<SocketAddr>().map(|socket| socket.ip()))
        .or_else(|_| hop.trim_matches(['[', ']']).parse())
        .ok()
        .map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn client(trusted: &[&str], peer: &str, forwarded: &[&'static str]) -> String {
        let config = Config {
            trusted_proxies: trusted.iter().map(|net| net.parse().unwrap()).collect(),
            ..Config::default()
        };
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_static(line));
        }
        Client::of(&config, peer.parse().unwrap(), &headers)
            .address
            .to_string()
    }

    #[test]
    fn a_stranger_cannot_choose_its_address() {
        assert_eq!(client(&[], "203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(
            client(&["10.0.0.0/8"], "203.0.113.9", &["198.51.100.1"]),
            "203.0.113.9"
        );
    }

    #[test]
    fn behind_proxies_the_rightmost_untrusted_address_counts() {
        let nets = &["10.0.0.0/8", "::1"];
        assert_eq!(
            client(nets, "10.0.0.1", &["6.6.6.6, 203.0.113.9, 10.0.0.2"]),
            "203.0.113.9"
        );
        assert_eq!(
            client(nets, "::1", &["6.6.6.6", "203.0.113.9:4711"]),
            "203.0.113.9"
        );
        assert_eq!(
            client(nets, "10.0.0.1", &["[2001:db8::1]:80"]),
            "2001:db8::1"
        );
        assert_eq!(client(nets, "10.0.0.1", &["nonsense"]), "10.0.0.1");
        assert_eq!(client(nets, "10.0.0.1", &[]), "10.0.0.1");
    }
}
