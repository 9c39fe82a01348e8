//! Logs to stderr, metrics for `/metrics`.

use std::io::IsTerminal;

use anyhow::Context;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// Upper bounds of the buckets of every duration, in seconds: from one playlist to one blocked reload.
const DURATION_BUCKETS_S: &[f64] = &[
    0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Sends log events that pass `filter` to stderr: as text to a terminal, one JSON object a line to
/// anything else. Once per process.
///
/// # Errors
/// `filter` is no filter, or logging was set up before.
pub fn log_to_stderr(filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::builder()
        .parse(filter)
        .context("log (GRIOT_LOG) is no log filter like `info,griot=debug`")?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let set_up = if std::io::stderr().is_terminal() {
        builder.with_target(false).try_init()
    } else {
        builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .try_init()
    };
    set_up.map_err(|error| anyhow::anyhow!("logging cannot be set up: {error}"))
}

/// Collects what `metrics::…!` count from now on; the handle renders it. Once per process. Whoever holds
/// the handle calls `run_upkeep` every few seconds, or histograms that nobody fetches grow.
///
/// # Errors
/// Metrics were set up before.
pub fn install_metrics() -> anyhow::Result<PrometheusHandle> {
    PrometheusBuilder::new()
        .set_buckets(DURATION_BUCKETS_S)
        .and_then(PrometheusBuilder::install_recorder)
        .context("metrics cannot be set up")
}
