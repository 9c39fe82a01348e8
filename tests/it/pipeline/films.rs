//! Files to be looked at, made by ffmpeg, and the host that looks.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use griot::pipeline::{Config, Host};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::tool;

pub(crate) const GRIOT: &str = env!("CARGO_BIN_EXE_griot");

/// A host with a folder of its own, whose children are the real program.
pub(crate) struct Bench {
    pub(crate) host: Host,
    pub(crate) folder: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut config = Config::in_folder(folder.path().join("pipeline"));
        config.program = PathBuf::from(GRIOT);
        change(&mut config);
        Self {
            host: Host::new(config),
            folder,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A film of six seconds, 320 × 180, 25 pictures and a beep a second, made by ffmpeg with these options.
    pub(crate) fn film(&self, name: &str, options: &[&str]) -> PathBuf {
        self.film_of(name, "testsrc2=s=320x180:r=25:d=6", options)
    }

    /// The same with another picture.
    pub(crate) fn film_of(&self, name: &str, picture: &str, options: &[&str]) -> PathBuf {
        let path = self.path(name);
        let shown = path.to_str().expect("UTF-8");
        let mut arguments = vec!["-v", "error", "-y", "-f", "lavfi", "-i", picture];
        arguments.extend(["-f", "lavfi", "-i", "sine=f=440:r=48000:d=6"]);
        arguments.extend(["-threads", "2"]);
        arguments.extend_from_slice(options);
        arguments.push(shown);
        tool("ffmpeg", &arguments, None);
        path
    }

    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("a file");
        path
    }
}

pub(crate) fn open(path: &Path) -> File {
    File::open(path).expect("the file is there")
}

/// What ffprobe says of a file.
pub(crate) fn ffprobe(path: &Path) -> Value {
    let shown = path.to_str().expect("UTF-8");
    let arguments = [
        "-v",
        "error",
        "-of",
        "json",
        "-count_packets",
        "-show_format",
        "-show_streams",
        shown,
    ];
    serde_json::from_slice(&tool("ffprobe", &arguments, None)).expect("JSON")
}

/// A program in a child's place: the check is the real one's, then comes `script`.
pub(crate) fn stand_in(script: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("stand-in");
    let text = format!(
        "#!/bin/sh\n[ \"$2\" = check ] && exec {GRIOT} \"$@\"\nPATH=/usr/bin:/bin\n{script}\n"
    );
    std::fs::write(&path, text).expect("a script");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("a run bit");
    (folder, path)
}

/// The usual way to have sound and picture that need no transcode.
pub(crate) const PLAIN: &[&str] = &[
    "-c:v",
    "libx264",
    "-preset",
    "ultrafast",
    "-pix_fmt",
    "yuv420p",
    "-c:a",
    "aac",
];
