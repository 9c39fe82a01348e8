//! What there is to play of a live, as JSON: `renditions: [{name, state, width, height, video_codec, audio_codec, bandwidth,
//! mp4_url}]`, best first, the encoder's own at the head.
//!
//! `state` is `planned` (no media yet), `live`, `shed` (gone for want of CPU, or its child is being replaced; it may come
//! back) or `ended`. `bandwidth` is bits a second as the multivariant playlist tells it; sound alone has no size. What is not
//! known yet is null.

use serde_json::{Value, json};

use super::links::{Links, SOURCE};
use crate::av::Timescale;
use crate::hls::Variant;
use crate::live::{LadderView, RungState};
use crate::store::{Live, LiveStatus, Run, RunState, WholeRecording};

/// One rendition: as it stands in memory, and as the rows have it.
struct Rendition<'a> {
    name: &'a str,
    state: RungState,
    planned: Option<(u32, u32)>,
    variant: Option<Variant>,
    run: Option<&'a Run>,
}

/// All of them: while the live runs as they stand, after its end as the rows have them.
pub(super) fn shown(
    links: &Links,
    live: &Live,
    ladder: &LadderView,
    source: Option<&Variant>,
    recording: Option<&WholeRecording>,
) -> Vec<Value> {
    let runs = recording.map_or(&[][..], |recording| &recording.runs);
    let longest = |name: &str| {
        let own = runs.iter().filter(|run| run.rendition == name);
        own.max_by_key(|run| run.duration)
    };
    let mut all: Vec<Rendition<'_>> = Vec::new();
    if source.is_some() || longest(SOURCE).is_some() {
        all.push(Rendition {
            name: SOURCE,
            state: match (live.status, source) {
                (LiveStatus::Ended, _) => RungState::Ended,
                (_, Some(_)) => RungState::Live,
                (_, None) => RungState::Planned,
            },
            planned: None,
            variant: source.cloned(),
            run: longest(SOURCE),
        });
    }
    for rung in &ladder.rungs {
        let name = rung.reader.name();
        all.push(Rendition {
            name,
            state: rung.state,
            planned: rung.size,
            variant: rung.reader.variant(),
            run: longest(name),
        });
    }
    for run in runs {
        let name = run.rendition.as_str();
        if all.iter().all(|one| one.name != name) {
            all.push(Rendition {
                name,
                state: RungState::Ended,
                planned: None,
                variant: None,
                run: longest(name),
            });
        }
    }
    let each = all.iter().map(|one| one.shown(links, &live.playback_id));
    each.collect()
}

impl Rendition<'_> {
    fn shown(&self, links: &Links, playback_id: &str) -> Value {
        let announced = self.variant.as_ref().and_then(|variant| variant.resolution);
        let size = announced.or(self.planned);
        let row = |side: fn(&Run) -> Option<i64>| self.run.and_then(side);
        let width = size.map(|(width, _)| i64::from(width));
        let height = size.map(|(_, height)| i64::from(height));
        let (video, audio) = self.codecs();
        let last = self.run.filter(|run| run.state == RunState::Final);
        let number = last.and_then(|run| u32::try_from(run.number).ok());
        json!({
            "name": self.name,
            "state": self.state.as_str(),
            "width": width.or_else(|| row(|run| run.width)),
            "height": height.or_else(|| row(|run| run.height)),
            "video_codec": video,
            "audio_codec": audio,
            "bandwidth": self.bandwidth(),
            "mp4_url": number.map(|number| links.mp4(playback_id, self.name, number)),
        })
    }

    /// Of the row, else of the CODECS attribute.
    fn codecs(&self) -> (Option<String>, Option<String>) {
        if let Some(run) = self.run {
            return (run.video_codec.clone(), run.audio_codec.clone());
        }
        let codecs = self.variant.as_ref().map_or("", |variant| &variant.codecs);
        let told = |known: &[(&str, &str)]| {
            let mut found = known.iter().filter(|(prefix, _)| {
                let mut each = codecs.split(',');
                each.any(|codec| codec.starts_with(prefix))
            });
            found.next().map(|(_, name)| (*name).to_owned())
        };
        let video = [
            ("avc1", "h264"),
            ("hvc1", "hevc"),
            ("av01", "av1"),
            ("vp09", "vp9"),
        ];
        let audio = [("mp4a.40.34", "mp3"), ("mp4a", "aac"), ("opus", "opus")];
        (told(&video), told(&audio))
    }

    /// A fifth above the mean where only the row is known.
    fn bandwidth(&self) -> Option<u64> {
        if let Some(variant) = &self.variant {
            return Some(variant.bandwidth);
        }
        let run = self.run.filter(|run| run.duration.0 > 0)?;
        let second = i64::from(Timescale::VIDEO.get());
        let mean = run.bytes.saturating_mul(8).saturating_mul(second) / run.duration.0;
        u64::try_from(mean + mean / 5).ok()
    }
}
