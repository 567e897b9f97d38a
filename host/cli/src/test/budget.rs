//! Budget of a guest: what its commands may cost, in a file of TOML.
//!
//! Owns the file and the comparison. Time has no budget: it is another one on each machine. Knows nothing of measuring.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use toml::{Table, Value};

use super::command_cost::{CommandCost, Costs};

/// Budget of a guest.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Budget {
    /// Excess of instructions that is no regression, in percent: another compiler decides a little otherwise.
    tolerance_percent: f64,
    commands: BTreeMap<String, Allowance>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Allowance {
    /// Instructions of one line, on average.
    instructions: u64,
    memory_bytes: u64,
}

impl Budget {
    /// Makes the budget of measured costs, with the tolerance of an earlier one.
    pub(super) fn of(costs: &Costs, before: Option<&Self>) -> Self {
        let allowance = |cost: &CommandCost| Allowance {
            instructions: cost.instructions_per_line(),
            memory_bytes: cost.memory_bytes as u64,
        };
        let commands = costs.iter().map(|(command, cost)| (command.clone(), allowance(cost))).collect();
        Self { tolerance_percent: before.map_or(TOLERANCE_PERCENT, |before| before.tolerance_percent), commands }
    }

    /// Takes the commands of an earlier budget that were not measured: some transcripts were left out.
    #[must_use]
    pub(super) fn with_others_of(mut self, before: Self) -> Self {
        for (command, allowance) in before.commands {
            self.commands.entry(command).or_insert(allowance);
        }
        self
    }

    /// Leaves out the commands that were not measured.
    #[must_use]
    pub(super) fn of_measured(mut self, costs: &Costs) -> Self {
        self.commands.retain(|command, _| costs.contains_key(command));
        self
    }

    /// Reads a budget.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is none; the error names the file and the key.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let name = || path.display().to_string();
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("{}; write it with --cost --budget FILE --bless", path.display()))?;
        Self::parse(&text).with_context(name)
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut budget = Self { tolerance_percent: TOLERANCE_PERCENT, commands: BTreeMap::new() };
        for (key, value) in text.parse::<Table>()? {
            match (&*key, value) {
                ("tolerance_percent", value) => {
                    #[allow(clippy::cast_precision_loss, reason = "a percentage")]
                    let percent = value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64));
                    let percent = percent.filter(|percent| (0.0..=1000.0).contains(percent));
                    budget.tolerance_percent = percent.context("tolerance_percent is a number from 0 to 1000")?;
                }
                ("commands", Value::Table(commands)) => {
                    for (command, value) in commands {
                        let allowance = allowance(&value).with_context(|| format!("commands.{command}"))?;
                        budget.commands.insert(command, allowance);
                    }
                }
                _ => bail!("unknown key `{key}`; known are tolerance_percent and [commands.NAME]"),
            }
        }
        Ok(budget)
    }

    /// Writes the file.
    pub(super) fn text(&self) -> String {
        let command = |(command, allowance): (&String, &Allowance)| {
            let whole = |number| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
            let mut table = Table::new();
            table.insert("instructions".into(), whole(allowance.instructions));
            table.insert("memory_bytes".into(), whole(allowance.memory_bytes));
            (command.clone(), Value::Table(table))
        };
        let mut table = Table::new();
        table.insert("tolerance_percent".into(), Value::Float(self.tolerance_percent));
        table.insert("commands".into(), Value::Table(self.commands.iter().map(command).collect()));
        format!("{HEAD}{table}")
    }

    /// Lists the commands over budget, with both numbers, and those that were not measured.
    pub(super) fn excesses(&self, costs: &Costs) -> Vec<String> {
        let mut excesses = vec![];
        for (command, allowance) in &self.commands {
            let Some(cost) = costs.get(command) else {
                excesses.push(format!("{command}: no transcript has it; remove it from the budget, or write one"));
                continue;
            };
            let (instructions, budget) = (cost.instructions_per_line(), allowance.instructions);
            #[allow(clippy::cast_precision_loss, reason = "compared within percents")]
            let (cost_f, budget_f) = (instructions as f64, budget as f64);
            // Multiplied first: a quotient would exceed a tolerance of 5 % by its rounding.
            if cost_f * 100.0 > budget_f * (100.0 + self.tolerance_percent) {
                let percent = (cost_f / budget_f.max(1.0) - 1.0) * 100.0;
                excesses.push(format!(
                    "{command}: {instructions} instructions a line, where {budget} are allowed ({percent:+.1}%, tolerance {}%)",
                    self.tolerance_percent
                ));
            }
            // In pages of 64 KiB, so there is nothing to tolerate.
            if cost.memory_bytes as u64 > allowance.memory_bytes {
                excesses.push(format!(
                    "{command}: {} bytes of memory, where {} are allowed",
                    cost.memory_bytes, allowance.memory_bytes
                ));
            }
        }
        excesses
    }
}

fn allowance(value: &Value) -> anyhow::Result<Allowance> {
    let table = value.as_table().context("expected a table with instructions and memory_bytes")?;
    if let Some(key) = table.keys().find(|key| !["instructions", "memory_bytes"].contains(&&***key)) {
        bail!("unknown key `{key}`; known are instructions and memory_bytes");
    }
    let number = |key: &str| {
        let number = table.get(key).and_then(Value::as_integer).and_then(|number| u64::try_from(number).ok());
        number.with_context(|| format!("{key} is a whole number"))
    };
    Ok(Allowance { instructions: number("instructions")?, memory_bytes: number("memory_bytes")? })
}

/// A change of the compiler or of the standard library stays within it; a regression worth a look does not.
const TOLERANCE_PERCENT: f64 = 5.0;
/// First lines of the file.
const HEAD: &str = "\
# Cost of one line of each command over the transcripts: instructions in units of fuel, on average, and the largest memory of an
# instance that made one call. `herd test --cost --budget FILE` fails above it, `--bless` writes it anew.

";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn costs(instructions: u64, memory_bytes: usize) -> Costs {
        let cost = CommandCost { lines: 2, instructions, most: instructions, memory_bytes, took: Duration::ZERO };
        Costs::from([("IAMAT".into(), cost), ("(reports)".into(), cost)])
    }

    #[test]
    fn budget_fails_above_its_tolerance_and_returns_what_was_written() {
        let budget = Budget::of(&costs(2000, 65536), None);
        assert_eq!(Budget::parse(&budget.text()).unwrap(), budget);
        assert!(budget.excesses(&costs(2100, 65536)).is_empty(), "within 5 %");
        let excesses = budget.excesses(&costs(2110, 131_072));
        assert_eq!(excesses.len(), 4, "{excesses:?}");
        assert_eq!(excesses[2], "IAMAT: 1055 instructions a line, where 1000 are allowed (+5.5%, tolerance 5%)");
        assert_eq!(excesses[3], "IAMAT: 131072 bytes of memory, where 65536 are allowed");
        assert_eq!(budget.excesses(&Costs::new()).len(), 2, "commands that no transcript has");
    }

    #[test]
    fn budget_of_some_transcripts_keeps_and_ignores_the_other_commands() {
        let before = Budget::of(&costs(2000, 65536), None);
        let some = Costs::from([("IAMAT".into(), costs(4000, 65536)["IAMAT"])]);
        let merged = Budget::of(&some, Some(&before)).with_others_of(before.clone());
        assert_eq!(merged.commands["(reports)"], before.commands["(reports)"]);
        assert_eq!(merged.commands["IAMAT"].instructions, 2000);
        let excesses = before.of_measured(&some).excesses(&some);
        assert!(excesses.len() == 1 && excesses[0].starts_with("IAMAT: 2000 instructions"), "{excesses:?}");
    }

    #[test]
    fn budget_errors_name_the_key() {
        let error = |text: &str| format!("{:#}", Budget::parse(text).unwrap_err());
        assert!(error("tolerance = 3").contains("unknown key `tolerance`"));
        assert_eq!(error("tolerance_percent = -1"), "tolerance_percent is a number from 0 to 1000");
        assert_eq!(error("[commands.A]\ninstructions = 1"), "commands.A: memory_bytes is a whole number");
        assert!(error("[commands.A]\ntime = 1").contains("commands.A: unknown key `time`"));
        assert!(error("x").contains("TOML parse error"));
    }

    #[test]
    fn budget_keeps_its_tolerance_when_it_is_written_anew() {
        let before = Budget::parse("tolerance_percent = 1.5").unwrap();
        assert!(Budget::of(&costs(1, 1), Some(&before)).text().contains("tolerance_percent = 1.5"));
    }
}
