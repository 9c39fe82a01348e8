//! What a file is, by its first bytes. Names and headers that came with it are not asked.
//!
//! Only what stands in [`Format`] is taken: SVG, HTML, scripts, playlists (HLS, DASH, SDP), lists for ffmpeg and
//! everything else are unknown. That it really is what it begins like is the decoder's to say.

use super::Refusal;
use crate::store::MediaKind;

/// The kinds of files that are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// ITU-T T.81.
    Jpeg,
    /// PNG 3rd edition, animated or not.
    Png,
    /// GIF 87a and 89a.
    Gif,
    /// WebP, RFC 9649.
    Webp,
    /// ISO/IEC 14496-14.
    Mp4,
    /// `QuickTime` movie, with `ftyp` or of before it.
    QuickTime,
    /// WebM.
    WebM,
    /// Matroska that does not call itself WebM.
    Matroska,
    /// RIFF AVI.
    Avi,
}

/// Bytes that are enough to tell.
pub(super) const HEAD_BYTES: usize = 4_096;

impl Format {
    /// What a file is that begins with `head`, its first 4,096 bytes or all.
    ///
    /// # Errors
    /// `Empty`, `UnknownType`.
    pub fn of(head: &[u8]) -> Result<Self, Refusal> {
        if head.is_empty() {
            return Err(Refusal::Empty);
        }
        if let Some(format) = iso_media(head) {
            return format;
        }
        let found = infer::get(head).ok_or(Refusal::UnknownType)?;
        match found.mime_type() {
            "image/jpeg" => Ok(Self::Jpeg),
            "image/png" => Ok(Self::Png),
            "image/gif" => Ok(Self::Gif),
            "image/webp" => Ok(Self::Webp),
            "video/webm" => Ok(Self::WebM),
            "video/x-matroska" => Ok(Self::Matroska),
            "video/x-msvideo" => Ok(Self::Avi),
            _ => Err(Refusal::UnknownType),
        }
    }

    /// Image or video.
    #[must_use]
    pub fn kind(self) -> MediaKind {
        match self {
            Self::Jpeg | Self::Png | Self::Gif | Self::Webp => MediaKind::Image,
            Self::Mp4 | Self::QuickTime | Self::WebM | Self::Matroska | Self::Avi => {
                MediaKind::Video
            }
        }
    }

    /// The type with which such a file is served.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
            Self::Mp4 => "video/mp4",
            Self::QuickTime => "video/quicktime",
            Self::WebM => "video/webm",
            Self::Matroska => "video/x-matroska",
            Self::Avi => "video/x-msvideo",
        }
    }

    /// The end of its name, without the dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Gif => "gif",
            Self::Webp => "webp",
            Self::Mp4 => "mp4",
            Self::QuickTime => "mov",
            Self::WebM => "webm",
            Self::Matroska => "mkv",
            Self::Avi => "avi",
        }
    }
}

/// Boxes of ISO/IEC 14496-12 and atoms of `QuickTime`: length, four letters. `None` for what has none.
fn iso_media(head: &[u8]) -> Option<Result<Format, Refusal>> {
    let name: [u8; 4] = head.get(4..8)?.try_into().ok()?;
    let length = u32::from_be_bytes(head.get(..4)?.try_into().ok()?);
    match &name {
        b"ftyp" => {
            let brand: [u8; 4] = head.get(8..12)?.try_into().ok()?;
            Some(match &brand {
                b"qt  " => Ok(Format::QuickTime),
                // Pictures in the same boxes: HEIC and AVIF are no videos, and no images that we take.
                b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1"
                | b"avif" | b"avis" | b"crx " | b"jpeg" | b"jpgs" => Err(Refusal::UnknownType),
                _ => Ok(Format::Mp4),
            })
        }
        // QuickTime of before `ftyp`. A length of 0 and 1 are "to the end" and "64 bits follow".
        b"moov" | b"mdat" | b"wide" | b"pnot" if !(2..8).contains(&length) => {
            Some(Ok(Format::QuickTime))
        }
        _ => None,
    }
}

/// Whether bytes that nobody needs hold something that another program would run or unpack.
pub(super) fn hides(bytes: &[u8]) -> bool {
    const SIGNS: [&[u8]; 9] = [
        b"<script",
        b"<html",
        b"<!doctype",
        b"<svg",
        b"<?php",
        b"%pdf-",
        b"pk\x03\x04",
        b"javascript:",
        b"#extm3u",
    ];
    bytes.iter().enumerate().any(|(at, first)| {
        let first = first.to_ascii_lowercase();
        SIGNS.iter().any(|sign| {
            sign[0] == first
                && bytes
                    .get(at..at + sign.len())
                    .is_some_and(|here| here.eq_ignore_ascii_case(sign))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_told_by_content() {
        let mut webm = b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm".to_vec();
        webm.resize(300, 0);
        let mut matroska = b"\x1a\x45\xdf\xa3\xa3\x42\x86\x81\x01\x42\x82\x88matroska".to_vec();
        matroska.resize(300, 0);
        let known: [(&[u8], Format); 9] = [
            (b"\xff\xd8\xff\xe0\0\x10JFIF\0", Format::Jpeg),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", Format::Png),
            (b"GIF89a\x01\0\x01\0\0\0\0", Format::Gif),
            (b"RIFF\x24\0\0\0WEBPVP8 \0\0\0\0", Format::Webp),
            (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", Format::Mp4),
            (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", Format::QuickTime),
            (b"\0\0\0\x08wide\0\0\x10\0mdat", Format::QuickTime),
            (b"RIFF\x24\0\0\0AVI LIST\0\0\0\0hdrl", Format::Avi),
            (&webm, Format::WebM),
        ];
        for (head, format) in known {
            assert_eq!(Format::of(head), Ok(format), "{format:?}");
        }
        assert_eq!(Format::of(&matroska), Ok(Format::Matroska));
    }

    #[test]
    fn everything_else_is_unknown_whatever_it_is_called() {
        let unknown: [&[u8]; 14] = [
            b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
            b"<?xml version=\"1.0\"?><svg/>",
            b"<!DOCTYPE html><script>alert(1)</script>",
            b"#EXTM3U\n#EXT-X-VERSION:3\n",
            b"<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\"/>",
            b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n",
            b"ffconcat version 1.0\nfile /etc/passwd\n",
            b"#!/bin/sh\nrm -rf /\n",
            b"%PDF-1.7\n",
            b"PK\x03\x04\x14\0\0\0",
            b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
            b"\0\0\0\x1cftypavif\0\0\0\0mif1avif",
            b"just words",
            b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0",
        ];
        for head in unknown {
            let shown = String::from_utf8_lossy(head);
            assert_eq!(Format::of(head), Err(Refusal::UnknownType), "{shown}");
        }
        assert_eq!(Format::of(b""), Err(Refusal::Empty));
    }

    #[test]
    fn what_hides_behind_a_picture_is_seen() {
        for hidden in [
            &b"....<ScRiPt>alert(1)"[..],
            b"*/=1;<HTML>",
            b"x<?PHP system($_GET[0]);",
            b"PK\x03\x04rest",
        ] {
            assert!(hides(hidden), "{}", String::from_utf8_lossy(hidden));
        }
        assert!(!hides(b"ftypmp42 a motion photo; P K; <x:xmpmeta/>"));
        assert!(!hides(b"<scrip"));
    }
}
