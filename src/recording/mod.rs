//! What a live leaves behind: its rows, sessions, gaps, and the files behind its URLs.
