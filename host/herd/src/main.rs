//! The `herd` command.

fn main() -> std::process::ExitCode {
    herd::cli::main()
}
