//! What a packager had to do to its input.

/// Counts since the packager was made; every field only grows. Frames unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PackagerCounters {
    /// Pictures dropped because no key frame had come yet in the session.
    pub video_before_key: u64,
    /// Sound dropped because it ended before the first picture of the session.
    pub audio_before_picture: u64,
    /// Sound dropped because it overlapped sound that was already placed.
    pub audio_overlap: u64,
    /// Frames dropped because they cannot belong here: empty, larger than 32 MiB, of a track that the file
    /// has not, outside a session, more than ten seconds away from the other track.
    pub stray: u64,
    /// Silent frames inserted where sound was missing.
    pub silence_inserted: u64,
    /// Times the encoder's clock jumped (back, or ahead by more than ten seconds) and the timeline went on where it was.
    pub timeline_restarts: u64,
    /// Holes in which no track had anything and that were closed.
    pub holes_closed: u64,
    /// Pictures that came off the frame grid by more than the blur of a millisecond clock.
    pub off_grid: u64,
    /// Times the frame grid was given up and measured anew.
    pub grid_lost: u64,
    /// Pictures whose decoding time had to be moved because it did not grow.
    pub dts_moved: u64,
    /// Parts shorter than 85 % of the part target that are neither independent nor a segment's last.
    pub short_parts: u64,
    /// Segments cut by force because no key frame came in time.
    pub forced_cuts: u64,
}
