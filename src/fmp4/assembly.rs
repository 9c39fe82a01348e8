//! The open part and the open segment: samples that have their place on the run's timeline become parts.
//!
//! Everything here is on the run's timeline. Parts are contiguous by construction: each begins where the last one
//! ended (`line`). So are pictures in decoding time: a picture behind a hole is decoded where the last one ended and
//! lasts until its own end. Pictures cut the parts; sound goes into the part that is open when it has come. Where one
//! track is missing, the other goes on alone.

use bytes::Bytes;

use super::boxes::count;
use super::counters::PackagerCounters;
use super::cut::SegmentClock;
use super::fragment::{self, Pending, PendingRun};
use super::init::DEFAULT_VIDEO_DURATION;
use super::outcome::{Packed, PartTarget, ResumeState};
use super::timing::{FrameDuration, Sound, SoundLane};
use crate::av::{AudioConfig, Part, Sample, Ticks, Timescale, TrackKind};

/// How far sound may run ahead of the pictures before a part leaves without them: half a second.
const PATIENCE: i64 = 45_000;

/// A picture may be this late without anything missing: what a frame grid clears away, and a little more.
const BLUR: i64 = 180;

/// A part that holds so many bytes is closed, whatever its duration: memory stays bounded.
const MAX_BYTES: usize = 32 << 20;

/// A part that holds so many pictures is closed, whatever its duration.
const MAX_PICTURES: usize = 512;

/// How long parts are, 90 kHz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PartLength {
    /// A part that is cut without a picture to cut it: whole frames, at most `limit`.
    pub(super) natural: i64,
    /// No part is longer.
    pub(super) limit: i64,
    /// No part is shorter but independent ones and a segment's last; zero without a part target.
    pub(super) least: i64,
    /// The least that another picture would add.
    pub(super) frame: i64,
    /// Parts end by time and not with a frame.
    pub(super) timed: bool,
}

impl PartLength {
    /// Without a part target: small writes of about 0.2 s, as long as a single picture needs at most.
    pub(super) const FREE: Self = Self {
        natural: 18_000,
        limit: super::cut::MAX,
        least: 0,
        frame: 1,
        timed: false,
    };

    /// For a part target of `limit` and pictures at equal distances of `frame`.
    pub(super) fn of_frames(limit: i64, frame: FrameDuration) -> Self {
        Self {
            natural: frame.times(frame.whole(limit)).clamp(1, limit),
            limit,
            least: least(limit),
            // One tick less than the nearest: 23.976 fps is now 3753 ticks, now 3754.
            frame: (frame.times(1) - 1).max(1),
            timed: false,
        }
    }

    /// For a part target of `limit` and pictures that come as they like: each part lasts `limit`, but the last of a
    /// segment. A picture's last sample before the cut is decoded until the cut and the next one from it on, so
    /// decoding is up to a frame early, which is always allowed; presentation times stay what they are. So the rules
    /// of RFC 8216bis 4.4.4.9 hold at any frame rate, for the price that a part leaves with the frame behind it.
    pub(super) fn timed(limit: i64) -> Self {
        Self {
            natural: limit,
            limit,
            least: least(limit),
            frame: 1,
            timed: true,
        }
    }

    /// Whether parts of whole frames are as long as they must be.
    pub(super) fn is_long(&self) -> bool {
        self.natural >= self.least
    }

    /// For a part target of `limit` and parts of sound that last `natural`.
    pub(super) fn of_sound(limit: i64, natural: i64) -> Self {
        Self {
            natural: natural.clamp(1, limit),
            limit,
            least: least(limit),
            frame: 1,
            timed: false,
        }
    }
}

/// 85 % of a part target (RFC 8216bis 4.4.4.9).
fn least(limit: i64) -> i64 {
    (limit * 85 + 99) / 100
}

/// A picture in its place.
#[derive(Clone, Debug)]
pub(super) struct Picture {
    /// Decoding time it should have.
    pub(super) dts: i64,
    /// Presentation minus decoding time, not negative.
    pub(super) offset: i64,
    /// How long it lasts if nothing is known of the next.
    pub(super) duration: i64,
    /// Whether a decoder can start here.
    pub(super) key: bool,
    /// The sample's bytes.
    pub(super) data: Bytes,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Assembly {
    length: PartLength,
    audio_rate: Timescale,
    audio_default: u32,
    has_video: bool,
    sound: Option<SoundLane>,
    /// Where the open part begins.
    line: i64,
    pictures: Vec<Pending>,
    /// Decoding time of the first of `pictures`.
    pictures_base: i64,
    pictures_bytes: usize,
    /// Where the last picture ends in decoding order.
    decode_end: i64,
    /// Where the last picture ends in presentation order.
    picture_end: i64,
    /// Presentation minus decoding time of the session's first picture: sound is this far ahead of decoding times.
    lag: i64,
    segment: SegmentClock,
    sequence: u32,
    /// The last part was shorter than it may be unless its segment ends with it.
    short: bool,
    pub(super) counters: PackagerCounters,
}

impl Assembly {
    /// Nothing open; the next part begins where `state` ends.
    pub(super) fn new(
        state: &ResumeState,
        has_video: bool,
        audio: Option<&AudioConfig>,
        sound: Option<SoundLane>,
    ) -> Self {
        Self {
            length: PartLength::FREE,
            audio_rate: audio.map_or(Timescale::VIDEO, AudioConfig::timescale),
            audio_default: audio.map_or(0, |audio| audio.frame_samples),
            has_video,
            sound,
            line: state.part_end.0,
            pictures: Vec::new(),
            pictures_base: 0,
            pictures_bytes: 0,
            decode_end: state.video_decode_end.0,
            picture_end: state.video_end.0,
            lag: 0,
            segment: SegmentClock::new(state.part_end.0, state.segments),
            sequence: state.parts,
            short: false,
            counters: PackagerCounters::default(),
        }
    }

    /// Fixes how long parts are.
    pub(super) fn set_length(&mut self, length: PartLength) {
        self.length = length;
    }

    /// How long parts are.
    pub(super) fn length(&self) -> PartLength {
        self.length
    }

    /// A session's first picture will be presented `lag` after its decoding time. Returns where that presentation
    /// belongs: behind everything there is; in a run's first part so late that the sound that covers it has room.
    pub(super) fn start_pictures(&mut self, lag: i64) -> i64 {
        self.lag = lag;
        if self.sequence == 0 {
            let room = self.sound.is_some().then(|| {
                let frame = Ticks(i64::from(self.audio_default));
                // One tick more than the nearest, as sound is rounded to its own ticks.
                frame.rescale(self.audio_rate, Timescale::VIDEO).0 + 1 - lag
            });
            self.line += room.unwrap_or(0).max(0);
            self.decode_end = self.line;
            self.picture_end = self.line + lag;
            self.segment.begin(self.line);
        }
        let presented = self
            .picture_end
            .max(self.sound_end())
            .max(self.decode_end.max(self.line) + lag);
        let floor = self.to_audio(presented);
        if let Some(sound) = &mut self.sound {
            sound.start(floor);
        }
        presented
    }

    /// Without pictures: where the session's first sound belongs, in its sample rate.
    pub(super) fn start_sound(&mut self) -> i64 {
        self.lag = 0;
        let line = self.to_audio(self.line);
        let Some(sound) = &mut self.sound else {
            return line;
        };
        let start = sound.end().unwrap_or(line).max(line);
        sound.start(start);
        start
    }

    /// Forgets what is open: the session was not ended.
    pub(super) fn discard(&mut self) {
        if !self.pictures.is_empty() {
            self.pictures.clear();
            self.pictures_bytes = 0;
            self.decode_end = self.pictures_base;
            self.picture_end = self.picture_end.max(self.decode_end);
        }
    }

    /// Where the open part begins.
    pub(super) fn line(&self) -> i64 {
        self.line
    }

    /// Whether a key frame that came now would begin a segment.
    pub(super) fn wants_key(&self) -> bool {
        self.segment.may_end(self.decode_end.max(self.line))
    }

    /// The first picture's lag has grown by `more` in the middle of a session.
    pub(super) fn add_lag(&mut self, more: i64) {
        self.lag += more;
    }

    /// The sound's part of the timeline.
    pub(super) fn sound(&mut self) -> Option<&mut SoundLane> {
        self.sound.as_mut()
    }

    /// Where both tracks and the parts end, 90 kHz.
    pub(super) fn end(&self) -> i64 {
        self.line.max(self.picture_end).max(self.sound_end())
    }

    /// Where everything ends, for [`ResumeState`].
    pub(super) fn state(&self, part_target: PartTarget) -> ResumeState {
        let audio_end = self.sound.as_ref().and_then(SoundLane::end);
        ResumeState {
            part_target,
            parts: self.sequence,
            segments: self.segment.before(),
            part_end: Ticks(self.line),
            video_decode_end: Ticks(self.decode_end),
            video_end: Ticks(self.picture_end),
            audio_end: audio_end.map(Ticks),
        }
    }

    fn to_audio(&self, ticks: i64) -> i64 {
        Ticks(ticks).rescale(Timescale::VIDEO, self.audio_rate).0
    }

    fn sound_end(&self) -> i64 {
        let end = self.sound.as_ref().and_then(SoundLane::end);
        end.map_or(0, |end| {
            Ticks(end).rescale(self.audio_rate, Timescale::VIDEO).0
        })
    }

    /// One picture. Returns by how much the timeline was shortened because no track had anything: what comes later
    /// belongs that much earlier.
    pub(super) fn picture(&mut self, mut picture: Picture, out: &mut Vec<Packed>) -> i64 {
        let mut closed = 0;
        let blur = if self.length.timed { 0 } else { BLUR };
        if picture.dts > self.decode_end + blur {
            closed = self.cross_hole(picture.dts, out);
            picture.dts -= closed;
        }
        if picture.dts < self.decode_end - BLUR {
            self.counters.dts_moved += 1;
        }
        let boundary = self.decode_end.max(self.line);
        let planned_end = picture.dts.max(boundary) + picture.duration;
        if picture.key && self.segment.may_end(boundary) {
            self.end_segment(out);
        } else if self.segment.must_end_before(planned_end) && self.has_content() {
            self.counters.forced_cuts += 1;
            self.end_segment(out);
        }
        let end = picture.dts.saturating_add(picture.duration);
        let full = end - self.line > self.length.limit
            || self.pictures_bytes + picture.data.len() > MAX_BYTES
            || self.pictures.len() >= MAX_PICTURES;
        if full && !self.pictures.is_empty() {
            self.close_part(self.open_end(), out);
        }
        self.append(picture);
        if self.decode_end + self.length.frame - self.line > self.length.limit
            || self.length.least == 0 && self.decode_end - self.line >= self.length.natural
        {
            self.close_part(self.open_end(), out);
        }
        closed
    }

    fn append(&mut self, picture: Picture) {
        let dts = self.decode_end;
        // What lasts longer than a part can goes on in the next one, whose picture then comes behind a hole.
        let end = (picture.dts + picture.duration)
            .min(self.line.max(dts) + self.length.limit)
            .max(dts + 1);
        let intended = picture.dts + picture.offset;
        // Between two cuts by time the hole is only the way to the next picture.
        let is_next = self.length.timed && picture.dts - dts <= 2 * self.length.limit;
        let presented = if picture.offset <= self.lag && !is_next {
            // The next in presentation order: behind a hole it is shown as soon as the last one ends, so that
            // the player finds no hole.
            (dts + picture.offset).max(self.picture_end).min(intended)
        } else {
            intended
        };
        let presented = presented.max(dts);
        if self.pictures.is_empty() {
            self.pictures_base = dts;
        }
        let from = if is_next { picture.dts.max(dts) } else { dts };
        self.picture_end = self.picture_end.max(presented + end - from);
        self.pictures_bytes += picture.data.len();
        self.decode_end = end;
        self.pictures.push(Pending {
            sample: Sample {
                size: count(picture.data.len()),
                duration: ticks_u32(end - dts),
                composition_offset: ticks_u32(presented - dts),
                key: picture.key,
            },
            data: picture.data,
        });
    }

    /// Pictures come as they like, and the session's last one lasts until `end`, as far as its part may go.
    pub(super) fn last_until(&mut self, end: i64) {
        let most = (self.line + self.length.limit).min(self.segment.latest_end());
        self.stretch(end.min(most));
    }

    /// Lets the last picture of the open part go on until `end`.
    fn stretch(&mut self, end: i64) {
        if let Some(last) = self.pictures.last_mut()
            && end > self.decode_end
        {
            let more = end - self.decode_end;
            last.sample.duration = ticks_u32(i64::from(last.sample.duration) + more);
            self.decode_end = end;
            self.picture_end += more;
        }
    }

    /// The next picture belongs at `dts`, behind a hole: parts go on through it with sound alone. Where there is no
    /// sound either, the hole is closed; returns by how much.
    fn cross_hole(&mut self, mut dts: i64, out: &mut Vec<Packed>) -> i64 {
        let mut closed = 0;
        loop {
            let natural = self.line + self.length.natural;
            let full = self.length.timed && self.segment.must_end_before(dts.min(natural));
            if full && !self.pictures.is_empty() {
                self.counters.forced_cuts += 1;
                self.stretch(self.segment.latest_end());
                self.end_segment(out);
                continue;
            }
            if dts < natural {
                self.stretch(dts);
                return closed;
            }
            self.stretch(natural);
            if self.pictures.is_empty() && !self.sound_reaches(natural) {
                let hole = self.close_hole(dts);
                closed += hole;
                dts -= hole;
                if hole == 0 {
                    return closed;
                }
            } else {
                self.close_carried(natural, out);
            }
        }
    }

    /// Nothing is there from the open part's beginning to `dts`, or to the sound that has come: what has come
    /// moves to the beginning. Returns by how much.
    fn close_hole(&mut self, dts: i64) -> i64 {
        let mut hole = dts - self.line.max(self.decode_end);
        if let Some(sound) = &self.sound
            && let (Some(front), Some(room)) = (sound.queue().front(), sound.room())
        {
            let to_video =
                |samples: i64| Ticks(samples).rescale(self.audio_rate, Timescale::VIDEO).0;
            hole = hole
                .min(to_video(front.start) - self.lag - self.line)
                .min(to_video(room) - 1);
        }
        let hole = hole.max(0);
        let by = self.to_audio(hole);
        if let Some(sound) = &mut self.sound {
            sound.shift(by);
        }
        self.counters.holes_closed += u64::from(hole > 0);
        hole
    }

    /// Whether there is sound, or silence in its place, for a part without pictures that ends at `end`.
    fn sound_reaches(&mut self, end: i64) -> bool {
        let until = self.to_audio(end + self.lag);
        let Some(sound) = &mut self.sound else {
            return false;
        };
        if !sound.reaches(until) {
            self.counters.silence_inserted += sound.fill_until(until);
        }
        sound.reaches(until)
    }

    /// Sound has come: without pictures it makes the parts, with them only once they are missing. Returns by how
    /// much the timeline was shortened, as [`Self::picture`] does.
    pub(super) fn sound_came(&mut self, out: &mut Vec<Packed>) -> i64 {
        if !self.has_video {
            self.close_sound_parts(out);
            return 0;
        }
        let mut closed = 0;
        while self.sound_end() - self.lag >= self.line + self.length.natural + PATIENCE {
            let natural = self.line + self.length.natural;
            if self
                .sound
                .as_ref()
                .is_none_or(|sound| sound.queue().is_empty())
            {
                break;
            }
            if self.pictures.is_empty() && !self.sound_reaches(natural) {
                let hole = self.close_hole(i64::MAX);
                closed += hole;
                if hole == 0 {
                    break;
                }
            } else {
                if self.length.timed {
                    self.stretch(natural.min(self.segment.latest_end()));
                }
                self.close_carried(natural, out);
            }
        }
        closed
    }

    /// Closes a part that no picture cuts.
    fn close_carried(&mut self, end: i64, out: &mut Vec<Packed>) {
        if self.segment.must_end_before(end) && !self.segment.is_empty() {
            self.counters.forced_cuts += 1;
            self.next_segment(out);
        }
        self.close_part(end, out);
    }

    fn close_sound_parts(&mut self, out: &mut Vec<Packed>) {
        let limit = self.length.natural;
        let limit = self.to_audio(limit);
        while let Some(sound) = &self.sound
            && let Some(frames) = sound.full(limit)
        {
            let end = match sound.queue().get(frames) {
                Some(next) => next.start,
                None => sound.end_or_floor(),
            };
            let end = Ticks(end).rescale(self.audio_rate, Timescale::VIDEO).0;
            // Both ends are rounded: together they may be a tick too far apart.
            let end = end.min(self.line + self.length.limit);
            if self.segment.must_end_before(end) && !self.segment.is_empty() {
                self.next_segment(out);
            }
            self.close_part(end, out);
            if self.segment.may_end(self.line) {
                self.next_segment(out);
            }
        }
    }

    fn has_content(&self) -> bool {
        !self.pictures.is_empty() || !self.segment.is_empty()
    }

    /// Where the open part ends if it is closed now: behind its pictures.
    fn open_end(&self) -> i64 {
        if self.decode_end > self.line {
            self.decode_end
        } else {
            // Pictures that come behind the sound that went on without them.
            self.line + self.length.frame.min(self.length.limit)
        }
    }

    fn end_segment(&mut self, out: &mut Vec<Packed>) {
        if !self.pictures.is_empty() {
            self.close_part(self.open_end(), out);
        }
        self.next_segment(out);
    }

    fn next_segment(&mut self, out: &mut Vec<Packed>) {
        if !self.segment.is_empty() {
            out.push(Packed::SegmentEnd);
            self.segment.next(self.line);
            self.short = false;
        }
    }

    /// Closes the open part at `end`: its pictures, and the sound that has come and belongs to it.
    fn close_part(&mut self, end: i64, out: &mut Vec<Packed>) {
        self.close_part_with_sound(end, end + self.lag, out);
    }

    /// The same with the sound that begins before `until`.
    fn close_part_with_sound(&mut self, end: i64, until: i64, out: &mut Vec<Packed>) {
        let until = self.to_audio(until);
        let mut sounds = Vec::new();
        if let Some(sound) = &mut self.sound {
            if self.has_video && sound.is_missing(until) {
                // Sound comes beside the decoding times, `lag` behind what it belongs to: it may come back now.
                let decoded = Ticks(end).rescale(Timescale::VIDEO, self.audio_rate).0;
                self.counters.silence_inserted += sound.fill_until(decoded);
            }
            sounds = sound.take(until, self.pictures.is_empty());
        }
        self.write_part(end, sounds, out);
    }

    fn write_part(&mut self, end: i64, sounds: Vec<Sound>, out: &mut Vec<Packed>) {
        let pictures = std::mem::take(&mut self.pictures);
        self.pictures_bytes = 0;
        let independent = if self.has_video {
            pictures.iter().any(|pending| pending.sample.key)
        } else {
            true
        };
        let mut runs = Vec::with_capacity(2);
        if !pictures.is_empty() {
            runs.push(PendingRun {
                track: TrackKind::Video,
                base: self.pictures_base,
                default_duration: DEFAULT_VIDEO_DURATION,
                samples: pictures,
            });
        }
        if let Some(first) = sounds.first() {
            runs.push(PendingRun {
                track: TrackKind::Audio,
                base: first.start,
                default_duration: self.audio_default,
                samples: sound_samples(sounds),
            });
        }
        if runs.is_empty() {
            return;
        }
        self.sequence += 1;
        let (bytes, runs) = fragment::write(self.sequence, runs);
        let duration = end - self.line;
        self.counters.short_parts += u64::from(self.short);
        self.short = duration < self.length.least && !independent;
        out.push(Packed::Part(Part {
            bytes,
            start: Ticks(self.line),
            duration: Ticks(duration),
            independent,
            runs,
        }));
        self.segment.part();
        self.line = end;
    }

    /// The session is over: everything leaves, the segment ends.
    pub(super) fn end_session(&mut self, out: &mut Vec<Packed>) {
        if self.has_video {
            self.stretch_to_sound();
        }
        if !self.pictures.is_empty() {
            // hls.js (1.7.4) takes a place behind the playlist's end, where a player waits that has played all, for one that has
            // left the playlist, and seeks back from it: so the session's last part lasts as long as both tracks do, if it can.
            let shown = match self.sound.as_ref().and_then(SoundLane::end) {
                Some(_) => self.picture_end.min(self.sound_end()),
                None => self.picture_end,
            };
            let full = self.line + self.length.natural;
            let end = if shown - self.line <= self.length.limit {
                shown
            } else {
                full
            };
            let end = match self.segment.must_end_before(end) {
                true => self.open_end(),
                false => self.open_end().max(end),
            };
            // What sounds behind it gets a part of its own.
            self.close_part_with_sound(end, end, out);
        }
        let one_part = self.to_audio(self.length.natural);
        loop {
            let natural = self.line + self.length.natural;
            let sound_end = self.sound_end();
            let Some(sound) = &mut self.sound else { break };
            let Some(front) = sound.queue().front() else {
                break;
            };
            if self.has_video && sound_end > natural {
                // By time, as beside pictures: whole frames might make a part that others follow too short.
                self.close_carried(natural, out);
                continue;
            }
            let until = if self.has_video {
                sound.end_or_floor()
            } else {
                front.start + one_part
            };
            let sounds = sound.take_ending_by(until);
            let Some(last) = sounds.last() else { break };
            let sound_end = Ticks(last.start + last.samples)
                .rescale(self.audio_rate, Timescale::VIDEO)
                .0;
            // Sound that belongs beside pictures already handed out still takes a frame's time of the playlist.
            let frame = Ticks(last.samples)
                .rescale(self.audio_rate, Timescale::VIDEO)
                .0;
            let end = sound_end
                .min(self.line + self.length.limit)
                .max(self.line + frame.clamp(1, self.length.limit));
            if self.segment.must_end_before(end) {
                self.next_segment(out);
            }
            self.write_part(end, sounds, out);
        }
        self.next_segment(out);
    }

    /// The last picture stays until the sound ends, as far as its part may go.
    fn stretch_to_sound(&mut self) {
        let more = self.sound_end() - self.picture_end;
        let room = self.line + self.length.limit - self.decode_end;
        let more = more.min(room);
        if more > 0 && !self.segment.must_end_before(self.decode_end + more) {
            self.stretch(self.decode_end + more);
        }
    }
}

/// Each lasts until the next begins, so that a hole within a part is its predecessor's.
fn sound_samples(sounds: Vec<Sound>) -> Vec<Pending> {
    let starts: Vec<i64> = sounds.iter().skip(1).map(|sound| sound.start).collect();
    let ends = starts.into_iter().map(Some).chain([None]);
    sounds
        .into_iter()
        .zip(ends)
        .map(|(sound, end)| Pending {
            sample: Sample {
                size: count(sound.data.len()),
                duration: ticks_u32(end.map_or(sound.samples, |end| end - sound.start)),
                composition_offset: 0,
                key: true,
            },
            data: sound.data,
        })
        .collect()
}

/// A duration or an offset for a file. Both are bounded to minutes by the packager.
fn ticks_u32(ticks: i64) -> u32 {
    u32::try_from(ticks.max(0)).unwrap_or(u32::MAX)
}
