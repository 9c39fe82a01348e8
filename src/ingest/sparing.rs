//! A socket that wakes us for pictures, not for each crumb of sound.
//!
//! An encoder sends 77 times a second (30 pictures, 47 frames of sound), and what such a wake-up costs hardly depends on how
//! much there is to read. A part needs five a second. So once media flow, the kernel wakes us only when
//! [`WORTH_WAKING`] bytes wait (`SO_RCVLOWAT`, socket(7)), which each picture brings; what is smaller is fetched
//! with the next picture, or [`NO_LONGER`] after the last read. Who knows when the next bytes are needed says so
//! ([`Rest`]): until then nothing wakes us but [`MOST_WAITING`] bytes. The end of the connection wakes us at once.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use nix::libc;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::SetUsize;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

/// More than a frame of sound (853 bytes of AAC at 320 kbit/s), less than nearly every picture.
const WORTH_WAKING: usize = 2 << 10;
/// Longer than pictures are apart at 30 a second, so that it seldom comes to that; a fifth of a part.
const NO_LONGER: Duration = Duration::from_millis(40);
/// So much is not left with the kernel, or the encoder would have to wait for room: a fifth of a second of 10 Mbit/s.
const MOST_WAITING: usize = 256 << 10;
/// Who has sent so much sends media. Before that each byte may be one that its sender waits upon.
const MEDIA_AFTER: u64 = 64 << 10;

/// Tells a [`Sparing`] until when it need not read. Clones speak to the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct Rest(Arc<Mutex<Option<Instant>>>);

impl Rest {
    /// The next read need bring nothing before `until`; holds for that read alone.
    pub(super) fn until(&self, until: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    fn take(&self) -> Option<Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A TCP connection of an encoder, read sparingly once media flow.
#[derive(Debug)]
pub(super) struct Sparing {
    socket: TcpStream,
    rest: Rest,
    /// Until media flow at most [`MEDIA_AFTER`] and a read.
    received: u64,
    wakes: Wakes,
}

/// What wakes us.
#[derive(Debug)]
enum Wakes {
    /// Any byte: media do not flow yet, or the system knows no such thing.
    Always,
    /// [`WORTH_WAKING`] bytes, or the time.
    ForPictures(Pin<Box<Sleep>>),
    /// [`MOST_WAITING`] bytes, or the time: then all that waits is read.
    Resting(Pin<Box<Sleep>>),
    /// Any byte, since nothing had come for [`NO_LONGER`]: a silent encoder is not asked again and again.
    AfterSilence(Pin<Box<Sleep>>),
}

impl Sparing {
    pub(super) fn new(socket: TcpStream) -> Self {
        Self {
            socket,
            rest: Rest::default(),
            received: 0,
            wakes: Wakes::Always,
        }
    }

    /// Where to say until when nothing need be read.
    pub(super) fn rest(&self) -> Rest {
        self.rest.clone()
    }

    /// What waits is left waiting until then.
    fn lie_down(&mut self, until: Instant) {
        self.wakes = match std::mem::replace(&mut self.wakes, Wakes::Always) {
            Wakes::ForPictures(mut sleep) if wake_for(&self.socket, MOST_WAITING) => {
                sleep.as_mut().reset(until);
                Wakes::Resting(sleep)
            }
            wakes => wakes,
        };
    }

    /// Pictures wake us again.
    fn get_up(&mut self) {
        self.wakes = match std::mem::replace(&mut self.wakes, Wakes::Always) {
            Wakes::Resting(mut sleep) => {
                if !wake_for(&self.socket, WORTH_WAKING) {
                    return;
                }
                sleep.as_mut().reset(Instant::now() + NO_LONGER);
                Wakes::ForPictures(sleep)
            }
            wakes => wakes,
        };
    }

    /// Takes note of a read.
    fn has_read(&mut self, bytes: usize) {
        match std::mem::replace(&mut self.wakes, Wakes::Always) {
            Wakes::Always if self.received <= MEDIA_AFTER => {
                self.received += bytes as u64;
                if self.received > MEDIA_AFTER && wake_for(&self.socket, WORTH_WAKING) {
                    self.wakes = Wakes::ForPictures(Box::pin(sleep(NO_LONGER)));
                }
            }
            Wakes::Always => {}
            Wakes::ForPictures(mut until) => {
                until.as_mut().reset(Instant::now() + NO_LONGER);
                self.wakes = Wakes::ForPictures(until);
            }
            Wakes::Resting(until) => self.wakes = Wakes::Resting(until),
            Wakes::AfterSilence(mut until) => {
                if wake_for(&self.socket, WORTH_WAKING) {
                    until.as_mut().reset(Instant::now() + NO_LONGER);
                    self.wakes = Wakes::ForPictures(until);
                }
            }
        }
    }

    /// Waits for the time, then fetches what is there; `Pending` when that is nothing.
    fn poll_crumbs(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (until, most) = match &mut self.wakes {
            Wakes::ForPictures(until) => (until, WORTH_WAKING),
            Wakes::Resting(until) => (until, MOST_WAITING),
            Wakes::Always | Wakes::AfterSilence(_) => return Poll::Pending,
        };
        ready!(until.as_mut().poll(cx));
        let room = buffer.initialize_unfilled_to(buffer.remaining().min(most));
        let room_bytes = room.len();
        match recv(&self.socket, room, RecvFlags::DONTWAIT) {
            Ok((bytes, _)) => {
                buffer.advance(bytes);
                self.has_read(bytes);
                if bytes < room_bytes {
                    // All that waited has been read: nothing is left that would wake us at once.
                    self.get_up();
                }
                Poll::Ready(Ok(()))
            }
            Err(Errno::AGAIN | Errno::INTR) if matches!(self.wakes, Wakes::Resting(_)) => {
                self.get_up();
                self.poll_crumbs(cx, buffer)
            }
            Err(Errno::AGAIN | Errno::INTR) => {
                // Bytes that come before this is said do wake us: the kernel looks again.
                if wake_for(&self.socket, 1)
                    && let Wakes::ForPictures(until) =
                        std::mem::replace(&mut self.wakes, Wakes::Always)
                {
                    self.wakes = Wakes::AfterSilence(until);
                }
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error.into())),
        }
    }
}

impl AsyncRead for Sparing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(until) = self.rest.take() {
            self.lie_down(until);
        }
        let before = buffer.filled().len();
        match Pin::new(&mut self.socket).poll_read(cx, buffer) {
            Poll::Ready(Ok(())) => {
                self.get_up();
                self.has_read(buffer.filled().len() - before);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.poll_crumbs(cx, buffer),
        }
    }
}

impl AsyncWrite for Sparing {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// `SO_RCVLOWAT`, which neither rustix nor socket2 know.
#[derive(Clone, Copy)]
struct ReceiveLowWater;

nix::setsockopt_impl!(
    ReceiveLowWater,
    libc::SOL_SOCKET,
    libc::SO_RCVLOWAT,
    usize,
    SetUsize
);

/// Whether the kernel wakes us from now on when so many bytes wait, and at once when they do already.
fn wake_for(socket: &TcpStream, bytes: usize) -> bool {
    setsockopt(socket, ReceiveLowWater, &bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;
    use crate::base::Tasks;

    /// Longer than anything here takes, however busy the machine.
    const IN_TIME: Duration = Duration::from_secs(20);

    /// An encoder's socket, and our end of it after `sent` bytes came and were read.
    async fn pair(sent: usize) -> (TcpStream, Sparing) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut encoder = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        encoder.set_nodelay(true).unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        let mut ours = Sparing::new(socket);
        encoder.write_all(&vec![1; sent]).await.unwrap();
        // With room left in the buffer each time, as `Connection` reads: only so is it known that nothing is left.
        let (mut read, mut bytes) = (0, vec![0; 2 * sent]);
        while read < sent {
            read += ours.read(&mut bytes).await.unwrap();
        }
        (encoder, ours)
    }

    async fn heard(ours: &mut Sparing, room: usize) -> usize {
        let mut bytes = vec![0; room];
        timeout(IN_TIME, ours.read(&mut bytes))
            .await
            .expect("it comes")
            .unwrap()
    }

    const FLOWING: usize = 65 << 10;

    #[tokio::test]
    async fn a_command_before_media_is_heard_by_itself() {
        let (mut encoder, mut ours) = pair(3_000).await;
        encoder.write_all(&[2; 9]).await.unwrap();
        assert_eq!(heard(&mut ours, 100).await, 9);
        assert!(matches!(ours.wakes, Wakes::Always));
    }

    #[tokio::test]
    async fn sound_waits_for_the_picture_behind_it_and_both_are_one_read() {
        let (mut encoder, mut ours) = pair(FLOWING).await;
        assert!(matches!(ours.wakes, Wakes::ForPictures(_)));
        // The time does not run out by itself here.
        tokio::time::pause();
        encoder.write_all(&[2; 300]).await.unwrap();
        let mut bytes = vec![0; 64 << 10];
        let reading = ours.read(&mut bytes);
        tokio::pin!(reading);
        let woken =
            std::future::poll_fn(|cx| Poll::Ready(Future::poll(reading.as_mut(), cx).is_ready()))
                .await;
        assert!(!woken, "300 bytes woke us");
        encoder.write_all(&[3; 5_000]).await.unwrap();
        tokio::time::resume();
        assert_eq!(timeout(IN_TIME, reading).await.unwrap().unwrap(), 5_300);
    }

    #[tokio::test]
    async fn sound_alone_is_read_when_the_time_is_over_again_and_again() {
        let (mut encoder, mut ours) = pair(FLOWING).await;
        for bytes in [1, 300, 853] {
            encoder.write_all(&vec![2; bytes]).await.unwrap();
            assert_eq!(heard(&mut ours, 4_096).await, bytes);
        }
    }

    #[tokio::test]
    async fn after_a_silence_the_first_byte_wakes_and_pictures_do_again_behind_it() {
        let (mut encoder, mut ours) = pair(FLOWING).await;
        let silent = timeout(3 * NO_LONGER, ours.read(&mut [0; 64])).await;
        assert!(silent.is_err());
        assert!(matches!(ours.wakes, Wakes::AfterSilence(_)));
        encoder.write_all(&[2]).await.unwrap();
        assert_eq!(heard(&mut ours, 64).await, 1);
        assert!(matches!(ours.wakes, Wakes::ForPictures(_)));
        encoder.write_all(&[3; 5_000]).await.unwrap();
        assert_eq!(heard(&mut ours, 8_192).await, 5_000);
    }

    /// Longer than what is done to a socket that rests takes, however busy the machine.
    const LONG: Duration = Duration::from_secs(3_600);

    #[tokio::test]
    async fn who_rests_is_woken_by_the_time_and_reads_all_that_has_come() {
        let (mut encoder, mut ours) = pair(FLOWING).await;
        // As much as the time is about: what comes before it does not wake.
        ours.rest()
            .until(Instant::now() + Duration::from_millis(400));
        for picture in 1..=3 {
            encoder.write_all(&[picture; 20_000]).await.unwrap();
        }
        assert_eq!(heard(&mut ours, 256 << 10).await, 60_000);
        assert!(matches!(ours.wakes, Wakes::ForPictures(_)));
        encoder.write_all(&[4; 5_000]).await.unwrap();
        assert_eq!(heard(&mut ours, 256 << 10).await, 5_000);
    }

    #[tokio::test]
    async fn a_rest_ends_when_much_has_come_or_the_encoder_has_gone() {
        let (mut encoder, mut ours) = pair(FLOWING).await;
        ours.rest().until(Instant::now() + LONG);
        let sent = Tasks::default().spawn(async move {
            encoder.write_all(&vec![2; MOST_WAITING]).await.unwrap();
            encoder
        });
        let mut all = 0;
        while all < MOST_WAITING {
            all += heard(&mut ours, 64 << 10).await;
        }
        let encoder = sent.await.unwrap();
        ours.rest().until(Instant::now() + LONG);
        drop(encoder);
        assert_eq!(heard(&mut ours, 64).await, 0);
    }

    #[tokio::test]
    async fn a_rest_over_an_empty_socket_waits_for_the_next_picture() {
        let (mut encoder, mut ours) = pair(FLOWING).await;
        ours.rest().until(Instant::now());
        let silent = timeout(NO_LONGER / 2, ours.read(&mut [0; 64])).await;
        assert!(silent.is_err());
        assert!(matches!(ours.wakes, Wakes::ForPictures(_)));
        encoder.write_all(&[2; 5_000]).await.unwrap();
        assert_eq!(heard(&mut ours, 8_192).await, 5_000);
    }

    #[tokio::test]
    async fn the_last_crumbs_and_then_the_end_are_heard() {
        let (mut encoder, mut ours) = pair(FLOWING).await;
        encoder.write_all(&[2; 40]).await.unwrap();
        drop(encoder);
        assert_eq!(heard(&mut ours, 4_096).await, 40);
        assert_eq!(heard(&mut ours, 4_096).await, 0);
    }

    #[tokio::test]
    async fn a_small_buffer_takes_what_waits_piece_by_piece() {
        let (mut encoder, mut ours) = pair(FLOWING).await;
        encoder.write_all(&[2; 1_000]).await.unwrap();
        let mut all = 0;
        while all < 1_000 {
            all += heard(&mut ours, 300).await;
        }
        assert_eq!(all, 1_000);
    }
}
