//! Which rungs a live gets: pure, from the table and what the encoder sends.

use crate::av::{AudioCodec, AudioConfig, TrackSet, VideoCodec};
use crate::hls;
use crate::pipeline::{AudioRung, Ladder, LivePlan, Rung, VideoRung};

/// The rung with the encoder's picture and AAC, for players that lack the encoder's sound.
const AAC: &str = "aac";
/// The rung that stands for a picture that players lack.
const H264: &str = "h264";
/// kbit/s of [`AAC`]'s sound: the best of the built-in table.
const AAC_KBPS: u32 = 128;
/// What a source's picture takes before it was measured.
const SOURCE_KBPS: u32 = 2_000;

/// Where a rung's track comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Feed {
    /// As the encoder sent it.
    Source,
    /// From the child's encoder at this place.
    Encoder(usize),
}

/// One rung.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PlannedRung {
    /// Unique among a live's renditions, and fit for an address.
    pub(super) name: String,
    pub(super) picture: Option<Feed>,
    pub(super) sound: Option<Feed>,
    /// Pixels; `None` for sound alone.
    pub(super) size: Option<(u32, u32)>,
}

/// All rungs of one run of a source, and the encoders that they need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RungPlan {
    /// Best first, sound alone last.
    pub(super) rungs: Vec<PlannedRung>,
    /// The child's picture encoders, best first.
    pub(super) pictures: Vec<VideoRung>,
    /// The child's sound encoders.
    pub(super) sounds: Vec<AudioRung>,
}

impl RungPlan {
    /// What the table offers below this source, with at most `most_pictures` picture encoders: the largest are left out
    /// first, but for the one that stands for a picture that players lack.
    pub(super) fn of(
        table: &Ladder,
        source: &TrackSet,
        frame_rate: (u32, u32),
        most_pictures: usize,
    ) -> Self {
        let mut plan = Self::default();
        let usual_sound = source.audio.as_ref().is_none_or(is_usual);
        if let Some(video) = &source.video {
            let (width, height) = (video.width, video.height);
            let mut pictures = table.below(width, height, frame_rate);
            if video.codec == VideoCodec::H264 {
                if !usual_sound {
                    let sound = Some(plan.sound(AAC_KBPS));
                    plan.add(AAC, Some(Feed::Source), sound, Some((width, height)));
                }
            } else {
                let stands_for_it = table.replacement(width, height, frame_rate);
                pictures.insert(0, (H264.to_owned(), stands_for_it));
            }
            let keeps_first = usize::from(video.codec != VideoCodec::H264);
            while pictures.len() > most_pictures && pictures.len() > keeps_first {
                pictures.remove(keeps_first);
            }
            for (name, rung) in pictures {
                plan.add_encoded(&name, rung, source, usual_sound);
            }
        }
        if source.audio.is_some()
            && let Some((name, rung)) = table.sound_alone()
            && let Some(audio) = rung.audio
        {
            let sound = Some(plan.sound(audio.kbps));
            plan.add(&name, None, sound, None);
        }
        plan
    }

    fn add_encoded(&mut self, name: &str, rung: Rung, source: &TrackSet, usual_sound: bool) {
        let (Some(video), Some(audio)) = (rung.video, rung.audio) else {
            return;
        };
        let sound = match &source.audio {
            None => None,
            Some(_) if usual_sound => Some(Feed::Source),
            Some(_) => Some(self.sound(audio.kbps)),
        };
        let picture = Some(Feed::Encoder(self.pictures.len()));
        self.pictures.push(video);
        self.add(name, picture, sound, Some((video.width, video.height)));
    }

    fn add(
        &mut self,
        name: &str,
        picture: Option<Feed>,
        sound: Option<Feed>,
        size: Option<(u32, u32)>,
    ) {
        self.rungs.push(PlannedRung {
            name: name.to_owned(),
            picture,
            sound,
            size,
        });
    }

    /// The sound encoder of this rate; rungs of one rate share it. A table with more rates than a child has encoders
    /// gets the one that was made last.
    fn sound(&mut self, kbps: u32) -> Feed {
        let known = self.sounds.iter().position(|sound| sound.kbps == kbps);
        if let Some(known) = known {
            return Feed::Encoder(known);
        }
        if self.sounds.len() < LivePlan::MAX_SOUNDS {
            self.sounds.push(AudioRung { kbps });
        }
        Feed::Encoder(self.sounds.len() - 1)
    }

    /// The name of the rung that the picture encoder at this place feeds.
    pub(super) fn name_of(&self, picture: usize) -> &str {
        let fed = Some(Feed::Encoder(picture));
        let rung = self.rungs.iter().find(|rung| rung.picture == fed);
        rung.map_or("", |rung| rung.name.as_str())
    }

    /// What the multivariant playlist says of a rung until it was measured: never more than its share of what is
    /// `announced` of the source, by which players sort renditions.
    pub(super) fn estimate(
        &self,
        rung: &PlannedRung,
        source: &TrackSet,
        announced: Option<&hls::Variant>,
    ) -> hls::Variant {
        let picture = rung.picture.map(|feed| match feed {
            Feed::Source => {
                let codecs = source.video.as_ref().map(|video| video.codecs.clone());
                (codecs.unwrap_or_default(), SOURCE_KBPS)
            }
            Feed::Encoder(at) => self.pictures.get(at).map_or_else(
                || (String::new(), SOURCE_KBPS),
                |video| (h264_codecs(video.width, video.height), video.max_kbps),
            ),
        });
        let sound = rung.sound.map(|feed| match feed {
            Feed::Source => {
                let codecs = source.audio.as_ref().map(|audio| audio.codecs.clone());
                (codecs.unwrap_or_default(), AAC_KBPS)
            }
            Feed::Encoder(at) => {
                let kbps = self.sounds.get(at).map_or(AAC_KBPS, |sound| sound.kbps);
                ("mp4a.40.2".to_owned(), kbps)
            }
        });
        let tracks = picture.into_iter().chain(sound);
        let (codecs, kbps): (Vec<String>, Vec<u32>) = tracks.unzip();
        // A tenth for the boxes around the frames, which is more at low rates.
        let bits = u64::from(kbps.iter().sum::<u32>()) * 1_100;
        let share = announced.map(|source| share_of(source, rung.size));
        let bits = share.map_or(bits, |share| bits.min(share));
        hls::Variant {
            uri: format!("{}/index.m3u8", rung.name),
            bandwidth: bits,
            average_bandwidth: None,
            codecs: codecs.join(","),
            resolution: rung.size,
            frame_rate: None,
        }
    }
}

/// What a rung of this size takes of a source's rate at most: pictures of half the pixels take some 60 %.
fn share_of(source: &hls::Variant, size: Option<(u32, u32)>) -> u64 {
    let pixels = |(width, height): (u32, u32)| f64::from(width) * f64::from(height);
    let Some((rung, whole)) = size.zip(source.resolution) else {
        return source.bandwidth;
    };
    let share = (pixels(rung) / pixels(whole).max(1.0)).powf(0.75).min(0.99);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a rate far below 2^53"
    )]
    let bits = (source.bandwidth as f64 * share) as u64;
    bits.max(1)
}

/// The CODECS member of H.264 High at the level that pictures of this size have at 30 a second (ISO/IEC 14496-10
/// table A-1): what the child's encoder says later may be lower.
fn h264_codecs(width: u32, height: u32) -> String {
    let blocks = width.div_ceil(16) * height.div_ceil(16);
    let level = match blocks {
        0..=396 => 13,
        397..=792 => 21,
        793..=1_620 => 30,
        1_621..=3_600 => 31,
        3_601..=5_120 => 32,
        5_121..=8_192 => 40,
        _ => 51,
    };
    format!("avc1.6400{level:02x}")
}

/// Sound that every player plays: AAC-LC, stereo, 44.1 or 48 kHz.
fn is_usual(audio: &AudioConfig) -> bool {
    audio.codec == AudioCodec::Aac
        && audio.codecs == "mp4a.40.2"
        && audio.channels == 2
        && [44_100, 48_000].contains(&audio.sample_rate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::av::VideoConfig;
    use bytes::Bytes;

    fn source(
        video: Option<(VideoCodec, u32, u32)>,
        audio: Option<(AudioCodec, u32, u8)>,
    ) -> TrackSet {
        TrackSet {
            video: video.map(|(codec, width, height)| VideoConfig {
                codec,
                width,
                height,
                record: Bytes::new(),
                codecs: String::new(),
            }),
            audio: audio.map(|(codec, sample_rate, channels)| AudioConfig {
                codec,
                sample_rate,
                channels,
                frame_samples: 1_024,
                record: Bytes::new(),
                codecs: match codec {
                    AudioCodec::Aac => "mp4a.40.2".to_owned(),
                    AudioCodec::Opus => "opus".to_owned(),
                    AudioCodec::Mp3 => "mp4a.40.34".to_owned(),
                },
            }),
        }
    }

    fn plan(source: &TrackSet) -> RungPlan {
        RungPlan::of(&Ladder::default(), source, (30, 1), 8)
    }

    fn told(plan: &RungPlan) -> Vec<(&str, Option<Feed>, Option<Feed>)> {
        let rungs = plan.rungs.iter();
        rungs
            .map(|rung| (rung.name.as_str(), rung.picture, rung.sound))
            .collect()
    }

    const USUAL: Option<(AudioCodec, u32, u8)> = Some((AudioCodec::Aac, 48_000, 2));

    #[test]
    fn a_usual_source_gets_what_is_below_it_with_its_own_sound() {
        use Feed::{Encoder, Source};
        let plan = plan(&source(Some((VideoCodec::H264, 1_280, 720)), USUAL));
        assert_eq!(
            told(&plan),
            [
                ("480p", Some(Encoder(0)), Some(Source)),
                ("360p", Some(Encoder(1)), Some(Source)),
                ("audio", None, Some(Encoder(0))),
            ]
        );
        assert_eq!(plan.sounds, [AudioRung { kbps: 64 }]);
    }

    #[test]
    fn a_picture_that_players_lack_gets_one_that_stands_for_it() {
        use Feed::{Encoder, Source};
        for codec in [VideoCodec::Hevc, VideoCodec::Av1, VideoCodec::Vp9] {
            let plan = plan(&source(Some((codec, 640, 360)), USUAL));
            let expected = [
                ("h264", Some(Encoder(0)), Some(Source)),
                ("audio", None, Some(Encoder(0))),
            ];
            assert_eq!(told(&plan), expected, "{codec:?}");
            assert_eq!(plan.rungs[0].size, Some((640, 360)));
        }
        let large = plan(&source(Some((VideoCodec::Av1, 3_840, 2_160)), None));
        assert_eq!(large.rungs[0].size, Some((1_920, 1_080)));
    }

    #[test]
    fn sound_that_players_lack_becomes_aac_on_every_rung() {
        use Feed::{Encoder, Source};
        for sound in [
            (AudioCodec::Opus, 48_000, 2),
            (AudioCodec::Mp3, 44_100, 2),
            (AudioCodec::Aac, 48_000, 1),
            (AudioCodec::Aac, 22_050, 2),
        ] {
            let plan = plan(&source(Some((VideoCodec::H264, 854, 480)), Some(sound)));
            let expected = [
                ("aac", Some(Source), Some(Encoder(0))),
                ("360p", Some(Encoder(0)), Some(Encoder(1))),
                ("audio", None, Some(Encoder(2))),
            ];
            assert_eq!(told(&plan), expected, "{sound:?}");
        }
    }

    #[test]
    fn sound_alone_and_pictures_alone_get_what_they_have() {
        let sound = plan(&source(None, Some((AudioCodec::Opus, 48_000, 2))));
        assert_eq!(told(&sound), [("audio", None, Some(Feed::Encoder(0)))]);
        let pictures = plan(&source(Some((VideoCodec::H264, 854, 480)), None));
        assert_eq!(told(&pictures), [("360p", Some(Feed::Encoder(0)), None)]);
        assert!(
            plan(&source(Some((VideoCodec::H264, 320, 180)), None))
                .rungs
                .is_empty()
        );
    }

    #[test]
    fn a_small_machine_leaves_out_the_largest_first() {
        let names = |source: &TrackSet, most| -> Vec<String> {
            let plan = RungPlan::of(&Ladder::default(), source, (30, 1), most);
            plan.rungs.into_iter().map(|rung| rung.name).collect()
        };
        let usual = source(Some((VideoCodec::H264, 1_920, 1_080)), USUAL);
        assert_eq!(names(&usual, 3), ["720p", "480p", "360p", "audio"]);
        assert_eq!(names(&usual, 2), ["480p", "360p", "audio"]);
        assert_eq!(names(&usual, 0), ["audio"]);
        let hevc = source(Some((VideoCodec::Hevc, 1_920, 1_080)), USUAL);
        assert_eq!(names(&hevc, 2), ["h264", "360p", "audio"]);
        assert_eq!(names(&hevc, 0), ["h264", "audio"]);
    }
}
