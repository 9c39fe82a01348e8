//! The codecs that are taken: how caps name them, what parses and decodes them.

use gstreamer as gst;

use gst::prelude::*;

/// A codec as a pad of a demuxer tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Codec {
    /// As ffprobe prints it.
    pub(super) name: String,
    /// Puts packets in order and knows sizes and profiles.
    pub(super) parser: Option<&'static str>,
    /// The first of them that is there is used; none for what is not encoded.
    pub(super) decoders: &'static [&'static str],
}

impl Codec {
    fn new(
        name: &str,
        parser: Option<&'static str>,
        decoders: &'static [&'static str],
    ) -> Option<Self> {
        Some(Self {
            name: name.to_owned(),
            parser,
            decoders,
        })
    }

    /// The decoder to use, with at most so many threads; `Ok(None)` for what needs none, an error when none of its decoders
    /// is there.
    pub(super) fn decoder(&self, threads: u32) -> Result<Option<gst::Element>, ()> {
        if self.decoders.is_empty() {
            return Ok(None);
        }
        let made = self
            .decoders
            .iter()
            .find_map(|name| gst::ElementFactory::make(name).build().ok());
        let decoder = made.ok_or(())?;
        if decoder.has_property("max-threads") {
            decoder.set_property("max-threads", i32::try_from(threads).unwrap_or(i32::MAX));
        }
        Ok(Some(decoder))
    }
}

/// The picture codec that caps speak of.
pub(super) fn video(caps: &gst::StructureRef) -> Option<Codec> {
    let version = |field: &str| caps.get::<i32>(field).unwrap_or(0);
    match caps.name().as_str() {
        "video/x-h264" => Codec::new("h264", Some("h264parse"), &["avdec_h264"]),
        "video/x-h265" => Codec::new("hevc", Some("h265parse"), &["avdec_h265"]),
        "video/x-vp8" => Codec::new("vp8", None, &["vp8dec"]),
        "video/x-vp9" => Codec::new("vp9", Some("vp9parse"), &["vp9dec"]),
        "video/x-av1" => Codec::new("av1", Some("av1parse"), &["av1dec"]),
        "video/mpeg" => match version("mpegversion") {
            4 => Codec::new("mpeg4", Some("mpeg4videoparse"), &["avdec_mpeg4"]),
            1 | 2 => Codec::new("mpeg2video", Some("mpegvideoparse"), &["avdec_mpeg2video"]),
            _ => None,
        },
        "video/x-divx" => match version("divxversion") {
            4 | 5 => Codec::new("mpeg4", Some("mpeg4videoparse"), &["avdec_mpeg4"]),
            _ => None,
        },
        "video/x-xvid" => Codec::new("mpeg4", Some("mpeg4videoparse"), &["avdec_mpeg4"]),
        "video/x-msmpeg" => Codec::new("msmpeg4v3", None, &["avdec_msmpeg4"]),
        "video/x-h263" => Codec::new("h263", Some("h263parse"), &["avdec_h263"]),
        "image/jpeg" => Codec::new("mjpeg", None, &["avdec_mjpeg", "jpegdec"]),
        "video/x-prores" => Codec::new("prores", None, &["avdec_prores"]),
        "video/x-dnxhd" => Codec::new("dnxhd", None, &["avdec_dnxhd"]),
        "video/x-raw" => Codec::new("rawvideo", None, &[]),
        _ => None,
    }
}

/// The sound codec that caps speak of.
pub(super) fn audio(caps: &gst::StructureRef) -> Option<Codec> {
    let version = caps.get::<i32>("mpegversion").unwrap_or(0);
    match caps.name().as_str() {
        "audio/mpeg" => match version {
            2 | 4 => Codec::new("aac", Some("aacparse"), &["avdec_aac"]),
            1 if caps.get::<i32>("layer").is_ok_and(|layer| layer < 3) => {
                Codec::new("mp2", Some("mpegaudioparse"), &["avdec_mp3"])
            }
            1 => Codec::new("mp3", Some("mpegaudioparse"), &["avdec_mp3"]),
            _ => None,
        },
        "audio/x-opus" => Codec::new("opus", Some("opusparse"), &["opusdec"]),
        "audio/x-vorbis" => Codec::new("vorbis", None, &["vorbisdec"]),
        "audio/x-ac3" => Codec::new("ac3", Some("ac3parse"), &["avdec_ac3"]),
        "audio/x-eac3" => Codec::new("eac3", Some("ac3parse"), &["avdec_eac3"]),
        // Of libav's, 1.22 gives each block the time of the one before: it counts the header that the parser sends ahead.
        "audio/x-flac" => Codec::new("flac", Some("flacparse"), &["flacdec"]),
        "audio/x-alac" => Codec::new("alac", None, &["avdec_alac"]),
        "audio/AMR" => Codec::new("amr_nb", Some("amrparse"), &["avdec_amrnb"]),
        "audio/AMR-WB" => Codec::new("amr_wb", Some("amrparse"), &["avdec_amrwb"]),
        "audio/x-alaw" => Codec::new("pcm_alaw", None, &["alawdec"]),
        "audio/x-mulaw" => Codec::new("pcm_mulaw", None, &["mulawdec"]),
        "audio/x-adpcm" => match caps.get::<&str>("layout").unwrap_or_default() {
            "quicktime" => Codec::new("adpcm_ima_qt", None, &["avdec_adpcm_ima_qt"]),
            "dvi" => Codec::new("adpcm_ima_wav", None, &["avdec_adpcm_ima_wav"]),
            "microsoft" => Codec::new("adpcm_ms", None, &["avdec_adpcm_ms"]),
            _ => None,
        },
        "audio/x-raw" => {
            let format = caps.get::<&str>("format").unwrap_or_default();
            Codec::new(&format!("pcm_{}", format.to_ascii_lowercase()), None, &[])
        }
        _ => None,
    }
}

/// An unknown codec's name for people, from its caps: `video/x-wmv` becomes `wmv`.
pub(super) fn unknown(caps: &gst::StructureRef) -> String {
    let name = caps.name();
    let short = name
        .rsplit_once('/')
        .map_or(name.as_str(), |(_, kind)| kind);
    short.trim_start_matches("x-").to_owned()
}
