//! The table of renditions, `pipelines/ladder.toml`, and what of it a source gets.

use serde::Deserialize;

use super::plan::{AudioRung, Rung, Transcode, VideoRung};

/// The table as it is built in.
const TABLE: &str = include_str!("../../pipelines/ladder.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    rung: Vec<LadderRung>,
}

/// One row of the table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LadderRung {
    /// `720p`, …, `audio`: the name in addresses and rows.
    pub name: String,
    /// Pixels of the shorter side of the upright picture; 0: sound alone.
    pub short_side: u32,
    /// kbit/s at 30 pictures a second.
    pub video_kbps: u32,
    /// kbit/s.
    pub audio_kbps: u32,
}

/// The renditions that may be made of a source, best first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ladder {
    rungs: Vec<LadderRung>,
}

impl Default for Ladder {
    /// The built-in table.
    fn default() -> Self {
        Self::parse(TABLE).expect("the built-in table is whole")
    }
}

/// Below so much of the source's short side a rung is worth its bytes, percent.
const SMALLER_PERCENT: u32 = 90;

impl Ladder {
    /// Reads a table: `[[rung]]` with `name`, `short_side`, `video_kbps` and `audio_kbps`, best first.
    ///
    /// # Errors
    /// What is wrong with it, and in which row: unknown or missing keys, names that cannot stand in an address or stand
    /// for something else, numbers out of range, rows that are not in order.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Table { rung: rungs } =
            toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        if rungs.is_empty() || rungs.len() > Transcode::MAX_RUNGS {
            let most = Transcode::MAX_RUNGS;
            return Err(format!(
                "it needs one [[rung]] at least, and {most} at most"
            ));
        }
        for (at, rung) in rungs.iter().enumerate() {
            let wrong = rung.wrong().or_else(|| {
                let before = &rungs[..at];
                if before.iter().any(|other| other.name == rung.name) {
                    return Some("the name is taken by a rung above");
                }
                before
                    .iter()
                    .any(|better| better.short_side <= rung.short_side)
                    .then_some("rungs go from the largest short_side to the smallest, each once")
            });
            if let Some(wrong) = wrong {
                return Err(format!("rung `{}`: {wrong}", rung.name));
            }
        }
        Ok(Self { rungs })
    }

    /// All rows, best first.
    #[must_use]
    pub fn rungs(&self) -> &[LadderRung] {
        &self.rungs
    }

    /// The rungs with pictures that are smaller than a source of so many upright pixels, best first.
    #[must_use]
    pub fn below(&self, width: u32, height: u32, frame_rate: (u32, u32)) -> Vec<(String, Rung)> {
        let short = width.min(height);
        self.rungs
            .iter()
            .filter(|rung| rung.short_side > 0 && rung.short_side * 100 <= short * SMALLER_PERCENT)
            .map(|rung| (rung.name.clone(), rung.sized(width, height, frame_rate)))
            .collect()
    }

    /// What stands for a source that cannot be played as it is: its own size, at most the table's largest.
    #[must_use]
    pub fn replacement(&self, width: u32, height: u32, frame_rate: (u32, u32)) -> Rung {
        let short = width.min(height);
        let fitting = self
            .rungs
            .iter()
            .rfind(|rung| rung.short_side > 0 && rung.short_side >= short);
        let rung = fitting.or(self.rungs.first()).expect("a table has rows");
        let own = LadderRung {
            short_side: short.min(rung.short_side),
            ..rung.clone()
        };
        own.sized(width, height, frame_rate)
    }

    /// Sound alone; `None` when the table has no such row.
    #[must_use]
    pub fn sound_alone(&self) -> Option<(String, Rung)> {
        let rung = self.rungs.iter().find(|rung| rung.short_side == 0)?;
        let audio = Some(AudioRung {
            kbps: rung.audio_kbps,
        });
        Some((rung.name.clone(), Rung { video: None, audio }))
    }

    /// The steady rate for a source of so many pictures a second: the usual one nearby, else its own; at most 60.
    #[must_use]
    pub fn frame_rate(measured: f64) -> (u32, u32) {
        const USUAL: [(u32, u32); 8] = [
            (24_000, 1_001),
            (24, 1),
            (25, 1),
            (30_000, 1_001),
            (30, 1),
            (50, 1),
            (60_000, 1_001),
            (60, 1),
        ];
        if !measured.is_finite() || measured <= 0.0 {
            return (30, 1);
        }
        let rate = |(frames, seconds): (u32, u32)| f64::from(frames) / f64::from(seconds);
        let distance = |usual: (u32, u32)| (rate(usual) / measured - 1.0).abs();
        let nearest = USUAL
            .into_iter()
            .min_by(|a, b| distance(*a).total_cmp(&distance(*b)))
            .expect("not empty");
        // A phone that means 30 is some per mille off; 12 or 15 pictures a second are meant.
        if distance(nearest) < 0.015 {
            return nearest;
        }
        if measured > 60.0 {
            return (60, 1);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and 60,000"
        )]
        let millihertz = (measured * 1_000.0).round() as u32;
        (millihertz.max(100), 1_000)
    }
}

impl LadderRung {
    /// Names of renditions that are no row of a table: the encoder's own, and what stands for it.
    const TAKEN: [&str; 3] = ["source", "h264", "aac"];

    /// What cannot work about this row by itself.
    fn wrong(&self) -> Option<&'static str> {
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if self.name.is_empty() || self.name.len() > 32 || !self.name.bytes().all(letter) {
            return Some("a name is 1 to 32 of a-z, 0-9 and -, for it stands in addresses");
        }
        if Self::TAKEN.contains(&self.name.as_str()) {
            return Some("the name is griot's own");
        }
        if !(16..=320).contains(&self.audio_kbps) {
            return Some("audio_kbps is from 16 to 320");
        }
        match (self.short_side, self.video_kbps) {
            (0, 0) => None,
            (0, _) => Some("a rung without short_side is sound alone: its video_kbps is 0"),
            (64..=2_160, 16..=100_000) => None,
            (64..=2_160, _) => Some("video_kbps is from 16 to 100000"),
            _ => Some("short_side is from 64 to 2160, or 0 for sound alone"),
        }
    }

    /// This rung for a source of so many upright pixels: its shape kept, both sides even.
    fn sized(&self, width: u32, height: u32, frame_rate: (u32, u32)) -> Rung {
        let short = u64::from(width.min(height).max(1));
        let side = |pixels: u32| {
            let scaled = (u64::from(pixels) * u64::from(self.short_side) + short / 2) / short;
            let even = scaled.div_ceil(2) * 2;
            u32::try_from(even).unwrap_or(u32::MAX).clamp(16, 4_096)
        };
        // Twice the pictures take about half as much again.
        let (frames, seconds) = frame_rate;
        let is_fast = frames > 40 * seconds.max(1);
        let kbps = if is_fast {
            self.video_kbps * 3 / 2
        } else {
            self.video_kbps
        };
        Rung {
            video: Some(VideoRung {
                width: side(width),
                height: side(height),
                max_kbps: kbps,
            }),
            audio: Some(AudioRung {
                kbps: self.audio_kbps,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(width: u32, height: u32) -> Vec<(String, u32, u32)> {
        let size = |(name, rung): (String, Rung)| {
            let video = rung.video.unwrap();
            (name, video.width, video.height)
        };
        Ladder::default()
            .below(width, height, (30, 1))
            .into_iter()
            .map(size)
            .collect()
    }

    #[test]
    fn only_smaller_rungs_are_made_and_a_phone_held_upright_stays_so() {
        let named = |name: &str, width, height| (name.to_owned(), width, height);
        assert_eq!(
            sizes(1_920, 1_080),
            [
                named("720p", 1_280, 720),
                named("480p", 854, 480),
                named("360p", 640, 360)
            ]
        );
        assert_eq!(
            sizes(720, 1_280),
            [named("480p", 480, 854), named("360p", 360, 640)]
        );
        assert_eq!(sizes(320, 180), []);
        assert_eq!(sizes(640, 360), []);
    }

    #[test]
    fn what_stands_for_a_source_is_no_larger_than_it_and_than_the_table() {
        let size = |width, height| {
            let video = Ladder::default()
                .replacement(width, height, (25, 1))
                .video
                .unwrap();
            (video.width, video.height, video.max_kbps)
        };
        assert_eq!(size(3_840, 2_160), (1_920, 1_080, 4_500));
        assert_eq!(size(320, 180), (320, 180, 700));
        assert_eq!(size(853, 479), (854, 480, 1_200));
    }

    #[test]
    fn a_table_that_cannot_work_says_why() {
        let rung = |name: &str, side: u32, video: u32, audio: u32| {
            format!(
                "[[rung]]\nname = \"{name}\"\nshort_side = {side}\nvideo_kbps = {video}\naudio_kbps = {audio}\n"
            )
        };
        let good = rung("270p", 270, 400, 64) + &rung("voice", 0, 0, 32);
        assert_eq!(Ladder::parse(&good).unwrap().rungs().len(), 2);
        for (table, told) in [
            (String::new(), "rung"),
            ("rung = []".to_owned(), "one [[rung]]"),
            (rung("270p", 270, 400, 64) + "bitrate = 3\n", "bitrate"),
            ("[[rung]]\nname = \"270p\"\n".to_owned(), "short_side"),
            (rung("27 0p", 270, 400, 64), "a-z"),
            (rung("source", 270, 400, 64), "griot's own"),
            (rung("270p", 270, 0, 64), "video_kbps"),
            (rung("270p", 27, 400, 64), "short_side"),
            (rung("270p", 270, 400, 640), "audio_kbps"),
            (rung("voice", 0, 400, 64), "sound alone"),
            (
                rung("180p", 180, 400, 64) + &rung("270p", 270, 800, 64),
                "largest",
            ),
            (
                rung("a", 270, 400, 64) + &rung("b", 270, 800, 64),
                "largest",
            ),
            (rung("a", 270, 400, 64) + &rung("a", 180, 200, 64), "taken"),
        ] {
            let error = Ladder::parse(&table).unwrap_err();
            assert!(error.contains(told), "{table}: {error}");
        }
    }

    #[test]
    fn a_rate_nearby_is_meant() {
        assert_eq!(Ladder::frame_rate(29.97), (30_000, 1_001));
        assert_eq!(Ladder::frame_rate(29.83), (30_000, 1_001));
        assert_eq!(Ladder::frame_rate(23.976), (24_000, 1_001));
        assert_eq!(Ladder::frame_rate(1.0), (1_000, 1_000));
        assert_eq!(Ladder::frame_rate(15.0), (15_000, 1_000));
        assert_eq!(Ladder::frame_rate(240.0), (60, 1));
        assert_eq!(Ladder::frame_rate(f64::NAN), (30, 1));
    }
}
