//! The multivariant playlist: which renditions a live has (4.4.6).

use std::fmt::Write;

/// One rendition as players choose it.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// Its media playlist, relative to the multivariant one: `source/index.m3u8`.
    pub uri: String,
    /// Peak bits per second of any segment, the caller's margin included (BANDWIDTH).
    pub bandwidth: u64,
    /// Mean bits per second, once it is known (AVERAGE-BANDWIDTH).
    pub average_bandwidth: Option<u64>,
    /// RFC 6381, picture before sound: `av::TrackSet::codecs`.
    pub codecs: String,
    /// Width and height in pixels; `None` for sound alone.
    pub resolution: Option<(u32, u32)>,
    /// Pictures per second, if they come at a stable rate.
    pub frame_rate: Option<f64>,
}

/// The text that lists `variants` in the caller's order: players without a measure begin with the first.
/// `independent` says that *every* segment of every variant starts with a key frame (4.4.2.1): never say so
/// unless it is certain, for an encoder may send GOPs longer than a segment.
///
/// There is no EXT-X-VERSION: nothing in it needs more than version 1 (6.2.1).
#[must_use]
pub fn multivariant(variants: &[Variant], independent: bool) -> String {
    let mut text = "#EXTM3U\n".to_owned();
    if independent {
        text.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
    }
    for variant in variants {
        write_variant(&mut text, variant).expect("a String takes everything");
    }
    text
}

fn write_variant(text: &mut String, variant: &Variant) -> std::fmt::Result {
    write!(text, "#EXT-X-STREAM-INF:BANDWIDTH={}", variant.bandwidth)?;
    if let Some(average) = variant.average_bandwidth {
        write!(text, ",AVERAGE-BANDWIDTH={average}")?;
    }
    if !variant.codecs.is_empty() {
        write!(text, ",CODECS=\"{}\"", variant.codecs)?;
    }
    if let Some((width, height)) = variant.resolution {
        write!(text, ",RESOLUTION={width}x{height}")?;
    }
    if let Some(rate) = variant.frame_rate {
        // 4.4.6.2: rounded to three digits behind the point.
        write!(text, ",FRAME-RATE={rate:.3}")?;
    }
    write!(text, "\n{}\n", variant.uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_names_only_what_is_known() {
        let source = Variant {
            uri: "source/index.m3u8".to_owned(),
            bandwidth: 7_353_600,
            average_bandwidth: Some(6_128_000),
            codecs: "avc1.640028,mp4a.40.2".to_owned(),
            resolution: Some((1920, 1080)),
            frame_rate: Some(30_000.0 / 1001.0),
        };
        let audio = Variant {
            uri: "audio/index.m3u8".to_owned(),
            bandwidth: 153_600,
            average_bandwidth: None,
            codecs: "mp4a.40.2".to_owned(),
            resolution: None,
            frame_rate: None,
        };
        assert_eq!(
            multivariant(&[source], false),
            "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=7353600,AVERAGE-BANDWIDTH=6128000,\
             CODECS=\"avc1.640028,mp4a.40.2\",RESOLUTION=1920x1080,FRAME-RATE=29.970\nsource/index.m3u8\n"
        );
        assert_eq!(
            multivariant(&[audio], true),
            "#EXTM3U\n#EXT-X-INDEPENDENT-SEGMENTS\n\
             #EXT-X-STREAM-INF:BANDWIDTH=153600,CODECS=\"mp4a.40.2\"\naudio/index.m3u8\n"
        );
    }
}
