//! What must hold of every single playlist.

use std::collections::BTreeSet;

use griot::base::Timestamp;

use super::playlist::{Nanos, Playlist, Segment, integer, quoted};

const SECOND: Nanos = 1_000_000_000;
/// Texts have five digits: one value is off by at most 5 µs.
const ROUNDING: Nanos = 5_000;
/// Room for the rounding of all values that are summed up here.
const SLACK: Nanos = 1_000_000;

/// What the rules of one playlist cannot see in its text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// `without_parts` was asked for, or there is no frame grid.
    pub(crate) plain: bool,
    /// A later session has another frame grid: parts keep to the target but not to 85 % of it (design §4a).
    pub(crate) grid_changed: bool,
    /// A sliding window instead of EVENT.
    pub(crate) sliding: bool,
    /// A session is over: that its last parts are a whole segment is told with the next one's first part.
    pub(crate) session_over: bool,
}

/// The clauses that `playlist` breaks.
pub(crate) fn broken(playlist: &Playlist, setting: Setting) -> Vec<String> {
    let mut faults = Vec::new();
    header(playlist, setting, &mut faults);
    segments(playlist, &mut faults);
    dates(playlist, &mut faults);
    parts(playlist, setting, &mut faults);
    edge(playlist, setting, &mut faults);
    faults
}

macro_rules! must {
    ($faults:expr, $holds:expr, $($what:tt)+) => {
        if !$holds {
            $faults.push(format!($($what)+));
        }
    };
}
pub(crate) use must;

fn header(playlist: &Playlist, setting: Setting, faults: &mut Vec<String>) {
    let target = playlist.target_duration * SECOND;
    must!(
        faults,
        playlist.version == 9,
        "8: VERSION 9 is what EXT-X-SKIP needs, and 6.2.1 wants no more"
    );
    let kind = playlist.kind.as_deref();
    let expected = if setting.sliding { None } else { Some("EVENT") };
    must!(
        faults,
        kind == expected,
        "4.4.3.5, 6.2.2: PLAYLIST-TYPE {kind:?}"
    );
    let reload = playlist.control.get("CAN-BLOCK-RELOAD");
    must!(
        faults,
        reload.is_some_and(|value| value == "YES"),
        "B.1: CAN-BLOCK-RELOAD"
    );
    let skip = playlist.control_seconds("CAN-SKIP-UNTIL").unwrap_or(0);
    must!(
        faults,
        skip >= 6 * target,
        "4.4.3.8: CAN-SKIP-UNTIL is six target durations"
    );
    let hold_back = playlist.control_seconds("HOLD-BACK");
    must!(
        faults,
        hold_back.is_none_or(|held| held >= 3 * target),
        "4.4.3.8: HOLD-BACK is three target durations"
    );
    let part_hold_back = playlist.control_seconds("PART-HOLD-BACK");
    match (playlist.part_target, part_hold_back) {
        (Some(part), Some(held)) => must!(
            faults,
            held >= 2 * part,
            "4.4.3.8: PART-HOLD-BACK is twice the part target"
        ),
        (None, None) => {}
        (part, held) => faults.push(format!(
            "4.4.3.8: PART-HOLD-BACK {held:?} with PART-INF {part:?}"
        )),
    }
    must!(
        faults,
        playlist.part_target.is_some() != setting.plain,
        "4.4.3.7: PART-INF where there are parts, and only there"
    );
    must!(
        faults,
        !setting.sliding || playlist.discontinuity_sequence.is_some(),
        "6.2.2: a playlist that may lose a discontinuity has DISCONTINUITY-SEQUENCE"
    );
}

fn segments(playlist: &Playlist, faults: &mut Vec<String>) {
    let mut uris = BTreeSet::new();
    let mut map = None;
    for (index, segment) in playlist.segments.iter().chain([&playlist.edge]).enumerate() {
        let msn = playlist.msn(index);
        map = segment.map.as_deref().or(map);
        if let Some(duration) = segment.duration {
            must!(
                faults,
                (duration + SECOND / 2) / SECOND <= playlist.target_duration,
                "4.4.3.1: segment {msn} of {duration} ns rounds above the target duration"
            );
        }
        let first = playlist.skipped == 0 && index == 0;
        must!(
            faults,
            !first || is_empty(segment) || segment.map.is_some(),
            "4.4.4.5: the first segment has no EXT-X-MAP"
        );
        for uri in segment
            .uri
            .iter()
            .chain(segment.parts.iter().map(|part| &part.uri))
        {
            must!(faults, uris.insert(uri), "6.2.1: {uri} twice");
            let Some((run, file)) = uri.split_once('/') else {
                faults.push(format!("house rule: {uri} names no run"));
                continue;
            };
            must!(
                faults,
                map.is_none_or(|map| map == format!("{run}/init.mp4")),
                "4.4.4.5: {uri} does not belong to {map:?}"
            );
            must!(
                faults,
                file.split('.').next() == Some(msn.to_string().as_str()),
                "house rule: {uri} is not number {msn}"
            );
        }
    }
}

fn is_empty(segment: &Segment) -> bool {
    *segment == Segment::default()
}

/// 6.2.1: dates may not be ambiguous; every discontinuity is dated. Dates are cut to milliseconds.
fn dates(playlist: &Playlist, faults: &mut Vec<String>) {
    let mut expected: Option<Timestamp> = None;
    for (index, segment) in playlist.segments.iter().chain([&playlist.edge]).enumerate() {
        let msn = playlist.msn(index);
        if let Some(date) = segment.date {
            must!(
                faults,
                expected.is_none_or(|end| date.0 + 2_000 >= end.0),
                "6.2.1: the date of segment {msn} is before the end of the one before"
            );
            expected = Some(date);
        } else {
            must!(
                faults,
                !segment.discontinuity || expected.is_none(),
                "6.2.1: the discontinuity before segment {msn} is not dated"
            );
        }
        let micros = i64::try_from(segment.duration.unwrap_or(0) / 1_000).expect("fits");
        expected = expected.map(|date| Timestamp(date.0 + micros));
    }
}

fn parts(playlist: &Playlist, setting: Setting, faults: &mut Vec<String>) {
    let Some(target) = playlist.part_target else {
        must!(
            faults,
            playlist.parts().next().is_none(),
            "4.4.3.7: EXT-X-PART without PART-INF"
        );
        return;
    };
    // From the end backwards: how far each segment's end is from the playlist's.
    let mut behind: Nanos = playlist.edge.parts.iter().map(|part| part.duration).sum();
    let reach = 3 * playlist.target_duration * SECOND;
    for (index, segment) in playlist.segments.iter().enumerate().rev() {
        let msn = playlist.msn(index);
        let listed: Nanos = segment.parts.iter().map(|part| part.duration).sum();
        let duration = segment.duration.unwrap_or(0);
        if segment.parts.is_empty() {
            must!(
                faults,
                segment.gap || behind + SLACK > reach,
                "design 4a: segment {msn} ends {behind} ns from the end and lists no parts"
            );
        } else {
            let count = segment.parts.len() as u64 + 2;
            must!(
                faults,
                listed.abs_diff(duration) <= count * ROUNDING,
                "4.4.4.9: the parts of segment {msn} last {listed} ns, the segment {duration}"
            );
            // By whole segments (design §4a): the youngest part that might have left ends where its segment ends.
            must!(
                faults,
                behind <= reach + SLACK,
                "6.2.2: parts of segment {msn}, {behind} ns from the end, are still listed"
            );
        }
        behind += duration;
        one_segments_parts(segment, msn, target, true, setting, faults);
    }
    let msn = playlist.next_msn();
    one_segments_parts(&playlist.edge, msn, target, false, setting, faults);
}

fn one_segments_parts(
    segment: &Segment,
    msn: u64,
    target: Nanos,
    whole: bool,
    setting: Setting,
    faults: &mut Vec<String>,
) {
    for (index, part) in segment.parts.iter().enumerate() {
        must!(
            faults,
            part.duration <= target,
            "4.4.4.9: part {msn}.{index} is longer than the part target"
        );
        let last = index + 1 == segment.parts.len() && whole;
        // The newest part may turn out to be the last of its segment.
        let newest = index + 1 == segment.parts.len();
        must!(
            faults,
            part.independent
                || last
                || newest
                || setting.grid_changed
                || part.duration * 100 >= target * 85,
            "4.4.4.9: part {msn}.{index} is shorter than 85 % of the part target"
        );
        must!(
            faults,
            part.uri.ends_with(&format!("/{msn}.{index}.m4s")),
            "house rule: {} is part {msn}.{index}",
            part.uri
        );
    }
}

fn edge(playlist: &Playlist, setting: Setting, faults: &mut Vec<String>) {
    let edge = &playlist.edge;
    must!(
        faults,
        edge.lines.is_empty() || !edge.parts.is_empty(),
        "4.1: tags behind the last segment that belong to nothing"
    );
    if playlist.ended {
        must!(
            faults,
            edge.parts.is_empty() && playlist.hints.is_empty() && playlist.reports.is_empty(),
            "4.4.3.4: nothing is to come after ENDLIST"
        );
        must!(
            faults,
            playlist.skipped == 0,
            "6.2.5.1: _HLS_skip is ignored after ENDLIST"
        );
        return;
    }
    if setting.plain {
        must!(
            faults,
            playlist.hints.is_empty(),
            "4.4.3.7: a hint without PART-INF"
        );
    } else {
        let hint: Vec<_> = playlist
            .hints
            .iter()
            .map(|hint| (hint.get("TYPE").cloned(), quoted(hint, "URI").ok()))
            .collect();
        let mut next = format!("/{}.{}.m4s", playlist.next_msn(), edge.parts.len());
        if setting.session_over {
            next = format!("/{}.0.m4s", playlist.next_msn() + 1);
        }
        must!(
            faults,
            matches!(&hint[..], [(Some(kind), Some(uri))] if kind == "PART" && uri.ends_with(&next)),
            "6.2.6, 4.4.5.3: one hint, of the part to come: {hint:?}"
        );
    }
    for report in &playlist.reports {
        for fault in [
            quoted(report, "URI").err(),
            integer(report, "LAST-MSN").err(),
        ] {
            faults.extend(fault.map(|fault| format!("4.4.5.4: {fault}")));
        }
        must!(
            faults,
            report.contains_key("LAST-PART") != setting.plain,
            "4.4.5.4: LAST-PART where the rendition has parts"
        );
    }
}
