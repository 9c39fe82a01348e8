//! Window of segments and parts, playlist text, blocking-reload rule (RFC 8216bis).
