//! Arguments, settings, runtime; then one command.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

use super::{check, demo, demo_live, doctor, jobs, migrate, pipeline, serve, user, worker};
use crate::app::{Config, log_to_stderr};

/// Self-hosted live streaming: RTMP in, low-latency HLS out, a replay the moment the live stops.
#[derive(Debug, Parser)]
#[command(name = "griot", version)]
struct Arguments {
    /// Settings; griot.toml in this folder when there is one. griot.sample.toml explains each key.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server until SIGTERM or SIGINT; a second signal aborts.
    Serve,
    /// Does jobs and nothing else, beside a server or on another machine with the same database and bucket.
    Worker(worker::Worker),
    /// The queue of jobs: list, retry, cancel.
    #[command(subcommand)]
    Jobs(jobs::JobsCommand),
    /// Brings the database to this version; `serve` does so by itself.
    Migrate,
    /// Compares the rows of recordings with spool and media, both ways; can mend.
    Check(check::Check),
    /// Says whether this machine is ready for griot, and what to do where it is not.
    Doctor,
    /// Members: add, password, role, disable, enable, list.
    #[command(subcommand)]
    User(user::UserCommand),
    /// Makes the member `demo` and prints how to log in and what to type into OBS.
    Demo,
    /// Publishes a test clip (bars, moving clock, beep) through the RTMP port, over and over.
    DemoLive(demo_live::DemoLive),
    /// A child of the server that reads media; not for people.
    #[command(hide = true)]
    Pipeline(pipeline::Pipeline),
}

/// The whole program: reads the process's arguments, answers its exit code.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    if let Command::Pipeline(command) = &arguments.command {
        return pipeline::pipeline(command);
    }
    match execute(arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("griot: {}", in_one_line(&error));
            ExitCode::FAILURE
        }
    }
}

fn execute(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let config = match Config::of_process(arguments.config.as_deref()) {
        Ok(config) => config,
        Err(error) if matches!(arguments.command, Command::Doctor) => {
            return Ok(doctor::refused_settings(&error));
        }
        Err(error) => return Err(error.into()),
    };
    log_to_stderr(filter_of(&arguments.command, &config))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the operating system gives no threads")?;
    let outcome = runtime.block_on(async {
        let done = match arguments.command {
            Command::Serve => return serve::serve(&config).await,
            Command::Worker(command) => return worker::worker(&config, command).await,
            Command::Doctor => return doctor::doctor(&config).await,
            Command::Check(command) => return check::check(&config, command).await,
            Command::Jobs(command) => jobs::jobs(&config, command).await,
            Command::Migrate => migrate::migrate(&config).await,
            Command::User(command) => user::user(&config, command).await,
            Command::Demo => demo::demo(&config).await,
            Command::DemoLive(command) => demo_live::demo_live(&config, command).await,
            Command::Pipeline(command) => return Ok(pipeline::pipeline(&command)),
        };
        done.map(|()| ExitCode::SUCCESS)
    });
    // An aborted stop must not wait for a blocking call that hangs.
    runtime.shutdown_background();
    outcome
}

/// The life of the server is worth a line; that of a command that says itself what it did is not.
fn filter_of<'a>(command: &Command, config: &'a Config) -> &'a str {
    match command {
        Command::Serve | Command::Worker(_) => &config.log,
        _ if config.log == Config::default().log => "warn",
        _ => &config.log,
    }
}

/// An error and its causes; a cause that the error before it has told already is left out.
fn in_one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if line.contains(&cause) {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&cause);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_fit_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_cause_is_told_once() {
        let error = anyhow::anyhow!("no such file")
            .context("it cannot be read: no such file")
            .context("change data_dir");
        assert_eq!(
            in_one_line(&error),
            "change data_dir: it cannot be read: no such file"
        );
    }

    #[test]
    fn every_command_takes_the_settings_file() {
        let arguments = Arguments::parse_from(["griot", "demo-live", "--config", "x.toml"]);
        assert_eq!(arguments.config, Some(PathBuf::from("x.toml")));
    }
}
