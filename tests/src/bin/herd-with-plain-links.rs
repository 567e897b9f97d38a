//! The `herd` command with links that are plain after their handshake: for a measurement of what encryption costs, and for nothing else.

fn main() -> std::process::ExitCode {
    herd_cli::main()
}
