//! `griot`: see `griot --help`.

use std::process::ExitCode;

/// glibc's allocator keeps for ever what a burst of log-ins took: 20 MB for each password that is checked at once,
/// once per heap, of which there are sixteen on two cores.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The allocator asks for pages of 2 MB, some for each thread; most of each would stay empty. A kernel that
    // does not know the question costs memory, nothing else.
    rustix::thread::disable_transparent_huge_pages(true).ok();
    griot::cli::run()
}
