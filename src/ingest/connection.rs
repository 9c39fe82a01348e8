//! One encoder's connection, from the first byte to the last.

use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::pace::Pace;
use super::sparing::Rest;
use super::{Config, PublishDoor};
use crate::av::{Ticks, TrackKind};
use crate::base::{Slot, random_array};
use crate::flv::{Demuxer, FlvError, Ignored, Output};
use crate::live::{Closing, Media, PublishRequest, Publisher, SessionEnd};
use crate::rtmp::{self, Event, Limits, ProtocolError, ServerSession, StreamMetadata};

/// Read at once, and so handed to the live at once, at most.
const READ_BYTES: usize = 64 << 10;
/// The same before a publish: thousands may wait there, and commands are small.
const OPENING_BYTES: usize = 2 << 10;
/// How long we go on reading after our last word: a socket that is closed with unread bytes sends a reset, which
/// destroys that word before the encoder has seen it.
const LINGER: Duration = Duration::from_secs(2);

/// Where a connection comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    /// As [`PublishRequest::protocol`] names it.
    pub(super) protocol: &'static str,
    pub(super) address: IpAddr,
}

/// What a connection has been given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) origin: Origin,
    pub(super) slot: &'a Slot,
    /// Until then it must publish.
    pub(super) publish_until: Instant,
}

/// How a connection ended, for the counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Over a limit of connections: not served at all.
    Limit,
    /// It ended before a publish: a port scan, a health check.
    Unused,
    /// No publish within the deadline.
    Deadline,
    /// The publish was refused.
    Refused,
    /// A publish ended so.
    Ended(SessionEnd),
    /// The live closed it.
    Closed(Closing),
    /// It broke the protocol before a publish.
    Protocol,
    /// The server stops, before a publish.
    Stopping,
    /// It did not publish yet, and another connection was given its place.
    Displaced,
    /// No TLS came about.
    Handshake,
}

impl Outcome {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Unused => "unused",
            Self::Deadline => "deadline",
            Self::Refused => "refused",
            Self::Ended(how) => how.as_str(),
            Self::Closed(Closing::Stopped) => "stopped",
            Self::Closed(Closing::TakenOver) => "taken_over",
            Self::Closed(Closing::Shutdown) | Self::Stopping => "shutdown",
            Self::Protocol => "protocol",
            Self::Displaced => "displaced",
            Self::Handshake => "handshake",
        }
    }
}

/// Serves one connection; returns when it is closed. The socket may be TCP or TLS over it; `rest` is told when it need
/// not be read.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    socket: S,
    rest: Rest,
    place: Place<'_>,
    config: &Config,
    door: &PublishDoor,
    stopping: &CancellationToken,
) -> Outcome {
    let Place {
        origin,
        slot,
        publish_until,
    } = place;
    let mut connection = Connection {
        socket,
        rest,
        pace: Pace::new(Instant::now()),
        config,
        session: ServerSession::new(Limits::default(), random_array()),
        demuxer: Demuxer::new(),
        claims: None,
        input: BytesMut::new(),
        read_bytes: OPENING_BYTES,
        received: metrics::counter!("griot_rtmp_bytes_total"),
    };
    let opening = timeout_at(publish_until, connection.open(origin, door));
    let displaced = slot.displaced();
    let opened = tokio::select! {
        biased;
        () = stopping.cancelled() => return Outcome::Stopping,
        () = displaced.cancelled() => return Outcome::Displaced,
        opened = opening => opened,
    };
    let outcome = match opened {
        Err(_) => {
            tracing::debug!("no publish within the deadline");
            return Outcome::Deadline;
        }
        Ok(Err(NotOpened::Gone)) => return Outcome::Unused,
        Ok(Err(NotOpened::Protocol(error))) => {
            tracing::debug!(%error, "not RTMP as we know it");
            return Outcome::Protocol;
        }
        Ok(Err(NotOpened::Refused)) => Outcome::Refused,
        Ok(Ok(publisher)) => {
            slot.keep();
            connection.read_bytes = READ_BYTES;
            let ended = connection.publish(&publisher).await;
            connection.end(publisher, ended).await
        }
    };
    // An encoder that said goodbye closes by itself; some (rtmp2sink) call it a fault when we do it first.
    let peer_closes = outcome == Outcome::Ended(SessionEnd::Goodbye);
    connection.farewell(peer_closes).await;
    outcome
}

struct Connection<'a, S> {
    socket: S,
    rest: Rest,
    pace: Pace,
    config: &'a Config,
    session: ServerSession,
    demuxer: Demuxer,
    /// What onMetaData said last.
    claims: Option<StreamMetadata>,
    /// At most `read_bytes`: filled by one read, emptied by the session but for a part of a header.
    input: BytesMut,
    read_bytes: usize,
    received: metrics::Counter,
}

/// Why a connection did not get to publish.
enum NotOpened {
    /// The socket is gone.
    Gone,
    Protocol(ProtocolError),
    /// The encoder is to be told, which the session's output does.
    Refused,
}

/// Why a publish ended.
enum Ended {
    Goodbye,
    Dropped,
    Protocol(ProtocolError),
    Undecodable(FlvError),
    ByLive(Closing),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    /// From the first byte to an accepted publish.
    async fn open(&mut self, origin: Origin, door: &PublishDoor) -> Result<Publisher, NotOpened> {
        loop {
            let parsed = self.session.input(&mut self.input);
            while let Some(event) = self.session.next_event() {
                match event {
                    Event::Connected {
                        flash_ver,
                        enhanced,
                    } => tracing::debug!(encoder = flash_ver, enhanced, "connected"),
                    Event::PublishRequested(request) => {
                        return self.decide(request, origin, door).await;
                    }
                    // Nothing else comes before an accepted publish.
                    _ => {}
                }
            }
            self.flush().await.map_err(|_| NotOpened::Gone)?;
            parsed.map_err(NotOpened::Protocol)?;
            match self.read().await {
                Ok(0) | Err(_) => return Err(NotOpened::Gone),
                Ok(_) => {}
            }
        }
    }

    async fn decide(
        &mut self,
        request: rtmp::PublishRequest,
        origin: Origin,
        door: &PublishDoor,
    ) -> Result<Publisher, NotOpened> {
        let hint = request.name.hint();
        // What was answered to connect and createStream.
        self.flush().await.map_err(|_| NotOpened::Gone)?;
        let decision = door(PublishRequest {
            key: request.name,
            protocol: origin.protocol,
            encoder: request.flash_ver,
            remote: origin.address,
        });
        match decision.await {
            Ok(publisher) => {
                tracing::info!(
                    live.id = %publisher.live,
                    publish.session_id = %publisher.session,
                    "publish accepted"
                );
                self.session.accept_publish();
                Ok(publisher)
            }
            Err(refusal) => {
                tracing::info!(key = hint, reason = %refusal, "publish refused");
                metrics::counter!("griot_publish_refused_total", "reason" => refusal.as_str())
                    .increment(1);
                self.session.reject_publish(&refusal.to_string());
                Err(NotOpened::Refused)
            }
        }
    }

    /// Hands over media until somebody has had enough.
    async fn publish(&mut self, publisher: &Publisher) -> Ended {
        let mut closed = pin!(publisher.closed());
        loop {
            let mut media = Vec::new();
            let parsed = self.session.input(&mut self.input);
            let demuxed = self.demux(&mut media);
            if let Some(dts) = newest_picture(&media) {
                self.pace.heard(Instant::now(), dts);
            }
            if !media.is_empty() {
                // A live that is behind makes us wait here and not read, which the encoder feels.
                let sent = tokio::select! {
                    biased;
                    reason = &mut closed => Err(reason),
                    sent = publisher.send(media) => sent,
                };
                if let Err(reason) = sent {
                    return Ended::ByLive(reason);
                }
            }
            match (demuxed, parsed) {
                (Ok(Flow::On), Ok(())) => {}
                (Ok(Flow::Goodbye), _) => return Ended::Goodbye,
                (Err(error), _) => return Ended::Undecodable(error),
                (_, Err(error)) => return Ended::Protocol(error),
            }
            if self.flush().await.is_err() {
                return Ended::Dropped;
            }
            if let Some(until) = self.pace.rest(Instant::now(), publisher.rhythm()) {
                self.rest.until(until);
            }
            let read = timeout(self.config.idle_deadline, self.read());
            let read = tokio::select! {
                biased;
                reason = &mut closed => return Ended::ByLive(reason),
                read = read => read,
            };
            match read {
                Ok(Ok(1..)) => {}
                Ok(Ok(0)) => return Ended::Dropped,
                Ok(Err(error)) => {
                    tracing::debug!(%error, "the socket is gone");
                    return Ended::Dropped;
                }
                Err(_) => {
                    tracing::debug!("no byte within the deadline");
                    return Ended::Dropped;
                }
            }
        }
    }

    /// Turns all events of the session into media.
    fn demux(&mut self, media: &mut Vec<Media>) -> Result<Flow, FlvError> {
        let mut outputs = Vec::new();
        let mut flow = Ok(Flow::On);
        while let Some(event) = self.session.next_event() {
            let demuxed = match event {
                Event::Video { timestamp_ms, body } => {
                    self.demuxer.video(timestamp_ms, body, &mut outputs)
                }
                Event::Audio { timestamp_ms, body } => {
                    self.demuxer.audio(timestamp_ms, body, &mut outputs)
                }
                // GStreamer repeats them several times a second.
                Event::Metadata(claims) if self.claims.as_ref() == Some(&claims) => Ok(()),
                Event::Metadata(claims) => {
                    self.claims = Some(claims.clone());
                    media.extend(claims.frame_rate.map(Media::FrameRateHint));
                    media.extend(claimed_bit_rate(&claims).map(Media::BitRateHint));
                    media.extend(claims.encoder.map(Media::Encoder));
                    Ok(())
                }
                Event::Unpublished => {
                    flow = Ok(Flow::Goodbye);
                    Ok(())
                }
                Event::Connected { .. } | Event::PublishRequested(_) => Ok(()),
            };
            for output in outputs.drain(..) {
                match output {
                    Output::Config(config) => media.push(Media::Config(config)),
                    Output::Frame(frame) => media.push(Media::Frame(frame)),
                    Output::Ignored(reason) => {
                        if reason == Ignored::UnknownCodec {
                            media.push(Media::UnknownCodec);
                        }
                        metrics::counter!("griot_rtmp_ignored_tags_total", "reason" => reason.as_str())
                            .increment(1);
                    }
                }
            }
            if let Err(error) = demuxed {
                flow = Err(error);
                break;
            }
        }
        flow
    }

    /// Tells the encoder and the live how it ended.
    async fn end(&mut self, publisher: Publisher, ended: Ended) -> Outcome {
        match ended {
            Ended::Goodbye => {
                tracing::info!("the encoder said goodbye");
                publisher.end(SessionEnd::Goodbye).await;
                Outcome::Ended(SessionEnd::Goodbye)
            }
            Ended::Dropped => {
                tracing::info!("the encoder is gone");
                publisher.end(SessionEnd::Dropped).await;
                // Where the socket is only silent: an encoder that wakes up sees why.
                self.session
                    .close_publish("nothing was heard from the encoder");
                Outcome::Ended(SessionEnd::Dropped)
            }
            Ended::Protocol(error) => {
                tracing::warn!(%error, "the encoder broke the protocol");
                publisher.end(SessionEnd::Protocol).await;
                self.session.close_publish(&error.to_string());
                Outcome::Ended(SessionEnd::Protocol)
            }
            Ended::Undecodable(error) => {
                tracing::warn!(%error, "the encoder's stream cannot be decoded");
                publisher.end(SessionEnd::Protocol).await;
                self.session.close_publish(&error.to_string());
                Outcome::Ended(SessionEnd::Protocol)
            }
            Ended::ByLive(reason) => {
                tracing::info!(?reason, "the live closes this publish");
                // Back to the live: nothing more comes from here.
                drop(publisher);
                self.session_closed_by_live(reason);
                Outcome::Closed(reason)
            }
        }
    }

    fn session_closed_by_live(&mut self, reason: Closing) {
        match reason {
            Closing::Stopped => self.session.close_publish("the live was stopped"),
            Closing::TakenOver => self
                .session
                .close_publish("another encoder took over with this stream key"),
            Closing::Shutdown => {
                let words = "the server restarts; please reconnect";
                if !self.session.request_reconnect(words) {
                    self.session.close_publish(words);
                }
            }
        }
    }

    /// Our last words, then the end: closed for writing first unless `peer_closes`, read on until the encoder has
    /// closed too.
    async fn farewell(&mut self, peer_closes: bool) {
        if self.flush().await.is_err() {
            return;
        }
        let linger = async {
            if !peer_closes {
                self.socket.shutdown().await?;
            }
            loop {
                self.input.clear();
                if self.read().await? == 0 {
                    return io::Result::Ok(());
                }
            }
        };
        match timeout(LINGER, linger).await {
            Ok(Ok(())) => tracing::debug!("closed by both sides"),
            Ok(Err(error)) => tracing::debug!(%error, "closed by a reset"),
            Err(_) => tracing::debug!("closed while the encoder still sends"),
        }
    }

    async fn read(&mut self) -> io::Result<usize> {
        self.input
            .reserve(self.read_bytes.saturating_sub(self.input.len()));
        let bytes = self.socket.read_buf(&mut self.input).await?;
        self.received
            .increment(u64::try_from(bytes).unwrap_or(u64::MAX));
        Ok(bytes)
    }

    /// Writes what the session has to say, within the write deadline.
    async fn flush(&mut self) -> io::Result<()> {
        while let Some(output) = self.session.take_output() {
            timeout(self.config.write_deadline, self.socket.write_all(&output)).await??;
        }
        Ok(())
    }
}

/// When the last picture of a read is decoded.
fn newest_picture(media: &[Media]) -> Option<Ticks> {
    media.iter().rev().find_map(|item| match item {
        Media::Frame(frame) if frame.track == TrackKind::Video => Some(frame.dts),
        _ => None,
    })
}

/// Picture and sound together, bits per second; `None` when the encoder has a picture and does not say its rate.
fn claimed_bit_rate(claims: &StreamMetadata) -> Option<u64> {
    let kbps = match (claims.video_kbps, claims.audio_kbps) {
        (Some(video), audio) => video + audio.unwrap_or(0.0),
        (None, Some(audio)) if claims.width.is_none() => audio,
        _ => return None,
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float cast saturates; both are greater than zero"
    )]
    Some((kbps * 1_000.0) as u64)
}

/// Whether a publish goes on.
enum Flow {
    On,
    Goodbye,
}
