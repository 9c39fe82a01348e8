//! Two producers of parts: a model that cuts as design §4a says, written without a look at the packager, and the
//! packager itself on synthetic frames.

use griot::av::Ticks;
use griot::base::Timestamp;
use griot::hls::PartMeta;
use proptest::prelude::*;

/// One thing that a window is told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// A publish session begins: its first picture was taken at this moment.
    Session(Timestamp),
    /// Another file, since the codec configuration changed.
    Run(u32),
    /// A part.
    Part(PartMeta),
    /// The open segment ends.
    SegmentEnd,
    /// The publish session is over: the segment that ends next is its last.
    SessionEnd,
    /// The open segment ends and its media is lost.
    Lost,
    /// A whole segment is missing.
    Gap(Ticks),
}

/// What is played to the window.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    /// PART-TARGET, if there is a stable grid.
    pub(crate) part_target: Option<Ticks>,
    /// A later session has another grid.
    pub(crate) grid_changed: bool,
    /// In order.
    pub(crate) steps: Vec<Step>,
}

/// How pictures come: constant ticks from one to the next, or any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rate {
    /// 90 kHz ticks of one picture (or of one sound frame, where there is only sound).
    Every(i64),
    /// Anything between 10 and 200 ms, by a small generator begun with this seed.
    Variable(u64),
}

impl Rate {
    /// Whether parts are cut in the same way.
    pub(crate) fn is_like(self, other: Self) -> bool {
        let variable = |rate| matches!(rate, Self::Variable(_));
        self == other || variable(self) && variable(other)
    }
}

/// A publish session as an encoder makes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Session {
    pub(crate) rate: Rate,
    /// From key frame to key frame, milliseconds.
    pub(crate) gop_ms: i64,
    pub(crate) length_ms: i64,
    /// Silence before it.
    pub(crate) silence_ms: i64,
    /// The clock is this much off, milliseconds.
    pub(crate) clock_ms: i64,
    /// Another codec configuration than the one before.
    pub(crate) changed: bool,
    /// Pictures out of order (for the packager).
    pub(crate) b_frames: bool,
    /// Sound beside the pictures (for the packager).
    pub(crate) audio: bool,
    /// At its end the open segment is lost, or a whole one is missing.
    pub(crate) trouble: u8,
}

const RATES: [i64; 6] = [3_750, 3_600, 3_003, 3_000, 1_800, 1_500];

pub(crate) fn rates() -> impl Strategy<Value = Rate> {
    prop_oneof![
        6 => prop::sample::select(RATES.to_vec()).prop_map(Rate::Every),
        // Sound alone: 1024 samples of 48 kHz.
        1 => Just(Rate::Every(1_920)),
        1 => any::<u64>().prop_map(Rate::Variable),
    ]
}

pub(crate) fn sessions(longest_ms: i64) -> impl Strategy<Value = Vec<Session>> {
    let session = (
        rates(),
        500..12_000_i64,
        300..longest_ms,
        prop_oneof![0..3_000_i64, 0..100_000_i64],
        prop_oneof![Just(0), -3_600_000..10_000_i64],
        (any::<bool>(), any::<bool>(), any::<bool>()),
        0..6_u8,
    );
    let session = session.prop_map(
        |(rate, gop_ms, length_ms, silence_ms, clock_ms, (changed, b_frames, audio), trouble)| {
            Session {
                rate,
                gop_ms,
                length_ms,
                silence_ms,
                clock_ms,
                changed,
                b_frames,
                audio,
                trouble,
            }
        },
    );
    prop::collection::vec(session, 1..4)
}

fn ms(milliseconds: i64) -> Ticks {
    Ticks(milliseconds * 90)
}

/// The most whole frames in `longest`, and the target: their time, rounded up to a millisecond.
fn grid(frame: i64, longest: Ticks) -> (i64, Ticks) {
    let frames = (longest.0 / frame).max(1);
    (frames, ms((frames * frame + 89) / 90))
}

/// Cuts `sessions` into parts no longer than `part_max_ms`.
pub(crate) fn model(sessions: &[Session], part_max_ms: i64) -> Story {
    let first = sessions[0].rate;
    let part_target = match first {
        Rate::Every(frame) => Some(grid(frame, ms(part_max_ms)).1),
        Rate::Variable(_) => Some(ms(part_max_ms)),
    };
    let mut story = Story {
        part_target,
        grid_changed: sessions.iter().any(|session| !session.rate.is_like(first)),
        steps: Vec::new(),
    };
    let mut wall = Timestamp(1_753_284_459_885_280);
    let mut cutter = Cutter::default();
    for (index, session) in sessions.iter().enumerate() {
        wall = Timestamp(wall.0 + (session.silence_ms + session.clock_ms) * 1_000);
        if index == 0 || session.changed {
            cutter.run += u32::from(index > 0);
            story.steps.push(Step::Run(cutter.run));
        }
        // An encoder may also change its configuration in the middle of a session.
        if index == 0 || !session.changed || session.trouble != 2 {
            story.steps.push(Step::Session(wall));
        }
        cutter.session(session, ms(part_max_ms), part_target, &mut story.steps);
        wall = Timestamp(wall.0 + session.length_ms * 1_000);
    }
    story
}

/// The state of the model between frames.
#[derive(Default)]
struct Cutter {
    run: u32,
    segments: u32,
    segment: i64,
    part: i64,
    key_in_part: bool,
}

impl Cutter {
    fn session(
        &mut self,
        session: &Session,
        longest: Ticks,
        target: Option<Ticks>,
        steps: &mut Vec<Step>,
    ) {
        let mut seed = match session.rate {
            Rate::Variable(seed) => seed,
            Rate::Every(_) => 0,
        };
        let mut frame_ticks = || match session.rate {
            Rate::Every(frame) => frame,
            Rate::Variable(_) => {
                // Numerical Recipes' generator: any will do.
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                900 + i64::try_from(seed >> 33).expect("31 bits") % 17_100
            }
        };
        let part_longest = target.map_or(longest, |target| target.min(longest));
        let sound_only = session.rate == Rate::Every(1_920);
        let by_time = matches!(session.rate, Rate::Variable(_));
        let (mut at, mut next_key) = (0, 0);
        while at < session.length_ms * 90 {
            // A picture that lasts longer than the target cannot be told of as one part: it is cut short.
            let frame = frame_ticks().min(part_longest.0);
            let key = sound_only || at >= next_key;
            if key {
                next_key = at + session.gop_ms * 90;
            }
            let first_few = self.segments < 3;
            let wanted = if first_few { 900 } else { 3_200 } * 90;
            let full = self.segment + self.part + frame > 6_400 * 90;
            if (key && self.segment + self.part >= wanted) || full {
                self.end_part(steps);
                self.end_segment(steps);
            } else if self.part > 0 && self.part + frame > part_longest.0 && !by_time {
                self.end_part(steps);
            }
            self.key_in_part |= key;
            // Without a grid a part ends by time, within a picture.
            let behind = (self.part + frame - part_longest.0).max(0);
            self.part += frame - behind;
            if by_time && self.part == part_longest.0 {
                self.end_part(steps);
                self.part = behind;
            }
            at += frame;
        }
        steps.push(Step::SessionEnd);
        self.end_part(steps);
        match session.trouble {
            0 => {
                steps.push(Step::Lost);
                self.segment = 0;
            }
            1 => {
                self.end_segment(steps);
                steps.push(Step::Gap(ms(4_000)));
            }
            _ => self.end_segment(steps),
        }
    }

    fn end_part(&mut self, steps: &mut Vec<Step>) {
        if self.part > 0 {
            steps.push(Step::Part(PartMeta {
                duration: Ticks(self.part),
                independent: self.key_in_part,
                bytes: 1_000,
            }));
            self.segment += self.part;
            (self.part, self.key_in_part) = (0, false);
        }
    }

    fn end_segment(&mut self, steps: &mut Vec<Step>) {
        steps.push(Step::SegmentEnd);
        self.segments += 1;
        self.segment = 0;
    }
}
