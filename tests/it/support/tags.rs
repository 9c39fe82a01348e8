//! An encoder that sends whatever sequence of tags a test makes up, as fast as the server takes it.

use std::path::Path;

use bytes::BytesMut;
use griot::base::{Secret, random_array};
use griot::rtmp::{ClientEvent, ClientSession};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Live, PATIENCE, Server, tool};

/// One FLV tag (Flash Video File Format 10.1, E.4.1).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tag {
    /// Sound, or a picture.
    pub(crate) sound: bool,
    /// Decoding time, ms. RTMP sees it modulo 2^32.
    pub(crate) ms: i64,
    /// As RTMP carries it.
    pub(crate) body: Vec<u8>,
}

impl Tag {
    /// A codec configuration: AVC (E.4.3.1) or AAC (E.4.2.1).
    pub(crate) fn is_config(&self) -> bool {
        self.body[1] == 0
    }

    /// The same, `ms` later.
    pub(crate) fn later(&self, ms: i64) -> Self {
        Self {
            ms: self.ms + ms,
            ..self.clone()
        }
    }

    /// The picture decoded `ms` later and presented when it was: `CompositionTime` (E.4.3.2) shrinks.
    pub(crate) fn decoded_later(&self, ms: i64) -> Self {
        let mut later = self.later(ms);
        if !self.is_config() {
            let bytes = [0, self.body[2], self.body[3], self.body[4]];
            // 24 bits with a sign.
            let composition = i32::from_be_bytes(bytes) << 8 >> 8;
            let composition = composition - i32::try_from(ms).expect("small");
            later.body[2..5].copy_from_slice(&composition.to_be_bytes()[1..]);
        }
        later
    }
}

/// A clip as the tags that ffmpeg writes for it, from zero, in the order of their decoding times; `options` stand before
/// the output (`-c copy`).
pub(crate) fn tags(clip: &Path, options: &[&str]) -> Vec<Tag> {
    let clip = clip.to_str().expect("a path in UTF-8");
    let mut arguments = vec!["-v", "error", "-i", clip];
    arguments.extend_from_slice(options);
    arguments.extend_from_slice(&["-f", "flv", "-flvflags", "no_duration_filesize", "-"]);
    let file = tool("ffmpeg", &arguments, None);
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0, |all, byte| all << 8 | i64::from(*byte))
    };
    let mut found = Vec::new();
    // The header and the first PreviousTagSize.
    let mut at = 13;
    while at < file.len() {
        let size = usize::try_from(number(&file[at + 1..at + 4])).expect("24 bits");
        let ms = number(&file[at + 4..at + 7]) | i64::from(file[at + 7]) << 24;
        let body = &file[at + 11..at + 11 + size];
        // 18 is onMetaData; an AVC end of sequence is no picture.
        if matches!(file[at], 8 | 9) && !(file[at] == 9 && body[1] == 2) {
            found.push(Tag {
                sound: file[at] == 8,
                ms,
                body: body.to_vec(),
            });
        }
        at += 11 + size + 4;
    }
    found
}

/// A connection that publishes.
pub(crate) struct TagEncoder {
    socket: TcpStream,
    session: ClientSession,
    input: BytesMut,
}

impl TagEncoder {
    /// Connects, and is let in.
    pub(crate) async fn publish(server: &Server, live: &Live) -> Self {
        let address = server.rtmp.trim_start_matches("rtmp://");
        let address = address.trim_end_matches("/live");
        let key = Secret::new(live.stream_key.clone());
        let mut encoder = Self {
            socket: TcpStream::connect(address).await.expect("a listener"),
            session: ClientSession::new("live", &key, &server.rtmp, random_array()),
            input: BytesMut::new(),
        };
        let accepted = timeout(PATIENCE, async {
            loop {
                encoder.flush().await;
                encoder.read().await;
                match encoder.session.next_event() {
                    Some(ClientEvent::Accepted) => return,
                    Some(other) => panic!("the publish was not accepted: {other:?}"),
                    None => {}
                }
            }
        });
        accepted.await.expect("an answer to the publish");
        encoder
    }

    /// Sends the numbers of `onMetaData`.
    pub(crate) async fn claim(&mut self, numbers: &[(&str, f64)]) {
        self.session.send_metadata(numbers, &[]);
        self.flush().await;
    }

    /// Sends them all at once.
    pub(crate) async fn send(&mut self, tags: &[Tag]) {
        for tag in tags {
            let ms = u32::try_from(tag.ms.rem_euclid(1 << 32)).expect("32 bits");
            if tag.sound {
                self.session.send_audio(ms, &tag.body);
            } else {
                self.session.send_video(ms, &tag.body);
            }
            self.flush().await;
        }
    }

    /// Says goodbye, and waits until the server has closed too: then it has taken everything.
    pub(crate) async fn goodbye(mut self) {
        self.session.goodbye();
        self.flush().await;
        let closed = timeout(PATIENCE, async {
            self.socket.shutdown().await.ok();
            while self.socket.read_buf(&mut self.input).await.unwrap_or(0) > 0 {}
        });
        closed.await.expect("the server closes after a goodbye");
    }

    async fn flush(&mut self) {
        while let Some(output) = self.session.take_output() {
            let written = timeout(PATIENCE, self.socket.write_all(&output)).await;
            written
                .expect("the server reads")
                .expect("the socket is open");
        }
    }

    async fn read(&mut self) {
        let read = self.socket.read_buf(&mut self.input).await;
        assert!(
            read.expect("the socket is open") > 0,
            "closed by the server"
        );
        self.session.input(&mut self.input).expect("RTMP");
    }
}
