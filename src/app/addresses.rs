//! How others reach us: the addresses that are printed, handed to encoders and noted for other commands.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use super::Config;

/// Where a server listens. As text, the one line that `griot serve` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Page, API and media.
    pub http: SocketAddr,
    /// Encoders.
    pub rtmp: SocketAddr,
    /// Page, API and media by HTTPS.
    pub https: Option<SocketAddr>,
    /// Encoders over TLS.
    pub rtmps: Option<SocketAddr>,
}

impl Addresses {
    /// What the settings ask for; a port may be 0.
    #[must_use]
    pub fn asked_for(config: &Config) -> Self {
        Self {
            http: config.http.listen,
            rtmp: config.rtmp.listen,
            https: config.https.listen,
            rtmps: config.rtmps.listen,
        }
    }

    /// Reads the line that another griot wrote.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let words = line.trim().strip_prefix("griot ready ")?;
        let value = |name: &str, end: &str| {
            let word = words.split(' ').find_map(|word| word.strip_prefix(name))?;
            word.strip_suffix(end)?.parse().ok()
        };
        Some(Self {
            http: value("http=http://", "")?,
            rtmp: value("rtmp=rtmp://", "/live")?,
            https: value("https=https://", ""),
            rtmps: value("rtmps=rtmps://", "/live"),
        })
    }

    /// The page as people reach it, without a slash at the end.
    #[must_use]
    pub fn page_url(&self, config: &Config) -> String {
        let listening = || match self.https {
            Some(https) => format!("https://{}", reachable(https)),
            None => format!("http://{}", reachable(self.http)),
        };
        config.http.public_url.clone().unwrap_or_else(listening)
    }

    /// What encoders type in as server.
    #[must_use]
    pub fn rtmp_url(&self, config: &Config) -> String {
        config
            .rtmp
            .public_url
            .clone()
            .unwrap_or_else(|| format!("rtmp://{}/live", reachable(self.rtmp)))
    }

    /// The same over TLS, if encoders can be heard so.
    #[must_use]
    pub fn rtmps_url(&self, config: &Config) -> Option<String> {
        let listening = self.rtmps?;
        let made = || format!("rtmps://{}/live", reachable(listening));
        Some(config.rtmps.public_url.clone().unwrap_or_else(made))
    }

    /// Where an encoder on this machine connects.
    #[must_use]
    pub fn local_rtmp_url(&self) -> String {
        let host = match self.rtmp.ip() {
            ip if !ip.is_unspecified() => ip,
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        };
        format!("rtmp://{}/live", SocketAddr::new(host, self.rtmp.port()))
    }
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "griot ready http=http://{} rtmp=rtmp://{}/live",
            self.http, self.rtmp
        )?;
        if let Some(https) = self.https {
            write!(f, " https=https://{https}")?;
        }
        if let Some(rtmps) = self.rtmps {
            write!(f, " rtmps=rtmps://{rtmps}/live")?;
        }
        Ok(())
    }
}

/// An address that others can type: for "every address of this machine", the one that leads outside.
fn reachable(listen: SocketAddr) -> SocketAddr {
    if !listen.ip().is_unspecified() {
        return listen;
    }
    let host = outward_address().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    SocketAddr::new(host, listen.port())
}

/// The address this machine would send from. Connecting a UDP socket asks the routing table and sends
/// nothing; 192.0.2.1 belongs to nobody (RFC 5737).
fn outward_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> Addresses {
        Addresses {
            http: "127.0.0.1:8000".parse().unwrap(),
            rtmp: "[::]:1935".parse().unwrap(),
            https: None,
            rtmps: None,
        }
    }

    #[test]
    fn the_ready_line_says_where_everything_listens_and_reads_back() {
        let line = addresses().to_string();
        assert_eq!(
            line,
            "griot ready http=http://127.0.0.1:8000 rtmp=rtmp://[::]:1935/live"
        );
        assert_eq!(Addresses::parse(&format!("{line}\n")), Some(addresses()));
        assert_eq!(Addresses::parse(""), None);
    }

    #[test]
    fn what_listens_with_tls_stands_behind_the_rest_of_the_line() {
        let both = Addresses {
            https: Some("127.0.0.1:8443".parse().unwrap()),
            rtmps: Some("127.0.0.1:1936".parse().unwrap()),
            ..addresses()
        };
        let line = both.to_string();
        assert!(
            line.ends_with("/live https=https://127.0.0.1:8443 rtmps=rtmps://127.0.0.1:1936/live"),
            "{line}"
        );
        assert_eq!(Addresses::parse(&line), Some(both));
        let mut config = Config::default();
        assert_eq!(both.page_url(&config), "https://127.0.0.1:8443");
        assert_eq!(
            both.rtmps_url(&config).as_deref(),
            Some("rtmps://127.0.0.1:1936/live")
        );
        config.rtmps.public_url = Some("rtmps://live.example.org/live".to_owned());
        assert_eq!(both.rtmps_url(&config), config.rtmps.public_url);
        assert_eq!(addresses().rtmps_url(&config), None);
    }

    #[test]
    fn a_public_url_wins_over_the_listen_address() {
        let mut config = Config::default();
        assert_eq!(addresses().page_url(&config), "http://127.0.0.1:8000");
        config.http.public_url = Some("https://live.example.org".to_owned());
        config.rtmp.public_url = Some("rtmp://live.example.org/live".to_owned());
        assert_eq!(addresses().page_url(&config), "https://live.example.org");
        assert_eq!(
            addresses().rtmp_url(&config),
            "rtmp://live.example.org/live"
        );
    }

    #[test]
    fn every_address_is_never_handed_out_as_an_address() {
        let config = Config::default();
        assert!(!addresses().rtmp_url(&config).contains("[::]"));
        assert_eq!(addresses().local_rtmp_url(), "rtmp://[::1]:1935/live");
    }
}
