//! A viewer that keeps what it saw: every part of a live, by the address that the playlist gave it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{PATIENCE, Player, Playlist};

/// A part as it was fetched.
#[derive(Clone, Debug)]
pub(crate) struct KeptPart {
    /// As the playlist wrote it: `run/msn.part.m4s`.
    pub(crate) uri: String,
    /// What was answered.
    pub(crate) bytes: Vec<u8>,
    /// Where it begins on the playlist's timeline, seconds.
    pub(crate) at_s: f64,
}

#[derive(Default)]
struct Memory {
    /// By media sequence number and place in the segment.
    parts: BTreeMap<(u64, usize), KeptPart>,
    /// The last playlist that came.
    playlist: Playlist,
}

/// Follows the low-latency playlist by blocking reloads until it is dropped; a server that is gone is asked again.
pub(crate) struct Follower {
    memory: Arc<Mutex<Memory>>,
    count: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl Follower {
    /// Follows what `player` has opened.
    pub(crate) fn of(player: Player) -> Self {
        let memory = Arc::<Mutex<Memory>>::default();
        let (tell, count) = watch::channel(0);
        let seen = Arc::clone(&memory);
        // A test's task; it ends with its follower.
        #[expect(
            clippy::disallowed_methods,
            reason = "tests have no Tasks of the server"
        )]
        let task = tokio::spawn(async move {
            loop {
                let last = lock(&seen).playlist.clone();
                let Some(playlist) = player.try_after(&last).await else {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                };
                for (place, uri, at_s) in parts_of(&playlist) {
                    if lock(&seen).parts.contains_key(&place) {
                        continue;
                    }
                    if let Some(bytes) = player.try_bytes(&uri).await {
                        lock(&seen)
                            .parts
                            .insert(place, KeptPart { uri, bytes, at_s });
                    }
                }
                let ended = playlist.ended;
                let mut memory = lock(&seen);
                memory.playlist = playlist;
                tell.send_replace(memory.parts.len());
                if ended {
                    return;
                }
            }
        });
        Self {
            memory,
            count,
            task,
        }
    }

    /// Waits until it has kept so many parts.
    pub(crate) async fn until_parts(&self, least: usize) {
        let mut count = self.count.clone();
        let kept = tokio::time::timeout(PATIENCE, count.wait_for(|count| *count >= least)).await;
        assert!(
            matches!(kept, Ok(Ok(_))),
            "kept {} of {least} parts",
            lock(&self.memory).parts.len()
        );
    }

    /// What it has kept until now, in order.
    pub(crate) fn kept(&self) -> Vec<KeptPart> {
        lock(&self.memory).parts.values().cloned().collect()
    }

    /// The last playlist that came.
    pub(crate) fn playlist(&self) -> Playlist {
        lock(&self.memory).playlist.clone()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(memory: &Arc<Mutex<Memory>>) -> MutexGuard<'_, Memory> {
    memory.lock().expect("no test panics while it holds this")
}

/// Every part that is listed: its place, its URI, its time.
fn parts_of(playlist: &Playlist) -> Vec<((u64, usize), String, f64)> {
    let mut parts = Vec::new();
    let mut at_s = 0.0;
    let next = playlist
        .segments
        .last()
        .map_or(0, |segment| segment.msn + 1);
    let open = (next, &playlist.open_parts);
    for segment in &playlist.segments {
        let mut part_s = at_s;
        for (index, part) in segment.parts.iter().enumerate() {
            parts.push(((segment.msn, index), part.uri.clone(), part_s));
            part_s += part.duration_s;
        }
        at_s += segment.duration_s;
    }
    for (index, part) in open.1.iter().enumerate() {
        parts.push(((open.0, index), part.uri.clone(), at_s));
        at_s += part.duration_s;
    }
    parts
}
