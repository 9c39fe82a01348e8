//! `griot worker`

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::output;
use crate::app::{self, Config, Signals};

#[derive(Debug, Args)]
pub(super) struct Worker {
    /// Jobs at a time; jobs.workers of the settings, or one for each processor where that is 0.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
}

pub(super) async fn worker(config: &Config, arguments: Worker) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen().context("the operating system gives no signals")?;
    let worker = tokio::select! {
        started = app::work(config, arguments.workers.map(usize::from)) => started?,
        signal = signals.next() => {
            tracing::info!(signal, "stopped before it was ready");
            return Ok(ExitCode::SUCCESS);
        }
    };
    output::line("griot worker ready");
    let signal = signals.next().await;
    tracing::info!(signal, "stopping; a second signal aborts");
    tokio::select! {
        biased;
        () = worker.stop() => Ok(ExitCode::SUCCESS),
        signal = signals.next() => {
            tracing::warn!(signal, "aborted; other workers take over when the leases end");
            Ok(ExitCode::FAILURE)
        }
    }
}
