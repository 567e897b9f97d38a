//! Scenarios in files: one event a line, so that people read and edit them.
//!
//! Knows the form and not the events. Bounds: none; files are those of the user.

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;
use herd_sim::Scenario;

/// Reads a scenario.
///
/// # Errors
///
/// The file cannot be read, or is no scenario; the error names the file, and the line or the event.
pub(super) fn read_scenario(path: &Path) -> anyhow::Result<Scenario> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let scenario: Scenario = toml::from_str(&text)
        .with_context(|| format!("{}: not a scenario; docs/simulator.md has one", path.display()))?;
    scenario.check().map_err(|why| anyhow::anyhow!("{}: {why}", path.display()))?;
    Ok(scenario)
}

/// Formats a scenario, with comments above it.
///
/// # Errors
///
/// An event has no form in TOML, which no event lacks.
pub(super) fn scenario_text(scenario: &Scenario, comments: &[String]) -> anyhow::Result<String> {
    let mut text = String::new();
    for comment in comments {
        for line in comment.lines() {
            writeln!(text, "# {line}")?;
        }
    }
    let Scenario { seed, nodes, graph, for_ms, events } = scenario;
    let graph = toml::Value::try_from(graph)?;
    writeln!(text, "seed = {seed}\nnodes = {nodes}\ngraph = {graph}\nfor_ms = {for_ms}\nevents = [")?;
    for event in events {
        writeln!(text, "  {},", toml::Value::try_from(event)?)?;
    }
    text.push_str("]\n");
    Ok(text)
}

#[cfg(test)]
mod tests {
    use herd_sim::{Action, SimOptions, TimedAction};

    use super::*;

    #[test]
    fn scenario_is_read_as_it_was_written_with_one_event_a_line() {
        let send = Action::Send {
            client: 3,
            node: "Riley".into(),
            worker: 1,
            text: "IAMAT kiwi +1-1 5\n".into(),
            cuts: vec![4],
        };
        let cut = Action::Cut { node: "Riley".into(), peer: "Jaquez".into() };
        let partition = Action::Partition { directions: vec!["Riley>Jaquez".into()], ms: 200 };
        let events = [(0.020_300_001, send), (1.5, cut), (2.0, partition)];
        let events = events.into_iter().map(|(at, action)| TimedAction { at, action }).collect();
        let scenario = Scenario::of(SimOptions::new(7), events);
        let text = scenario_text(&scenario, &["it breaks\nin two ways".into()]).unwrap();
        assert_eq!(toml::from_str::<Scenario>(&text).unwrap(), scenario, "{text}");
        assert_eq!(text.lines().filter(|line| line.contains("do = ")).count(), 3, "{text}");
        let typo = text.replace("peer = ", "pear = ");
        assert!(toml::from_str::<Scenario>(&typo).unwrap_err().to_string().contains("line"), "{typo}");
    }
}
