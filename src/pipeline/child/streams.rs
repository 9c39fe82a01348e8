//! An open file's tracks: the container by its first bytes, its demuxer, the best picture and the best sound.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gstreamer as gst;

use gst::prelude::*;

use super::super::error::Refusal;
use super::super::report::Container;
use super::Trouble;
use super::codecs::{self, Codec};
use super::source::FileSource;

/// What the first look needs.
const HEAD_BYTES: usize = 4_096;

/// What a demuxer has shown so far.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// The first picture: its codec, or the name of one that is unknown.
    pub(super) video: Option<Result<Codec, String>>,
    /// The first sound that is known; else the name of an unknown one.
    pub(super) audio: Option<Result<Codec, String>>,
    /// Everything else.
    pub(super) others: u32,
    /// There will be no more.
    pub(super) is_whole: bool,
}

/// Which of the tracks a pad is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Video,
    Audio,
}

/// What a call does with a track: gets the pad and its codec, links something to it that is in the pipeline and running.
pub(super) type Connect = Box<dyn Fn(Role, &gst::Pad, &Codec) -> Result<(), Trouble> + Send + Sync>;

/// A pipeline with source and demuxer.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) pipeline: gst::Pipeline,
    pub(super) container: Container,
    /// Whether places in it can be found without reading all of it.
    pub(super) has_index: bool,
    pub(super) shown: Arc<Mutex<Shown>>,
}

impl Streams {
    /// Opens a file. `connect` is called from a thread of the demuxer, at most once for each role.
    pub(super) fn open(file: File, connect: Connect) -> Result<Self, Trouble> {
        let failed = |error: std::io::Error| Trouble::Failed(format!("no file: {error}"));
        let bytes = super::length_of(&file).map_err(failed)?;
        let mut head = vec![0; HEAD_BYTES];
        let read = file.read_at(&mut head, 0).map_err(failed)?;
        head.truncate(read);
        let (container, demuxer) = container(&head).ok_or(Trouble::Refused(Refusal::Container))?;
        let pipeline = gst::Pipeline::new();
        let source = FileSource::new(file, bytes);
        let demuxer = gst::ElementFactory::make(demuxer).name("demux").build()?;
        let source: &gst::Element = source.upcast_ref();
        pipeline.add_many([source, &demuxer])?;
        source.link(&demuxer)?;
        let shown = Arc::new(Mutex::new(Shown::default()));
        let on_pad = Arc::clone(&shown);
        demuxer.connect_pad_added(move |demuxer, pad| {
            if let Err(trouble) = added(&on_pad, &connect, pad) {
                let text = match trouble {
                    Trouble::Refused(refusal) => refusal.to_string(),
                    Trouble::Failed(why) => why,
                };
                gst::element_error!(demuxer, gst::CoreError::Failed, ["griot: {text}"]);
            }
        });
        let on_end = Arc::clone(&shown);
        demuxer.connect_no_more_pads(move |_| lock(&on_end).is_whole = true);
        Ok(Self {
            pipeline,
            container,
            has_index: has_index(container, &head),
            shown,
        })
    }

    /// What has been shown.
    pub(super) fn shown(&self) -> MutexGuard<'_, Shown> {
        lock(&self.shown)
    }
}

fn lock(shown: &Mutex<Shown>) -> MutexGuard<'_, Shown> {
    shown.lock().unwrap_or_else(PoisonError::into_inner)
}

fn added(shown: &Mutex<Shown>, connect: &Connect, pad: &gst::Pad) -> Result<(), Trouble> {
    let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
    let Some(structure) = caps.structure(0) else {
        return Ok(());
    };
    let name = structure.name().as_str();
    let is_video = name.starts_with("video/") || name == "image/jpeg" || name == "image/x-jpc";
    let is_audio = name.starts_with("audio/");
    // Encrypted tracks say what they would be.
    let is_video = is_video || (name == "application/x-cenc" && pad.name().starts_with("video"));
    let chosen = {
        let mut shown = lock(shown);
        if is_video && shown.video.is_none() {
            let codec = codecs::video(structure).ok_or_else(|| codecs::unknown(structure));
            shown.video = Some(codec.clone());
            codec.ok().map(|codec| (Role::Video, codec))
        } else if is_audio && !matches!(shown.audio, Some(Ok(_))) {
            let codec = codecs::audio(structure).ok_or_else(|| codecs::unknown(structure));
            shown.audio = Some(codec.clone());
            codec.ok().map(|codec| (Role::Audio, codec))
        } else {
            shown.others += 1;
            None
        }
    };
    match chosen {
        Some((role, codec)) => connect(role, pad, &codec),
        None => Ok(()),
    }
}

/// The container and its demuxer: what is not one of these is not looked at any further.
fn container(head: &[u8]) -> Option<(Container, &'static str)> {
    if head.starts_with(&[0x1a, 0x45, 0xdf, 0xa3]) {
        // The document type stands in the EBML header, near the beginning.
        let front = &head[..head.len().min(128)];
        let is_webm = front.windows(4).any(|word| word == b"webm");
        let kind = if is_webm {
            Container::WebM
        } else {
            Container::Matroska
        };
        return Some((kind, "matroskademux"));
    }
    if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"AVI ") {
        return Some((Container::Avi, "avidemux"));
    }
    match head.get(4..8)? {
        b"ftyp" => {
            let kind = match head.get(8..12)? {
                b"qt  " => Container::QuickTime,
                _ => Container::Mp4,
            };
            Some((kind, "qtdemux"))
        }
        // QuickTime before it had brands.
        b"moov" | b"mdat" | b"wide" | b"free" | b"skip" | b"pnot" => {
            Some((Container::QuickTime, "qtdemux"))
        }
        _ => None,
    }
}

/// Matroska's index (`Cues`) is named by the list of contents at its front; a browser's recorder writes neither.
fn has_index(container: Container, head: &[u8]) -> bool {
    const CUES: &[u8] = &[0x1c, 0x53, 0xbb, 0x6b];
    match container {
        Container::WebM | Container::Matroska => head.windows(4).any(|word| word == CUES),
        Container::Mp4 | Container::QuickTime | Container::Avi => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_told_by_its_first_bytes_and_a_manifest_is_none() {
        let kind = |head: &[u8]| container(head).map(|(kind, _)| kind);
        assert_eq!(kind(b"\0\0\0\x20ftypisom\0\0\0\0"), Some(Container::Mp4));
        assert_eq!(
            kind(b"\0\0\0\x20ftypqt  \0\0\0\0"),
            Some(Container::QuickTime)
        );
        assert_eq!(kind(b"\0\0\0\x20mdat........"), Some(Container::QuickTime));
        assert_eq!(kind(b"RIFF\0\0\0\0AVI LIST"), Some(Container::Avi));
        assert_eq!(
            kind(b"\x1a\x45\xdf\xa3....B\x82\x84webm"),
            Some(Container::WebM)
        );
        assert_eq!(
            kind(b"\x1a\x45\xdf\xa3....B\x82\x88matroska"),
            Some(Container::Matroska)
        );
        for text in [
            "#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/x.ts\n",
            "<?xml version=\"1.0\"?><MPD></MPD>",
            "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n",
            "ffconcat version 1.0\nfile http://127.0.0.1/x\n",
            "RIFF\0\0\0\0WAVEfmt ",
            "",
            "\0\0\0",
        ] {
            assert_eq!(kind(text.as_bytes()), None, "{text}");
        }
    }
}
