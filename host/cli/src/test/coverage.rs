//! `--coverage`: commands that the guest read and effects that it decided, over all transcripts.
//!
//! Owns the table. The sdk counts.

use herd_audit::sanitize;
use herd_sdk::Description;
use herd_sdk::transcript::Coverage;

use super::super::table::Table;
use super::report::Report;

/// Prints the coverage of a report.
pub(super) fn print(report: &Report, description: Description) {
    let mut coverage = Coverage::default();
    report.tested.iter().for_each(|tested| coverage.add(&tested.coverage));
    say_on!("\n{}", text(&coverage, &description.commands));
}

/// Writes a table of commands and one of effects. `described` are the commands that the guest says it has.
fn text(coverage: &Coverage, described: &[String]) -> String {
    let mut commands = Table::new(&["COMMAND", "LINES"]);
    let mut others = coverage.other_commands();
    for (command, count) in coverage.commands() {
        let name = sanitize(&String::from_utf8_lossy(command));
        // Transcripts of malformed lines have many first words. Those that are no commands are one row.
        if described.is_empty() || described.contains(&name) {
            commands.row([name, count.to_string()]);
        } else {
            others += count;
        }
    }
    if others > 0 {
        commands.row(["(other lines)".to_string(), others.to_string()]);
    }
    let mut effects = Table::new(&["EFFECT", "TIMES"]);
    coverage.effects().filter(|(_, count)| *count > 0).for_each(|(kind, count)| {
        effects.row([kind.to_string(), count.to_string()]);
    });
    let sent = |command: &&String| coverage.commands().any(|(sent, _)| sent == command.as_bytes());
    let unsent: Vec<&str> = described.iter().filter(|command| !sent(command)).map(String::as_str).collect();
    let never: Vec<&str> = coverage.effects().filter(|(_, count)| *count == 0).map(|(kind, _)| kind).collect();
    let list = |names: &[&str]| if names.is_empty() { "none".into() } else { names.join(", ") };
    format!(
        "{}never sent: {}\n\n{}never occurred: {}\n",
        commands.unprinted(),
        list(&unsent),
        effects.unprinted(),
        list(&never)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coverage_names_what_never_occurred() {
        let text = text(&Coverage::default(), &["IAMAT".into(), "WATCH".into()]);
        assert!(text.starts_with("COMMAND  LINES\nnever sent: IAMAT, WATCH\n"), "{text}");
        assert!(text.contains("never occurred: reply, reply else, keep,"), "{text}");
    }
}
