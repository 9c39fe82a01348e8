//! The only axum: router, extraction, errors, one file per area.
