//! `herd completions`: a script with which a shell completes commands and arguments.

use std::process::ExitCode;

use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::generate;

use super::Cli;

/// Arguments of `herd completions`.
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// Shell that reads the script.
    shell: Shell,
}

/// Shells whose scripts are tested.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Prints the script.
pub(super) fn completions(args: &CompletionsArgs) -> ExitCode {
    let shell = match args.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "herd", &mut script);
    say_on!("{}", String::from_utf8_lossy(&script));
    ExitCode::SUCCESS
}

/// Places where shells look for the script of one user.
pub(super) const PLACES: &str = "\
Packages install these scripts. For one user:
  herd completions bash > ~/.local/share/bash-completion/completions/herd
  herd completions zsh > ~/.zfunc/_herd          # with fpath+=~/.zfunc before compinit in ~/.zshrc
  herd completions fish > ~/.config/fish/completions/herd.fish";
