//! griot: encoders publish over RTMP, viewers play low-latency HLS, every live is a replay the moment it stops.
//!
//! The map of the house. A room uses rooms of lower storeys only; ARCHITECTURE.md explains, and
//! `tests/it/architecture.rs` fails on an arrow outside its table.

// 5 entry
pub mod app;
pub mod cli;
// 4 delivery
pub mod http;
pub mod ingest;
pub mod web;
// 3 services
pub mod accounts;
pub mod geo;
pub mod jobs;
pub mod live;
pub mod media;
pub mod posts;
pub mod recording;
pub mod rendition;
pub mod uploads;
// 2 adapters
pub mod objects;
pub mod pipeline;
pub mod store;
pub mod tls;
// 1 formats
pub mod flv;
pub mod fmp4;
pub mod hls;
pub mod rtmp;
pub mod webm;
// 0 ground
pub mod av;
pub mod base;
