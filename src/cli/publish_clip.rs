//! Publishes a clip in real time, over and over, as an encoder would: one connection, timestamps that go on.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use crate::base::{Secret, random_array};
use crate::rtmp::{ClientEvent, ClientSession};

/// Made by `fixtures/media/demo.sh`, which says what it shows.
const DEMO_FLV: &[u8] = include_bytes!("../../fixtures/media/demo.flv");
/// 240 pictures at 30 a second, 375 AAC frames at 48 kHz: both tracks close here.
const DEMO_LOOP_MS: u64 = 8_000;

const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// From the first byte to the server's decision, and for the last words.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);
const GOODBYE_DEADLINE: Duration = Duration::from_secs(2);

/// Whether a tag holds pictures or sound (Flash Video File Format 10.1, E.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TagKind {
    Audio,
    Video,
}

/// One tag of an FLV file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tag {
    kind: TagKind,
    /// Decoding time from the clip's beginning.
    timestamp_ms: u64,
    body: &'static [u8],
}

impl Tag {
    /// Decoder configurations are sent once, not with each turn (E.4.2.1, E.4.3.1).
    fn is_configuration(&self) -> bool {
        let codec = match (self.kind, self.body.first()) {
            (TagKind::Video, Some(first)) => (first & 0x0f) == 7,
            (TagKind::Audio, Some(first)) => (first >> 4) == 10,
            (_, None) => false,
        };
        codec && self.body.get(1) == Some(&0)
    }
}

/// A clip whose end joins its beginning.
#[derive(Clone, Debug)]
pub(super) struct Clip {
    configurations: Vec<Tag>,
    /// In decoding order; never empty.
    media: Vec<Tag>,
    loop_ms: u64,
}

impl Clip {
    pub(super) fn embedded() -> anyhow::Result<Self> {
        let (configurations, media): (Vec<Tag>, Vec<Tag>) = tags(DEMO_FLV)
            .context("the embedded clip is broken")?
            .into_iter()
            .partition(Tag::is_configuration);
        ensure!(!media.is_empty(), "the embedded clip is empty");
        Ok(Self {
            configurations,
            media,
            loop_ms: DEMO_LOOP_MS,
        })
    }

    /// All tags of all turns with timestamps that go on.
    fn turns(&self) -> impl Iterator<Item = (u64, Tag)> {
        (0_u64..).flat_map(move |turn| {
            self.media
                .iter()
                .map(move |tag| (turn * self.loop_ms + tag.timestamp_ms, *tag))
        })
    }
}

/// Where to publish.
#[derive(Clone, Debug)]
pub(super) struct Target {
    host: String,
    port: u16,
    app: String,
    key: Secret,
}

impl Target {
    /// `url` as OBS is told it: `rtmp://host[:port]/app`.
    pub(super) fn parse(url: &str, key: Secret) -> anyhow::Result<Self> {
        let wrong = || format!("{url} is no server address like rtmp://127.0.0.1:1935/live");
        let (authority, app) = url
            .strip_prefix("rtmp://")
            .and_then(|rest| rest.trim_end_matches('/').split_once('/'))
            .with_context(wrong)?;
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().ok().with_context(wrong)?)
            }
            _ => (authority, 1935),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        ensure!(!host.is_empty() && !app.is_empty(), wrong());
        Ok(Self {
            host: host.to_owned(),
            port,
            app: app.to_owned(),
            key,
        })
    }

    /// The server without the key.
    pub(super) fn url(&self) -> String {
        let Self {
            host, port, app, ..
        } = self;
        if host.contains(':') {
            return format!("rtmp://[{host}]:{port}/{app}");
        }
        format!("rtmp://{host}:{port}/{app}")
    }
}

/// What was published.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    pub(super) pictures: u64,
    pub(super) duration_s: f64,
}

/// Publishes until `stop` is done, then says goodbye.
pub(super) async fn publish(
    clip: &Clip,
    target: &Target,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<Outcome> {
    let mut connection = Connection::open(target).await?;
    timeout(ANSWER_DEADLINE, connection.accepted())
        .await
        .context("the server did not decide about the publish")??;
    connection.send_beginning(clip).await?;

    let started = Instant::now();
    let mut pictures = 0;
    let mut turns = clip.turns();
    let mut next = turns.next();
    tokio::pin!(stop);
    while let Some((timestamp_ms, tag)) = next {
        let due = started + Duration::from_millis(timestamp_ms);
        tokio::select! {
            biased;
            () = &mut stop => break,
            // Only the read may be cancelled: a write that is cut in the middle would garble the stream.
            read = connection.socket.read_buf(&mut connection.input) => {
                connection.heard(read?).await?;
                connection.still_wanted()?;
            }
            () = sleep_until(due) => {
                connection.send(tag, timestamp_ms).await?;
                pictures += u64::from(tag.kind == TagKind::Video);
                next = turns.next();
            }
        }
    }
    let duration_s = started.elapsed().as_secs_f64();
    connection.goodbye().await?;
    Ok(Outcome {
        pictures,
        duration_s,
    })
}

struct Connection {
    socket: TcpStream,
    session: ClientSession,
    /// What the session has not used yet: at most one message of the server, which are small.
    input: BytesMut,
}

impl Connection {
    async fn open(target: &Target) -> anyhow::Result<Self> {
        let url = target.url();
        let socket = timeout(
            CONNECT_DEADLINE,
            TcpStream::connect((target.host.as_str(), target.port)),
        )
        .await
        .map_err(anyhow::Error::from)
        .and_then(|connected| connected.map_err(Into::into))
        .with_context(|| format!("nothing answers at {url}; is `griot serve` running?"))?;
        socket.set_nodelay(true)?;
        let session = ClientSession::new(&target.app, &target.key, &url, random_array());
        let mut connection = Self {
            socket,
            session,
            input: BytesMut::with_capacity(4_096),
        };
        connection.flush().await?;
        Ok(connection)
    }

    /// Until the server takes the publish.
    async fn accepted(&mut self) -> anyhow::Result<()> {
        loop {
            match self.session.next_event() {
                Some(ClientEvent::Accepted) => return Ok(()),
                Some(event) => return Err(refusal(event)),
                None => {
                    let bytes = self.socket.read_buf(&mut self.input).await?;
                    self.heard(bytes).await?;
                }
            }
        }
    }

    /// Takes in what a read brought and sends what is to be answered.
    async fn heard(&mut self, bytes: usize) -> anyhow::Result<()> {
        ensure!(bytes > 0, "the server closed the connection");
        self.session.input(&mut self.input)?;
        self.flush().await
    }

    fn still_wanted(&mut self) -> anyhow::Result<()> {
        match self.session.next_event() {
            None | Some(ClientEvent::Accepted) => Ok(()),
            Some(event) => Err(refusal(event)),
        }
    }

    async fn flush(&mut self) -> anyhow::Result<()> {
        while let Some(output) = self.session.take_output() {
            timeout(ANSWER_DEADLINE, self.socket.write_all(&output))
                .await
                .context("the server takes nothing more")??;
        }
        Ok(())
    }

    async fn send_beginning(&mut self, clip: &Clip) -> anyhow::Result<()> {
        self.session.send_metadata(
            &[
                ("width", 640.0),
                ("height", 360.0),
                ("framerate", 30.0),
                ("videocodecid", 7.0),
                ("audiocodecid", 10.0),
                ("audiosamplerate", 48_000.0),
            ],
            &[(
                "encoder",
                concat!("griot demo-live ", env!("CARGO_PKG_VERSION")),
            )],
        );
        for tag in &clip.configurations {
            self.send(*tag, 0).await?;
        }
        Ok(())
    }

    async fn send(&mut self, tag: Tag, timestamp_ms: u64) -> anyhow::Result<()> {
        // RTMP timestamps wrap every 49.7 days.
        let wrapped = u32::try_from(timestamp_ms & u64::from(u32::MAX)).expect("masked to 32 bits");
        match tag.kind {
            TagKind::Audio => self.session.send_audio(wrapped, tag.body),
            TagKind::Video => self.session.send_video(wrapped, tag.body),
        }
        self.flush().await
    }

    /// Says goodbye and waits until the server has heard all, or has closed.
    async fn goodbye(mut self) -> anyhow::Result<()> {
        self.session.goodbye();
        self.flush().await?;
        self.socket.shutdown().await?;
        let drained = timeout(GOODBYE_DEADLINE, async {
            while matches!(self.socket.read_buf(&mut self.input).await, Ok(1..)) {
                self.input.clear();
            }
        });
        // A server that keeps the connection open after a goodbye is no failure of ours.
        drop(drained.await);
        Ok(())
    }
}

fn refusal(event: ClientEvent) -> anyhow::Error {
    match event {
        ClientEvent::Accepted => anyhow::anyhow!("the server accepted the publish twice"),
        ClientEvent::Refused(words) => anyhow::anyhow!("the server refuses the publish: {words}"),
        ClientEvent::ReconnectRequested(words) => {
            anyhow::anyhow!("the server stops and asks to publish again later: {words}")
        }
    }
}

/// The audio and video tags of an FLV file; script tags are left out (E.2–E.4).
fn tags(file: &'static [u8]) -> anyhow::Result<Vec<Tag>> {
    let header = file.first_chunk::<9>().context("no FLV header")?;
    ensure!(header.starts_with(b"FLV"), "no FLV signature");
    let offset = usize::try_from(u32::from_be_bytes([
        header[5], header[6], header[7], header[8],
    ]))?;
    // PreviousTagSize0 follows the header, PreviousTagSizeN each tag.
    let mut rest = file.get(offset + 4..).context("no body")?;
    let mut tags = Vec::new();
    while let Some((tag, behind)) = rest.split_first_chunk::<11>() {
        let size = usize::try_from(u32::from_be_bytes([0, tag[1], tag[2], tag[3]]))?;
        let timestamp_ms = u64::from(u32::from_be_bytes([tag[7], tag[4], tag[5], tag[6]]));
        let body = behind.get(..size).context("a tag is cut short")?;
        let kind = match tag[0] & 0x1f {
            8 => Some(TagKind::Audio),
            9 => Some(TagKind::Video),
            _ => None,
        };
        tags.extend(kind.map(|kind| Tag {
            kind,
            timestamp_ms,
            body,
        }));
        rest = behind.get(size + 4..).context("a tag size is cut off")?;
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Counts and the first decoding time of sound as `ffprobe -count_packets` reads them.
    #[test]
    fn the_embedded_clip_has_240_pictures_and_375_frames_of_sound() {
        let clip = Clip::embedded().unwrap();
        let of = |kind| clip.media.iter().filter(move |tag| tag.kind == kind);
        assert_eq!(of(TagKind::Video).count(), 240);
        assert_eq!(of(TagKind::Audio).count(), 375);
        assert_eq!(of(TagKind::Audio).next().unwrap().timestamp_ms, 67);
        assert_eq!(clip.configurations.len(), 2);
    }

    // 33⅓ ms between pictures and 21⅓ ms between frames of sound, rounded to whole milliseconds.
    #[test]
    fn the_second_turn_joins_the_first_without_a_seam() {
        let clip = Clip::embedded().unwrap();
        for (kind, steps) in [(TagKind::Video, 32..=35), (TagKind::Audio, 20..=23)] {
            let times: Vec<u64> = clip
                .turns()
                .filter(|(_, tag)| tag.kind == kind)
                .map(|(timestamp_ms, _)| timestamp_ms)
                .take(1_000)
                .collect();
            for pair in times.windows(2) {
                assert!(steps.contains(&(pair[1] - pair[0])), "{kind:?} {pair:?}");
            }
        }
    }

    #[test]
    fn a_server_address_is_read_as_obs_reads_it() {
        let url = |text| Target::parse(text, Secret::new("k")).map(|target| target.url());
        assert_eq!(
            url("rtmp://example.org/live/").unwrap(),
            "rtmp://example.org:1935/live"
        );
        assert_eq!(url("rtmp://[::1]:99/a/b").unwrap(), "rtmp://[::1]:99/a/b");
        assert_eq!(url("rtmp://[::1]/live").unwrap(), "rtmp://[::1]:1935/live");
        for wrong in [
            "http://h/live",
            "rtmp://h",
            "rtmp:///live",
            "rtmp://h:x/live",
        ] {
            assert!(url(wrong).is_err(), "{wrong}");
        }
    }
}
