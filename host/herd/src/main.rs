//! The `herd` command.

/// The allocator of musl has one lock, for which the workers would wait.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    herd::cli::main()
}
