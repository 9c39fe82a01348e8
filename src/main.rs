//! `griot`: see `griot --help`.

use std::process::ExitCode;

/// glibc's allocator keeps for ever what a burst of log-ins took (20 MB for each password that is checked at once,
/// one heap per thread): 14 MB a stream were measured with it, 1.8 MB with this one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    griot::cli::run()
}
