//! From a state of the window to the playlist's text.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::decimal::{ceiling, seconds};
use super::gzip::Member;
use super::segment::{map_line, part_uri};
use super::snapshot::State;

/// Which of the forms of one playlist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Form {
    /// A delta update (`_HLS_skip`), where there is something to skip and the playlist has not ended (6.2.5.1).
    pub skip: bool,
    /// Whole segments only (`ll=0`). Also the right form for a first request (no `_HLS_msn`) after the end: parts
    /// cannot be had for ever, and only a player that was there needs them.
    pub without_parts: bool,
    /// Compressed (RFC 1952).
    pub gzip: bool,
}

/// What a playlist tells about another rendition of the same live (4.4.5.4).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RenditionReport {
    /// The other media playlist, relative to this one: `../720p/index.m3u8`.
    pub uri: String,
    /// Number of its last segment, or of that of its last part.
    pub last_msn: u64,
    /// Index of its last part, where it has parts.
    pub last_part: Option<u64>,
}

/// What was rendered of a state: the last text of each form, with the reports that it ends with.
///
/// std mutexes: never held across an await. They are held while rendering, so that viewers who are released by the
/// same part wait for one rendering instead of each making their own.
#[derive(Debug, Default)]
pub(super) struct Memo([Mutex<Option<Rendered>>; 8]);

#[derive(Debug)]
struct Rendered {
    reports: Vec<RenditionReport>,
    text: Bytes,
}

impl Memo {
    pub(super) fn playlist(&self, state: &State, form: Form, reports: &[RenditionReport]) -> Bytes {
        let form = state.effective(form);
        let reports = if state.ended { &[] } else { reports };
        let slot = usize::from(form.skip)
            + 2 * usize::from(form.without_parts)
            + 4 * usize::from(form.gzip);
        let mut memo = self.0[slot].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rendered) = memo.as_ref()
            && rendered.reports == reports
        {
            return rendered.text.clone();
        }
        let text = Bytes::from(state.render(form, reports));
        *memo = Some(Rendered {
            reports: reports.to_vec(),
            text: text.clone(),
        });
        text
    }
}

/// What the segments behind the chunks need, about: a shorter text is grown once.
const EDGE_ROOM: usize = 16 << 10;

impl State {
    /// Forms that would give the same text are one.
    fn effective(&self, form: Form) -> Form {
        Form {
            skip: form.skip && !self.ended && self.skippable() > 0,
            without_parts: form.without_parts || self.part_target.is_none(),
            gzip: form.gzip,
        }
    }

    fn render(&self, form: Form, reports: &[RenditionReport]) -> Vec<u8> {
        let mut text = self.header(form);
        let mut member = form.gzip.then(Member::new);
        let first = if form.skip {
            let skipped = self.skippable();
            text.push_str(&format!("#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}\n"));
            self.finished.first + skipped
        } else {
            self.chunks(&mut text, &mut member);
            self.finished.first
        };
        self.recent(&mut text, first, form.without_parts);
        self.edge(&mut text, form.without_parts, reports);
        match member {
            Some(member) => member.finish(text.as_bytes()),
            None => text.into_bytes(),
        }
    }

    /// The lines that stay from the first playlist to the last (6.2.1), and the numbers of a sliding one.
    fn header(&self, form: Form) -> String {
        if self.config.on_demand {
            // 6 is for EXT-X-MAP (section 8).
            return format!(
                "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:{}\n#EXT-X-PLAYLIST-TYPE:VOD\n\
                 #EXT-X-MEDIA-SEQUENCE:{}\n",
                self.config.target_duration_s, self.finished.first
            );
        }
        // 9 is for EXT-X-SKIP (section 8), which the full form of the same playlist promises.
        let mut text = format!(
            "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:{}\n",
            self.config.target_duration_s
        );
        if self.config.window.is_none() {
            text.push_str("#EXT-X-PLAYLIST-TYPE:EVENT\n");
        }
        text.push_str("#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=");
        text.push_str(&seconds(ceiling(self.config.skip_boundary())));
        if let Some(target) = self.part_target.filter(|_| !form.without_parts) {
            let target = ceiling(target);
            let hold_back = target * u64::from(self.config.hold_back_tenths.max(20));
            text.push_str(&format!(
                ",PART-HOLD-BACK={}\n#EXT-X-PART-INF:PART-TARGET={}",
                seconds(hold_back.div_ceil(10)),
                seconds(target)
            ));
        }
        text.push_str(&format!(
            "\n#EXT-X-MEDIA-SEQUENCE:{}\n",
            self.finished.first
        ));
        if self.config.window.is_some() {
            text.push_str(&format!(
                "#EXT-X-DISCONTINUITY-SEQUENCE:{}\n",
                self.finished.discontinuity_sequence
            ));
        }
        text
    }

    /// The finished prefix. Whole chunks go into a gzip member as they are; `text` holds what comes after the last.
    fn chunks(&self, text: &mut String, member: &mut Option<Member>) {
        let first = self.finished.first;
        if member.is_none() {
            let chunks = self.finished.chunks.iter();
            text.reserve(chunks.map(|chunk| chunk.len()).sum::<usize>() + EDGE_ROOM);
        }
        // The line that named the first segment's init section may have left with its segment.
        if first < self.finished.next_msn
            && !self.finished.begins_run(first)
            && let Some(run) = self.finished.run_of(first)
        {
            text.push_str(&map_line(run));
        }
        for chunk in &self.finished.chunks {
            let (lines, whole) = chunk.from(first);
            match member {
                Some(member) if whole => {
                    if !text.is_empty() {
                        member.text(text.as_bytes());
                        text.clear();
                    }
                    member.piece(&chunk.piece, lines.len());
                }
                _ => text.push_str(lines),
            }
        }
    }

    /// Segments behind the chunks. Parts leave by whole segments, the last of them three target durations from the
    /// end (6.2.2): a segment that kept only some of its parts would have them counted wrong.
    fn recent(&self, text: &mut String, first: u64, without_parts: bool) {
        let (end, reach) = (self.end(), self.config.target_durations(3));
        for segment in &self.finished.recent {
            if segment.msn >= first {
                let parts = !without_parts && end - segment.end() <= reach;
                segment.write(text, parts);
            }
        }
    }

    /// The open segment's parts, the hint, the reports; or the end.
    fn edge(&self, text: &mut String, without_parts: bool, reports: &[RenditionReport]) {
        if self.ended {
            text.push_str("#EXT-X-ENDLIST\n");
            return;
        }
        if !without_parts {
            if let Some(open) = &self.open {
                open.write(text, true);
            }
            let (msn, part) = self.next_part();
            let hint = part_uri(self.run, msn, part);
            text.push_str(&format!("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{hint}\"\n"));
        }
        for report in reports {
            text.push_str(&format!(
                "#EXT-X-RENDITION-REPORT:URI=\"{}\",LAST-MSN={}",
                report.uri, report.last_msn
            ));
            if let Some(part) = report.last_part {
                text.push_str(&format!(",LAST-PART={part}"));
            }
            text.push('\n');
        }
    }

    fn skippable(&self) -> u64 {
        self.finished.skippable(self.config.skip_boundary())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::Duration;

    use flate2::read::GzDecoder;

    use super::*;
    use crate::av::Ticks;
    use crate::hls::{Config, PartMeta, Window};

    fn live(config: Config, segments: usize) -> Window {
        let mut window = Window::new(config);
        window.set_part_target(Some(Ticks(18_000)));
        window.start_run(0, false);
        for _ in 0..segments {
            for part in 0..20 {
                window.push_part(PartMeta {
                    duration: Ticks(18_000),
                    independent: part == 0,
                    bytes: 1,
                });
            }
            window.end_segment();
        }
        window
    }

    fn inflate(bytes: &[u8]) -> String {
        let mut text = String::new();
        GzDecoder::new(bytes)
            .read_to_string(&mut text)
            .expect("one valid member");
        text
    }

    #[test]
    fn every_form_compresses_to_itself_however_long_the_live() {
        let sliding = Config {
            window: Some(Duration::from_secs(600)),
            ..Config::default()
        };
        let reports = [RenditionReport {
            uri: "../720p/index.m3u8".to_owned(),
            last_msn: 7,
            last_part: Some(3),
        }];
        for config in [Config::default(), sliding] {
            for segments in [0, 1, 9, 10, 72, 73, 74, 137, 200, 201, 202, 300] {
                let snapshot = live(config, segments).snapshot();
                for (skip, without_parts) in
                    [(false, false), (false, true), (true, false), (true, true)]
                {
                    let form = |gzip| Form {
                        skip,
                        without_parts,
                        gzip,
                    };
                    let plain = snapshot.playlist(form(false), &reports);
                    let zipped = snapshot.playlist(form(true), &reports);
                    assert_eq!(inflate(&zipped).as_bytes(), plain, "{segments} {skip}");
                }
            }
        }
    }

    #[test]
    fn a_text_is_rendered_once_until_the_reports_change() {
        let snapshot = live(Config::default(), 3).snapshot();
        let report = |last_msn| RenditionReport {
            uri: "../720p/index.m3u8".to_owned(),
            last_msn,
            last_part: None,
        };
        let first = snapshot.clone().playlist(Form::default(), &[report(2)]);
        let second = snapshot.playlist(Form::default(), &[report(2)]);
        assert_eq!(first.as_ptr(), second.as_ptr());
        let third = snapshot.playlist(Form::default(), &[report(3)]);
        let text = String::from_utf8(third.to_vec()).expect("ASCII");
        assert!(text.ends_with("#EXT-X-RENDITION-REPORT:URI=\"../720p/index.m3u8\",LAST-MSN=3\n"));
    }

    // RFC 8216bis 4.4.3: every tag that a VOD playlist needs, and none that speaks of reloads.
    #[test]
    fn what_is_over_from_the_start_is_a_vod_playlist() {
        let durations = [Ticks(90_000), Ticks(585_000), Ticks(45_000)];
        let rows = durations
            .into_iter()
            .zip(0..)
            .map(|(duration, msn)| crate::hls::SegmentMeta {
                msn,
                run: 0,
                discontinuity: false,
                duration,
                gap: false,
                date_time: None,
            });
        let mut window = Window::from_segments(Config::on_demand(durations), rows);
        window.end();
        let text = window.snapshot().playlist(Form::default(), &[]);
        assert_eq!(
            String::from_utf8(text.to_vec()).expect("ASCII"),
            "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:7\n#EXT-X-PLAYLIST-TYPE:VOD\n\
             #EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-MAP:URI=\"0/init.mp4\"\n\
             #EXTINF:1,\n0/0.m4s\n#EXTINF:6.5,\n0/1.m4s\n#EXTINF:0.5,\n0/2.m4s\n\
             #EXT-X-ENDLIST\n"
        );
    }

    #[test]
    fn parts_are_listed_for_the_last_three_target_durations() {
        // Eight segments of 4 s: those that end at 16 s and later are at most 18 s from the end, 32 s.
        let text = live(Config::default(), 8)
            .snapshot()
            .playlist(Form::default(), &[]);
        let text = String::from_utf8(text.to_vec()).expect("ASCII");
        let listed: Vec<_> = (0..8)
            .map(|msn| text.matches(&format!("\"0/{msn}.")).count())
            .collect();
        // The hint is 0/8.0.
        assert_eq!(listed, [0, 0, 0, 20, 20, 20, 20, 20]);
    }

    #[test]
    fn twelve_hours_stay_small() {
        // 13,500 segments are the most that 12 hours have.
        let snapshot = live(Config::default(), 13_500).snapshot();
        let size = |skip, gzip| {
            let form = Form {
                skip,
                without_parts: false,
                gzip,
            };
            snapshot.playlist(form, &[]).len()
        };
        assert!(size(true, false) <= 10_000, "{}", size(true, false));
        assert!(size(true, true) <= 1_500, "{}", size(true, true));
        assert!(size(false, false) <= 400_000, "{}", size(false, false));
        assert!(size(false, true) <= 60_000, "{}", size(false, true));
    }
}
