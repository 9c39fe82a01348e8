//! An authority of the test's own, and certificates of it.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

/// Signs certificates for 127.0.0.1 and localhost.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).expect("no name is wrong");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).expect("a file");
        let authority = Self { issuer, folder };
        authority.sign("griot one");
        authority
    }

    /// The authority's own certificate, for clients.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The server's certificate.
    pub(crate) fn cert_file(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    /// The server's key.
    pub(crate) fn key_file(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    /// Puts a new certificate and key into the two files, as a renewal does: each is there whole or not at all.
    /// `name` is the certificate's common name.
    pub(crate) fn sign(&self, name: &str) {
        let hosts = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(hosts).expect("the names are right");
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate");
        self.put(&self.cert_file(), &cert.pem());
        self.put(&self.key_file(), &key.serialize_pem());
    }

    /// Replaces the certificate's file with something that is none.
    pub(crate) fn spoil(&self) {
        self.put(&self.cert_file(), "nothing of use\n");
    }

    fn put(&self, path: &Path, text: &str) {
        let new = self.folder.path().join("new");
        std::fs::write(&new, text).expect("a file");
        std::fs::rename(&new, path).expect("one folder");
    }

    /// The settings of a server that shows the certificate on free ports.
    pub(crate) fn settings(&self) -> Vec<(String, String)> {
        [
            ("GRIOT_TLS_CERT", self.cert_file().display().to_string()),
            ("GRIOT_TLS_KEY", self.key_file().display().to_string()),
            ("GRIOT_HTTPS_LISTEN", "127.0.0.1:0".to_owned()),
            ("GRIOT_RTMPS_LISTEN", "127.0.0.1:0".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }
}
