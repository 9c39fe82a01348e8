//! Reading the addresses of media: what lies below `/live/` and `/media/` (design §4, "URLs").

use crate::rendition::PlaylistQuery;

/// What a path below `/live/{playback_id}/` or `/media/{public_id}/` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    Multivariant,
    Playlist {
        rendition: &'a str,
    },
    Init {
        rendition: &'a str,
        run: u32,
    },
    Segment {
        rendition: &'a str,
        run: u32,
        msn: u64,
    },
    Part {
        rendition: &'a str,
        run: u32,
        msn: u64,
        part: usize,
    },
}

impl<'a> Target<'a> {
    /// Which rendition's; `None` for the playlist that lists them all.
    pub(super) fn rendition(&self) -> Option<&'a str> {
        match *self {
            Self::Multivariant => None,
            Self::Playlist { rendition }
            | Self::Init { rendition, .. }
            | Self::Segment { rendition, .. }
            | Self::Part { rendition, .. } => Some(rendition),
        }
    }
}

/// Splits `{below}{playback_id}/…`; `None` for what is no address of ours.
pub(super) fn target<'a>(below: &str, path: &'a str) -> Option<(&'a str, Target<'a>)> {
    let (playback_id, rest) = path.strip_prefix(below)?.split_once('/')?;
    if rest == "index.m3u8" {
        return Some((playback_id, Target::Multivariant));
    }
    let (rendition, rest) = rest.split_once('/')?;
    let Some((run, file)) = rest.split_once('/') else {
        return (rest == "index.m3u8").then_some((playback_id, Target::Playlist { rendition }));
    };
    let run = u32::try_from(number(run)?).ok()?;
    if file == "init.mp4" {
        return Some((playback_id, Target::Init { rendition, run }));
    }
    let name = file.strip_suffix(".m4s")?;
    let target = match name.split_once('.') {
        None => Target::Segment {
            rendition,
            run,
            msn: number(name)?,
        },
        Some((msn, part)) => Target::Part {
            rendition,
            run,
            msn: number(msn)?,
            part: usize::try_from(number(part)?).ok()?,
        },
    };
    Some((playback_id, target))
}

/// Digits and nothing else, so that every medium has one address.
pub(super) fn number(text: &str) -> Option<u64> {
    let canonical = !text.is_empty()
        && text.bytes().all(|digit| digit.is_ascii_digit())
        && (text.len() == 1 || !text.starts_with('0'));
    canonical.then(|| text.parse().ok()).flatten()
}

/// Whether a multivariant playlist is asked to name playlists without parts.
pub(super) fn without_parts(query: Option<&str>) -> bool {
    let query = query.unwrap_or_default();
    query.split('&').any(|pair| pair == "ll=0")
}

/// Reads `_HLS_msn`, `_HLS_part`, `_HLS_skip` and `ll` (RFC 8216bis 6.2.5); other parameters are ignored.
/// `None` when a number is none, or a part is asked for without its segment: 400.
pub(super) fn query(text: &str, gzip: bool) -> Option<PlaylistQuery> {
    let mut query = PlaylistQuery {
        gzip,
        ..PlaylistQuery::default()
    };
    for pair in text.split('&') {
        match pair.split_once('=') {
            Some(("_HLS_msn", value)) => query.msn = Some(number(value)?),
            Some(("_HLS_part", value)) => query.part = Some(number(value)?),
            Some(("_HLS_skip", value)) => query.skip = matches!(value, "YES" | "v2"),
            Some(("ll", "0")) => query.without_parts = true,
            _ => {}
        }
    }
    (query.part.is_none() || query.msn.is_some()).then_some(query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_one_medium() {
        let source = "source";
        for (path, expected) in [
            ("/live/p/index.m3u8", Some(("p", Target::Multivariant))),
            (
                "/live/p/source/index.m3u8",
                Some(("p", Target::Playlist { rendition: source })),
            ),
            (
                "/live/p/source/0/init.mp4",
                Some((
                    "p",
                    Target::Init {
                        rendition: source,
                        run: 0,
                    },
                )),
            ),
            (
                "/live/p/source/1/42.m4s",
                Some((
                    "p",
                    Target::Segment {
                        rendition: source,
                        run: 1,
                        msn: 42,
                    },
                )),
            ),
            (
                "/live/p/source/1/42.7.m4s",
                Some((
                    "p",
                    Target::Part {
                        rendition: source,
                        run: 1,
                        msn: 42,
                        part: 7,
                    },
                )),
            ),
        ] {
            assert_eq!(target("/live/", path), expected, "{path}");
        }
        for path in [
            "/live/",
            "/live/p",
            "/live/p/",
            "/live/p/source",
            "/live/p/source/",
            "/live/p/source/0/",
            "/live/p/source/0/1.mp4",
            "/live/p/source/0/01.m4s",
            "/live/p/source/0/-1.m4s",
            "/live/p/source/0/1.2.3.m4s",
            "/live/p/source/0/1.2.m4s/",
            "/live/p/source/4294967296/init.mp4",
            "/live/p/source/x/index.m3u8",
        ] {
            assert_eq!(target("/live/", path), None, "{path}");
        }
    }

    #[test]
    fn the_directives_of_a_reload_are_read_and_nonsense_is_refused() {
        let reload = query("_HLS_msn=12&_HLS_part=3&_HLS_skip=YES&x=y", true).unwrap();
        assert_eq!(
            reload,
            PlaylistQuery {
                msn: Some(12),
                part: Some(3),
                skip: true,
                without_parts: false,
                gzip: true,
            }
        );
        assert!(query("ll=0", false).unwrap().without_parts);
        assert_eq!(query("", false), Some(PlaylistQuery::default()));
        assert_eq!(query("_HLS_msn=x", false), None);
        assert_eq!(
            query("_HLS_part=1", false),
            None,
            "a part of which segment?"
        );
    }
}
