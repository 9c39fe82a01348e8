//! Elements of EBML (RFC 8794): an id, a length, bytes.

/// Appends an element: `id` as RFC 9559 writes it, its length in as few bytes as it takes.
pub(super) fn element(out: &mut Vec<u8>, id: u32, body: &[u8]) {
    put_id(out, id);
    put_length(out, body.len() as u64);
    out.extend_from_slice(body);
}

/// An unsigned integer, in as few bytes as it takes.
pub(super) fn unsigned(out: &mut Vec<u8>, id: u32, value: u64) {
    let bytes = value.to_be_bytes();
    let used = bytes.len() - (value.leading_zeros() as usize / 8).min(7);
    element(out, id, &bytes[bytes.len() - used..]);
}

/// An unsigned integer of eight bytes, for what is patched.
pub(super) fn wide(out: &mut Vec<u8>, id: u32, value: u64) {
    element(out, id, &value.to_be_bytes());
}

pub(super) fn float(out: &mut Vec<u8>, id: u32, value: f64) {
    element(out, id, &value.to_be_bytes());
}

pub(super) fn text(out: &mut Vec<u8>, id: u32, value: &str) {
    element(out, id, value.as_bytes());
}

pub(super) fn put_id(out: &mut Vec<u8>, id: u32) {
    let bytes = id.to_be_bytes();
    let used = bytes.len() - id.leading_zeros() as usize / 8;
    out.extend_from_slice(&bytes[bytes.len() - used..]);
}

/// A length in one to eight bytes; all ones would mean "unknown" (RFC 8794 6.2), so the largest of each size goes to the next.
fn put_length(out: &mut Vec<u8>, length: u64) {
    let size = (1..8_usize)
        .find(|size| length < (1 << (7 * size)) - 1)
        .unwrap_or(8);
    put_length_of(out, length, size);
}

/// A length in `size` bytes, at most eight.
pub(super) fn put_length_of(out: &mut Vec<u8>, length: u64, size: usize) {
    let marked = length | 1 << (7 * size);
    out.extend_from_slice(&marked.to_be_bytes()[8 - size..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 8794 section 4.1, tables 4 and 5: the length 2 in one to three bytes; 127 takes two.
    #[test]
    fn lengths_are_written_as_the_specification_shows() {
        let of = |length, size| {
            let mut out = Vec::new();
            put_length_of(&mut out, length, size);
            out
        };
        assert_eq!(of(2, 1), [0x82]);
        assert_eq!(of(2, 2), [0x40, 0x02]);
        assert_eq!(of(2, 3), [0x20, 0x00, 0x02]);
        let least = |length| {
            let mut out = Vec::new();
            put_length(&mut out, length);
            out
        };
        assert_eq!(least(126), [0xfe]);
        assert_eq!(least(127), [0x40, 0x7f]);
        assert_eq!(least(16_383), [0x20, 0x3f, 0xff]);
    }

    #[test]
    fn a_number_takes_no_more_bytes_than_it_needs() {
        for (value, bytes) in [
            (0, &[0x83, 0x81, 0x00][..]),
            (1, &[0x83, 0x81, 0x01]),
            (256, &[0x83, 0x82, 0x01, 0x00]),
        ] {
            let mut out = Vec::new();
            unsigned(&mut out, 0x83, value);
            assert_eq!(out, bytes);
        }
        let mut out = Vec::new();
        wide(&mut out, 0x53ac, 5);
        assert_eq!(out, [0x53, 0xac, 0x88, 0, 0, 0, 0, 0, 0, 0, 5]);
    }
}
