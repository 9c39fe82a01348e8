//! Stand-ins for rooms that have not landed; deleted at the merge.
#![expect(
    dead_code,
    clippy::unused_async,
    clippy::unimplemented,
    unused_variables,
    reason = "deleted at the merge"
)]
pub(super) mod rendition {
    use crate::base::Timestamp;
    use bytes::{Bytes, BytesMut};
    use std::fs::File;
    use std::io;
    use std::os::unix::fs::FileExt;
    use std::sync::Arc;
    #[derive(Clone, Debug)]
    pub(crate) struct FileRange {
        file: Arc<File>,
        pub(crate) offset: u64,
        pub(crate) length: u64,
    }
    impl FileRange {
        pub(crate) fn new(file: Arc<File>, offset: u64, length: u64) -> Self {
            Self {
                file,
                offset,
                length,
            }
        }
        pub(crate) fn read(&self, at: u64, max: usize) -> io::Result<Bytes> {
            let left = usize::try_from(self.length.saturating_sub(at)).unwrap_or(usize::MAX);
            let mut buffer = BytesMut::zeroed(left.min(max));
            self.file.read_exact_at(&mut buffer, self.offset + at)?;
            Ok(buffer.freeze())
        }
    }
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) struct PlaylistQuery {
        pub(crate) msn: Option<u64>,
        pub(crate) part: Option<u64>,
        pub(crate) skip: bool,
        pub(crate) without_parts: bool,
        pub(crate) gzip: bool,
    }
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Freshness {
        NoStore,
        Seconds(u32),
    }
    #[derive(Clone, Debug)]
    pub(crate) struct PlaylistText {
        pub(crate) body: Bytes,
        pub(crate) gzip: bool,
        pub(crate) freshness: Freshness,
    }
    #[derive(Clone, Debug)]
    pub(crate) enum MediaBytes {
        Memory(Bytes),
        File(FileRange),
    }
    #[derive(Clone, Debug)]
    pub(crate) struct Download {
        pub(crate) range: FileRange,
        pub(crate) etag: String,
        pub(crate) modified: Timestamp,
        pub(crate) has_video: bool,
    }
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum PlaybackError {
        NotFound,
        NotYet,
        TooFarAhead,
        Unavailable,
    }
    #[derive(Clone, Debug)]
    pub(crate) struct Reader;
    impl Reader {
        pub(crate) async fn multivariant(&self) -> Result<PlaylistText, PlaybackError> {
            unimplemented!()
        }
        pub(crate) async fn playlist(
            &self,
            query: PlaylistQuery,
        ) -> Result<PlaylistText, PlaybackError> {
            unimplemented!()
        }
        pub(crate) fn init(&self, run: u32) -> Result<Bytes, PlaybackError> {
            unimplemented!()
        }
        pub(crate) fn segment(&self, run: u32, msn: u64) -> Result<MediaBytes, PlaybackError> {
            unimplemented!()
        }
        pub(crate) async fn part(
            &self,
            run: u32,
            msn: u64,
            part: usize,
        ) -> Result<MediaBytes, PlaybackError> {
            unimplemented!()
        }
        pub(crate) fn download(&self, run: u32) -> Result<Download, PlaybackError> {
            unimplemented!()
        }
    }
}
pub(super) mod live {
    use super::rendition::{PlaybackError, Reader};
    use crate::base::{ErrorKind, LiveId, Secret, UserId};
    use crate::store::{LiveFilter, LivePost, Page, PublishSession, WholeRecording};
    use std::net::IpAddr;
    #[derive(Clone, Debug)]
    pub struct Lives;
    #[derive(Clone, Debug, Default)]
    pub(crate) struct StartLive {
        pub(crate) title: Option<String>,
        pub(crate) description: Option<String>,
        pub(crate) content: Option<String>,
    }
    #[derive(Clone, Debug)]
    pub(crate) struct StartedLive {
        pub(crate) live: LiveId,
        pub(crate) playback_id: String,
        pub(crate) stream_key: Secret,
    }
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Actor {
        pub(crate) user: UserId,
        pub(crate) is_admin: bool,
    }
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct StoppedLive {
        pub(crate) video_saved: bool,
        pub(crate) video_id: Option<i64>,
    }
    #[derive(Clone, Debug)]
    pub(crate) struct LiveView {
        pub(crate) post: LivePost,
        pub(crate) sessions: Vec<PublishSession>,
        pub(crate) recording: Option<WholeRecording>,
        pub(crate) viewers: usize,
    }
    #[derive(Debug, thiserror::Error)]
    pub(crate) enum LiveError {
        #[error("the owner has no quartier")]
        NoQuartier,
        #[error("the owner is live already")]
        AlreadyLive(LiveId),
        #[error("there is no such live")]
        NotFound,
        #[error("only the owner or an admin may do this")]
        Forbidden,
        #[error("the server is stopping")]
        Stopping,
    }
    impl LiveError {
        pub(crate) fn kind(&self) -> ErrorKind {
            ErrorKind::Internal
        }
    }
    impl Lives {
        pub(crate) async fn start(
            &self,
            owner: UserId,
            wish: StartLive,
        ) -> Result<StartedLive, LiveError> {
            unimplemented!()
        }
        pub(crate) async fn stop(
            &self,
            actor: Actor,
            live: LiveId,
            forced: bool,
        ) -> Result<StoppedLive, LiveError> {
            unimplemented!()
        }
        pub(crate) async fn view(&self, live: LiveId) -> Result<LiveView, LiveError> {
            unimplemented!()
        }
        pub(crate) async fn list(
            &self,
            filter: LiveFilter,
            page: u32,
            page_size: u32,
        ) -> Result<Page<LiveView>, LiveError> {
            unimplemented!()
        }
        pub(crate) fn owner_seen(&self, user: UserId) {}
        pub(crate) async fn playback(&self, playback_id: &str) -> Result<Playback, PlaybackError> {
            Err(PlaybackError::NotFound)
        }
    }
    #[derive(Clone, Debug)]
    pub(crate) struct Playback(Reader);
    impl Playback {
        pub(crate) fn live(&self) -> LiveId {
            LiveId(0)
        }
        pub(crate) fn rendition(&self, name: &str) -> Result<&Reader, PlaybackError> {
            Ok(&self.0)
        }
        pub(crate) fn source(&self) -> &Reader {
            &self.0
        }
        pub(crate) fn saw(&self, address: IpAddr, agent: &str) {}
    }
}
