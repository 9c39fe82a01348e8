//! griot from the outside: the real binary, real encoders, HTTP.
//!
//! One binary, so that it is linked once. `support/` starts servers, members, encoders and players; each
//! other file is an area. Nothing here skips: a tool that is missing fails its test and says how to get it.

// The fuzz targets name the fuzzer's crate: here it is this one, see `fuzz.rs`.
extern crate self as libfuzzer_sys;

mod support;

mod accounts;
mod architecture;
mod check;
mod config;
mod database;
mod delivery;
mod disk;
mod docs;
mod doctor;
mod encoders;
mod films;
mod fuzz;
mod hls_rules;
mod hostile;
mod jobs;
mod ladder;
mod live;
mod matrix;
mod metrics;
mod midstream;
mod migrations;
mod objects;
mod pipeline;
mod proxies;
mod recording;
mod sending;
mod sessions;
mod start;
mod store_contract;
mod survive;
mod tls;
mod tus;
mod uploads;
mod videos;
mod webm;
