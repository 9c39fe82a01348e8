//! OBS Studio 29 (Debian's) without a screen: Xvfb, software GL, a prepared home.
//!
//! The home holds a profile (640×360, 30 fps, x264 ultrafast, a key frame each second), a scene with the clip as a
//! looping media source (so there is sound, without any sound device), and the custom RTMP service. A scene that
//! is there already lets the very first start stream.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use super::{Process, clip, eventually};

/// A running OBS, streaming or trying to. Killed on drop: asked politely, OBS opens a dialog.
pub(crate) struct Obs {
    obs: Process,
    _screen: Process,
    _home: TempDir,
}

impl Obs {
    /// Starts a screen and OBS on it, which begins to stream to `server` with `key` at once.
    pub(crate) async fn stream_to(server: &str, key: &str) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let config = home.path().join(".config/obs-studio");
        let profile = config.join("basic/profiles/griot");
        let scenes = config.join("basic/scenes");
        let runtime = home.path().join("runtime");
        for folder in [&profile, &scenes, &runtime] {
            fs::create_dir_all(folder).expect("a folder");
        }
        write(&config.join("global.ini"), GLOBAL_INI);
        write(&profile.join("basic.ini"), BASIC_INI);
        let service = json!({"type": "rtmp_custom", "settings": {"server": server, "key": key, "use_auth": false}});
        write(&profile.join("service.json"), &service.to_string());
        write(&scenes.join("griot.json"), &scene());

        // With -displayfd Xvfb takes a free number and writes it where it is told, once clients may come.
        let number = home.path().join("display");
        let screen = Process::start_with_stdout(
            "Xvfb",
            Command::new("Xvfb").args([
                "-displayfd",
                "1",
                "-screen",
                "0",
                "800x600x24",
                "-nolisten",
                "tcp",
            ]),
            Some(fs::File::create(&number).expect("a file for stdout").into()),
        );
        let display = eventually("Xvfb has a display", || async {
            let printed = fs::read_to_string(&number).unwrap_or_default();
            assert!(screen.runs(), "Xvfb ended:\n{}", screen.said());
            if printed.ends_with('\n') {
                Ok(format!(":{}", printed.trim()))
            } else {
                Err(printed)
            }
        })
        .await;
        let obs = Process::start(
            "obs",
            Command::new("obs")
                .args(["--startstreaming", "--multi", "--verbose"])
                .env("HOME", home.path())
                .env("XDG_RUNTIME_DIR", &runtime)
                .env_remove("XDG_CONFIG_HOME")
                .env("DISPLAY", display)
                .env("LIBGL_ALWAYS_SOFTWARE", "1")
                .env("QT_QPA_PLATFORM", "xcb"),
        );
        Self {
            obs,
            _screen: screen,
            _home: home,
        }
    }

    /// Waits until its log holds one of `sentences`; returns the log.
    pub(crate) async fn says(&self, sentences: &[&str]) -> String {
        eventually(&format!("OBS says one of {sentences:?}"), || async {
            let said = self.obs.said();
            if sentences.iter().any(|sentence| said.contains(sentence)) {
                return Ok(said);
            }
            assert!(self.obs.runs(), "OBS ended:\n{said}");
            Err(last_lines(&said, 20))
        })
        .await
    }

    /// Kills it.
    pub(crate) async fn kill(&self) {
        self.obs.kill().await;
    }
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut tail = String::new();
    for line in &lines[lines.len().saturating_sub(count)..] {
        writeln!(tail, "{line}").expect("a string takes all");
    }
    tail
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("a file in a temporary folder");
}

/// The clip, twice as large: it fills 640×360.
fn scene() -> String {
    let clip = clip();
    json!({
        "name": "griot",
        "current_scene": "Scene",
        "current_program_scene": "Scene",
        "scene_order": [{"name": "Scene"}],
        "sources": [
            {"id": "scene", "versioned_id": "scene", "name": "Scene", "settings": {
                "id_counter": 1, "custom_size": false,
                "items": [{"name": "clip", "id": 1, "visible": true, "align": 5, "bounds_type": 0,
                           "pos": {"x": 0.0, "y": 0.0}, "scale": {"x": 2.0, "y": 2.0}}]}},
            {"id": "ffmpeg_source", "versioned_id": "ffmpeg_source", "name": "clip", "enabled": true,
             "muted": false, "volume": 1.0, "mixers": 255, "settings": {
                "is_local_file": true, "local_file": clip.display().to_string(), "looping": true,
                "restart_on_activate": false, "hw_decode": false}},
        ],
    })
    .to_string()
}

/// `LastVersion` and the `Pre…` keys keep OBS from showing news and migrating settings.
const GLOBAL_INI: &str = "\
[General]
FirstRun=true
LastVersion=486539266
InfoIncrement=100
EnableAutoUpdates=false
Pre19Defaults=false
Pre21Defaults=false
Pre23Defaults=false
Pre24.1Defaults=false

[Basic]
Profile=griot
ProfileDir=griot
SceneCollection=griot
SceneCollectionFile=griot
ConfigOnNewProfile=false

[BasicWindow]
SysTrayEnabled=false
WarnBeforeStartingStream=false
WarnBeforeStoppingStream=false
";

const BASIC_INI: &str = "\
[General]
Name=griot

[Output]
Mode=Simple
Reconnect=false

[SimpleOutput]
StreamEncoder=x264
StreamAudioEncoder=aac
UseAdvanced=true
VBitrate=600
ABitrate=96
Preset=ultrafast
x264Settings=keyint=30 threads=1

[Video]
BaseCX=640
BaseCY=360
OutputCX=640
OutputCY=360
FPSType=0
FPSCommon=30

[Audio]
SampleRate=48000
ChannelSetup=Stereo
";
