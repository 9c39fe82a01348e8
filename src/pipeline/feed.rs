//! What a live gives to its child, until the child has taken it.
//!
//! The live puts frames in and never waits; whoever listens to the child writes them to its socket. The child says how
//! many frames it has read, so that what lies in the socket counts as waiting.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::net::unix::WriteHalf;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::live_ladder::Behind;
use super::live_plan::{AUDIO_IN, VIDEO_IN};
use super::wire::{self, Ending, Message};
use crate::av::{Frame, Timescale, TrackKind};

/// The most media that a child may have before it, 90 kHz: three seconds. Then `push` refuses, and the live decides.
const MAX_WAITING: i64 = 3 * 90_000;
/// The same in bytes of frames that have not been written to the socket.
const MAX_BYTES: usize = 24 << 20;
/// What one frame can add to the media that waits: a jump of the timeline is no media.
const MAX_STEP: i64 = 90_000;

/// Shared by the live's end and the one that talks to the child.
#[derive(Debug)]
pub(super) struct Feed {
    // std mutex: never held across an await; moves of small things and one write that does not block.
    state: Mutex<State>,
    /// There is something new to write.
    wake: Notify,
}

#[derive(Debug)]
struct State {
    audio_scale: Timescale,
    clock: Clock,
    /// Not written yet; bounded by [`MAX_WAITING`] and [`MAX_BYTES`].
    frames: VecDeque<Frame>,
    bytes: usize,
    /// The media before each frame that the child has not read, written ones first.
    unread: VecDeque<i64>,
    /// How many the child has read.
    read: u64,
    /// The latest order for each encoder, until it is written; these go before frames.
    orders: Vec<Option<bool>>,
    /// The rest of the message under way: its front, and a frame's data.
    writing: (Bytes, Bytes),
    ended: Ended,
    /// When the child last said something, or was first given something to say something about.
    since: Instant,
    frames_in: u64,
    bytes_in: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    No,
    ToSay,
    Said,
}

/// Media that has gone in, by the track that is further.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    last: [Option<i64>; 2],
    media: [i64; 2],
}

impl Clock {
    fn pass(&mut self, track: TrackKind, dts: i64) {
        let at = usize::from(track == TrackKind::Audio);
        let step = self.last[at].map_or(0, |last| dts.saturating_sub(last));
        self.media[at] += step.clamp(0, MAX_STEP);
        self.last[at] = Some(dts);
    }

    fn now(&self) -> i64 {
        self.media[0].max(self.media[1])
    }
}

impl Feed {
    /// For a child with so many encoders of pictures, of a source whose sound has that timescale.
    pub(super) fn new(pictures: usize, audio_scale: Timescale) -> Self {
        let state = State {
            audio_scale,
            clock: Clock::default(),
            frames: VecDeque::new(),
            bytes: 0,
            unread: VecDeque::new(),
            read: 0,
            orders: vec![None; pictures],
            writing: (Bytes::new(), Bytes::new()),
            ended: Ended::No,
            since: Instant::now(),
            frames_in: 0,
            bytes_in: 0,
        };
        Self {
            state: Mutex::new(state),
            wake: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes all of it or nothing.
    pub(super) fn push(&self, frames: Vec<Frame>) -> Result<(), Behind> {
        let mut state = self.state();
        state.push(frames)?;
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    pub(super) fn order(&self, picture: usize, active: bool) {
        if let Some(order) = self.state().orders.get_mut(picture) {
            *order = Some(active);
        }
        self.wake.notify_one();
    }

    pub(super) fn end(&self) {
        let mut state = self.state();
        if state.ended == Ended::No {
            state.ended = Ended::ToSay;
            state.since = Instant::now();
        }
        drop(state);
        self.wake.notify_one();
    }

    pub(super) fn waiting(&self) -> Duration {
        let ticks = u64::try_from(self.state().waiting()).unwrap_or(0);
        Duration::from_nanos(ticks.saturating_mul(1_000_000_000) / 90_000)
    }

    /// Frames and bytes that have been taken.
    pub(super) fn taken(&self) -> (u64, u64) {
        let state = self.state();
        (state.frames_in, state.bytes_in)
    }

    /// The child has said something.
    pub(super) fn heard(&self) {
        self.state().since = Instant::now();
    }

    /// The child has read so many frames since its beginning. False: more than it was given.
    pub(super) fn was_read(&self, count: u64) -> bool {
        let mut state = self.state();
        let written = state.unread.len() - state.frames.len();
        let more = count.checked_sub(state.read);
        let more = more.and_then(|more| usize::try_from(more).ok());
        let Some(more) = more.filter(|more| *more <= written) else {
            return false;
        };
        state.unread.drain(..more);
        state.read = count;
        true
    }

    /// When a child that has been silent for so long hangs; `None` while there is nothing that it must speak of.
    pub(super) fn hangs_at(&self, silence: Duration) -> Option<Instant> {
        let state = self.state();
        let is_due = !state.unread.is_empty() || state.ended != Ended::No;
        is_due.then(|| state.since + silence)
    }

    /// Writes what the socket takes, or waits until there is something to write. Returns often; cancel safe.
    pub(super) async fn write(&self, socket: &WriteHalf<'_>) -> io::Result<()> {
        if !self.state().has_more() {
            self.wake.notified().await;
            return Ok(());
        }
        socket.writable().await?;
        let mut state = self.state();
        let written = {
            let (front, data) = &state.writing;
            socket.try_write_vectored(&[IoSlice::new(front), IoSlice::new(data)])
        };
        match written {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                state.wrote(count);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl State {
    fn push(&mut self, frames: Vec<Frame>) -> Result<(), Behind> {
        let bytes: usize = frames.iter().map(|frame| frame.data.len()).sum();
        let mut clock = self.clock;
        let mut media = Vec::with_capacity(frames.len());
        for frame in &frames {
            let scale = match frame.track {
                TrackKind::Video => Timescale::VIDEO,
                TrackKind::Audio => self.audio_scale,
            };
            media.push(clock.now());
            clock.pass(frame.track, frame.dts.rescale(scale, Timescale::VIDEO).0);
        }
        let waiting = self.unread.front().map_or(0, |first| clock.now() - first);
        let is_idle = self.unread.is_empty();
        if !is_idle && (waiting > MAX_WAITING || self.bytes + bytes > MAX_BYTES) {
            return Err(Behind);
        }
        if is_idle {
            self.since = Instant::now();
        }
        self.clock = clock;
        self.bytes += bytes;
        self.frames_in += u64::try_from(frames.len()).unwrap_or(0);
        self.bytes_in += u64::try_from(bytes).unwrap_or(0);
        self.frames.extend(frames);
        self.unread.extend(media);
        Ok(())
    }

    fn waiting(&self) -> i64 {
        let first = self.unread.front();
        first.map_or(0, |first| self.clock.now() - first)
    }

    /// Puts the next message under way when the last one is out; false when there is none.
    fn has_more(&mut self) -> bool {
        if self.writing.0.has_remaining() || self.writing.1.has_remaining() {
            return true;
        }
        let mut orders = self.orders.iter_mut().enumerate();
        let order = orders.find_map(|(at, order)| Some((at, order.take()?)));
        if let Some((at, active)) = order {
            let picture = u8::try_from(at).unwrap_or(u8::MAX);
            self.writing.0 = Message::Active { picture, active }.encode();
        } else if let Some(frame) = self.frames.pop_front() {
            self.bytes -= frame.data.len();
            let stream = match frame.track {
                TrackKind::Video => VIDEO_IN,
                TrackKind::Audio => AUDIO_IN,
            };
            self.writing = (wire::frame_front(stream, &frame), frame.data);
        } else if self.ended == Ended::ToSay {
            self.ended = Ended::Said;
            self.writing.0 = Message::End(Ending::default()).encode();
        } else {
            return false;
        }
        true
    }

    fn wrote(&mut self, count: usize) {
        let front = count.min(self.writing.0.len());
        self.writing.0.advance(front);
        self.writing.1.advance(count - front);
        if !self.writing.1.has_remaining() {
            // Gives back the part that the frame is a slice of.
            self.writing.1 = Bytes::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::av::Ticks;

    fn feed() -> Feed {
        Feed::new(2, Timescale::new(48_000).unwrap())
    }

    fn picture(at_ms: i64) -> Frame {
        Frame {
            track: TrackKind::Video,
            dts: Ticks(at_ms * 90),
            pts: Ticks(at_ms * 90),
            key: true,
            data: Bytes::from_static(b"picture"),
        }
    }

    /// The kinds of messages that are ready to be written, as a socket without bounds gets them.
    fn written(feed: &Feed) -> Vec<u8> {
        let mut state = feed.state();
        let mut kinds = Vec::new();
        while state.has_more() {
            kinds.push(state.writing.0[4]);
            let all = state.writing.0.len() + state.writing.1.len();
            // In two pieces, as a full socket takes them.
            state.wrote(all / 2);
            assert!(state.has_more());
            state.wrote(all - all / 2);
        }
        kinds
    }

    #[tokio::test]
    async fn what_the_child_does_not_read_is_bounded_and_refused_whole() {
        let feed = feed();
        for second in 0..3 {
            let frames = (0..10).map(|at| picture(second * 1_000 + at * 100));
            feed.push(frames.collect()).unwrap();
        }
        assert_eq!(feed.waiting(), Duration::from_millis(2_900));
        // Written is not read: the socket's own buffer holds seconds of a small live.
        assert_eq!(written(&feed).len(), 30);
        assert_eq!(feed.push(vec![picture(3_000), picture(3_100)]), Err(Behind));
        assert_eq!(feed.taken(), (30, 210));
        assert!(feed.was_read(20));
        assert_eq!(feed.waiting(), Duration::from_millis(1_000));
        feed.push(vec![picture(3_000), picture(3_100)]).unwrap();
        assert!(!feed.was_read(31), "more than was written");
        assert!(!feed.was_read(19), "less than before");
    }

    #[tokio::test]
    async fn a_jump_of_the_timeline_is_no_media_and_one_call_is_always_taken() {
        let feed = feed();
        feed.push(vec![picture(0), picture(3_600_000)]).unwrap();
        assert_eq!(feed.waiting(), Duration::from_secs(1));
        let sound = Frame {
            track: TrackKind::Audio,
            dts: Ticks(48_000),
            ..picture(0)
        };
        feed.push(vec![sound]).unwrap();
        assert_eq!(feed.waiting(), Duration::from_secs(1));
        let long = self::feed();
        long.push((0..100).map(|at| picture(at * 100)).collect())
            .unwrap();
        assert_eq!(long.push(vec![picture(10_000)]), Err(Behind));
    }

    #[tokio::test]
    async fn orders_overtake_frames_the_latest_counts_and_the_end_comes_last() {
        let feed = feed();
        feed.push(vec![picture(0)]).unwrap();
        feed.end();
        feed.order(1, false);
        feed.order(1, true);
        feed.order(9, true);
        assert_eq!(written(&feed), [12, 7, 11]);
        assert_eq!(written(&feed), [0; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_child_that_was_given_something_can_be_too_silent() {
        let silence = Duration::from_secs(5);
        let feed = feed();
        assert_eq!(feed.hangs_at(silence), None);
        tokio::time::advance(Duration::from_secs(60)).await;
        feed.push(vec![picture(0)]).unwrap();
        let given = Instant::now();
        assert_eq!(feed.hangs_at(silence), Some(given + silence));
        tokio::time::advance(Duration::from_secs(2)).await;
        feed.push(vec![picture(100)]).unwrap();
        assert_eq!(feed.hangs_at(silence), Some(given + silence));
        written(&feed);
        feed.heard();
        assert!(feed.was_read(2));
        assert_eq!(feed.hangs_at(silence), None, "a pause is no silence");
        feed.end();
        assert!(feed.hangs_at(silence).is_some());
    }
}
