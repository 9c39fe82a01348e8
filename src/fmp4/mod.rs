//! Frames to init section and parts; sample index to the final moov; scan.
