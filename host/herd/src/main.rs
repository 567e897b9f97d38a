//! The `herd` command.

/// The allocator of musl has one lock, for which the workers would wait.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Nothing of it is called by name: it has functions of the C library.
#[cfg(target_env = "musl")]
extern crate herd_mem as _;

fn main() -> std::process::ExitCode {
    herd_cli::main()
}
