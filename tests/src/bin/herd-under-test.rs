//! The `herd` command, built with the tests that start it.

fn main() -> std::process::ExitCode {
    herd_cli::main()
}
