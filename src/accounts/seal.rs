//! What the secret key is turned into: one key for each use, so that none can stand in for another.

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::AccountsError;
use crate::base::{Secret, UserId, random_array};

/// The least that `GRIOT_SECRET_KEY` may have.
const MIN_SECRET_BYTES: usize = 32;
/// `XChaCha20`'s nonce: long enough to be drawn at random.
const NONCE_BYTES: usize = 24;

/// Looks up and encrypts stream keys.
pub(super) struct Seal {
    look_up: [u8; 32],
    cipher: XChaCha20Poly1305,
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(***)")
    }
}

/// The key for one use of the secret. A label is never used for two things and never changes:
/// what was made with it would be lost.
pub(super) fn derive(secret: &Secret, label: &str) -> Result<[u8; 32], AccountsError> {
    if secret.expose().len() < MIN_SECRET_BYTES {
        return Err(AccountsError::ShortSecret);
    }
    Ok(hmac_sha256(secret.expose().as_bytes(), label.as_bytes()))
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

impl Seal {
    pub(super) fn new(secret: &Secret) -> Result<Self, AccountsError> {
        let encryption = derive(secret, "griot stream key encryption v1")?;
        Ok(Self {
            look_up: derive(secret, "griot stream key look-up v1")?,
            cipher: XChaCha20Poly1305::new(&encryption.into()),
        })
    }

    /// What a stream key is found by: tells nothing of the key without the secret.
    pub(super) fn look_up(&self, key: &Secret) -> [u8; 32] {
        hmac_sha256(&self.look_up, key.expose().as_bytes())
    }

    /// Nonce and ciphertext of a stream key; opens only for this member.
    pub(super) fn seal(&self, user: UserId, key: &Secret) -> Vec<u8> {
        let nonce = random_array::<NONCE_BYTES>();
        let payload = Payload {
            msg: key.expose().as_bytes(),
            aad: &user.0.to_be_bytes(),
        };
        let ciphertext = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .expect("a short message can be encrypted");
        [nonce.as_slice(), &ciphertext].concat()
    }

    /// The stream key behind nonce and ciphertext.
    pub(super) fn open(&self, user: UserId, sealed: &[u8]) -> Result<Secret, AccountsError> {
        let (nonce, ciphertext) = sealed
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or(AccountsError::ForeignSecret)?;
        let payload = Payload {
            msg: ciphertext,
            aad: &user.0.to_be_bytes(),
        };
        let plain = self
            .cipher
            .decrypt(&XNonce::from(*nonce), payload)
            .map_err(|_| AccountsError::ForeignSecret)?;
        String::from_utf8(plain)
            .map(Secret::new)
            .map_err(|_| AccountsError::ForeignSecret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal_of(secret: &str) -> Seal {
        Seal::new(&Secret::new(secret)).unwrap()
    }

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn hmac_is_that_of_rfc_4231() {
        // RFC 4231 4.3, test case 2.
        assert_eq!(
            hex::encode(hmac_sha256(b"Jefe", b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn a_sealed_key_opens_for_its_owner_and_with_its_secret_only() {
        let seal = seal_of(SECRET);
        let key = Secret::new("live_1_x");
        let sealed = seal.seal(UserId(1), &key);
        assert_eq!(seal.open(UserId(1), &sealed).unwrap(), key);
        assert_ne!(seal.seal(UserId(1), &key), sealed);
        let other = seal_of("another secret of at least 32 bytes");
        assert!(other.open(UserId(1), &sealed).is_err());
        assert!(seal.open(UserId(2), &sealed).is_err());
        assert!(seal.open(UserId(1), &sealed[..20]).is_err());
        assert_ne!(seal.look_up(&key), other.look_up(&key));
    }

    #[test]
    fn a_secret_of_fewer_than_32_bytes_is_refused() {
        let short = Secret::new(&SECRET[1..]);
        assert!(matches!(
            Seal::new(&short).unwrap_err(),
            AccountsError::ShortSecret
        ));
    }
}
