//! A rung's packager: the source's parts with other frames in them.
//!
//! The source's packager has decided where parts and segments begin and end, and when pictures are decoded. Its decisions
//! come as its parts; a rung's frames come from an encoder, on the same timeline. For each part of the source one part
//! leaves, in the same order: of the same start and duration, its pictures decoded when the source's are; or word
//! that it is lost. After a loss nothing is handed out before a segment that begins with a key frame.

mod order;
mod sound;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use self::order::{Order, Rank};
use self::sound::{KEPT_BACK, Sounds, until};
use super::fragment::{self, Pending, PendingRun};
use super::init::DEFAULT_VIDEO_DURATION;
use super::silence::silence;
use super::unpack::frames_of;
use crate::av::{AudioConfig, Frame, Part, Sample, Ticks, Timescale, TrackKind, TrackSet};

/// Parts that wait for their frames; the oldest is lost when there are more. 50 s at 200 ms.
const MOST_PARTS: usize = 256;
/// Bytes of the source that wait with them.
const MOST_BYTES: usize = 24 << 20;
/// Pictures that wait for their part; more are dropped.
const MOST_PICTURES: usize = 1_024;
/// The same, bytes.
const MOST_PICTURE_BYTES: usize = 32 << 20;
/// How far pictures, or the source, may be ahead before a part leaves without the sound that it should have: a second.
const SOUND_PATIENCE: i64 = 90_000;

/// Where a track of a rung comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The source's own frames, as they are.
    Source,
    /// An encoder: [`MirrorPackager::frame`].
    Encoder,
}

/// What became of a part of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mirrored {
    /// The rung's.
    Part(Part),
    /// There is none.
    Lost,
}

/// What had to be done to a rung's frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MirrorCounters {
    /// Frames whose part had left, or that came twice.
    pub late: u64,
    /// Frames too many for the memory that a rung may take.
    pub ahead: u64,
    /// Sound that began before the last one had ended.
    pub overlap: u64,
    /// Frames of parts that were lost.
    pub unused: u64,
    /// Parts that were lost.
    pub lost: u64,
    /// Silent frames, of parts that would have been empty.
    pub silence: u64,
}

/// A part of the source that has no counterpart yet.
#[derive(Debug)]
struct Mark {
    start: i64,
    duration: i64,
    /// The first of its segment.
    begins: bool,
    /// The last of its segment, as far as it is known.
    ends: bool,
    /// Decoding times of its pictures, and where the last one ends.
    places: Vec<i64>,
    places_end: i64,
    /// Group and number of the first place.
    rank: Option<Rank>,
    /// The source's own frames that the rung takes over.
    pictures: Vec<Pending>,
    sounds: Vec<Pending>,
    sounds_base: i64,
    bytes: usize,
    /// Sound that begins before is the part's, 90 kHz; and whether the source has such.
    sound_until: i64,
    has_sound: bool,
    /// Nothing that it lacks will come.
    settled: bool,
    /// Nor what it needs.
    lost: bool,
}

impl Mark {
    fn end(&self) -> i64 {
        self.start + self.duration
    }
}

/// See the module. Sans-IO: values in, values out; what it holds is bounded whatever comes.
#[derive(Debug)]
pub struct MirrorPackager {
    picture: Option<Origin>,
    sound: Option<Origin>,
    source_rate: Timescale,
    /// Of the rung; nothing is handed out before it is known.
    tracks: Option<TrackSet>,
    marks: VecDeque<Mark>,
    marks_bytes: usize,
    /// The end of the newest part of the source.
    newest_mark: i64,
    sound_until: i64,
    order: Order,
    /// In the order in which they are shown.
    frames: VecDeque<Frame>,
    frames_bytes: usize,
    /// When the newest picture that came is shown.
    newest: Option<i64>,
    sounds: Sounds,
    /// Between a loss and the next segment that begins with a key frame.
    waiting: bool,
    /// Nothing comes from the encoder: only the segment that it could return with is kept.
    absent: bool,
    sequence: u32,
    counters: MirrorCounters,
}

impl MirrorPackager {
    /// A rung of which nothing has been handed out, or `parts` in the file that goes on.
    #[must_use]
    pub fn new(picture: Option<Origin>, sound: Option<Origin>, parts: u32) -> Self {
        Self {
            picture,
            sound,
            source_rate: Timescale::VIDEO,
            tracks: None,
            marks: VecDeque::new(),
            marks_bytes: 0,
            newest_mark: 0,
            sound_until: 0,
            order: Order::default(),
            frames: VecDeque::new(),
            frames_bytes: 0,
            newest: None,
            sounds: Sounds::default(),
            waiting: true,
            absent: false,
            sequence: parts,
            counters: MirrorCounters::default(),
        }
    }

    /// What the parts of the source are made of that come from now on.
    pub fn set_source(&mut self, tracks: &TrackSet) {
        let audio = tracks.audio.as_ref();
        self.source_rate = audio.map_or(Timescale::VIDEO, AudioConfig::timescale);
    }

    /// Where tracks come from changes, between two of the source's runs: nothing may be pending.
    pub fn set_origins(&mut self, picture: Option<Origin>, sound: Option<Origin>) {
        (self.picture, self.sound) = (picture, sound);
    }

    /// What was handed out last could not be kept: what follows is lost up to a segment that begins with a key frame.
    pub fn break_off(&mut self) {
        self.waiting = true;
    }

    /// What the rung's parts are made of that are handed out from now on.
    pub fn set_tracks(&mut self, tracks: TrackSet) {
        if let Some(audio) = &tracks.audio {
            self.sounds.set_config(audio);
        }
        self.tracks = Some(tracks);
    }

    /// What had to be done so far.
    #[must_use]
    pub fn counters(&self) -> MirrorCounters {
        self.counters
    }

    /// Parts of the source that have no counterpart yet.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.marks.len()
    }

    /// Whether nothing can be handed out before a segment begins with a key frame.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.waiting
    }

    /// The source's next part; `begins`: the first of its segment.
    pub fn part(&mut self, part: &Part, begins: bool) {
        let frames = frames_of(part);
        let video = part.runs.iter().find(|run| run.track == TrackKind::Video);
        let audio = part.runs.iter().find(|run| run.track == TrackKind::Audio);
        let pictures = frames
            .iter()
            .filter(|frame| frame.track == TrackKind::Video);
        let times: Vec<(i64, i64)> = pictures.map(|frame| (frame.dts.0, frame.pts.0)).collect();
        let key = video.is_some_and(|run| run.samples.first().is_some_and(|first| first.key));
        let rank = match self.picture {
            Some(Origin::Encoder) => self.order.part(&times, begins && key),
            _ => None,
        };
        let places: Vec<i64> = times.iter().map(|&(decoded, _)| decoded).collect();
        let places_end = video.map_or(0, |run| {
            let lasting = run.samples.iter().map(|sample| i64::from(sample.duration));
            run.base_decode_time.0 + lasting.sum::<i64>()
        });
        let own = |kind: TrackKind, origin: Option<Origin>| -> Vec<Pending> {
            let run = part.runs.iter().find(|run| run.track == kind);
            let wanted = run.filter(|_| origin == Some(Origin::Source));
            let samples = wanted.into_iter().flat_map(|run| &run.samples);
            let data = frames.iter().filter(|frame| frame.track == kind);
            let pending = samples.zip(data).map(|(sample, frame)| Pending {
                sample: *sample,
                data: frame.data.clone(),
            });
            pending.collect()
        };
        let (pictures, sounds) = (
            own(TrackKind::Video, self.picture),
            own(TrackKind::Audio, self.sound),
        );
        let held = !pictures.is_empty() || !sounds.is_empty();
        let end = part.start.0 + part.duration.0;
        self.sound_until = until(audio, self.source_rate, self.sound_until);
        let mark = Mark {
            start: part.start.0,
            duration: part.duration.0,
            begins,
            ends: false,
            places,
            places_end,
            rank,
            pictures,
            sounds,
            sounds_base: audio.map_or(0, |run| run.base_decode_time.0),
            bytes: if held { part.bytes.len() } else { 0 },
            sound_until: self.sound_until,
            has_sound: audio.is_some(),
            settled: false,
            lost: false,
        };
        self.newest_mark = end;
        self.marks_bytes += mark.bytes;
        self.marks.push_back(mark);
    }

    /// The segment of the source's last part is complete.
    pub fn segment_end(&mut self) {
        if let Some(last) = self.marks.back_mut() {
            last.ends = true;
        }
    }

    /// The source's session is over: what follows begins with a key frame.
    pub fn session_end(&mut self) {
        self.order.close();
    }

    /// A frame from the encoder, pictures in the order in which they are shown.
    pub fn frame(&mut self, frame: Frame) {
        self.absent = false;
        match frame.track {
            TrackKind::Video if self.picture == Some(Origin::Encoder) => self.picture(frame),
            TrackKind::Audio if self.sound == Some(Origin::Encoder) => {
                self.sounds.push(frame, &mut self.counters);
            }
            // The rung has that from its source.
            _ => {}
        }
    }

    fn picture(&mut self, frame: Frame) {
        if self.newest.is_some_and(|newest| frame.pts.0 <= newest) {
            self.counters.late += 1;
            return;
        }
        self.newest = Some(frame.pts.0);
        let bytes = self.frames_bytes + frame.data.len();
        if self.frames.len() >= MOST_PICTURES || bytes > MOST_PICTURE_BYTES {
            self.counters.ahead += 1;
            return;
        }
        self.frames_bytes = bytes;
        self.frames.push_back(frame);
    }

    /// Nothing more will come of the parts told so far: they are made of what there is.
    pub fn settle(&mut self) {
        self.marks.iter_mut().for_each(|mark| mark.settled = true);
        self.order.close();
    }

    /// The encoder is gone: what it made and was not handed out is forgotten, the parts told so far are lost. The next frame
    /// is its successor's.
    pub fn lose(&mut self) {
        self.waiting = true;
        self.absent = true;
        self.counters.unused += self.frames.len() as u64;
        self.frames.clear();
        self.frames_bytes = 0;
        self.newest = None;
        self.sounds.clear(&mut self.counters);
        self.marks.iter_mut().for_each(|mark| mark.lost = true);
    }

    /// What became of the next part of the source, if that is known.
    pub fn next_part(&mut self) -> Option<Mirrored> {
        let mark = self.marks.front()?;
        let lost = mark.lost
            || self.marks.len() > MOST_PARTS
            || self.marks_bytes > MOST_BYTES
            || mark.settled && (self.absent || self.tracks.is_none())
            || self.absent && self.marks.iter().skip(1).any(|later| later.begins);
        if !lost {
            let is_here = !self.absent && self.tracks.is_some();
            let is_whole = || self.has_pictures(mark) && self.has_sound(mark);
            if !is_here || !(mark.settled || is_whole()) {
                return None;
            }
        }
        let mut mark = self.marks.pop_front()?;
        self.marks_bytes -= mark.bytes;
        let part = if lost { None } else { self.fill(&mut mark) };
        self.forget(&mark);
        self.waiting = part.is_none();
        Some(match part {
            Some(part) => Mirrored::Part(part),
            None => {
                self.counters.lost += 1;
                self.sounds.skip(mark.sound_until, &mut self.counters);
                Mirrored::Lost
            }
        })
    }

    fn is_last_of_group(&self, mark_is_at: usize, group: u64) -> bool {
        let next = self.marks.get(mark_is_at);
        let next = next.and_then(|next| next.rank).map(|(group, _)| group);
        self.order.is_closed(group) && next != Some(group)
    }

    /// Whether every picture of the source that belongs to the first mark has come out.
    fn has_pictures(&self, mark: &Mark) -> bool {
        let (Some(Origin::Encoder), Some((group, from))) = (self.picture, mark.rank) else {
            return true;
        };
        let newest = self.newest.and_then(|newest| self.order.rank(newest));
        let come = match newest {
            Some(((newest, _), _)) if newest > group => return true,
            Some(((newest, rank), _)) if newest == group => rank + 1,
            _ => 0,
        };
        if self.is_last_of_group(1, group) {
            return come >= self.order.known(group);
        }
        // Whatever follows may begin with a key frame, and bring pictures that are shown before it.
        if mark.ends && self.marks.len() == 1 && self.order.is_open_ended(group) {
            return false;
        }
        come >= from + mark.places.len()
    }

    /// Whether the sound that belongs to the first mark has come, or is not worth waiting for.
    fn has_sound(&self, mark: &Mark) -> bool {
        if self.sound != Some(Origin::Encoder) {
            return true;
        }
        if self.picture.is_none() && self.sounds.is_empty() {
            return false;
        }
        // What the encoder keeps back goes into the next part.
        if !mark.has_sound || self.sounds.reaches(mark.sound_until - KEPT_BACK) {
            return true;
        }
        let ahead = match self.picture {
            None => return false,
            Some(Origin::Encoder) => self.newest.unwrap_or(i64::MIN),
            // The child has to begin, and to encode.
            Some(Origin::Source) => self.newest_mark.saturating_sub(2 * SOUND_PATIENCE),
        };
        ahead >= mark.end() + SOUND_PATIENCE
    }

    /// The rung's part, if there is what it needs.
    fn fill(&mut self, mark: &mut Mark) -> Option<Part> {
        let expected = mark
            .rank
            .is_some_and(|(group, from)| !mark.places.is_empty() && self.order.known(group) > from);
        let pictures = match self.picture {
            Some(Origin::Encoder) => self.take_pictures(mark),
            _ => std::mem::take(&mut mark.pictures),
        };
        let begins_with_key = match self.picture {
            None => mark.begins,
            Some(_) => mark.begins && pictures.first().is_some_and(|first| first.sample.key),
        };
        let missing = expected && pictures.is_empty();
        if missing || self.waiting && !begins_with_key {
            self.counters.unused += pictures.len() as u64;
            return None;
        }
        let audio = self
            .tracks
            .as_ref()
            .and_then(|tracks| tracks.audio.as_ref());
        let default_duration = audio.map_or(0, |audio| audio.frame_samples);
        let (mut base, mut sounds) = match self.sound {
            Some(Origin::Encoder) => {
                // Each part of sound alone needs some, or it is empty.
                let later = match self.picture {
                    None if mark.settled => self.marks.len(),
                    _ => 0,
                };
                let at_least_one = self.picture.is_none();
                self.sounds.take(mark.sound_until, at_least_one, later)
            }
            _ => (mark.sounds_base, std::mem::take(&mut mark.sounds)),
        };
        if pictures.is_empty()
            && sounds.is_empty()
            && !self.waiting
            && self.sound == Some(Origin::Encoder)
            && let Some(silence) = audio.and_then(silence)
        {
            // A session's last sound may lie in a part of its own, and the encoder may have kept it back.
            self.counters.silence += 1;
            (base, sounds) = self.sounds.silent(mark.sound_until, silence);
        }
        let independent = match self.picture {
            None => true,
            Some(_) => pictures.iter().any(|picture| picture.sample.key),
        };
        let mut runs = Vec::with_capacity(2);
        if !pictures.is_empty() {
            runs.push(PendingRun {
                track: TrackKind::Video,
                base: mark.places.first().copied().unwrap_or(mark.start),
                default_duration: DEFAULT_VIDEO_DURATION,
                samples: pictures,
            });
        }
        if !sounds.is_empty() {
            runs.push(PendingRun {
                track: TrackKind::Audio,
                base,
                default_duration,
                samples: sounds,
            });
        }
        if runs.is_empty() {
            return None;
        }
        self.sequence += 1;
        let (bytes, runs) = fragment::write(self.sequence, runs);
        Some(Part {
            bytes,
            start: Ticks(mark.start),
            duration: Ticks(mark.duration),
            independent,
            runs,
        })
    }

    /// The pictures that belong to the mark, each in its place.
    fn take_pictures(&mut self, mark: &Mark) -> Vec<Pending> {
        let Some((group, from)) = mark.rank else {
            return Vec::new();
        };
        let end = from + mark.places.len();
        let last = self.is_last_of_group(0, group);
        let mut taken: Vec<(usize, Frame, i64)> = Vec::new();
        while let Some(frame) = self.frames.front() {
            let place = self.order.rank(frame.pts.0);
            match place {
                Some(((other, rank), _))
                    if other > group || other == group && rank >= end && !last =>
                {
                    break;
                }
                _ => {}
            }
            let Some(frame) = self.frames.pop_front() else {
                break;
            };
            self.frames_bytes -= frame.data.len();
            match place {
                Some(((other, rank), shown)) if other == group && rank >= from => {
                    taken.push((rank - from, frame, shown));
                }
                _ => self.counters.late += 1,
            }
        }
        self.lay(mark, taken)
    }

    /// Gives pictures the decoding times of their places. Those that have none, behind the last one, share its time.
    fn lay(&mut self, mark: &Mark, taken: Vec<(usize, Frame, i64)>) -> Vec<Pending> {
        let (begin, end) = match mark.places.first() {
            Some(&first) => (first, mark.places_end),
            None => (mark.start, mark.end()),
        };
        let more = taken
            .iter()
            .filter(|(place, ..)| *place >= mark.places.len());
        let share = i64::try_from(more.count()).unwrap_or(0) + 1;
        let last = mark.places.last().copied().unwrap_or(begin);
        let mut laid: Vec<(i64, Frame, i64)> = Vec::with_capacity(taken.len());
        let mut behind = 0;
        for (place, frame, shown) in taken {
            let decoded = mark.places.get(place).copied().unwrap_or_else(|| {
                behind += 1;
                last + (end - last) * behind / share
            });
            let decoded = match laid.last() {
                None => begin,
                Some((before, ..)) => decoded.max(before + 1),
            };
            if decoded >= end {
                self.counters.late += 1;
                continue;
            }
            laid.push((decoded, frame, shown.max(decoded)));
        }
        let ends: Vec<i64> = laid.iter().skip(1).map(|(next, ..)| *next).collect();
        let ends = ends.into_iter().chain([end]);
        let samples = laid.into_iter().zip(ends);
        samples
            .map(|((decoded, frame, shown), end)| Pending {
                sample: Sample {
                    size: super::boxes::count(frame.data.len()),
                    duration: ticks_u32(end - decoded),
                    composition_offset: ticks_u32(shown - decoded),
                    key: frame.key,
                },
                data: frame.data,
            })
            .collect()
    }

    /// The mark has left: what belonged to it and was not taken is late.
    fn forget(&mut self, mark: &Mark) {
        let Some((group, from)) = mark.rank else {
            return;
        };
        let end = from + mark.places.len();
        let last = self.is_last_of_group(0, group);
        self.order.done(group, end, last);
    }
}

/// Durations and offsets are bounded by those of a part.
fn ticks_u32(ticks: i64) -> u32 {
    u32::try_from(ticks.max(0)).unwrap_or(u32::MAX)
}
