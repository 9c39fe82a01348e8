//! `griot pipeline KIND`: what the server starts for itself, see `pipeline::child`.

use std::process::ExitCode;

use clap::Args;

use crate::pipeline::child;

/// A child of the server; of no use by hand.
#[derive(Debug, Args)]
pub(super) struct Pipeline {
    /// What for; the task itself comes on the socket that is its standard input.
    kind: String,
}

/// Runs without a runtime and without settings: a child has one thread until it is locked up, and no environment.
pub(super) fn pipeline(command: &Pipeline) -> ExitCode {
    child::run(&command.kind)
}
