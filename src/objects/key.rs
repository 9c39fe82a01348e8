//! The only maker of object paths.

use std::fmt;

use crate::base::{LiveId, MediaId};

/// Where an object lies below the store's root, as rows keep it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectKey(String);

impl ObjectKey {
    /// The file of run `number` of a live's rendition: `lives/7/source/0.mp4`.
    #[must_use]
    pub fn run(live: LiveId, rendition: &str, number: u32) -> Self {
        Self(format!("lives/{live}/{rendition}/{number}.mp4"))
    }

    /// What is made of a live beside its runs: `lives/7/recording.webm`. `None` for a name that is no piece of a path.
    #[must_use]
    pub fn live_file(live: LiveId, name: &str) -> Option<Self> {
        Self::parse(&format!("lives/{live}/{name}"))
    }

    /// The file of run `number` of a video's rendition: `media/9/source/0.mp4`.
    #[must_use]
    pub fn video_run(media: MediaId, rendition: &str, number: u32) -> Self {
        Self(format!("media/{media}/{rendition}/{number}.mp4"))
    }

    /// What is fetched of a medium under `name`: `media/7/300.webp`. `None` for a name that is no piece of a path.
    #[must_use]
    pub fn media(media: MediaId, name: &str) -> Option<Self> {
        Self::parse(&format!("{}{name}", Self::of_media(media)))
    }

    /// What the path of everything of a medium begins with: `media/7/`.
    #[must_use]
    pub fn of_media(media: MediaId) -> String {
        format!("media/{media}/")
    }

    /// Something small that is deleted at once: `doctor/NAME.txt`. `name` is made of letters and digits.
    #[must_use]
    pub fn probe(name: &str) -> Self {
        Self(format!("doctor/{name}.txt"))
    }

    /// What the bytes behind it are.
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        match self
            .0
            .rsplit_once('.')
            .map_or("", |(_, extension)| extension)
        {
            "mp4" => "video/mp4",
            "m4a" => "audio/mp4",
            "webm" => "video/webm",
            "jpg" => "image/jpeg",
            "png" => "image/png",
            "gif" => "image/gif",
            "webp" => "image/webp",
            "vtt" => "text/vtt",
            _ => "application/octet-stream",
        }
    }

    /// A key read back from a row; `None` when it would leave the store's folder.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let sound = !path.is_empty()
            && path.len() <= 512
            && path.split('/').all(|piece| {
                !piece.is_empty()
                    && !piece.starts_with('.')
                    && piece
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
            });
        sound.then(|| Self(path.to_owned()))
    }

    /// The path below the store's root, `/` between its pieces.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_would_leave_the_folder_is_no_key() {
        for bad in [
            "",
            "/etc/passwd",
            "a//b",
            "../x",
            "a/../b",
            "a/.hidden",
            "a\\b",
            "a b",
        ] {
            assert_eq!(ObjectKey::parse(bad), None, "{bad}");
        }
        let key = ObjectKey::run(LiveId(7), "source", 0);
        assert_eq!(ObjectKey::parse(key.as_str()), Some(key));
    }
}
