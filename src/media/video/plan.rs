//! Which renditions are made of a file.

use crate::pipeline::{Ladder, ProbeReport, Rung, Transcode};

/// The rendition that the file itself becomes, or that stands for it.
pub(super) const SOURCE: &str = "source";

/// A transcode, and what its rungs are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) names: Vec<String>,
    pub(super) transcode: Transcode,
}

/// The rate that all pictures are put on. Where they come unevenly, the average would lose those that come in bursts.
fn steady_rate(report: &ProbeReport) -> (u32, u32) {
    let video = &report.video;
    let rate = if video.variable || video.longest_pause_ms > 1_000 {
        video.frame_rate.max(video.usual_rate)
    } else {
        video.frame_rate
    };
    Ladder::frame_rate(rate)
}

impl Plan {
    /// What stands for a file that cannot be played as it is.
    pub(super) fn of_source(ladder: &Ladder, report: &ProbeReport) -> Self {
        let rate = steady_rate(report);
        let (width, height) = (report.video.display_width, report.video.display_height);
        let rung = ladder.replacement(width, height, rate);
        Self::new(vec![(SOURCE.to_owned(), rung)], report, rate)
    }

    /// Everything below the first rendition, whose upright pixels these are, but what is `there`. `None`: nothing.
    pub(super) fn of_rest(
        ladder: &Ladder,
        report: &ProbeReport,
        (width, height): (u32, u32),
        there: &[String],
    ) -> Option<Self> {
        let rate = steady_rate(report);
        let mut rungs = ladder.below(width, height, rate);
        rungs.extend(ladder.sound_alone().filter(|_| report.audio.is_some()));
        rungs.retain(|(name, _)| !there.contains(name));
        rungs.truncate(Transcode::MAX_RUNGS);
        (!rungs.is_empty()).then(|| Self::new(rungs, report, rate))
    }

    fn new(rungs: Vec<(String, Rung)>, report: &ProbeReport, frame_rate: (u32, u32)) -> Self {
        let (names, mut rungs): (Vec<String>, Vec<Rung>) = rungs.into_iter().unzip();
        if report.audio.is_none() {
            rungs.iter_mut().for_each(|rung| rung.audio = None);
        }
        Self {
            names,
            transcode: Transcode {
                rungs,
                frame_rate,
                deinterlace: report.video.interlaced,
                turned: report.video.rotation != 0 || report.video.mirrored,
                duration_ms: report.duration_ms,
            },
        }
    }

    /// Pictures per second of what comes out.
    pub(super) fn frame_rate(&self) -> f64 {
        let (frames, seconds) = self.transcode.frame_rate;
        f64::from(frames) / f64::from(seconds.max(1))
    }
}
