//! One live as viewers address it, running or ended.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::running::Running;
use super::standing::LadderView;
use crate::base::LiveId;
use crate::rendition::{PlaybackError, PlaylistText, Reader, live_multivariant};
use crate::store::LiveStatus;

/// The rungs are planned by the first part; the first of all waits for a look at this machine's GStreamer.
const DECIDED_WITHIN: Duration = Duration::from_secs(3);

/// A live that can be watched. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Playback {
    running: Arc<Running>,
}

impl Playback {
    pub(super) fn new(running: Arc<Running>) -> Self {
        Self { running }
    }

    /// Which live.
    #[must_use]
    pub fn live(&self) -> LiveId {
        self.running.live
    }

    /// The rendition of this name: its playlists and its media.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn rendition(&self, name: &str) -> Result<Reader, PlaybackError> {
        self.running.rendition(name).ok_or(PlaybackError::NotFound)
    }

    /// The rendition that is the encoder's own.
    #[must_use]
    pub fn source(&self) -> &Reader {
        self.running.source()
    }

    /// The multivariant playlist. Waits at most five seconds for the first part, and for what rungs there will be: players
    /// read it once. `without_parts`: the playlists that it names have none.
    ///
    /// # Errors
    /// `NotYet`.
    pub async fn multivariant(&self, without_parts: bool) -> Result<PlaylistText, PlaybackError> {
        // Before there is anything to be listed there is nothing to be decided.
        self.source().multivariant().await?;
        let ladder = self.ladder_decided().await;
        let rungs: Vec<&Reader> = ladder.rungs.iter().map(|rung| &rung.reader).collect();
        let text = live_multivariant(self.source(), &rungs).await?;
        Ok(naming(text, without_parts))
    }

    /// The multivariant playlist of sound alone.
    ///
    /// # Errors
    /// `NotFound` where no such rendition is made; `NotYet`.
    pub async fn sound_alone(&self, without_parts: bool) -> Result<PlaylistText, PlaybackError> {
        self.source().multivariant().await?;
        let ladder = self.ladder_decided().await;
        let has_picture = |reader: &Reader| {
            let variant = reader.variant();
            variant.is_none_or(|variant| variant.resolution.is_some())
        };
        let rungs = ladder.rungs.iter().map(|rung| &rung.reader);
        let source = (!has_picture(self.source())).then(|| self.source());
        let mut alone = rungs.chain(source).filter(|reader| !has_picture(reader));
        let reader = alone.next().ok_or(PlaybackError::NotFound)?;
        Ok(naming(reader.multivariant().await?, without_parts))
    }

    /// What is known of its ladder, once it is known which rungs there will be.
    async fn ladder_decided(&self) -> LadderView {
        let mut ladder = self.running.ladder();
        // Late, or gone: as it is.
        drop(timeout(DECIDED_WITHIN, ladder.wait_for(|ladder| ladder.decided)).await);
        let view = ladder.borrow();
        view.clone()
    }

    /// Whether the live has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.running.status() == LiveStatus::Ended
    }

    pub(super) fn running(&self) -> &Running {
        &self.running
    }

    /// Notes a viewer's request.
    pub fn saw(&self, address: IpAddr, agent: &str) {
        self.running.audience.saw(address, agent);
    }
}

/// A multivariant playlist, whose media playlists are to have no parts where that is asked for.
fn naming(mut text: PlaylistText, without_parts: bool) -> PlaylistText {
    if without_parts && !text.gzip {
        let body = String::from_utf8_lossy(&text.body);
        let lines = body.lines().map(|line| match line {
            "" => "\n".to_owned(),
            tag if tag.starts_with('#') => format!("{tag}\n"),
            uri => format!("{uri}?ll=0\n"),
        });
        text.body = lines.collect::<String>().into();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rendition::Freshness;
    use bytes::Bytes;

    #[test]
    fn a_playlist_for_weak_links_names_playlists_without_parts() {
        let text = |body: &'static str| PlaylistText {
            body: Bytes::from_static(body.as_bytes()),
            gzip: false,
            freshness: Freshness::NoStore,
        };
        let plain = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n270p/index.m3u8\n";
        assert_eq!(naming(text(plain), false).body, plain);
        let weak = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n270p/index.m3u8?ll=0\n";
        assert_eq!(naming(text(plain), true).body, weak);
    }
}
