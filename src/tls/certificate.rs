//! The certificate that is shown, and its files.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How often the files are looked at. A renewal weeks before the old certificate's end can wait for that.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Where certificate and key lie, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The server's certificate, followed by those between it and a known authority.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds nothing of what it should.
    #[error("{} holds no {what} in PEM form", path.display())]
    Nothing {
        /// Which.
        path: PathBuf,
        /// `certificate` or `private key`.
        what: &'static str,
    },
    /// Certificate and key do not belong together, or are of a kind that is not known.
    #[error("certificate and key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

/// The certificate that new handshakes show.
pub struct Certificate {
    files: Files,
    // std lock: never held across an await; a pointer is cloned or replaced.
    shown: RwLock<Arc<CertifiedKey>>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

/// What tells that a file was replaced or written: identity, length and time of both.
type Stamp = [Option<(u64, u64, i64, i64)>; 2];

impl Certificate {
    /// Reads the files.
    ///
    /// # Errors
    /// They cannot be read, or what they hold cannot be used.
    pub async fn load(files: Files) -> Result<Arc<Self>, TlsError> {
        let shown = RwLock::new(read(&files).await?);
        Ok(Arc::new(Self { files, shown }))
    }

    /// Looks at the files every few seconds, and shows new handshakes what they hold once they have changed. What
    /// cannot be used is said once, and the old certificate stays. Ends when `stopping` is cancelled.
    pub async fn follow(self: Arc<Self>, stopping: CancellationToken) {
        let stale = metrics::gauge!("griot_tls_certificate_stale");
        stale.set(0.0);
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut known = None;
        loop {
            tokio::select! {
                biased;
                () = stopping.cancelled() => return,
                _ = look.tick() => {}
            }
            let stamp = stamp(&self.files).await;
            // The first look reads again: the files may have changed since they were loaded.
            if known.replace(stamp) == Some(stamp) {
                continue;
            }
            match self.reload().await {
                Ok(false) => stale.set(0.0),
                Ok(true) => {
                    stale.set(0.0);
                    count_reload("loaded");
                    tracing::info!("a new certificate is shown from now on");
                }
                Err(error) => {
                    stale.set(1.0);
                    count_reload("failed");
                    tracing::warn!(%error, "the changed certificate cannot be used; the old one stays");
                }
            }
        }
    }

    /// Whether the files hold another certificate than the one that was shown until now.
    async fn reload(&self) -> Result<bool, TlsError> {
        let found = read(&self.files).await?;
        let mut shown = self.shown.write().unwrap_or_else(PoisonError::into_inner);
        if shown.cert == found.cert {
            return Ok(false);
        }
        *shown = found;
        Ok(true)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&shown))
    }
}

fn count_reload(outcome: &'static str) {
    metrics::counter!("griot_tls_reloads_total", "outcome" => outcome).increment(1);
}

async fn read(files: &Files) -> Result<Arc<CertifiedKey>, TlsError> {
    let cert = bytes_of(&files.cert).await?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&cert)
        .collect::<Result<_, _>>()
        .unwrap_or_default();
    if chain.is_empty() {
        return Err(TlsError::Nothing {
            path: files.cert.clone(),
            what: "certificate",
        });
    }
    let key = bytes_of(&files.key).await?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|_| TlsError::Nothing {
        path: files.key.clone(),
        what: "private key",
    })?;
    let certified = CertifiedKey::from_der(chain, key, &ring::default_provider())?;
    Ok(Arc::new(certified))
}

async fn bytes_of(path: &Path) -> Result<Vec<u8>, TlsError> {
    tokio::fs::read(path)
        .await
        .map_err(|source| TlsError::Unreadable {
            path: path.to_owned(),
            source,
        })
}

async fn stamp(files: &Files) -> Stamp {
    use std::os::unix::fs::MetadataExt as _;
    let of = async |path: &Path| {
        let file = tokio::fs::metadata(path).await.ok()?;
        Some((file.ino(), file.len(), file.mtime(), file.mtime_nsec()))
    };
    [of(&files.cert).await, of(&files.key).await]
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Pair, write};
    use super::*;

    fn files(folder: &Path) -> Files {
        Files {
            cert: folder.join("cert.pem"),
            key: folder.join("key.pem"),
        }
    }

    #[tokio::test]
    async fn files_that_cannot_be_used_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        let error = async || Certificate::load(files.clone()).await.unwrap_err();
        assert!(
            error()
                .await
                .to_string()
                .contains("cert.pem cannot be read")
        );
        let (one, other) = (Pair::new("a.example"), Pair::new("b.example"));
        write(&files, "nonsense", &one.key);
        assert!(
            error()
                .await
                .to_string()
                .contains("cert.pem holds no certificate")
        );
        write(&files, &one.cert, &one.cert);
        assert!(
            error()
                .await
                .to_string()
                .contains("key.pem holds no private key")
        );
        write(&files, &one.cert, &other.key);
        assert!(matches!(error().await, TlsError::Unusable(_)));
    }

    #[tokio::test]
    async fn a_reload_takes_what_is_whole_and_keeps_the_old_one_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        let (one, other) = (Pair::new("a.example"), Pair::new("b.example"));
        write(&files, &one.cert, &one.key);
        let certificate = Certificate::load(files.clone()).await.unwrap();
        let shown = || certificate.shown.read().unwrap().cert[0].clone();
        let first = shown();
        assert!(!certificate.reload().await.unwrap());
        // A renewal writes one file after the other.
        write(&files, &other.cert, &one.key);
        assert!(certificate.reload().await.is_err());
        assert_eq!(shown(), first);
        write(&files, &other.cert, &other.key);
        assert!(certificate.reload().await.unwrap());
        assert_ne!(shown(), first);
    }
}
