//! Bits of parameter sets and headers, most significant first.

/// Reads bits; `None` at the end of the bytes.
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn bit(&mut self) -> Option<bool> {
        let byte = *self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    /// `count` bits, at most 32.
    pub(super) fn bits(&mut self, count: u32) -> Option<u32> {
        debug_assert!(count <= 32);
        let mut value = 0u32;
        for _ in 0..count {
            value = value << 1 | u32::from(self.bit()?);
        }
        Some(value)
    }

    /// One to eight bits.
    pub(super) fn small(&mut self, count: u32) -> Option<u8> {
        u8::try_from(self.bits(count.min(8))?).ok()
    }

    pub(super) fn skip(&mut self, count: usize) -> Option<()> {
        self.at = self.at.checked_add(count)?;
        (self.at <= self.bytes.len() * 8).then_some(())
    }

    /// `ue(v)`, at most 32 bits (ISO/IEC 14496-10 9.1).
    pub(super) fn exp_golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        let suffix = self.bits(zeros)?;
        Some((1u32 << zeros) - 1 + suffix)
    }

    /// `se(v)` read as its code number: the sign is of no interest here.
    pub(super) fn signed_exp_golomb(&mut self) -> Option<i64> {
        let code = i64::from(self.exp_golomb()?);
        Some(if code % 2 == 0 {
            -code / 2
        } else {
            (code + 1) / 2
        })
    }

    pub(super) fn byte_align(&mut self) {
        self.at = self.at.div_ceil(8) * 8;
    }
}

/// A NAL unit's payload without its emulation prevention bytes (ISO/IEC 14496-10 7.4.1.1): at most `limit` bytes of it.
pub(super) fn without_emulation_prevention(nal: &[u8], limit: usize) -> Vec<u8> {
    let mut payload = Vec::with_capacity(nal.len().min(limit));
    let mut zeros = 0;
    for &byte in nal {
        if payload.len() == limit {
            break;
        }
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        payload.push(byte);
    }
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_codes_are_those_of_the_standard() {
        // ISO/IEC 14496-10 table 9-2, one behind the other: 1 → 0, 010 → 1, 011 → 2, 00100 → 3, 00111 → 6.
        let mut bits = BitReader::new(&[0b1010_0110, 0b0100_0011, 0b1000_0000]);
        let codes: Vec<_> = (0..5).map_while(|_| bits.exp_golomb()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 6]);
        // Table 9-3: code 1 → 1, 2 → −1, 3 → 2.
        let mut bits = BitReader::new(&[0b0100_1100, 0b1000_0000]);
        let signed: Vec<_> = (0..3).map_while(|_| bits.signed_exp_golomb()).collect();
        assert_eq!(signed, [1, -1, 2]);
    }

    #[test]
    fn the_end_of_the_bytes_is_none() {
        let mut bits = BitReader::new(&[0xff]);
        assert_eq!(bits.bits(8), Some(0xff));
        assert_eq!((bits.bit(), bits.exp_golomb()), (None, None));
        assert_eq!(BitReader::new(&[0; 8]).exp_golomb(), None);
    }

    #[test]
    fn emulation_prevention_is_taken_out() {
        assert_eq!(
            without_emulation_prevention(&[0, 0, 3, 1, 0, 0, 3, 0, 0, 3, 2, 3], 99),
            [0, 0, 1, 0, 0, 0, 0, 2, 3]
        );
    }
}
