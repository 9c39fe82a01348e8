//! What must hold from one version of a playlist to the next, of delta updates and of answers to directives.

use griot::hls::{Decision, Lookup, Snapshot};

use super::playlist::{Nanos, Playlist, Segment, quoted};
use super::rules::must;

/// The clauses that the step from `old` to `new` breaks.
pub(crate) fn broken(old: &Playlist, new: &Playlist) -> Vec<String> {
    let mut faults = Vec::new();
    must!(
        faults,
        new.media_sequence >= old.media_sequence,
        "6.2.2: MEDIA-SEQUENCE went back"
    );
    must!(
        faults,
        new.next_msn() >= old.next_msn(),
        "6.2.1: segments left at the end"
    );
    let removed = new.media_sequence.saturating_sub(old.media_sequence);
    let removed = usize::try_from(removed).expect("few segments");
    if old.kind.is_some() {
        must!(
            faults,
            removed == 0,
            "6.2.1: segments left an EVENT playlist"
        );
    } else if removed > 0 {
        must!(
            faults,
            new.duration() >= 3 * new.target_duration * 1_000_000_000,
            "6.2.2: less than three target durations are left"
        );
    }
    let moving = ["#EXT-X-MEDIA-SEQUENCE", "#EXT-X-DISCONTINUITY-SEQUENCE"];
    let constant = |playlist: &Playlist| -> Vec<String> {
        let moves = |line: &&String| moving.iter().any(|tag| line.starts_with(tag));
        playlist
            .header
            .iter()
            .filter(|line| !moves(line))
            .cloned()
            .collect()
    };
    must!(
        faults,
        constant(old) == constant(new),
        "6.2.1: a line of the header changed: {:?}, {:?}",
        old.header,
        new.header
    );
    let left = old.segments.iter().take(removed);
    let discontinuities = left.filter(|segment| segment.discontinuity).count() as u64;
    must!(
        faults,
        new.discontinuity_sequence.unwrap_or(0)
            == old.discontinuity_sequence.unwrap_or(0) + discontinuities,
        "6.2.2: DISCONTINUITY-SEQUENCE does not count what left"
    );
    appended(old, new, removed, &mut faults);
    part_lines(old, new, &mut faults);
    must!(faults, !old.ended, "4.4.3.4: a change after ENDLIST");
    faults
}

/// 6.2.1: lines are appended, none else changes; a segment at the edge only gets more lines.
fn appended(old: &Playlist, new: &Playlist, removed: usize, faults: &mut Vec<String>) {
    for (index, before) in old.segments.iter().enumerate().skip(removed) {
        let msn = old.msn(index);
        let after = new.segments.get(index - removed);
        // A sliding playlist repeats, before its first segment, the EXT-X-MAP that applies to it.
        let repeats_map = removed > 0 && index == removed && before.map.is_none();
        let same = after.is_some_and(|after| {
            let skip = usize::from(repeats_map && after.map.is_some());
            after.lines.get(skip..) == Some(&before.lines[..])
        });
        must!(faults, same, "6.2.1: segment {msn} changed");
    }
    let number = old.segments.len() - removed.min(old.segments.len());
    let edge = new.segments.get(number).unwrap_or(&new.edge);
    must!(
        faults,
        edge.lines.starts_with(&old.edge.lines),
        "6.2.1: the tags at the edge changed: {:?}, {:?}",
        old.edge.lines,
        edge.lines
    );
}

/// 6.2.1, 6.2.2: parts leave in order, the oldest first, and come at the end.
fn part_lines(old: &Playlist, new: &Playlist, faults: &mut Vec<String>) {
    let before: Vec<_> = old.parts().map(|part| &part.line).collect();
    let after: Vec<_> = new.parts().map(|part| &part.line).collect();
    let kept = match after.first() {
        Some(first) => before.iter().position(|line| line == first),
        None => None,
    };
    let kept = kept.map_or(&before[before.len()..], |at| &before[at..]);
    must!(
        faults,
        after.starts_with(kept),
        "6.2.2: parts left in the middle, or came in the middle"
    );
}

/// 6.2.5.1: the full playlist that a delta update and an older full playlist make together; `Err`: the clause.
pub(crate) fn apply(old: &Playlist, delta: &Playlist) -> Result<Vec<String>, String> {
    let mut lines = delta.header.clone();
    if delta.skipped > 0 {
        let gone = delta.media_sequence.checked_sub(old.media_sequence);
        let gone = gone.ok_or("6.2.2: MEDIA-SEQUENCE went back")?;
        let (gone, skipped) = (as_index(gone), as_index(delta.skipped));
        let known = old
            .segments
            .get(gone..gone + skipped)
            .ok_or("6.2.5.1: more is skipped than the client has")?;
        let mut map = None;
        if known[0].map.is_none() {
            map = old.segments[..gone]
                .iter()
                .rev()
                .find_map(|s| s.map.clone());
        }
        lines.extend(map.map(|uri| format!("#EXT-X-MAP:URI=\"{uri}\"")));
        // Their parts' lines were skipped with them.
        lines.extend(known.iter().flat_map(|segment| segment.lines.clone()));
    }
    lines.extend(lines_of(&delta.segments, &delta.edge));
    Ok(lines)
}

fn as_index(number: u64) -> usize {
    usize::try_from(number).expect("few segments")
}

/// A playlist as lines: header, then segments with their parts; without hint, reports and end.
pub(crate) fn lines(playlist: &Playlist) -> Vec<String> {
    let mut lines = playlist.header.clone();
    lines.extend(lines_of(&playlist.segments, &playlist.edge));
    lines
}

fn lines_of<'a>(segments: &'a [Segment], edge: &'a Segment) -> impl Iterator<Item = String> + 'a {
    segments.iter().chain([edge]).flat_map(|segment| {
        // Tags stand before the parts, EXTINF (with GAP) and URI behind.
        let behind = |line: &String| line.starts_with("#EXTINF") || line == "#EXT-X-GAP";
        let at = segment.lines.iter().position(behind);
        let (head, tail) = segment.lines.split_at(at.unwrap_or(segment.lines.len()));
        let parts = segment.parts.iter().map(|part| part.line.clone());
        head.iter()
            .cloned()
            .chain(parts)
            .chain(tail.to_vec())
            .collect::<Vec<_>>()
    })
}

/// 6.2.5.1: what may be skipped is further from the end of the last segment than the skip boundary, and all of it is.
pub(crate) fn delta_is_right(full: &Playlist, delta: &Playlist) -> Vec<String> {
    let mut faults = Vec::new();
    let boundary = full.control_seconds("CAN-SKIP-UNTIL").unwrap_or(0);
    let mut behind: Nanos = 0;
    for (index, segment) in full.segments.iter().enumerate().rev() {
        let skipped = (index as u64) < delta.skipped;
        // One millisecond for the rounding of the sum.
        must!(
            faults,
            skipped || behind <= boundary + 1_000_000,
            "6.2.5.1: segment {}, {behind} ns from the end, is not skipped",
            full.msn(index)
        );
        must!(
            faults,
            !skipped || behind + 1_000_000 > boundary,
            "6.2.5.1: segment {}, {behind} ns from the end, is skipped",
            full.msn(index)
        );
        behind += segment.duration.unwrap_or(0);
    }
    must!(
        faults,
        (&full.hints, &full.reports) == (&delta.hints, &delta.reports),
        "6.2.5.1: tags that are not skipped remain"
    );
    faults
}

/// 6.2.5.2 and 6.2.6 as the text tells them, against what the snapshot decides.
pub(crate) fn answers(playlist: &Playlist, snapshot: &Snapshot) -> Vec<String> {
    let mut faults = Vec::new();
    let edge = playlist.next_msn();
    let numbers = [0, 1, 2, 3].map(|back: u64| edge.saturating_sub(back));
    for msn in numbers.into_iter().chain([edge + 1, edge + 2, edge + 9]) {
        for part in [
            None,
            Some(0),
            Some(1),
            Some(5),
            Some(19),
            Some(20),
            Some(500),
        ] {
            let (decided, expected) = (
                snapshot.decide(Some(msn), part),
                reload(playlist, msn, part),
            );
            must!(
                faults,
                decided == expected,
                "6.2.5.2: _HLS_msn={msn} _HLS_part={part:?}: {decided:?}, not {expected:?}"
            );
        }
    }
    for (index, segment) in playlist.segments.iter().chain([&playlist.edge]).enumerate() {
        let msn = playlist.msn(index);
        let expected = if segment.gap {
            Lookup::No
        } else {
            Lookup::Here
        };
        let parts = segment.parts.iter().map(|part| &part.uri);
        for uri in segment.uri.iter().chain(parts) {
            must!(
                faults,
                look_up(snapshot, uri) == expected,
                "6.2.1: {uri} of segment {msn} is listed and not there"
            );
        }
    }
    for hint in &playlist.hints {
        let uri = quoted(hint, "URI").expect("checked with the playlist");
        must!(
            faults,
            look_up(snapshot, &uri) == Lookup::Hinted,
            "6.2.6: {uri} is hinted and not awaited"
        );
    }
    faults
}

/// 6.2.5.2, written once more from the clauses.
fn reload(playlist: &Playlist, msn: u64, part: Option<u64>) -> Decision {
    if playlist.ended {
        return Decision::Ready;
    }
    let next = playlist.next_msn();
    let Some(last) = next.checked_sub(1) else {
        return reload_first(playlist, msn, part);
    };
    if msn > last + 2 {
        return Decision::TooFarAhead;
    }
    let Some((part, target)) = part.zip(playlist.part_target) else {
        return ready_if(msn <= last);
    };
    let parts_of = |msn: u64| -> u64 {
        let index = msn.checked_sub(playlist.media_sequence).map(as_index);
        let segment = index.and_then(|index| playlist.segments.get(index));
        segment.map_or(0, |segment| segment.parts.len() as u64)
    };
    let rolls_over = msn <= last && parts_of(msn) > 0 && part >= parts_of(msn);
    let (msn, part) = if rolls_over {
        (msn + 1, 0)
    } else {
        (msn, part)
    };
    let edge_parts = playlist.edge.parts.len() as u64;
    if msn <= last || (msn == next && part < edge_parts) {
        return Decision::Ready;
    }
    let limit = if target < 1_000_000_000 {
        3_000_000_000_u64.div_ceil(target)
    } else {
        3
    };
    let ahead = if msn == next {
        (part + 1).saturating_sub(edge_parts)
    } else {
        part + 1
    };
    if ahead > limit {
        Decision::TooFarAhead
    } else {
        Decision::Wait
    }
}

/// Before the first segment: as if the last one had the number before the first.
fn reload_first(playlist: &Playlist, msn: u64, part: Option<u64>) -> Decision {
    let edge_parts = playlist.edge.parts.len() as u64;
    match part.filter(|_| playlist.part_target.is_some()) {
        _ if msn > 1 => Decision::TooFarAhead,
        None => Decision::Wait,
        Some(part) if msn == 0 && part < edge_parts => Decision::Ready,
        Some(part) => {
            let limit = 3_000_000_000_u64.div_ceil(playlist.part_target.expect("just seen"));
            let from = if msn == 0 { edge_parts } else { 0 };
            if part + 1 - from > limit {
                Decision::TooFarAhead
            } else {
                Decision::Wait
            }
        }
    }
}

fn ready_if(ready: bool) -> Decision {
    if ready {
        Decision::Ready
    } else {
        Decision::Wait
    }
}

/// What the snapshot says of `{run}/{msn}.m4s` or `{run}/{msn}.{part}.m4s`.
pub(crate) fn look_up(snapshot: &Snapshot, uri: &str) -> Lookup {
    let numbers: Vec<u64> = uri
        .split(['/', '.'])
        .filter_map(|word| word.parse().ok())
        .collect();
    let run = u32::try_from(numbers[0]).expect("a run");
    snapshot.contains(run, numbers[1], numbers.get(2).copied())
}
