//! The server's side of a handshake.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::{Certificate, TlsError};

/// From accept to the end of the handshake. Two round trips and a signature; a phone on a bad link takes two seconds.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// A socket with TLS over it.
pub type Stream<S> = tokio_rustls::server::TlsStream<S>;

/// What is spoken inside, which clients of HTTP choose by ALPN (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// HTTP/2 or HTTP/1.1.
    Http,
    /// RTMP, which has no name there.
    Rtmp,
}

/// Why a handshake came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Handshake {
    /// The peer took longer than ten seconds.
    #[error("no handshake within the deadline")]
    Deadline,
    /// The peer went away, spoke no TLS or none that we do.
    #[error("no handshake: {0}")]
    Broken(#[from] io::Error),
}

/// Makes TLS streams of sockets. Cheap to clone.
#[derive(Clone)]
pub struct Acceptor {
    inner: TlsAcceptor,
    within: Duration,
    listener: &'static str,
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Acceptor")
            .field("listener", &self.listener)
            .finish_non_exhaustive()
    }
}

impl Acceptor {
    /// Shows `certificate`, whatever it is at the moment of each handshake.
    ///
    /// # Errors
    /// The machine gives no randomness for session tickets.
    pub fn new(certificate: &Arc<Certificate>, speaks: Speaks) -> Result<Self, TlsError> {
        let resolver: Arc<Certificate> = Arc::clone(certificate);
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        // Returning viewers need no signature of ours, and we keep nothing for them.
        config.ticketer = ring::Ticketer::new()?;
        let listener = match speaks {
            Speaks::Http => {
                config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
                "https"
            }
            Speaks::Rtmp => "rtmps",
        };
        Ok(Self {
            inner: TlsAcceptor::from(Arc::new(config)),
            within: HANDSHAKE_WITHIN,
            listener,
        })
    }

    /// How long a peer may take for the handshake; who says nothing for so long need not be asked for one.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.within
    }

    /// Shakes hands within ten seconds.
    ///
    /// # Errors
    /// See [`Handshake`]; the socket is gone then. Counted as `griot_tls_handshakes_total`.
    pub async fn accept<S>(&self, socket: S) -> Result<Stream<S>, Handshake>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let shaken = match timeout(self.within, self.inner.accept(socket)).await {
            Ok(shaken) => shaken.map_err(Handshake::Broken),
            Err(_) => Err(Handshake::Deadline),
        };
        let outcome = match &shaken {
            Ok(_) => "done",
            Err(Handshake::Deadline) => "deadline",
            Err(Handshake::Broken(_)) => "broken",
        };
        metrics::counter!("griot_tls_handshakes_total", "listener" => self.listener, "outcome" => outcome)
            .increment(1);
        shaken
    }

    /// Whether the client chose HTTP/2.
    #[must_use]
    pub fn chose_http2<S>(stream: &Stream<S>) -> bool {
        stream.get_ref().1.alpn_protocol() == Some(b"h2")
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::super::Files;
    use super::super::testing::{Pair, write};
    use super::*;

    async fn acceptor() -> Acceptor {
        let folder = tempfile::tempdir().unwrap();
        let files = Files {
            cert: folder.path().join("cert.pem"),
            key: folder.path().join("key.pem"),
        };
        let pair = Pair::new("griot.example");
        write(&files, &pair.cert, &pair.key);
        let certificate = Certificate::load(files).await.unwrap();
        Acceptor::new(&certificate, Speaks::Http).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_says_nothing_is_given_up_at_the_deadline() {
        let acceptor = acceptor().await;
        let (ours, _theirs) = tokio::io::duplex(64);
        assert!(matches!(
            acceptor.accept(ours).await,
            Err(Handshake::Deadline)
        ));
    }

    #[tokio::test]
    async fn a_peer_that_speaks_no_tls_is_given_up_at_once() {
        let acceptor = acceptor().await;
        let (ours, mut theirs) = tokio::io::duplex(1_024);
        theirs.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        assert!(matches!(
            acceptor.accept(ours).await,
            Err(Handshake::Broken(_))
        ));
    }
}
