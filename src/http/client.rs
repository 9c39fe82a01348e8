//! Who is at the other end, when proxies stand between.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;

use super::config::Config;

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) address: IpAddr,
    /// Whether it speaks TLS with us.
    pub(super) secure: bool,
}

/// The other end of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Client {
    /// The client's own address, as far as it can be believed.
    pub(super) address: IpAddr,
    /// Whether the client speaks TLS, with us or with a trusted proxy.
    pub(super) secure: bool,
    /// Whether it is a program on this machine that asks for itself. A proxy here is none: it says for whom it asks,
    /// whether we trust it or not.
    pub(super) local: bool,
}

/// A request with one of these was handed over by somebody.
const HANDED_OVER: [&str; 4] = ["x-forwarded-for", "forwarded", "x-real-ip", "via"];

impl Client {
    /// The peer itself, unless it is a trusted proxy: then the rightmost address of `X-Forwarded-For` that is
    /// not. What stands left of it was written by the client and says nothing (contract §6, T18).
    pub(super) fn of(config: &Config, peer: Peer, headers: &HeaderMap) -> Self {
        let trusted = |address: IpAddr| {
            config
                .trusted_proxies
                .iter()
                .any(|network| network.contains(address))
        };
        let address = peer.address.to_canonical();
        let mut client = Self {
            address,
            secure: peer.secure,
            local: address.is_loopback()
                && !HANDED_OVER.iter().any(|name| headers.contains_key(*name)),
        };
        if !trusted(address) {
            return client;
        }
        // A proxy that speaks TLS with us may still have been asked without.
        if let Some(scheme) = headers.get("x-forwarded-proto") {
            client.secure = scheme.as_bytes().eq_ignore_ascii_case(b"https");
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
        Client::of(&config, plain(peer), &headers)
            .address
            .to_string()
    }

    fn plain(peer: &str) -> Peer {
        Peer {
            address: peer.parse().unwrap(),
            secure: false,
        }
    }

    fn with(name: &'static str, value: &'static str) -> HeaderMap {
        let name = axum::http::HeaderName::from_static(name);
        [(name, HeaderValue::from_static(value))]
            .into_iter()
            .collect()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed_about_tls() {
        let config = Config {
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            ..Config::default()
        };
        let secure = |peer: Peer, scheme| {
            Client::of(&config, peer, &with("x-forwarded-proto", scheme)).secure
        };
        assert!(secure(plain("10.0.0.1"), "https"));
        assert!(!secure(plain("10.0.0.1"), "http"));
        assert!(!secure(plain("203.0.113.9"), "https"));
        let over_tls = |address| Peer {
            secure: true,
            ..plain(address)
        };
        assert!(secure(over_tls("203.0.113.9"), "http"));
        assert!(!secure(over_tls("10.0.0.1"), "http"));
    }

    #[test]
    fn a_request_that_a_proxy_on_this_machine_hands_over_is_not_local() {
        for trusted in [vec![], vec!["127.0.0.1".parse().unwrap()]] {
            let config = Config {
                trusted_proxies: trusted,
                ..Config::default()
            };
            let local = |peer, headers: &HeaderMap| Client::of(&config, plain(peer), headers).local;
            assert!(local("127.0.0.1", &HeaderMap::new()));
            assert!(local("::1", &HeaderMap::new()));
            assert!(local("::ffff:127.0.0.1", &HeaderMap::new()));
            assert!(!local("192.0.2.1", &HeaderMap::new()));
            for name in HANDED_OVER {
                assert!(!local("127.0.0.1", &with(name, "127.0.0.1")), "{name}");
            }
        }
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
