//! `griot`: see `griot --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    griot::cli::run()
}
