//! One media segment and its lines of the playlist.

use crate::av::Ticks;
use crate::base::Timestamp;

use super::decimal;

/// What the playlist must know of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartMeta {
    /// 90 kHz; not above the part target where there is one (4.4.4.9).
    pub duration: Ticks,
    /// Whether it holds a key frame (INDEPENDENT=YES).
    pub independent: bool,
    /// Its length.
    pub bytes: u32,
}

/// A finished segment as its row tells it: enough to write its lines again, byte for byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentMeta {
    /// Media sequence number; rows come in order and without a hole.
    pub msn: u64,
    /// Which file of the rendition.
    pub run: u32,
    /// Whether EXT-X-DISCONTINUITY stands before it (see [`super::Window::start_run`]).
    pub discontinuity: bool,
    /// 90 kHz.
    pub duration: Ticks,
    /// Whether its media is missing (EXT-X-GAP).
    pub gap: bool,
    /// The PROGRAM-DATE-TIME of a session that begins with it, as [`super::Window::start_session`] answered.
    pub date_time: Option<Timestamp>,
}

/// Tags that wait for the next segment to come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pending {
    pub(super) discontinuity: bool,
    /// A run whose EXT-X-MAP has not been written yet.
    pub(super) map: Option<u32>,
    pub(super) date: Option<Timestamp>,
}

impl Pending {
    /// The lines before a segment's first part. Discontinuity first: hls.js counts it into the init section that follows.
    pub(super) fn lines(self) -> String {
        let mut text = String::new();
        if self.discontinuity {
            text.push_str("#EXT-X-DISCONTINUITY\n");
        }
        if let Some(run) = self.map {
            text.push_str(&map_line(run));
        }
        if let Some(date) = self.date {
            text.push_str("#EXT-X-PROGRAM-DATE-TIME:");
            text.push_str(&date.to_millis_string());
            text.push('\n');
        }
        text
    }
}

/// EXT-X-MAP of a run (4.4.4.5).
pub(super) fn map_line(run: u32) -> String {
    format!("#EXT-X-MAP:URI=\"{run}/init.mp4\"\n")
}

/// The URI of a part, relative to the media playlist.
pub(super) fn part_uri(run: u32, msn: u64, part: usize) -> String {
    format!("{run}/{msn}.{part}.m4s")
}

/// A segment, growing or finished: its text is `head, parts, tail`, each only ever appended to.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) msn: u64,
    pub(super) run: u32,
    pub(super) gap: bool,
    pub(super) discontinuity: bool,
    /// On the window's timeline, which counts media from zero.
    pub(super) start: Ticks,
    pub(super) duration: Ticks,
    /// Where each part ends, counted from the segment's first byte.
    pub(super) part_ends: Vec<u64>,
    text: String,
    head: usize,
    tail: usize,
}

impl Segment {
    /// A segment of which only the tags before its first part are known.
    pub(super) fn open(msn: u64, run: u32, start: Ticks, tags: Pending) -> Self {
        let text = tags.lines();
        Self {
            msn,
            run,
            gap: false,
            discontinuity: tags.discontinuity,
            start,
            duration: Ticks::ZERO,
            part_ends: Vec::new(),
            head: text.len(),
            tail: text.len(),
            text,
        }
    }

    /// Appends a part; its line is written only where the playlist lists parts and so has a part target.
    pub(super) fn push(&mut self, part: PartMeta, target: Option<Ticks>) -> usize {
        let index = self.part_ends.len();
        if let Some(target) = target {
            // Sound that begins between two ticks can make a part one tick longer than its frames: not in the text.
            let rounded = part.duration.0 == target.0 + 1;
            let duration = if rounded { target } else { part.duration };
            // The RFC gives attributes no order; this is the one of its own examples.
            self.text.push_str("#EXT-X-PART:DURATION=");
            self.text
                .push_str(&decimal::seconds(decimal::nearest(duration)));
            self.text.push_str(",URI=\"");
            self.text.push_str(&part_uri(self.run, self.msn, index));
            self.text.push('"');
            if part.independent {
                self.text.push_str(",INDEPENDENT=YES");
            }
            self.text.push('\n');
            self.tail = self.text.len();
        }
        self.duration = self.duration + Ticks(part.duration.0.max(0));
        let begin = self.part_ends.last().copied().unwrap_or(0);
        self.part_ends.push(begin + u64::from(part.bytes));
        index
    }

    /// Appends the lines that make it a media segment.
    pub(super) fn close(&mut self, gap: bool) {
        self.gap = gap;
        if gap {
            self.text.push_str("#EXT-X-GAP\n");
        }
        // The difference of two rounded times, so that the rounding of 13,500 segments does not add up.
        let units = decimal::nearest(self.end()) - decimal::nearest(self.start);
        self.text.push_str("#EXTINF:");
        self.text.push_str(&decimal::seconds(units));
        self.text
            .push_str(&format!(",\n{}/{}.m4s\n", self.run, self.msn));
        self.text.shrink_to_fit();
    }

    /// Its media is lost after it was listed.
    pub(super) fn lose(&mut self) {
        if !self.gap {
            self.gap = true;
            self.text.insert_str(self.tail, "#EXT-X-GAP\n");
        }
    }

    pub(super) fn end(&self) -> Ticks {
        self.start + self.duration
    }

    /// Writes its lines, with those of its parts or without.
    pub(super) fn write(&self, text: &mut String, parts: bool) {
        if parts {
            text.push_str(&self.text);
        } else {
            text.push_str(&self.text[..self.head]);
            text.push_str(&self.text[self.tail..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Option<Ticks> = Some(Ticks(18_000));

    #[test]
    fn the_lines_of_a_segment_without_its_parts_are_the_rest_in_order() {
        let tags = Pending {
            discontinuity: true,
            map: Some(2),
            date: Timestamp::parse("2025-07-23T15:27:39.885Z"),
        };
        let mut segment = Segment::open(7, 2, Ticks(90_000), tags);
        let part = PartMeta {
            duration: Ticks(18_000),
            independent: true,
            bytes: 100,
        };
        assert_eq!(segment.push(part, TARGET), 0);
        let part = PartMeta {
            duration: Ticks(16_500),
            independent: false,
            bytes: 50,
        };
        assert_eq!(segment.push(part, TARGET), 1);
        segment.close(false);
        let (mut with, mut without) = (String::new(), String::new());
        segment.write(&mut with, true);
        segment.write(&mut without, false);
        // 16,500 ticks are 0.183333 s; 34,500 are 0.383333 s.
        assert_eq!(
            with,
            "#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"2/init.mp4\"\n\
             #EXT-X-PROGRAM-DATE-TIME:2025-07-23T15:27:39.885Z\n\
             #EXT-X-PART:DURATION=0.2,URI=\"2/7.0.m4s\",INDEPENDENT=YES\n\
             #EXT-X-PART:DURATION=0.18333,URI=\"2/7.1.m4s\"\n\
             #EXTINF:0.38333,\n2/7.m4s\n"
        );
        assert_eq!(
            without,
            "#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"2/init.mp4\"\n\
             #EXT-X-PROGRAM-DATE-TIME:2025-07-23T15:27:39.885Z\n\
             #EXTINF:0.38333,\n2/7.m4s\n"
        );
        assert_eq!(segment.part_ends, [100, 150]);
    }

    #[test]
    fn one_tick_of_rounding_does_not_exceed_the_part_target() {
        let mut segment = Segment::open(0, 0, Ticks::ZERO, Pending::default());
        for ticks in [18_001, 18_002] {
            let part = PartMeta {
                duration: Ticks(ticks),
                independent: false,
                bytes: 1,
            };
            segment.push(part, TARGET);
        }
        let mut text = String::new();
        segment.write(&mut text, true);
        // 18,002 ticks are 0.200022 s: that is no rounding, and is told.
        assert_eq!(
            text,
            "#EXT-X-PART:DURATION=0.2,URI=\"0/0.0.m4s\"\n#EXT-X-PART:DURATION=0.20002,URI=\"0/0.1.m4s\"\n"
        );
        assert_eq!(segment.duration, Ticks(36_003));
    }

    #[test]
    fn rounding_does_not_add_up_over_segments() {
        // Each 300,001 ticks = 3.33334444… s: the nearest five digits are 0.44 ticks too short each time.
        let (mut start, mut sum) = (Ticks::ZERO, 0);
        for msn in 0..9_000 {
            let mut segment = Segment::open(msn, 0, start, Pending::default());
            let part = PartMeta {
                duration: Ticks(300_001),
                independent: true,
                bytes: 1,
            };
            segment.push(part, None);
            segment.close(false);
            let mut text = String::new();
            segment.write(&mut text, true);
            let value = text
                .strip_prefix("#EXTINF:")
                .and_then(|rest| rest.split_once(','));
            let (seconds, _) = value.expect("a segment begins with EXTINF");
            let (whole, rest) = seconds.split_once('.').expect("digits");
            sum += whole.parse::<u64>().unwrap() * 100_000
                + format!("{rest:0<5}").parse::<u64>().unwrap();
            start = segment.end();
        }
        // 9,000 × 300,001 / 90,000 s = 30,000.1 s exactly.
        assert_eq!(sum, 3_000_010_000);
    }
}
