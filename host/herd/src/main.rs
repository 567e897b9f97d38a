//! The `herd` command.

/// The allocator of musl has one lock, for which the workers would wait.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Nothing of it is called by name: it has functions of the C library.
#[cfg(target_env = "musl")]
extern crate herd_mem as _;

fn main() -> std::process::ExitCode {
    // This allocator maps a region that is larger than all that a node has at rest.
    #[cfg(target_env = "musl")]
    herd_sys::leave_huge_pages_to_advice();
    herd_cli::main()
}
