//! Which of GStreamer a child may load: an allow list, made into a folder of links and a registry of their own.
//!
//! GStreamer follows addresses: a manifest of HLS or DASH in a file named `.mp4` makes it fetch what is written there. So
//! a child's plugin folder holds links to the plugins below and nothing else, its registry is made from that folder, and
//! of these plugins the child forgets every element that is not in the table. There is no demuxer of manifests, no
//! source or sink of a network, a device or a path, and no typefinder among them. A new version of GStreamer has other
//! files, so another folder.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::PipelineError;
use crate::base::random_hex;

/// One element that a child may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element {
    pub(super) name: &'static str,
    /// `libgstNAME.so`.
    plugin: &'static str,
    package: &'static str,
    /// Without it nothing works; else one codec is missing.
    pub(super) is_needed: bool,
}

/// Plugins that read containers, parse and pass on.
const MOVING: &[&str] = &[
    "staticelements",
    "coreelements",
    "app",
    "isomp4",
    "matroska",
    "avi",
    "videoparsersbad",
    "audioparsers",
    "opusparse",
];

impl Element {
    /// Whether it belongs to those that neither decode nor encode.
    pub(super) fn moves(&self) -> bool {
        MOVING.contains(&self.plugin)
    }
}

const CORE: &str = "libgstreamer1.0-0";
const BASE: &str = "gstreamer1.0-plugins-base";
const GOOD: &str = "gstreamer1.0-plugins-good";
const BAD: &str = "gstreamer1.0-plugins-bad";
const UGLY: &str = "gstreamer1.0-plugins-ugly";
const LIBAV: &str = "gstreamer1.0-libav";

const fn need(name: &'static str, plugin: &'static str, package: &'static str) -> Element {
    Element {
        name,
        plugin,
        package,
        is_needed: true,
    }
}

const fn may(name: &'static str, plugin: &'static str, package: &'static str) -> Element {
    Element {
        name,
        plugin,
        package,
        is_needed: false,
    }
}

/// The allow list: all that a child can make, and where Debian has it.
pub(super) const ELEMENTS: &[Element] = &[
    // Built in, no file has them.
    need("bin", "staticelements", CORE),
    need("pipeline", "staticelements", CORE),
    need("queue", "coreelements", CORE),
    need("tee", "coreelements", CORE),
    need("capsfilter", "coreelements", CORE),
    need("identity", "coreelements", CORE),
    need("fakesink", "coreelements", CORE),
    need("appsink", "app", BASE),
    need("appsrc", "app", BASE),
    need("qtdemux", "isomp4", GOOD),
    need("matroskademux", "matroska", GOOD),
    need("webmmux", "matroska", GOOD),
    need("avidemux", "avi", GOOD),
    need("h264parse", "videoparsersbad", BAD),
    need("h265parse", "videoparsersbad", BAD),
    need("vp9parse", "videoparsersbad", BAD),
    need("av1parse", "videoparsersbad", BAD),
    need("mpeg4videoparse", "videoparsersbad", BAD),
    need("mpegvideoparse", "videoparsersbad", BAD),
    need("h263parse", "videoparsersbad", BAD),
    need("aacparse", "audioparsers", GOOD),
    need("mpegaudioparse", "audioparsers", GOOD),
    need("ac3parse", "audioparsers", GOOD),
    need("flacparse", "audioparsers", GOOD),
    need("amrparse", "audioparsers", GOOD),
    need("opusparse", "opusparse", BAD),
    need("avdec_h264", "libav", LIBAV),
    need("avdec_h265", "libav", LIBAV),
    need("avdec_mpeg4", "libav", LIBAV),
    need("avdec_msmpeg4", "libav", LIBAV),
    need("avdec_mpeg2video", "libav", LIBAV),
    need("avdec_h263", "libav", LIBAV),
    need("avdec_mjpeg", "libav", LIBAV),
    need("avdec_prores", "libav", LIBAV),
    need("avdec_dnxhd", "libav", LIBAV),
    need("avdec_aac", "libav", LIBAV),
    need("avdec_mp3", "libav", LIBAV),
    need("avdec_ac3", "libav", LIBAV),
    need("avdec_eac3", "libav", LIBAV),
    need("flacdec", "flac", GOOD),
    need("avdec_alac", "libav", LIBAV),
    need("avdec_amrnb", "libav", LIBAV),
    need("avdec_amrwb", "libav", LIBAV),
    need("avdec_adpcm_ima_qt", "libav", LIBAV),
    need("avdec_adpcm_ima_wav", "libav", LIBAV),
    need("avdec_adpcm_ms", "libav", LIBAV),
    need("avenc_aac", "libav", LIBAV),
    may("vp8dec", "vpx", GOOD),
    may("vp9dec", "vpx", GOOD),
    may("vp8enc", "vpx", GOOD),
    may("vp9enc", "vpx", GOOD),
    may("av1dec", "aom", BAD),
    may("opusdec", "opus", BASE),
    may("opusenc", "opus", BASE),
    may("vorbisdec", "vorbis", BASE),
    may("alawdec", "alaw", GOOD),
    may("mulawdec", "mulaw", GOOD),
    need("videoconvertscale", "videoconvertscale", BASE),
    need("videoconvert", "videoconvertscale", BASE),
    need("videoscale", "videoconvertscale", BASE),
    need("videorate", "videorate", BASE),
    need("videoflip", "videofilter", GOOD),
    need("deinterlace", "deinterlace", GOOD),
    need("audioconvert", "audioconvert", BASE),
    need("audioresample", "audioresample", BASE),
    need("audiorate", "audiorate", BASE),
    may("x264enc", "x264", UGLY),
    may("openh264enc", "openh264", BAD),
    may("voaacenc", "voaacenc", BAD),
    need("jpegenc", "jpeg", GOOD),
    need("jpegdec", "jpeg", GOOD),
];

/// An element that this machine lacks, and what brings it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The element.
    pub element: String,
    /// The Debian package that has it.
    pub package: &'static str,
    /// Without it no video can be taken at all; else one codec cannot.
    pub is_needed: bool,
}

impl Missing {
    /// A sentence for an operator: what is missing, and what to install.
    #[must_use]
    pub fn sentence(missing: &[Self]) -> String {
        let names: Vec<&str> = missing
            .iter()
            .take(6)
            .map(|missing| missing.element.as_str())
            .collect();
        let mut packages: Vec<&str> = missing.iter().map(|missing| missing.package).collect();
        packages.sort_unstable();
        packages.dedup();
        let more = if missing.len() > names.len() {
            " and others"
        } else {
            ""
        };
        format!(
            "GStreamer has no {}{more}; apt-get install --no-install-recommends {}",
            names.join(", "),
            packages.join(" ")
        )
    }

    pub(super) fn of(name: &str) -> Option<Self> {
        let element = ELEMENTS.iter().find(|element| element.name == name)?;
        Some(Self {
            element: name.to_owned(),
            package: element.package,
            is_needed: element.is_needed,
        })
    }
}

/// Where systems keep GStreamer's plugins.
const SYSTEM_FOLDERS: &[&str] = &[
    "/usr/local/lib/gstreamer-1.0",
    "/usr/lib64/gstreamer-1.0",
    "/usr/lib/gstreamer-1.0",
];

/// The folder of links and the registry, as a child is told them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plugins {
    /// Holds `plugins` and `registry.bin`.
    folder: PathBuf,
}

impl Plugins {
    /// Makes what is not there in `home`, and sweeps what older versions of GStreamer have left.
    ///
    /// # Errors
    /// There is no GStreamer on this machine, or `home` cannot be written.
    pub(super) fn prepare(home: &Path) -> Result<Self, PipelineError> {
        let system = system_folder().ok_or_else(|| {
            let all: Vec<Missing> = ELEMENTS
                .iter()
                .filter_map(|element| Missing::of(element.name))
                .collect();
            PipelineError::Unavailable(Missing::sentence(&all))
        })?;
        Self::of_system(&system, home)
            .map_err(|error| PipelineError::System(format!("{}: {error}", home.display())))
    }

    fn of_system(system: &Path, home: &Path) -> std::io::Result<Self> {
        fs::create_dir_all(home)?;
        let home = home.canonicalize()?;
        if home.as_os_str().as_encoded_bytes().contains(&b':') {
            return Err(std::io::Error::other(
                "GStreamer cannot use a folder with a colon in its name",
            ));
        }
        let mut hash = Sha256::new();
        let mut links: Vec<(String, PathBuf)> = Vec::new();
        for element in ELEMENTS {
            let name = format!("libgst{}.so", element.plugin);
            if links.iter().any(|(known, _)| *known == name) {
                continue;
            }
            let target = system.join(&name);
            let Ok(metadata) = fs::metadata(&target) else {
                continue;
            };
            hash.update(name.as_bytes());
            hash.update(metadata.size().to_be_bytes());
            hash.update(metadata.mtime().to_be_bytes());
            hash.update(metadata.mtime_nsec().to_be_bytes());
            links.push((name, target));
        }
        let mark = hex::encode(hash.finalize());
        let name = format!("gstreamer-{}", &mark[..16]);
        let folder = home.join(&name);
        if !folder.join("plugins").is_dir() {
            // By a rename, so that a half-made folder is never used.
            let making = home.join(format!("making-{}", random_hex::<8>()));
            fs::create_dir_all(making.join("plugins"))?;
            for (name, target) in &links {
                symlink(target, making.join("plugins").join(name))?;
            }
            if let Err(error) = fs::rename(&making, &folder) {
                fs::remove_dir_all(&making)?;
                // Another process has made it meanwhile.
                if !folder.join("plugins").is_dir() {
                    return Err(error);
                }
            }
            sweep(&home, &name);
        }
        Ok(Self { folder })
    }

    /// Whether the registry has been made.
    pub(super) fn has_registry(&self) -> bool {
        self.folder.join("registry.bin").is_file()
    }

    /// The whole environment of a child.
    pub(super) fn environment(&self, update: bool) -> Vec<(&'static str, String)> {
        let path = |name: &str| self.folder.join(name).display().to_string();
        vec![
            ("GST_PLUGIN_SYSTEM_PATH_1_0", path("plugins")),
            ("GST_PLUGIN_PATH_1_0", String::new()),
            ("GST_REGISTRY_1_0", path("registry.bin")),
            // No helper process scans: the filter would refuse it, and it would not have our environment.
            ("GST_REGISTRY_FORK", "no".to_owned()),
            (
                "GST_REGISTRY_UPDATE",
                if update { "yes" } else { "no" }.to_owned(),
            ),
            ("GST_DEBUG", "0".to_owned()),
            ("HOME", "/nonexistent".to_owned()),
            ("LC_ALL", "C".to_owned()),
            // Each arena of glibc reserves 64 MiB of the address space that is limited.
            ("MALLOC_ARENA_MAX", "4".to_owned()),
        ]
    }
}

fn system_folder() -> Option<PathBuf> {
    let holds = |folder: &Path| folder.join("libgstcoreelements.so").exists();
    let multiarch = fs::read_dir("/usr/lib")
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| entry.path().join("gstreamer-1.0"));
    let known = SYSTEM_FOLDERS.iter().map(PathBuf::from);
    known.chain(multiarch).find(|folder| holds(folder))
}

/// What is of no use any more; it may stay when it cannot be removed.
fn sweep(home: &Path, keep: &str) {
    for entry in fs::read_dir(home).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_ours = name.starts_with("gstreamer-") || name.starts_with("making-");
        if is_ours && name != keep {
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_on_the_list_reads_a_network_a_device_or_a_path() {
        // Facts of the feasibility study, and what GStreamer's own lists of sources and sinks name.
        let forbidden = [
            "hls",
            "dash",
            "mss",
            "http",
            "curl",
            "rtmp",
            "rtsp",
            "rtp",
            "sdp",
            "srt",
            "udp",
            "tcp",
            "src",
            "uri",
            "playbin",
            "decodebin",
            "typefind",
            "filesink",
            "gio",
            "v4l2",
            "splitmux",
            "multifile",
            "concat",
            "imagesequence",
            "webrtc",
            "nice",
            "rist",
        ];
        for element in ELEMENTS {
            // The host feeds frames by it; it opens nothing.
            if element.name == "appsrc" {
                continue;
            }
            for word in forbidden {
                assert!(!element.name.contains(word), "{}", element.name);
            }
        }
    }

    #[test]
    fn another_version_of_a_plugin_is_another_folder() {
        let system = tempfile::tempdir().unwrap();
        let home = tempfile::tempdir().unwrap();
        let file = system.path().join("libgstx264.so");
        fs::write(&file, "1").unwrap();
        fs::write(system.path().join("libgsthls.so"), "evil").unwrap();
        let first = Plugins::of_system(system.path(), home.path()).unwrap();
        let again = Plugins::of_system(system.path(), home.path()).unwrap();
        assert_eq!(first, again);
        fs::write(&file, "12").unwrap();
        let second = Plugins::of_system(system.path(), home.path()).unwrap();
        assert_ne!(first, second);
        assert!(!first.folder.exists(), "swept");
        let links: Vec<_> = fs::read_dir(second.folder.join("plugins"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(links, ["libgstx264.so"]);
    }
}
