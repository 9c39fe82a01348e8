//! The built page, embedded; no logic.
