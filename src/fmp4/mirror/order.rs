//! Which picture of a rung takes the place of which picture of its source.
//!
//! An encoder without B-frames hands pictures out in the order in which they are shown; the source's part has places in
//! the order in which they are decoded. The picture that is shown as the n-th after a key frame takes the n-th place
//! behind it. No place is decoded later than that picture is shown: of two sorted lists, in which every time of
//! the one is at most its partner of the other, the n-th is at most the n-th. A picture that came out is shown before all
//! that have not come out yet, so its number is certain, whatever the source still sends.

use std::collections::VecDeque;

/// A picture of a rung is the source's if it is shown within half a millisecond of it, 90 kHz.
const SAME: i64 = 45;

/// A key frame that begins a segment, and what follows up to the next such.
#[derive(Debug)]
struct Group {
    /// When its key frame is shown.
    begin: i64,
    /// When the source's pictures are shown that have no part yet, ascending.
    shown: VecDeque<i64>,
    /// How many had theirs before.
    passed: usize,
    /// Places in the parts told so far.
    places: usize,
    /// Whether a picture is not shown when it is decoded: later parts may bring earlier pictures.
    reordered: bool,
    /// No part of it follows.
    closed: bool,
}

/// The place of a picture: group, and number within it.
pub(super) type Rank = (u64, usize);

/// The source's pictures as a rung needs them; as many as parts are pending.
#[derive(Debug, Default)]
pub(super) struct Order {
    groups: VecDeque<Group>,
    /// The number of the first group.
    first: u64,
}

impl Order {
    /// A part of the source with these pictures (decoded, shown) in decoding order; `begins` with a key frame that begins a
    /// segment. Answers its group and the number of its first place; `None` while there has been no key frame.
    pub(super) fn part(&mut self, pictures: &[(i64, i64)], begins: bool) -> Option<Rank> {
        if begins && let Some(&(_, begin)) = pictures.first() {
            self.close();
            self.groups.push_back(Group {
                begin,
                shown: VecDeque::new(),
                passed: 0,
                places: 0,
                reordered: false,
                closed: false,
            });
        }
        for &(decoded, shown) in pictures {
            // Those that are shown before their key frame are the last of what came before it.
            let group = self.groups.iter().rposition(|group| shown >= group.begin);
            if let Some(group) = self.groups.get_mut(group.unwrap_or(0)) {
                let at = group.shown.partition_point(|&other| other <= shown);
                group.shown.insert(at, shown);
                group.reordered |= decoded != shown;
            }
        }
        let number = self.first + self.groups.len().checked_sub(1)? as u64;
        let group = self.groups.back_mut()?;
        let from = group.places;
        group.places += pictures.len();
        Some((number, from))
    }

    /// The session is over: no part of the last group follows.
    pub(super) fn close(&mut self) {
        if let Some(last) = self.groups.back_mut() {
            last.closed = true;
        }
    }

    /// The place of a picture that is shown at `shown`, and when its source's picture is exactly. `None` for one before
    /// all that is pending.
    pub(super) fn rank(&self, shown: i64) -> Option<(Rank, i64)> {
        let at = self
            .groups
            .iter()
            .rposition(|group| shown + SAME >= group.begin)
            .unwrap_or(0);
        let group = self.groups.get(at)?;
        let before = group.shown.partition_point(|&other| other < shown - SAME);
        let number = self.first + at as u64;
        match group.shown.get(before) {
            Some(&same) if same <= shown + SAME => Some(((number, group.passed + before), same)),
            // None of the source's: it follows the last one before it.
            _ if group.passed + before > 0 => Some(((number, group.passed + before - 1), shown)),
            _ => None,
        }
    }

    /// Whether the group may get pictures of parts that were not told yet.
    pub(super) fn is_open_ended(&self, group: u64) -> bool {
        self.group(group)
            .is_some_and(|group| group.reordered && !group.closed)
    }

    /// Whether no part of the group follows.
    pub(super) fn is_closed(&self, group: u64) -> bool {
        self.group(group).is_none_or(|group| group.closed)
    }

    /// How many of the source's pictures of this group are known.
    pub(super) fn known(&self, group: u64) -> usize {
        self.group(group)
            .map_or(0, |group| group.passed + group.shown.len())
    }

    /// The part with the places up to `end` is done; `last` of its group.
    pub(super) fn done(&mut self, group: u64, end: usize, last: bool) {
        while self.first < group && !self.groups.is_empty() {
            self.groups.pop_front();
            self.first += 1;
        }
        if self.first != group {
            return;
        }
        if last && self.groups.len() > 1 {
            self.groups.pop_front();
            self.first += 1;
        } else if let Some(group) = self.groups.front_mut() {
            while group.passed < end && group.shown.pop_front().is_some() {
                group.passed += 1;
            }
        }
    }

    fn group(&self, number: u64) -> Option<&Group> {
        let at = number.checked_sub(self.first)?;
        self.groups.get(usize::try_from(at).ok()?)
    }
}
