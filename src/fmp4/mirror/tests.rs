//! A rung beside its source: the same parts, whatever encoder and child do.

use proptest::prelude::*;

use super::*;
use crate::fmp4::Packed;
use crate::fmp4::testing::{Encoder, aac, both, h264, packager, session, walk};

/// What a child does: hands pictures out in the order in which they are shown, sound in frames of its own grid.
#[derive(Clone, Debug)]
struct Child {
    /// So many of the newest pictures, and of the newest sound, are kept back.
    pictures_late: usize,
    sounds_late: usize,
    /// The sound's frames begin so many samples after the source's.
    grid: i64,
    /// Every n-th picture is left out, but for key frames; 0: none.
    drops: usize,
    waiting: Vec<Frame>,
    last: Option<i64>,
    sound_from: Option<i64>,
    sound_until: i64,
    sounds: VecDeque<Frame>,
    count: usize,
}

impl Child {
    fn new(pictures_late: usize, sounds_late: usize, grid: i64, drops: usize) -> Self {
        Self {
            pictures_late,
            sounds_late,
            grid,
            drops,
            waiting: Vec::new(),
            last: None,
            sound_from: None,
            sound_until: 0,
            sounds: VecDeque::new(),
            count: 0,
        }
    }

    fn feed(&mut self, part: &Part) -> Vec<Frame> {
        for frame in frames_of(part) {
            match frame.track {
                TrackKind::Video => self.waiting.push(frame),
                TrackKind::Audio => {
                    self.sound_from.get_or_insert(frame.dts.0 + self.grid);
                    self.sound_until = frame.dts.0 + 1_024;
                }
            }
        }
        self.waiting.sort_by_key(|frame| frame.pts);
        while let Some(at) = self.sound_from.filter(|at| at + 1_024 <= self.sound_until) {
            self.sounds.push_back(sound(at));
            self.sound_from = Some(at + 1_024);
        }
        // A decoder knows what is shown next once it has as many as the stream reorders.
        self.out(self.pictures_late + 3, self.sounds_late)
    }

    fn out(&mut self, keep: usize, keep_sounds: usize) -> Vec<Frame> {
        let many = self.waiting.len().saturating_sub(keep);
        let mut out = Vec::new();
        for frame in self.waiting.drain(..many) {
            self.count += 1;
            assert!(self.last < Some(frame.pts.0), "the child's order");
            self.last = Some(frame.pts.0);
            if self.drops == 0 || !self.count.is_multiple_of(self.drops) || frame.key {
                out.push(Frame {
                    dts: frame.pts,
                    data: vec![7; 20].into(),
                    ..frame
                });
            }
        }
        let many = self.sounds.len().saturating_sub(keep_sounds);
        out.extend(self.sounds.drain(..many));
        out
    }

    fn drain(&mut self) -> Vec<Frame> {
        self.out(0, 0)
    }
}

fn sound(at: i64) -> Frame {
    Frame {
        track: TrackKind::Audio,
        dts: Ticks(at),
        pts: Ticks(at),
        key: true,
        data: vec![9; 30].into(),
    }
}

/// A rung's packager that knows its tracks.
fn rung(picture: Option<Origin>, sound: Option<Origin>) -> MirrorPackager {
    let mut rung = MirrorPackager::new(picture, sound, 0);
    rung.set_source(&both());
    rung.set_tracks(TrackSet {
        video: picture.map(|_| h264()),
        audio: sound.map(|_| aac()),
    });
    rung
}

fn ready(rung: &mut MirrorPackager) -> Vec<Mirrored> {
    std::iter::from_fn(|| rung.next_part()).collect()
}

/// The source's parts, each with whether it begins its segment and whether it ends it.
fn marks(packed: &[Packed]) -> Vec<(Part, bool, bool)> {
    let mut marks: Vec<(Part, bool, bool)> = Vec::new();
    let mut begins = true;
    for packed in packed {
        match packed {
            Packed::Part(part) => {
                marks.push((part.clone(), begins, false));
                begins = false;
            }
            Packed::SegmentEnd => {
                marks.last_mut().expect("a part before its end").2 = true;
                begins = true;
            }
        }
    }
    marks
}

/// Mirrors a session; answers what came, one for each part, and every frame of the child.
fn mirrored(
    rung: &mut MirrorPackager,
    child: &mut Child,
    packed: &[Packed],
) -> (Vec<Mirrored>, Vec<Frame>) {
    let (mut out, mut sent) = (Vec::new(), Vec::new());
    for (part, begins, ends) in marks(packed) {
        rung.part(&part, begins);
        if ends {
            rung.segment_end();
        }
        for frame in child.feed(&part) {
            sent.push(frame.clone());
            rung.frame(frame);
            out.extend(ready(rung));
        }
    }
    rung.session_end();
    for frame in child.drain() {
        sent.push(frame.clone());
        rung.frame(frame);
        out.extend(ready(rung));
    }
    rung.settle();
    out.extend(ready(rung));
    (out, sent)
}

fn parts_of(mirrored: &[Mirrored]) -> Vec<Part> {
    let parts = mirrored.iter().filter_map(|one| match one {
        Mirrored::Part(part) => Some(part.clone()),
        Mirrored::Lost => None,
    });
    parts.collect()
}

fn frames(parts: &[Part], kind: TrackKind) -> Vec<Frame> {
    let all = parts.iter().flat_map(frames_of);
    all.filter(|frame| frame.track == kind).collect()
}

/// Sound of the child, without silence in its place.
fn sounds(parts: &[Part]) -> Vec<Frame> {
    let all = frames(parts, TrackKind::Audio).into_iter();
    all.filter(|frame| frame.data.len() == 30).collect()
}

/// Nothing was lost or out of order.
fn assert_smooth(counters: MirrorCounters) {
    let smooth = MirrorCounters {
        overlap: counters.overlap,
        silence: counters.silence,
        ..MirrorCounters::default()
    };
    assert_eq!(counters, smooth);
    // Those that the last parts were made without.
    assert!(
        counters.silence <= 3 && counters.overlap <= 3,
        "{counters:?}"
    );
}

/// What holds for every rung, part by part.
fn assert_mirrors(source: &[Part], rung: &[Part]) {
    assert_eq!(rung.len(), source.len());
    let mut sound_end = 0;
    for (mirror, part) in rung.iter().zip(source) {
        assert_eq!((mirror.start, mirror.duration), (part.start, part.duration));
        for (track, samples) in walk(&mirror.bytes, 1_024) {
            for pair in samples.windows(2) {
                assert!(pair[0].0 < pair[1].0, "decoding times grow");
            }
            if track == 2 {
                assert!(samples[0].0 >= sound_end, "sound overlaps");
                sound_end = samples.last().map_or(0, |last| last.0 + 1_024);
            }
        }
        let pictures = |part: &Part| {
            let run = part.runs.iter().find(|run| run.track == TrackKind::Video)?;
            let lasting: i64 = run
                .samples
                .iter()
                .map(|sample| i64::from(sample.duration))
                .sum();
            Some((run.base_decode_time.0, run.base_decode_time.0 + lasting))
        };
        if let (Some(mirror), Some(part)) = (pictures(mirror), pictures(part)) {
            assert_eq!(mirror, part, "the pictures' decoding line");
        }
    }
}

#[test]
fn a_part_without_reordering_leaves_with_its_last_picture() {
    let encoder = Encoder {
        audio: false,
        ..Encoder::default()
    };
    let packed = session(&mut packager(encoder.tracks(), None), encoder.seconds(3.0));
    let mut rung = rung(Some(Origin::Encoder), None);
    for (part, begins, ends) in marks(&packed) {
        rung.part(&part, begins);
        if ends {
            rung.segment_end();
        }
        let pictures = frames_of(&part);
        let (last, others) = pictures.split_last().expect("pictures");
        for frame in others {
            rung.frame(frame.clone());
            assert_eq!(rung.next_part(), None);
        }
        rung.frame(last.clone());
        let Some(Mirrored::Part(mirror)) = rung.next_part() else {
            panic!("the part is complete");
        };
        assert_eq!(mirror.independent, part.independent);
        assert_eq!(frames_of(&mirror), pictures);
    }
    assert_eq!(rung.counters(), MirrorCounters::default());
}

#[test]
fn after_a_loss_it_goes_on_with_a_segment_that_begins_with_a_key_frame() {
    let encoder = Encoder {
        gop: 30,
        ..Encoder::default()
    };
    let packed = session(&mut packager(encoder.tracks(), None), encoder.seconds(14.0));
    let mut rung = rung(Some(Origin::Encoder), Some(Origin::Source));
    let mut came = Vec::new();
    for (at, (part, begins, ends)) in marks(&packed).into_iter().enumerate() {
        rung.part(&part, begins);
        if ends {
            rung.segment_end();
        }
        if at == 7 {
            rung.lose();
        }
        // The child is dead for a while; its successor begins with a key frame in mid-segment.
        if !(7..26).contains(&at) {
            for frame in frames_of(&part) {
                rung.frame(frame);
            }
        }
        for out in ready(&mut rung) {
            came.push((begins, matches!(out, Mirrored::Part(_))));
        }
    }
    rung.settle();
    came.extend(
        ready(&mut rung)
            .iter()
            .map(|out| (false, matches!(out, Mirrored::Part(_)))),
    );
    let all = marks(&packed);
    assert_eq!(came.len(), all.len());
    let gone: Vec<usize> = (0..all.len()).filter(|at| !came[*at].1).collect();
    let (first, last) = (gone[0], gone[gone.len() - 1]);
    assert_eq!(first, 7);
    assert_eq!(gone, (first..=last).collect::<Vec<_>>(), "one hole");
    assert!(all[last + 1].1, "it returns where a segment begins");
    assert!(last + 1 >= 26);
    assert_eq!(usize::try_from(rung.counters().lost), Ok(gone.len()));
}

#[test]
fn what_a_child_sends_is_held_within_a_bound() {
    let encoder = Encoder {
        audio: false,
        gop: 10,
        ..Encoder::default()
    };
    let packed = session(&mut packager(encoder.tracks(), None), encoder.seconds(2.0));
    let mut rung = rung(Some(Origin::Encoder), Some(Origin::Encoder));
    for (part, begins, _) in marks(&packed) {
        rung.part(&part, begins);
    }
    for n in 0..5_000 {
        let at = Ticks(10_000_000 + n * 3_000);
        rung.frame(Frame {
            track: TrackKind::Video,
            dts: at,
            pts: at,
            key: false,
            data: vec![0; 10].into(),
        });
        rung.frame(sound(n * 1_024));
        rung.frame(sound(n * 1_024 + 1));
    }
    assert!(rung.frames.len() <= MOST_PICTURES);
    assert!(rung.counters().ahead > 0 && rung.counters().overlap > 0);
    assert!(
        ready(&mut rung).iter().all(|out| *out == Mirrored::Lost),
        "none of them belongs to a part"
    );
}

#[test]
fn a_child_that_says_nothing_loses_the_oldest_parts() {
    let encoder = Encoder {
        audio: false,
        ..Encoder::default()
    };
    let packed = session(&mut packager(encoder.tracks(), None), encoder.seconds(90.0));
    let mut rung = rung(Some(Origin::Encoder), None);
    let mut lost = 0;
    for (part, begins, _) in marks(&packed) {
        rung.part(&part, begins);
        lost += ready(&mut rung).len();
        assert!(rung.pending() <= MOST_PARTS);
    }
    assert_eq!(lost, marks(&packed).len() - MOST_PARTS);
}

fn encoders() -> impl Strategy<Value = Encoder> {
    let rates = prop::sample::select(vec![
        (3_750i64, 1i64),
        (3_600, 1),
        (3_003, 1),
        (3_000, 1),
        (1_800, 1),
        (3_003, 2),
        (1_500, 1),
    ]);
    (rates, 0.5..12.0f64, any::<bool>()).prop_map(|(rate, gop, reordered)| {
        #[expect(clippy::cast_possible_truncation, reason = "seconds")]
        let gop = (gop * 90_000.0) as i64 * rate.1 / rate.0;
        let encoder = Encoder {
            rate,
            gop,
            ..Encoder::default()
        };
        if reordered {
            encoder.with_b_frames()
        } else {
            encoder
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_rung_has_the_parts_of_its_source_and_every_picture_in_one_of_them(
        encoder in encoders(), seconds in 1.0..30.0f64, late in 0..20usize, sounds_late in 0..12usize,
        grid in 0..1_024i64, own_sound: bool,
    ) {
        let packed = session(&mut packager(encoder.tracks(), None), encoder.seconds(seconds));
        let source: Vec<Part> = marks(&packed).into_iter().map(|mark| mark.0).collect();
        let sound = if own_sound { Origin::Source } else { Origin::Encoder };
        let mut rung = rung(Some(Origin::Encoder), Some(sound));
        let (out, sent) = mirrored(&mut rung, &mut Child::new(late, sounds_late, grid, 0), &packed);
        let parts = parts_of(&out);
        prop_assert_eq!(out.len(), parts.len(), "{:?}", rung.counters());
        assert_mirrors(&source, &parts);
        let pictures = frames(&parts, TrackKind::Video);
        let sent_pictures: Vec<&Frame> = sent.iter().filter(|frame| frame.track == TrackKind::Video).collect();
        prop_assert_eq!(pictures.len(), sent_pictures.len());
        for (picture, sent) in pictures.iter().zip(sent_pictures) {
            prop_assert_eq!((picture.pts, picture.key), (sent.pts, sent.key));
            prop_assert!(picture.dts <= picture.pts);
        }
        if own_sound {
            prop_assert_eq!(frames(&parts, TrackKind::Audio), frames(&source, TrackKind::Audio));
        } else {
            let sounds = sounds(&parts);
            let sent: Vec<Frame> = sent.into_iter().filter(|frame| frame.track == TrackKind::Audio).collect();
            prop_assert!(sent.len() - sounds.len() <= 3);
            prop_assert_eq!(&sounds[..], &sent[..sounds.len()]);
        }
        // A segment of the source that begins with a key frame is one of the rung that does.
        for (part, mirror) in source.iter().zip(&parts) {
            prop_assert_eq!(part.independent, mirror.independent);
            prop_assert_eq!(part.runs[0].samples[0].key, mirror.runs[0].samples[0].key);
        }
        assert_smooth(rung.counters());
    }

    #[test]
    fn sound_alone_and_sound_of_another_codec_have_the_parts_of_their_source(
        encoder in encoders(), seconds in 1.0..30.0f64, sounds_late in 0..12usize, grid in 0..1_024i64, with_picture: bool,
    ) {
        let packed = session(&mut packager(encoder.tracks(), None), encoder.seconds(seconds));
        let source: Vec<Part> = marks(&packed).into_iter().map(|mark| mark.0).collect();
        let mut rung = rung(with_picture.then_some(Origin::Source), Some(Origin::Encoder));
        let (out, sent) = mirrored(&mut rung, &mut Child::new(0, sounds_late, grid, 0), &packed);
        let parts = parts_of(&out);
        prop_assert_eq!(out.len(), parts.len(), "{:?}", rung.counters());
        assert_mirrors(&source, &parts);
        let sent: Vec<Frame> = sent.into_iter().filter(|frame| frame.track == TrackKind::Audio).collect();
        let came = sounds(&parts);
        // What the encoder has kept back when the last part left: less than 80 ms.
        prop_assert!(sent.len() - came.len() <= 3);
        prop_assert_eq!(&came[..], &sent[..came.len()]);
        if with_picture {
            prop_assert_eq!(frames(&parts, TrackKind::Video), frames(&source, TrackKind::Video));
        } else {
            prop_assert!(parts.iter().all(|part| part.independent && part.runs.len() == 1));
        }
    }

    #[test]
    fn pictures_that_a_child_leaves_out_cost_no_part(
        encoder in encoders(), seconds in 1.0..20.0f64, drops in 2..9usize,
    ) {
        let packed = session(&mut packager(encoder.tracks(), None), encoder.seconds(seconds));
        let source: Vec<Part> = marks(&packed).into_iter().map(|mark| mark.0).collect();
        let mut rung = rung(Some(Origin::Encoder), Some(Origin::Source));
        let (out, sent) = mirrored(&mut rung, &mut Child::new(0, 0, 0, drops), &packed);
        let parts = parts_of(&out);
        let sent: Vec<Frame> = sent.into_iter().filter(|frame| frame.track == TrackKind::Video).collect();
        // A part all of whose pictures were left out is lost, and what follows up to the next key frame.
        let lost = out.len() - parts.len();
        prop_assert_eq!(frames(&parts, TrackKind::Video).len() as u64 + rung.counters().unused, sent.len() as u64);
        if lost == 0 {
            assert_mirrors(&source, &parts);
        }
    }

    #[test]
    fn at_no_stable_rate_and_through_sessions_with_and_without_reordering_pictures_keep_their_times(
        steps in prop::collection::vec(1..=190i64, 40..200), gop in 5..60usize, sessions in 1..4usize, late in 0..5usize,
    ) {
        let mut source = packager(both(), None);
        let mut rung = rung(Some(Origin::Encoder), Some(Origin::Source));
        let mut child = Child::new(late, 0, 0, 0);
        for number in 0..sessions {
            let frames = match number % 2 {
                0 => crate::fmp4::phones::camera(&steps, gop, true),
                _ => Encoder::default().with_b_frames().seconds(4.0),
            };
            let packed = session(&mut source, frames);
            let parts: Vec<Part> = marks(&packed).into_iter().map(|mark| mark.0).collect();
            let (out, sent) = mirrored(&mut rung, &mut child, &packed);
            let mirror = parts_of(&out);
            prop_assert_eq!(out.len(), mirror.len(), "{:?}", rung.counters());
            assert_mirrors(&parts, &mirror);
            let pictures = self::frames(&mirror, TrackKind::Video);
            let sent: Vec<&Frame> = sent.iter().filter(|frame| frame.track == TrackKind::Video).collect();
            prop_assert_eq!(pictures.len(), sent.len());
            for (picture, sent) in pictures.iter().zip(sent) {
                prop_assert_eq!((picture.pts, picture.key), (sent.pts, sent.key));
            }
        }
        prop_assert_eq!(rung.counters(), MirrorCounters::default());
    }
}
