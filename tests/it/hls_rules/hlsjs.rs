//! hls.js' own parser as a judge: playlists and what we read in them go into a folder, node reads both.

use std::path::Path;
use std::process::Command;

use griot::hls::{Form, Snapshot};
use tempfile::TempDir;

use super::playlist::{Playlist, parse, quoted};

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hlsjs");

/// Playlists that wait to be judged.
pub(crate) struct Folder {
    folder: TempDir,
    count: usize,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            count: 0,
        }
    }

    /// Adds all forms of a snapshot's playlist.
    pub(crate) fn add(&mut self, snapshot: &Snapshot) {
        if !snapshot.has_media() {
            return;
        }
        let reports: Vec<_> = snapshot
            .report("../720p/index.m3u8", false)
            .into_iter()
            .collect();
        for (skip, without_parts) in [(false, false), (true, false), (false, true)] {
            let form = Form {
                skip,
                without_parts,
                gzip: false,
            };
            let text = snapshot.playlist(form, &reports);
            let read = parse(&text).expect("the strict reader comes first");
            // hls.js has nothing to hold on to in a playlist without any segment (`ll=0` at the very start).
            if read.segments.is_empty() && read.edge.parts.is_empty() {
                continue;
            }
            let path = self.folder.path().join(format!("{:05}", self.count));
            std::fs::write(path.with_extension("m3u8"), &text).expect("a file is written");
            std::fs::write(path.with_extension("json"), expected(&read))
                .expect("a file is written");
            self.count += 1;
        }
    }

    /// Fails unless hls.js accepts every one and reads in it what we read.
    pub(crate) fn judge(self) {
        assert!(self.count > 100, "only {} playlists", self.count);
        assert!(
            Path::new(HERE).join("node_modules/hls.js").exists(),
            "hls.js is not installed: run `npm ci` in tests/hlsjs (script/test does)"
        );
        let said = Command::new("node")
            .arg("parse.mjs")
            .arg(self.folder.path())
            .current_dir(HERE)
            .output()
            .expect("node is installed: `apt install nodejs` (script/test does)");
        let (out, err) = (
            String::from_utf8_lossy(&said.stdout),
            String::from_utf8_lossy(&said.stderr),
        );
        assert!(said.status.success(), "{out}\n{err}");
        assert_eq!(out.trim(), format!("{} playlists accepted", self.count));
    }
}

/// What hls.js must find in a playlist.
fn expected(read: &Playlist) -> String {
    let seconds = |nanos: u64| nanos as f64 / 1e9;
    let hint = read
        .hints
        .first()
        .map(|hint| quoted(hint, "URI").expect("checked"));
    let durations = read.segments.iter().filter_map(|segment| segment.duration);
    serde_json::json!({
        "startSN": read.media_sequence,
        "skippedSegments": read.skipped,
        "segments": read.segments.len(),
        "uris": read.segments.iter().map(|segment| &segment.uri).collect::<Vec<_>>(),
        "gaps": read.segments.iter().map(|segment| segment.gap).collect::<Vec<_>>(),
        "maps": maps(read),
        "discontinuities": read.segments.iter().filter(|segment| segment.discontinuity).count(),
        "seconds": seconds(durations.sum()),
        "targetduration": read.target_duration,
        "partTarget": read.part_target.map_or(0.0, seconds),
        "parts": read.parts().map(|part| (&part.uri, part.independent)).collect::<Vec<_>>(),
        "hint": hint,
        "reports": read.reports.len(),
        "live": !read.ended,
        "type": read.kind,
        "canBlockReload": true,
        "canSkipUntil": 36,
    })
    .to_string()
}

/// The init section of each segment; in a delta update none is known before the first that names one.
fn maps(read: &Playlist) -> Vec<Option<&str>> {
    let mut map = None;
    let each = read.segments.iter().map(|segment| {
        map = segment.map.as_deref().or(map);
        map
    });
    each.collect()
}
