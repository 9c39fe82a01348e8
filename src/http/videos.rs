//! Delivery of videos below `/media/`: the same playlists, segments and downloads as those of lives.
//!
//! ```text
//! /media/{public_id}/index.m3u8                  all renditions
//! /media/{public_id}/audio.m3u8                  sound alone
//! /media/{public_id}/{rendition}/index.m3u8      and what that names
//! /media/{public_id}/file.mp4, {rendition}.mp4   downloads
//! ```

use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;

use super::Services;
use super::address::{self, Target};
use super::hls;
use super::recordings::{self, Wish};
use crate::rendition::PlaybackError;

const BELOW: &str = "/media/";

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted<'a> {
    /// Sound alone.
    Audio,
    /// The best rendition as one file, or that of this name.
    File(Option<&'a str>),
    /// A playlist or a piece of media.
    Hls(Target<'a>),
}

/// Whether a path below `/media/` is of a video's renditions; the rest are files of their own.
pub(super) fn is_here(path: &str) -> bool {
    wanted(path).is_some()
}

/// Answers such a path. With `redirect`, what an object store has is downloaded from there.
pub(super) async fn answer(
    services: &Services,
    redirect: bool,
    method: &Method,
    uri: &Uri,
    request: &HeaderMap,
) -> Response {
    let sent = deliver(services, redirect, method, uri, request);
    hls::open_to_all(method, request, sent).await
}

async fn deliver(
    services: &Services,
    redirect: bool,
    method: &Method,
    uri: &Uri,
    request: &HeaderMap,
) -> Result<Response, PlaybackError> {
    let (public_id, wanted) = wanted(uri.path()).ok_or(PlaybackError::NotFound)?;
    let video = services.videos.playback(public_id).await?;
    let head = method == Method::HEAD;
    let target = match wanted {
        Wanted::Audio => return video.audio().map(hls::playlist),
        Wanted::File(rendition) => {
            let download = match rendition {
                None => video.download()?,
                Some(name) => video.rendition(name)?.download(0)?,
            };
            let title = match video.title.trim() {
                "" => "video",
                title => title,
            };
            let name = recordings::file_name(title, video.created_at, 0);
            let wish = Wish::of(method, uri, redirect);
            return recordings::send(download, &name, wish, request).await;
        }
        Wanted::Hls(target) => target,
    };
    match target.rendition() {
        Some(name) => hls::of_rendition(video.rendition(name)?, target, uri, request, head).await,
        None => Ok(hls::playlist(video.multivariant())),
    }
}

fn wanted(path: &str) -> Option<(&str, Wanted<'_>)> {
    if let Some((public_id, target)) = address::target(BELOW, path) {
        return Some((public_id, Wanted::Hls(target)));
    }
    let (public_id, file) = path.strip_prefix(BELOW)?.split_once('/')?;
    let wanted = match file.strip_suffix(".mp4") {
        Some("file") => Wanted::File(None),
        Some(name) if !name.is_empty() && !name.contains('/') => Wanted::File(Some(name)),
        None if file == "audio.m3u8" => Wanted::Audio,
        _ => return None,
    };
    Some((public_id, wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_video_and_a_picture_have_addresses_of_their_own() {
        for (path, expected) in [
            (
                "/media/p/index.m3u8",
                Some(Wanted::Hls(Target::Multivariant)),
            ),
            ("/media/p/audio.m3u8", Some(Wanted::Audio)),
            ("/media/p/file.mp4", Some(Wanted::File(None))),
            ("/media/p/720p.mp4", Some(Wanted::File(Some("720p")))),
            (
                "/media/p/720p/index.m3u8",
                Some(Wanted::Hls(Target::Playlist { rendition: "720p" })),
            ),
            ("/media/p/poster.jpg", None),
            ("/media/p/.mp4", None),
            ("/media/p/a/b.mp4", None),
            ("/media/p", None),
        ] {
            let found = wanted(path).map(|(public_id, wanted)| {
                assert_eq!(public_id, "p");
                wanted
            });
            assert_eq!(found, expected, "{path}");
        }
    }
}
