//! What the multivariant playlist says of a rendition: codecs, size, bit rates.

use crate::av::{Ticks, Timescale, TrackSet};
use crate::hls;

/// Assumed until the encoder has claimed something or a second was measured.
const UNKNOWN_BITS_PER_SECOND: u64 = 2_000_000;

/// Bit rates as claimed and as measured.
#[derive(Debug, Default)]
pub(super) struct Rates {
    declared: u64,
    /// Of the open segment.
    bytes: u64,
    duration: Ticks,
    /// The highest of a segment's rates.
    peak: u64,
    /// Of the whole rendition.
    all_bytes: u64,
    all_duration: Ticks,
}

impl Rates {
    /// The encoder claims this, bits per second.
    pub(super) fn declare(&mut self, bits_per_second: u64) {
        self.declared = bits_per_second;
    }

    pub(super) fn part(&mut self, bytes: u64, duration: Ticks) {
        self.bytes += bytes;
        self.duration = self.duration + duration;
        self.all_bytes += bytes;
        self.all_duration = self.all_duration + duration;
    }

    pub(super) fn segment(&mut self) {
        self.peak = self.peak.max(bits_per_second(self.bytes, self.duration));
        self.bytes = 0;
        self.duration = Ticks::ZERO;
    }

    /// Whether as much has come as a rate can be told from.
    pub(super) fn is_measured(&self) -> bool {
        bits_per_second(self.all_bytes, self.all_duration) > 0
    }

    /// BANDWIDTH is 1.2 × the larger of claimed and measured (design §4a), AVERAGE-BANDWIDTH what was measured.
    pub(super) fn variant(&self, name: &str, tracks: &TrackSet) -> hls::Variant {
        let average = bits_per_second(self.all_bytes, self.all_duration);
        let highest = self.declared.max(self.peak).max(average);
        let highest = if highest == 0 {
            UNKNOWN_BITS_PER_SECOND
        } else {
            highest
        };
        hls::Variant {
            uri: format!("{name}/index.m3u8"),
            bandwidth: highest + highest / 5,
            average_bandwidth: (average > 0).then_some(average),
            codecs: tracks.codecs(),
            resolution: tracks
                .video
                .as_ref()
                .map(|video| (video.width, video.height)),
            frame_rate: None,
        }
    }
}

/// Zero for less than half a second: the first key frame alone would claim ten times the rate.
fn bits_per_second(bytes: u64, duration: Ticks) -> u64 {
    let second = u64::from(Timescale::VIDEO.get());
    let ticks = u64::try_from(duration.0).unwrap_or(0);
    if ticks < second / 2 {
        return 0;
    }
    bytes.saturating_mul(8).saturating_mul(second) / ticks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bandwidth_is_a_fifth_above_the_larger_of_claimed_and_measured() {
        let tracks = TrackSet::default();
        let mut rates = Rates::default();
        rates.declare(1_000_000);
        assert_eq!(rates.variant("source", &tracks).bandwidth, 1_200_000);
        // 500,000 bytes in two seconds: 2 Mbit/s.
        rates.part(500_000, Ticks(180_000));
        rates.segment();
        // 125,000 bytes in one: 1 Mbit/s; the mean over three seconds is 5/3 Mbit/s.
        rates.part(125_000, Ticks(90_000));
        rates.segment();
        let variant = rates.variant("source", &tracks);
        assert_eq!(variant.bandwidth, 2_400_000);
        assert_eq!(variant.average_bandwidth, Some(1_666_666));
    }

    #[test]
    fn a_lone_key_frame_claims_nothing() {
        let mut rates = Rates::default();
        rates.part(200_000, Ticks(18_000));
        let variant = rates.variant("source", &TrackSet::default());
        assert_eq!(variant.bandwidth, UNKNOWN_BITS_PER_SECOND * 6 / 5);
        assert_eq!(variant.average_bandwidth, None);
    }
}
