//! `griot serve`

use std::process::ExitCode;

use anyhow::Context;

use super::output;
use crate::app::{self, Config, Signals};

pub(super) async fn serve(config: &Config) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen().context("the operating system gives no signals")?;
    let server = tokio::select! {
        started = app::start(config) => started?,
        signal = signals.next() => {
            tracing::info!(signal, "stopped before it was ready");
            return Ok(ExitCode::SUCCESS);
        }
    };
    output::line(&server.addresses().to_string());

    let code = tokio::select! {
        biased;
        signal = signals.next() => {
            tracing::info!(signal, "stopping; a second signal aborts");
            ExitCode::SUCCESS
        }
        () = server.broken() => {
            tracing::error!("a listener has ended by itself; stopping");
            ExitCode::FAILURE
        }
    };
    tokio::select! {
        biased;
        () = server.stop() => Ok(code),
        signal = signals.next() => {
            tracing::warn!(signal, "aborted; the next start recovers what was not written");
            Ok(ExitCode::FAILURE)
        }
    }
}
