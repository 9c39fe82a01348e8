//! Whether a recording holds what an encoder was given to send.

use std::fmt;
use std::path::PathBuf;

use tempfile::TempDir;

use super::{Packet, Packets};

/// RTMP's clock is milliseconds: times that passed through it may be off by one.
const MILLISECOND: f64 = 0.001;

/// What of a source a recording holds: all of it up to some packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Kept {
    /// Pictures.
    pub(crate) pictures: usize,
    /// Packets of sound.
    pub(crate) sounds: usize,
    /// Packets of sound that end before the first picture, which nobody could be shown with.
    pub(crate) sounds_before_the_picture: usize,
    /// Packets that lack at the end, of both tracks.
    pub(crate) missing_at_the_end: usize,
    /// From the first to the end of the last packet that was kept, by the source's clock, seconds.
    pub(crate) duration_s: f64,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pictures, {} sounds", self.pictures, self.sounds)?;
        if self.missing_at_the_end > 0 {
            write!(f, ", {} missing at the end", self.missing_at_the_end)?;
        }
        Ok(())
    }
}

/// A recording as a file; the folder goes with its value.
pub(crate) fn saved(recording: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("recording.mp4");
    std::fs::write(&file, recording).expect("room for the recording");
    (folder, file)
}

/// Compares by the hash of each packet: the recording must be the source, but for sound that ends before the first
/// picture and for packets at the end. The first difference otherwise.
pub(crate) fn kept(sent: &Packets, recorded: &Packets) -> Result<Kept, String> {
    let first_picture = sent.video.first().map_or(f64::MIN, |packet| packet.pts_s);
    let before = sent
        .audio
        .iter()
        .take_while(|packet| packet.end_s <= first_picture + MILLISECOND)
        .count();
    let pictures = leading("pictures", &sent.video, &recorded.video)?;
    let mut sounds = Err(String::new());
    let mut skipped = 0;
    while sounds.is_err() && skipped <= before {
        sounds = leading("sound", &sent.audio[skipped..], &recorded.audio);
        skipped += 1;
    }
    let (sounds, skipped) = (sounds?, skipped - 1);
    let (shown, heard) = (
        &sent.video[..pictures],
        &sent.audio[skipped..skipped + sounds],
    );
    // The source's edit list cuts its last packet of sound short; RTMP has no such thing.
    let whole = heard.iter().map(|packet| packet.end_s - packet.pts_s);
    let whole = whole.fold(0.0, f64::max);
    let ends = shown
        .iter()
        .map(|packet| packet.end_s)
        .chain(heard.iter().map(|packet| packet.pts_s + whole));
    let begin = match sent.video.is_empty() {
        true => sent.audio.first().map_or(0.0, |packet| packet.pts_s),
        false => first_picture,
    };
    Ok(Kept {
        pictures,
        sounds,
        sounds_before_the_picture: skipped,
        missing_at_the_end: sent.video.len() - pictures + sent.audio.len() - skipped - sounds,
        duration_s: ends.fold(f64::MIN, f64::max) - begin,
    })
}

/// How many packets `recorded` has, if they are the first of `sent`.
fn leading(what: &str, sent: &[Packet], recorded: &[Packet]) -> Result<usize, String> {
    let differs = recorded
        .iter()
        .enumerate()
        .find(|(at, packet)| sent.get(*at).is_none_or(|sent| sent.hash != packet.hash));
    match differs {
        None => Ok(recorded.len()),
        Some((at, _)) => Err(format!(
            "{what}: {} sent, {} kept, number {at} is another",
            sent.len(),
            recorded.len()
        )),
    }
}
