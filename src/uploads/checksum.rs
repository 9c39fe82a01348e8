//! `Upload-Checksum` of tus 1.0: what one request's body must hash to.

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// A digest that a client has declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// FIPS 180-4, 20 bytes.
    Sha1([u8; 20]),
    /// FIPS 180-4, 32 bytes.
    Sha256([u8; 32]),
}

impl Checksum {
    /// Names of the algorithms, as `Tus-Checksum-Algorithm` lists them.
    pub const ALGORITHMS: &str = "sha1,sha256";

    /// The digest of `algorithm`; `None` for an algorithm that is not known, or a digest of another length.
    #[must_use]
    pub fn new(algorithm: &str, digest: &[u8]) -> Option<Self> {
        match algorithm {
            "sha1" => digest.try_into().ok().map(Self::Sha1),
            "sha256" => digest.try_into().ok().map(Self::Sha256),
            _ => None,
        }
    }
}

/// Hashes what comes, to be compared with what was declared.
pub(super) enum Hashing {
    Sha1(Box<Sha1>, [u8; 20]),
    Sha256(Box<Sha256>, [u8; 32]),
}

impl Hashing {
    pub(super) fn of(checksum: Checksum) -> Self {
        match checksum {
            Checksum::Sha1(digest) => Self::Sha1(Box::default(), digest),
            Checksum::Sha256(digest) => Self::Sha256(Box::default(), digest),
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(hash, _) => hash.update(bytes),
            Self::Sha256(hash, _) => hash.update(bytes),
        }
    }

    pub(super) fn matches(self) -> bool {
        match self {
            Self::Sha1(hash, digest) => hash.finalize()[..] == digest,
            Self::Sha256(hash, digest) => hash.finalize()[..] == digest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // `printf abc | sha1sum`, `printf abc | sha256sum`.
    #[test]
    fn bodies_are_compared_with_their_digest() {
        for (algorithm, digest) in [
            ("sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (
                "sha256",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
        ] {
            let digest = hex::decode(digest).unwrap();
            let checksum = Checksum::new(algorithm, &digest).unwrap();
            let mut right = Hashing::of(checksum);
            right.update(b"a");
            right.update(b"bc");
            assert!(right.matches());
            let mut wrong = Hashing::of(checksum);
            wrong.update(b"abd");
            assert!(!wrong.matches());
        }
        assert_eq!(Checksum::new("md5", &[0; 16]), None);
        assert_eq!(Checksum::new("sha1", &[0; 19]), None);
    }
}
