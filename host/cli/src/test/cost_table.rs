//! Tables of costs, of one guest or of two.
//!
//! Owns their columns. Knows nothing of measuring.

use super::super::table::Table;
use super::command_cost::{CommandCost, Costs};

/// Writes the costs of one guest, for each line, report or answer.
pub(super) fn table(costs: &Costs) -> String {
    let mut table = Table::new(&["COMMAND", "LINES", "INSTRUCTIONS", "MOST", "MEMORY", "TIME"]);
    for (command, cost) in costs {
        table.row([
            command.clone(),
            cost.lines.to_string(),
            cost.instructions_per_line().to_string(),
            cost.most.to_string(),
            kib(cost),
            time(cost),
        ]);
    }
    table.unprinted()
}

/// Writes the costs of two guests side by side, with the change of instructions from the second to the first.
pub(super) fn beside(costs: &Costs, other: &Costs) -> String {
    let headings = ["COMMAND", "INSTRUCTIONS", "AGAINST", "CHANGE", "MEMORY", "AGAINST", "TIME", "AGAINST"];
    let mut table = Table::new(&headings);
    let mut commands: Vec<&String> = costs.keys().chain(other.keys()).collect();
    commands.sort();
    commands.dedup();
    for command in commands {
        let (cost, other) = (costs.get(command), other.get(command));
        let cell = |cost: Option<&CommandCost>, text: fn(&CommandCost) -> String| cost.map_or("-".into(), text);
        let instructions = |cost: &CommandCost| cost.instructions_per_line().to_string();
        table.row([
            command.clone(),
            cell(cost, instructions),
            cell(other, instructions),
            cost.zip(other).map_or("-".into(), |(cost, other)| change(cost, other)),
            cell(cost, kib),
            cell(other, kib),
            cell(cost, time),
            cell(other, time),
        ]);
    }
    table.unprinted()
}

fn kib(cost: &CommandCost) -> String {
    format!("{} KiB", cost.memory_bytes >> 10)
}

fn time(cost: &CommandCost) -> String {
    format!("{:.2} us", cost.us_per_line())
}

#[allow(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn change(cost: &CommandCost, other: &CommandCost) -> String {
    let (cost, other) = (cost.instructions_per_line() as f64, other.instructions_per_line().max(1) as f64);
    format!("{:+.1}%", (cost / other - 1.0) * 100.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn cost_tables_show_a_line_for_each_command_of_either_guest() {
        let cost = |lines, instructions| CommandCost {
            lines,
            instructions,
            most: instructions,
            memory_bytes: 128 << 10,
            took: Duration::from_micros(3),
        };
        let (one, two) = (
            Costs::from([("A".into(), cost(2, 300))]),
            Costs::from([("A".into(), cost(2, 200)), ("B".into(), cost(1, 7))]),
        );
        assert_eq!(
            table(&one),
            "COMMAND  LINES  INSTRUCTIONS  MOST  MEMORY   TIME\nA        2      150           300   128 KiB  1.50 us\n"
        );
        assert_eq!(
            beside(&one, &two),
            "COMMAND  INSTRUCTIONS  AGAINST  CHANGE  MEMORY   AGAINST  TIME     AGAINST\n\
             A        150           100      +50.0%  128 KiB  128 KiB  1.50 us  1.50 us\n\
             B        -             7        -       -        128 KiB  -        3.00 us\n"
        );
    }
}
