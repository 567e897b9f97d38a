//! Counts of decisions that are the same and of differences, by command, effect and field, with the first example of each.
//!
//! Each thread has a tally of its own, and they are merged. Knows nothing of how calls are repeated. Bounds: [`KINDS_MAX`] kinds of
//! differences; more are counted together.

use std::collections::BTreeMap;

use herd_recording::{LoggedCall, LoggedFault};
use herd_runtime::{Difference, diff, has_same_effects};
use herd_sdk::Decision;
use serde_json::{Value, json};

use super::parts::{self, Subject};
use crate::table::Table;

/// Counts of a replay.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) calls: u64,
    pub(super) decisions: u64,
    pub(super) lines: u64,
    /// Decisions with the same effects, or the same kind of fault.
    pub(super) same: u64,
    /// Of these, the ones that are the same bit for bit.
    pub(super) exact: u64,
    pub(super) different: u64,
    /// Decisions that faulted for lack of time, at the time or now: they need not do so each time.
    pub(super) not_compared: u64,
    kinds: BTreeMap<Kind, Count>,
    /// Differences over the limit of kinds.
    others: u64,
    /// First decision of each command.
    pub(super) commands: BTreeMap<String, u64>,
}

/// Kind of a difference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    command: String,
    effect: &'static str,
    part: String,
    /// Line and field of a text, from 1.
    field: Option<(usize, usize)>,
}

/// Count of a kind, and its first example.
pub(super) struct Count {
    count: u64,
    first: Example,
}

struct Example {
    decision: u64,
    line: Vec<u8>,
    before: Option<Vec<u8>>,
    after: Option<Vec<u8>>,
}

impl Tally {
    /// Compares what a log says with what a guest decides now.
    pub(super) fn compare(&mut self, call: &LoggedCall, after: &Result<Decision, LoggedFault>) {
        let decisions = call.decisions() as u64;
        self.calls += 1;
        self.decisions += decisions;
        self.lines += parts::lines(&call.recorded.call) as u64;
        if self.commands.len() < COMMANDS_MAX {
            for index in 0..call.decisions() {
                let command = parts::subject_of(&call.recorded.call, index);
                self.commands.entry(command).or_insert(call.number + index as u64);
            }
        }
        match (&call.outcome, after) {
            (Ok(before), Ok(after)) if before == after => {
                self.same += decisions;
                self.exact += decisions;
            }
            (Ok(before), Ok(after)) if has_same_effects(before, after) => self.same += decisions,
            (Ok(before), Ok(after)) => {
                let mut different = vec![];
                for (subject, before, after) in parts::split(&call.recorded.call, before, after) {
                    for difference in diff(&before, &after) {
                        different.push(subject.index);
                        self.add(call, &subject, difference);
                    }
                }
                different.dedup();
                // Effects that moved from one input to the next are a difference of neither alone.
                let different = (different.len() as u64).clamp(1, decisions.max(1));
                self.different += different;
                self.same += decisions.saturating_sub(different);
            }
            // One that is missed now was not missed in a tenth of the time: the guest differs.
            (Err(fault), _) if depends_on_time(fault) => self.not_compared += decisions,
            (Err(before), Err(after)) if before.kind == after.kind => {
                self.same += decisions;
                self.exact += if before == after { decisions } else { 0 };
            }
            (before, after) => {
                let text = |outcome: Result<&Decision, &LoggedFault>| match outcome {
                    Ok(_) => b"a decision".to_vec(),
                    Err(fault) => fault.text.clone().into_bytes(),
                };
                let (before, after) = (text(before.as_ref()), text(after.as_ref()));
                let difference =
                    Difference { effect: "fault", part: "", field: None, before: Some(before), after: Some(after) };
                let bytes = parts::split(&call.recorded.call, &Decision::default(), &Decision::default());
                let several = bytes.len() > 1;
                let command =
                    if several { "(several inputs)".into() } else { parts::subject_of(&call.recorded.call, 0) };
                let bytes = bytes.into_iter().flat_map(|(subject, ..)| subject.bytes).collect();
                self.add(call, &Subject { index: 0, command, bytes }, difference);
                self.different += decisions;
            }
        }
    }

    /// Adds the counts of another thread.
    pub(super) fn merge(&mut self, other: Self) {
        self.calls += other.calls;
        self.decisions += other.decisions;
        self.lines += other.lines;
        self.same += other.same;
        self.exact += other.exact;
        self.different += other.different;
        self.not_compared += other.not_compared;
        self.others += other.others;
        for (command, number) in other.commands {
            let first = self.commands.entry(command).or_insert(number);
            *first = number.min(*first);
        }
        for (kind, count) in other.kinds {
            self.count(kind, count);
        }
    }

    /// Returns true if nothing differs.
    pub(super) fn is_same(&self) -> bool {
        self.different == 0
    }

    /// Returns the numbers of the first examples, in their order.
    pub(super) fn first_examples(&self) -> Vec<u64> {
        let mut numbers: Vec<u64> = self.kinds.values().map(|count| count.first.decision).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// Returns the differences with their examples, for people.
    pub(super) fn table(&self) -> String {
        let mut table = Table::new(&["command", "difference", "count", "first", ""]);
        for (kind, count) in self.sorted() {
            let Example { decision, line, before, after } = &count.first;
            table.row([&*kind.command, &kind.text(), &count.count.to_string(), &format!("decision {decision}")]);
            let side = |side: &Option<Vec<u8>>| side.as_ref().map_or("nothing".into(), |bytes| shown(bytes));
            table.row_with_note([""], &format!("line    {}", shown(line)));
            table.row_with_note([""], &format!("before  {}", side(before)));
            table.row_with_note([""], &format!("after   {}", side(after)));
        }
        let others =
            if self.others > 0 { format!("and {} differences of other kinds\n", self.others) } else { String::new() };
        format!("{table}{others}")
    }

    /// Returns the differences with their examples, for scripts.
    pub(super) fn json(&self) -> Value {
        let kind = |(kind, count): (&Kind, &Count)| {
            let Example { decision, line, before, after } = &count.first;
            let (at, field) = kind.field.unzip();
            let [before, after] = [before, after].map(|side| side.as_ref().map(|bytes| shown(bytes)));
            json!({
                "command": kind.command, "effect": kind.effect, "part": kind.part, "line": at, "field": field, "count": count.count,
                "first": { "decision": decision, "input": shown(line), "before": before, "after": after },
            })
        };
        self.sorted().into_iter().map(kind).collect()
    }

    fn add(&mut self, call: &LoggedCall, subject: &Subject, difference: Difference) {
        let Difference { effect, part, field, before, after } = difference;
        let kind = Kind { command: subject.command.clone(), effect, part: part.into(), field };
        let decision = call.number + subject.index as u64;
        self.count(kind, Count { count: 1, first: Example { decision, line: subject.bytes.clone(), before, after } });
    }

    fn count(&mut self, kind: Kind, count: Count) {
        let is_full = self.kinds.len() >= KINDS_MAX;
        match self.kinds.get_mut(&kind) {
            Some(known) => {
                known.count += count.count;
                if count.first.decision < known.first.decision {
                    known.first = count.first;
                }
            }
            None if is_full => self.others += count.count,
            None => drop(self.kinds.insert(kind, count)),
        }
    }

    fn sorted(&self) -> Vec<(&Kind, &Count)> {
        let mut kinds: Vec<_> = self.kinds.iter().collect();
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(count.count));
        kinds
    }
}

impl Kind {
    fn text(&self) -> String {
        let field = self.field.map_or(String::new(), |(line, field)| format!(" line {line} field {field}"));
        let part = if self.part.is_empty() { String::new() } else { format!(" {}", self.part) };
        format!("{}{part}{field}", self.effect)
    }
}

/// Returns whether a fault need not occur again on another machine.
pub(crate) fn depends_on_time(fault: &LoggedFault) -> bool {
    fault.kind == herd_runtime::Fault::Deadline.kind()
}

/// Cuts a text, and escapes what is not safe for a terminal.
fn shown(bytes: &[u8]) -> String {
    let cut = if bytes.len() > TEXT_BYTES_MAX { "..." } else { "" };
    format!("\"{}\"{cut}", bytes[..bytes.len().min(TEXT_BYTES_MAX)].escape_ascii())
}

/// Kinds of differences with a count of their own. A change to one reply makes a handful.
const KINDS_MAX: usize = 64;
/// Commands whose first decision is remembered.
const COMMANDS_MAX: usize = 32;
/// A usual line has some 70 bytes, and a reply 80.
const TEXT_BYTES_MAX: usize = 200;
