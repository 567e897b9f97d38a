//! What commands have in common that are for some nodes or for all: their arguments, and what they say of each node.

use std::process::ExitCode;

use clap::Args;

use super::operate::{Answers, failures, generation, print_json, text};

/// Which nodes, and how their answers are printed.
#[derive(Debug, Args)]
pub(super) struct NodesArgs {
    /// Only this node. May be given several times. Without it: every node of the herd.
    #[arg(long, value_name = "NODE")]
    pub(super) node: Vec<String>,
    /// Prints what the nodes say, as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// Says of each node what its canary or shadow, whose name in the answers is `role`, does.
pub(super) fn say_each(answers: &Answers, as_json: bool, role: &str, what: &str) -> anyhow::Result<ExitCode> {
    if as_json {
        return print_json(answers);
    }
    for (name, answer) in answers {
        if let Ok(answer) = answer {
            let candidate = &answer[role]["candidate"];
            say!("{name}: generation {}, {}, {what}", generation(candidate), text(&candidate["name"]));
        }
    }
    failures(answers)
}
