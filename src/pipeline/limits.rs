//! What a child may use, by its kind.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a child is for; also the argument of `griot pipeline` and the `kind` label of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// Makes the registry and says which elements are missing.
    Check,
    /// Looks at a file.
    Probe,
    /// Gives a file's encoded frames.
    Demux,
    /// Decodes once, encodes rungs.
    Transcode,
    /// Single pictures as JPEG.
    Pictures,
    /// Decodes once, encodes VP8 and Opus.
    Webm,
    /// A live's frames in, its rungs out, as long as the live.
    Ladder,
}

impl Kind {
    /// Its name.
    #[must_use]
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Probe => "probe",
            Self::Demux => "demux",
            Self::Transcode => "transcode",
            Self::Pictures => "pictures",
            Self::Webm => "webm",
            Self::Ladder => "ladder",
        }
    }
}

/// Limits of one child. The child applies them to itself before it reads any input, or does not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Limits {
    /// Address space, bytes. Stacks and arenas are counted, so below 1 GiB decoders abort.
    pub(super) memory_bytes: u64,
    /// Seconds of CPU, all threads together.
    pub(super) cpu_s: u64,
    /// Added to the niceness.
    pub(super) nice: i32,
    /// Wall time to the last answer. The time a slow reader takes counts.
    pub(super) deadline: Duration,
    /// Wall time between two answers.
    pub(super) silence: Duration,
    /// The most bytes of answers.
    pub(super) output_bytes: u64,
}

const GIB: u64 = 1 << 30;
/// Twenty years.
const FOR_EVER: Duration = Duration::from_secs(20 * 365 * 86_400);

impl Limits {
    /// Of a child of `kind` for a file of `file_bytes` and, where it is known, `duration_ms`.
    #[must_use]
    pub(super) fn of(kind: Kind, file_bytes: u64, duration_ms: u64) -> Self {
        let file_gib = file_bytes.div_ceil(GIB);
        let seconds = duration_ms.div_ceil(1_000);
        match kind {
            Kind::Check => Self {
                memory_bytes: 4 * GIB,
                cpu_s: 60,
                nice: 0,
                deadline: Duration::from_secs(120),
                silence: Duration::from_secs(120),
                output_bytes: 1 << 20,
            },
            Kind::Probe => Self {
                memory_bytes: 2 * GIB,
                cpu_s: 20 + 20 * file_gib,
                nice: 5,
                deadline: Duration::from_secs(60 + 60 * file_gib),
                silence: Duration::from_secs(30),
                output_bytes: 1 << 20,
            },
            Kind::Demux => Self {
                memory_bytes: 2 * GIB,
                cpu_s: 30 + 60 * file_gib,
                nice: 5,
                deadline: Duration::from_secs(600 + 600 * file_gib),
                silence: Duration::from_secs(60),
                output_bytes: file_bytes + file_bytes / 4 + (64 << 20),
            },
            // Ten cores' seconds for each of the source's: a slow codec at 4K, five rungs.
            Kind::Transcode => Self {
                memory_bytes: 4 * GIB,
                cpu_s: 120 + 20 * seconds,
                nice: 10,
                deadline: Duration::from_secs(600 + 60 * seconds),
                silence: Duration::from_secs(120),
                output_bytes: (256 << 20) + 4_000_000 * seconds,
            },
            // As a transcode of one rung; what has all the time of the world must not be taken for one that hangs.
            Kind::Webm => Self {
                memory_bytes: 4 * GIB,
                cpu_s: 120 + 10 * seconds,
                nice: 19,
                deadline: Duration::from_secs(3_600 + 60 * seconds),
                silence: Duration::from_secs(600),
                output_bytes: (256 << 20) + 2_000_000 * seconds,
            },
            Kind::Pictures => Self {
                memory_bytes: 2 * GIB,
                cpu_s: 120 + 60 * file_gib,
                nice: 10,
                deadline: Duration::from_secs(300 + 120 * file_gib),
                silence: Duration::from_secs(60),
                output_bytes: 256 << 20,
            },
            // A live may last for ever: only its memory and its silence are bounded. Nicer than the server, less so than
            // work that nobody waits for.
            Kind::Ladder => Self {
                memory_bytes: 4 * GIB,
                cpu_s: FOR_EVER.as_secs(),
                nice: 5,
                deadline: FOR_EVER,
                silence: Duration::from_secs(5),
                output_bytes: u64::MAX,
            },
        }
    }
}
