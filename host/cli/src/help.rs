//! `herd help`: the help of a command, or a topic that no single command explains.
//!
//! Topics are texts of at most a screen, in `topics/`. None has the name of a command.

use std::process::ExitCode;

use clap::{Args, Parser};

use super::{Cli, exit_status, print_command_line_error};

/// Arguments of `herd help`.
#[derive(Debug, Args)]
pub(super) struct HelpArgs {
    /// A command, such as `certs issue`, or a topic: concepts, swapping, signatures, edge, agreement, files, contexts or exit-codes.
    #[arg(value_name = "COMMAND|TOPIC")]
    names: Vec<String>,
}

/// Prints a topic, or what `--help` prints for a command.
pub(super) fn help(args: &HelpArgs) -> ExitCode {
    if let [name] = &*args.names
        && let Some(text) = topic(name)
    {
        say_on!("{text}");
        return ExitCode::SUCCESS;
    }
    // The parser knows the help of every command, and what a misspelt one was meant to be.
    let asked = ["herd"].into_iter().chain(args.names.iter().map(String::as_str)).chain(["--help"]);
    let Err(error) = Cli::try_parse_from(asked) else { return ExitCode::SUCCESS };
    if error.use_stderr() {
        eprintln!("no topic is named `{}`; topics are {}", args.names.join(" "), TOPICS.join(", "));
    }
    print_command_line_error(&error)
}

fn topic(name: &str) -> Option<String> {
    let text = match name {
        "concepts" => include_str!("../topics/concepts.txt"),
        "swapping" => include_str!("../topics/swapping.txt"),
        "signatures" => include_str!("../topics/signatures.txt"),
        "edge" => include_str!("../topics/edge.txt"),
        "agreement" => include_str!("../topics/agreement.txt"),
        "files" => include_str!("../topics/files.txt"),
        "contexts" => include_str!("../topics/contexts.txt"),
        "exit-codes" => return Some(exit_status::topic()),
        _ => return None,
    };
    Some(text.into())
}

const TOPICS: [&str; 8] =
    ["concepts", "swapping", "signatures", "edge", "agreement", "files", "contexts", "exit-codes"];

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn help_has_every_topic_and_none_is_a_command() {
        let command = Cli::command();
        let asked = command.find_subcommand("help").unwrap().get_positionals().next().unwrap().get_help().unwrap();
        for name in TOPICS {
            assert!(topic(name).is_some_and(|text| text.lines().all(|line| line.chars().count() <= 132)), "{name}");
            assert!(command.find_subcommand(name).is_none(), "{name}");
            assert!(asked.to_string().contains(name), "{name}");
        }
    }
}
