//! Exit codes, as the man pages and `herd help exit-codes` document them.

/// Exit codes of all commands, with their meanings.
pub(super) const EXIT_STATUS: [(u8, &str); 4] = [
    (0, "The command did what it was asked to, or the reader of its output has gone, as head does."),
    (
        1,
        "A failure, which standard error names, or a check that found something: a fault, a difference, damage, a guest to refuse.",
    ),
    (2, "An invalid command line. Of herd test, also a guest or a transcript that cannot be read."),
    (130, "Ctrl-c ended a swap or a rollback before the node had answered; it may go on there."),
];

/// Returns the exit codes as a topic of `herd help`.
pub(super) fn topic() -> String {
    let mut text = String::from("EXIT CODES\n\n");
    for (code, meaning) in EXIT_STATUS {
        text.push_str(&format!("  {code:<5} {meaning}\n"));
    }
    text.push_str(
        "\nUnder --json the message of a failure is an object on one line of standard error: {\"error\": \"...\"}\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_the_documentation() {
        let documented = include_str!("../../../docs/cli.md");
        for (code, meaning) in EXIT_STATUS {
            let row = format!("| {code} | {meaning} |");
            assert!(documented.contains(&row), "docs/cli.md lacks: {row}");
        }
    }
}
