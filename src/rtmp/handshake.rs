//! The simple handshake (5.2).
//!
//! A digest in C1 (Flash Player 9 and FMLE put one there) is accepted and left unanswered: S1 says version 0, and such
//! clients then take the simple handshake. C2 and S2 are never compared: librtmp and GStreamer send their own.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::ProtocolError;

/// Bytes of C1, C2, S1 and S2.
pub(super) const PACKET_BYTES: usize = 1536;
/// The random part of C1 and S1.
pub(super) const RANDOM_BYTES: usize = 1528;
const VERSION: u8 = 3;

/// Takes C0 and C1 (or S0 and S1) once they are all there and gives C1's (S1's) bytes.
/// A wrong version is told by the first byte.
pub(super) fn take_hello(bytes: &mut BytesMut) -> Result<Option<Bytes>, ProtocolError> {
    match bytes.first() {
        None => return Ok(None),
        Some(&VERSION) => {}
        Some(&other) => return Err(ProtocolError::Version(other)),
    }
    if bytes.len() < 1 + PACKET_BYTES {
        return Ok(None);
    }
    bytes.advance(1);
    Ok(Some(bytes.split_to(PACKET_BYTES).freeze()))
}

/// Takes C2 (or S2), whatever it holds; false when it is not all there.
pub(super) fn take_echo(bytes: &mut BytesMut) -> bool {
    if bytes.len() < PACKET_BYTES {
        return false;
    }
    bytes.advance(PACKET_BYTES);
    true
}

/// S0 and S1 (or C0 and C1): version, time 0, version field 0, random bytes.
pub(super) fn put_hello(random: &[u8; RANDOM_BYTES], out: &mut BytesMut) {
    out.put_u8(VERSION);
    out.put_bytes(0, 8);
    out.put_slice(random);
}

/// S2 (or C2): the peer's packet as it came; its time of arrival is left 0.
pub(super) fn put_echo(hello: &[u8], out: &mut BytesMut) {
    out.put_slice(&hello[..4]);
    out.put_u32(0);
    out.put_slice(&hello[8..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_version_is_refused_by_its_first_byte() {
        for version in [0, 6, b'G'] {
            assert_eq!(
                take_hello(&mut BytesMut::from(&[version][..])),
                Err(ProtocolError::Version(version))
            );
        }
    }

    #[test]
    fn nothing_is_taken_before_all_is_there() {
        let mut bytes = BytesMut::from(&[3; PACKET_BYTES][..]);
        assert_eq!(take_hello(&mut bytes), Ok(None));
        assert!(!take_echo(&mut BytesMut::from(&[0; PACKET_BYTES - 1][..])));
        assert_eq!(bytes.len(), PACKET_BYTES);
    }
}
